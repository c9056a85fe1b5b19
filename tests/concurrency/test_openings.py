"""Many who need the same new account at once."""

from __future__ import annotations

import random

from pluct_ledger import Account, AccountExists, Ledger, Receipt
from pluct_ledger.commands import Issue
from pluct_ledger.domain.commands import OpenAccount
from tests.concurrency.conftest import Crowd
from tests.concurrency.crowd import Processes

ROUNDS = 3


def how_many(crowd: Crowd) -> int:
    """Return how many want the account."""
    return crowd.size if isinstance(crowd, Processes) else 16


def test_grants_to_a_new_owner_all_arrive(crowd: Crowd, ledger: Ledger) -> None:
    """Whoever is first opens the account, and the credit of all the others arrives in it too."""
    many = how_many(crowd)
    for number in range(ROUNDS):
        owner = f"owner {number}"

        outcomes = crowd.play([[Issue(owner, 1 + who)] for who in range(many)])

        receipts = [one for one in outcomes if isinstance(one, Receipt)]
        assert sorted(receipt.seq for receipt in receipts) == list(range(1, many + 1)), outcomes
        assert ledger.balance(owner).posted == many * (many + 1) // 2
    assert ledger.verify().ok


def test_an_account_is_opened_once(crowd: Crowd, ledger: Ledger) -> None:
    """Of all who open an account at once, one does, and the others hear that it exists."""
    many = how_many(crowd)
    for number in range(ROUNDS):
        owner = f"owner {number}"

        outcomes = crowd.play([[OpenAccount(owner, initial=7)]] * many)

        assert sum(isinstance(one, Account) for one in outcomes) == 1
        assert sum(isinstance(one, AccountExists) for one in outcomes) == many - 1, outcomes
        assert (ledger.account(owner).posted, ledger.account(owner).entry_count) == (7, 1)
    assert ledger.verify().ok


def test_batches_that_open_the_same_accounts_all_come_through(crowd: Crowd, ledger: Ledger) -> None:
    """Batches that each open the same accounts, in different orders, end without a deadlock, and none is lost."""
    many = how_many(crowd)
    owners = [f"owner {number}" for number in range(12)]
    scripts = []
    for who in range(many):
        chance = random.Random(who)
        scripts.append([[Issue(owner, 1) for owner in chance.sample(owners, 8)] for _ in range(3)])

    outcomes = crowd.play(scripts)

    assert all(isinstance(one, Receipt) for one in outcomes), outcomes
    assert len(outcomes) == many * 3 * 8
    assert sum(ledger.balance(owner).posted for owner in owners) == len(outcomes)
    assert ledger.verify().ok
