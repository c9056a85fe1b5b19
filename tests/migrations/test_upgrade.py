"""Road (b): `upgrade(engine)` at start-up."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, inspect

from pluct_ledger import migrations
from pluct_ledger.storage.schema import table_names


def test_an_empty_database_gets_all_tables_once(fresh_database: Callable[[], Engine]) -> None:
    """The first upgrade makes all tables, and the second finds nothing to do."""
    engine = fresh_database()

    assert migrations.upgrade(engine) == ("0001",)
    assert migrations.upgrade(engine) == ()

    assert set(inspect(engine).get_table_names()) == table_names()
    migrations.check(engine)
    assert migrations.downgrade(engine, to="base") == ("0001",)
    assert not inspect(engine).get_table_names()
