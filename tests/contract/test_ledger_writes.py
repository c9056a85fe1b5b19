"""Writes: what each moves, what its receipt says, and how far numbers go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pluct_ledger import (
    BalanceLimitExceeded,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    Receipt,
)
from pluct_ledger.storage.schema import tables_in
from tests.clock import FrozenClock
from tests.contract.callers import Caller

MOST = 2**53 - 1
ACCOUNT = tables_in(None).account


@pytest.mark.parametrize(
    ("write", "operation", "amount"),
    [
        (lambda ledger: ledger.grant("ada", 4), "grant", 4),
        (lambda ledger: ledger.spend("ada", 4), "spend", -4),
        (lambda ledger: ledger.spend("ada", 40, up_to=True), "spend", -10),
        (lambda ledger: ledger.adjust("ada", 4, reason="found"), "adjust", 4),
        (lambda ledger: ledger.adjust("ada", -4, reason="lost"), "adjust", -4),
        (lambda ledger: ledger.transfer("ada", "bob", 4), "transfer", -4),
    ],
    ids=["grant", "spend", "spend up to", "adjust up", "adjust down", "transfer"],
)
def test_a_receipt_tells_the_entry_and_the_totals_after_it(
    ledger: Ledger,
    committed: Ledger,
    caller: Caller,
    clock: FrozenClock,
    write: Callable[[Ledger], Receipt],
    operation: str,
    amount: int,
) -> None:
    """A receipt names the entry that was made, says what it moved, and what the account has after it."""
    ledger.open_account("bob")
    ledger.grant("ada", 10)
    clock.advance(timedelta(microseconds=1))
    ada = ledger.account_id("ada")

    receipt = write(ledger)
    caller.settle()

    assert receipt == Receipt(
        entry_id=f"{ada}.2",
        account_id=ada,
        seq=2,
        book="default",
        asset="credit",
        owner="ada",
        operation=operation,
        kind=operation,
        amount=amount,
        posted_after=10 + amount,
        held_after=0,
        available_after=10 + amount,
        at=clock(),
        replayed=False,
        shares=(),
        counterpart_entry_id=f"{ledger.account_id('bob')}.1" if operation == "transfer" else None,
    )
    entry = committed.entry(receipt.entry_id)
    for name in ("seq", "owner", "operation", "kind", "amount", "posted_after", "available_after", "at"):
        assert getattr(entry, name) == getattr(receipt, name)
    assert committed.balance("ada").posted == 10 + amount


@pytest.mark.parametrize(
    ("write", "counter"),
    [
        (lambda ledger, **said: ledger.grant("ada", 1, **said), "issued"),
        (lambda ledger, **said: ledger.spend("ada", 1, **said), "spent"),
        (lambda ledger, **said: ledger.adjust("ada", 1, **said), "adjusted"),
        (lambda ledger, **said: ledger.transfer("ada", "bob", 1, **said), "account"),
    ],
    ids=["grant", "spend", "adjust", "transfer"],
)
def test_a_write_keeps_what_was_said_about_it(
    ledger: Ledger,
    caller: Caller,
    committed: Ledger,
    clock: FrozenClock,
    write: Callable[..., Receipt],
    counter: str,
) -> None:
    """Kind, key, reason, actor, metadata and the world's time stand in the entry as they were handed in."""
    ledger.open_account("bob")
    ledger.grant("ada", 10)
    metadata = {"order": 17, "lines": [{"sku": "a'b\"c\\d%s:x", "price": 1.25}], "note": None, "gift": False}
    happened = clock() - timedelta(days=400, microseconds=1)

    receipt = write(
        ledger,
        kind="purchase_2",
        idempotency_key="order-17",
        reason="ordered 😀\nby phone",
        actor="clerk %s",
        metadata=metadata,
        event_at=happened,
    )
    caller.settle()

    entry = committed.entry(receipt.entry_id)
    assert receipt.kind == entry.kind == "purchase_2"
    assert entry.idempotency_key == "order-17"
    assert (entry.reason, entry.actor, entry.metadata) == ("ordered 😀\nby phone", "clerk %s", metadata)
    assert (entry.event_at, entry.at) == (happened, clock())
    assert entry.counter == counter
    assert (entry.hold_amount, entry.held_after, entry.concerns_entry_id, entry.shares) == (0, 0, None, ())


