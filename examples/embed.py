"""A host that sells: its own order and the credit that pays for it are committed together, or not at all.

    python examples/embed.py                      on an SQLite file that is gone afterwards
    python examples/embed.py postgresql+psycopg://user:password@host/name

It exits with 1 if anything is not as it says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import Engine, String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pluct_ledger import InsufficientCredit, Ledger, migrations, sqlite


class Base(DeclarativeBase):
    """The host's own tables."""


class Order(Base):
    """What a customer bought."""

    __tablename__ = "example_orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(String(100))
    article: Mapped[str] = mapped_column(String(100))
    entry_id: Mapped[str] = mapped_column(String(64))


class PowerCut(Exception):
    """Stands for whatever may happen to a host after it has written and before it has committed."""


def buy(session: Session, ledger: Ledger, customer: str, article: str, price: int) -> None:
    """Sell an article, in the session's open transaction: nothing is committed here."""
    receipt = ledger.using(session).spend(customer, price, reason=article)
    session.add(Order(customer=customer, article=article, entry_id=receipt.entry_id))


def tell(engine: Engine, ledger: Ledger, customer: str) -> bool:
    """Tell the story; return whether all of it was true."""
    ledger.grant(customer, 100, reason="a gift card")
    story = Story(engine, ledger, customer)
    story.expect("Ada has a gift card.", orders=0, balance=100)

    with Session(engine) as session, session.begin():
        buy(session, ledger, customer, "a lamp", 30)
    story.expect("She bought a lamp: the order and the spend were committed together.", orders=1, balance=70)

    try:
        with Session(engine) as session, session.begin():
            buy(session, ledger, customer, "a chair", 50)
            session.flush()  # both rows are written ...
            raise PowerCut
    except PowerCut:
        pass
    story.expect("The power failed before the chair was committed: both vanished.", orders=1, balance=70)

    with Session(engine) as session, session.begin():
        try:
            buy(session, ledger, customer, "a table", 500)
        except InsufficientCredit as refusal:
            story.say(f"No credit for a table: {refusal.requested} asked for, {refusal.available} there.")
        buy(session, ledger, customer, "a cup", 5)
    story.expect("A refusal left the transaction usable: she bought a cup in it.", orders=2, balance=65)

    report = ledger.verify()
    story.say(f"The log was replayed: {report.checked} entries, {len(report.findings)} findings.")
    return story.true and report.ok


class Story:
    """Says what happened, and compares it with what the database says."""

    def __init__(self, engine: Engine, ledger: Ledger, customer: str) -> None:
        self.engine, self.ledger, self.customer = engine, ledger, customer
        self.true = True

    def expect(self, text: str, *, orders: int, balance: int) -> None:
        """Say a sentence that holds exactly if there are so many orders and so much credit."""
        with Session(self.engine) as session:
            wanted = select(func.count()).select_from(Order).where(Order.customer == self.customer)
            found = session.scalar(wanted), self.ledger.balance(self.customer).available
        self.say(f"{text}\n    orders: {found[0]}, credit: {found[1]}")
        if found != (orders, balance):
            self.true = False
            self.say(f"    WRONG: expected were {orders} orders and {balance} credits")

    def say(self, text: str) -> None:
        """Print a line."""
        print(text)


@contextmanager
def database(url: str | None) -> Iterator[Engine]:
    """Open the database of that URL, or an SQLite file for this run alone; the orders are gone afterwards."""
    with TemporaryDirectory() as folder:
        engine = create_engine(url or f"sqlite:///{Path(folder) / 'host.db'}")
        if engine.dialect.name == "sqlite":
            sqlite.configure(engine)
        migrations.upgrade(engine)
        Base.metadata.create_all(engine)
        try:
            yield engine
        finally:
            Base.metadata.drop_all(engine)
            engine.dispose()


def main(url: str | None = None) -> int:
    """Run the example; return the exit code."""
    run = uuid4().hex
    with database(url) as engine:
        # A book of its own: whatever else the database holds is not touched.
        true = tell(engine, Ledger(engine, book=f"example-{run}"), "ada")
    print("All of it is true." if true else "Something of it is NOT true.")
    return 0 if true else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
