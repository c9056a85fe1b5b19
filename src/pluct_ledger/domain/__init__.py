"""The rules, and nothing else: no SQL, clock, randomness, logging or environment."""