def test_an_entry_without_remarks_has_none(ledger: Ledger) -> None:
    """Where nothing was said of a write, its entry says nothing."""
    entry = ledger.entry(ledger.grant("ada", 1).entry_id)

    assert (entry.idempotency_key, entry.reason, entry.actor, entry.metadata, entry.event_at) == (None,) * 5
    assert entry.terms == {}


def test_an_empty_remark_is_not_none(ledger: Ledger) -> None:
    """An empty reason, actor or metadata is kept as it was handed in."""
    entry = ledger.entry(ledger.grant("ada", 1, reason="", actor="", metadata={}).entry_id)

    assert (entry.reason, entry.actor, entry.metadata) == ("", "", {})


def test_a_transfer_is_two_entries_that_name_each_other(
    ledger: Ledger, caller: Caller, committed: Ledger, clock: FrozenClock
) -> None:
    """What one account paid another received: opposite amounts, one instant, each naming the other."""
    ledger.open_account("bob", initial=1)
    ledger.grant("ada", 10)

    receipt = ledger.transfer("ada", "bob", 4, kind="gift", reason="thanks", idempotency_key="k")
    caller.settle()

    assert receipt.counterpart_entry_id is not None
    paid, received = committed.entry(receipt.entry_id), committed.entry(receipt.counterpart_entry_id)
    assert (paid.owner, paid.amount, paid.posted_after) == ("ada", -4, 6)
    assert (received.owner, received.amount, received.posted_after) == ("bob", 4, 5)
    assert paid.counterpart_entry_id == received.entry_id
    assert received.counterpart_entry_id == paid.entry_id
    assert paid.at == received.at == clock()
    assert (paid.kind, paid.reason) == (received.kind, received.reason) == ("gift", "thanks")
    assert (paid.idempotency_key, received.idempotency_key) == ("k", None)


def test_crossing_transfers_come_to_nothing(ledger: Ledger) -> None:
    """Transfers to and fro leave everyone with what they had."""
    for owner in ("ada", "bob"):
        ledger.open_account(owner, initial=10)

    ledger.transfer("ada", "bob", 10)
    ledger.transfer("bob", "ada", 20)
    ledger.transfer("ada", "bob", 10)

    assert [ledger.account(owner).posted for owner in ("ada", "bob")] == [10, 10]
    assert [ledger.account(owner).moved for owner in ("ada", "bob")] == [0, 0]


def test_credit_is_spent_to_the_last_unit_and_not_beyond(ledger: Ledger, caller: Caller) -> None:
    """A spend of all there is succeeds, and one unit more is refused and changes nothing."""
    ledger.grant("ada", 10)
    assert ledger.spend("ada", 10).available_after == 0
    before = caller.rows()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.spend("ada", 1)

    assert (refused.value.owner, refused.value.requested, refused.value.available) == ("ada", 1, 0)
    assert caller.rows() == before


@pytest.mark.parametrize(("asked", "taken"), [(9, 9), (10, 10), (11, 10), (MOST, 10)])
def test_up_to_takes_what_there_is(ledger: Ledger, asked: int, taken: int) -> None:
    """A spend of up to an amount takes the amount, or all there is, and its terms say what was asked."""
    ledger.grant("ada", 10)

    receipt = ledger.spend("ada", asked, up_to=True)

    assert receipt.amount == -taken
    assert ledger.entry(receipt.entry_id).terms == {"amount": asked, "up_to": True}


