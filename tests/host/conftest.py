"""A host application: a table of its own, and a transaction that is its own business."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Executable, String, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from pluct_ledger import Ledger
from tests.clock import FrozenClock
from tests.contract.callers import Rows, rows_of
from tests.doorways import BORROWED


class Base(DeclarativeBase):
    """What the host keeps."""


class Order(Base):
    """A row of the host's, which is to be there exactly if the credit for it was taken."""

    __tablename__ = "host_order"

    order_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    note: Mapped[str] = mapped_column(String(100), default="")


class Host:
    """A host's open transaction in one of the forms in which `using` takes it."""

    def __init__(self, lent: Session | scoped_session[Session] | Connection) -> None:
        self.lent = lent

    def order(self, order_id: int) -> None:
        """Insert a row of the host's."""
        self.execute(insert(Order).values(order_id=order_id, note="of the host"))

    def execute(self, statement: Executable) -> Any:
        """Send a statement of the host's."""
        return self.lent.execute(statement)

    def connection(self) -> Connection:
        """Return the connection that the host's transaction is on."""
        return self.lent if isinstance(self.lent, Connection) else self.lent.connection()

    def rows(self) -> Rows:
        """Return every row of ours as the host's transaction sees them."""
        return rows_of(self.connection())

    def savepoint(self) -> Any:
        """Set a savepoint of the host's, for a with block or to be rolled back."""
        return self.lent.begin_nested()

    def commit(self) -> None:
        """Commit, as only the host does."""
        self.lent.commit()

    def rollback(self) -> None:
        """Roll back, as only the host does."""
        self.lent.rollback()


@pytest.fixture
def orders(engine: Engine) -> Iterator[None]:
    """The host's table, empty."""
    Base.metadata.create_all(engine)
    yield
    Base.metadata.drop_all(engine)


@pytest.fixture(params=BORROWED)
def host(request: pytest.FixtureRequest, engine: Engine, orders: None) -> Iterator[Host]:
    """A host by each form of its transaction; what it did not commit is rolled back at the end."""
    lent: Session | scoped_session[Session] | Connection
    match request.param:
        case "session":
            lent = Session(engine)
        case "scoped_session":
            lent = scoped_session(sessionmaker(engine))
        case _:
            lent = engine.connect()
    yield Host(lent)
    lent.rollback()
    lent.close()


@pytest.fixture
def ledger(host: Host, client: Ledger) -> Ledger:
    """A ledger inside the host's transaction."""
    return client.using(host.lent)


@pytest.fixture
def client(engine: Engine, clock: FrozenClock) -> Ledger:
    """Another client, who has transactions of his own and sees only what was committed."""
    return Ledger(engine, clock=clock)


def orders_in(engine: Engine) -> list[int]:
    """Return the ids of the host's rows that were committed."""
    with engine.connect() as connection:
        return list(connection.scalars(select(Order.order_id).order_by(Order.order_id)))
