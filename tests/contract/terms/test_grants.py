"""Grants: the terms on which credit is issued, the order in which it is used, and what is told of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pluct_ledger import (
    AccountNotFound,
    ApiKeyRegistry,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    Receipt,
)
from pluct_ledger.commands import Issue, Spend
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.terms.told import G1, G2, G3, SECOND, later, log, shares_of, t


def test_a_grant_tells_its_terms(ledger: Ledger, clock: FrozenClock) -> None:
    """What is asked of a grant is what is told of it, with what is left and what is held."""
    later(clock, 1)
    receipt = ledger.grant("ada", 9, expires_at=t(10), priority=-3, label="spring", granted_by="ops")
    ledger.spend("ada", 2)
    ledger.authorize("ada", 4, ttl=SECOND)

    (grant,) = ledger.grants("ada")

    assert (grant.grant_id, grant.part, grant.owner) == (receipt.entry_id, 0, "ada")
    assert (grant.amount, grant.posted, grant.held, grant.pending) == (9, 7, 4, 0)
    assert (grant.effective_at, grant.expires_at) == (None, t(10))
    assert (grant.priority, grant.label, grant.granted_by) == (-3, "spring", "ops")


def test_a_grant_may_name_the_api_key_that_granted_it(ledger: Ledger, caller: Caller) -> None:
    """An API key is told by its id, of which no secret can be learnt."""
    caller.settle()
    created = ApiKeyRegistry(caller.engine, clock=caller.clock).create("partner")

    receipt = ledger.grant("ada", 1, granted_by=created.api_key)

    (grant,) = ledger.grants("ada")
    assert grant.granted_by == f"api_key:{created.api_key.key_id}"
    assert created.secret not in str(ledger.entry(receipt.entry_id))


@pytest.mark.parametrize(
    ("expires_at", "effective_at", "ends"),
    [
        (t(10), None, t(10)),
        (10 * SECOND, None, t(11)),
        (t(10), t(5), t(10)),
        (10 * SECOND, t(5), t(15)),
        (10 * SECOND, t(-5), t(11)),
        (10 * SECOND, t(1), t(11)),
        (timedelta(microseconds=1), None, t(1) + timedelta(microseconds=1)),
    ],
)
def test_a_span_counts_from_when_the_grant_takes_effect(
    ledger: Ledger,
    clock: FrozenClock,
    expires_at: datetime | timedelta,
    effective_at: datetime | None,
    ends: datetime,
) -> None:
    """An expiry as an instant is that instant; as a timedelta it counts from the start of the grant."""
    later(clock, 1)
    ledger.grant("ada", 9, expires_at=expires_at, effective_at=effective_at)

    (grant,) = ledger.grants("ada")

    assert (grant.expires_at, grant.effective_at) == (ends, effective_at)
    assert (grant.posted, grant.pending) == ((0, 9) if effective_at == t(5) else (9, 0))


def test_credit_without_terms_is_no_grant(ledger: Ledger) -> None:
    """What is granted without any term goes to the pool, of which nothing is told as a grant."""
    receipt = ledger.grant("ada", 9)
    assert (ledger.grants("ada"), receipt.shares) == ((), ())

    for seq, terms in enumerate([{"priority": 1}, {"label": "x"}, {"granted_by": "x"}], start=2):
        receipt = ledger.grant("ada", 1, **terms)  # type: ignore[arg-type]  # one of several keywords
        assert shares_of(receipt.shares) == {(seq, 0): (1, 0)}
    assert len(ledger.grants("ada")) == 3


@pytest.mark.parametrize(
    ("terms", "argument"),
    [
        ({"expires_at": t(10).replace(tzinfo=None)}, "expires_at"),
        ({"expires_at": timedelta(0)}, "expires_at"),
        ({"expires_at": -SECOND}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"effective_at": t(10).replace(tzinfo=None)}, "effective_at"),
        ({"effective_at": SECOND}, "effective_at"),
        ({"effective_at": t(5), "expires_at": t(5)}, "expires_at"),
        ({"priority": True}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"priority": 32_768}, "priority"),
        ({"priority": -32_768}, "priority"),
        ({"label": ""}, "label"),
        ({"label": "x" * 256}, "label"),
        ({"label": "a\0b"}, "label"),
        ({"granted_by": ""}, "granted_by"),
        ({"granted_by": 7}, "granted_by"),
    ],
)
def test_wrong_terms_are_named(ledger: Ledger, terms: dict[str, Any], argument: str) -> None:
    """A term that is out of bounds is an invalid argument, which names it, and nothing was granted."""
    with pytest.raises(InvalidArgument) as wrong:
        ledger.grant("ada", 1, **terms)

    assert wrong.value.argument == argument
    with pytest.raises(AccountNotFound):
        ledger.account("ada")


def test_a_grant_that_is_over_already_expires_in_the_next_entry(ledger: Ledger, clock: FrozenClock) -> None:
    """Credit that ends before it is issued is posted, and gone with the entry that follows."""
    later(clock, 5)
    for expires_at in (t(4), t(5)):
        receipt = ledger.grant("ada", 3, expires_at=expires_at)
        assert receipt.amount == 3
        assert ledger.balance("ada").posted == 0
    assert [row[:3] for row in log(ledger, "ada")] == [("grant", 5, 3), ("expire", 5, -3)] * 2


def test_the_order_of_use_is_priority_then_expiry_then_age_and_the_pool_last(ledger: Ledger) -> None:
    """Each spend takes from the next in order: priority, expiry with never last, age, the pool after its equals."""
    ledger.grant("ada", 1)  # the pool
    terms: dict[str, Any]
    for terms in (
        {"priority": 1, "expires_at": t(1)},
        {"label": "never, younger than nobody"},
        {"label": "never, younger"},
        {"expires_at": t(20)},
        {"expires_at": t(10), "label": "older"},
        {"expires_at": t(10), "label": "younger"},
        {"priority": -1},
        {"priority": -1, "expires_at": t(30)},
        {"priority": 1},
    ):
        ledger.grant("ada", 1, **terms)

    used = [shares_of(ledger.spend("ada", 1).shares) for _ in range(10)]

    expected = [9, 8, 6, 7, 5, 3, 4, None, 2, 10]
    assert used == [{} if seq is None else {(seq, 0): (-1, 0)} for seq in expected]


def test_grants_are_told_in_the_order_of_use(ledger: Ledger) -> None:
    """The open grants of an owner come in the order of use, those to come included, used-up ones left out."""
    ledger.grant("ada", 1, label="last", priority=1)
    ledger.grant("ada", 1, label="to come", effective_at=t(5), expires_at=t(6))
    ledger.grant("ada", 1, label="never")
    ledger.grant("ada", 1, label="first", expires_at=t(5))
    ledger.grant("bob", 1, label="bob's")

    assert [grant.label for grant in ledger.grants("ada")] == ["first", "to come", "never", "last"]

    ledger.spend("ada", 1)

    assert [grant.label for grant in ledger.grants("ada")] == ["to come", "never", "last"]
    assert [grant.posted for grant in ledger.grants("ada")] == [0, 1, 1]


def test_grants_of_an_unknown_owner_are_refused(ledger: Ledger) -> None:
    """Who has no account in this book and asset has no grants to tell of."""
    ledger.for_book("shop").grant("ada", 1, label="x")

    with pytest.raises(AccountNotFound):
        ledger.grants("ada")


def test_what_is_to_come_cannot_be_used(ledger: Ledger) -> None:
    """A grant that has not started is neither spendable nor part of any number but its own."""
    ledger.grant("ada", 2)
    ledger.grant("ada", 5, effective_at=t(5))

    with pytest.raises(InsufficientCredit) as refused:
        ledger.spend("ada", 3)

    assert (refused.value.requested, refused.value.available) == (3, 2)


def test_a_spend_over_several_grants_is_shared_out(ledger: Ledger, caller: Caller) -> None:
    """The shares on the receipt are those of the entry, and a replay of any write returns the same ones."""
    ledger.grant("ada", 2, expires_at=t(1), idempotency_key="g")
    ledger.grant("ada", 3, expires_at=t(2))
    ledger.grant("ada", 4, expires_at=t(3))
    ledger.grant("ada", 5)

    receipt = ledger.spend("ada", 7, idempotency_key="k")

    assert shares_of(receipt.shares) == {G1: (-2, 0), G2: (-3, 0), G3: (-2, 0)}
    assert ledger.entry(receipt.entry_id).shares == receipt.shares
    caller.settle()
    caller.clock.advance(timedelta(days=400))
    again = ledger.spend("ada", 7, idempotency_key="k")
    assert again.replayed
    assert (again.shares, again.entry_id, again.at) == (receipt.shares, receipt.entry_id, receipt.at)
    granted = ledger.grant("ada", 2, expires_at=t(1), idempotency_key="g")
    assert (granted.replayed, shares_of(granted.shares)) == (True, {G1: (2, 0)})


def test_a_replay_inside_a_batch_returns_the_same_shares(ledger: Ledger) -> None:
    """A command that repeats an earlier one of its own batch answers with the shares of that one."""
    command = Spend("ada", 2, idempotency_key="k")

    _, first, again = ledger.apply_many([Issue("ada", 3, expires_at=t(1)), command, command])

    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert shares_of(first.shares) == {G1: (-2, 0)}
    assert shares_of(again.shares) == {G1: (-2, 0)}


@pytest.mark.parametrize("effective_at", [None, t(50)])
def test_a_span_is_compared_as_such_on_a_retry(
    ledger: Ledger, clock: FrozenClock, effective_at: datetime | None
) -> None:
    """A retry days later with the same timedelta is the same intent; another span, or an instant, is not."""
    terms: dict[str, Any] = {"effective_at": effective_at, "idempotency_key": "k"}
    first = ledger.grant("ada", 5, expires_at=timedelta(days=30), **terms)
    clock.advance(timedelta(days=3))

    again = ledger.grant("ada", 5, expires_at=timedelta(hours=720), **terms)

    assert (again.replayed, again.entry_id) == (True, first.entry_id)
    for other in (timedelta(days=31), t(0) + timedelta(days=30), None):
        with pytest.raises(IdempotencyMismatch):
            ledger.grant("ada", 5, expires_at=other, **terms)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 6},
        {"expires_at": t(11)},
        {"effective_at": t(0)},
        {"priority": 0},
        {"label": "autumn"},
        {"granted_by": None},
    ],
)
def test_another_term_under_the_same_key_is_a_mismatch(ledger: Ledger, other: dict[str, Any]) -> None:
    """A key names one intent: amount and every term of it are compared."""
    terms: dict[str, Any] = {"expires_at": t(10), "priority": 2, "label": "spring", "granted_by": "ops"}
    ledger.grant("ada", 5, idempotency_key="k", **terms)

    with pytest.raises(IdempotencyMismatch) as refused:
        ledger.apply(Issue(**{"owner": "ada", "amount": 5, "idempotency_key": "k", **terms, **other}))

    assert [refused.value.field] == list(other)


@pytest.mark.parametrize(("amount", "remains"), [(4, 0), (10, 0), (11, 1)])
def test_debt_is_repaid_first(ledger: Ledger, clock: FrozenClock, amount: int, remains: int) -> None:
    """Of a grant into a debt of 10 only what is left of it after repaying can expire, also when it starts later."""
    ledger.open_account("ada", overdraft_limit=10)
    ledger.open_account("bob", overdraft_limit=10)
    for owner, starts in (("ada", None), ("bob", t(5))):
        ledger.spend(owner, 10)
        ledger.grant(owner, amount, expires_at=t(9), effective_at=starts)
    later(clock, 5)
    for owner in ("ada", "bob"):
        assert ledger.balance(owner).posted == amount - 10
        assert sum(grant.posted for grant in ledger.grants(owner)) == remains
    later(clock, 9)
    assert [ledger.balance(owner).posted for owner in ("ada", "bob")] == [amount - 10 - remains] * 2


def test_a_transfer_into_debt_repays_first(ledger: Ledger) -> None:
    """What arrives on terms fills the pool before it is a grant of the target's."""
    ledger.grant("ada", 30, expires_at=t(9))
    ledger.open_account("bob", overdraft_limit=10)
    ledger.spend("bob", 10)

    ledger.transfer("ada", "bob", 25)

    (part,) = ledger.grants("bob")
    assert (part.amount, part.posted, ledger.balance("bob").posted) == (25, 15, 15)
