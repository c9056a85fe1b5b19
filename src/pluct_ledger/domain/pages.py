"""A page of a long list, and how to walk on from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pluct_ledger.errors import InvalidArgument

T = TypeVar("T")


class _Walk:
    __slots__ = ("_turn",)


@dataclass(frozen=True, slots=True)
class Page(_Walk, Generic[T]):
    """Some items of a list, and the cursor of what follows.

    Attributes:
        items: the items of this page, in the list's order.
        next: the cursor to hand in for the following page (as ``after`` or ``before``), or None at the end.
    """

    items: tuple[T, ...]
    next: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def turned_by(self, turn: Callable[[str], Page[T]]) -> Page[T]:
        """Return this page, able to fetch what follows: `turn` gets the page at a cursor."""
        object.__setattr__(self, "_turn", turn)
        return self

    def all(self) -> Iterator[T]:
        """Yield the items of this page and of all that follow, fetched as they are reached.

        Raises:
            InvalidArgument: more follows, but this is a copy of a page, which has no ledger to fetch it from.
        """
        page: Page[T] = self
        while True:
            yield from page.items
            if page.next is None:
                return
            turn: Callable[[str], Page[T]] | None = getattr(page, "_turn", None)
            if turn is None:
                raise InvalidArgument(
                    "page", "a copy of a page cannot walk on: ask the ledger with its `next`"
                )
            page = turn(page.next)
