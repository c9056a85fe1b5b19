"""Reversals of spends and captures: given back to the same grants, last used first, never more than was taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pluct_ledger import (
    EntryNotFound,
    IdempotencyMismatch,
    Ledger,
    NotReversible,
    Receipt,
    ReversalExceedsOriginal,
)
from pluct_ledger.commands import Capture, Reverse, Spend
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.holds.logs import HOUR, INSTANT, given_to, lasting, log_of, totals

Use = Callable[[Ledger], Receipt]


def spent(ledger: Ledger) -> Receipt:
    """Take 10 by a spend."""
    return ledger.spend("ada", 10)


def captured(ledger: Ledger) -> Receipt:
    """Take 10 by a capture of a hold."""
    return ledger.capture(ledger.authorize("ada", 10, ttl=HOUR / 2).hold_id)


def captured_in_part(ledger: Ledger) -> Receipt:
    """Take 10 by a final capture that sets 2 of its hold free."""
    return ledger.capture(ledger.authorize("ada", 12, ttl=HOUR / 2).hold_id, 10)


def captured_above(ledger: Ledger) -> Receipt:
    """Take 10 by a capture that is 7 above its hold."""
    return ledger.capture(ledger.authorize("ada", 3, ttl=HOUR / 2).hold_id, 10, allow_over=True)


USES: list[Use] = [spent, captured, captured_in_part, captured_above]


@pytest.fixture(params=USES, ids=lambda use: use.__name__)
def use(request: pytest.FixtureRequest) -> Use:
    """A way to take 10."""
    chosen: Use = request.param
    return chosen


@pytest.fixture
def ledger(ledger: Ledger, clock: FrozenClock) -> Ledger:
    """A ledger in which ada has 6 that end in an hour (entry 1) and 10 for ever: of 10 taken, 4 are of the latter."""
    ledger.grant("ada", 6, expires_at=clock() + HOUR)
    ledger.grant("ada", 10)
    return ledger


def test_a_whole_reversal_gives_all_back(ledger: Ledger, use: Use) -> None:
    """Without an amount, the original is reversed wholly: its grants and the pool are as before."""
    original = use(ledger)

    receipt = ledger.reverse(original.entry_id, reason="the job failed", kind="refund")

    assert (receipt.operation, receipt.kind, receipt.amount) == ("reverse", "refund", 10)
    assert given_to(receipt) == {(1, 0): 6}
    assert ledger.entry(receipt.entry_id).concerns_entry_id == original.entry_id
    assert totals(ledger, "ada") == (16, 0, 16)
    assert (ledger.account("ada").spent, lasting(ledger, "ada")) == (0, 10)


def test_parts_are_given_back_last_used_first(ledger: Ledger, use: Use) -> None:
    """What was used last comes back first, over as many reversals as it takes."""
    original = use(ledger)

    given = [given_to(ledger.reverse(original.entry_id, amount)) for amount in (3, 3, 4)]

    assert given == [{}, {(1, 0): 2}, {(1, 0): 4}]
    assert lasting(ledger, "ada") == 10
    assert totals(ledger, "ada") == (16, 0, 16)


def test_nothing_is_reversed_twice(ledger: Ledger, caller: Caller, use: Use) -> None:
    """Once wholly reversed, an entry has nothing left to reverse, in part, wholly or up to."""
    original = use(ledger).entry_id
    ledger.reverse(original)
    before = caller.rows()

    repeats: list[Callable[[], Receipt]] = [
        lambda: ledger.reverse(original),
        lambda: ledger.reverse(original, 1),
        lambda: ledger.reverse(original, 1, up_to=True),
        lambda: ledger.reverse(original, up_to=True),
    ]
    for again in repeats:
        with pytest.raises(ReversalExceedsOriginal) as refused:
            again()
        assert (refused.value.entry_id, refused.value.reversible) == (original, 0)
    assert caller.rows() == before


def test_no_more_than_is_left_is_reversed(ledger: Ledger, caller: Caller, use: Use) -> None:
    """Parts together never come to more than the original; with `up_to` what is left is given back."""
    original = use(ledger).entry_id
    ledger.reverse(original, 3)
    before = caller.rows()

    with pytest.raises(ReversalExceedsOriginal) as refused:
        ledger.reverse(original, 8)
    assert (refused.value.requested, refused.value.reversible) == (8, 7)
    assert caller.rows() == before

    assert ledger.reverse(original, 8, up_to=True).amount == 7
    assert totals(ledger, "ada") == (16, 0, 16)


def test_a_whole_reversal_after_a_part_gives_the_rest(ledger: Ledger, use: Use) -> None:
    """Without an amount, what is left of the original is reversed."""
    original = use(ledger).entry_id
    ledger.reverse(original, 3)

    assert ledger.reverse(original).amount == 7


@pytest.mark.parametrize("up_to", [True, False], ids=["up to", "exactly"])
def test_up_to_takes_no_more_than_is_asked_for(ledger: Ledger, use: Use, up_to: bool) -> None:
    """Where so much is left, `up_to` changes nothing."""
    assert ledger.reverse(use(ledger).entry_id, 5, up_to=up_to).amount == 5


def test_what_belongs_to_an_expired_grant_expires_in_the_next_entry(
    ledger: Ledger, clock: FrozenClock, use: Use
) -> None:
    """After expiry, a reversal gives back what is lasting, and the rest expires at once."""
    original = use(ledger).entry_id
    before = ledger.account("ada").entry_count
    clock.advance(HOUR)

    ledger.reverse(original, 3)
    ledger.reverse(original, 3)
    ledger.reverse(original)

    assert log_of(ledger, "ada", after=before) == [
        ("reverse", 3, 0),
        ("reverse", 3, 0),
        ("expire", -2, 0),
        ("reverse", 4, 0),
        ("expire", -4, 0),
    ]
    assert totals(ledger, "ada") == (10, 0, 10)
    assert (lasting(ledger, "ada"), ledger.grants("ada")) == (10, ())


def test_a_grant_takes_back_until_the_last_instant_before_its_end(
    ledger: Ledger, clock: FrozenClock, use: Use
) -> None:
    """A microsecond before the end of its grant, credit comes back, and ends with the grant."""
    original = use(ledger).entry_id
    clock.advance(HOUR - INSTANT)

    ledger.reverse(original)

    assert totals(ledger, "ada") == (16, 0, 16)
    clock.advance(INSTANT)
    assert totals(ledger, "ada") == (10, 0, 10)


def test_a_grace_reissues_what_has_expired(ledger: Ledger, clock: FrozenClock, use: Use) -> None:
    """With `expired_grace`, what belongs to an expired grant lives for that long from now on, and no longer."""
    original = use(ledger)
    clock.advance(HOUR)

    receipt = ledger.reverse(original.entry_id, expired_grace=2 * HOUR)

    assert given_to(receipt) == {(receipt.seq, 0): 6}
    assert [(grant.posted, grant.expires_at) for grant in ledger.grants("ada")] == [(6, clock() + 2 * HOUR)]
    assert (totals(ledger, "ada"), lasting(ledger, "ada")) == ((16, 0, 16), 10)
    clock.advance(2 * HOUR)
    assert totals(ledger, "ada") == (10, 0, 10)


def test_a_grace_is_counted_against_the_original(ledger: Ledger, clock: FrozenClock, use: Use) -> None:
    """What a grace reissued is reversed: the original gives it back no second time, in the whole or by grant."""
    original = use(ledger).entry_id
    clock.advance(HOUR)
    amounts = [ledger.reverse(original, amount, expired_grace=HOUR).amount for amount in (5, 2)]

    with pytest.raises(ReversalExceedsOriginal) as refused:
        ledger.reverse(original, 4, expired_grace=HOUR)
    assert (amounts, refused.value.reversible) == ([5, 2], 3)
    ledger.reverse(original, expired_grace=2 * HOUR)

    assert [grant.posted for grant in ledger.grants("ada")] == [1, 2, 3]
    assert lasting(ledger, "ada") == 10


def test_a_grace_does_nothing_to_a_grant_that_lives(ledger: Ledger, use: Use) -> None:
    """Before its grant ends, credit goes back to it, grace or none."""
    receipt = ledger.reverse(use(ledger).entry_id, expired_grace=9 * HOUR)

    assert given_to(receipt) == {(1, 0): 6}


def test_a_reversal_after_another_spend_gives_all_back(ledger: Ledger, use: Use) -> None:
    """What was spent since does not matter to what is given back."""
    original = use(ledger).entry_id
    other = ledger.spend("ada", 6).entry_id
    assert ledger.balance("ada").available == 0

    ledger.reverse(original)
    ledger.reverse(other)

    assert totals(ledger, "ada") == (16, 0, 16)
    assert lasting(ledger, "ada") == 10


def test_a_reversal_can_be_spent_and_reversed_again(ledger: Ledger, use: Use) -> None:
    """Credit that came back is used like any other, and a second use is an original of its own."""
    ledger.reverse(use(ledger).entry_id)
    again = use(ledger)

    assert ledger.reverse(again.entry_id).amount == 10
    assert lasting(ledger, "ada") == 10


def test_uses_are_reversed_in_the_batch_that_makes_them(ledger: Ledger) -> None:
    """A later command of a batch reverses an earlier one's entry, capped by what the batch reversed already."""
    hold = ledger.authorize("ada", 10, ttl=HOUR).hold_id
    capture, spend = (f"{ledger.account_id('ada')}.{seq}" for seq in (4, 5))

    outcomes = ledger.apply_many(
        [
            Capture(hold),
            Spend("ada", 6),
            Reverse(capture, 7, idempotency_key="k"),
            Reverse(capture, 4),
            Reverse(capture, 7, idempotency_key="k"),
            Reverse(spend),
            Reverse(capture),
            Reverse(spend, 1),
        ]
    )

    assert [one.amount if isinstance(one, Receipt) else type(one).__name__ for one in outcomes] == [
        -10,
        -6,
        7,
        "ReversalExceedsOriginal",
        7,
        6,
        3,
        "ReversalExceedsOriginal",
    ]
    assert (totals(ledger, "ada"), lasting(ledger, "ada")) == ((16, 0, 16), 10)


