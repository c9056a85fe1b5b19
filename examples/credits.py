"""A month of a customer: credit on terms, with a clock that is moved by hand.

    python examples/credits.py                      on an SQLite file that is gone afterwards
    python examples/credits.py postgresql+psycopg://user:password@host/name    on an empty database

It says the same every time and everywhere, and exits with 1 if the books are wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, create_engine

from pluct_ledger import InsufficientCredit, Ledger, maintenance, migrations, sqlite

ADA, BOB = "ada", "bob"


class Calendar:
    """A clock that stands still until the story goes on."""

    def __init__(self) -> None:
        self.now = day(1)

    def __call__(self) -> datetime:
        return self.now


class PrinterOnFire(Exception):
    """Stands for whatever may go wrong in a job."""


def day(number: int, hour: int = 9) -> datetime:
    """Return an instant of the month that is told of."""
    return datetime(2026, 3, number, hour, tzinfo=UTC)


class Month:
    """Tells the story, a chapter a capability."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.calendar = Calendar()
        self.ledger = Ledger(engine, clock=self.calendar)

    def tell(self) -> bool:
        """Tell all of it; return whether the books balance."""
        self.pack_and_promotion()
        job = self.jobs()
        self.crash()
        self.refunds(job)
        self.overdraft()
        self.gift()
        self.upkeep()
        self.account_given()
        report = self.ledger.verify()
        self.chapter("The proof")
        print(
            f"{report.checked} entries of {report.accounts} accounts replayed: {len(report.findings)} findings."
        )
        return report.ok

    def pack_and_promotion(self) -> None:
        """Credit comes in: some for ever, some until the tenth."""
        self.chapter("A pack and a promotion", day(1))
        self.ledger.grant(ADA, 100, kind="pack", reason="Pack of 100", idempotency_key="order-1")
        self.ledger.grant(ADA, 30, expires_at=day(10, 0), label="Spring promotion", granted_by="marketing")
        self.show("Ada buys a pack of 100, and is given 30 until March 10.")

    def jobs(self) -> str:
        """Jobs hold credit while they run; return the entry that paid for the first."""
        self.chapter("Jobs", day(3))
        with self.ledger.holding(ADA, 40, ttl=timedelta(minutes=30), reason="Report 1") as held:
            self.show("While report 1 is printed, 40 are held:")
            paid = held.capture(36)
        self.show("It took 36; the rest is free again. The promotion paid first:")
        for source in self.ledger.explain(paid.entry_id).sources:
            name = "the pool" if source.grant is None else f"{source.grant.label!r}"
            print(f"    {-source.amount} from {name}")

        try:
            with self.ledger.holding(ADA, 40, ttl=timedelta(minutes=30), reason="Report 2"):
                raise PrinterOnFire
        except PrinterOnFire:
            self.show("The printer caught fire during report 2: nothing was taken.")
        return paid.entry_id

    def crash(self) -> None:
        """A process dies and leaves a hold, which ends by itself."""
        self.chapter("A crash", day(4))
        self.ledger.authorize(ADA, 50, ttl=timedelta(hours=1), reason="Report 3")
        self.show("The machine that prints report 3 loses power: its hold stays.")
        self.calendar.now = day(4, 10)
        (orphan,) = self.ledger.orphan_holds()
        reason = self.ledger.entry(orphan.hold_id).reason
        self.show(f"An hour later it is over, though nothing has recorded it; the orphan was {reason!r}.")

    def refunds(self, job: str) -> None:
        """A job is refunded after the credit that paid for it has expired."""
        self.chapter("A refund after expiry", day(12))
        back = self.ledger.reverse(job, 10, reason="Ten pages were blank")
        print(f"  Ten pages of report 1 were blank: {back.amount} come back. 6 were of the pool, and stay;")
        self.show("4 were of the promotion, which is over: they expire at once.")
        self.ledger.reverse(job, 5, expired_grace=timedelta(days=7), reason="Five more, with an apology")
        self.show("Five more were blank, and this time there is a grace of a week:")
        self.coming()

    def overdraft(self) -> None:
        """A limit lets the account go below zero, and the next pack repays first."""
        self.chapter("Overdraft", day(15))
        try:
            self.ledger.spend(ADA, 120, reason="The annual report")
        except InsufficientCredit as refusal:
            print(
                f"  The annual report costs {refusal.requested}, and there are {refusal.available}: refused."
            )
        self.ledger.set_overdraft_limit(ADA, 20, actor="sales", reason="A good customer")
        self.ledger.spend(ADA, 120, reason="The annual report")
        self.show("Sales lets her go down to -20, and it is printed.")
        self.calendar.now = day(16)
        self.ledger.grant(ADA, 60, expires_at=timedelta(days=10), label="Monthly plan")
        self.show("Her monthly plan brings 60: it repays first, and what remains lives for ten days.")

    def gift(self) -> None:
        """A transfer carries the terms along."""
        self.chapter("A gift to a friend", day(20))
        self.ledger.open_account(BOB)
        self.ledger.transfer(ADA, BOB, 15, reason="Happy birthday")
        (given,) = self.ledger.grants(BOB)
        self.show("Ada gives Bob 15. They came from her monthly plan, and end when it does:")
        print(f"    {BOB} has {given.posted} until {instant(given.expires_at)}")

    def upkeep(self) -> None:
        """What is due is recorded early, and changes nothing that anybody sees."""
        self.chapter("Maintenance", day(28))
        before = self.ledger.entries().items
        report = maintenance.run(self.engine, now=self.calendar())
        print(
            f"  The plan is over. Maintenance records {report.entries} entries in {report.accounts} accounts;"
        )
        same = "the same" if self.ledger.entries().items == before else "NOT THE SAME"
        print(f"  what everybody saw before it and sees after it is {same}.")

    def account_given(self) -> None:
        """The month as a statement, as CSV, and the balance explained."""
        self.chapter("The statement of March", datetime(2026, 4, 1, tzinfo=UTC))
        statement = self.ledger.statement(ADA, day(1, 0), self.calendar())
        print(
            f"  opening {statement.opening.posted}, received {statement.received}, used {statement.used}, ",
            end="",
        )
        print(f"forfeited {statement.forfeited}, closing {statement.closing.posted}")
        for entry in statement.entries:
            held = f"{entry.hold_amount:+} held" if entry.hold_amount else ""
            line = (
                f"{instant(entry.at)}  {entry.kind:<10}{entry.amount:>+5}{entry.posted_after:>5}  {held:<9}"
            )
            print(f"  {line}  {entry.reason or ''}".rstrip())
        self.chapter("The same as CSV")
        print(statement.csv().replace("\r\n", "\n"), end="")
        self.chapter("Why is it this number?")
        print(self.ledger.explain_balance(ADA).text)
        self.chapter("And on March 13?")
        print(self.ledger.explain_balance(ADA, day(13)).text)

    def chapter(self, title: str, now: datetime | None = None) -> None:
        """Begin a chapter, at an instant if time has gone on."""
        if now is not None:
            self.calendar.now = now
            title = f"{instant(now)}  {title}"
        print(f"\n{title}")

    def show(self, text: str) -> None:
        """Say a sentence, and what Ada has."""
        balance = self.ledger.balance(ADA)
        print(f"  {text}")
        print(f"    {ADA}: {balance.posted} posted, {balance.held} held, {balance.available} available")

    def coming(self) -> None:
        """Say what will expire if nothing is used."""
        for when, amount in self.ledger.balance(ADA).expiring:
            print(f"    {amount} will expire at {instant(when)}")


def instant(when: datetime | None) -> str:
    """Return an instant as people write it."""
    return "never" if when is None else f"{when:%Y-%m-%d %H:%M}"


@contextmanager
def database(url: str | None) -> Iterator[Engine]:
    """Open the database of that URL, or an SQLite file for this run alone."""
    with TemporaryDirectory() as folder:
        engine = create_engine(url or f"sqlite:///{Path(folder) / 'credits.db'}")
        if engine.dialect.name == "sqlite":
            sqlite.configure(engine)
        try:
            migrations.upgrade(engine)
            yield engine
        finally:
            engine.dispose()


def main(url: str | None = None) -> int:
    """Run the example; return the exit code."""
    with database(url) as engine:
        balanced = Month(engine).tell()
    print("The books balance." if balanced else "The books are WRONG.")
    return 0 if balanced else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
