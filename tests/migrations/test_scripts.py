"""The road of database administrators: a script, run by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, inspect, text

from pluct_ledger import InvalidArgument, migrations
from pluct_ledger.storage.schema import table_names
from tests.migrations.catalog import catalog
from tests.migrations.scripts import run_script

Fresh = Callable[[], Engine]
Release = Callable[[str], None]

DIALECT = {"sqlite": "sqlite", "postgres": "postgresql", "mariadb": "mariadb"}


def test_a_script_does_all_that_an_upgrade_does(lane: str, fresh_database: Fresh) -> None:
    """After the script the catalog is the upgrade's, a check passes, and an upgrade finds nothing to do."""
    by_script, by_upgrade = fresh_database(), fresh_database()
    run_script(by_script, migrations.sql(DIALECT[lane]))
    migrations.upgrade(by_upgrade)

    assert catalog(by_script) == catalog(by_upgrade)
    migrations.check(by_script)
    assert migrations.upgrade(by_script) == ()


def test_a_script_may_be_run_again(lane: str, fresh_database: Fresh) -> None:
    """Run twice, as after a connection that was lost, a script changes nothing."""
    engine = fresh_database()
    run_script(engine, migrations.sql(DIALECT[lane]))
    before = catalog(engine)
    run_script(engine, migrations.sql(DIALECT[lane]))
    assert catalog(engine) == before
    migrations.check(engine)


def test_a_script_for_the_next_release(lane: str, fresh_database: Fresh, release: Release) -> None:
    """From the schema version that it is told a script holds what is missing, and none where nothing is."""
    engine = fresh_database()
    run_script(engine, migrations.sql(DIALECT[lane]))
    release("0003")
    script = migrations.sql(DIALECT[lane], since="0001", to="0003")
    run_script(engine, script)

    assert "pluct_account" not in script
    migrations.check(engine)
    assert migrations.upgrade(engine) == ()
    assert not migrations.sql(DIALECT[lane], since="0003")


@pytest.mark.lanes("postgres", because="only PostgreSQL has schemas")
def test_a_script_for_a_schema(fresh_database: Fresh) -> None:
    """Asked for a schema, the script creates it and all tables in it."""
    engine = fresh_database()
    run_script(engine, migrations.sql("postgresql", schema="ledger"))

    migrations.check(engine, schema="ledger")
    assert migrations.upgrade(engine, schema="ledger") == ()
    assert set(inspect(engine).get_table_names(schema="ledger")) == table_names()
    assert not inspect(engine).get_table_names()


@pytest.mark.lanes("sqlite", "postgres", because="MariaDB commits around each CREATE TABLE")
def test_a_script_is_one_transaction(lane: str, fresh_database: Fresh) -> None:
    """A script that fails half-way leaves nothing."""
    engine = fresh_database()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE pluct_token (other INTEGER)"))
    with pytest.raises(Exception, match="expires_at"):
        run_script(engine, migrations.sql(DIALECT[lane]))
    engine.dispose()
    assert inspect(engine).get_table_names() == ["pluct_token"]


@pytest.mark.parametrize("dialect", DIALECT.values())
def test_a_script_is_safe_to_split(dialect: str) -> None:
    """A semicolon ends a statement and its line and stands nowhere else, and no placeholder is left."""
    script = migrations.sql(dialect)
    assert re.findall(r";(?!\n)", script) == []
    assert re.findall(r"%|:\w|\?", script.split("\n", 1)[1]) == []
    assert script == migrations.sql(dialect)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: migrations.sql("oracle"), "dialect"),
        (lambda: migrations.sql("mysql"), "dialect"),
        (lambda: migrations.sql("sqlite", to="9999"), "to"),
        (lambda: migrations.sql("sqlite", since="9999"), "since"),
        (lambda: migrations.sql("sqlite", schema="ledger"), "schema"),
        (lambda: migrations.sql("mariadb", schema="ledger"), "schema"),
        (lambda: migrations.sql("postgresql", schema=""), "schema"),
    ],
    ids=["oracle", "mysql", "to", "since", "sqlite schema", "mariadb schema", "empty schema"],
)
def test_what_cannot_be_written_is_refused(call: Callable[[], str], argument: str) -> None:
    """A script for an unknown dialect, revision or schema is refused by name."""
    with pytest.raises(InvalidArgument) as refused:
        call()
    assert refused.value.argument == argument
