"""The host's transaction: our rows live and die with its own, and it stays the host's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pluct_ledger import (
    AccountExists,
    AccountNotFound,
    BalanceLimitExceeded,
    IdempotencyMismatch,
    InsufficientCredit,
    Ledger,
    Refused,
)
from pluct_ledger.commands import Adjust, Issue, Spend, Transfer
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock
from tests.contract.callers import rows_of
from tests.host.conftest import Base, Host, Order, orders_in

MOST = 2**53 - 1
TRANSACTIONAL = (
    "begin",
    "commit",
    "rollback",
    "savepoint",
    "rollback_savepoint",
    "release_savepoint",
    "begin_twophase",
    "prepare_twophase",
)
OF_SESSIONS = (
    "after_begin",
    "after_transaction_create",
    "after_transaction_end",
    "before_commit",
    "after_commit",
    "before_flush",
    "after_flush",
    "after_rollback",
    "after_soft_rollback",
)


@contextmanager
def transactional_events(engine: Engine) -> Iterator[list[str]]:
    """Collect all that begins, ends or flushes anything meanwhile: on the engine, and on every session."""
    happened: list[str] = []
    listening: list[tuple[Any, str, Callable[..., None]]] = []

    def listen(target: Any, name: str) -> None:
        def note(*_: Any) -> None:
            happened.append(name)

        event.listen(target, name, note)
        listening.append((target, name, note))

    for name in TRANSACTIONAL:
        listen(engine, name)
    for name in OF_SESSIONS:
        listen(Session, name)
    try:
        yield happened
    finally:
        for target, name, note in listening:
            event.remove(target, name, note)


def everything(ledger: Ledger) -> None:
    """Call every method of a ledger that asks the database, and have each kind of command refused."""
    ledger.open_account("new", initial=1)
    ledger.grant("ada", 5, idempotency_key="k", metadata={"a": 1})
    ledger.grant("ada", 5, idempotency_key="k")
    ledger.spend("ada", 1)
    ledger.spend("ada", 99, up_to=True)
    ledger.adjust("ada", 5, reason="x")
    ledger.transfer("ada", "new", 1)
    ledger.apply(Issue("newer", 1))
    ledger.apply_many([Issue("newest", 1), Spend("ada", 1), Spend("ada", 99), Transfer("ada", "new", 1)])
    for refused in (
        lambda: ledger.spend("ada", 99),
        lambda: ledger.open_account("ada"),
        lambda: ledger.grant("ada", 6, idempotency_key="k"),
        lambda: ledger.transfer("ada", "nobody", 1),
        lambda: ledger.apply_many([Issue("another", 1), Adjust("nobody", 1, reason="x")], atomic=True),
    ):
        with pytest.raises(Refused):
            refused()
    ledger.account("ada")
    ledger.accounts(limit=1)
    ledger.balance("ada")
    ledger.balances(["ada", "new"])
    assert ledger.find("ada", "k") == ledger.entry(f"{ledger.account_id('ada')}.2")
    assert len(list(ledger.entries("ada", limit=1).all())) > len(list(ledger.entries(kinds=["adjust"])))
    assert ledger.verify().ok


def test_credit_commits_with_the_hosts_rows(
    host: Host, ledger: Ledger, client: Ledger, engine: Engine
) -> None:
    """What was written in the host's transaction is there for everyone when the host commits, and not before."""
    client.grant("ada", 10)

    host.order(1)
    receipt = ledger.spend("ada", 3)
    assert client.balance("ada").posted == 10
    host.commit()

    assert client.balance("ada").posted == 7
    assert client.entry(receipt.entry_id).amount == -3
    assert orders_in(engine) == [1]


def test_credit_rolls_back_with_the_hosts_rows(
    host: Host, ledger: Ledger, client: Ledger, engine: Engine
) -> None:
    """When the host rolls back, nothing is left of anything that was done in its transaction."""
    client.grant("ada", 10)
    client.open_account("bob")
    before = host.rows()
    host.rollback()

    host.order(1)
    everything(ledger)
    host.order(2)
    host.rollback()

    assert host.rows() == before
    host.rollback()
    assert orders_in(engine) == []


def test_the_ledger_can_go_on_after_a_rollback(host: Host, ledger: Ledger, client: Ledger) -> None:
    """After a rollback the same bound ledger writes in the host's next transaction, the same keys and numbers again."""
    client.grant("ada", 10)
    first = ledger.spend("ada", 3, idempotency_key="k")
    host.rollback()

    again = ledger.spend("ada", 3, idempotency_key="k")
    host.commit()

    assert again == first
    assert client.balance("ada").posted == 7


