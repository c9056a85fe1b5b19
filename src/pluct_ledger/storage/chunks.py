"""Long lists of parameters in pieces that every driver takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

MAX_PARAMETERS: Final = 5_000
"""Parameters of one list; SQLite takes 32,766 in a statement, PostgreSQL 65,535."""


def in_chunks(items: Sequence[T], size: int = MAX_PARAMETERS) -> Iterator[Sequence[T]]:
    """Yield `items` in order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
