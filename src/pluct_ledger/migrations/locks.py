"""One at a time: the locks under which migrations run, and the transaction that they run in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import blake2b
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Pool, text

from pluct_ledger.errors import Contended, InvalidArgument
from pluct_ledger.storage import dialects
from pluct_ledger.storage.dialects import Backend

PATIENCE_SECONDS: Final = 60
"""How long one migration waits for another, which takes a second or two."""

_guard: Final = Lock()
_turns: Final[WeakKeyDictionary[Pool, Lock]] = WeakKeyDictionary()
_NAME: Final = b"pluct_ledger migrations"
# PostgreSQL names advisory locks by 64-bit numbers, each database having its own.
_NUMBER: Final = int.from_bytes(blake2b(_NAME, digest_size=8).digest(), "big", signed=True)


def alone(bind: Engine | Connection) -> AbstractContextManager[Connection]:
    """Yield a connection in a transaction that no other migration of the same database runs beside.

    An engine's transaction, and one that we begin on a connection that has none, is committed at the end; one that the
    connection has already is left to whoever began it.

    Raises:
        Contended: another migration went on for too long.
        InvalidArgument: the connection is in autocommit mode.
    """
    if isinstance(bind, Engine):
        return _on_engine(bind)
    return inside(bind) if bind.in_transaction() else _on_connection(bind)


def turn(engine: Engine) -> AbstractContextManager[object]:
    """Return this process's lock of an engine: its pool may have one connection for all threads, and one transaction.

    Tasks of an event loop share a thread, and a lock of threads would stop them all: an asynchronous engine has none.
    """
    if engine.dialect.is_async:
        return nullcontext()
    with _guard:
        return _turns.setdefault(engine.pool, Lock())


@contextmanager
def inside(connection: Connection, *, checked: bool = True) -> Iterator[Connection]:
    """Yield the connection, whose transaction is another's to end, under the database's lock.

    Args:
        connection: a connection in a transaction.
        checked: refuse autocommit mode; where alembic runs the transaction, that is its affair.

    Raises:
        Contended: another migration went on for too long.
        InvalidArgument: the connection is in autocommit mode.
    """
    backend = dialects.backend_of(connection.dialect.name)
    if checked:
        _refuse_autocommit(connection, backend)
        if backend is Backend.SQLITE and not dialects.sqlite_in_transaction(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    with _database_lock(connection, backend):
        yield connection


@contextmanager
def _on_engine(engine: Engine) -> Iterator[Connection]:
    backend = dialects.backend_of(engine.dialect.name)
    with turn(engine), engine.connect() as connection:
        if backend is Backend.SQLITE:
            with _sqlite_transaction(connection):
                yield connection
            return
        connection.execution_options(isolation_level="READ COMMITTED")
        with _server_transaction(connection, backend):
            yield connection


@contextmanager
def _on_connection(connection: Connection) -> Iterator[Connection]:
    backend = dialects.backend_of(connection.dialect.name)
    if backend is Backend.SQLITE:
        with _sqlite_transaction(connection):
            yield connection
        return
    _refuse_autocommit(connection, backend)
    with _server_transaction(connection, backend):
        yield connection


@contextmanager
def _server_transaction(connection: Connection, backend: Backend) -> Iterator[Connection]:
    transaction = connection.begin()
    try:
        if backend is Backend.POSTGRESQL:
            connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'"))
        with _database_lock(connection, backend):
            yield connection
            transaction.commit()
    finally:
        transaction.close()
        connection.rollback()  # giving MariaDB's lock back began a transaction anew


@contextmanager
def _sqlite_transaction(connection: Connection) -> Iterator[Connection]:
    """Hold SQLite's one write lock from the first read on, whatever the driver and the host's listeners begin with."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA busy_timeout")
    patience = int(cursor.fetchone()[0])  # type: ignore[index]  # a pragma that reads has one row
    cursor.execute(f"PRAGMA busy_timeout = {max(patience, PATIENCE_SECONDS * 1000)}")
    try:
        transaction = connection.begin()
        try:
            if dialects.sqlite_in_transaction(connection):
                connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            if dialects.sqlite_commits_never(connection):
                connection.exec_driver_sql("COMMIT")
            transaction.commit()
        finally:
            if dialects.sqlite_commits_never(connection) and dialects.sqlite_in_transaction(connection):
                connection.exec_driver_sql("ROLLBACK")
            transaction.close()
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {patience}")
        cursor.close()


@contextmanager
def _database_lock(connection: Connection, backend: Backend) -> Iterator[None]:
    """Hold the database's lock: PostgreSQL's until the transaction ends, MariaDB's until the end of the block.

    SQLite's is the write lock.
    """
    if backend is Backend.POSTGRESQL:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _NUMBER})
    if backend is not Backend.MARIADB:
        yield
        return
    # MariaDB's names are the server's, not the database's, and at most 64 characters long.
    database = str(connection.scalar(text("SELECT DATABASE()"))).encode()
    name = {"name": "pluct_ledger:" + blake2b(database, digest_size=16, key=_NAME).hexdigest()}
    if connection.scalar(text(f"SELECT GET_LOCK(:name, {PATIENCE_SECONDS})"), name) != 1:
        raise Contended("another migration of this database goes on for too long")
    try:
        yield
    finally:
        if not connection.invalidated and not connection.closed:
            connection.execute(text("DO RELEASE_LOCK(:name)"), name)


def _refuse_autocommit(connection: Connection, backend: Backend) -> None:
    if dialects.in_autocommit(connection, backend):
        raise InvalidArgument(
            "bind", "the connection is in autocommit mode: pass the engine, or begin a transaction"
        )
