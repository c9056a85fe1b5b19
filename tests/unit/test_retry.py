"""The retry policy: how long to wait, and when to give up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger.domain.retry import RetryPolicy


def test_the_bound_of_a_wait_doubles_until_it_is_longest() -> None:
    """With the worst luck the waits are twice as long each time, up to the longest."""
    policy = RetryPolicy(attempts=8, first=0.5, longest=4.0, budget=100.0)

    assert [policy.wait(attempt, 0.0, 1.0) for attempt in range(1, 9)] == [
        0.5,
        1.0,
        2.0,
        4.0,
        4.0,
        4.0,
        4.0,
        None,
    ]


def test_attempts_are_counted() -> None:
    """The last attempt is not waited after."""
    assert RetryPolicy(attempts=1).wait(1, 0.0, 0.0) is None
    assert RetryPolicy(attempts=2).wait(1, 0.0, 0.0) == 0.0
    assert RetryPolicy(attempts=2).wait(2, 0.0, 0.0) is None


def test_no_attempt_starts_after_the_budget() -> None:
    """A wait that would end after the budget is not begun, and one that ends with it is."""
    policy = RetryPolicy(first=1.0, longest=1.0, budget=10.0)

    assert policy.wait(1, 9.0, 1.0) == 1.0
    assert policy.wait(1, 9.5, 1.0) is None
    assert policy.wait(1, 9.5, 0.5) == 0.5


@given(
    attempt=st.integers(1, 2_000),
    elapsed=st.floats(0, 1e6, allow_nan=False),
    chance=st.floats(0, 1, allow_nan=False),
)
def test_waits_are_jittered_and_bounded(attempt: int, elapsed: float, chance: float) -> None:
    """Whatever was tried, a wait is a share of its bound, is never longer than the longest, and never an error."""
    policy = RetryPolicy(attempts=1_500)
    wait = policy.wait(attempt, elapsed, chance)

    if attempt >= policy.attempts or elapsed > policy.budget:
        assert wait is None
    elif wait is not None:
        assert 0 <= wait <= chance * policy.longest
        assert elapsed + wait <= policy.budget