def test_a_debt_that_is_given_back_comes_to_the_pool(ledger: Ledger, use: Use) -> None:
    """What was owed and is given back repays the debt; only what a grant paid goes to that grant."""
    ledger.set_overdraft_limit("ada", 20)
    ledger.spend("ada", 16)
    original = use(ledger)
    assert totals(ledger, "ada") == (-10, 0, -10)

    assert given_to(ledger.reverse(original.entry_id)) == {}
    assert totals(ledger, "ada") == (0, 0, 0)


def test_a_reversal_is_known_by_its_key(ledger: Ledger, clock: FrozenClock, use: Use) -> None:
    """The same key reverses once; another amount, entry, grace or flag under it is a mismatch that is named."""
    original, other = use(ledger).entry_id, ledger.spend("ada", 1).entry_id
    first = ledger.reverse(original, 4, idempotency_key="k")
    whole = ledger.reverse(other, idempotency_key="whole")
    clock.advance(2 * HOUR)

    again = ledger.reverse(original, 4, idempotency_key="k")
    assert (again.replayed, again.entry_id, again.amount, again.shares) == (
        True,
        first.entry_id,
        4,
        first.shares,
    )
    assert ledger.reverse(other, idempotency_key="whole").entry_id == whole.entry_id
    mismatches: list[tuple[str, Callable[[], object]]] = [
        ("amount", lambda: ledger.reverse(original, 3, idempotency_key="k")),
        ("amount", lambda: ledger.reverse(original, idempotency_key="k")),
        ("amount", lambda: ledger.reverse(other, 1, idempotency_key="whole")),
        ("entry_id", lambda: ledger.reverse(other, 4, idempotency_key="k")),
        ("up_to", lambda: ledger.reverse(original, 4, up_to=True, idempotency_key="k")),
        ("expired_grace", lambda: ledger.reverse(original, 4, expired_grace=HOUR, idempotency_key="k")),
        ("operation", lambda: ledger.spend("ada", 4, idempotency_key="k")),
    ]
    for field, repeat in mismatches:
        with pytest.raises(IdempotencyMismatch) as refused:
            repeat()
        assert refused.value.field == field


