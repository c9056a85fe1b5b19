"""Races on credit with terms, by name: whoever comes first, the outcome is one of those that a sequence could have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Final

import pytest
from sqlalchemy import Engine

from pluct_ledger import (
    Balance,
    HoldClosed,
    InsufficientCredit,
    Ledger,
    Receipt,
    Refused,
    ReversalExceedsOriginal,
)
from pluct_ledger.commands import Authorize, Capture, Command, Issue, Reverse, Spend, Transfer, Void
from tests.clock import FrozenClock
from tests.concurrency.crowd import at_once

ROUNDS: Final = 20
HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)

Outcome = Receipt | Refused
Race = Callable[[Command, Command], tuple[Outcome, Outcome]]


@pytest.fixture
def ledger(engine: Engine, clock: FrozenClock) -> Ledger:
    """A ledger to set the scene with, and to look at it afterwards."""
    return Ledger(engine, clock=clock)


@pytest.fixture
def almost(engine: Engine, clock: FrozenClock) -> Ledger:
    """A ledger whose clock is an hour ahead but for one instant."""
    return Ledger(engine, clock=lambda: clock() + HOUR - INSTANT)


@pytest.fixture
def late(raw_engine: Engine, clock: FrozenClock) -> Ledger:
    """A ledger on an engine of another host, whose clock is an hour ahead."""
    return Ledger(raw_engine, clock=lambda: clock() + HOUR)


@pytest.fixture
def race(ledger: Ledger, raw_engine: Engine, clock: FrozenClock) -> Race:
    """Does two commands at once, each on an engine of its own, by clocks that agree."""
    return partial(raced, ledger, Ledger(raw_engine, clock=clock))


def raced(one: Ledger, other: Ledger, first: Command, second: Command) -> tuple[Outcome, Outcome]:
    """Do two commands at the same moment, and return what came of each."""
    outcomes = at_once([partial(done, one, first), partial(done, other, second)])
    return outcomes[0], outcomes[1]


def done(ledger: Ledger, command: Command) -> Outcome:
    """Do a command; a refusal is an answer."""
    try:
        return ledger.apply(command)
    except Refused as refusal:
        return refusal


def log_of(ledger: Ledger, owner: str) -> list[tuple[str, int, int]]:
    """Return operation, amount and hold_amount of an owner's entries, oldest first."""
    entries = sorted(ledger.entries(owner).all(), key=lambda entry: entry.seq)
    return [(entry.operation, entry.amount, entry.hold_amount) for entry in entries]


def test_capture_against_lapse(ledger: Ledger, almost: Ledger, late: Ledger) -> None:
    """At the edge of a hold either its capture or what needs its credit wins, and the other is told why not."""
    for number in range(ROUNDS):
        owner = f"ada {number}"
        ledger.grant(owner, 10)
        hold = ledger.authorize(owner, 10, ttl=HOUR)

        captured, spent = raced(almost, late, Capture(hold.hold_id), Spend(owner, 10))

        if isinstance(captured, Receipt):
            assert log_of(late, owner)[2:] == [("capture", -10, -10)]
            assert isinstance(spent, InsufficientCredit)
            assert spent.available == 0
        else:
            assert log_of(late, owner)[2:] == [("void", 0, -10), ("spend", -10, 0)]
            assert isinstance(spent, Receipt)
            assert isinstance(captured, HoldClosed)
            assert captured.status == "expired"
        assert late.balance(owner) == Balance(0, 0, 0)
    assert ledger.verify().findings == ()


def test_void_against_capture(ledger: Ledger, race: Race) -> None:
    """A hold is either voided or captured: one of both comes through, and the other is told which it was."""
    for number in range(ROUNDS):
        owner = f"ada {number}"
        ledger.grant(owner, 10)
        hold = ledger.authorize(owner, 4, ttl=HOUR).hold_id

        outcomes = race(Void(hold), Capture(hold))

        (won,) = (one for one in outcomes if isinstance(one, Receipt))
        (lost,) = (one for one in outcomes if isinstance(one, Refused))
        assert isinstance(lost, HoldClosed)
        assert lost.status == {"void": "voided", "capture": "captured"}[won.operation]
        left = 10 if won.operation == "void" else 6
        assert ledger.balance(owner) == Balance(left, 0, left)
    assert ledger.verify().findings == ()


