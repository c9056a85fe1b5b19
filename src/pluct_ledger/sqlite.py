"""Makes an SQLite engine safe and fast for a ledger, and for everything else that writes to the same file."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, PoolProxiedConnection, event

from pluct_ledger.errors import InvalidArgument
from pluct_ledger.storage import dialects
from pluct_ledger.storage.transactions import READING

_SYNCHRONOUS: Final = ("FULL", "NORMAL")
_HOW: Final = "pluct_ledger_begin"


def configure(engine: Engine, *, busy_timeout_ms: int = 5000, synchronous: str = "FULL") -> Engine:
    """Configure an engine before its first connection; configuring it twice changes nothing.

    Sets write-ahead logging (readers and the writer don't wait for each other), foreign keys, recursive triggers and
    the busy timeout on every new connection, and begins transactions itself: IMMEDIATE, so that a transaction that
    will write never has to become one half-way; those that the ledger only reads in begin DEFERRED.

    Args:
        engine: an engine of the dialect ``sqlite`` with the standard library's driver.
        busy_timeout_ms: how long a writer waits for its turn, in milliseconds.
        synchronous: FULL (a commit survives a power cut) or NORMAL (the newest ones may be lost, never torn).

    Returns:
        The same engine.

    Raises:
        InvalidArgument: the engine is not SQLite's, or an option is out of bounds.
    """
    if engine.dialect.name != "sqlite":
        raise InvalidArgument("engine", "an SQLAlchemy engine for SQLite is required")
    if type(busy_timeout_ms) is not int or not 0 <= busy_timeout_ms <= 3_600_000:
        raise InvalidArgument("busy_timeout_ms", "must be an int between 0 and 3600000")
    if synchronous not in _SYNCHRONOUS:
        raise InvalidArgument("synchronous", "must be FULL or NORMAL")

    def on_connect(connection: Any, _record: Any) -> None:
        # From here on the driver begins nothing by itself; `_begin` does.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        _ask_for_wal(cursor)
        for pragma in (
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
            "recursive_triggers = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if not event.contains(engine, "begin", _prepare):
        event.listen(engine, "connect", on_connect)
        event.listen(engine, "begin", _prepare)
        # Not in the listener: a BEGIN that fails there leaves SQLAlchemy's connection unable to begin ever again, and a
        # host that goes on with the same connection after "database is locked" would do so without a transaction.
        vars(engine.dialect)["do_begin"] = _begin
    return engine


def _ask_for_wal(cursor: Any) -> None:
    """Set write-ahead logging, or leave that to a later connection.

    A file without it cannot change while another connection writes, and SQLite says so at once, whatever the busy
    timeout. Nothing goes wrong meanwhile: readers and the writer wait for each other.
    """
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
    except Exception as error:
        if not dialects.is_sqlite_busy(error):
            raise


def _prepare(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver.isolation_level is not None:
        # After a connection with an isolation level of its own, SQLAlchemy gives the driver back its default.
        driver.isolation_level = None
    reading = connection.get_execution_options().get(READING, False)
    connection.connection.info[_HOW] = "DEFERRED" if reading else "IMMEDIATE"


def _begin(connection: PoolProxiedConnection) -> None:
    cursor = connection.cursor()
    cursor.execute(f"BEGIN {connection.info.pop(_HOW, 'IMMEDIATE')}")
    cursor.close()
