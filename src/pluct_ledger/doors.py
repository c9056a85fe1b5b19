"""The two doors into a database: our own transactions, and the host's. The only place that sleeps and tries again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, UnboundExecutionError
from sqlalchemy.orm import Session, scoped_session

from pluct_ledger.domain.retry import RetryPolicy
from pluct_ledger.errors import Contended, InvalidArgument, OutcomeUnknown, SchemaMismatch
from pluct_ledger.storage import dialects, transactions
from pluct_ledger.storage.schema import SCHEMA_VERSION, Tables
from pluct_ledger.storage.unit_of_work import LostRace, UnitOfWork
from pluct_ledger.storage.writes import DuesWaiting, record_dues

T = TypeVar("T")
Job = Callable[[UnitOfWork], T]
Host = Session | scoped_session[Any] | Connection

_RETRY: Final = RetryPolicy()


class OwnDoor:
    """Transactions of our own on the host's engine: begun, committed and retried here."""

    own = True

    def __init__(self, engine: Engine, tables: Tables, retry: RetryPolicy = _RETRY) -> None:
        if not isinstance(engine, Engine):
            raise InvalidArgument("engine", f"an SQLAlchemy Engine is required, not {type(engine).__name__}")
        self.engine = engine
        self._tables = tables
        self._retry = retry
        self._writing = transactions.for_writing(engine)
        self._reading = transactions.for_reading(engine)
        self._pid = os.getpid()

    def write(self, job: Job[T], *, keys: tuple[str, ...] = ()) -> T:
        """Run `job` in a transaction and commit it, again as long as others are in the way.

        Args:
            keys: the idempotency keys that make running `job` again safe after a COMMIT without an answer.

        Raises:
            Contended: the budget of retries is spent; nothing was written.
            OutcomeUnknown: COMMIT was sent, and running it again could not find out.
            SchemaMismatch: our tables are not there.
        """
        started = time.monotonic()
        attempt, unknown = 0, False
        while True:
            commit_was_sent = False
            try:
                with self._connect(self._writing) as connection:
                    work = UnitOfWork(connection, self._tables, own=True, attempt=attempt)
                    result = self._done(work, job)
                    commit_was_sent = True
                    transactions.commit_own(work)
                return result
            except DuesWaiting as waiting:
                self._record_dues(waiting)
                continue
            except (DBAPIError, LostRace) as error:
                lost = isinstance(error, DBAPIError) and dialects.is_disconnect(error)
                unknown = unknown or (lost and commit_was_sent)
                if not (unknown or lost or _is_contention(error)):
                    raise _translated(error) from error
                attempt += 1
                wait = self._retry.wait(attempt, time.monotonic() - started, random.random())  # noqa: S311 - jitter
                if wait is None:
                    raise (OutcomeUnknown(keys=keys) if unknown else Contended()) from error
            time.sleep(wait)

    def read(self, job: Job[T]) -> T:
        """Run `job` in a transaction that writes nothing."""
        with self._connect(self._reading) as connection:
            work = UnitOfWork(connection, self._tables, own=True)
            try:
                transactions.begin_own_read(work)
                return job(work)
            except DBAPIError as error:
                raise _translated(error) from error
            finally:
                transactions.roll_back_own(work)

    def _record_dues(self, waiting: DuesWaiting) -> None:
        """Record what fell due before the command, a transaction a chunk."""
        while self.write(lambda work: record_dues(work, waiting.account_id, until=waiting.until)):
            pass

    def _done(self, work: UnitOfWork, job: Job[T]) -> T:
        try:
            transactions.begin_own_write(work)
            return job(work)
        except BaseException:
            transactions.roll_back_own(work)
            raise

    def _connect(self, engine: Engine) -> Connection:
        """Check a connection out; in a forked child, never one of the parent's."""
        if os.getpid() != self._pid:
            # A server's connections are the parent's, who goes on speaking over them. SQLite's have to be closed here:
            # while the child has one open, it takes its own locks for taken, and the parent, seeing none, would remove
            # the write-ahead log from under it.
            on_sqlite = dialects.backend_of(engine.dialect.name) is dialects.Backend.SQLITE
            self.engine.dispose(close=on_sqlite)
            self._pid = os.getpid()
        return engine.connect()


class BorrowedDoor:
    """The host's open transaction: nothing is begun, committed, rolled back, flushed or retried here."""

    own = False

    def __init__(self, host: Host, engine: Engine, tables: Tables) -> None:
        if not isinstance(host, Session | scoped_session | Connection):
            raise InvalidArgument(
                "using", f"a Session, scoped_session or Connection is required, not {type(host).__name__}"
            )
        self.engine = engine
        self._host = host
        self._tables = tables

    def write(self, job: Job[T], *, keys: tuple[str, ...] = ()) -> T:
        """Run `job` on the host's connection; a refusal leaves nothing behind.

        Raises:
            InvalidArgument: the connection is in autocommit mode.
            Contended: others were in the way; the host rolls back and retries its whole transaction.
            SchemaMismatch: our tables are not there.
        """
        try:
            connection = self._connection()
            work = UnitOfWork(connection, self._tables, own=False)
            transactions.join_borrowed_write(work)
            try:
                return job(work)
            except LostRace as race:
                return job(UnitOfWork(connection, self._tables, own=False, certain=race.account_ids))
        except DuesWaiting:
            raise Contended(
                "more has fallen due than one transaction records: run maintenance first"
            ) from None
        except (DBAPIError, LostRace) as error:
            raise _translated(error) from error

    def read(self, job: Job[T]) -> T:
        """Run `job` on the host's connection."""
        try:
            return job(UnitOfWork(self._connection(), self._tables, own=False))
        except DBAPIError as error:
            raise _translated(error) from error

    def _connection(self) -> Connection:
        """Return the host's connection, without a flush."""
        if isinstance(self._host, Connection):
            return self._host
        session: Session = self._host if isinstance(self._host, Session) else self._host()
        try:
            return session.connection()
        except UnboundExecutionError:
            return session.connection(bind_arguments={"bind": self.engine})


Door = OwnDoor | BorrowedDoor


def _is_contention(error: DBAPIError | LostRace) -> bool:
    return isinstance(error, LostRace) or dialects.is_contention(error)


def _translated(error: DBAPIError | LostRace) -> Exception:
    """Return the error that a host is to see."""
    if _is_contention(error):
        return Contended()
    if isinstance(error, DBAPIError) and dialects.is_missing_table(error):
        return SchemaMismatch(expected=SCHEMA_VERSION, found=None)
    return error
