"""The log as it is read: pages, filters, one entry, and what an entry tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pluct_ledger import EntryNotFound, Ledger
from pluct_ledger.commands import Issue, Spend
from tests.clock import FrozenClock
from tests.contract.callers import Caller

SECOND = timedelta(seconds=1)


def amounts(entries: object) -> list[int]:
    return [entry.amount for entry in entries]  # type: ignore[attr-defined]  # pages and iterators alike


def test_an_owners_entries_come_newest_first(ledger: Ledger, clock: FrozenClock) -> None:
    """An owner's log is read from its end, by seq, also where the instants are the same."""
    for amount in (1, 2, 3):
        ledger.grant("ada", amount)
    clock.advance(SECOND)
    ledger.grant("ada", 4)
    ledger.grant("bob", 5)

    assert amounts(ledger.entries("ada")) == [4, 3, 2, 1]
    assert [entry.owner for entry in ledger.entries("ada")] == ["ada"] * 4


def test_an_unknown_owner_has_no_entries(ledger: Ledger) -> None:
    """Who has no account has an empty page, like who has done nothing."""
    ledger.open_account("ada")

    for owner in ("ada", "nobody"):
        page = ledger.entries(owner)
        assert (page.items, page.next) == ((), None)


def test_a_books_entries_come_newest_first(ledger: Ledger, clock: FrozenClock) -> None:
    """A book is read from its newest instant, each account's own entries newest first."""
    ledger.grant("ada", 1)
    ledger.grant("bob", 2)
    clock.advance(SECOND)
    ledger.grant("ada", 3)
    clock.advance(SECOND)
    ledger.grant("bob", 4)
    ledger.grant("bob", 5)
    ledger.for_book("shop").grant("ada", 99)

    entries = list(ledger.entries())

    assert amounts(entries[:3]) == [5, 4, 3]
    assert sorted(amounts(entries[3:])) == [1, 2]
    assert [entry.owner for entry in entries[:3]] == ["bob", "bob", "ada"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12])
def test_pages_meet_every_entry_once(ledger: Ledger, limit: int) -> None:
    """Walking a log in pages of any length meets every entry once and in order, though all have one instant."""
    ledger.apply_many(Issue(owner, amount) for amount in range(1, 5) for owner in ("ada", "bob", "cid"))

    for owner in (None, "ada"):
        whole = [entry.entry_id for entry in ledger.entries(owner, limit=1000)]
        walked = ledger.entries(owner, limit=limit)
        assert len(walked) == min(limit, len(whole))
        assert [entry.entry_id for entry in walked.all()] == whole
        by_hand, cursor = [], None
        while True:
            page = ledger.entries(owner, limit=limit, before=cursor)
            by_hand += [entry.entry_id for entry in page]
            if (cursor := page.next) is None:
                break
        assert by_hand == whole
    assert len(set(whole)) == 4


def test_pages_stay_in_place_while_the_log_grows(ledger: Ledger, clock: FrozenClock) -> None:
    """What is written after the first page was read moves nothing that is still to be read."""
    ledger.apply_many(Issue(owner, amount) for amount in (1, 2, 3) for owner in ("ada", "bob"))
    of_book, of_ada = ledger.entries(limit=2), ledger.entries("ada", limit=2)
    before = [entry.entry_id for entry in ledger.entries(limit=1000)]

    ledger.grant("ada", 9)
    clock.advance(SECOND)
    ledger.grant("bob", 9)

    walked = [entry.entry_id for entry in of_book.all()]
    assert [entry_id for entry_id in walked if entry_id in before] == before
    assert amounts(of_ada.all()) == [3, 2, 1]


def test_a_page_is_no_longer_than_asked(ledger: Ledger) -> None:
    """A page has fifty entries unless said, a thousand at the most, and no next where nothing follows."""
    ledger.apply_many(Issue("ada", 1) for _ in range(1001))

    for owner in (None, "ada"):
        assert len(ledger.entries(owner)) == 50
        page = ledger.entries(owner, limit=1000)
        assert len(page) == 1000
        assert page.next is not None
        last = ledger.entries(owner, before=page.next)
        assert (len(last), last.next) == (1, None)


