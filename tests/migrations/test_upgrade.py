"""The road of a host that migrates when it starts: `upgrade(engine)`, `downgrade(engine)` and their connections."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, inspect, text

from pluct_ledger import InvalidArgument, migrations, sqlite
from pluct_ledger.storage.schema import VERSION_TABLE, table_names
from tests.migrations.catalog import catalog, nothing_is_left

Fresh = Callable[[], Engine]

AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
# How sqlite3 begins transactions: before writing, never, and from Python 3.12 on always or never in a standard way.
MODES: list[dict[str, Any]] = [{"isolation_level": ""}, {"isolation_level": None}]
if sys.version_info >= (3, 12):
    MODES += [{"autocommit": False}, {"autocommit": True}]
SERIALIZABLE = {"isolation_level": "SERIALIZABLE"}


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent to the database meanwhile, but for BEGIN."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def failing(engine: Engine, at: str) -> Iterator[None]:
    """Statements that name something fail meanwhile."""

    def fail(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if at in statement:
            raise RuntimeError("cut off")

    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)


def tables_of(bind: Engine | Connection) -> set[str]:
    return set(inspect(bind).get_table_names())


def make_a_host_table(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE host_order (id INTEGER PRIMARY KEY)"))


def test_an_empty_database_gets_all_tables_once(fresh_database: Fresh) -> None:
    """The first upgrade makes all tables and says what it ran, and the second finds nothing to do."""
    engine = fresh_database()

    assert migrations.upgrade(engine) == ("0001",)
    assert migrations.upgrade(engine) == ()
    assert tables_of(engine) == table_names()


def test_nothing_to_do_costs_two_reads(engine: Engine) -> None:
    """Where the tables are up to date, an upgrade sends two statements and waits for no lock."""
    with engine.connect() as warm:
        warm.execute(text("SELECT 1"))
    with statements(engine) as sent:
        assert migrations.upgrade(engine) == ()
    assert len(sent) == 2


def test_nothing_to_do_waits_for_nobody(engine: Engine, raw_engine: Engine) -> None:
    """An upgrade that has nothing to do passes another connection's open write by."""
    engine.connect().close()  # on SQLite the first connection ever changes how the file is written
    with raw_engine.begin() as busy:
        busy.execute(text("UPDATE pluct_meta SET value = value WHERE name = 'schema_version'"))
        assert migrations.upgrade(engine) == ()


def test_a_downgrade_removes_everything(fresh_database: Fresh) -> None:
    """After a downgrade to base no table is left, a second finds nothing to do, and an upgrade begins anew."""
    engine = fresh_database()
    migrations.upgrade(engine)
    before = catalog(engine)

    assert migrations.downgrade(engine, to="base") == ("0001",)
    assert nothing_is_left(engine)
    assert migrations.downgrade(engine, to="base") == ()
    assert migrations.upgrade(engine) == ("0001",)
    assert catalog(engine) == before


def test_a_downgrade_leaves_the_hosts_tables_alone(fresh_database: Fresh) -> None:
    """Up and down again, what the host has in the same database is what it was."""
    engine = fresh_database()
    with engine.begin() as connection:
        make_a_host_table(connection)
    before = catalog(engine)

    migrations.upgrade(engine)
    migrations.downgrade(engine, to="base")
    assert catalog(engine) == before


@pytest.mark.parametrize(
    "options", [{}, AUTOCOMMIT, SERIALIZABLE], ids=["default", "autocommit", "serializable"]
)
def test_any_engine_will_do(fresh_database: Fresh, options: dict[str, Any]) -> None:
    """Whatever isolation level a host's engine has, on a driver that nobody configured, all tables are committed."""
    fresh = fresh_database()
    engine = create_engine(fresh.url, **options)
    try:
        assert migrations.upgrade(engine) == ("0001",)
        assert migrations.upgrade(engine) == ()
        migrations.check(fresh)
        assert migrations.downgrade(engine, to="base") == ("0001",)
        assert nothing_is_left(fresh)
    finally:
        engine.dispose()


