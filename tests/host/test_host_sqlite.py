"""SQLite's traps: a driver that begins when it likes, locks that cannot be upgraded, savepoints that commit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, select
from sqlalchemy.orm import Session

from pluct_ledger import Contended, InsufficientCredit, InvalidArgument, Ledger
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.contract.callers import TABLES, rows_of
from tests.host.conftest import Host, Order, orders_in

pytestmark = pytest.mark.lanes(
    "sqlite", because="it differs: these are the traps of SQLite and its driver alone"
)

ACCOUNT = TABLES.account


@pytest.fixture
def deferred(engine: Engine) -> Iterator[Engine]:
    """An engine that begins as SQLAlchemy's documentation has it: the driver nothing, each transaction deferred."""
    recipe = create_engine(engine.url, connect_args={"timeout": 5})

    @event.listens_for(recipe, "connect")
    def leave_begin_to_us(driver: Any, _record: Any) -> None:
        driver.isolation_level = None

    @event.listens_for(recipe, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    yield recipe
    recipe.dispose()


def read(connection: Connection) -> int | None:
    return connection.scalar(select(ACCOUNT.c.posted).where(ACCOUNT.c.owner == "ada"))


def test_an_untouched_engine_begins_before_our_first_statement(raw_engine: Engine, client: Ledger) -> None:
    """Where the driver has not begun, the first statement of a write is BEGIN IMMEDIATE, and the host ends it."""
    client.grant("ada", 10)
    sent: list[str] = []
    with raw_engine.connect() as connection:
        with watch_statements(lambda _, statement: sent.append(str(statement))):
            client.using(connection).spend("ada", 3)
        # SQLAlchemy's own transaction is begun first, by a statement that touches nothing.
        assert sent[:2] == ["SELECT 1", "BEGIN IMMEDIATE"]
        assert connection.connection.driver_connection.in_transaction  # type: ignore[union-attr]  # the driver's own
        connection.rollback()
        assert read(connection) == 10

        client.using(connection).spend("ada", 4)
        connection.commit()
    assert client.balance("ada").posted == 6


def test_an_untouched_engine_that_wrote_first_is_joined(
    raw_engine: Engine, client: Ledger, engine: Engine, orders: None
) -> None:
    """Where the driver began because the host wrote, nothing is begun, and both rows have one fate."""
    client.grant("ada", 10)
    sent: list[str] = []
    with Session(raw_engine) as session:
        session.add(Order(order_id=1))
        session.flush()
        with watch_statements(lambda _, statement: sent.append(str(statement))):
            client.using(session).spend("ada", 3)
        assert not [statement for statement in sent if "BEGIN" in statement]
        session.rollback()
    assert (client.balance("ada").posted, orders_in(engine)) == (10, [])

    with Session(raw_engine) as session:
        session.add(Order(order_id=2))
        session.flush()
        client.using(session).spend("ada", 3)
        session.commit()
    assert (client.balance("ada").posted, orders_in(engine)) == (7, [2])


def test_a_host_that_read_first_spends_what_is_there_now(raw_engine: Engine, client: Ledger) -> None:
    """On an untouched engine a read begins nothing, so what others spent since then is seen, and never lost."""
    client.grant("ada", 10)
    with raw_engine.connect() as connection:
        assert read(connection) == 10
        client.spend("ada", 8)

        with pytest.raises(InsufficientCredit) as refused:
            client.using(connection).spend("ada", 3)
        assert refused.value.available == 2
        assert client.using(connection).spend("ada", 2).posted_after == 0
        connection.commit()
    assert client.balance("ada").posted == 0


def test_a_read_that_is_not_finished_does_not_keep_us_from_beginning(
    raw_engine: Engine, client: Ledger
) -> None:
    """A result of the host's that is still open on an untouched engine neither blocks our write nor loses its rows."""
    for owner in ("ada", "bob", "cid"):
        client.grant(owner, 10)
    with raw_engine.connect() as connection:
        rows = connection.execute(select(ACCOUNT.c.owner).order_by(ACCOUNT.c.owner))
        seen = [rows.scalars().fetchmany(1)[0]]
        client.using(connection).spend("ada", 3)
        seen += connection.scalars(
            select(ACCOUNT.c.owner).where(ACCOUNT.c.owner > "a").order_by(ACCOUNT.c.owner)
        )
        connection.commit()

    assert seen == ["ada", "ada", "bob", "cid"]
    assert client.balance("ada").posted == 7


def test_a_stale_snapshot_is_contention_at_once(deferred: Engine, client: Ledger) -> None:
    """A deferred transaction whose snapshot is old cannot write: that is told at once, and nothing is lost."""
    client.grant("ada", 10)
    with deferred.connect() as connection:
        assert read(connection) == 10
        client.spend("ada", 8)
        started = monotonic()

        writes: list[Callable[[Ledger], object]] = [
            lambda ledger: ledger.spend("ada", 3),
            lambda ledger: ledger.grant("ada", 1),
            lambda ledger: ledger.open_account("eve"),
        ]
        for write in writes:
            with pytest.raises(Contended):
                write(client.using(connection))

        assert monotonic() - started < 2.5
        assert read(connection) == 10
        connection.rollback()
        with pytest.raises(InsufficientCredit):
            client.using(connection).spend("ada", 3)
        client.using(connection).spend("ada", 2)
        connection.commit()
    assert client.balance("ada").posted == 0


def test_a_reader_is_not_let_past_a_writer(deferred: Engine, client: Ledger) -> None:
    """A deferred transaction that has read is contended at once where another is writing."""
    client.grant("ada", 10)
    with deferred.connect() as reader, deferred.connect() as writer:
        assert read(reader) == 10
        client.using(writer).spend("ada", 1)
        started = monotonic()

        with pytest.raises(Contended):
            client.using(reader).spend("ada", 1)

        assert monotonic() - started < 2.5
        reader.rollback()
        writer.commit()
        assert client.using(reader).spend("ada", 1).posted_after == 8
        reader.commit()


@pytest.mark.parametrize("form", ["connection", "session"])
@pytest.mark.parametrize("how", ["raw", "deferred", "configured"])
def test_a_writer_in_the_way_is_contention(
    engine: Engine, raw_engine: Engine, deferred: Engine, client: Ledger, orders: None, how: str, form: str
) -> None:
    """Who cannot have the write lock within the busy timeout is contended, has lost nothing, and can go on."""
    client.grant("ada", 10)
    hosts = {"raw": raw_engine, "deferred": deferred, "configured": engine}[how]
    event.listen(hosts, "checkout", lambda driver, *_: driver.execute("PRAGMA busy_timeout = 20"))
    with (
        engine.connect() as writer,
        hosts.connect() if form == "connection" else Session(hosts) as lent,
    ):
        host, ledger = Host(lent), client.using(lent)
        client.using(writer).spend("ada", 1)
        with pytest.raises(Contended):
            ledger.spend("ada", 1)
        host.rollback()
        writer.commit()

        host.order(1)
        assert ledger.spend("ada", 1).posted_after == 8
        host.rollback()
        host.order(2)
        assert ledger.spend("ada", 2).posted_after == 7
        host.commit()
    assert client.balance("ada").posted == 7
    assert orders_in(engine) == [2]


def test_a_savepoint_on_an_untouched_engine_is_refused(raw_engine: Engine, client: Ledger) -> None:
    """The driver sets a savepoint without BEGIN, and releasing it would commit: we don't write there."""
    client.grant("ada", 10)
    for begin in (raw_engine.connect, lambda: Session(raw_engine)):
        with begin() as lent:
            with lent.begin_nested():
                with pytest.raises(InvalidArgument, match="configure") as refused:
                    client.using(lent).spend("ada", 1)
                assert refused.value.argument == "using"
                assert client.using(lent).balance("ada").posted == 10
            assert client.using(lent).spend("ada", 1).posted_after == 9
            lent.rollback()
    assert client.balance("ada").posted == 10


@pytest.mark.parametrize("how", ["deferred", "configured"])
def test_a_savepoint_is_one_where_the_engine_begins(
    engine: Engine, deferred: Engine, client: Ledger, how: str
) -> None:
    """On an engine that begins before savepoints, ours and SQLAlchemy's recipe alike, they are the host's to use."""
    client.grant("ada", 10)
    with {"deferred": deferred, "configured": engine}[how].connect() as connection:
        with connection.begin_nested():
            client.using(connection).spend("ada", 1)
        nested = connection.begin_nested()
        client.using(connection).spend("ada", 2)
        nested.rollback()
        assert client.balance("ada").posted == 10
        connection.commit()
    assert client.balance("ada").posted == 9


@pytest.mark.parametrize("how", ["raw", "deferred", "configured"])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_writers_take_turns(
    engine: Engine, raw_engine: Engine, deferred: Engine, client: Ledger, how: str, journal: str
) -> None:
    """SQLite drops FOR UPDATE without a word, and still two writers never spend the same credit."""
    client.grant("ada", 35)
    engine.dispose()
    with raw_engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA journal_mode = {journal}").scalar_one() == journal
    hosts = {"raw": raw_engine, "deferred": deferred, "configured": engine}[how]
    start = Barrier(2)

    def spend_all() -> int:
        spent = 0
        start.wait()
        while True:
            with hosts.connect() as connection:
                try:
                    client.using(connection).spend("ada", 1)
                    connection.commit()
                    spent += 1
                except Contended:
                    connection.rollback()
                except InsufficientCredit:
                    return spent

    with ThreadPoolExecutor(2) as pool:
        spent = [future.result() for future in [pool.submit(spend_all) for _ in range(2)]]

    assert sum(spent) == 35
    assert client.balance("ada").posted == 0
    assert [entry.seq for entry in client.entries("ada", limit=1000)] == list(range(36, 0, -1))
    assert client.verify().ok


def test_a_ledger_of_its_own_needs_no_configuration(raw_engine: Engine) -> None:
    """On an untouched engine a ledger's own writes are whole transactions, and its reads see one state."""
    ledger = Ledger(raw_engine)
    ledger.grant("ada", 10)
    with pytest.raises(InsufficientCredit):
        ledger.spend("ada", 11)

    assert ledger.spend("ada", 10).posted_after == 0
    assert ledger.verify().ok
    with raw_engine.connect() as connection:
        assert len(rows_of(connection)["pluct_entry"]) == 2


def test_a_database_in_memory_is_a_database(client: Ledger) -> None:
    """A ledger works in a database in memory, which has one connection for all."""
    engine = create_engine("sqlite://")
    TABLES.metadata.create_all(engine)
    ledger = Ledger(engine)

    ledger.grant("ada", 10)
    with Session(engine) as session:
        ledger.using(session).spend("ada", 4)
        session.rollback()
        ledger.using(session).spend("ada", 3)
        session.commit()

    assert ledger.balance("ada").posted == 7
    assert ledger.verify().ok


def test_reads_of_a_ledger_do_not_wait_for_the_writer(engine: Engine, client: Ledger) -> None:
    """While a host writes, reads of a ledger of its own are answered at once with what was committed."""
    client.grant("ada", 10)
    with engine.connect() as writer:
        client.using(writer).spend("ada", 3)
        started = monotonic()
        assert client.balance("ada").posted == 10
        assert client.verify().ok
        assert monotonic() - started < 2.5
        writer.rollback()


if sys.version_info >= (3, 12):

    @pytest.fixture
    def always_begun(engine: Engine) -> Iterator[Engine]:
        """An engine whose driver begins by itself, always and deferred, as PEP 249 has it."""
        other = create_engine(engine.url, connect_args={"autocommit": False})
        yield other
        other.dispose()

    @pytest.fixture
    def never_begun(engine: Engine) -> Iterator[Engine]:
        """An engine whose driver begins nothing, and whose commit and rollback do nothing."""
        other = create_engine(engine.url, connect_args={"autocommit": True}, poolclass=NullPool)
        yield other
        other.dispose()

    def test_a_driver_that_always_begins_is_joined(always_begun: Engine, client: Ledger) -> None:
        """With the driver's autocommit=False our write is in the transaction that it began, for the host to end."""
        client.grant("ada", 10)
        with always_begun.connect() as connection:
            client.using(connection).spend("ada", 3)
            connection.rollback()
            client.using(connection).spend("ada", 4)
            connection.commit()
            assert read(connection) == 6
            client.spend("ada", 1)
            with pytest.raises(Contended):
                client.using(connection).spend("ada", 1)
            connection.rollback()
        assert client.balance("ada").posted == 5
        assert Ledger(always_begun).spend("ada", 5).posted_after == 0

    def test_a_driver_that_never_begins_is_refused(never_begun: Engine, client: Ledger) -> None:
        """With the driver's autocommit=True there is no transaction of the host's, while the ledger makes its own."""
        client.grant("ada", 10)
        with never_begun.connect() as connection:
            with pytest.raises(InvalidArgument):
                client.using(connection).spend("ada", 1)
            connection.begin_nested()
            with pytest.raises(InvalidArgument):
                client.using(connection).spend("ada", 1)
        ledger = Ledger(never_begun)
        with pytest.raises(InsufficientCredit):
            ledger.spend("ada", 11)
        assert ledger.spend("ada", 10).posted_after == 0
        assert client.verify().checked == 2
