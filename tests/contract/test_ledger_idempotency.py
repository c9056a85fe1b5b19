"""Idempotency: once per key and account, for ever, and a repeat asks for the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pluct_ledger import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    Ledger,
    Receipt,
)
from pluct_ledger.domain.accounts import Status
from tests.clock import FrozenClock
from tests.contract.callers import Caller

Write = Callable[..., Receipt]


def opening(ledger: Ledger, **asked: Any) -> Receipt:
    account = ledger.open_account(**{"owner": "eve", "initial": 4, **asked})
    assert account.receipt is not None
    return account.receipt


def granting(ledger: Ledger, **asked: Any) -> Receipt:
    return ledger.grant(**{"owner": "ada", "amount": 4, **asked})


def spending(ledger: Ledger, **asked: Any) -> Receipt:
    return ledger.spend(**{"owner": "ada", "amount": 4, **asked})


def spending_up_to(ledger: Ledger, **asked: Any) -> Receipt:
    return ledger.spend(**{"owner": "ada", "amount": 40, "up_to": True, **asked})


def adjusting(ledger: Ledger, **asked: Any) -> Receipt:
    return ledger.adjust(**{"owner": "ada", "signed_amount": -4, "reason": "counted", **asked})


def moving(ledger: Ledger, **asked: Any) -> Receipt:
    return ledger.transfer(**{"source": "ada", "target": "bob", "amount": 4, **asked})


WRITES = [opening, granting, spending, spending_up_to, adjusting, moving]


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada has 10, and bob and cid have an account."""
    ledger.grant("ada", 10)
    ledger.open_account("bob")
    ledger.open_account("cid")
    return ledger


@pytest.mark.parametrize("write", WRITES)
def test_a_repeat_returns_the_first_receipt_and_moves_nothing(
    ledger: Ledger, caller: Caller, clock: FrozenClock, write: Write
) -> None:
    """The same key with the same arguments returns what was returned the first time, and writes nothing."""
    first = write(ledger, idempotency_key="k")
    ledger.grant("ada", 1)
    before = caller.rows()
    clock.advance(timedelta(days=36_500))

    again = write(ledger, idempotency_key="k")

    assert not first.replayed
    assert again == replace(first, replayed=True)
    assert caller.rows() == before


@pytest.mark.parametrize("write", WRITES)
def test_a_repeat_may_tell_it_differently(ledger: Ledger, caller: Caller, write: Write) -> None:
    """Reason, actor, metadata and the world's time are no part of what is asked for, and stay as first told."""
    first = write(ledger, idempotency_key="k", reason="one", metadata={"attempt": 1})
    before = caller.rows()

    again = write(
        ledger,
        idempotency_key="k",
        reason="two",
        actor="another",
        metadata={"attempt": 2},
        event_at=datetime(2031, 1, 1, tzinfo=UTC),
    )

    assert again == replace(first, replayed=True)
    assert caller.rows() == before


DIFFERENT: list[tuple[Write, Write, dict[str, Any], str]] = [
    (granting, spending, {}, "operation"),
    (granting, adjusting, {"signed_amount": 4}, "operation"),
    (spending, moving, {}, "operation"),
    (granting, granting, {"kind": "bonus"}, "kind"),
    (granting, granting, {"kind": "bonus", "amount": 5}, "kind"),
    (moving, moving, {"target": "cid"}, "target"),
    (moving, moving, {"target": "cid", "amount": 5}, "target"),
    (moving, moving, {"amount": 5}, "amount"),
    (granting, granting, {"amount": 5}, "amount"),
    (spending, spending, {"amount": 3}, "amount"),
    (adjusting, adjusting, {"signed_amount": 4}, "amount"),
    (spending, spending, {"up_to": True}, "up_to"),
    (spending, spending, {"up_to": True, "amount": 5}, "amount"),
    (spending_up_to, spending_up_to, {"up_to": False}, "up_to"),
    (spending_up_to, spending_up_to, {"amount": 10}, "amount"),
    (opening, opening, {"initial": 5}, "amount"),
    (opening, opening, {"overdraft_limit": 5}, "overdraft_limit"),
    (opening, opening, {"overdraft_limit": None}, "overdraft_limit"),
    (opening, granting, {}, "opened"),
]


def test_a_key_stands_for_one_command(ledger: Ledger, caller: Caller, subtests: pytest.Subtests) -> None:
    """Another command under a known key is refused, names the first field that differs, and changes nothing."""
    for number, (first, then, asked, field) in enumerate(DIFFERENT):
        with subtests.test(first=first.__name__, then=then.__name__, **asked):
            key = f"k{number}"
            ledger.grant("ada", 100)
            receipt = first(ledger, idempotency_key=key, **({"owner": key} if first is opening else {}))
            before = caller.rows()

            with pytest.raises(IdempotencyMismatch) as refused:
                then(ledger, idempotency_key=key, **({"owner": key} if first is opening else {}), **asked)

            assert (refused.value.owner, refused.value.field) == (receipt.owner, field)
            assert caller.rows() == before


