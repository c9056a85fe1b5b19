"""The road of a host with an alembic history of its own: our tables come and go in its revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from pluct_ledger import InvalidArgument, migrations
from pluct_ledger.storage.schema import VERSION_TABLE, table_names
from tests.migrations.catalog import catalog, nothing_is_left
from tests.migrations.scripts import run_script

Fresh = Callable[[], Engine]
Release = Callable[[str], None]

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}


@contextmanager
def revision_of_a_host(engine: Engine, **options: Any) -> Iterator[None]:
    """As if a revision of the host were running on the database."""
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts=options)
        with Operations.context(context):
            yield


@contextmanager
def offline_revision_of_a_host(engine: Engine, **options: Any) -> Iterator[StringIO]:
    """As if a revision of the host were running offline, writing a script."""
    script = StringIO()
    options = {"as_sql": True, "output_buffer": script, "literal_binds": True, **options}
    context = MigrationContext.configure(dialect=engine.dialect, opts=options)
    with Operations.context(context):
        yield script


def reference(fresh_database: Fresh) -> dict[str, Any]:
    engine = fresh_database()
    migrations.upgrade(engine)
    return catalog(engine, leave_out=(VERSION_TABLE,))


def test_our_tables_come_with_a_revision_of_the_host(fresh_database: Fresh) -> None:
    """A host's revision makes all tables but the version table, which the host's own history stands for."""
    engine = fresh_database()
    with revision_of_a_host(engine):
        assert migrations.upgrade(to="0001") == ("0001",)
        assert migrations.upgrade(to="0001") == ()

    assert set(inspect(engine).get_table_names()) == table_names() - {VERSION_TABLE}
    assert catalog(engine) == reference(fresh_database)
    migrations.check(engine)


def test_our_tables_go_with_a_revision_of_the_host(fresh_database: Fresh) -> None:
    """The way down of a host's revision removes every table, the version table too where an upgrade made one."""
    engine = fresh_database()
    for stamped in (False, True):
        with revision_of_a_host(engine):
            migrations.upgrade(to="0001")
        if stamped:
            migrations.upgrade(engine)
        with revision_of_a_host(engine):
            assert migrations.downgrade(to="base") == ("0001",)
            assert migrations.downgrade(to="base") == ()
        assert nothing_is_left(engine)


def test_a_later_upgrade_stamps_and_never_creates(fresh_database: Fresh) -> None:
    """After a host's revision, `upgrade(engine)` runs nothing and writes the version that it finds."""
    engine = fresh_database()
    with revision_of_a_host(engine):
        migrations.upgrade(to="0001")
    before = catalog(engine)

    assert migrations.upgrade(engine) == ()
    assert catalog(engine, leave_out=(VERSION_TABLE,)) == before
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "0001"


def test_both_roads_in_turn(fresh_database: Fresh, release: Release) -> None:
    """What one road began the other goes on with, and each leaves the version table right where there is one."""
    engine = fresh_database()
    release("0003")
    with revision_of_a_host(engine):
        migrations.upgrade(to="0001")
    assert migrations.upgrade(engine, to="0002") == ("0002",)
    with revision_of_a_host(engine):
        assert migrations.upgrade(to="0003") == ("0003",)
    assert migrations.upgrade(engine) == ()
    with revision_of_a_host(engine):
        assert migrations.downgrade(to="0001") == ("0003", "0002")
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "0001"


def test_the_hosts_operations_go_on(fresh_database: Fresh) -> None:
    """Before and after our call the host's `op` is the host's, in its transaction."""
    engine = fresh_database()
    with revision_of_a_host(engine):
        op.create_table("host_before", sa.Column("id", sa.Integer, primary_key=True))
        migrations.upgrade(to="0001")
        migrations.upgrade(op.get_bind(), to="0001")
        op.create_table("host_after", sa.Column("id", sa.Integer, primary_key=True))
    assert set(inspect(engine).get_table_names()) == table_names() | {"host_before", "host_after"}


def test_a_hosts_naming_convention_is_for_its_own_tables(fresh_database: Fresh) -> None:
    """Under a host's naming convention our constraints and indexes have the names they have everywhere."""
    engine = fresh_database()
    with revision_of_a_host(engine, target_metadata=sa.MetaData(naming_convention=NAMING)):
        migrations.upgrade(to="0001")
    assert catalog(engine) == reference(fresh_database)


@pytest.mark.lanes("postgres", because="only PostgreSQL has schemas")
def test_a_schema_of_their_own(fresh_database: Fresh) -> None:
    """A host's revision puts our tables into a schema, online and offline, and takes them out again."""
    engine = fresh_database()
    with revision_of_a_host(engine):
        migrations.upgrade(to="0001", schema="ledger")
    with offline_revision_of_a_host(engine) as script:
        migrations.upgrade(to="0001", schema="of_the_script")
    run_script(engine, script.getvalue())

    for schema in ("ledger", "of_the_script"):
        migrations.check(engine, schema=schema)
        assert migrations.upgrade(engine, schema=schema) == ()
        with revision_of_a_host(engine):
            migrations.downgrade(to="base", schema=schema)
        assert not inspect(engine).get_table_names(schema=schema)
    assert nothing_is_left(engine)


def test_offline_up_and_down(fresh_database: Fresh) -> None:
    """What an offline run of the host's history writes makes the same tables, and the script of its way down none."""
    engine = fresh_database()
    with offline_revision_of_a_host(engine) as script:
        assert migrations.upgrade(to="0001") == ("0001",)
    run_script(engine, script.getvalue())

    assert catalog(engine) == reference(fresh_database)
    assert migrations.upgrade(engine) == ()

    with offline_revision_of_a_host(engine, starting_rev="a2") as script:
        assert migrations.downgrade(to="base") == ("0001",)
    run_script(engine, script.getvalue())
    assert nothing_is_left(engine)