REFUSED: list[tuple[Callable[[Ledger], object], type[Refused]]] = [
    (lambda on: on.spend("ada", 11), InsufficientCredit),
    (lambda on: on.spend("poor", 1, up_to=True), InsufficientCredit),
    (lambda on: on.spend("nobody", 1), AccountNotFound),
    (lambda on: on.transfer("ada", "nobody", 1), AccountNotFound),
    (lambda on: on.open_account("ada"), AccountExists),
    (lambda on: on.grant("ada", 6, idempotency_key="k"), IdempotencyMismatch),
    (lambda on: on.grant("ada", MOST), BalanceLimitExceeded),
    (lambda on: on.apply_many([Issue("new", 1), Spend("ada", 11)], atomic=True), InsufficientCredit),
]


def test_a_refusal_leaves_the_transaction_usable_and_our_tables_untouched(
    host: Host, ledger: Ledger, client: Ledger, engine: Engine
) -> None:
    """After each refusal every row of ours is as it was, and the host goes on, spends and commits."""
    client.grant("ada", 10, idempotency_key="k")
    client.open_account("poor")
    before = host.rows()

    for number, (call, refusal) in enumerate(REFUSED):
        with pytest.raises(refusal):
            call(ledger)
        assert host.rows() == before
        host.order(number)

    ledger.spend("ada", 10)
    host.commit()
    assert orders_in(engine) == list(range(len(REFUSED)))
    assert client.balance("ada").posted == 0


def test_refused_commands_of_a_batch_leave_nothing(host: Host, ledger: Ledger, client: Ledger) -> None:
    """Where every command of a batch is refused, not a row is touched, down to those of accounts."""
    client.grant("ada", 10)
    before = host.rows()

    outcomes = ledger.apply_many([Spend("ada", 11), Spend("nobody", 1), Transfer("ada", "nobody", 1)])

    assert [type(outcome) for outcome in outcomes] == [InsufficientCredit, AccountNotFound, AccountNotFound]
    assert host.rows() == before


def test_the_host_reads_its_own_uncommitted_credit(host: Host, ledger: Ledger, client: Ledger) -> None:
    """Reads in the host's transaction see what it wrote and did not commit, and nobody else does."""
    receipt = ledger.grant("ada", 10, idempotency_key="k")
    ledger.spend("ada", 4)

    assert ledger.balance("ada").posted == 6
    assert ledger.account("ada").entry_count == 2
    assert ledger.entry(receipt.entry_id).amount == 10
    assert [entry.amount for entry in ledger.entries()] == [-4, 10]
    assert [account.owner for account in ledger.accounts()] == ["ada"]
    assert ledger.find("ada", "k") is not None
    assert ledger.verify().checked == 2
    assert ledger.grant("ada", 10, idempotency_key="k").replayed
    for ask in (client.account, client.balance):
        with pytest.raises(AccountNotFound):
            ask("ada")
    assert (len(client.entries()), len(client.accounts()), client.balances(["ada"])) == (0, 0, {})


def test_nothing_begins_ends_or_flushes_in_the_hosts_transaction(
    host: Host, ledger: Ledger, client: Ledger, engine: Engine
) -> None:
    """Once the host has begun, no call of ours begins, commits, rolls back, sets a savepoint or flushes anything."""
    client.grant("ada", 10)
    client.open_account("bob")
    host.order(1)
    sent: list[str] = []

    with transactional_events(engine) as happened, watch_statements(lambda _, said: sent.append(str(said))):
        everything(ledger)

    assert happened == []
    words = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "LOCK"}
    assert not [statement for statement in sent if statement.split()[0].upper() in words]
    assert len(sent) > 30


def test_the_session_begins_by_itself_and_only_once(engine: Engine, client: Ledger) -> None:
    """On a session without a transaction our first call makes it begin its own, as any statement would."""
    with Session(engine) as session, transactional_events(engine) as happened:
        ledger = client.using(session)
        assert happened == []
        ledger.grant("ada", 1)
        began = list(happened)
        everything(ledger)
        assert happened == began
        assert began.count("after_begin") == began.count("begin") == 1
        assert session.in_transaction()


def test_pending_objects_are_not_flushed(engine: Engine, client: Ledger, orders: None) -> None:
    """Objects that the host's session has yet to write stay pending through every call, and go with its commit."""
    client.grant("ada", 10)
    client.open_account("bob")
    with Session(engine) as session:
        order = Order(order_id=1)
        session.add(order)
        with transactional_events(engine) as happened:
            everything(client.using(session))
        assert order in session.new
        assert "before_flush" not in happened
        session.commit()

    assert orders_in(engine) == [1]


