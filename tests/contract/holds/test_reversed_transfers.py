"""Transfers carry terms along, and a reversal takes back what is unspent, to the grants that it came from."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from pluct_ledger import (
    EntryNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    Ledger,
    Receipt,
    Refused,
    ReversalExceedsOriginal,
)
from pluct_ledger.commands import Reverse, Spend, Transfer
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.holds.logs import HOUR, given_to, lasting, log_of, totals

Leg = Callable[[Receipt], str]


@pytest.fixture(params=["source", "target"])
def leg(request: pytest.FixtureRequest) -> Leg:
    """Which of a transfer's two entries names it."""
    if request.param == "source":
        return lambda receipt: receipt.entry_id
    return lambda receipt: str(receipt.counterpart_entry_id)


@pytest.fixture
def ledger(ledger: Ledger, clock: FrozenClock) -> Ledger:
    """A ledger in which ada has 6 that end in an hour and 10 for ever, and bob an account."""
    ledger.grant("ada", 6, expires_at=clock() + HOUR, priority=-2, label="gift")
    ledger.grant("ada", 10)
    ledger.open_account("bob")
    return ledger


def test_a_transfer_carries_terms_along(ledger: Ledger, clock: FrozenClock) -> None:
    """What comes from a grant arrives as a part with the same end and priority, the rest in the pool."""
    sent = ledger.transfer("ada", "bob", 10)

    assert given_to(sent) == {(1, 0): 6}
    (part,) = ledger.grants("bob")
    assert part.grant_id == sent.counterpart_entry_id
    assert (part.part, part.posted, part.expires_at, part.priority) == (0, 6, clock() + HOUR, -2)
    assert (lasting(ledger, "ada"), lasting(ledger, "bob")) == (6, 4)
    clock.advance(HOUR)
    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((6, 0, 6), (4, 0, 4))


def test_parts_arrive_one_by_one_and_travel_on(ledger: Ledger, clock: FrozenClock) -> None:
    """Several grants arrive as parts of one entry, and go on from owner to owner with their terms."""
    ledger.open_account("cy")
    ledger.grant("ada", 3, expires_at=clock() + 2 * HOUR)
    ledger.grant("ada", 2, priority=5)
    ledger.transfer("ada", "bob", 21)

    ledger.transfer("bob", "cy", 21)

    assert [(one.part, one.posted, one.expires_at, one.priority) for one in ledger.grants("cy")] == [
        (0, 6, clock() + HOUR, -2),
        (1, 3, clock() + 2 * HOUR, 0),
        (2, 2, None, 5),
    ]
    assert [totals(ledger, owner)[0] for owner in ("ada", "bob", "cy")] == [0, 0, 21]


def test_a_transfer_into_debt_repays_first(ledger: Ledger) -> None:
    """What arrives fills the target's debt before anything of it keeps its terms."""
    ledger.set_overdraft_limit("bob", 4)
    ledger.spend("bob", 4)

    ledger.transfer("ada", "bob", 5)

    assert totals(ledger, "bob") == (1, 0, 1)
    assert [(grant.amount, grant.posted) for grant in ledger.grants("bob")] == [(5, 1)]


def test_a_whole_reversal_undoes_a_transfer(ledger: Ledger, leg: Leg) -> None:
    """Each account gets a reversal that names the other's, and all credit is where it was, on its terms."""
    sent = ledger.transfer("ada", "bob", 10)

    receipt = ledger.reverse(leg(sent))

    assert abs(receipt.amount) == 10
    assert receipt.owner == ("ada" if leg(sent) == sent.entry_id else "bob")
    other = ledger.entry(str(receipt.counterpart_entry_id))
    assert (other.operation, other.amount) == ("reverse", -receipt.amount)
    assert (other.counterpart_entry_id, other.counter) == (receipt.entry_id, "account")
    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((16, 0, 16), (0, 0, 0))
    assert ([grant.posted for grant in ledger.grants("ada")], ledger.grants("bob")) == ([6], ())
    assert lasting(ledger, "ada") == 10


def test_parts_are_reversed_parts_first(ledger: Ledger, leg: Leg) -> None:
    """First the parts received go back to the grants that they came from, then pool to pool."""
    sent = ledger.transfer("ada", "bob", 10)

    ledger.reverse(leg(sent), 4)
    assert ([grant.posted for grant in ledger.grants("ada")], lasting(ledger, "ada")) == ([4], 6)
    assert ([grant.posted for grant in ledger.grants("bob")], lasting(ledger, "bob")) == ([2], 4)
    ledger.reverse(leg(sent), 4)
    assert ([grant.posted for grant in ledger.grants("ada")], lasting(ledger, "ada")) == ([6], 8)
    ledger.reverse(leg(sent))

    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((16, 0, 16), (0, 0, 0))