def test_a_kind_said_out_loud_is_the_same_kind(ledger: Ledger) -> None:
    """The default kind is the operation's name, said or not."""
    first = ledger.grant("ada", 1, idempotency_key="k")

    assert ledger.grant("ada", 1, idempotency_key="k", kind="grant") == replace(first, replayed=True)


def test_keys_are_scoped_to_the_account(ledger: Ledger) -> None:
    """The same key in another owner's account stands for another command."""
    ledger.grant("ada", 1, idempotency_key="k")

    assert not ledger.grant("bob", 2, idempotency_key="k").replayed
    assert ledger.balance("bob").posted == 2


def test_a_transfer_is_keyed_on_its_source(ledger: Ledger) -> None:
    """A transfer uses up its key in the source's account only."""
    paid = ledger.transfer("ada", "bob", 4, idempotency_key="k")

    assert ledger.find("bob", "k") is None
    assert ledger.find("ada", "k") == ledger.entry(paid.entry_id)
    assert not ledger.transfer("bob", "ada", 4, idempotency_key="k").replayed
    assert ledger.balance("bob").posted == 0


def test_a_refusal_is_not_remembered(ledger: Ledger) -> None:
    """A key whose command was refused is free: nothing happened under it."""
    for _ in range(2):
        with pytest.raises(InsufficientCredit):
            ledger.spend("ada", 11, idempotency_key="k")
    with pytest.raises(AccountNotFound):
        ledger.spend("dan", 1, idempotency_key="k")
    assert ledger.find("ada", "k") is None

    assert not ledger.spend("ada", 2, idempotency_key="k").replayed
    assert not ledger.grant("dan", 1, idempotency_key="k").replayed


def test_a_repeat_needs_no_credit(ledger: Ledger) -> None:
    """A repeat is answered though the credit for it is long gone."""
    first = ledger.spend("ada", 10, idempotency_key="k")

    assert ledger.spend("ada", 10, idempotency_key="k") == replace(first, replayed=True)


@pytest.mark.parametrize("status", [Status.FROZEN, Status.CLOSED])
def test_a_repeat_needs_no_open_account(caller: Caller, status: Status) -> None:
    """A repeat is answered by an account that is frozen or closed, and a new command is refused there."""
    ledger = caller.ledger()
    ledger.grant("ada", 10)
    first = ledger.spend("ada", 10, idempotency_key="k")
    caller.set_status("ada", status)

    assert ledger.spend("ada", 10, idempotency_key="k") == replace(first, replayed=True)
    with pytest.raises((AccountFrozen, AccountClosed)):
        ledger.spend("ada", 10, idempotency_key="another")


ALIKE = [
    ("k", "K"),
    ("k", "k "),
    ("k", " k"),
    ("é", "e\u0301"),
    ("ß", "ss"),
    ("%", "_"),
    ("a" * 255, "a" * 254 + "b"),
    ("'", "''"),
    ("\\", "\\\\"),
    ("1", "01"),
    ("😀", "😁"),
    ("\u200b", "\u200c"),
]


def test_keys_compare_byte_by_byte(ledger: Ledger, subtests: pytest.Subtests) -> None:
    """Keys that differ in a single byte are two keys, and each is found as it was written."""
    for one, another in ALIKE:
        with subtests.test(one=one, another=another):
            owner = f"{one[:1]} and {another[:1]}"
            receipts = [ledger.grant(owner, 1, idempotency_key=key) for key in (one, another)]

            assert [receipt.replayed for receipt in receipts] == [False, False]
            for key, receipt in zip((one, another), receipts, strict=True):
                found = ledger.find(owner, key)
                assert found is not None
                assert (found.entry_id, found.idempotency_key) == (receipt.entry_id, key)


def test_find_knows_only_what_happened_here(ledger: Ledger) -> None:
    """A key that made no entry in this account of this book and asset is not found."""
    ledger.grant("ada", 1, idempotency_key="k")

    assert ledger.find("ada", "K") is None
    assert ledger.find("bob", "k") is None
    assert ledger.find("nobody", "k") is None
    assert ledger.for_book("shop").find("ada", "k") is None
    assert ledger.for_asset("seat").find("ada", "k") is None


def test_a_repeat_is_known_to_whoever_calls(ledger: Ledger, caller: Caller, committed: Ledger) -> None:
    """A key that one caller used is known to every other once it is committed."""
    first = ledger.spend("ada", 1, idempotency_key="k")
    caller.settle()

    assert committed.spend("ada", 1, idempotency_key="k") == replace(first, replayed=True)
