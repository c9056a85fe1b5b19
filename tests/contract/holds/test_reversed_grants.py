"""Reversals of grants: taken back as far as unspent, first of the grant itself, then in the order of use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pluct_ledger import (
    EntryNotFound,
    InsufficientCredit,
    Ledger,
    NotReversible,
    Receipt,
    ReversalExceedsOriginal,
)
from pluct_ledger.commands import Issue, Reverse, Spend
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.holds.logs import HOUR, given_to, lasting, log_of, totals

Give = Callable[[Ledger, FrozenClock], str]


def pooled(ledger: Ledger, _clock: FrozenClock) -> str:
    """Grant 10 without terms."""
    return ledger.grant("ada", 10).entry_id


def on_terms(ledger: Ledger, clock: FrozenClock) -> str:
    """Grant 10 that end in a day."""
    return ledger.grant("ada", 10, expires_at=clock() + timedelta(days=1), priority=3).entry_id


def opening(ledger: Ledger, _clock: FrozenClock) -> str:
    """Open the account with 10."""
    receipt = ledger.open_account("ada", initial=10).receipt
    assert receipt is not None
    return receipt.entry_id


def activated(ledger: Ledger, clock: FrozenClock) -> str:
    """Grant 10 that take effect in an hour, and let that hour go by."""
    granted = ledger.grant("ada", 10, effective_at=clock() + HOUR, expires_at=timedelta(days=1)).entry_id
    clock.advance(HOUR)
    return granted


def pending(ledger: Ledger, clock: FrozenClock) -> str:
    """Grant 10 that take effect in an hour."""
    return ledger.grant("ada", 10, effective_at=clock() + HOUR, expires_at=timedelta(days=1)).entry_id


@pytest.fixture(params=[pooled, on_terms, opening, activated], ids=lambda give: give.__name__)
def give(request: pytest.FixtureRequest) -> Give:
    """A way to grant 10 that can be used."""
    chosen: Give = request.param
    return chosen


def test_a_grant_is_taken_back_wholly(ledger: Ledger, clock: FrozenClock, give: Give) -> None:
    """A whole reversal leaves nothing posted and nothing issued."""
    granted = give(ledger, clock)

    receipt = ledger.reverse(granted)

    assert (receipt.operation, receipt.amount, receipt.posted_after) == ("reverse", -10, 0)
    assert (ledger.account("ada").issued, ledger.account("ada").spent, ledger.grants("ada")) == (0, 0, ())


def test_a_grant_is_taken_back_in_parts_and_no_further(
    ledger: Ledger, clock: FrozenClock, give: Give
) -> None:
    """Parts together come to the grant and never above it, though there is other credit; `up_to` takes the rest."""
    granted = give(ledger, clock)
    ledger.grant("ada", 50)
    ledger.reverse(granted, 3)
    ledger.reverse(granted, 3)

    with pytest.raises(ReversalExceedsOriginal) as refused:
        ledger.reverse(granted, 5)
    assert (refused.value.requested, refused.value.reversible) == (5, 4)
    assert ledger.reverse(granted, 5, up_to=True).amount == -4
    for amount in (None, 1):
        with pytest.raises(ReversalExceedsOriginal):
            ledger.reverse(granted, amount, up_to=True)

    assert totals(ledger, "ada") == (50, 0, 50)
    assert lasting(ledger, "ada") == 50


def test_what_was_spent_is_not_taken_back(
    ledger: Ledger, caller: Caller, clock: FrozenClock, give: Give
) -> None:
    """Where less is available than is asked for, the reversal is refused, or with `up_to` takes what is there."""
    granted = give(ledger, clock)
    ledger.spend("ada", 7)
    before = caller.rows()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.reverse(granted)
    assert (refused.value.owner, refused.value.requested, refused.value.available) == ("ada", 10, 3)
    assert caller.rows() == before

    assert ledger.reverse(granted, up_to=True).amount == -3
    with pytest.raises(InsufficientCredit):
        ledger.reverse(granted, up_to=True)
    assert totals(ledger, "ada") == (0, 0, 0)


def test_neither_holds_nor_overdrafts_are_taken_back(ledger: Ledger, clock: FrozenClock, give: Give) -> None:
    """What is held is not unspent, and what may be owed is nobody's to take."""
    granted = give(ledger, clock)
    ledger.set_overdraft_limit("ada", None)
    ledger.authorize("ada", 8, ttl=HOUR)

    with pytest.raises(InsufficientCredit) as refused:
        ledger.reverse(granted, 3)

    assert refused.value.available == 2
    assert ledger.reverse(granted, 3, up_to=True).amount == -2


def test_a_grant_is_taken_back_of_itself_first(ledger: Ledger, clock: FrozenClock) -> None:
    """What is left of the grant goes first, whatever the order of use; the rest is taken in that order."""
    early = ledger.grant("ada", 4, expires_at=clock() + HOUR).seq
    late = ledger.grant("ada", 6, expires_at=clock() + 2 * HOUR)
    ledger.grant("ada", 5)

    assert given_to(ledger.reverse(late.entry_id, 5)) == {(late.seq, 0): 5}
    ledger.spend("ada", 5)
    assert given_to(ledger.reverse(late.entry_id)) == {}

    assert early not in {int(grant.grant_id.split(".")[1]) for grant in ledger.grants("ada")}
    assert totals(ledger, "ada") == (4, 0, 4)