def test_what_an_object_changed_is_not_flushed(engine: Engine, client: Ledger, orders: None) -> None:
    """Changed objects stay dirty and loaded ones are not expired, whatever we do in their transaction."""
    with Session(engine) as session:
        session.add_all([Order(order_id=1), Order(order_id=2)])
        session.commit()
        changed, loaded = session.get_one(Order, 1), session.get_one(Order, 2)
        changed.note = "changed"

        client.using(session).grant("ada", 1)

        assert changed in session.dirty
        assert "note" in loaded.__dict__


def test_a_savepoint_that_is_rolled_back_takes_ours_along(host: Host, ledger: Ledger, client: Ledger) -> None:
    """What was written inside the host's savepoint goes with it, and what was written outside stays."""
    client.grant("ada", 10)
    ledger.spend("ada", 1)
    before = host.rows()

    savepoint = host.savepoint()
    ledger.spend("ada", 2, idempotency_key="k")
    ledger.grant("eve", 5)
    savepoint.rollback()

    assert host.rows() == before
    with host.savepoint():
        assert not ledger.spend("ada", 4, idempotency_key="k").replayed
    host.commit()
    assert client.balance("ada").posted == 5
    assert client.balances(["eve"]) == {}
    assert client.verify().ok


def test_a_savepoint_that_is_released_stays_the_hosts(host: Host, ledger: Ledger, client: Ledger) -> None:
    """Releasing a savepoint commits nothing: the whole still dies with the host's transaction."""
    client.grant("ada", 10)

    with host.savepoint():
        ledger.spend("ada", 2)
    host.rollback()

    assert client.balance("ada").posted == 10


def test_a_refusal_in_a_savepoint_leaves_it_usable(host: Host, ledger: Ledger, client: Ledger) -> None:
    """Inside a savepoint, too, the host can go on after a refusal."""
    client.grant("ada", 10)

    with host.savepoint():
        with pytest.raises(InsufficientCredit):
            ledger.spend("ada", 11)
        ledger.spend("ada", 10)
    host.commit()

    assert client.balance("ada").posted == 0


def test_other_books_are_in_the_same_transaction(host: Host, ledger: Ledger, client: Ledger) -> None:
    """A bound ledger for another book or asset is bound to the same transaction."""
    ledger.for_book("shop").grant("ada", 1)
    ledger.for_asset("seat").grant("ada", 1)

    assert len(client.for_book("shop").entries()) == len(client.for_asset("seat").entries()) == 0
    host.rollback()
    assert len(ledger.for_book("shop").entries()) == len(ledger.for_asset("seat").entries()) == 0


def test_binding_changes_nothing_about_the_ledger(
    host: Host, ledger: Ledger, client: Ledger, engine: Engine
) -> None:
    """The ledger from which a bound one came still has transactions of its own, and a bound one can be bound anew."""
    host.order(1)
    ledger.grant("ada", 1)
    assert client.balances(["ada"]) == {}
    host.rollback()

    with Session(engine) as another:
        bound_anew = ledger.using(another)
        bound_anew.grant("ada", 2)
        host.rollback()
        assert client.balances(["ada"]) == {}
        another.commit()
    assert client.balance("ada").posted == ledger.balance("ada").posted == 2


def test_a_scoped_session_is_that_of_the_calling_thread(engine: Engine, client: Ledger) -> None:
    """Bound to a scoped session, a ledger writes in the transaction of whichever thread calls."""
    client.grant("ada", 10)
    sessions = scoped_session(sessionmaker(engine))
    ledger = client.using(sessions)

    def spend_and_roll_back() -> int:
        left = ledger.spend("ada", 5).posted_after
        sessions.rollback()
        sessions.remove()
        return left

    with ThreadPoolExecutor(1) as another_thread:
        assert another_thread.submit(spend_and_roll_back).result() == 5
        assert ledger.spend("ada", 1).posted_after == 9
        sessions.commit()
        assert another_thread.submit(spend_and_roll_back).result() == 4
    sessions.remove()

    assert client.balance("ada").posted == 9


@pytest.mark.parametrize(
    "mode", ["rollback_only", "control_fully", "create_savepoint", "conditional_savepoint"]
)
def test_a_session_may_be_bound_to_a_connection(
    engine: Engine, client: Ledger, orders: None, mode: Any
) -> None:
    """A session that joined a connection's transaction, as test suites have it, takes us along into it."""
    client.grant("ada", 10)
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode=mode) as session:
            session.add(Order(order_id=1))
            session.flush()
            assert client.using(session).spend("ada", 3).posted_after == 7
            session.commit()
        if outer.is_active:
            assert rows_of(connection)["pluct_entry"][0] is not None
            assert client.using(connection).balance("ada").posted == 7
            outer.rollback()
        else:
            assert mode == "control_fully"

    assert client.balance("ada").posted == (7 if mode == "control_fully" else 10)
    assert orders_in(engine) == ([1] if mode == "control_fully" else [])


