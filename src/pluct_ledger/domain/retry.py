"""How often and how long to wait when other transactions are in the way; the loops that sleep ask here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential waits with full jitter, bounded in number and in time.

    Attributes:
        attempts: how often to run a transaction at the most.
        first: the upper bound of the first wait, in seconds; it doubles with each attempt.
        longest: the upper bound of any wait, in seconds.
        budget: no attempt starts later than this many seconds after the first.
    """

    attempts: int = 20
    first: float = 0.002
    longest: float = 0.25
    budget: float = 30.0

    def wait(self, attempt: int, elapsed: float, chance: float) -> float | None:
        """Return how many seconds to wait before the next attempt, or None to give up.

        Args:
            attempt: how many attempts were made.
            elapsed: seconds since the first one started.
            chance: a random number in 0..1.
        """
        if attempt >= self.attempts:
            return None
        doublings = min(attempt - 1, 1000)  # a float goes no further than 2^1023
        wait = min(self.longest, self.first * 2.0**doublings) * chance
        return None if elapsed + wait > self.budget else wait
