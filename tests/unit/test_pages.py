"""Pages: read like a list, and walked on from."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import islice

import pytest

from pluct_ledger.domain.pages import Page
from pluct_ledger.errors import InvalidArgument

NUMBERS = range(10)


def page_of_numbers(cursor: str = "0", *, length: int = 4) -> Page[int]:
    """Return a page of the numbers below ten that knows how to go on."""
    start = int(cursor)
    end = start + length
    page = Page(tuple(NUMBERS[start:end]), str(end) if end < len(NUMBERS) else None)
    return page.turned_by(lambda following: page_of_numbers(following, length=length))


@pytest.mark.parametrize("length", [1, 3, 5, 9, 10, 11])
def test_all_meets_every_item_once(length: int) -> None:
    """Walking on yields the items of every page in order."""
    assert list(page_of_numbers(length=length).all()) == list(NUMBERS)


def test_pages_are_fetched_as_they_are_reached() -> None:
    """A walk fetches no page before its items are wanted."""
    fetched: list[str] = []

    def turn(cursor: str) -> Page[int]:
        fetched.append(cursor)
        return Page((3, 4), None)

    walk = Page((1, 2), "next").turned_by(turn).all()

    assert list(islice(walk, 2)) == [1, 2]
    assert fetched == []
    assert next(walk) == 3
    assert fetched == ["next"]


def test_an_empty_page_ends_the_walk() -> None:
    """A page without items and without a next has nothing to walk."""
    page: Page[int] = Page((), None)

    assert (list(page), list(page.all()), len(page)) == ([], [], 0)


def test_pages_are_equal_by_their_items_and_cursor() -> None:
    """Two pages with the same items and cursor are equal, however they would go on."""
    assert page_of_numbers() == Page((0, 1, 2, 3), "4")
    assert page_of_numbers() != replace(page_of_numbers(), next=None)
    assert len({page_of_numbers(), Page((0, 1, 2, 3), "4")}) == 1


def test_a_copy_of_a_page_says_that_it_cannot_walk_on() -> None:
    """A page that was pickled ends its walk with a plain refusal where more would follow."""
    page = pickle.loads(pickle.dumps(Page((1, 2), "2")))  # noqa: S301 - of our own making

    walk = page.all()
    assert [next(walk), next(walk)] == [1, 2]
    with pytest.raises(InvalidArgument, match="walk on"):
        next(walk)