@pytest.fixture
def elsewhere(fresh_database: Callable[[], Engine]) -> Engine:
    """Another database, in which the host keeps other things."""
    another = fresh_database()
    Base.metadata.create_all(another)
    return another


def test_a_session_may_have_several_binds(engine: Engine, elsewhere: Engine, client: Ledger) -> None:
    """In a session without a bind of its own we use the ledger's engine, in the session's transaction."""
    client.grant("ada", 10)
    with Session(binds={Order: elsewhere}) as session:
        session.add(Order(order_id=1))
        client.using(session).spend("ada", 3)
        session.rollback()
        client.using(session).spend("ada", 4)
        session.add(Order(order_id=2))
        session.commit()

    assert client.balance("ada").posted == 6
    assert orders_in(elsewhere) == [2]


def test_a_session_with_binds_shares_one_connection_with_us(
    engine: Engine, client: Ledger, orders: None
) -> None:
    """Where the session's bind is the ledger's engine, the host's rows and ours are one transaction."""
    with Session(binds={Order: engine}) as session:
        session.add(Order(order_id=1))
        session.flush()
        client.using(session).grant("ada", 1)
        assert session.connection(bind_arguments={"mapper": Order}) is session.connection(
            bind_arguments={"bind": engine}
        )
        session.rollback()

    assert orders_in(engine) == []
    assert client.balances(["ada"]) == {}


def test_the_sessions_own_bind_is_used(engine: Engine, elsewhere: Engine, client: Ledger, here: Any) -> None:
    """A session that has a bind is asked on it, also where it keeps some of its rows elsewhere."""
    ours = create_engine(engine.url) if here.name != "sqlite" else engine
    with Session(ours, binds={Order: elsewhere}) as session:
        session.add(Order(order_id=1))
        client.using(session).grant("ada", 1)
        session.commit()
    ours.dispose()

    assert client.balance("ada").posted == 1
    assert orders_in(elsewhere) == [1]


@pytest.mark.parametrize("fails", [False, True])
def test_with_blocks_end_the_whole(
    engine: Engine, client: Ledger, orders: None, clock: FrozenClock, *, fails: bool
) -> None:
    """In the usual with blocks of sessions and engines, leaving the block commits ours too, and an error undoes it."""

    def by_session() -> None:
        with sessionmaker(engine).begin() as session:
            session.add(Order(order_id=1))
            client.using(session).grant("ada", 1)
            if fails:
                raise ZeroDivisionError

    def by_connection() -> None:
        with engine.begin() as connection:
            client.using(connection).grant("bob", 1)
            if fails:
                raise ZeroDivisionError

    for block in (by_session, by_connection):
        try:
            block()
        except ZeroDivisionError:
            assert fails

    assert sorted(client.balances(["ada", "bob"])) == ([] if fails else ["ada", "bob"])
    assert orders_in(engine) == ([] if fails else [1])


def test_an_error_in_the_hosts_commit_undoes_ours(engine: Engine, client: Ledger, orders: None) -> None:
    """Where the host's own rows cannot be written at its commit, there was no spend either."""
    client.grant("ada", 10)
    with Session(engine) as session:
        session.add(Order(order_id=1))
        session.commit()

    with Session(engine) as session:
        client.using(session).spend("ada", 3)
        session.add(Order(order_id=1))
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            session.commit()

    assert client.balance("ada").posted == 10


def test_a_connection_without_a_transaction_begins_its_own(engine: Engine, client: Ledger) -> None:
    """On a connection that has not begun, our write is in the transaction that SQLAlchemy begins, and waits for it."""
    with engine.connect() as connection:
        assert not connection.in_transaction()
        client.using(connection).grant("ada", 1)
        assert connection.in_transaction()
        assert client.balances(["ada"]) == {}
        connection.commit()

    assert client.balance("ada").posted == 1


def test_a_closed_connection_is_the_hosts_error(engine: Engine, client: Ledger) -> None:
    """That a host lent a connection which it has closed reaches it as SQLAlchemy's own error."""
    connection: Connection = engine.connect()
    ledger = client.using(connection)
    connection.close()

    with pytest.raises(Exception, match="closed"):
        ledger.grant("ada", 1)
    assert client.balances(["ada"]) == {}
