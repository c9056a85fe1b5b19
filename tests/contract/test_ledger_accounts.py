"""Accounts: opened, shown, listed, and apart from those of other books and assets."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Select

from pluct_ledger import Account, AccountExists, AccountNotFound, Balance, EntryNotFound, Ledger
from pluct_ledger.commands import Issue
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock
from tests.contract.callers import Caller


def test_an_opened_account_is_empty(
    ledger: Ledger, committed: Ledger, caller: Caller, clock: FrozenClock
) -> None:
    """An account that was just opened has no credit, no entry, no overdraft and no last instant."""
    opened = ledger.open_account("ada")
    caller.settle()

    assert opened == Account(
        account_id=ledger.account_id("ada"),
        book="default",
        asset="credit",
        owner="ada",
        posted=0,
        held=0,
        available=0,
        issued=0,
        spent=0,
        expired=0,
        adjusted=0,
        moved=0,
        entry_count=0,
        overdraft_limit=0,
        status="open",
        opened_at=clock(),
        last_at=None,
        metadata=None,
        receipt=None,
    )
    assert committed.account("ada") == opened
    assert list(committed.entries()) == []


def test_an_account_can_begin_with_credit(ledger: Ledger, committed: Ledger, caller: Caller) -> None:
    """Initial credit is an entry of the log like any grant, and its receipt comes with the account."""
    opened = ledger.open_account("ada", initial=5, kind="welcome", reason="hello", idempotency_key="k")
    caller.settle()

    assert opened.receipt is not None
    assert (opened.posted, opened.issued, opened.entry_count) == (5, 5, 1)
    assert (opened.receipt.operation, opened.receipt.kind, opened.receipt.amount) == ("grant", "welcome", 5)
    entry = committed.entry(opened.receipt.entry_id)
    assert (entry.amount, entry.counter, entry.reason) == (5, "issued", "hello")
    assert entry.terms == {"opened": True}
    assert committed.account("ada") == replace(opened, receipt=None)


@pytest.mark.parametrize("limit", [7, 2**53 - 1, None])
def test_an_overdraft_limit_is_an_entry_of_the_log(
    ledger: Ledger, committed: Ledger, caller: Caller, limit: int | None
) -> None:
    """An account opened with an overdraft limit begins with a control entry that states it."""
    opened = ledger.open_account("ada", overdraft_limit=limit)
    caller.settle()

    assert opened.overdraft_limit == limit
    assert opened.receipt is not None
    entry = committed.entry(opened.receipt.entry_id)
    assert (entry.operation, entry.amount, entry.counter) == ("control", 0, "none")
    assert entry.terms == {"opened": True, "overdraft_limit": limit}
    assert committed.account("ada").overdraft_limit == limit


def test_metadata_of_an_opening_describes_the_account(ledger: Ledger) -> None:
    """What metadata an account is opened with stands in the account, not in its first entry."""
    about = {"plan": "gold", "seats": [1, 2.5, None, True, {"é": "😀"}]}
    opened = ledger.open_account("ada", initial=1, metadata=about)

    assert opened.receipt is not None
    assert ledger.account("ada").metadata == about
    assert ledger.entry(opened.receipt.entry_id).metadata is None


def test_an_account_is_opened_once(ledger: Ledger, caller: Caller) -> None:
    """Opening an account that exists is refused by name and changes nothing, however it came to be."""
    ledger.open_account("ada", initial=3)
    ledger.grant("bob", 2)
    before = caller.rows()

    for owner in ("ada", "bob"):
        with pytest.raises(AccountExists) as refused:
            ledger.open_account(owner, initial=9, overdraft_limit=9)
        assert refused.value.owner == owner
    assert caller.rows() == before


def test_a_grant_opens_the_account_without_an_entry_of_its_own(ledger: Ledger, clock: FrozenClock) -> None:
    """A grant to an unknown owner opens the account, and the grant is its first entry."""
    receipt = ledger.grant("ada", 5)

    account = ledger.account("ada")
    assert receipt.seq == account.entry_count == 1
    assert account.opened_at == account.last_at == clock()
    assert (account.overdraft_limit, account.status, account.metadata) == (0, "open", None)


def test_an_account_tells_where_its_credit_came_from(ledger: Ledger, clock: FrozenClock) -> None:
    """The totals of an account are the sums of its entries by their other side, and posted is what they come to."""
    ledger.open_account("bob", initial=50)
    ledger.grant("ada", 100)
    ledger.spend("ada", 7)
    ledger.adjust("ada", -3, reason="counted twice")
    ledger.transfer("ada", "bob", 20)
    clock.advance(timedelta(seconds=1))
    ledger.transfer("bob", "ada", 2)

    ada = ledger.account("ada")
    assert (ada.issued, ada.spent, ada.expired, ada.adjusted, ada.moved) == (100, 7, 0, -3, -18)
    assert ada.posted == ada.issued - ada.spent - ada.expired + ada.adjusted + ada.moved == 72
    assert (ada.held, ada.available, ada.entry_count) == (0, 72, 5)
    assert ada.last_at == clock()
    assert ledger.account("bob").moved == 18


def test_an_unknown_owner_has_no_account(ledger: Ledger) -> None:
    """Who has no account is not found by name, and is left out where many are asked for."""
    ledger.grant("ada", 5)

    for ask in (ledger.account, ledger.balance):
        with pytest.raises(AccountNotFound) as refused:
            ask("nobody")
        assert refused.value.owner == "nobody"
    assert ledger.balances(["nobody", "ada", "ada"]) == {"ada": Balance(5, 0, 5)}
    assert ledger.balances([]) == {}


def test_a_balance_is_what_the_account_has(ledger: Ledger) -> None:
    """A balance is posted, held and available, and nothing expires without terms."""
    ledger.grant("ada", 5)
    ledger.spend("ada", 2)

    assert ledger.balance("ada") == Balance(posted=3, held=0, available=3, expiring=())


def test_many_balances_are_one_question(ledger: Ledger) -> None:
    """However many owners are asked for, their balances come from one statement."""
    owners = [f"owner {number}" for number in range(300)]
    ledger.apply_many(Issue(owner, number + 1) for number, owner in enumerate(owners))
    questions: list[object] = []

    def note(_connection: object, statement: object) -> None:
        if isinstance(statement, Select):
            questions.append(statement)

    with watch_statements(note):
        balances = ledger.balances(owners)

    assert {owner: balance.posted for owner, balance in balances.items()} == {
        owner: number + 1 for number, owner in enumerate(owners)
    }
    assert len(questions) == 1


def test_accounts_are_listed_by_the_bytes_of_their_owners(ledger: Ledger) -> None:
    """Accounts come in the order of their owners' UTF-8 bytes, whatever the database's language is."""
    owners = ["a", "a ", "A", "B", "b", "z", "Z", "é", "e\u0301", "\uffff", "😀", "_", "%", "10", "9"]
    ledger.apply_many(Issue(owner, 1) for owner in owners)

    page = ledger.accounts(limit=1000)

    assert [account.owner for account in page] == sorted(owners, key=str.encode)
    assert page.next is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_of_accounts_follow_one_another(ledger: Ledger, limit: int) -> None:
    """Walking the pages meets every account once, and the last page has no next."""
    owners = ["a", "b", "c", "d"]
    ledger.apply_many(Issue(owner, 1) for owner in owners)

    first = ledger.accounts(limit=limit)

    assert len(first) == limit
    assert [account.owner for account in first.all()] == owners
    assert (first.next is None) == (limit == len(owners))
    if first.next is not None:
        assert [account.owner for account in ledger.accounts(after=first.next)] == owners[limit:]


def test_an_account_opened_behind_the_page_is_not_met(ledger: Ledger) -> None:
    """Pages stay in place while accounts are opened: each that was there is met once."""
    ledger.apply_many(Issue(owner, 1) for owner in ("b", "d", "f"))
    page = ledger.accounts(limit=2)

    ledger.apply_many(Issue(owner, 1) for owner in ("a", "c", "e"))

    assert [account.owner for account in page.all()] == ["b", "d", "e", "f"]


def test_books_and_assets_are_apart(ledger: Ledger, caller: Caller) -> None:
    """The same owner in another book or asset has another account, with keys and a log of its own."""
    others = [ledger.for_book("shop"), ledger.for_asset("seat"), ledger.for_book("shop").for_asset("seat")]
    ledger.grant("ada", 1, idempotency_key="k")
    for amount, other in enumerate(others, start=2):
        assert not other.grant("ada", amount, idempotency_key="k").replayed
        assert [entry.amount for entry in other.entries()] == [amount]
        assert [account.posted for account in other.accounts()] == [amount]

    assert ledger.balance("ada").posted == 1
    assert len({each.account_id("ada") for each in [ledger, *others]}) == 4
    assert [(each.account("ada").book, each.account("ada").asset) for each in others] == [
        ("shop", "credit"),
        ("default", "seat"),
        ("shop", "seat"),
    ]
    assert caller.ledger(book="shop", asset="seat").balance("ada").posted == 4
    assert all(each.verify().ok for each in others)


def test_an_entry_of_another_book_or_asset_is_not_found(ledger: Ledger) -> None:
    """An entry's id says nothing to a ledger of another book or asset."""
    entry_id = ledger.grant("ada", 1).entry_id

    for other in (ledger.for_book("shop"), ledger.for_asset("seat")):
        with pytest.raises(EntryNotFound) as refused:
            other.entry(entry_id)
        assert refused.value.entry_id == entry_id


def test_an_account_id_is_computed(ledger: Ledger) -> None:
    """An account's id follows from book, owner and asset alone, the same for ever and before there is an account."""
    assert ledger.account_id("ada") == "9adefcfb6429db7d158b73f518633c00"
    assert ledger.for_book("shop").for_asset("seat").account_id("ada") == "e04febdf7afd799508b4b9ce3407471c"
    assert ledger.grant("ada", 1).account_id == ledger.account_id("ada")
