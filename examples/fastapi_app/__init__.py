"""An HTTP adapter: all of it translates, and no rule of credit is in it."""
