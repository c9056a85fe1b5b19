"""Who calls the ledger in the contract suite: itself in transactions of its own, or a host inside its own one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, Executable, event, select, update
from sqlalchemy.orm import Session

from pluct_ledger import Ledger
from pluct_ledger.domain.accounts import Status
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock

CALLERS: Final = ("engine", "session", "connection")
PAIRS: Final = {
    "sqlite": CALLERS,
    "postgres": ("engine", "session"),
    "mariadb": ("engine", "connection"),
}
"""Who calls on which lane: each caller on SQLite, and on each server its own transactions and one of the host's."""

TABLES: Final = tables_in(None)

Rows = dict[str, list[tuple[Any, ...]]]


class Caller:
    """One way of calling, which ends what it did by a commit."""

    def __init__(self, engine: Engine, clock: FrozenClock, host: Session | Connection | None) -> None:
        self.engine = engine
        self.clock = clock
        self._host = host

    @property
    def own(self) -> bool:
        """Whether each write is a transaction of the ledger's own."""
        return self._host is None

    def ledger(self, **options: Any) -> Ledger:
        """Return a ledger that is called this way."""
        ledger = Ledger(self.engine, **{"clock": self.clock, **options})
        return ledger if self._host is None else ledger.using(self._host)

    def settle(self) -> None:
        """Commit what was done so far; the host's next transaction begins with its next use."""
        if self._host is not None:
            self._host.commit()

    def rows(self) -> Rows:
        """Commit what was done so far, and return every row of ours."""
        self.settle()
        with self.engine.connect() as connection:
            return rows_of(connection)

    def set_status(self, owner: str, status: Status) -> None:
        """Freeze or close an account behind the ledger's back, also one that has credit, which it would not close."""
        account = TABLES.account
        self.settle()
        with self.engine.begin() as connection:
            connection.execute(update(account).where(account.c.owner == owner).values(status=status))

    def tamper(self, *statements: Executable) -> None:
        """Run and commit somebody else's statements, past the ledger."""
        self.settle()
        with self.engine.begin() as connection:
            for statement in statements:
                assert connection.execute(statement).rowcount >= 1


@contextmanager
def caller_of(name: str, engine: Engine, clock: FrozenClock) -> Iterator[Caller]:
    """Open a caller by its name."""
    match name:
        case "engine":
            yield Caller(engine, clock, None)
        case "session":
            with Session(engine) as session:
                yield Caller(engine, clock, session)
        case "connection":
            with engine.connect() as connection:
                yield Caller(engine, clock, connection)


def rows_of(connection: Connection) -> Rows:
    """Return every row of ours as this connection sees them."""
    return {
        table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
        for table in TABLES.metadata.sorted_tables
    }


@contextmanager
def counted_statements(engine: Engine) -> Iterator[list[str]]:
    """Collect all that is sent to the database meanwhile: by the ledger, and through SQLAlchemy by anyone."""
    sent: list[str] = []

    def through_sqlalchemy(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(engine, "before_cursor_execute", through_sqlalchemy)
    try:
        with watch_statements(lambda _connection, statement: sent.append(str(statement))):
            yield sent
    finally:
        event.remove(engine, "before_cursor_execute", through_sqlalchemy)
