"""What these tests say of time and of a log: seconds after the clock's start, and lines that are easy to compare."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pluct_ledger import Entry, Ledger, Share
from pluct_ledger.errors import PluctError
from tests.clock import FrozenClock

SECOND: Final = timedelta(seconds=1)
MICRO: Final = timedelta(microseconds=1)
START: Final = datetime(2030, 1, 1, tzinfo=UTC)

G1, G2, G3 = (1, 0), (2, 0), (3, 0)
"""The grants that an owner's first entries issued."""

Shares = dict[tuple[int, int], tuple[int, int]]
Line = tuple[str, int, int, int, Shares]


def t(seconds: float) -> datetime:
    """Return the instant so many seconds after the clock's start."""
    return START + seconds * SECOND


def seconds_of(instant: datetime) -> int:
    """Return how many whole seconds after the clock's start an instant lies."""
    return (instant - START) // SECOND


def shares_of(shares: Iterable[Share]) -> Shares:
    """Return shares as (grant's seq, part) and (amount, hold_amount)."""
    return {
        (int(share.grant_id.split(".")[1]), share.part): (share.amount, share.hold_amount) for share in shares
    }


def line(entry: Entry) -> Line:
    """Return an entry as (operation, second, amount, hold_amount, shares)."""
    told = shares_of(entry.shares)
    return (entry.operation, seconds_of(entry.at), entry.amount, entry.hold_amount, told)


def log(ledger: Ledger, owner: str, *, after: int = 0) -> list[Line]:
    """Return the lines of an owner's log, oldest first, from behind a seq on."""
    return [line(entry) for entry in reversed(list(ledger.entries(owner, limit=1000))) if entry.seq > after]


def two_grants(ledger: Ledger, owner: str = "ada") -> None:
    """Give an owner G1, which is 5 expiring at t10, and G2, which is 10 that never expire; the pool is 0."""
    ledger.grant(owner, 5, expires_at=t(10))
    ledger.grant(owner, 10, label="G2")


def seen(ledger: Ledger, *owners: str) -> dict[str, Any]:
    """Return all that the public reads tell of these owners now, with the ledger as a whole."""
    told: dict[str, Any] = {
        "accounts": tuple(ledger.accounts().all()),
        "entries": tuple(ledger.entries(limit=1000).all()),
        "balances": ledger.balances(owners),
        "expiring of its kind": tuple(ledger.entries(kinds=["expire"], limit=1).all()),
    }
    for owner in owners:
        told[owner] = (
            ledger.account(owner),
            ledger.balance(owner),
            [ledger.balance(owner, at=t(second)) for second in range(-1, 30, 3)],
            ledger.grants(owner),
            ledger.holds(owner),
            tuple(ledger.entries(owner, limit=2).all()),
            [ledger.entry(entry.entry_id) for entry in ledger.entries(owner, limit=1000)],
            [ledger.explain(entry.entry_id) for entry in ledger.entries(owner, limit=1000)],
            ledger.statement(owner, t(0), t(30)),
            ledger.explain_balance(owner),
            ledger.explain_balance(owner, t(7)),
        )
    return told


def refusal(ledger: Ledger, command: Any) -> str:
    """Return the code with which a command is refused."""
    (outcome,) = ledger.apply_many([command])
    assert isinstance(outcome, PluctError), outcome
    return outcome.code


def later(clock: FrozenClock, seconds: float) -> None:
    """Set the clock to so many seconds after its start."""
    clock.set(t(seconds))