@pytest.mark.parametrize("elsewhere", ["book", "asset"])
def test_another_books_entry_is_not_found(ledger: Ledger, caller: Caller, use: Use, elsewhere: str) -> None:
    """The id of an entry in another book or asset is not found, and nothing happens to it."""
    original = use(ledger).entry_id
    other = ledger.for_book("other") if elsewhere == "book" else ledger.for_asset("other")
    before = caller.rows()

    with pytest.raises(EntryNotFound) as refused:
        other.reverse(original)

    assert refused.value.entry_id == original
    assert caller.rows() == before


def test_an_entry_that_is_not_there_is_not_found(ledger: Ledger) -> None:
    """An id of no entry yet, or of no account at all, is not found."""
    for entry_id in (f"{ledger.account_id('ada')}.99", f"{ledger.account_id('nobody')}.1"):
        with pytest.raises(EntryNotFound) as refused:
            ledger.reverse(entry_id)
        assert refused.value.entry_id == entry_id


def test_what_neither_gave_nor_took_is_not_reversible(
    ledger: Ledger, clock: FrozenClock, subtests: pytest.Subtests
) -> None:
    """Authorize, void, expire, activate, reverse, adjust and control entries are refused, by the operation's name."""
    ledger.grant("ada", 5, effective_at=clock() + HOUR / 4)
    voided = ledger.authorize("ada", 1, ttl=HOUR)
    ledger.void(voided.hold_id)
    ledger.reverse(ledger.spend("ada", 1).entry_id)
    ledger.adjust("ada", 1, reason="found")
    ledger.freeze("ada")
    clock.advance(HOUR)
    ledger.unfreeze("ada")
    entries = {entry.operation: entry.entry_id for entry in ledger.entries("ada").all()}

    for operation in ("authorize", "void", "expire", "activate", "reverse", "adjust", "control"):
        with subtests.test(operation=operation):
            with pytest.raises(NotReversible) as refused:
                ledger.reverse(entries[operation], 1, up_to=True)
            assert (refused.value.entry_id, refused.value.operation) == (entries[operation], operation)
