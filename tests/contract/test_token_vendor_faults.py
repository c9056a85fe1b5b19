"""Faults while a token is vended: whoever holds a token has paid for it, and whoever paid gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from pluct_ledger import Contended, Ledger, SigningKeys, TokenVendor, VendedToken
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.contract.callers import TABLES, Caller
from tests.contract.vending import (
    HS256,
    OTHER,
    borrowed_only,
    broken,
    everything,
    give_up,
    own_only,
    vendor_of,
)


class Crash(BaseException):
    """What ends a process in the middle: nothing that catches errors catches it."""


@pytest.fixture
def ledger(ledger: Ledger, caller: Caller) -> Ledger:
    """A ledger in which ada has 10, committed."""
    ledger.grant("ada", 10)
    caller.settle()
    return ledger


@pytest.fixture
def vendor(ledger: Ledger, caller: Caller) -> TokenVendor:
    """A vendor as it is made without a word more than is needed."""
    return vendor_of(caller)


# The signer fails.


@pytest.mark.parametrize("error", [OSError("no answer"), Crash()], ids=["error", "crash"])
def test_a_signing_that_fails_costs_nothing(ledger: Ledger, caller: Caller, error: BaseException) -> None:
    """A signer that fails leaves credit, log, account and tokens as they were, and raises what it raised."""
    before = everything(caller.engine)

    with pytest.raises(type(error)) as raised:
        vendor_of(caller, keys=broken(error)).vend("ada", idempotency_key="k")

    assert raised.value is error
    caller.settle()
    assert everything(caller.engine) == before


def test_a_signing_that_fails_leaves_the_transaction_usable(ledger: Ledger, caller: Caller) -> None:
    """After a signer failed, what was done before it and what is done after it are committed together."""
    ledger.grant("bob", 1)
    with pytest.raises(OSError, match="no answer"):
        vendor_of(caller, keys=broken(OSError("no answer"))).vend("ada", idempotency_key="k")
    vended = vendor_of(caller).vend("ada", idempotency_key="k")
    caller.settle()

    others = Ledger(caller.engine)
    assert not vended.receipt.replayed
    assert [others.balance(owner).posted for owner in ("ada", "bob")] == [9, 1]
    assert next(entry.entry_id for entry in others.entries("ada")) == vended.token_id


def test_nothing_is_written_before_the_token_is_signed(ledger: Ledger, caller: Caller) -> None:
    """When the signer is asked, every refusal had its chance and no row was written."""
    sent: list[str] = []

    with (
        watch_statements(lambda _connection, statement: sent.append(str(statement))),
        pytest.raises(OSError, match="no answer"),
    ):
        vendor_of(caller, keys=broken(OSError("no answer"))).vend("ada", idempotency_key="k")

    assert any("FROM pluct_account" in statement for statement in sent)
    # SQLite takes its write lock by an update that changes nothing.
    assert not [s for s in sent if s.startswith(("INSERT", "DELETE")) or ("UPDATE " in s and "posted=" in s)]


def test_a_signer_is_not_asked_for_what_is_refused(ledger: Ledger, caller: Caller) -> None:
    """No signature is spent on a vending that is refused."""
    with pytest.raises(Exception, match="has 10 available, 11 requested"):
        vendor_of(caller, keys=broken(Crash())).vend("ada", cost=11)


def test_a_repeat_whose_signer_fails_costs_nothing(ledger: Ledger, caller: Caller) -> None:
    """A signer that fails at a repeat leaves everything as it was, and the token is had when it signs again."""
    first = vendor_of(caller).vend("ada", idempotency_key="k")
    caller.settle()
    before = everything(caller.engine)

    with pytest.raises(OSError, match="no answer"):
        vendor_of(caller, keys=broken(OSError("no answer"))).vend("ada", idempotency_key="k")

    caller.settle()
    assert everything(caller.engine) == before
    assert vendor_of(caller).vend("ada", idempotency_key="k").token == first.token


# The host's transaction is rolled back.


@borrowed_only
@pytest.mark.parametrize("key", ["k", None], ids=["keyed", "keyless"])
def test_a_rollback_takes_the_token_back(vendor: TokenVendor, caller: Caller, key: str | None) -> None:
    """What a host rolls back was never vended, so that the same request vends anew and charges once."""
    before = everything(caller.engine)
    first = vendor.vend("ada", idempotency_key=key)
    give_up(caller)

    assert everything(caller.engine) == before
    again = vendor.vend("ada", idempotency_key=key)
    caller.settle()
    assert not again.receipt.replayed
    assert again == first
    assert paid_and_vended(caller) == ([again.token_id], [again.token_id])


@borrowed_only
def test_a_savepoint_takes_the_token_back(vendor: TokenVendor, caller: Caller) -> None:
    """What a host's savepoint undoes was never vended, and what was vended before it stands."""
    assert caller._host is not None
    first = vendor.vend("ada", idempotency_key="k1")
    with caller._host.begin_nested() as savepoint:
        vendor.vend("ada", idempotency_key="k2")
        savepoint.rollback()
    again = vendor.vend("ada", idempotency_key="k2")
    caller.settle()

    assert not again.receipt.replayed
    assert paid_and_vended(caller)[0] == [first.token_id, again.token_id]


