"""Hosts under any isolation level: what others committed since the host's first read is never spent twice, nor lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.sql.dml import Insert

from pluct_ledger import AccountNotFound, Contended, IdempotencyMismatch, InsufficientCredit, Ledger, Receipt
from pluct_ledger.commands import Command, Issue, Spend, Transfer
from pluct_ledger.errors import PluctError
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.contract.callers import TABLES, rows_of

pytestmark = pytest.mark.lanes(
    "postgres",
    "mariadb",
    because="it differs: SQLite has one writer at a time and no isolation level to choose",
)


@dataclass(frozen=True)
class Setting:
    """How a host has set its transaction, and what its write comes to where others committed since it first read.

    Attributes:
        outcome: "present": the write is decided upon what is there now; "contended": the host is told to retry;
            "alone": what the host has read is locked, so that the others are kept out.
        snapshot: MariaDB is to keep the snapshot to its word.
    """

    level: str
    outcome: Literal["present", "contended", "alone"]
    snapshot: bool = False


SETTINGS: Final = {
    "postgres": (
        Setting("READ COMMITTED", "present"),
        Setting("REPEATABLE READ", "contended"),
        Setting("SERIALIZABLE", "contended"),
    ),
    "mariadb": (
        Setting("READ COMMITTED", "present"),
        Setting("REPEATABLE READ", "present"),
        Setting("REPEATABLE READ", "contended", snapshot=True),
        Setting("SERIALIZABLE", "alone"),
    ),
}


class Parties:
    """A host that has begun, and another one who does not wait for locks."""

    def __init__(self, client: Ledger, host: Connection, other: Connection, setting: Setting) -> None:
        self.setting = setting
        self.client = client
        self.host = host
        self.ledger = client.using(host)
        self._other = other

    def others(self, *commands: Command) -> bool:
        """Do these in a transaction of the other's; return whether it could be done at once."""
        try:
            self.client.using(self._other).apply_many(commands, atomic=True)
        except Contended:
            self._other.rollback()
            assert self.setting.outcome == "alone"
            return False
        self._other.commit()
        assert self.setting.outcome != "alone"
        return True

    def attempt(self, *commands: Command) -> list[Receipt | PluctError]:
        """Do these in the host's transaction; where that is contended, roll it back."""
        outcomes: list[Receipt | PluctError] = []
        for command in commands:
            try:
                outcomes.append(self.ledger.apply(command))
            except PluctError as refused:
                outcomes.append(refused)
                if isinstance(refused, Contended):
                    assert self.setting.outcome == "contended"
                    self.host.rollback()
                    return outcomes
        self.host.commit()
        return outcomes


@pytest.fixture
def settings(here: object) -> tuple[Setting, ...]:
    """The settings of the lane's hosts."""
    return SETTINGS[here.name]  # type: ignore[attr-defined]  # a lane knows its name


def make_impatient(connection: Connection) -> None:
    """Have a connection wait for no lock."""
    name, value = {"postgresql": ("lock_timeout", 20)}.get(
        connection.dialect.name, ("innodb_lock_wait_timeout", 0)
    )
    connection.exec_driver_sql(f"SET {name} = {value}")
    connection.commit()


@contextmanager
def parties(engine: Engine, client: Ledger, setting: Setting) -> Iterator[Parties]:
    """Have a host begin under its setting and read all that there is; at the end the books are in order."""
    plain = create_engine(engine.url, poolclass=NullPool)
    with plain.connect() as host, plain.connect() as other:
        make_impatient(host)
        make_impatient(other)
        if setting.snapshot:
            host.exec_driver_sql("SET SESSION innodb_snapshot_isolation = ON")
            host.commit()
        host.execution_options(isolation_level=setting.level)
        rows_of(host)
        client.using(host).balances(["ada", "bob", "new"])
        yield Parties(client, host, other, setting)
        host.rollback()
        other.rollback()
    report = client.verify()
    assert report.ok, report.findings


@pytest.fixture
def client(engine: Engine) -> Ledger:
    """A ledger of its own."""
    return Ledger(engine)


def begin_anew(client: Ledger, number: int) -> Ledger:
    """Return the ledger of a book in which ada has 10 and bob has nothing."""
    ledger = client.for_book(f"book {number}")
    ledger.grant("ada", 10)
    ledger.open_account("bob")
    return ledger