def test_what_replaces_a_spent_grant_is_taken_in_the_order_of_use(ledger: Ledger, clock: FrozenClock) -> None:
    """A grant that was spent wholly is taken back of what is used next."""
    first = ledger.grant("ada", 4, expires_at=clock() + HOUR)
    ledger.spend("ada", 4)
    second = ledger.grant("ada", 3, expires_at=clock() + 2 * HOUR)
    ledger.grant("ada", 9)

    assert given_to(ledger.reverse(first.entry_id)) == {(second.seq, 0): 3}
    assert totals(ledger, "ada") == (8, 0, 8)


def test_an_expired_grant_has_nothing_to_take_back(ledger: Ledger, clock: FrozenClock) -> None:
    """Credit that expired is gone: without other credit the reversal is refused, with a grace as without."""
    granted = ledger.grant("ada", 10, expires_at=clock() + HOUR).entry_id
    clock.advance(HOUR)

    for grace in (None, HOUR):
        with pytest.raises(InsufficientCredit) as refused:
            ledger.reverse(granted, up_to=True, expired_grace=grace)
        assert refused.value.available == 0


def test_a_grant_to_come_is_taken_back_before_it_takes_effect(ledger: Ledger, clock: FrozenClock) -> None:
    """A reversal of a pending grant moves nothing, and so much less takes effect."""
    granted = pending(ledger, clock)

    receipt = ledger.reverse(granted, 4)
    assert (receipt.amount, receipt.posted_after) == (0, 0)
    assert [grant.pending for grant in ledger.grants("ada")] == [6]
    with pytest.raises(ReversalExceedsOriginal) as refused:
        ledger.reverse(granted, 7)
    assert refused.value.reversible == 6
    clock.advance(HOUR)

    assert totals(ledger, "ada") == (6, 0, 6)
    ledger.spend("ada", 1)
    assert log_of(ledger, "ada", after=2) == [("activate", 6, 0), ("spend", -1, 0)]


@pytest.mark.parametrize("up_to", [True, False], ids=["up to", "exactly"])
def test_a_grant_to_come_that_was_taken_back_never_comes(
    ledger: Ledger, clock: FrozenClock, up_to: bool
) -> None:
    """Wholly reversed, a pending grant is over: nothing takes effect, and nothing is left to reverse."""
    granted = pending(ledger, clock)
    ledger.reverse(granted, up_to=up_to)
    assert ledger.grants("ada") == ()
    clock.advance(HOUR)

    assert totals(ledger, "ada") == (0, 0, 0)
    with pytest.raises(ReversalExceedsOriginal):
        ledger.reverse(granted, 1, up_to=True)
    assert ledger.account("ada").entry_count == 2


def test_what_was_taken_back_before_and_after_it_took_effect_adds_up(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """Parts reversed while a grant was pending count against what can be reversed once it is there."""
    granted = pending(ledger, clock)
    ledger.reverse(granted, 4)
    clock.advance(HOUR)

    with pytest.raises(ReversalExceedsOriginal) as refused:
        ledger.reverse(granted, 7)

    assert refused.value.reversible == 6
    assert ledger.reverse(granted).amount == -6


def test_a_repeat_of_a_pending_grants_reversal_is_known(ledger: Ledger, clock: FrozenClock) -> None:
    """The key answers the first receipt also where nothing moved and the grant took effect meanwhile."""
    granted = pending(ledger, clock)
    first = ledger.reverse(granted, 4, idempotency_key="k")
    clock.advance(HOUR)

    again = ledger.reverse(granted, 4, idempotency_key="k")

    assert (again.replayed, again.entry_id) == (True, first.entry_id)
    assert ledger.balance("ada").posted == 6


def test_grants_are_reversed_in_the_batch_that_makes_them(ledger: Ledger, clock: FrozenClock) -> None:
    """A batch takes back what it granted, of the account that it opened too."""
    one, other = (f"{ledger.account_id('ada')}.{seq}" for seq in (1, 2))

    outcomes = ledger.apply_many(
        [
            Issue("ada", 10, expires_at=clock() + HOUR),
            Issue("ada", 5, effective_at=clock() + HOUR),
            Reverse(one, 4),
            Reverse(other),
            Spend("ada", 5),
            Reverse(one),
            Reverse(one, up_to=True),
        ]
    )

    assert [
        outcome.amount if isinstance(outcome, Receipt) else type(outcome).__name__ for outcome in outcomes
    ] == [
        10,
        0,
        -4,
        0,
        -5,
        "InsufficientCredit",
        -1,
    ]
    assert ledger.grants("ada") == ()


def test_another_books_grant_is_not_found(ledger: Ledger, clock: FrozenClock, give: Give) -> None:
    """No other book can take a grant back."""
    with pytest.raises(EntryNotFound):
        ledger.for_book("other").reverse(give(ledger, clock))

    assert ledger.balance("ada").posted == 10


def test_what_fell_due_cannot_be_reversed_though_nothing_has_recorded_it(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """An expiry is shown as an entry before any write records it, and is refused as that entry."""
    ledger.grant("eve", 5, expires_at=clock() + HOUR)
    clock.advance(HOUR)
    (expired, _granted) = ledger.entries("eve")

    with pytest.raises(NotReversible) as refused:
        ledger.reverse(expired.entry_id)

    assert refused.value.operation == "expire"
