"""Moving in: the real export of the old service, and crafted ones that hold what exports must not."""
