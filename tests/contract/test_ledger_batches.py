"""Batches: many commands in one transaction, each with its own outcome, or all of them or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from pluct_ledger import (
    AccountNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    Receipt,
)
from pluct_ledger.commands import Adjust, Command, Issue, Spend, Transfer
from pluct_ledger.domain.commands import OpenAccount, Write
from pluct_ledger.errors import Refused
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock
from tests.contract.callers import Caller, counted_statements


@pytest.mark.parametrize(
    ("command", "method", "arguments"),
    [
        (Issue("ada", 4), "grant", {"owner": "ada", "amount": 4}),
        (Spend("ada", 4), "spend", {"owner": "ada", "amount": 4}),
        (Spend("ada", 40, up_to=True), "spend", {"owner": "ada", "amount": 40, "up_to": True}),
        (Transfer("ada", "bob", 4), "transfer", {"source": "ada", "target": "bob", "amount": 4}),
        (Adjust("ada", -4, reason="x"), "adjust", {"owner": "ada", "signed_amount": -4, "reason": "x"}),
    ],
    ids=["grant", "spend", "spend up to", "transfer", "adjust"],
)
def test_applying_a_command_is_calling_its_method(
    ledger: Ledger, command: Command, method: str, arguments: dict[str, Any]
) -> None:
    """A command that is applied does what the method of the same name and arguments does."""
    receipts = []
    for book in ("called", "applied"):
        on = ledger.for_book(book)
        on.open_account("bob")
        on.grant("ada", 10)
        receipts.append(getattr(on, method)(**arguments) if book == "called" else on.apply(command))

    called, applied = receipts
    same = {"book", "entry_id", "account_id", "counterpart_entry_id"}
    assert replace(applied, **{name: getattr(called, name) for name in same}) == called


def test_each_command_has_its_outcome(
    ledger: Ledger, caller: Caller, committed: Ledger, clock: FrozenClock
) -> None:
    """A batch returns a receipt or a refusal for each command in order, and what was refused did nothing."""
    outcomes = ledger.apply_many(
        [
            Issue("ada", 10),
            Spend("bob", 1),
            Spend("ada", 11),
            Issue("bob", 1),
            Transfer("ada", "bob", 4),
            Spend("bob", 5),
            Spend("bob", 1, up_to=True),
            Adjust("ada", -7, reason="counted"),
        ]
    )
    caller.settle()

    kinds = [outcome.operation if isinstance(outcome, Receipt) else type(outcome) for outcome in outcomes]
    assert kinds == [
        "grant",
        AccountNotFound,
        InsufficientCredit,
        "grant",
        "transfer",
        "spend",
        InsufficientCredit,
        "adjust",
    ]
    assert [outcome.index for outcome in outcomes if isinstance(outcome, Refused)] == [1, 2, 6]
    assert [(entry.seq, entry.amount, entry.posted_after) for entry in committed.entries("ada")] == [
        (3, -7, -1),
        (2, -4, 6),
        (1, 10, 10),
    ]
    assert [entry.amount for entry in committed.entries("bob")] == [-5, 4, 1]
    assert {entry.at for entry in committed.entries()} == {clock()}


def test_later_commands_see_what_earlier_ones_did(ledger: Ledger) -> None:
    """In one batch credit can be granted, handed on and spent by an owner who had no account before."""
    outcomes = ledger.apply_many(
        [
            Issue("bob", 1),
            Issue("ada", 5),
            Transfer("ada", "bob", 5),
            Transfer("bob", "ada", 6),
            Spend("ada", 6),
            Spend("ada", 1),
        ]
    )

    assert [outcome.posted_after for outcome in outcomes if isinstance(outcome, Receipt)] == [1, 5, 0, 0, 0]
    assert isinstance(outcomes[-1], InsufficientCredit)


def test_receipts_of_a_batch_are_those_of_its_entries(ledger: Ledger) -> None:
    """Every receipt of a batch tells of its own entry, though several are of one account."""
    receipts = ledger.apply_many(Issue("ada", amount) for amount in (1, 2, 3))

    assert [receipt.posted_after for receipt in receipts if isinstance(receipt, Receipt)] == [1, 3, 6]
    for receipt in receipts:
        assert isinstance(receipt, Receipt)
        entry = ledger.entry(receipt.entry_id)
        assert (entry.amount, entry.posted_after) == (receipt.amount, receipt.posted_after)


def test_a_key_stands_for_one_command_within_a_batch(ledger: Ledger, caller: Caller) -> None:
    """The same key twice in a batch is one entry: the second command is a repeat, or a mismatch."""
    first, again, other = ledger.apply_many(
        [
            Issue("ada", 5, idempotency_key="k"),
            Issue("ada", 5, idempotency_key="k"),
            Issue("ada", 6, idempotency_key="k"),
        ]
    )

    assert isinstance(first, Receipt)
    assert again == replace(first, replayed=True)
    assert isinstance(other, IdempotencyMismatch)
    assert (other.field, other.index) == ("amount", 2)
    assert ledger.account("ada").entry_count == 1


def test_a_batch_that_is_sent_again_moves_nothing(ledger: Ledger, caller: Caller, clock: FrozenClock) -> None:
    """A batch of keyed commands can be sent again whole, and tells what it did the first time."""
    commands: list[Command] = [
        Issue("ada", 10, idempotency_key="1"),
        Issue("bob", 1, idempotency_key="1"),
        Spend("ada", 4, idempotency_key="2"),
        Transfer("ada", "bob", 6, idempotency_key="3"),
    ]
    first = ledger.apply_many(commands)
    before = caller.rows()
    clock.advance(timedelta(days=1))

    again = ledger.apply_many(commands)

    assert again == [replace(receipt, replayed=True) for receipt in first if isinstance(receipt, Receipt)]
    assert caller.rows() == before


def test_half_a_batch_that_is_known_is_completed(ledger: Ledger) -> None:
    """Commands of a batch that are known are repeats, and the others are done."""
    ledger.grant("ada", 10, idempotency_key="1")

    outcomes = ledger.apply_many(
        [Issue("ada", 10, idempotency_key="1"), Spend("ada", 3, idempotency_key="2")], atomic=True
    )

    assert [outcome.replayed for outcome in outcomes if isinstance(outcome, Receipt)] == [True, False]
    assert ledger.balance("ada").posted == 7


def test_an_atomic_batch_is_all_or_nothing(ledger: Ledger, caller: Caller) -> None:
    """The first refusal of an atomic batch is raised with its place, and nothing of the batch is left."""
    ledger.grant("ada", 5)
    before = caller.rows()

    with pytest.raises(InsufficientCredit) as refused:
        ledger.apply_many(
            [Issue("bob", 1), Spend("ada", 5), Spend("ada", 1), Spend("nobody", 1)], atomic=True
        )

    assert (refused.value.owner, refused.value.index) == ("ada", 2)
    assert caller.rows() == before
    done = ledger.apply_many([Issue("bob", 1), Spend("ada", 5)], atomic=True)
    assert [outcome.amount for outcome in done if isinstance(outcome, Receipt)] == [1, -5]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_of_one_is_a_batch(ledger: Ledger, *, atomic: bool) -> None:
    """Alone in its batch, a command has its outcome and its place like any other."""
    (receipt,) = ledger.apply_many([Issue("ada", 1)], atomic=atomic)
    assert isinstance(receipt, Receipt)

    refusal: Refused | Receipt
    try:
        (refusal,) = ledger.apply_many([Spend("ada", 2)], atomic=atomic)
    except InsufficientCredit as raised:
        refusal = raised

    assert isinstance(refusal, InsufficientCredit)
    assert refusal.index == 0


def test_nothing_to_do_is_done_without_a_statement(ledger: Ledger, caller: Caller) -> None:
    """An empty batch returns no outcome and asks the database nothing."""
    with counted_statements(caller.engine) as sent:
        assert ledger.apply_many([]) == []
        assert ledger.apply_many(iter(()), atomic=True) == []

    assert sent == []


WRONG: list[Any] = [
    Spend("ada", 0),
    Spend("", 1),
    Issue("ada", 1, kind="Not a kind"),
    Transfer("ada", "ada", 1),
    Adjust("ada", 1),
    OpenAccount("eve"),
    Write(),
    ("spend", "ada", 1),
    "spend",
    None,
]


def test_a_batch_with_a_wrong_command_is_not_begun(ledger: Ledger, caller: Caller) -> None:
    """One wrong command makes the whole batch an invalid argument, named by its place, before any statement."""
    with counted_statements(caller.engine) as sent:
        for wrong in WRONG:
            with pytest.raises(InvalidArgument) as refused:
                ledger.apply_many([Issue("ada", 1), wrong, Spend("ada", 0)])
            assert refused.value.index == 1

    assert sent == []


def test_only_commands_are_applied(ledger: Ledger, caller: Caller) -> None:
    """What is none of the public commands is an invalid argument, before any statement."""
    with counted_statements(caller.engine) as sent:
        for wrong in WRONG[-5:]:
            with pytest.raises(InvalidArgument) as refused:
                ledger.apply(wrong)
            assert (refused.value.argument, refused.value.index) == ("command", None)

    assert sent == []


def test_statements_do_not_grow_with_the_batch(ledger: Ledger, caller: Caller) -> None:
    """A batch over a hundred accounts takes as many statements as one over ten: each beat is one."""
    lengths = []
    sent: list[object] = []
    with watch_statements(lambda _connection, statement: sent.append(statement)):
        for count in (10, 100):
            commands = [Issue(f"{count} {number}", 5, idempotency_key="k") for number in range(count)]
            before = len(sent)
            ledger.apply_many(commands)
            ledger.apply_many(commands)
            ledger.apply_many(Spend(f"{count} {number}", 1) for number in range(count))
            lengths.append(len(sent) - before)
            caller.settle()

    assert 0 < lengths[0] == lengths[1]


def test_ten_thousand_commands_are_a_batch_and_one_more_is_not(engine: Engine) -> None:
    """The largest batch is done whole, and a larger one is refused before any statement."""
    ledger = Ledger(engine)
    commands = [Issue(f"owner {number % 50}", number + 1) for number in range(10_000)]

    with counted_statements(engine) as sent, pytest.raises(InvalidArgument) as refused:
        ledger.apply_many([*commands, Spend("owner 0", 1)])
    assert (refused.value.argument, sent) == ("commands", [])

    receipts = ledger.apply_many(commands, atomic=True)

    assert len(receipts) == 10_000
    balances = ledger.balances(f"owner {number}" for number in range(50))
    assert sum(balance.posted for balance in balances.values()) == sum(range(10_001))
    assert ledger.account("owner 7").entry_count == 200