def test_a_transfer_is_reversed_no_further_by_either_leg(ledger: Ledger, caller: Caller, leg: Leg) -> None:
    """Both entries of a transfer are one original: what was reversed by one is not left for the other."""
    sent = ledger.transfer("ada", "bob", 10)
    ledger.grant("bob", 50)
    ledger.reverse(sent.entry_id, 3)
    ledger.reverse(str(sent.counterpart_entry_id), 3)

    with pytest.raises(ReversalExceedsOriginal) as refused:
        ledger.reverse(leg(sent), 5)
    assert (refused.value.entry_id, refused.value.requested, refused.value.reversible)[1:] == (5, 4)
    assert abs(ledger.reverse(leg(sent), 5, up_to=True).amount) == 4
    before = caller.rows()
    for again in (None, 1):
        with pytest.raises(ReversalExceedsOriginal):
            ledger.reverse(leg(sent), again, up_to=True)
    assert caller.rows() == before
    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((16, 0, 16), (50, 0, 50))


def test_what_the_target_spent_is_not_taken_back(ledger: Ledger, caller: Caller, leg: Leg) -> None:
    """Where the target has too little left the reversal is refused in the target's name, or takes what is there."""
    sent = ledger.transfer("ada", "bob", 10)
    ledger.spend("bob", 7)
    before = caller.rows()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.reverse(leg(sent))
    assert (refused.value.owner, refused.value.requested, refused.value.available) == ("bob", 10, 3)
    assert caller.rows() == before

    assert abs(ledger.reverse(leg(sent), up_to=True).amount) == 3
    with pytest.raises(InsufficientCredit):
        ledger.reverse(leg(sent), up_to=True)
    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((9, 0, 9), (0, 0, 0))


def test_an_overdraft_is_never_taken_back(ledger: Ledger, leg: Leg) -> None:
    """That the target may owe gives the source nothing back: only what is unspent is."""
    ledger.set_overdraft_limit("bob", None)
    sent = ledger.transfer("ada", "bob", 10)
    ledger.spend("bob", 9)

    with pytest.raises(InsufficientCredit):
        ledger.reverse(leg(sent), 2)

    assert abs(ledger.reverse(leg(sent), 2, up_to=True).amount) == 1


def test_what_is_held_is_not_taken_back(ledger: Ledger, leg: Leg) -> None:
    """Credit that the target has set aside is not unspent."""
    sent = ledger.transfer("ada", "bob", 10)
    ledger.authorize("bob", 8, ttl=HOUR)

    assert abs(ledger.reverse(leg(sent), up_to=True).amount) == 2


def test_what_expired_at_the_target_is_not_taken_back(ledger: Ledger, clock: FrozenClock, leg: Leg) -> None:
    """After expiry only what is lasting is left to take back, grace or none."""
    sent = ledger.transfer("ada", "bob", 10)
    clock.advance(HOUR)

    with pytest.raises(InsufficientCredit) as refused:
        ledger.reverse(leg(sent), expired_grace=HOUR)
    assert (refused.value.requested, refused.value.available) == (10, 4)
    ledger.reverse(leg(sent), up_to=True, expired_grace=HOUR)

    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((10, 0, 10), (0, 0, 0))
    assert lasting(ledger, "ada") == 10


@pytest.mark.parametrize("grace", [None, 3 * HOUR], ids=["no grace", "grace"])
def test_what_replaced_expired_credit_goes_back_to_the_expired_grant(
    ledger: Ledger, clock: FrozenClock, leg: Leg, grace: timedelta | None
) -> None:
    """Of other credit, what goes back to an expired grant of the source expires, unless a grace saves it."""
    sent = ledger.transfer("ada", "bob", 6)
    ledger.grant("bob", 6)
    clock.advance(HOUR)

    ledger.reverse(leg(sent), expired_grace=grace)

    assert totals(ledger, "bob") == (0, 0, 0)
    assert lasting(ledger, "ada") == 10
    assert totals(ledger, "ada") == ((10, 0, 10) if grace is None else (16, 0, 16))
    clock.advance(3 * HOUR)
    assert totals(ledger, "ada") == (10, 0, 10)


def test_ending_credit_never_comes_back_as_lasting(ledger: Ledger, clock: FrozenClock, leg: Leg) -> None:
    """Where the target spent what it received, its ending credit goes back to the pool with its own end."""
    ledger.spend("ada", 6)
    ledger.grant("bob", 4, expires_at=clock() + 2 * HOUR, priority=7)
    sent = ledger.transfer("ada", "bob", 4)
    ledger.spend("bob", 4)
    assert (lasting(ledger, "ada", "bob"), totals(ledger, "bob")) == (6, (4, 0, 4))

    ledger.reverse(leg(sent))

    assert [(grant.posted, grant.expires_at) for grant in ledger.grants("ada")] == [(4, clock() + 2 * HOUR)]
    assert lasting(ledger, "ada", "bob") == 6
    with pytest.raises(ReversalExceedsOriginal):
        ledger.reverse(leg(sent))
    clock.advance(2 * HOUR)
    assert totals(ledger, "ada") == (6, 0, 6)


