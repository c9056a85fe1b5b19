"""Holds: credit is set aside, captured in parts or whole, set free, and lives on when it is extended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pluct_ledger import (
    AccountNotFound,
    CaptureExceedsHold,
    HoldClosed,
    HoldNotFound,
    InsufficientCredit,
    Ledger,
)
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.holds.logs import HOUR, INSTANT, log_of, parts_of, totals


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada has 10."""
    ledger.grant("ada", 10)
    return ledger


def test_a_hold_sets_credit_aside(ledger: Ledger, clock: FrozenClock) -> None:
    """What is held is still posted, and no longer available."""
    hold = ledger.authorize("ada", 4, ttl=HOUR)

    assert hold.receipt is not None
    assert (hold.hold_id, hold.owner, hold.amount, hold.held) == (hold.receipt.entry_id, "ada", 4, 4)
    assert (hold.status, hold.expires_at) == ("open", clock() + HOUR)
    assert (hold.receipt.operation, hold.receipt.amount) == ("authorize", 0)
    assert (hold.receipt.posted_after, hold.receipt.held_after, hold.receipt.available_after) == (10, 4, 6)
    assert totals(ledger, "ada") == (10, 4, 6)
    assert log_of(ledger, "ada") == [("grant", 10, 0), ("authorize", 0, 4)]


def test_what_is_held_cannot_be_used_otherwise(ledger: Ledger) -> None:
    """A spend, a second hold and a transfer find only what no hold has set aside."""
    ledger.open_account("bob")
    ledger.authorize("ada", 7, ttl=HOUR)

    for use in (
        lambda: ledger.spend("ada", 4),
        lambda: ledger.authorize("ada", 4, ttl=HOUR),
        lambda: ledger.transfer("ada", "bob", 4),
    ):
        with pytest.raises(InsufficientCredit) as refused:
            use()
        assert (refused.value.owner, refused.value.requested, refused.value.available) == ("ada", 4, 3)
    assert ledger.spend("ada", 9, up_to=True).amount == -3


def test_a_hold_needs_an_account_and_credit(ledger: Ledger, caller: Caller) -> None:
    """Neither an unknown owner nor more than is available can be held, and a refusal leaves nothing behind."""
    before = caller.rows()

    with pytest.raises(AccountNotFound):
        ledger.authorize("nobody", 1, ttl=HOUR)
    with pytest.raises(InsufficientCredit):
        ledger.authorize("ada", 11, ttl=HOUR)

    assert caller.rows() == before


def test_a_capture_spends_the_whole_hold(ledger: Ledger) -> None:
    """Without an amount, all that is held is spent and the hold is captured."""
    hold = ledger.authorize("ada", 4, ttl=HOUR)

    receipt = ledger.capture(hold.hold_id)

    assert (receipt.operation, receipt.amount, receipt.posted_after, receipt.held_after) == (
        "capture",
        -4,
        6,
        0,
    )
    assert ledger.account("ada").spent == 4
    assert ledger.entry(receipt.entry_id).concerns_entry_id == hold.hold_id
    assert ledger.holds("ada") == ()
    with pytest.raises(HoldClosed) as refused:
        ledger.capture(hold.hold_id)
    assert (refused.value.hold_id, refused.value.status) == (hold.hold_id, "captured")


def test_a_final_capture_sets_the_rest_free(ledger: Ledger) -> None:
    """Less than is held is spent, and what remains is available again."""
    hold = ledger.authorize("ada", 4, ttl=HOUR)

    ledger.capture(hold.hold_id, 1)

    assert totals(ledger, "ada") == (9, 0, 9)
    assert log_of(ledger, "ada", after=2) == [("capture", -1, -4)]
    with pytest.raises(HoldClosed):
        ledger.void(hold.hold_id)


def test_a_hold_is_captured_in_many_parts(ledger: Ledger) -> None:
    """Captures that are not final leave the hold open until nothing is left in it."""
    hold = ledger.authorize("ada", 6, ttl=HOUR)

    ledger.capture(hold.hold_id, 1, final=False)
    ledger.capture(hold.hold_id, 2, final=False)
    assert [(one.held, one.amount, one.status) for one in ledger.holds("ada")] == [(3, 6, "open")]
    assert totals(ledger, "ada") == (7, 3, 4)
    ledger.capture(hold.hold_id, 3, final=False)

    assert ledger.holds("ada") == ()
    assert totals(ledger, "ada") == (4, 0, 4)
    assert log_of(ledger, "ada", after=2) == [("capture", -1, -1), ("capture", -2, -2), ("capture", -3, -3)]
    with pytest.raises(HoldClosed) as refused:
        ledger.capture(hold.hold_id, 1)
    assert refused.value.status == "captured"


