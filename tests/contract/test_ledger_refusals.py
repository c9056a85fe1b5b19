"""Refusals: which comes first where several are due, and that each leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pluct_ledger import (
    AccountClosed,
    AccountExists,
    AccountFrozen,
    AccountNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    PluctError,
)
from pluct_ledger.domain.accounts import Status
from pluct_ledger.errors import Refused
from tests.contract.callers import Caller

MOST = 2**53 - 1
FROZEN, CLOSED = Status.FROZEN, Status.CLOSED

Call = Callable[[Ledger], object]


@pytest.fixture
def ledger(caller: Caller) -> Ledger:
    """A ledger in which ada has 10 by an entry with the key "k", bob has nothing, and rich has all there can be."""
    ledger = caller.ledger()
    ledger.grant("ada", 10, idempotency_key="k")
    ledger.open_account("bob")
    ledger.grant("rich", MOST)
    return ledger


ORDER: list[tuple[dict[str, Status], Call, type[PluctError], dict[str, Any]]] = [
    # InvalidArgument before AccountNotFound, and the source's absence before the target's.
    ({}, lambda on: on.spend("nobody", 0), InvalidArgument, {"argument": "amount"}),
    ({}, lambda on: on.transfer("nobody", "nobody", 1), InvalidArgument, {"argument": "target"}),
    ({}, lambda on: on.transfer("nobody", "no one", 1), AccountNotFound, {"owner": "nobody"}),
    # AccountNotFound before IdempotencyMismatch.
    (
        {},
        lambda on: on.transfer("ada", "no one", 1, idempotency_key="k"),
        AccountNotFound,
        {"owner": "no one"},
    ),
    # IdempotencyMismatch before AccountExists, AccountClosed, AccountFrozen and InsufficientCredit.
    ({}, lambda on: on.open_account("ada", initial=10, idempotency_key="k"), IdempotencyMismatch, {}),
    ({"ada": CLOSED}, lambda on: on.spend("ada", 1, idempotency_key="k"), IdempotencyMismatch, {}),
    ({"ada": FROZEN}, lambda on: on.spend("ada", 1, idempotency_key="k"), IdempotencyMismatch, {}),
    ({}, lambda on: on.spend("ada", 11, idempotency_key="k"), IdempotencyMismatch, {}),
    # AccountExists before AccountClosed.
    ({"ada": CLOSED}, lambda on: on.open_account("ada"), AccountExists, {"owner": "ada"}),
    # AccountNotFound before AccountClosed and AccountFrozen.
    ({"ada": CLOSED}, lambda on: on.transfer("ada", "no one", 1), AccountNotFound, {"owner": "no one"}),
    ({"ada": FROZEN}, lambda on: on.transfer("ada", "no one", 1), AccountNotFound, {"owner": "no one"}),
    # AccountClosed before AccountFrozen and InsufficientCredit; of two, the source's.
    (
        {"ada": FROZEN, "bob": CLOSED},
        lambda on: on.transfer("ada", "bob", 1),
        AccountClosed,
        {"owner": "bob"},
    ),
    (
        {"ada": CLOSED, "bob": CLOSED},
        lambda on: on.transfer("ada", "bob", 1),
        AccountClosed,
        {"owner": "ada"},
    ),
    ({"bob": CLOSED}, lambda on: on.transfer("ada", "bob", 11), AccountClosed, {"owner": "bob"}),
    ({"ada": CLOSED}, lambda on: on.spend("ada", 11), AccountClosed, {"owner": "ada"}),
    # AccountClosed before BalanceLimitExceeded.
    ({"rich": CLOSED}, lambda on: on.grant("rich", 1), AccountClosed, {"owner": "rich"}),
    ({"rich": CLOSED}, lambda on: on.adjust("rich", 1, reason="x"), AccountClosed, {"owner": "rich"}),
    # AccountFrozen before InsufficientCredit and BalanceLimitExceeded.
    ({"ada": FROZEN}, lambda on: on.spend("ada", 11), AccountFrozen, {"owner": "ada"}),
    ({"bob": FROZEN}, lambda on: on.spend("bob", 1, up_to=True), AccountFrozen, {"owner": "bob"}),
    ({"ada": FROZEN}, lambda on: on.transfer("ada", "rich", 1), AccountFrozen, {"owner": "ada"}),
    # InsufficientCredit before BalanceLimitExceeded.
    ({}, lambda on: on.transfer("bob", "rich", 1), InsufficientCredit, {"owner": "bob", "available": 0}),
]


def test_refusals_come_in_their_order(ledger: Ledger, caller: Caller, subtests: pytest.Subtests) -> None:
    """Where two refusals are due, the one documented first is raised, names whom it concerns, and changes nothing."""
    for number, (statuses, call, refusal, facts) in enumerate(ORDER):
        with subtests.test(number=number, refusal=refusal.__name__, **facts):
            for owner in ("ada", "bob", "rich"):
                caller.set_status(owner, statuses.get(owner, Status.OPEN))
            before = caller.rows()

            with pytest.raises(refusal) as refused:
                call(ledger)

            assert type(refused.value) is refusal
            assert {name: getattr(refused.value, name) for name in facts} == facts
            assert caller.rows() == before


def test_a_closed_account_takes_nothing(ledger: Ledger, caller: Caller) -> None:
    """No credit goes into or comes out of a closed account."""
    caller.set_status("ada", CLOSED)
    before = caller.rows()

    calls: list[Callable[[], object]] = [
        lambda: ledger.grant("ada", 1),
        lambda: ledger.spend("ada", 1),
        lambda: ledger.spend("ada", 1, up_to=True),
        lambda: ledger.adjust("ada", 1, reason="x"),
        lambda: ledger.transfer("ada", "bob", 1),
        lambda: ledger.transfer("rich", "ada", 1),
    ]
    for call in calls:
        with pytest.raises(AccountClosed) as refused:
            call()
        assert refused.value.owner == "ada"
    assert caller.rows() == before
    assert ledger.account("ada").status == "closed"


def test_a_frozen_account_lets_credit_in_and_none_out(ledger: Ledger, caller: Caller) -> None:
    """Grants, transfers in and adjustments pass a frozen account, spends and transfers out are refused."""
    caller.set_status("ada", FROZEN)

    assert ledger.grant("ada", 1).posted_after == 11
    ledger.transfer("rich", "ada", 1)
    assert ledger.adjust("ada", -2, reason="charged back").posted_after == 10
    before = caller.rows()
    refuseds: list[Callable[[], object]] = [
        lambda: ledger.spend("ada", 1),
        lambda: ledger.spend("ada", 1, up_to=True),
        lambda: ledger.transfer("ada", "bob", 1),
    ]
    for refused in refuseds:
        with pytest.raises(AccountFrozen):
            refused()
    assert caller.rows() == before
    assert ledger.account("ada").status == "frozen"


def test_only_a_grant_opens_an_account(ledger: Ledger, caller: Caller) -> None:
    """Every other write is refused where the owner is unknown, and leaves no account behind."""
    before = caller.rows()

    calls: list[Callable[[], object]] = [
        lambda: ledger.spend("nobody", 1),
        lambda: ledger.spend("nobody", 1, up_to=True),
        lambda: ledger.adjust("nobody", 1, reason="x"),
        lambda: ledger.transfer("nobody", "ada", 1),
        lambda: ledger.transfer("ada", "nobody", 1),
    ]
    for call in calls:
        with pytest.raises(AccountNotFound) as refused:
            call()
        assert refused.value.owner == "nobody"
    assert caller.rows() == before


def test_a_refusal_alone_has_no_place(ledger: Ledger) -> None:
    """A refusal of a single command has no index, which tells its place in a batch."""
    with pytest.raises(Refused) as refused:
        ledger.spend("bob", 1)

    assert refused.value.index is None
    assert refused.value.facts == {"owner": "bob", "requested": 1, "available": 0}