@pytest.mark.lanes("sqlite", because="only its driver has modes")
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_any_mode_of_the_driver_will_do(fresh_database: Fresh, mode: dict[str, Any]) -> None:
    """However the sqlite3 module begins transactions, or leaves that to others, all tables are committed."""
    fresh = fresh_database()
    engine = create_engine(fresh.url, connect_args=mode)
    try:
        assert migrations.upgrade(engine) == ("0001",)
        assert migrations.upgrade(engine) == ()
        migrations.check(fresh)
        with engine.connect() as connection:
            assert migrations.downgrade(connection, to="base") == ("0001",)
        assert nothing_is_left(fresh)
        with pytest.raises(RuntimeError, match="cut off"), failing(engine, "pluct_token"):
            migrations.upgrade(engine)
        assert nothing_is_left(fresh)
    finally:
        engine.dispose()


@pytest.mark.lanes("sqlite", because="only here hosts begin transactions by listeners of their own")
def test_a_host_may_begin_transactions_itself(fresh_database: Fresh) -> None:
    """On SQLite an engine that begins deferred transactions by SQLAlchemy's recipe is upgraded under the write lock."""
    engine = create_engine(fresh_database().url)

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    with statements(engine) as sent:
        assert migrations.upgrade(engine) == ("0001",)
    assert migrations.upgrade(engine) == ()
    assert "ROLLBACK" in sent
    engine.dispose()


@pytest.mark.parametrize("configured", [False, True])
def test_a_database_in_memory(*, configured: bool) -> None:
    """A database in memory, one connection for all, is migrated and keeps its tables."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    if configured:
        sqlite.configure(engine)
    assert migrations.upgrade(engine) == ("0001",)
    assert migrations.upgrade(engine) == ()
    migrations.check(engine)
    engine.dispose()


def test_a_connection_in_a_transaction_is_left_to_its_owner(lane: str, fresh_database: Fresh) -> None:
    """On a connection in a transaction nothing is committed: rolled back, the tables are gone with the host's own."""
    engine = fresh_database()
    with engine.connect() as connection:
        connection.begin()
        make_a_host_table(connection)
        assert migrations.upgrade(connection) == ("0001",)
        assert migrations.upgrade(connection) == ()
        migrations.check(connection)
        assert connection.in_transaction()
        connection.rollback()

    if lane == "mariadb":
        # Differs because MariaDB commits around each CREATE TABLE.
        assert tables_of(engine) == table_names() | {"host_order"}
    else:
        assert nothing_is_left(engine)
    migrations.upgrade(engine)
    migrations.check(engine)


def test_a_connection_in_a_transaction_commits_with_it(fresh_database: Fresh) -> None:
    """What ran on a connection in a transaction is there once its owner commits."""
    engine = fresh_database()
    with engine.begin() as connection:
        make_a_host_table(connection)
        migrations.upgrade(connection)
    assert tables_of(engine) == table_names() | {"host_order"}
    assert migrations.upgrade(engine) == ()

    with engine.begin() as connection:
        migrations.downgrade(connection, to="base")
    assert tables_of(engine) == {"host_order"}


@pytest.mark.parametrize("raw", [False, True], ids=["configured", "raw"])
def test_a_connection_without_a_transaction_gets_one(fresh_database: Fresh, *, raw: bool) -> None:
    """On a connection without a transaction one is begun and committed, and none is left open."""
    fresh = fresh_database()
    engine = create_engine(fresh.url) if raw else fresh
    with engine.connect() as connection:
        assert migrations.upgrade(connection) == ("0001",)
        assert not connection.in_transaction()
        assert migrations.upgrade(connection) == ()
        migrations.check(connection)
        assert not connection.in_transaction()
        migrations.check(fresh)
        assert migrations.downgrade(connection, to="base") == ("0001",)
        assert not connection.in_transaction()
    assert nothing_is_left(fresh)
    engine.dispose()