# The process ends in the middle.


def paid_and_vended(caller: Caller) -> tuple[list[str], list[str]]:
    """Return the ids of ada's committed entries that paid for tokens, and those of the rows of her tokens."""
    ledger = Ledger(caller.engine)
    paid = [entry.entry_id for entry in ledger.entries("ada", limit=100) if entry.terms.get("vend")]
    with caller.engine.connect() as connection:
        rows = connection.execute(select(TABLES.token.c.account_id, TABLES.token.c.seq)).all()
    ids = [f"{row.account_id.hex()}.{row.seq}" for row in rows]
    return sorted(paid), sorted(token_id for token_id in ids if token_id.startswith(ledger.account_id("ada")))


@contextmanager
def raising_before(number: int, error: Callable[[], BaseException]) -> Iterator[list[str]]:
    """Raise before the statement of that number (from 0) is sent, once; collect the statements that came."""
    sent: list[str] = []

    def hook(_connection: object, statement: object) -> None:
        sent.append(str(statement))
        if len(sent) == number + 1:
            raise error()

    with watch_statements(hook):
        yield sent


@contextmanager
def raising_at_commit(caller: Caller, error: Callable[[], BaseException], *, after: bool) -> Iterator[None]:
    """Raise when a transaction is to be committed, once: after the database committed it, or rolled it back."""
    done: list[bool] = []

    def on_commit(connection: Any) -> None:
        if done:
            return
        done.append(True)
        # A database whose client is gone ends its transaction: by the COMMIT that it still received, or without.
        driver = connection.connection.driver_connection
        (driver.commit if after else driver.rollback)()
        raise error()

    event.listen(caller.engine, "commit", on_commit)
    try:
        yield
        assert done
    finally:
        event.remove(caller.engine, "commit", on_commit)


def vended_and_committed(caller: Caller, vendor: TokenVendor, key: str | None) -> VendedToken:
    """Vend as a host does that hands nothing out before its commit."""
    vended = vendor.vend("ada", idempotency_key=key)
    caller.settle()
    return vended


class _Driver(Exception):
    """What a driver raises where another transaction was in the way, for each kind of driver."""

    sqlstate = "40001"
    errno = 1213


def contention() -> BaseException:
    """Return what SQLAlchemy raises where another transaction was in the way."""
    return OperationalError("", {}, _Driver())


def lost_connection() -> BaseException:
    """Return what SQLAlchemy raises where the connection was lost."""
    return OperationalError("", {}, Exception("gone"), connection_invalidated=True)


@pytest.fixture(params=[True, False], ids=["keyed", "keyless"])
def keys_of_requests(request: pytest.FixtureRequest) -> Callable[[int], str | None]:
    """Names the key under which the request of some number is made, or makes none with a key."""
    return lambda number: f"k{number}" if request.param else None


@pytest.fixture
def boundaries(
    vendor: TokenVendor, ledger: Ledger, caller: Caller, keys_of_requests: Callable[[int], str | None]
) -> int:
    """How many statements a vending sends in a fresh transaction: each has a boundary before it."""
    ledger.grant("probe", 1)
    caller.settle()
    with raising_before(-1, Crash) as sent:
        vendor.vend("probe", idempotency_key=keys_of_requests(-1))
    give_up(caller)
    assert len(sent) >= 4  # the lock, and one for each row that is written
    return len(sent)


def test_a_crash_before_any_statement_leaves_nothing(
    vendor: TokenVendor, caller: Caller, boundaries: int, keys_of_requests: Callable[[int], str | None]
) -> None:
    """Wherever a process ends before its commit, nothing was charged, nothing handed out, and a retry vends once."""
    handed_out = []
    before = everything(caller.engine)
    for number in range(boundaries):
        key = keys_of_requests(number)
        with raising_before(number, Crash), pytest.raises(Crash):
            vended_and_committed(caller, vendor, key)
        give_up(caller)
        assert everything(caller.engine) == before

        vended = vended_and_committed(caller, vendor, key)
        assert not vended.receipt.replayed
        handed_out.append(vended.token_id)
        before = everything(caller.engine)

    assert_paid_exactly_for(caller, handed_out)


