"""Many writers on one account."""

from __future__ import annotations

import random
from itertools import accumulate

from pluct_ledger import InsufficientCredit, Ledger, Receipt
from pluct_ledger.commands import Adjust, Issue, Spend
from tests.concurrency.conftest import Crowd
from tests.concurrency.crowd import Outcome, Script

SPENDS = 50


def receipts_of(outcomes: list[Outcome]) -> list[Receipt]:
    """Return the receipts in the order of the log; whatever is none is a want of credit."""
    assert all(isinstance(one, Receipt | InsufficientCredit) for one in outcomes), outcomes
    return sorted((one for one in outcomes if isinstance(one, Receipt)), key=lambda receipt: receipt.seq)


def test_exactly_the_credit_that_is_there_is_spent(crowd: Crowd, ledger: Ledger) -> None:
    """Of many spends at once as many succeed as there is credit, and everyone else is told that there is none."""
    credit = crowd.size * SPENDS * 2 // 5
    ledger.grant("ada", credit)

    outcomes = crowd.play([[Spend("ada", 1)] * SPENDS] * crowd.size)

    receipts = receipts_of(outcomes)
    assert [receipt.seq for receipt in receipts] == list(range(2, credit + 2))
    assert [receipt.posted_after for receipt in receipts] == list(range(credit - 1, -1, -1))
    refusals = [one for one in outcomes if isinstance(one, InsufficientCredit)]
    assert len(refusals) == crowd.size * SPENDS - credit
    assert {refusal.available for refusal in refusals} == {0}
    assert ledger.balance("ada").posted == 0
    assert ledger.verify().ok


def test_mixed_writes_are_a_chain(crowd: Crowd, ledger: Ledger) -> None:
    """Each writer's totals are those of the one before it and its own amount, and never below zero by a spend."""
    ledger.grant("ada", 20)

    outcomes = crowd.play([mixed_script(number) for number in range(crowd.size)])

    receipts = receipts_of(outcomes)
    assert [receipt.seq for receipt in receipts] == list(range(2, len(receipts) + 2))
    running = list(accumulate((receipt.amount for receipt in receipts), initial=20))
    assert [receipt.posted_after for receipt in receipts] == running[1:]
    assert all(receipt.posted_after >= 0 for receipt in receipts if receipt.operation == "spend")
    assert all(one.available < one.requested for one in outcomes if isinstance(one, InsufficientCredit))
    assert len(receipts) < len(outcomes), "nobody was refused: nothing was put to the test"
    assert ledger.balance("ada").posted == running[-1]
    assert ledger.verify().ok


def mixed_script(number: int) -> Script:
    """Return a script of spends, now and then as much as there is, and of a few credits."""
    chance = random.Random(number)
    return [
        Adjust("ada", chance.choice((-3, 2)), reason="recount")
        if kind == "adjust"
        else Issue("ada", chance.randint(1, 5))
        if kind == "grant"
        else Spend("ada", chance.randint(1, 9), up_to=kind == "up to")
        for kind in chance.choices(("spend", "up to", "grant", "adjust"), (4, 2, 3, 1), k=SPENDS)
    ]