def test_up_to_of_nothing_is_refused(ledger: Ledger, caller: Caller) -> None:
    """Where there is nothing to take, a spend of up to an amount is refused like any other."""
    ledger.open_account("ada")
    before = caller.rows()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.spend("ada", 3, up_to=True)

    assert (refused.value.requested, refused.value.available) == (3, 0)
    assert caller.rows() == before


def test_a_spend_may_use_the_overdraft_and_no_more(ledger: Ledger) -> None:
    """An account may go below zero by its overdraft limit, and every spend is measured against what is left of it."""
    ledger.open_account("ada", initial=3, overdraft_limit=5)

    assert ledger.spend("ada", 7).available_after == -4
    with pytest.raises(InsufficientCredit) as refused:
        ledger.spend("ada", 2)
    assert refused.value.available == -4
    assert ledger.spend("ada", 2, up_to=True).amount == -1
    with pytest.raises(InsufficientCredit):
        ledger.spend("ada", 1, up_to=True)
    assert ledger.balance("ada").available == -5


def test_a_transfer_may_use_the_overdraft_and_no_more(ledger: Ledger) -> None:
    """Credit that an overdraft lends can be handed on to its limit."""
    ledger.open_account("ada", overdraft_limit=5)
    ledger.open_account("bob")

    assert ledger.transfer("ada", "bob", 5).posted_after == -5
    with pytest.raises(InsufficientCredit) as refused:
        ledger.transfer("ada", "bob", 1)
    assert refused.value.owner == "ada"
    assert ledger.balance("bob").available == 5


def test_an_unlimited_overdraft_ends_where_numbers_end(ledger: Ledger, caller: Caller) -> None:
    """Without an overdraft limit a spend is only refused where the balance would leave the exact range."""
    ledger.open_account("ada", overdraft_limit=None)

    assert ledger.spend("ada", MOST, up_to=True).posted_after == -MOST
    before = caller.rows()
    with pytest.raises(BalanceLimitExceeded) as refused:
        ledger.spend("ada", 1)
    assert (refused.value.owner, refused.value.limit) == ("ada", MOST)
    assert caller.rows() == before


def test_an_adjustment_ignores_limits(ledger: Ledger) -> None:
    """An adjustment may carry an account below any overdraft limit, and back."""
    ledger.grant("ada", 1)

    assert ledger.adjust("ada", -10, reason="charged back").posted_after == -9
    assert ledger.adjust("ada", 12, reason="charged back by mistake").posted_after == 3


def test_balances_are_exact_to_both_edges(ledger: Ledger, caller: Caller, committed: Ledger) -> None:
    """Numbers are kept exact up to 2^53 - 1 and down to its negative, and no further."""
    ledger.grant("up", MOST - 1)
    ledger.open_account("down")
    assert ledger.grant("up", 1).posted_after == MOST
    assert ledger.adjust("down", -MOST, reason="as low as it goes").posted_after == -MOST
    before = caller.rows()

    writes: list[Callable[[], object]] = [
        lambda: ledger.grant("up", 1),
        lambda: ledger.adjust("up", 1, reason="more"),
        lambda: ledger.adjust("down", -1, reason="less"),
        lambda: ledger.grant("up", MOST),
    ]
    for write in writes:
        with pytest.raises(BalanceLimitExceeded) as refused:
            write()
        assert refused.value.limit == MOST
    assert caller.rows() == before
    assert [entry.posted_after for entry in committed.entries("up")] == [MOST, MOST - 1]
    assert [committed.balance(owner).available for owner in ("up", "down")] == [MOST, -MOST]


def test_a_transfer_must_fit_into_its_target(ledger: Ledger, caller: Caller) -> None:
    """A transfer that the target cannot hold is refused in the target's name and leaves both as they were."""
    ledger.open_account("ada", initial=5)
    ledger.open_account("bob", initial=MOST)
    before = caller.rows()

    with pytest.raises(BalanceLimitExceeded) as refused:
        ledger.transfer("ada", "bob", 1)

    assert refused.value.owner == "bob"
    assert caller.rows() == before