def test_credit_that_others_spent_is_not_spent_again(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """A host that read before others spent is refused for want of credit, or told to retry: never let through."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_spent = both.others(Spend("ada", 8))
            (outcome,) = both.attempt(Spend("ada", 5))

            if setting.outcome == "present":
                assert isinstance(outcome, InsufficientCredit)
                assert outcome.available == 2
            else:
                assert isinstance(outcome, Receipt if setting.outcome == "alone" else Contended)
            assert ledger.balance("ada").posted == (2 if others_spent else 5)


def test_what_is_left_can_be_spent(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """A host that read before others spent takes its part of what they left, or retries: no movement is lost."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_spent = both.others(Spend("ada", 7), Issue("bob", 1))
            outcomes = both.attempt(Spend("ada", 2), Transfer("bob", "ada", 1), Issue("ada", 4))

            left = 3 if others_spent else 10
            if setting.outcome == "contended":
                assert isinstance(outcomes[0], Contended)
                assert ledger.balance("ada").posted == left
            else:
                receipts = [outcome.posted_after for outcome in outcomes if isinstance(outcome, Receipt)]
                assert receipts == ([1, 0, 6] if others_spent else [8, 12])
                assert ledger.balance("ada").posted == receipts[-1]


def test_a_key_that_others_used_is_known(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """A host whose snapshot does not show another's entry repeats its key without a second debit."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        spend = Spend("ada", 3, idempotency_key="k")
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_spent = both.others(spend)
            (outcome,) = both.attempt(spend)

            if setting.outcome == "contended":
                assert isinstance(outcome, Contended)
            else:
                assert isinstance(outcome, Receipt)
                assert outcome.replayed is others_spent
            assert ledger.balance("ada").posted == 7


def test_a_key_that_others_used_is_known_after_a_write_of_the_hosts(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """The host's own writes do not make its snapshot look young: keys that others used stay known to the end."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        keyed = Spend("ada", 3, idempotency_key="k")
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_spent = both.others(keyed)
            outcomes = both.attempt(Spend("ada", 1), keyed, Issue("new", 1), keyed, Spend("ada", 1))

            if setting.outcome == "contended":
                assert isinstance(outcomes[0], Contended)
            else:
                repeats = [outcome.replayed for outcome in outcomes if isinstance(outcome, Receipt)]
                assert repeats == [False, others_spent, False, True, False]
            assert ledger.balance("ada").posted == (7 if setting.outcome == "contended" else 5)


def test_keys_of_a_batch_that_others_used_are_known(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """In a batch over several accounts the keys that others used meanwhile are known, and no others."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        commands: list[Command] = [Spend("ada", 3, idempotency_key="k"), Issue("bob", 2, idempotency_key="k")]
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_did = both.others(commands[1])
            try:
                outcomes = both.ledger.apply_many(commands)
            except Contended:
                assert setting.outcome == "contended"
                both.host.rollback()
            else:
                both.host.commit()
                assert [outcome.replayed for outcome in outcomes if isinstance(outcome, Receipt)] == [
                    False,
                    others_did,
                ]
            assert ledger.balance("ada").posted == (10 if setting.outcome == "contended" else 7)
            assert ledger.balance("bob").posted == 2


def test_an_account_that_others_opened_is_not_opened_twice(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """A host that saw no account adds to the one that others opened meanwhile, and knows the keys used in it."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_opened = both.others(Issue("new", 5, idempotency_key="k"))
            outcomes = both.attempt(Issue("new", 7), Issue("new", 5, idempotency_key="k"), Issue("new", 1))

            if setting.outcome == "contended":
                assert isinstance(outcomes[0], Contended)
                assert ledger.balance("new").posted == 5
            else:
                repeats = [outcome.replayed for outcome in outcomes if isinstance(outcome, Receipt)]
                assert repeats == [False, others_opened, False]
                assert ledger.balance("new").posted == 13
            if setting.outcome == "present":
                assert [entry.amount for entry in ledger.entries("new")] == [1, 7, 5]


def test_an_account_that_the_snapshot_does_not_show_can_wait(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """A spend from an account that others opened meanwhile is done where the host can see it, else not found."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        with subtests.test(setting=setting), parties(engine, ledger, setting) as both:
            others_opened = both.others(Issue("new", 5))
            (outcome,) = both.attempt(Spend("new", 2))

            if setting.level == "READ COMMITTED":
                assert isinstance(outcome, Receipt)
                assert ledger.balance("new").posted == 3
            else:
                assert isinstance(outcome, AccountNotFound)
                assert ledger.balances(["new"]).keys() == ({"new"} if others_opened else set())


def test_a_lock_that_is_held_is_contention(
    engine: Engine, client: Ledger, settings: tuple[Setting, ...], subtests: pytest.Subtests
) -> None:
    """Where another transaction holds an account, a host that does not wait is contended, at any level."""
    for number, setting in enumerate(settings):
        ledger = begin_anew(client, number)
        plain = create_engine(engine.url, poolclass=NullPool)
        with subtests.test(setting=setting), plain.connect() as holder, plain.connect() as host:
            make_impatient(host)
            host.execution_options(isolation_level=setting.level)
            ledger.using(holder).spend("ada", 1)

            writes: list[Callable[[Ledger], object]] = [
                lambda on: on.spend("ada", 1),
                lambda on: on.transfer("ada", "bob", 1),
                lambda on: on.apply_many([Issue("bob", 1), Spend("ada", 1)]),
            ]
            for write in writes:
                with pytest.raises(Contended):
                    write(ledger.using(host))
                host.rollback()
            holder.commit()

            ledger.using(host).spend("ada", 1)
            host.commit()
            assert ledger.balance("ada").posted == 8


def is_opening(statement: object) -> bool:
    return isinstance(statement, Insert) and statement.table is TABLES.account


@contextmanager
def opened_meanwhile(host: Connection, others: Ledger, *owners: str) -> Iterator[None]:
    """Have others open these accounts, one before each attempt of the host's to open the accounts that it lacks."""
    waiting = list(owners)

    def open_next(connection: Connection, statement: object) -> None:
        if connection is host and is_opening(statement) and waiting:
            others.grant(waiting.pop(0), 5, idempotency_key="k")

    with watch_statements(open_next):
        yield
    assert not waiting


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_an_opening_that_lost_its_race_is_done_again_or_contended(
    engine: Engine, client: Ledger, level: str, here: object
) -> None:
    """Accounts that others open between a batch's look and its insertion are found, and the whole batch is right."""
    ledger = begin_anew(client, 0)
    plain = create_engine(engine.url, poolclass=NullPool)
    batch: list[Command] = [
        Issue("zoe", 1),
        Issue("eve", 1),
        Issue("new", 1),
        Issue("eve", 5, idempotency_key="k"),
        Spend("ada", 1),
    ]
    with plain.connect() as host:
        host.execution_options(isolation_level=level)
        with opened_meanwhile(host, ledger, "eve"):
            try:
                outcomes = ledger.using(host).apply_many(batch, atomic=True)
            except Contended:
                assert (level, here.name) == ("REPEATABLE READ", "postgres")  # type: ignore[attr-defined]  # a lane's
                host.rollback()
            else:
                assert [outcome.replayed for outcome in outcomes if isinstance(outcome, Receipt)] == [
                    False,
                    False,
                    False,
                    True,
                    False,
                ]
                host.commit()
                balances = ledger.balances(["zoe", "eve", "new", "ada"])
                assert {owner: balance.posted for owner, balance in balances.items()} == {
                    "zoe": 1,
                    "eve": 6,
                    "new": 1,
                    "ada": 9,
                }
    assert ledger.verify().ok


def test_a_refusal_after_a_lost_race_leaves_nothing(engine: Engine, client: Ledger) -> None:
    """Where a batch is refused for what others opened meanwhile, the accounts that it had opened are gone again."""
    ledger = begin_anew(client, 0)
    plain = create_engine(engine.url, poolclass=NullPool)
    with plain.connect() as host:
        host.execution_options(isolation_level="READ COMMITTED")
        batch = [Issue("zoe", 1), Issue("eve", 6, idempotency_key="k"), Issue("new", 1)]
        with opened_meanwhile(host, ledger, "eve"), pytest.raises(IdempotencyMismatch):
            ledger.using(host).apply_many(batch, atomic=True)
        seen = rows_of(host)
        host.commit()

    with engine.connect() as connection:
        assert rows_of(connection) == seen
    assert [account.owner for account in ledger.accounts()] == ["ada", "bob", "eve"]
    assert ledger.verify().ok


def test_hosts_that_lock_crosswise_are_contended_and_not_stuck(engine: Engine, client: Ledger) -> None:
    """Of two hosts that take the same accounts in opposite order one is contended, and the other commits."""
    ledger = begin_anew(client, 0)
    ledger.grant("bob", 10)
    plain = create_engine(engine.url, poolclass=NullPool)
    with plain.connect() as one, plain.connect() as another, ThreadPoolExecutor(1) as thread:
        if one.dialect.name == "postgresql":
            for each in (one, another):
                each.exec_driver_sql("SET deadlock_timeout = 10")
                each.commit()
        ledger.using(one).spend("ada", 1)
        ledger.using(another).spend("bob", 1)

        def take(host: Connection, owner: str) -> bool:
            try:
                ledger.using(host).spend(owner, 1)
            except Contended:
                host.rollback()
                return False
            host.commit()
            return True

        waiting = thread.submit(take, one, "bob")
        done = [take(another, "ada"), waiting.result()]

    assert sorted(done) == [False, True]
    assert [ledger.balance(owner).posted for owner in ("ada", "bob")] == [9, 9]
    assert ledger.verify().ok