def test_parts_against_each_other(ledger: Ledger, race: Race) -> None:
    """Captures at once never take more than is held: of 3 and 3 of 4 held, one is refused."""
    for number in range(ROUNDS):
        owner = f"ada {number}"
        ledger.grant(owner, 10)
        hold = ledger.authorize(owner, 4, ttl=HOUR).hold_id

        outcomes = race(Capture(hold, 3, final=False), Capture(hold, 3, final=False))

        assert sorted(type(one).__name__ for one in outcomes) == ["CaptureExceedsHold", "Receipt"]
        assert ledger.balance(owner) == Balance(7, 1, 6)
    assert ledger.verify().findings == ()


def test_reverse_against_reverse(ledger: Ledger, race: Race) -> None:
    """Reversals at once give back the original and never more, in parts, wholly, or once under one key."""
    for number in range(ROUNDS):
        owner = f"ada {number}"
        ledger.grant(owner, 30)
        whole, parts, keyed = (ledger.spend(owner, 10).entry_id for _ in range(3))

        of_whole = race(Reverse(whole), Reverse(whole))
        of_parts = race(Reverse(parts, 6, up_to=True), Reverse(parts, 7, up_to=True))
        of_keyed = race(Reverse(keyed, idempotency_key="k"), Reverse(keyed, idempotency_key="k"))

        (lost,) = (one for one in of_whole if isinstance(one, Refused))
        assert isinstance(lost, ReversalExceedsOriginal)
        assert lost.reversible == 0
        assert [one.amount for one in of_parts if isinstance(one, Receipt)] in ([6, 4], [3, 7])
        answers = [one for one in of_keyed if isinstance(one, Receipt)]
        assert sorted(one.replayed for one in answers) == [False, True]
        assert len({one.entry_id for one in answers}) == 1
        assert ledger.balance(owner) == Balance(30, 0, 30)
    assert ledger.verify().findings == ()


def test_reversals_of_a_transfer_by_both_legs(ledger: Ledger, race: Race) -> None:
    """A transfer that is reversed by both of its entries at once is reversed once."""
    for number in range(ROUNDS):
        source, target = f"ada {number}", f"bob {number}"
        ledger.grant(source, 10)
        ledger.grant(target, 10)
        sent = ledger.transfer(source, target, 10)

        outcomes = race(Reverse(sent.entry_id), Reverse(str(sent.counterpart_entry_id)))

        assert sorted(type(one).__name__ for one in outcomes) == ["Receipt", "ReversalExceedsOriginal"]
        assert ledger.balances([source, target]) == {
            source: Balance(10, 0, 10),
            target: Balance(10, 0, 10),
        }
    assert ledger.verify().findings == ()


def test_reverse_against_spend(ledger: Ledger, race: Race, clock: FrozenClock) -> None:
    """Credit is either taken back or spent: whoever comes second finds nothing, of a grant as of a transfer."""
    ends = clock() + HOUR
    for number in range(ROUNDS):
        owner, other = f"ada {number}", f"bob {number}"
        granted = ledger.grant(owner, 10, expires_at=ends).entry_id
        of_grant = race(Reverse(granted), Spend(owner, 10))
        ledger.grant(other, 10, expires_at=ends)
        sent = ledger.transfer(other, owner, 10).entry_id
        of_transfer = race(Reverse(sent), Spend(owner, 10))

        for outcomes in (of_grant, of_transfer):
            (lost,) = (one for one in outcomes if isinstance(one, Refused))
            assert isinstance(lost, InsufficientCredit)
            assert (lost.owner, lost.requested, lost.available) == (owner, 10, 0)
        assert ledger.balance(owner) == Balance(0, 0, 0)
        back = 10 if isinstance(of_transfer[0], Receipt) else 0
        assert ledger.balance(other).posted == back
    assert ledger.verify().findings == ()


