"""What differs between SQLite, PostgreSQL and MariaDB: errors, locks and how a transaction begins."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from pluct_ledger.errors import InvalidArgument


class Backend(StrEnum):
    """The databases that the ledger runs on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"


_BACKENDS: Final = {
    "sqlite": Backend.SQLITE,
    "postgresql": Backend.POSTGRESQL,
    "mariadb": Backend.MARIADB,
    "mysql": Backend.MARIADB,
}

# Serialization failure, deadlock, lock not available.
_CONTENDED_SQLSTATES: Final = frozenset({"40001", "40P01", "55P03"})
# Record changed since last read, lock wait timeout, deadlock, lock not available at once.
_CONTENDED_ERRNOS: Final = frozenset({1020, 1205, 1213, 3572})
# SQLITE_BUSY, SQLITE_LOCKED; the higher bytes only say why.
_CONTENDED_SQLITE: Final = frozenset({5, 6})

_NO_TABLE_SQLSTATE: Final = "42P01"
_NO_TABLE_ERRNO: Final = 1146


def backend_of(dialect_name: str) -> Backend:
    """Return the backend that an SQLAlchemy dialect speaks to.

    Raises:
        InvalidArgument: it is none of SQLite, PostgreSQL and MariaDB.
    """
    backend = _BACKENDS.get(dialect_name)
    if backend is None:
        raise InvalidArgument(
            "engine", f"{dialect_name} is not supported: SQLite, PostgreSQL and MariaDB are"
        )
    return backend


def is_contention(error: DBAPIError) -> bool:
    """Tell whether a statement failed because of other transactions, so that the whole may be run again."""
    raw = error.orig
    if _sqlstate(raw) in _CONTENDED_SQLSTATES or _errno(raw) in _CONTENDED_ERRNOS:
        return True
    return is_sqlite_busy(raw)


def is_sqlite_busy(raw: object) -> bool:
    """Tell whether a driver's exception says that another connection holds SQLite's lock."""
    code = getattr(raw, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _CONTENDED_SQLITE


def is_disconnect(error: DBAPIError) -> bool:
    """Tell whether the connection was lost."""
    return bool(error.connection_invalidated)


def is_missing_table(error: DBAPIError) -> bool:
    """Tell whether a statement failed because a table does not exist."""
    raw = error.orig
    if _sqlstate(raw) == _NO_TABLE_SQLSTATE or _errno(raw) == _NO_TABLE_ERRNO:
        return True
    return getattr(raw, "sqlite_errorname", None) == "SQLITE_ERROR" and "no such table" in str(raw)


def _sqlstate(raw: object) -> str | None:
    state = getattr(raw, "sqlstate", None) or getattr(raw, "pgcode", None)
    return state if isinstance(state, str) else None


def _errno(raw: object) -> int | None:
    """Return a MariaDB driver's error number, which stands first in the exception's arguments or in `errno`."""
    number = getattr(raw, "errno", None)
    if isinstance(number, int):
        return number
    args = getattr(raw, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def in_autocommit(connection: Connection, backend: Backend) -> bool:
    """Tell, by asking the driver, whether each statement of this connection commits by itself."""
    driver: Any = connection.connection.driver_connection
    if backend is Backend.SQLITE:
        return not sqlite_in_transaction(connection) and _sqlite_begins_never(driver)
    if callable(getter := getattr(driver, "get_autocommit", None)):
        return bool(getter())
    if isinstance(flag := getattr(driver, "autocommit", None), bool):
        return flag
    adapted: Any = connection.connection.dbapi_connection
    return getattr(adapted, "autocommit", False) is True


def _sqlite_begins_never(driver: Any) -> bool:
    """Tell whether the sqlite3 module leaves BEGIN to others (isolation_level None, or autocommit=True from 3.12)."""
    return getattr(driver, "isolation_level", "") is None or getattr(driver, "autocommit", None) is True


def sqlite_in_transaction(connection: Connection) -> bool:
    """Tell, by asking the driver, whether SQLite has a transaction open on this connection."""
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction)


def sqlite_begins_by_itself(connection: Connection) -> bool:
    """Tell whether the sqlite3 module is in its default mode: BEGIN before a write only, not before a savepoint."""
    driver: Any = connection.connection.driver_connection
    return isinstance(getattr(driver, "isolation_level", None), str) and not isinstance(
        getattr(driver, "autocommit", None), bool
    )


def sqlite_commits_never(connection: Connection) -> bool:
    """Tell whether the driver's own commit() does nothing (sqlite3 with autocommit=True, from Python 3.12)."""
    driver: Any = connection.connection.driver_connection
    return getattr(driver, "autocommit", None) is True
