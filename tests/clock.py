"""Time that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """A clock for tests: called, it tells the same instant until it is advanced or set."""

    def __init__(self, now: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self.set(now)

    def __call__(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move on by this much."""
        self._now += by

    def set(self, now: datetime) -> None:
        """Move to this instant, which knows its time zone."""
        if now.tzinfo is None:
            raise ValueError("a frozen clock needs an aware datetime")
        self._now = now.astimezone(UTC)