def test_a_refund_against_spend(ledger: Ledger, race: Race) -> None:
    """What a refund gives back is spent only by who comes after it, and the refund always comes through."""
    for number in range(ROUNDS):
        owner = f"ada {number}"
        ledger.grant(owner, 10)
        spent = ledger.spend(owner, 10).entry_id

        refund, again = race(Reverse(spent), Spend(owner, 10))

        assert isinstance(refund, Receipt)
        if isinstance(again, Receipt):
            assert (again.seq, ledger.balance(owner)) == (refund.seq + 1, Balance(0, 0, 0))
        else:
            assert isinstance(again, InsufficientCredit)
            assert ledger.balance(owner) == Balance(10, 0, 10)
    assert ledger.verify().findings == ()


def test_spend_against_expire(ledger: Ledger, almost: Ledger, late: Ledger, clock: FrozenClock) -> None:
    """At the edge of a grant it is either spent or expires, never both and never neither."""
    for number in range(ROUNDS):
        owner = f"ada {number}"
        ledger.grant(owner, 10, expires_at=clock() + HOUR)

        spent, granted = raced(almost, late, Spend(owner, 10), Issue(owner, 1))

        assert isinstance(granted, Receipt)
        if isinstance(spent, Receipt):
            assert log_of(late, owner)[1:] == [("spend", -10, 0), ("grant", 1, 0)]
        else:
            assert isinstance(spent, InsufficientCredit)
            assert spent.available == 1
            assert log_of(late, owner)[1:] == [("expire", -10, 0), ("grant", 1, 0)]
        assert late.balance(owner) == Balance(1, 0, 1)
    assert ledger.verify().findings == ()


def test_transfers_crossing(ledger: Ledger, race: Race, clock: FrozenClock) -> None:
    """Transfers that cross both come through, and all credit keeps its end: who came second sent what it received."""
    soon, later = clock() + HOUR, clock() + 2 * HOUR
    for number in range(ROUNDS):
        one, other = f"ada {number}", f"bob {number}"
        ledger.grant(one, 6, expires_at=soon)
        ledger.grant(other, 6, expires_at=later)

        outcomes = race(Transfer(one, other, 6), Transfer(other, one, 6))

        assert [type(outcome) for outcome in outcomes] == [Receipt, Receipt]
        has = {
            owner: Counter({grant.expires_at: grant.posted for grant in ledger.grants(owner)})
            for owner in (one, other)
        }
        assert has in (
            {one: Counter({soon: 6}), other: Counter({later: 6})},
            {one: Counter({later: 6}), other: Counter({soon: 6})},
        )
    assert ledger.verify().findings == ()


def test_reading_against_writing(ledger: Ledger, raw_engine: Engine, clock: FrozenClock) -> None:
    """No balance is torn: what a reader sees, its expiring credit included, is what some entry left behind."""
    ends, freed = clock() + HOUR, clock() + 2 * HOUR
    other = Ledger(raw_engine, clock=clock)
    ledger.grant("ada", 20, expires_at=ends)
    finished = [Event(), Event()]
    seen: list[Balance] = []

    def write(its: Ledger, event: Event) -> None:
        try:
            for _ in range(ROUNDS):
                hold = its.apply(Authorize("ada", 5, ttl=2 * HOUR)).entry_id
                its.apply(Capture(hold, 1, final=False))
                its.apply(Issue("ada", 3, expires_at=ends))
                its.apply(Spend("ada", 2))
                its.apply(Void(hold))
        finally:
            event.set()

    def read() -> None:
        while not all(event.is_set() for event in finished):
            seen.append((ledger, other)[len(seen) % 2].balance("ada"))

    writers: list[Callable[[], None]] = [
        partial(write, its, event) for its, event in zip((ledger, other), finished, strict=True)
    ]
    at_once([*writers, read])

    states = {(entry.posted_after, entry.held_after) for entry in ledger.entries("ada").all()}
    for balance in seen:
        free = balance.posted - balance.held
        expected = [(ends, free), (freed, balance.held)]
        assert (balance.posted, balance.held) in states
        assert balance.available == free
        assert balance.expiring == tuple((at, amount) for at, amount in expected if amount)
    assert len({(balance.posted, balance.held) for balance in seen}) > 1, "nothing was read among the writes"
    assert ledger.balance("ada").posted == 20
    assert ledger.verify().findings == ()
