"""Where our tables are missing: told as such, in our own transactions and in the host's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pluct_ledger import Ledger, SchemaMismatch
from pluct_ledger.commands import Issue

CALLS: list[Callable[[Ledger], object]] = [
    lambda on: on.open_account("ada"),
    lambda on: on.grant("ada", 1),
    lambda on: on.spend("ada", 1),
    lambda on: on.apply_many([Issue("ada", 1), Issue("bob", 1)]),
    lambda on: on.balance("ada"),
    lambda on: on.accounts(),
    lambda on: on.entries(),
    lambda on: on.entries("ada"),
    lambda on: on.find("ada", "k"),
    lambda on: on.entry("0" * 32 + ".1"),
    lambda on: on.verify(),
]


def test_a_database_without_our_tables_is_named_as_one(
    fresh_database: Callable[[], Engine], subtests: pytest.Subtests
) -> None:
    """Every call on a database in which no migration ran is a schema mismatch, by whichever way it came."""
    engine = fresh_database()
    for number, call in enumerate(CALLS):
        with subtests.test(number=number):
            with pytest.raises(SchemaMismatch) as mismatch:
                call(Ledger(engine))
            assert (mismatch.value.expected, mismatch.value.found) == ("0001", None)
            with Session(engine) as session, pytest.raises(SchemaMismatch):
                call(Ledger(engine).using(session))
            with engine.connect() as connection, pytest.raises(SchemaMismatch):
                call(Ledger(engine).using(connection))
