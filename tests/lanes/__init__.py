"""The lanes: one real database each, on which every promise is tested.

`slots` finds a place for the private servers of one test run, `servers` runs them there, `databases` gives each
worker its own databases on them, and `schema` is the one place that puts our tables in.
"""

LANES = ("sqlite", "postgres", "mariadb")


class LaneUnavailable(Exception):
    """The database of a lane cannot run on this machine."""
