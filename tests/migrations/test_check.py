"""`check`, and what a release does with the tables of another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, inspect, text

from pluct_ledger import InvalidArgument, SchemaMismatch, migrations
from tests.migrations.catalog import catalog

Fresh = Callable[[], Engine]
Release = Callable[[str], None]


def test_an_empty_database_is_told(fresh_database: Fresh) -> None:
    """Where there are no tables of ours, nothing is found and the release says what it needs."""
    with pytest.raises(SchemaMismatch) as mismatch:
        migrations.check(fresh_database())
    assert mismatch.value.facts == {"expected": "0001", "found": None}


def test_a_migrated_database_passes(engine: Engine) -> None:
    """On the tables of its own release a check says nothing, on an engine and on a connection."""
    migrations.check(engine)
    with engine.connect() as connection:
        migrations.check(connection)
        assert not connection.in_transaction()


def test_tables_of_the_release_before_are_told(fresh_database: Fresh, release: Release) -> None:
    """A release that needs more than is there says what it found."""
    engine = fresh_database()
    migrations.upgrade(engine)
    release("0002")
    with pytest.raises(SchemaMismatch) as mismatch:
        migrations.check(engine)
    assert mismatch.value.facts == {"expected": "0002", "found": "0001"}


def test_the_tables_of_the_next_release_will_do(fresh_database: Fresh, release: Release) -> None:
    """While a deployment rolls, the release before finds the new tables good, and its upgrade changes nothing."""
    engine = fresh_database()
    release("0002")
    migrations.upgrade(engine)
    before = catalog(engine)

    release("0001")
    migrations.check(engine)
    assert migrations.upgrade(engine) == ()
    assert catalog(engine) == before


def test_tables_that_left_a_release_behind_are_told(fresh_database: Fresh, release: Release) -> None:
    """Two releases ahead a check fails, and an upgrade and a downgrade refuse to touch what they don't know."""
    engine = fresh_database()
    release("0003")
    migrations.upgrade(engine)
    before = catalog(engine)

    release("0001")
    for call in (
        lambda: migrations.check(engine),
        lambda: migrations.upgrade(engine),
        lambda: migrations.downgrade(engine, to="base"),
    ):
        with pytest.raises(SchemaMismatch) as mismatch:
            call()
        assert mismatch.value.facts == {"expected": "0001", "found": "0003"}
    assert catalog(engine) == before


def test_a_release_goes_on_from_where_the_last_one_stood(fresh_database: Fresh, release: Release) -> None:
    """From any release to any later one only what is missing is run, and back again by the same steps."""
    engine = fresh_database()
    migrations.upgrade(engine)
    first = catalog(engine)

    release("0003")
    assert migrations.upgrade(engine, to="0002") == ("0002",)
    assert migrations.upgrade(engine) == ("0003",)
    assert migrations.upgrade(engine, to="0001") == ()
    assert migrations.downgrade(engine, to="0003") == ()
    assert migrations.downgrade(engine, to="0001") == ("0003", "0002")
    assert catalog(engine) == first
    migrations.upgrade(engine)
    assert migrations.downgrade(engine, to="base") == ("0003", "0002", "0001")
    assert not inspect(engine).get_table_names()


def test_a_cut_off_migration_is_told(fresh_database: Fresh) -> None:
    """Tables without a version are not good enough, though they may all be there."""
    engine = fresh_database()
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM pluct_meta"))
    with pytest.raises(SchemaMismatch) as mismatch:
        migrations.check(engine)
    assert mismatch.value.found is None


def test_a_lost_version_table_is_made_again(fresh_database: Fresh) -> None:
    """Without our version table, or with another number in it, an upgrade runs nothing and writes it anew."""
    engine = fresh_database()
    migrations.upgrade(engine)
    before = catalog(engine)
    for loss in (
        "DROP TABLE pluct_ledger_alembic_version",
        "DELETE FROM pluct_ledger_alembic_version",
        "UPDATE pluct_ledger_alembic_version SET version_num = '0000'",
    ):
        with engine.begin() as connection:
            connection.execute(text(loss))
        migrations.check(engine)
        assert migrations.upgrade(engine) == ()
        assert catalog(engine) == before
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT version_num FROM pluct_ledger_alembic_version")).all()
        assert rows == [("0001",)]


def test_tables_removed_by_hand_come_again(fresh_database: Fresh) -> None:
    """Where our tables were dropped and the version table forgotten, an upgrade makes them again."""
    engine = fresh_database()
    migrations.upgrade(engine)
    before = catalog(engine)
    tables = inspect(engine).get_table_names()
    with engine.begin() as connection:
        for table in tables:
            if table != "pluct_ledger_alembic_version":
                connection.execute(text(f"DROP TABLE {table}"))

    assert migrations.upgrade(engine) == ("0001",)
    assert catalog(engine) == before


@pytest.mark.parametrize("bind", [None, "sqlite://"])
def test_a_check_needs_a_database(bind: object) -> None:
    """What is neither an engine nor a connection is refused."""
    with pytest.raises(InvalidArgument) as refused:
        migrations.check(bind)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.argument == "bind"
