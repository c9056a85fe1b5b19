"""One transaction's view of the tables, and the one place through which all our statements go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, CursorResult, Executable, Select

from pluct_ledger.storage.dialects import Backend, backend_of
from pluct_ledger.storage.schema import Tables

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
StatementHook = Callable[[Connection, Executable | str], None]

_hooks: Final[list[StatementHook]] = []


@contextmanager
def watch_statements(hook: StatementHook) -> Iterator[None]:
    """Call `hook` before every statement of ours, in whatever thread; for tests that count and schedule."""
    _hooks.append(hook)
    try:
        yield
    finally:
        _hooks.remove(hook)


class LostRace(Exception):
    """Another transaction created an account between our lock and our insertion; nothing of ours is left."""

    def __init__(self, account_ids: frozenset[bytes]) -> None:
        self.account_ids = account_ids
        super().__init__("an account appeared meanwhile")


class UnitOfWork:
    """A connection in a transaction, the tables to use on it, and what is known of its snapshot.

    Attributes:
        own: the transaction is ours: READ COMMITTED, committed and retried by us. Else it is the host's.
        attempt: how often this work was begun before.
        certain: accounts that exist though a plain read may not show them yet.
    """

    __slots__ = ("attempt", "backend", "certain", "connection", "own", "reads_are_stale", "tables")

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        *,
        own: bool,
        attempt: int = 0,
        certain: frozenset[bytes] = frozenset(),
    ) -> None:
        self.connection = connection
        self.tables = tables
        self.backend: Backend = backend_of(connection.dialect.name)
        self.own = own
        self.attempt = attempt
        self.certain = certain
        self.reads_are_stale = False

    def fresh(self, statement: Select[Any]) -> Select[Any]:
        """Return `statement` as one that reads the present, where plain reads of this transaction show the past."""
        return statement.with_for_update(read=True) if self.reads_are_stale else statement

    def execute(self, statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        """Send one statement."""
        for hook in _hooks:
            hook(self.connection, statement)
        return self.connection.execute(statement, parameters)

    def execute_driver_sql(self, statement: str) -> CursorResult[Any]:
        """Send one statement as it stands."""
        for hook in _hooks:
            hook(self.connection, statement)
        return self.connection.exec_driver_sql(statement)
