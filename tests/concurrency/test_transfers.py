"""Many writers who each need several accounts, in an order of their own."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from sqlalchemy import Engine

from pluct_ledger import InsufficientCredit, Ledger, Receipt
from pluct_ledger.commands import Command, Issue, Spend, Transfer
from pluct_ledger.domain.retry import RetryPolicy
from pluct_ledger.doors import OwnDoor
from pluct_ledger.storage.schema import tables_in
from tests.concurrency.conftest import Crowd
from tests.concurrency.crowd import THREADS, Outcome, Script, at_once

OWNERS = ("ada", "bob", "cy", "dee")


def assert_all_answered(outcomes: list[Outcome]) -> list[Receipt]:
    """Check that each was done or found too little credit, and return the receipts."""
    assert all(isinstance(one, Receipt | InsufficientCredit) for one in outcomes), outcomes
    return [one for one in outcomes if isinstance(one, Receipt)]


def test_crossing_transfers_all_come_through(crowd: Crowd, ledger: Ledger) -> None:
    """Transfers from a to b, from b to a and around a ring end without a deadlock, and credit only changes hands."""
    for owner in OWNERS:
        ledger.grant(owner, 1_000)

    outcomes = crowd.play([crossing_script(number) for number in range(crowd.size)])

    receipts = assert_all_answered(outcomes)
    assert len(receipts) == crowd.size * 50, "there was credit enough for all"
    balances = {owner: ledger.balance(owner).posted for owner in OWNERS}
    moved = dict.fromkeys(OWNERS, 1_000)
    for receipt in receipts:
        moved[receipt.owner] += receipt.amount
        counterpart = ledger.entry(str(receipt.counterpart_entry_id))
        moved[counterpart.owner] += counterpart.amount
        assert (counterpart.amount, counterpart.counterpart_entry_id) == (-receipt.amount, receipt.entry_id)
    assert balances == moved
    assert sum(balances.values()) == 4_000
    assert ledger.verify().ok


def crossing_script(number: int) -> Script:
    """Return there and back between two owners, and a round of all, each beginning elsewhere."""
    ring = [*OWNERS[number % 4 :], *OWNERS[: number % 4], OWNERS[number % 4]]
    if number % 2:
        ring.reverse()
    around = [Transfer(source, target, 3) for source, target in pairwise(ring)]
    one, other = ("ada", "bob") if number % 2 else ("bob", "ada")
    return [*around, Transfer(one, other, 5)] * 10


@pytest.mark.lanes(
    "postgres", "mariadb", because="SQLite has one lock for all, which is waited for again and again"
)
def test_crossing_writes_never_deadlock(engine: Engine, ledger: Ledger) -> None:
    """Transfers and batches lock in one order, so that those on existing accounts come through at the first try."""
    door = OwnDoor(engine, tables_in(None), RetryPolicy(attempts=1))
    impatient = ledger._at(replace(ledger.desk, door=door))
    for owner in OWNERS:
        ledger.grant(owner, 1_000)

    def play(script: Script) -> None:
        for step in script:
            assert isinstance(step, Transfer | list)
            impatient.apply_many([step] if isinstance(step, Transfer) else step)

    at_once([partial(play, [*crossing_script(number), *batch_script(number)]) for number in range(THREADS)])

    assert ledger.verify().ok


def test_crossing_batches_all_come_through(crowd: Crowd, ledger: Ledger) -> None:
    """Batches that touch the same accounts in different orders end without a deadlock, each applied as one."""
    for owner in OWNERS:
        ledger.grant(owner, 100)

    outcomes = crowd.play([batch_script(number) for number in range(crowd.size)])

    receipts = assert_all_answered(outcomes)
    assert len(outcomes) == crowd.size * 10 * 5
    changes = sum(receipt.amount for receipt in receipts if receipt.operation != "transfer")
    assert sum(ledger.balance(owner).posted for owner in OWNERS) == 400 + changes
    written = sum(2 if receipt.operation == "transfer" else 1 for receipt in receipts)
    assert sum(ledger.account(owner).entry_count for owner in OWNERS) == 4 + written
    assert ledger.verify().ok


def batch_script(number: int) -> Script:
    """Return batches of five commands on all accounts, in a shuffled order."""
    chance = random.Random(number)
    batches: list[list[Command]] = []
    for _ in range(10):
        first, second, third, fourth = chance.sample(OWNERS, 4)
        batch: list[Command] = [
            Transfer(first, second, chance.randint(1, 40)),
            Transfer(third, first, chance.randint(1, 40)),
            Spend(fourth, 60, up_to=True),
            Issue(second, 7),
            Spend(third, 30),
        ]
        chance.shuffle(batch)
        batches.append(batch)
    return batches