def test_offline_runs_remember_how_far_they_came(fresh_database: Fresh, release: Release) -> None:
    """Within one offline run each of the host's revisions goes on from where the one before came to."""
    engine = fresh_database()
    release("0003")
    with offline_revision_of_a_host(engine) as script:
        assert migrations.upgrade(to="0001") == ("0001",)
        assert migrations.upgrade(to="0003") == ("0002", "0003")
        assert migrations.upgrade(to="0002") == ()
        assert migrations.downgrade(to="0002") == ("0003",)
        assert migrations.upgrade(to="head") == ("0003",)
    run_script(engine, script.getvalue())
    migrations.check(engine)

    with offline_revision_of_a_host(engine, starting_rev="a9") as script:
        assert migrations.downgrade(to="0002") == ("0003",)
        assert migrations.downgrade(to="base") == ("0002", "0001")
    run_script(engine, script.getvalue())
    assert nothing_is_left(engine)


def test_an_offline_run_from_the_middle_is_told_where_it_starts(
    fresh_database: Fresh, release: Release
) -> None:
    """An offline run that begins after the host's first revision of ours starts where `since` says."""
    engine = fresh_database()
    migrations.upgrade(engine)
    release("0003")
    with offline_revision_of_a_host(engine, starting_rev="a2") as script:
        assert migrations.upgrade(to="0002", since="0001") == ("0002",)
        assert migrations.upgrade(to="0003", since="0002") == ("0003",)
    run_script(engine, script.getvalue())
    migrations.check(engine)

    with offline_revision_of_a_host(engine, starting_rev="a4") as script:
        assert migrations.downgrade(to="0001", since="0002") == ("0002",)
    assert "pluct_last" not in script.getvalue()


@pytest.mark.lanes("sqlite", because="what a script begins with is decided before any database is known")
def test_an_offline_run_does_not_guess(fresh_database: Fresh, release: Release) -> None:
    """Where several starts are possible and none was named, an offline run is refused and writes nothing."""
    engine = fresh_database()
    release("0003")
    with offline_revision_of_a_host(engine, starting_rev="a2") as script:
        for call in (migrations.upgrade, migrations.downgrade):
            with pytest.raises(InvalidArgument) as refused:
                call(to="0001" if call is migrations.downgrade else "0002")
            assert refused.value.argument == "since"
    assert not script.getvalue()


@pytest.mark.lanes("sqlite", because="no database is asked")
def test_offline_runs_are_apart(fresh_database: Fresh) -> None:
    """A second offline run begins from the beginning again, whatever the first one wrote."""
    engine = fresh_database()
    for _ in range(2):
        with offline_revision_of_a_host(engine):
            assert migrations.upgrade(to="0001") == ("0001",)


def host_metadata() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "host_order",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer", sa.String(64), index=True),
    )
    return metadata


def test_autogenerate_of_a_host_leaves_our_tables_alone(fresh_database: Fresh) -> None:
    """With `include_name` a host's autogenerate proposes its own changes only; without, it would drop our tables."""
    engine = fresh_database()
    metadata = host_metadata()
    metadata.create_all(engine)
    migrations.upgrade(engine)
    later = host_metadata()
    sa.Table("host_invoice", later, sa.Column("id", sa.Integer, primary_key=True))

    def proposals(target: sa.MetaData, **options: Any) -> list[Any]:
        with engine.connect() as connection:
            found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), target)
        return found

    assert proposals(metadata, include_name=migrations.include_name) == []
    assert [(kind, table.name) for kind, table in proposals(later, include_name=migrations.include_name)] == [
        ("add_table", "host_invoice")
    ]
    dropped = {proposal[1].name for proposal in proposals(metadata) if proposal[0] == "remove_table"}
    assert dropped == table_names()


@pytest.mark.lanes("postgres", because="only PostgreSQL has schemas")
def test_autogenerate_over_all_schemas_leaves_our_tables_alone(fresh_database: Fresh) -> None:
    """A host that compares all schemas is not offered to drop ours from any of them."""
    engine = fresh_database()
    migrations.upgrade(engine, schema="ledger")
    with engine.connect() as connection:
        options = {"include_schemas": True, "include_name": migrations.include_name}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, sa.MetaData()) == []


@pytest.mark.parametrize(
    ("name", "type_", "verdict"),
    [
        ("pluct_entry", "table", False),
        (VERSION_TABLE, "table", False),
        ("alembic_version", "table", True),
        ("pluct_entry_of_the_host", "table", True),
        ("host_order", "table", True),
        ("pluct_entry", "column", True),
        (None, "schema", True),
        ("public", "schema", True),
    ],
)
def test_exactly_our_tables_are_left_out(name: str | None, type_: str, *, verdict: bool) -> None:
    """`include_name` says no to our tables and the version table, and yes to everything else."""
    assert migrations.include_name(name, type_, {"schema_name": None}) is verdict


def test_outside_a_revision_a_bind_is_needed() -> None:
    """Without a bind and without a revision that is running, nothing is guessed."""
    with pytest.raises(InvalidArgument) as refused:
        migrations.upgrade(to="0001")
    assert refused.value.argument == "bind"


@pytest.mark.lanes("sqlite", because="the refusal asks no database")
def test_a_schema_under_a_host_is_refused_elsewhere(fresh_database: Fresh) -> None:
    """In a host's revision, too, only PostgreSQL has schemas."""
    engine = create_engine(fresh_database().url)
    with revision_of_a_host(engine), pytest.raises(InvalidArgument) as refused:
        migrations.upgrade(to="0001", schema="ledger")
    assert refused.value.argument == "schema"
    engine.dispose()
