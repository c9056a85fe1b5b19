"""Grants start and end to the microsecond with no job running: in writes of every kind, and in every read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pluct_ledger import AccountNotFound, Entry, HoldClosed, InsufficientCredit, InvalidArgument, Ledger
from pluct_ledger.commands import Adjust, Authorize, Close, Freeze, Issue, Spend, Transfer
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.terms.told import G1, MICRO, SECOND, line, log, refusal, shares_of, t

Read = Callable[[Ledger], int]


def entry_count(ledger: Ledger) -> int:
    """Return how many entries a whole book has, due ones included."""
    return len(tuple(ledger.entries()))


READS: dict[str, Read] = {
    "balance": lambda ledger: ledger.balance("ada").posted,
    "balance, then": lambda ledger: ledger.balance("ada", at=ledger.desk.clock()).posted,
    "balances": lambda ledger: ledger.balances(["ada"])["ada"].available,
    "account": lambda ledger: ledger.account("ada").posted,
    "accounts": lambda ledger: ledger.accounts().items[0].available,
    "entries of ada": lambda ledger: ledger.entries("ada").items[0].posted_after,
    "entries": lambda ledger: ledger.entries().items[0].posted_after,
    "explain_balance": lambda ledger: ledger.explain_balance("ada").balance.posted,
    "statement": lambda ledger: ledger.statement("ada", t(-1), t(1000)).closing.posted,
    "statement's entries": lambda ledger: sum(
        e.amount for e in ledger.statement("ada", t(-1), t(99)).entries
    ),
    "grants": lambda ledger: sum(grant.posted for grant in ledger.grants("ada")),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_read_is_exact(ledger: Ledger, clock: FrozenClock, read: Read) -> None:
    """A microsecond before it starts a grant counts for nothing, then for all, and at its end for nothing."""
    ledger.grant("ada", 7, effective_at=t(5), expires_at=t(9))
    told = []
    for instant in (t(5) - MICRO, t(5), t(9) - MICRO, t(9)):
        clock.set(instant)
        told.append(read(ledger))
    assert told == [0, 7, 7, 0]


def test_what_is_due_is_read_as_the_entry_that_it_will_be(ledger: Ledger, clock: FrozenClock) -> None:
    """An entry that is due can be read by its id before anything recorded it, and is the same afterwards."""
    ledger.grant("ada", 7, effective_at=t(5), expires_at=t(9))
    ids = [f"{ledger.account_id('ada')}.{seq}" for seq in (2, 3)]
    clock.set(t(9) - MICRO)
    activated = ledger.entry(ids[0])
    assert (activated.operation, activated.at) == ("activate", t(5))
    clock.set(t(20))

    due: list[Entry] = [ledger.entry(entry_id) for entry_id in ids]
    listed = ledger.entries("ada").items[:2]
    ledger.grant("ada", 1)

    assert [line(entry) for entry in due] == [
        ("activate", 5, 7, 0, {G1: (7, 0)}),
        ("expire", 9, -7, 0, {G1: (-7, 0)}),
    ]
    assert due == [ledger.entry(entry_id) for entry_id in ids] == list(listed[::-1])
    assert due[0] == activated


@pytest.mark.parametrize("word", ["spend", "authorize", "transfer"])
def test_the_last_microsecond_counts_in_writes(ledger: Ledger, caller: Caller, word: str) -> None:
    """A microsecond before its end a grant can be used whole; at its end it is refused, and nothing is recorded."""
    uses: dict[str, Callable[[], object]] = {
        "spend": lambda: ledger.spend("ada", 5),
        "authorize": lambda: ledger.authorize("ada", 5, ttl=SECOND),
        "transfer": lambda: ledger.transfer("ada", "bob", 5),
    }
    ledger.open_account("bob")
    ledger.grant("ada", 5, effective_at=t(5), expires_at=t(9))
    ledger.grant("ada", 5, expires_at=t(9) + MICRO)
    before = caller.rows()
    caller.clock.set(t(9) + MICRO)
    with pytest.raises(InsufficientCredit) as refused:
        uses[word]()
    assert refused.value.available == 0
    assert caller.rows() == before

    caller.clock.set(t(9))
    uses[word]()
    with pytest.raises(InsufficientCredit):
        uses[word]()


def test_the_first_microsecond_counts_in_writes(ledger: Ledger, caller: Caller) -> None:
    """A microsecond before it starts a grant is refused, and at its start it is there."""
    ledger.grant("ada", 5, effective_at=t(5))
    caller.clock.set(t(5) - MICRO)
    before = caller.rows()
    with pytest.raises(InsufficientCredit):
        ledger.spend("ada", 1)
    assert caller.rows() == before

    caller.clock.set(t(5))
    assert shares_of(ledger.spend("ada", 5).shares) == {G1: (-5, 0)}


def test_a_hold_dies_at_the_microsecond(ledger: Ledger, caller: Caller) -> None:
    """A hold can be captured until the microsecond before its end; at its end it is dead, though nobody swept it."""
    ledger.grant("ada", 5)
    first, second = (ledger.authorize("ada", 1, ttl=5 * SECOND).hold_id for _ in range(2))
    caller.clock.set(t(5) - MICRO)
    ledger.capture(first)
    assert [hold.hold_id for hold in ledger.holds("ada")] == [second]

    before = caller.rows()
    caller.clock.set(t(5))
    assert (ledger.holds("ada"), ledger.balance("ada").held) == ((), 0)
    for write in (ledger.capture, ledger.void, lambda hold_id: ledger.extend(hold_id, ttl=SECOND)):
        with pytest.raises(HoldClosed) as refused:
            write(second)
        assert refused.value.status == "expired"
    assert [hold.hold_id for hold in ledger.orphan_holds()] == [second]
    assert caller.rows() == before


def test_refusals_and_replays_record_nothing_though_much_is_due(ledger: Ledger, caller: Caller) -> None:
    """With grants and holds fallen due, replays, refusals and reads of every kind leave every row as it was."""
    ledger.grant("ada", 5, expires_at=t(5))
    ledger.grant("ada", 5, effective_at=t(6))
    ledger.grant("ada", 4, idempotency_key="g")
    hold_id = ledger.authorize("ada", 3, ttl=4 * SECOND, idempotency_key="a").hold_id
    spent = ledger.spend("ada", 1, idempotency_key="s").entry_id
    ledger.open_account("bob")
    before = caller.rows()
    caller.clock.set(t(50))

    assert ledger.spend("ada", 1, idempotency_key="s").replayed
    assert ledger.grant("ada", 4, idempotency_key="g").replayed
    replayed = ledger.authorize("ada", 3, ttl=4 * SECOND, idempotency_key="a")
    assert replayed.receipt is not None
    assert replayed.receipt.replayed
    for command, code in (
        (Spend("ada", 100), "insufficient_credit"),
        (Spend("ada", 2, idempotency_key="s"), "idempotency_mismatch"),
        (Authorize("ada", 100, ttl=SECOND), "insufficient_credit"),
        (Transfer("ada", "bob", 100), "insufficient_credit"),
        (Close("ada"), "account_not_empty"),
    ):
        assert refusal(ledger, command) == code
    with pytest.raises(HoldClosed):
        ledger.capture(hold_id)
    with pytest.raises(AccountNotFound):
        ledger.transfer("ada", "nobody", 1)
    with pytest.raises(InvalidArgument):
        ledger.spend("ada", 0)
    for read in READS.values():
        read(ledger)
    ledger.explain(spent)
    assert ledger.verify().ok

    assert caller.rows() == before


@pytest.mark.parametrize(
    "command",
    [
        Issue("ada", 1),
        Spend("ada", 1),
        Authorize("ada", 1, ttl=SECOND),
        Transfer("ada", "bob", 1),
        Adjust("ada", -1, reason="x"),
        Freeze("ada"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_every_write_first_records_what_is_due(ledger: Ledger, clock: FrozenClock, command: Issue) -> None:
    """Whatever is written, the dues before it stand in the log at their own instants, and in both accounts."""
    for owner in ("ada", "bob"):
        ledger.grant(owner, 7, expires_at=t(3))
        ledger.grant(owner, 8, effective_at=t(4))
    clock.set(t(6))

    receipt = ledger.apply(command)

    assert [row[:3] for row in log(ledger, "ada", after=2)[:2]] == [("expire", 3, -7), ("activate", 4, 8)]
    assert receipt.seq == 5
    assert receipt.at == t(6)
    assert [row[:3] for row in log(ledger, "bob", after=2)[:2]] == [("expire", 3, -7), ("activate", 4, 8)]


def test_a_batch_records_what_is_due_once(ledger: Ledger, clock: FrozenClock) -> None:
    """Of a batch only the first command that is done finds something due; a refused one before it leaves nothing."""
    ledger.grant("ada", 7, expires_at=t(3))
    ledger.grant("ada", 8)
    clock.set(t(6))

    ledger.apply_many([Spend("ada", 9), Spend("ada", 2), Spend("ada", 2)])

    assert [row[:3] for row in log(ledger, "ada", after=2)] == [
        ("expire", 3, -7),
        ("spend", 6, -2),
        ("spend", 6, -2),
    ]


def test_a_clock_that_lags_neither_revives_nor_delays(ledger: Ledger, clock: FrozenClock) -> None:
    """Once an entry stands at an instant, time in that account is no earlier, whatever the clock says."""
    ledger.grant("ada", 5, expires_at=t(10))
    ledger.grant("ada", 3, effective_at=t(10))
    clock.set(t(10))
    ledger.grant("ada", 2)
    clock.set(t(1))

    assert ledger.balance("ada").posted == 5
    receipt = ledger.spend("ada", 5)

    assert receipt.at == t(10)
    assert [row[:2] for row in log(ledger, "ada", after=2)] == [
        ("expire", 10),
        ("activate", 10),
        ("grant", 10),
        ("spend", 10),
    ]


def test_a_span_counts_from_the_ledgers_instant_where_the_clock_lags(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """Where the clock lags behind an account, a timedelta counts from the account's own present."""
    clock.set(t(10))
    ledger.grant("ada", 1)
    clock.set(t(1))

    ledger.grant("ada", 5, expires_at=timedelta(seconds=5))

    assert [grant.expires_at for grant in ledger.grants("ada")] == [t(15)]
