"""Our tables on their way into databases, through them, and out again."""
