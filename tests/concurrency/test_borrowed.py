"""Many hosts at once, who each have the ledger in a transaction of their own, beside those who have none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from sqlalchemy import Engine, create_engine

from pluct_ledger import AccountExists, InsufficientCredit, Ledger, Receipt, Refused
from pluct_ledger.commands import Issue
from tests.concurrency.crowd import at_once
from tests.concurrency.hosts import KINDS, Host

JOBS = 25


@pytest.fixture(params=["as documented", "strange"])
def hosts(request: pytest.FixtureRequest, engine: Engine, raw_engine: Engine) -> list[Host]:
    """Eight hosts, of whom every other has a session, on engines set up and not, or on a strange one."""
    strange = request.param == "strange"
    engines = [request.getfixturevalue("strange_engine")] if strange else [engine, raw_engine]
    return [Host(engines[number // 2 % len(engines)], KINDS[number % 2]) for number in range(8)]


def test_own_and_borrowed_writers_add_up(hosts: list[Host], engine: Engine, ledger: Ledger) -> None:
    """What was committed is there and what was rolled back is not, whoever owned the transaction."""
    ledger.grant("ada", 300)
    ledger.open_account("bob")
    spent: list[int] = []

    def pay(to: Ledger) -> list[Receipt]:
        return [to.spend("ada", 2), to.transfer("ada", "bob", 1)]

    def as_host(host: Host) -> None:
        for number in range(JOBS):
            if number % 5 == 4:
                host.change_its_mind(pay)
            else:
                spent.extend(receipt.amount for receipt in host.transact(pay))

    def on_its_own() -> None:
        spent.extend(ledger.spend("ada", 1, up_to=True).amount for _ in range(JOBS))

    jobs: list[Callable[[], None]] = [partial(as_host, host) for host in hosts[:4]]
    at_once([*jobs, on_its_own, on_its_own])

    assert sorted(spent) == sorted([-2, -1] * 4 * (JOBS - JOBS // 5) + [-1] * 2 * JOBS)
    assert ledger.balance("ada").posted == 300 + sum(spent)
    assert ledger.balance("bob").posted == 4 * (JOBS - JOBS // 5)
    assert [entry.seq for entry in ledger.entries("ada", limit=1000)] == list(range(len(spent) + 1, 0, -1))
    assert ledger.verify().ok


def test_borrowed_spends_take_no_more_than_there_is(hosts: list[Host], ledger: Ledger) -> None:
    """Hosts at once spend exactly what there is, and a refusal leaves them a transaction that still commits."""
    ledger.grant("ada", 60)
    ledger.open_account("bob")

    def buy(to: Ledger) -> bool:
        try:
            to.spend("ada", 1)
        except InsufficientCredit:
            to.grant("bob", 1, reason="a consolation")
            return False
        return True

    def go(host: Host) -> int:
        return [host.transact(buy) for _ in range(JOBS)].count(True)

    assert sum(at_once([partial(go, host) for host in hosts])) == 60
    assert (ledger.balance("ada").posted, ledger.balance("bob").posted) == (0, 8 * JOBS - 60)
    assert ledger.verify().ok


@pytest.fixture
def impatient_engine(engine: Engine, lane: str) -> Iterator[Engine]:
    """An engine on which deadlocks are found soon: PostgreSQL begins to look for them after a second."""
    if lane != "postgres":
        yield engine
        return
    impatient = create_engine(engine.url, connect_args={"options": "-c deadlock_timeout=20ms"})
    yield impatient
    impatient.dispose()


def test_hosts_that_lock_in_crossing_order_retry_and_add_up(
    lane: str, impatient_engine: Engine, ledger: Ledger
) -> None:
    """Two calls in one transaction lock in call order, so that hosts may deadlock: they hear `Contended`, no more."""
    hosts = [Host(impatient_engine, KINDS[number % 2]) for number in range(4)]
    ledger.grant("ada", 1_000)
    ledger.grant("bob", 1_000)

    def there(to: Ledger) -> None:
        to.spend("ada", 1)
        to.grant("bob", 1)

    def back(to: Ledger) -> None:
        to.spend("bob", 2)
        to.grant("ada", 2)

    def go(host: Host, job: Callable[[Ledger], None]) -> None:
        for _ in range(JOBS):
            host.transact(job)

    at_once([partial(go, host, there if number < 2 else back) for number, host in enumerate(hosts)])

    assert ledger.balance("ada").posted == 1_000 + 2 * JOBS
    assert ledger.balance("bob").posted == 1_000 - 2 * JOBS
    assert (ledger.account("ada").entry_count, ledger.account("bob").entry_count) == (1 + 4 * JOBS,) * 2
    if lane != "sqlite":  # which has one lock for all, so that nobody ever holds one and waits for another
        assert sum(host.contended for host in hosts) > 0, "they never met: nothing was put to the test"
    assert ledger.verify().ok


def test_one_key_moves_credit_once_by_whichever_door(hosts: list[Host], ledger: Ledger) -> None:
    """Of hosts and others who hand in one key at once, one moves credit, and the rest is told what it did."""
    ledger.grant("ada", 100)
    for number in range(5):
        spend = partial(_spend, key=f"k{number}")
        jobs: list[Callable[[], Receipt]] = [partial(host.transact, spend) for host in hosts]
        jobs += [partial(spend, ledger)] * 8

        receipts = at_once(jobs)

        assert len({receipt.entry_id for receipt in receipts}) == 1
        assert [receipt.replayed for receipt in receipts].count(False) == 1
        assert ledger.balance("ada").posted == 100 - 3 * (number + 1)
    assert ledger.verify().ok


def test_hosts_open_a_new_account_once(hosts: list[Host], ledger: Ledger) -> None:
    """Of hosts and others who open an account at once, one does, and what each grants in the same breath arrives."""

    def open_and_grant(to: Ledger, owner: str) -> bool:
        try:
            to.open_account(owner, initial=100)
        except AccountExists:
            opened = False
        else:
            opened = True
        to.grant(owner, 1)
        return opened

    for number in range(5):
        job = partial(open_and_grant, owner=f"owner {number}")

        opened = at_once([partial(host.transact, job) for host in hosts])

        assert opened.count(True) == 1
        assert ledger.balance(f"owner {number}").posted == 100 + len(hosts)
    assert ledger.verify().ok


def test_hosts_grant_to_overlapping_new_owners_in_batches(hosts: list[Host], ledger: Ledger) -> None:
    """Batches that open some accounts of which others open a few too leave each account with all that was granted."""
    for number in range(5):
        owners = [f"owner {number}.{place}" for place in range(len(hosts))]

        def grant_three(to: Ledger, first: int, owners: list[str] = owners) -> list[Receipt | Refused]:
            three = [owners[(first + step) % len(owners)] for step in (0, 1, 3)]
            return to.apply_many([Issue(owner, 1) for owner in three], atomic=True)

        at_once(
            [partial(host.transact, partial(grant_three, first=place)) for place, host in enumerate(hosts)]
        )

        balances = {owner: balance.posted for owner, balance in ledger.balances(owners).items()}
        assert balances == dict.fromkeys(owners, 3)
    assert ledger.verify().ok


def _spend(to: Ledger, key: str) -> Receipt:
    return to.spend("ada", 3, idempotency_key=key)
