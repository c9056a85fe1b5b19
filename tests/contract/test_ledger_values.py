"""Values: what the ledger returns cannot be changed, and can be copied, pickled and written as JSON."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from pydantic import TypeAdapter

from pluct_ledger import Account, Balance, Entry, Finding, Ledger, Page, Receipt, VerifyReport
from pluct_ledger.storage.schema import tables_in
from tests.contract.callers import Caller

ENTRY = tables_in(None).entry


@pytest.fixture
def values(caller: Caller) -> list[tuple[Any, Any]]:
    """Every value that a ledger returns, with its type."""
    ledger = caller.ledger()
    account = ledger.open_account(
        "ada", initial=5, metadata={"plan": ["gold", {"seats": 1.5}]}, overdraft_limit=None
    )
    ledger.open_account("bob")
    paid = ledger.transfer(
        "ada",
        "bob",
        2,
        idempotency_key="k",
        reason="é😀",
        metadata={"a": [None, True]},
        event_at=caller.clock(),
    )
    ledger.spend("bob", 9, up_to=True)
    caller.tamper(ENTRY.update().where(ENTRY.c.seq == 1).values(kind="other"))
    return [
        (Account, account),
        (Receipt, paid),
        (Receipt, ledger.transfer("ada", "bob", 2, idempotency_key="k")),
        (Entry, ledger.entry(paid.entry_id)),
        (Balance, ledger.balance("bob")),
        (Page[Entry], ledger.entries(limit=2)),
        (Page[Entry], ledger.entries("ada")),
        (Page[Account], ledger.accounts(limit=1)),
        (VerifyReport, report := ledger.verify()),
        (Finding, report.findings[0]),
    ]


def test_values_cannot_be_changed(values: list[tuple[Any, Any]]) -> None:
    """No field of a value can be set or deleted, and none can be added."""
    for _, value in values:
        for name in [field.name for field in fields(value)]:
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, None)
            with pytest.raises(FrozenInstanceError):
                delattr(value, name)
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            value.another = 1
        assert not hasattr(value, "__dict__")


def test_values_are_written_as_json_and_read_back(values: list[tuple[Any, Any]]) -> None:
    """Pydantic's TypeAdapter writes every value as JSON and reads the same value from it."""
    for kind, value in values:
        adapter = TypeAdapter(kind)
        assert adapter.validate_json(adapter.dump_json(value)) == value
        assert set(adapter.dump_python(value)) == {field.name for field in fields(value)}
        assert adapter.json_schema()["type"] == "object"


def test_values_are_copied_and_pickled(values: list[tuple[Any, Any]]) -> None:
    """A copy of a value and what comes out of a pickle of it are equal to it."""
    for _, value in values:
        for same in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):  # noqa: S301 - our own pickle
            assert same == value
            assert type(same) is type(value)


def test_a_page_is_read_like_a_list(ledger: Ledger) -> None:
    """A page is iterated, counted and indexed like the list of its items."""
    for amount in (1, 2, 3):
        ledger.grant("ada", amount)

    page = ledger.entries("ada", limit=2)

    assert [entry.amount for entry in page] == [entry.amount for entry in page.items] == [3, 2]
    assert (len(page), page[0].amount, page[-1].amount) == (2, 3, 2)
    assert [entry.amount for entry in page.all()] == [3, 2, 1]
    assert [entry.amount for entry in page.all()] == [3, 2, 1]
