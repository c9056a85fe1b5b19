"""How a transaction begins, ours and the host's, and what must hold before anything is written in it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, text, update

from pluct_ledger.errors import InvalidArgument
from pluct_ledger.storage import dialects
from pluct_ledger.storage.dialects import Backend
from pluct_ledger.storage.unit_of_work import UnitOfWork

READING: Final = "pluct_ledger_reading"
"""The execution option under which a configured SQLite engine begins DEFERRED: readers don't wait for writers."""

_ANY: Final = text("SELECT 1")


def for_writing(engine: Engine) -> Engine:
    """Return the engine as our own writes use it: READ COMMITTED whatever the host's default; SQLite has no choice."""
    if dialects.backend_of(engine.dialect.name) is Backend.SQLITE:
        return engine
    return engine.execution_options(isolation_level="READ COMMITTED")


def for_reading(engine: Engine) -> Engine:
    """Return the engine as our own reads use it: all reads of one transaction see one snapshot."""
    if dialects.backend_of(engine.dialect.name) is Backend.SQLITE:
        return engine.execution_options(**{READING: True})
    return engine.execution_options(isolation_level="REPEATABLE READ")


def begin_own_write(work: UnitOfWork) -> None:
    """Make sure that our own transaction is one, and on SQLite that it holds the write lock."""
    work.connection.begin()
    if work.backend is Backend.SQLITE:
        _take_sqlite_write_lock(work)


def begin_own_read(work: UnitOfWork) -> None:
    """Make sure that all reads of our own transaction on SQLite see one snapshot."""
    work.connection.begin()
    if work.backend is Backend.SQLITE and not dialects.sqlite_in_transaction(work.connection):
        work.execute_driver_sql("BEGIN DEFERRED")


def commit_own(work: UnitOfWork) -> None:
    """Commit our own transaction; where COMMIT fails, none is left open on the connection, which others will use."""
    try:
        if work.backend is Backend.SQLITE and dialects.sqlite_commits_never(work.connection):
            work.execute_driver_sql("COMMIT")
        work.connection.commit()
    except BaseException:
        roll_back_own(work)
        raise


def roll_back_own(work: UnitOfWork) -> None:
    """Roll our own transaction back."""
    if (
        work.backend is Backend.SQLITE
        and dialects.sqlite_commits_never(work.connection)
        and dialects.sqlite_in_transaction(work.connection)
    ):
        work.execute_driver_sql("ROLLBACK")
    work.connection.rollback()


def join_borrowed_write(work: UnitOfWork) -> None:
    """Check that the host's transaction is one, and on SQLite see to it that it holds the write lock.

    Raises:
        InvalidArgument: the driver is in autocommit mode, or a savepoint was set outside a transaction.
    """
    _join(work)
    if work.backend is Backend.SQLITE:
        _refuse_a_savepoint_without_begin(work)
        _take_sqlite_write_lock(work)


def _join(work: UnitOfWork) -> None:
    if not work.connection.in_transaction():
        # SQLAlchemy begins with the first statement; only then does the driver tell whether it did.
        work.execute(_ANY)
    if dialects.in_autocommit(work.connection, work.backend):
        raise InvalidArgument(
            "using", "the connection is in autocommit mode: a transaction is needed that the host commits"
        )


def _refuse_a_savepoint_without_begin(work: UnitOfWork) -> None:
    """Refuse where a savepoint may have been set outside a transaction: SQLite takes it for one, and releasing commits.

    The sqlite3 module does not begin before a savepoint, and in its other modes begins nothing: there it is up to who
    listens to SQLAlchemy's "begin", as a configured engine does.
    """
    connection = work.connection
    if not connection.in_nested_transaction():
        return
    if dialects.sqlite_begins_by_itself(connection) or not connection.dispatch.begin:
        raise InvalidArgument(
            "using",
            "sqlite3 sets savepoints without BEGIN, so releasing one commits: "
            "call pluct_ledger.sqlite.configure(engine) once",
        )


def _take_sqlite_write_lock(work: UnitOfWork) -> None:
    """Take SQLite's one write lock now, and not when a read transaction is to become a writing one.

    Where no transaction is open, BEGIN IMMEDIATE waits for its turn. Where the host's is open already, a write that
    changes nothing takes the lock; if others wrote since the host's first read, SQLite answers BUSY at once.
    """
    if not dialects.sqlite_in_transaction(work.connection):
        work.execute_driver_sql("BEGIN IMMEDIATE")
        return
    account: Any = work.tables.account
    work.execute(update(account).where(account.c.account_id == b"").values(seq=account.c.seq))
