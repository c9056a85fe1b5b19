"""Hooks: told of what a commit of the ledger's own made, and of nothing else."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pluct_ledger import InsufficientCredit, Ledger, Receipt
from pluct_ledger.commands import Issue, Spend
from tests.contract.callers import rows_of


@pytest.fixture
def told() -> list[tuple[Receipt, ...]]:
    """What the hook was called with."""
    return []


@pytest.fixture
def ledger(engine: Engine, told: list[tuple[Receipt, ...]]) -> Ledger:
    """A ledger with a hook."""
    return Ledger(engine, hooks=[told.append])


def test_a_hook_is_told_of_each_commit(ledger: Ledger, told: list[tuple[Receipt, ...]]) -> None:
    """After each write of its own a ledger tells its hooks the receipts, those of a batch together."""
    first = ledger.grant("ada", 5)
    opened = ledger.open_account("bob", initial=1)
    batch = ledger.apply_many([Spend("ada", 1), Spend("ada", 9), Issue("bob", 2)])

    assert told == [(first,), (opened.receipt,), (batch[0], batch[2])]


def test_a_hook_sees_what_was_committed(engine: Engine) -> None:
    """When a hook is called, everyone sees what it is told of."""
    seen = []
    watcher = Ledger(engine)
    ledger = Ledger(engine, hooks=[lambda receipts: seen.append(watcher.entry(receipts[0].entry_id).amount)])

    ledger.grant("ada", 5)

    assert seen == [5]


def test_a_hook_is_not_told_where_nothing_was_made(ledger: Ledger, told: list[tuple[Receipt, ...]]) -> None:
    """Repeats, refusals and accounts without an entry are nothing to tell."""
    ledger.grant("ada", 5, idempotency_key="k")
    told.clear()

    ledger.grant("ada", 5, idempotency_key="k")
    ledger.open_account("bob")
    ledger.apply_many([Issue("ada", 5, idempotency_key="k"), Spend("ada", 9)])
    with pytest.raises(InsufficientCredit):
        ledger.spend("ada", 9)
    with pytest.raises(InsufficientCredit):
        ledger.apply_many([Issue("ada", 1), Spend("ada", 9)], atomic=True)

    assert told == []


def test_a_hook_is_not_told_of_the_hosts_transactions(
    engine: Engine, ledger: Ledger, told: list[tuple[Receipt, ...]]
) -> None:
    """In a borrowed transaction nothing is sure before the host's commit, so no hook is called, then or later."""
    with Session(engine) as session, session.begin():
        ledger.using(session).grant("ada", 5)

    assert told == []
    assert ledger.balance("ada").posted == 5


def test_hooks_go_along_to_other_books(ledger: Ledger, told: list[tuple[Receipt, ...]]) -> None:
    """A ledger for another book or asset tells the same hooks."""
    ledger.for_book("shop").for_asset("seat").grant("ada", 5)

    assert [(receipt.book, receipt.asset) for (receipt,) in told] == [("shop", "seat")]


def test_a_hook_that_fails_undoes_nothing(
    engine: Engine, told: list[tuple[Receipt, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    """A hook's failure is logged, the write stands, its receipt is returned, and the next hook is called."""

    def fail(receipts: tuple[Receipt, ...]) -> None:
        raise ZeroDivisionError(receipts)

    ledger = Ledger(engine, hooks=[fail, told.append])

    with caplog.at_level(logging.ERROR, logger="pluct_ledger"):
        receipt = ledger.grant("ada", 5)

    assert told == [(receipt,)]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]
    with engine.connect() as connection:
        assert len(rows_of(connection)["pluct_entry"]) == 1