def test_autocommit_on_a_connection_is_refused(fresh_database: Fresh) -> None:
    """A connection whose every statement commits by itself is refused before anything is made."""
    engine = create_engine(fresh_database().url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.begin()
        with pytest.raises(InvalidArgument) as refused:
            migrations.upgrade(connection)
    assert refused.value.argument == "bind"
    assert nothing_is_left(engine)
    engine.dispose()


def test_a_failure_leaves_the_connection_usable(fresh_database: Fresh) -> None:
    """After an upgrade that failed, the pool's connections hold no lock and no setting of ours."""
    engine = fresh_database()
    with pytest.raises(RuntimeError, match="cut off"), failing(engine, "pluct_token"):
        migrations.upgrade(engine)
    other = create_engine(engine.url)
    assert migrations.upgrade(other) == ("0001",)
    other.dispose()
    assert migrations.upgrade(engine) == ()


@pytest.mark.lanes("postgres", because="only PostgreSQL has schemas")
def test_a_schema_of_their_own(fresh_database: Fresh) -> None:
    """Asked for a schema, it is created where missing, and all tables with the version table are in it."""
    engine = fresh_database()

    assert migrations.upgrade(engine, schema="Pluct ledger") == ("0001",)
    assert migrations.upgrade(engine, schema="Pluct ledger") == ()
    migrations.check(engine, schema="Pluct ledger")

    assert set(inspect(engine).get_table_names(schema="Pluct ledger")) == table_names()
    assert nothing_is_left(engine)
    assert migrations.upgrade(engine) == ("0001",)
    assert migrations.downgrade(engine, to="base", schema="Pluct ledger") == ("0001",)
    assert not inspect(engine).get_table_names(schema="Pluct ledger")
    assert inspect(engine).has_schema("Pluct ledger")
    assert tables_of(engine) == table_names()


@pytest.mark.lanes("postgres", because="only PostgreSQL has schemas and rights to create them")
def test_an_existing_schema_needs_no_right_to_create_one(fresh_database: Fresh) -> None:
    """A role that may create tables in a schema, and no schemas, migrates into it."""
    engine = fresh_database()
    role = f"{engine.url.database}_migrator"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'pluct'"))
        connection.execute(text(f"CREATE SCHEMA ledger AUTHORIZATION {role}"))
    narrow = create_engine(engine.url.set(username=role, password="pluct"))
    try:
        assert migrations.upgrade(narrow, schema="ledger") == ("0001",)
    finally:
        narrow.dispose()
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.lanes("sqlite", "mariadb", because="PostgreSQL has schemas")
def test_a_schema_elsewhere_is_refused(fresh_database: Fresh) -> None:
    """Where there are no schemas, asking for one is refused."""
    engine = fresh_database()
    for call in (migrations.upgrade, migrations.check):
        with pytest.raises(InvalidArgument) as refused:
            call(engine, schema="ledger")
        assert refused.value.argument == "schema"
    assert nothing_is_left(engine)


@pytest.mark.parametrize("to", ["base", "9999", "1", "", None])
def test_an_unknown_revision_is_refused(to: Any) -> None:
    """An upgrade goes to a revision that exists, or to head."""
    with pytest.raises(InvalidArgument) as refused:
        migrations.upgrade(create_engine("sqlite://"), to=to)
    assert refused.value.argument == "to"


@pytest.mark.parametrize("bind", ["sqlite://", object(), None])
def test_what_is_no_bind_is_refused(bind: Any) -> None:
    """A bind is an engine or a connection; none at all needs an alembic revision that is running."""
    for call in (migrations.upgrade, migrations.downgrade):
        with pytest.raises(InvalidArgument) as refused:
            call(bind, to="0001")
        assert refused.value.argument == "bind"


def test_another_version_table_is_nobodys_business(fresh_database: Fresh) -> None:
    """The host's `alembic_version` is neither read nor written."""
    engine = fresh_database()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of_the_host')"))
    migrations.upgrade(engine)
    migrations.downgrade(engine, to="base")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [("of_the_host",)]
    assert VERSION_TABLE not in tables_of(engine)