def test_time_is_filtered_half_open(ledger: Ledger, clock: FrozenClock) -> None:
    """Entries at `since` are shown and entries at `until` are not, to the microsecond, in any time zone."""
    start = clock()
    for amount in (1, 2, 3):
        ledger.grant("ada", amount)
        clock.advance(timedelta(microseconds=1))
    second, third = start + timedelta(microseconds=1), start + timedelta(microseconds=2)
    elsewhere = second.astimezone(timezone(timedelta(hours=5, minutes=45)))

    for owner in (None, "ada"):
        assert amounts(ledger.entries(owner, since=second)) == [3, 2]
        assert amounts(ledger.entries(owner, until=second)) == [1]
        assert amounts(ledger.entries(owner, since=second, until=third)) == [2]
        assert amounts(ledger.entries(owner, since=elsewhere, until=third)) == [2]
        assert amounts(ledger.entries(owner, since=second, until=second)) == []
        assert amounts(ledger.entries(owner, since=third, until=start)) == []
        assert amounts(ledger.entries(owner, since=start, until=clock())) == [3, 2, 1]
        assert amounts(ledger.entries(owner, since=datetime.min.replace(tzinfo=UTC))) == [3, 2, 1]
        assert amounts(ledger.entries(owner, until=datetime.max.replace(tzinfo=UTC))) == [3, 2, 1]


def test_kinds_are_filtered_by_what_is_shown(ledger: Ledger) -> None:
    """An entry is found by its kind: the host's word, or where there is none the operation's name."""
    ledger.open_account("bob")
    ledger.grant("ada", 10)
    ledger.grant("ada", 11, kind="purchase")
    ledger.grant("ada", 12, kind="spend")
    ledger.spend("ada", 1)
    ledger.spend("ada", 2, kind="purchase")
    ledger.transfer("ada", "bob", 3)

    for kinds, expected in (
        ({"grant"}, [10]),
        ({"purchase"}, [-2, 11]),
        ({"spend"}, [-1, 12]),
        ({"transfer", "grant"}, [-3, 10]),
        (["grant", "grant"], [10]),
        (iter(["purchase", "spend"]), [-2, -1, 12, 11]),
        ({"nothing_like_it"}, []),
        ((), []),
        (None, [-3, -2, -1, 12, 11, 10]),
    ):
        page = ledger.entries("ada", kinds=kinds)
        assert amounts(page) == expected
    assert sorted(amounts(ledger.entries(kinds={"transfer"}))) == [-3, 3]


def test_filters_hold_on_every_page(ledger: Ledger, clock: FrozenClock) -> None:
    """Walking on from a filtered page keeps its filters, and its limit counts what passes them."""
    start = clock()
    for amount in range(1, 7):
        ledger.grant("ada", amount, kind="odd" if amount % 2 else "even")
        clock.advance(SECOND)

    for owner in (None, "ada"):
        page = ledger.entries(owner, limit=1, kinds={"odd"}, since=start + SECOND, until=start + 5 * SECOND)
        assert amounts(page) == [5]
        assert amounts(page.all()) == [5, 3]


def test_an_entry_is_found_by_its_id(ledger: Ledger) -> None:
    """The entry of an id is the one that lists show, of whichever owner."""
    ledger.grant("ada", 1)
    receipt = ledger.spend("ada", 1, kind="thing", idempotency_key="k")

    entry = ledger.entry(receipt.entry_id)

    assert entry == ledger.entries("ada")[0] == ledger.entries()[0] == ledger.find("ada", "k")
    assert entry.entry_id == receipt.entry_id


def test_an_entry_that_is_not_there_is_not_found(ledger: Ledger) -> None:
    """An id that is well formed and names nothing is refused as not found, with the id."""
    account_id = ledger.grant("ada", 1).account_id

    for entry_id in (f"{account_id}.2", f"{account_id}.{10**18 - 1}", f"{'0' * 32}.1"):
        with pytest.raises(EntryNotFound) as refused:
            ledger.entry(entry_id)
        assert refused.value.entry_id == entry_id


def test_a_log_is_numbered_without_gaps(ledger: Ledger) -> None:
    """Each account's entries are numbered from one without a gap, refusals and repeats between them or not."""
    ledger.grant("ada", 3, idempotency_key="k")
    ledger.apply_many(
        [Spend("ada", 9), Spend("ada", 1), Issue("bob", 1), Issue("ada", 3, idempotency_key="k")]
    )
    ledger.spend("ada", 1)

    assert [entry.seq for entry in ledger.entries("ada")] == [3, 2, 1]
    assert [entry.seq for entry in ledger.entries("bob")] == [1]


def test_everyone_reads_what_was_committed(ledger: Ledger, caller: Caller, committed: Ledger) -> None:
    """What one caller wrote, another reads the same after the commit."""
    ledger.grant("ada", 3, metadata={"a": [1]}, reason="r", actor="b")
    ledger.open_account("bob")
    ledger.transfer("ada", "bob", 1)
    caller.settle()

    assert list(committed.entries()) == list(ledger.entries())
    assert list(committed.accounts()) == list(ledger.accounts())
