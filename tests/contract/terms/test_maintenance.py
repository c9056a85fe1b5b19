"""Maintenance: it records early what the next write would record, and nobody can tell by what is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from pluct_ledger import Contended, InvalidArgument, Ledger, maintenance
from pluct_ledger.commands import Issue
from tests.clock import FrozenClock
from tests.contract.callers import CALLERS, Caller, caller_of
from tests.contract.terms.told import MICRO, SECOND, later, log, seen, t

Step = Callable[[Ledger, dict[str, str]], object]


def run(caller: Caller, **options: Any) -> tuple[int, int, bool]:
    """Run maintenance at the clock's instant; return how many accounts and entries, and whether that was all."""
    caller.settle()
    report = maintenance.run(caller.engine, now=caller.clock(), **options)
    return (report.accounts, report.entries, report.done)


def authorized(ledger: Ledger, ids: dict[str, str], amount: int, seconds: int) -> None:
    """Set credit of ada's aside, and remember the hold."""
    ids["hold"] = ledger.authorize("ada", amount, ttl=seconds * SECOND).hold_id


def spent(ledger: Ledger, ids: dict[str, str], amount: int) -> None:
    """Spend credit of ada's, and remember the entry."""
    ids["spend"] = ledger.spend("ada", amount).entry_id


STEPS: list[Step] = [
    lambda ledger, _: ledger.open_account("bob", overdraft_limit=3),
    lambda ledger, _: ledger.grant("ada", 9, expires_at=t(6), label="nine"),
    lambda ledger, _: ledger.grant("ada", 8, effective_at=t(5), expires_at=10 * SECOND),
    lambda ledger, ids: authorized(ledger, ids, 6, 4),
    lambda ledger, _: ledger.grant("bob", 2, expires_at=SECOND),
    lambda ledger, ids: spent(ledger, ids, 2),
    lambda ledger, _: ledger.transfer("ada", "bob", 3),
    lambda ledger, _: ledger.grant("ada", 20, priority=2),
    lambda ledger, ids: authorized(ledger, ids, 11, 9),
    lambda ledger, ids: ledger.capture(ids["hold"], 1, final=False),
    lambda ledger, ids: ledger.reverse(ids["spend"], 1),
    lambda ledger, ids: ledger.reverse(ids["spend"], 1, expired_grace=5 * SECOND),
]


def story(caller: Caller, between: Callable[[], object]) -> dict[str, Any]:
    """Do every step, a second apart, each after `between`; return all that is told at the end."""
    ledger, ids = caller.ledger(), dict[str, str]()
    for second, step in enumerate(STEPS):
        later(caller.clock, second)
        between()
        step(ledger, ids)
    later(caller.clock, 25)
    between()
    return seen(ledger, "ada", "bob")


@pytest.mark.parametrize("caller", CALLERS)
def test_with_and_without_maintenance_all_is_the_same(
    caller: str, engine: Engine, clock: FrozenClock, wipe: Callable[[], None]
) -> None:
    """The same commands at the same instants tell the same in every read, whether maintenance ran before each."""
    with caller_of(caller, engine, clock) as alone:
        without = story(alone, lambda: None)
        alone.settle()
    wipe()
    written: list[int] = []
    with caller_of(caller, engine, clock) as helped:
        told = story(helped, lambda: written.append(run(helped)[1]))

    assert sum(written) > 5
    assert told == without


def test_a_run_changes_nothing_that_is_read(ledger: Ledger, caller: Caller) -> None:
    """At any instant a run leaves every public read as it was."""
    ids: dict[str, str] = {}
    for step in STEPS[:5]:
        step(ledger, ids)
    for second in (0, 1, 4, 5, 6, 15, 16):
        later(caller.clock, second)
        before = seen(ledger, "ada", "bob")
        run(caller)
        assert seen(ledger, "ada", "bob") == before
    assert ledger.orphan_holds() == ()