def test_what_is_left_after_captures_is_set_free_by_a_void(ledger: Ledger) -> None:
    """A void of a hold that was captured in part frees what it still holds and keeps what was spent."""
    hold = ledger.authorize("ada", 6, ttl=HOUR)
    ledger.capture(hold.hold_id, 2, final=False)

    receipt = ledger.void(hold.hold_id)

    assert (receipt.operation, receipt.amount, receipt.held_after, receipt.available_after) == (
        "void",
        0,
        0,
        8,
    )
    with pytest.raises(HoldClosed) as refused:
        ledger.capture(hold.hold_id)
    assert refused.value.status == "voided"


@pytest.mark.parametrize("final", [True, False], ids=["final", "not final"])
def test_more_than_is_held_is_refused(ledger: Ledger, caller: Caller, final: bool) -> None:
    """A capture above what is left in the hold is refused, tells both numbers, and changes nothing."""
    hold = ledger.authorize("ada", 6, ttl=HOUR)
    ledger.capture(hold.hold_id, 2, final=False)
    before = caller.rows()

    with pytest.raises(CaptureExceedsHold) as refused:
        ledger.capture(hold.hold_id, 5, final=final)

    assert (refused.value.hold_id, refused.value.requested, refused.value.held) == (hold.hold_id, 5, 4)
    assert caller.rows() == before


@pytest.mark.parametrize("final", [True, False], ids=["final", "not final"])
def test_a_capture_above_the_hold_takes_the_rest_from_what_is_available(ledger: Ledger, final: bool) -> None:
    """With `allow_over` and funds, one entry spends the hold and what is above it, and the hold is captured."""
    hold = ledger.authorize("ada", 6, ttl=HOUR)

    receipt = ledger.capture(hold.hold_id, 9, allow_over=True, final=final)

    assert (receipt.amount, receipt.posted_after, receipt.held_after) == (-9, 1, 0)
    assert log_of(ledger, "ada", after=2) == [("capture", -9, -6)]
    with pytest.raises(HoldClosed):
        ledger.capture(hold.hold_id, 1, allow_over=True)


def test_a_capture_above_the_hold_needs_funds(ledger: Ledger, caller: Caller) -> None:
    """With `allow_over` but without funds nothing is captured: only what is above the hold is asked for."""
    ledger.authorize("ada", 3, ttl=HOUR)
    hold = ledger.authorize("ada", 6, ttl=HOUR)
    before = caller.rows()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.capture(hold.hold_id, 8, allow_over=True)

    assert (refused.value.owner, refused.value.requested, refused.value.available) == ("ada", 2, 1)
    assert caller.rows() == before
    assert ledger.capture(hold.hold_id, 7, allow_over=True).available_after == 0


def test_a_capture_above_the_hold_may_use_an_overdraft(ledger: Ledger) -> None:
    """What is above a hold may be owed, as far as the overdraft limit goes."""
    ledger.set_overdraft_limit("ada", 5)
    hold = ledger.authorize("ada", 10, ttl=HOUR)

    assert ledger.capture(hold.hold_id, 15, allow_over=True).posted_after == -5


def test_a_hold_may_use_an_overdraft(ledger: Ledger) -> None:
    """Credit that is owed can be held, and the hold is void or captured like any other."""
    ledger.set_overdraft_limit("ada", 5)

    hold = ledger.authorize("ada", 15, ttl=HOUR)

    assert totals(ledger, "ada") == (10, 15, -5)
    ledger.void(hold.hold_id)
    assert totals(ledger, "ada") == (10, 0, 10)


def test_a_void_gives_back_to_the_same_grants(ledger: Ledger, clock: FrozenClock) -> None:
    """A hold lies on grants in the order of use, and its void sets them free part by part."""
    ledger.grant("ada", 5, expires_at=clock() + HOUR)
    hold = ledger.authorize("ada", 8, ttl=HOUR / 2)
    assert hold.receipt is not None
    assert parts_of(hold.receipt.shares) == {(2, 0): (0, 5)}

    receipt = ledger.void(hold.hold_id)

    assert parts_of(receipt.shares) == {(2, 0): (0, -5)}
    assert [(grant.posted, grant.held) for grant in ledger.grants("ada")] == [(5, 0)]


def test_captures_take_first_what_was_reserved_first(ledger: Ledger, clock: FrozenClock) -> None:
    """Partial captures spend the sources of a hold in the order in which these were reserved."""
    ledger.grant("ada", 2, expires_at=clock() + HOUR)
    ledger.grant("ada", 3, expires_at=clock() + 2 * HOUR)
    hold = ledger.authorize("ada", 9, ttl=HOUR / 2)

    captures = [ledger.capture(hold.hold_id, 4, final=False) for _ in range(2)]

    assert [parts_of(receipt.shares) for receipt in captures] == [
        {(2, 0): (-2, -2), (3, 0): (-2, -2)},
        {(3, 0): (-1, -1)},
    ]
    assert totals(ledger, "ada") == (7, 1, 6)


