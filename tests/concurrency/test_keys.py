"""Many who hand in the same idempotency key at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pluct_ledger import IdempotencyMismatch, Ledger, Receipt
from pluct_ledger.commands import Command, Issue, Spend, Transfer
from tests.concurrency.conftest import Crowd
from tests.concurrency.crowd import Outcome, Processes

ROUNDS = 3


def how_many(crowd: Crowd) -> int:
    """Return how many hand in the same key."""
    return crowd.size if isinstance(crowd, Processes) else 16


@pytest.mark.parametrize(
    "command",
    [Spend("ada", 3), Transfer("ada", "bob", 3), Issue("ada", 3)],
    ids=["spend", "transfer", "grant"],
)
def test_one_key_moves_credit_once(crowd: Crowd, ledger: Ledger, command: Command) -> None:
    """Of all who hand in one key at once, one moves credit, and all others are told what that one did."""
    ledger.grant("ada", 100)
    ledger.open_account("bob")
    for number in range(ROUNDS):
        keyed = replace(command, idempotency_key=f"k{number}")

        receipts = only_receipts(crowd.play([[keyed]] * how_many(crowd)))

        assert len({repr(replace(receipt, replayed=False)) for receipt in receipts}) == 1
        assert [receipt.replayed for receipt in receipts].count(False) == 1
        assert (receipts[0].seq, abs(receipts[0].amount)) == (number + 2, 3)
    assert ledger.account("ada").entry_count == ROUNDS + 1
    assert ledger.verify().ok


def test_of_two_intents_under_one_key_one_counts(crowd: Crowd, ledger: Ledger) -> None:
    """Where some spend 3 and others 4 under one key, one amount is spent once, and the others hear that it differs."""
    ledger.grant("ada", 100)
    for number in range(ROUNDS):
        key = f"k{number}"
        before = ledger.balance("ada").posted

        outcomes = crowd.play(
            [[Spend("ada", 3 + who % 2, idempotency_key=key)] for who in range(how_many(crowd))]
        )

        receipts = [one for one in outcomes if isinstance(one, Receipt)]
        assert len({receipt.entry_id for receipt in receipts}) == 1
        assert len(receipts) == how_many(crowd) // 2
        refusals = [one for one in outcomes if isinstance(one, IdempotencyMismatch)]
        assert {refusal.field for refusal in refusals} == {"amount"}
        assert len(refusals) == how_many(crowd) // 2
        assert ledger.balance("ada").posted == before + receipts[0].amount
    assert ledger.verify().ok


def test_the_same_key_of_others_is_another(crowd: Crowd, ledger: Ledger) -> None:
    """A key that many owners use at once moves the credit of each of them, once."""
    owners = [f"owner {number}" for number in range(crowd.size)]
    for owner in owners:
        ledger.grant(owner, 10)

    receipts = only_receipts(
        crowd.play(
            [[Spend(owner, 4, idempotency_key="k"), Spend(owner, 4, idempotency_key="k")] for owner in owners]
        )
    )

    assert sorted((receipt.owner, receipt.replayed) for receipt in receipts) == sorted(
        (owner, replayed) for owner in owners for replayed in (False, True)
    )
    assert {ledger.balance(owner).posted for owner in owners} == {6}


def only_receipts(outcomes: list[Outcome]) -> list[Receipt]:
    """Return the outcomes, which are receipts all."""
    receipts = [one for one in outcomes if isinstance(one, Receipt)]
    assert len(receipts) == len(outcomes), outcomes
    return receipts