def assert_paid_exactly_for(caller: Caller, handed_out: list[str]) -> None:
    """Check that what ada paid for is what was handed out to her, each once and with its row."""
    paid, rows = paid_and_vended(caller)
    assert paid == rows == sorted(handed_out)
    assert Ledger(caller.engine).account("ada").spent == len(handed_out)


def test_a_crash_before_the_commit_leaves_nothing(vendor: TokenVendor, caller: Caller) -> None:
    """A process that ends when all is written and nothing committed has vended nothing."""
    before = everything(caller.engine)

    with raising_at_commit(caller, Crash, after=False), pytest.raises(Crash):
        vended_and_committed(caller, vendor, "k")
    give_up(caller)

    assert everything(caller.engine) == before
    assert not vended_and_committed(caller, vendor, "k").receipt.replayed


@own_only
def test_a_commit_that_fails_leaves_no_transaction_open(vendor: TokenVendor, caller: Caller) -> None:
    """What a COMMIT was refused for, as SQLite's may be, is rolled back before anything else is done there."""
    errors: list[BaseException] = [contention()]

    def refuse(_connection: object) -> None:
        if errors:
            raise errors.pop()

    event.listen(caller.engine, "commit", refuse)
    try:
        vended = vendor.vend("ada", idempotency_key="k1")  # it was in the way, and began again
        errors.append(Crash())
        with pytest.raises(Crash):
            vendor.vend("ada", idempotency_key="k2")
    finally:
        event.remove(caller.engine, "commit", refuse)

    again = vendor.vend("ada", idempotency_key="k2")
    assert not vended.receipt.replayed
    assert not again.receipt.replayed
    assert paid_and_vended(caller)[0] == [vended.token_id, again.token_id]


def test_a_crash_after_the_commit_keeps_the_token_for_who_paid(vendor: TokenVendor, caller: Caller) -> None:
    """A token that was committed and never handed out is had by asking again under its key, for no more credit."""
    with raising_at_commit(caller, Crash, after=True), pytest.raises(Crash):
        vended_and_committed(caller, vendor, "k")
    give_up(caller)
    paid, rows = paid_and_vended(caller)

    vended = vended_and_committed(caller, vendor, "k")

    assert vended.receipt.replayed
    assert paid == rows == [vended.token_id]
    assert paid_and_vended(caller) == (paid, rows)
    assert vendor.validate(vended.token).valid


@own_only
def test_a_hook_that_ends_the_process_cannot_undo_a_vending(ledger: Ledger, caller: Caller) -> None:
    """A process that ends in a hook, after the commit, has vended: the key gives the token."""

    def end(_receipts: object) -> None:
        raise Crash

    vendor = TokenVendor(Ledger(caller.engine, clock=caller.clock, hooks=[end]), keys=HS256)
    with pytest.raises(Crash):
        vendor.vend("ada", idempotency_key="k")

    assert vendor_of(caller).vend("ada", idempotency_key="k").receipt.replayed
    assert len(paid_and_vended(caller)[0]) == 1


# The database says to try again, or its answer is lost.


@pytest.mark.parametrize("error", [contention, lost_connection])
def test_contention_at_any_statement_charges_once(
    vendor: TokenVendor,
    caller: Caller,
    boundaries: int,
    keys_of_requests: Callable[[int], str | None],
    error: Callable[[], BaseException],
) -> None:
    """Own transactions begin again and charge once; a host is told, rolls back, tries again, and is charged once."""
    handed_out = []
    for number in range(boundaries):
        key = keys_of_requests(number)
        with raising_before(number, error):
            if not caller.own:
                with pytest.raises(Contended if error is contention else OperationalError):
                    vended_and_committed(caller, vendor, key)
                give_up(caller)
            vended = vended_and_committed(caller, vendor, key)
        assert not vended.receipt.replayed
        handed_out.append(vended.token_id)

    assert_paid_exactly_for(caller, handed_out)


@own_only
@pytest.mark.parametrize("after", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("key", ["k", None], ids=["keyed", "keyless"])
@pytest.mark.parametrize("keys", [HS256, OTHER], ids=["k1", "k2"])
def test_a_lost_answer_to_commit_charges_once(
    ledger: Ledger, caller: Caller, keys: SigningKeys, key: str | None, after: bool
) -> None:
    """Where the answer to COMMIT is lost, our own vending finds out and returns the token that was paid for."""
    vendor = vendor_of(caller, keys=keys)

    with raising_at_commit(caller, lost_connection, after=after):
        vended = vendor.vend("ada", idempotency_key=key)

    assert vended.receipt.replayed is (after and key is not None)
    assert paid_and_vended(caller) == ([vended.token_id], [vended.token_id])
    assert Ledger(caller.engine).account("ada").spent == 1
    assert vendor.validate(vended.token).valid