def test_no_reversal_makes_credit_last(ledger: Ledger, clock: FrozenClock, leg: Leg) -> None:
    """Whatever was granted, sent and spent, reversing transfers adds nothing to what never expires."""
    chance = random.Random(7)
    sent: list[Receipt] = []
    for _ in range(60):
        source, target = chance.sample(("ada", "bob"), 2)
        match chance.choice(("grant", "spend", "transfer", "transfer", "reverse", "wait")):
            case "grant":
                ends = chance.choice((None, clock() + chance.randint(1, 5) * HOUR))
                ledger.grant(target, chance.randint(1, 6), expires_at=ends, priority=chance.randint(-1, 1))
            case "spend":
                if ledger.balance(source).available > 0:
                    ledger.spend(source, chance.randint(1, 4), up_to=True)
            case "transfer":
                if amount := ledger.balance(source).available:
                    sent.append(ledger.transfer(source, target, chance.randint(1, amount)))
            case "wait":
                clock.advance(HOUR / 3)
            case "reverse" if sent:
                grace = chance.choice((None, HOUR))
                entry_id = leg(chance.choice(sent))
                before = lasting(ledger, "ada", "bob")
                posted = sum(ledger.balance(owner).posted for owner in ("ada", "bob"))
                outcome = ledger.apply_many([Reverse(entry_id, up_to=True, expired_grace=grace)])[0]
                assert isinstance(outcome, Receipt | Refused)
                assert lasting(ledger, "ada", "bob") <= before
                assert sum(ledger.balance(owner).posted for owner in ("ada", "bob")) <= posted


def test_a_transfer_is_reversed_in_the_batch_that_makes_it(ledger: Ledger) -> None:
    """A batch reverses the transfer that it made, by either leg, and knows its reversals by their keys."""
    sent, received = f"{ledger.account_id('ada')}.3", f"{ledger.account_id('bob')}.1"

    outcomes = ledger.apply_many(
        [
            Transfer("ada", "bob", 10),
            Reverse(sent, 4, idempotency_key="k"),
            Reverse(sent, 4, idempotency_key="k"),
            Spend("bob", 2),
            Reverse(received),
            Reverse(received, up_to=True),
            Reverse(sent, 1, up_to=True),
        ]
    )

    assert [one.amount if isinstance(one, Receipt) else type(one).__name__ for one in outcomes] == [
        -10,
        4,
        4,
        -2,
        "InsufficientCredit",
        -4,
        "InsufficientCredit",
    ]
    assert isinstance(outcomes[2], Receipt)
    assert outcomes[2].replayed
    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((14, 0, 14), (0, 0, 0))


def test_a_reversed_transfer_is_known_by_its_key(ledger: Ledger, leg: Leg) -> None:
    """A repeat answers the first reversal, whatever became of the credit since."""
    sent = ledger.transfer("ada", "bob", 10)
    first = ledger.reverse(leg(sent), 4, idempotency_key="k")
    ledger.spend("bob", 6)

    again = ledger.reverse(leg(sent), 4, idempotency_key="k")

    assert (again.replayed, again.entry_id, again.counterpart_entry_id) == (
        True,
        first.entry_id,
        first.counterpart_entry_id,
    )
    assert log_of(ledger, "bob", after=2) == [("spend", -6, 0)]


def test_another_books_transfer_is_not_found(ledger: Ledger, caller: Caller, leg: Leg) -> None:
    """By neither leg can another book reverse a transfer."""
    entry_id = leg(ledger.transfer("ada", "bob", 10))
    before = caller.rows()

    with pytest.raises(EntryNotFound):
        ledger.for_book("other").reverse(entry_id)

    assert caller.rows() == before


def test_a_key_that_reversed_a_transfer_is_no_key_for_another_entry(ledger: Ledger) -> None:
    """The mismatch names the entry that is to be reversed, which is what the caller said otherwise."""
    sent = ledger.transfer("ada", "bob", 10)
    spent = ledger.spend("ada", 1)
    ledger.reverse(sent.entry_id, 4, idempotency_key="k")

    with pytest.raises(IdempotencyMismatch) as refused:
        ledger.reverse(spent.entry_id, 1, idempotency_key="k")

    assert refused.value.field == "entry_id"