def test_a_hold_protects_its_credit_from_expiry(ledger: Ledger, clock: FrozenClock) -> None:
    """What is held of a grant stays capturable though the grant expires meanwhile; the rest of it expires."""
    ledger.grant("ada", 5, expires_at=clock() + HOUR)
    hold = ledger.authorize("ada", 3, ttl=2 * HOUR)
    clock.advance(HOUR)

    assert totals(ledger, "ada") == (13, 3, 10)
    receipt = ledger.capture(hold.hold_id)

    assert (receipt.amount, receipt.posted_after) == (-3, 10)
    assert log_of(ledger, "ada", after=3) == [("expire", -2, 0), ("capture", -3, -3)]


@pytest.mark.parametrize(
    ("end", "lines"),
    [
        (lambda ledger, hold: ledger.capture(hold, 1), [("capture", -1, -3), ("expire", -2, 0)]),
        (lambda ledger, hold: ledger.void(hold), [("void", 0, -3), ("expire", -3, 0)]),
    ],
    ids=["final capture", "void"],
)
def test_what_is_set_free_of_an_expired_grant_expires_at_once(
    ledger: Ledger, clock: FrozenClock, end: object, lines: list[tuple[str, int, int]]
) -> None:
    """When a hold ends after its grant, what it gives back expires in the next entry."""
    assert callable(end)
    ledger.grant("ada", 3, expires_at=clock() + HOUR)
    hold = ledger.authorize("ada", 3, ttl=2 * HOUR)
    clock.advance(HOUR)

    end(ledger, hold.hold_id)

    assert log_of(ledger, "ada", after=3) == lines
    assert totals(ledger, "ada") == (10, 0, 10)
    assert ledger.grants("ada") == ()


def test_an_extension_counts_from_now(ledger: Ledger, clock: FrozenClock) -> None:
    """An extended hold ends its new span after the extension, be that later or sooner than before."""
    hold = ledger.authorize("ada", 4, ttl=HOUR)
    clock.advance(HOUR - INSTANT)

    longer = ledger.extend(hold.hold_id, ttl=HOUR)
    assert longer.receipt is not None
    assert (longer.receipt.operation, longer.receipt.amount, longer.receipt.held_after) == ("control", 0, 4)
    assert (longer.hold_id, longer.held, longer.expires_at) == (hold.hold_id, 4, clock() + HOUR)
    clock.advance(HOUR - INSTANT)
    sooner = ledger.extend(hold.hold_id, ttl=INSTANT)

    assert sooner.expires_at == clock() + INSTANT
    assert ledger.balance("ada").held == 4
    clock.advance(INSTANT)
    assert ledger.balance("ada").held == 0


def test_open_holds_are_listed_oldest_first(ledger: Ledger, clock: FrozenClock) -> None:
    """`holds` shows what is open now and nothing that ended; it knows no stranger."""
    assert ledger.holds("ada") == ()
    first = ledger.authorize("ada", 1, ttl=3 * HOUR)
    second = ledger.authorize("ada", 2, ttl=HOUR)
    third = ledger.authorize("ada", 3, ttl=2 * HOUR)
    ledger.void(third.hold_id)

    assert [hold.hold_id for hold in ledger.holds("ada")] == [first.hold_id, second.hold_id]
    clock.advance(HOUR)
    assert [(hold.hold_id, hold.expires_at - clock()) for hold in ledger.holds("ada")] == [
        (first.hold_id, timedelta(hours=2))
    ]
    with pytest.raises(AccountNotFound):
        ledger.holds("nobody")


@pytest.mark.parametrize("elsewhere", ["book", "asset"])
def test_another_books_hold_is_not_found(ledger: Ledger, caller: Caller, elsewhere: str) -> None:
    """The id of a hold in another book or asset is not found, and nothing happens to it."""
    other = ledger.for_book("other") if elsewhere == "book" else ledger.for_asset("other")
    hold_id = ledger.authorize("ada", 4, ttl=HOUR).hold_id
    before = caller.rows()

    for use in (
        lambda: other.capture(hold_id),
        lambda: other.void(hold_id),
        lambda: other.extend(hold_id, ttl=HOUR),
    ):
        with pytest.raises(HoldNotFound) as refused:
            use()
        assert refused.value.hold_id == hold_id
    assert caller.rows() == before


def test_only_what_an_authorization_made_is_a_hold(ledger: Ledger) -> None:
    """The id of another entry, of none yet, or of no account at all is not found as a hold."""
    granted = ledger.spend("ada", 1).entry_id
    ids = [granted, f"{ledger.account_id('ada')}.99", f"{ledger.account_id('nobody')}.1"]

    for hold_id in ids:
        with pytest.raises(HoldNotFound) as refused:
            ledger.capture(hold_id)
        assert refused.value.hold_id == hold_id