def test_a_run_is_never_early(ledger: Ledger, caller: Caller) -> None:
    """A microsecond before something falls due there is nothing to do; at its instant there is, once."""
    ledger.grant("ada", 5, effective_at=t(4), expires_at=t(6))
    for instant, expected in (
        (t(4) - MICRO, (0, 0, True)),
        (t(4), (1, 1, True)),
        (t(4), (0, 0, True)),
        (t(6) - MICRO, (0, 0, True)),
        (t(6), (1, 1, True)),
        (t(900), (0, 0, True)),
    ):
        caller.clock.set(instant)
        before = caller.rows()
        assert run(caller) == expected
        assert (caller.rows() == before) == (expected[1] == 0)
    assert [row[:3] for row in log(ledger, "ada", after=1)] == [("activate", 4, 5), ("expire", 6, -5)]


def test_a_run_is_bounded_and_the_next_one_goes_on(ledger: Ledger, caller: Caller) -> None:
    """A run takes so many accounts at the most, of all books, the longest waiting first, until nothing is left."""
    for number, owner in enumerate(["ada", "bob", "eve"]):
        ledger.grant(owner, 5, expires_at=t(9 - number))
    ledger.for_book("shop").grant("ada", 5, expires_at=t(3))
    later(caller.clock, 20)

    runs: list[tuple[int, int, bool]] = []
    while not runs or not runs[-1][2]:
        runs.append(run(caller, limit=1))
        owners = [each.owner for each in ledger.entries(kinds=["expire"]) if _recorded(caller, each.entry_id)]
        assert sorted(owners) == sorted(["eve", "bob", "ada"][: len(runs) - 1])

    assert runs == [(1, 1, False), (1, 1, False), (1, 1, False), (1, 1, True)]
    assert run(caller, limit=1) == (0, 0, True)


def _recorded(caller: Caller, entry_id: str) -> bool:
    """Tell whether an entry stands in the log."""
    account_id, seq = entry_id.split(".")
    return any((row[0].hex(), row[1]) == (account_id, int(seq)) for row in caller.rows()["pluct_entry"])


def test_a_run_without_time_leaves_the_rest_to_the_next(ledger: Ledger, caller: Caller) -> None:
    """A budget that is spent ends a run between two accounts, and the next run does what is left."""
    for owner in ("ada", "bob", "eve"):
        ledger.grant(owner, 5, expires_at=t(1))
    later(caller.clock, 2)

    accounts, entries, done = run(caller, budget=timedelta(microseconds=1))

    assert (accounts < 3, accounts == entries, done) == (True, True, False)
    assert run(caller) == (3 - accounts, 3 - accounts, True)


def test_what_fell_due_together_is_recorded_in_one_run(ledger: Ledger, caller: Caller) -> None:
    """More dues than one transaction records: an own write goes on in chunks, a borrowed one asks for maintenance."""
    ledger.grant("ada", 3)
    ledger.apply_many([Issue("ada", 1, expires_at=t(5)) for _ in range(1_500)])
    before = caller.rows()
    later(caller.clock, 6)
    assert ledger.account("ada").posted == 3

    if not caller.own:
        with pytest.raises(Contended):
            ledger.spend("ada", 3)
        assert caller.rows() == before
        assert run(caller) == (1, 1_500, True)
    receipt = ledger.spend("ada", 3)

    assert (receipt.seq, receipt.posted_after) == (3_002, 0)
    caller.settle()
    assert run(caller) == (0, 0, True)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"now": t(0).replace(tzinfo=None)}, "now"),
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"budget": timedelta(0)}, "budget"),
        ({"budget": 5}, "budget"),
    ],
)
def test_wrong_arguments_of_a_run_are_named(caller: Caller, options: dict[str, Any], argument: str) -> None:
    """A run whose arguments are out of bounds is refused before any SQL."""
    with pytest.raises(InvalidArgument) as wrong:
        maintenance.run(caller.engine, **options)

    assert wrong.value.argument == argument
