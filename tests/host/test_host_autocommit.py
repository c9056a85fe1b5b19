"""Autocommit: where each statement would commit by itself, there is no transaction to join, and a write is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.orm import Session

from pluct_ledger import InsufficientCredit, InvalidArgument, Ledger
from pluct_ledger.commands import Issue, Spend
from pluct_ledger.sqlite import configure
from tests.contract.callers import rows_of

Open = Callable[[Engine], Connection]


def by_engine(engine: Engine) -> Connection:
    return create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()


def by_engine_option(engine: Engine) -> Connection:
    other = create_engine(engine.url, poolclass=NullPool)
    return other.execution_options(isolation_level="AUTOCOMMIT").connect()


def by_connection_option(engine: Engine) -> Connection:
    other = create_engine(engine.url, poolclass=NullPool)
    return other.connect().execution_options(isolation_level="AUTOCOMMIT")


def by_the_driver(engine: Engine) -> Connection:
    """Switch the driver behind SQLAlchemy's back, which goes on calling it a transaction."""
    connection = create_engine(engine.url, poolclass=NullPool).connect()
    driver: Any = connection.connection.driver_connection
    match connection.dialect.name:
        case "sqlite":
            driver.isolation_level = None
        case "postgresql":
            driver.autocommit = True
        case _:
            driver.autocommit(True)  # noqa: FBT003 - PyMySQL has it so
    return connection


WAYS = [by_engine, by_engine_option, by_connection_option, by_the_driver]


@pytest.fixture
def before(client: Ledger, engine: Engine) -> Any:
    """Every row of ours before the test's own calls: ada has 10."""
    client.grant("ada", 10)
    with engine.connect() as connection:
        return rows_of(connection)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("begun", [False, True], ids=["fresh", "begun"])
def test_a_connection_in_autocommit_is_refused(
    engine: Engine, client: Ledger, before: Any, way: Open, *, begun: bool
) -> None:
    """Whoever set it, and whatever SQLAlchemy believes of a transaction, a write in autocommit is refused whole."""
    with way(engine) as connection:
        if begun:
            connection.begin()
        ledger = client.using(connection)
        for write in (
            lambda: ledger.grant("ada", 1),
            lambda: ledger.spend("ada", 1),
            lambda: ledger.open_account("eve"),
            lambda: ledger.apply_many([Issue("eve", 1), Spend("ada", 1)]),
        ):
            with pytest.raises(InvalidArgument) as refused:
                write()
            assert refused.value.argument == "using"

    with engine.connect() as connection:
        assert rows_of(connection) == before


@pytest.mark.parametrize("way", WAYS)
def test_a_session_in_autocommit_is_refused(engine: Engine, client: Ledger, before: Any, way: Open) -> None:
    """A session on a connection in autocommit is refused like the connection."""
    with way(engine) as connection, Session(connection) as session:
        with pytest.raises(InvalidArgument) as refused:
            client.using(session).spend("ada", 1)
        assert refused.value.argument == "using"

    with engine.connect() as connection:
        assert rows_of(connection) == before


@pytest.mark.lanes(
    "sqlite", "mariadb", because="it differs: PostgreSQL has no savepoint outside a transaction"
)
@pytest.mark.parametrize("way", WAYS)
def test_a_savepoint_in_autocommit_is_refused(engine: Engine, client: Ledger, before: Any, way: Open) -> None:
    """A savepoint in autocommit is no transaction: SQLite commits when it is released, MariaDB forgets it at once."""
    with way(engine) as connection:
        connection.begin_nested()
        with pytest.raises(InvalidArgument) as refused:
            client.using(connection).spend("ada", 1)
        assert refused.value.argument == "using"

    with engine.connect() as connection:
        assert rows_of(connection) == before


@pytest.mark.parametrize("way", WAYS)
def test_reads_need_no_transaction(engine: Engine, client: Ledger, before: Any, way: Open) -> None:
    """In autocommit a borrowed ledger can be read from."""
    with way(engine) as connection:
        ledger = client.using(connection)
        assert ledger.balance("ada").posted == 10
        assert [entry.amount for entry in ledger.entries()] == [10]
        assert ledger.verify().ok


def test_a_ledger_of_its_own_needs_no_transactions_of_the_engine(engine: Engine, before: Any) -> None:
    """On an engine in autocommit a ledger's own writes are whole transactions all the same."""
    other = create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    ledger = Ledger(other)

    with pytest.raises(InsufficientCredit):
        ledger.apply_many([Issue("eve", 1), Spend("ada", 11)], atomic=True)
    with engine.connect() as connection:
        assert rows_of(connection) == before
    ledger.apply_many([Issue("eve", 1), Spend("ada", 10)], atomic=True)
    assert {owner: balance.posted for owner, balance in ledger.balances(["ada", "eve"]).items()} == {
        "ada": 0,
        "eve": 1,
    }


@pytest.mark.lanes(
    "sqlite", because="it differs: our configuration begins by itself, whatever SQLAlchemy calls it"
)
def test_a_configured_engine_has_transactions_in_autocommit_too(
    engine: Engine, client: Ledger, before: Any
) -> None:
    """On a configured engine a connection in autocommit has a real transaction, which is rolled back and committed."""
    other = configure(create_engine(engine.url))
    with other.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        ledger = client.using(connection)
        ledger.spend("ada", 1)
        connection.rollback()
        assert ledger.balance("ada").posted == 10
        with connection.begin_nested():
            ledger.spend("ada", 2)
        connection.commit()
    assert client.balance("ada").posted == 8

    # The pool's reset gives the driver its default mode back, and the engine begins all the same.
    with other.connect() as connection:
        with connection.begin_nested():
            client.using(connection).spend("ada", 1)
        connection.rollback()
    other.dispose()
    assert client.balance("ada").posted == 8