def test_running_totals_go_far_beyond_any_balance(caller: Caller) -> None:
    """The totals of a busy account are exact beyond 2^53, and a write that they cannot take is refused in time."""
    ledger = caller.ledger()
    ledger.open_account("bob", overdraft_limit=None)
    ledger.grant("ada", 10)
    most = 2**61 - 1
    caller.tamper(
        ACCOUNT.update()
        .where(ACCOUNT.c.owner == "ada")
        .values(issued=most - 2, spent=most - 12 - 2**53, expired=2**53, adjusted=-most, moved=most),
    )

    assert ledger.grant("ada", 2).posted_after == 12
    assert ledger.account("ada").issued == most
    writes: list[Callable[[], object]] = [
        lambda: ledger.grant("ada", 1),
        lambda: ledger.adjust("ada", -1, reason="one too many"),
        lambda: ledger.transfer("bob", "ada", 1),
    ]
    for write in writes:
        with pytest.raises(BalanceLimitExceeded) as refused:
            write()
        assert (refused.value.owner, refused.value.limit) == ("ada", most)


def test_a_ledger_takes_no_more_than_its_max_amount(caller: Caller) -> None:
    """A ledger with a lower bound for one command takes that amount and refuses one more as an argument."""
    ledger = caller.ledger(max_amount=100)
    ledger.open_account("bob", initial=100)

    ledger.grant("ada", 100)
    ledger.transfer("ada", "bob", 100)
    ledger.adjust("bob", -100, reason="as much as it takes")
    ledger.spend("bob", 100, up_to=True)
    writes: list[Callable[[], object]] = [
        lambda: ledger.open_account("eve", initial=101),
        lambda: ledger.grant("ada", 101),
        lambda: ledger.spend("bob", 101, up_to=True),
        lambda: ledger.transfer("bob", "ada", 101),
        lambda: ledger.adjust("ada", -101, reason="too much"),
    ]
    for write in writes:
        with pytest.raises(InvalidArgument, match="100"):
            write()


def test_without_a_key_every_call_is_a_new_intent(ledger: Ledger) -> None:
    """Two equal writes without a key are two entries."""
    ledger.grant("ada", 5)
    first, second = ledger.spend("ada", 2), ledger.spend("ada", 2)

    assert (first.seq, second.seq) == (2, 3)
    assert not second.replayed
    assert ledger.balance("ada").posted == 1


def test_the_instant_of_an_entry_never_goes_back(ledger: Ledger, clock: FrozenClock) -> None:
    """Where the clock lags, an entry takes the instant of the one before it."""
    ledger.open_account("bob")
    now = clock()
    ledger.grant("ada", 5)
    clock.advance(-timedelta(hours=1))

    assert ledger.spend("ada", 1).at == now
    # A pair stands at one instant, the later of the two logs'.
    receipt = ledger.transfer("ada", "bob", 1)
    assert receipt.counterpart_entry_id is not None
    assert ledger.entry(receipt.counterpart_entry_id).at == now
    assert ledger.account("bob").last_at == now
    clock.advance(timedelta(minutes=90))
    assert ledger.spend("ada", 1).at == clock() > now


def test_instants_are_kept_to_the_microsecond(ledger: Ledger, clock: FrozenClock) -> None:
    """The ledger's instant is the clock's to the microsecond, in UTC, and the world's may lie anywhere in history."""
    clock.advance(timedelta(microseconds=999_999))
    at = clock()
    for years in (2000, -1000):
        event_at = at.replace(year=at.year + years, microsecond=1)
        entry = ledger.entry(ledger.grant("ada", 1, event_at=event_at).entry_id)
        assert entry.event_at == event_at
        assert entry.at == at
        assert entry.at.utcoffset() == timedelta(0)
