"""Accounts: book x owner x asset, and the fold of entries that gives their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Final

from pluct_ledger.domain.arguments import MAX_BOOK_BYTES, check_name, instant_of
from pluct_ledger.domain.entries import Counter, EntryRecord, Receipt


class Status(IntEnum):
    """What may be done with an account; the numbers are stored."""

    OPEN = 0
    FROZEN = 1
    CLOSED = 2

    @property
    def word(self) -> str:
        """The status as the API says it, e.g. ``"open"``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account's row: the cache of the fold over its entries, plus its names.

    Instants are microseconds since 1970-01-01T00:00Z; `overdraft_limit` None is unlimited.
    """

    account_id: bytes
    book: str
    owner: str
    asset: str
    posted: int
    held: int
    seq: int
    last_at: int
    issued: int
    spent: int
    expired: int
    adjusted: int
    moved: int
    overdraft_limit: int | None
    status: Status
    attention: int
    next_due_at: int | None
    opened_at: int
    metadata: str | None

    @property
    def available(self) -> int:
        """What is posted and not held; negative where an overdraft is used."""
        return self.posted - self.held

    @property
    def spendable(self) -> int | None:
        """What a spend may take: the available credit plus the overdraft limit; None if that is unlimited."""
        return None if self.overdraft_limit is None else self.posted - self.held + self.overdraft_limit


@dataclass(frozen=True, slots=True)
class Account:
    """An owner's account as the API shows it; amounts are in the asset's smallest unit.

    Attributes:
        posted: the sum of all entries.
        held: what is set aside by holds.
        available: posted - held.
        entry_count: how many entries its log has.
        receipt: the entry that opening it made, on `open_account` with ``initial`` credit or an overdraft limit.
    """

    account_id: str
    book: str
    asset: str
    owner: str
    posted: int
    held: int
    available: int
    issued: int
    spent: int
    expired: int
    adjusted: int
    moved: int
    entry_count: int
    overdraft_limit: int | None
    status: str
    opened_at: datetime
    last_at: datetime | None
    metadata: dict[str, Any] | None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has at an instant, in the asset's smallest unit.

    Attributes:
        expiring: what will lapse and when, soonest first, if nothing is used: pairs of (instant, amount).
    """

    posted: int
    held: int
    available: int
    expiring: tuple[tuple[datetime, int], ...] = ()


_ID_BYTES: Final = 16


def account_id_of(book: str, owner: str, asset: str) -> bytes:
    """Return the 16 bytes that name an account: BLAKE2b-128 over its length-prefixed names.

    Computed, never looked up: no unique index on names, no question of collation on any database.
    """
    hashed = blake2b(digest_size=_ID_BYTES, person=b"pluct-account-v1")
    for name in (book, owner, asset):
        encoded = name.encode()
        hashed.update(len(encoded).to_bytes(4, "big"))
        hashed.update(encoded)
    return hashed.digest()


def ledger_id_of(book: str, asset: str) -> int:
    """Return the signed 64-bit number that names a book and asset in the log's newest-first index."""
    hashed = blake2b(digest_size=8, person=b"pluct-ledger-v1")
    for name in (book, asset):
        encoded = name.encode()
        hashed.update(len(encoded).to_bytes(4, "big"))
        hashed.update(encoded)
    return int.from_bytes(hashed.digest(), "big", signed=True)


def check_owner(owner: object, name: str = "owner") -> str:
    """Return `owner` if it is 1..255 bytes of UTF-8 without NUL; it is never normalised."""
    return check_name(owner, name)


def check_book(book: object) -> str:
    """Return `book` if it is 1..64 bytes of UTF-8 without NUL."""
    return check_name(book, "book", most_bytes=MAX_BOOK_BYTES)


def check_asset(asset: object) -> str:
    """Return `asset` if it is 1..64 bytes of UTF-8 without NUL."""
    return check_name(asset, "asset", most_bytes=MAX_BOOK_BYTES)


def empty_account(
    book: str, owner: str, asset: str, *, opened_at: int, metadata: str | None = None
) -> AccountState:
    """Return the state of an account without entries."""
    return AccountState(
        account_id=account_id_of(book, owner, asset),
        book=book,
        owner=owner,
        asset=asset,
        posted=0,
        held=0,
        seq=0,
        last_at=opened_at,
        issued=0,
        spent=0,
        expired=0,
        adjusted=0,
        moved=0,
        overdraft_limit=0,
        status=Status.OPEN,
        attention=0,
        next_due_at=None,
        opened_at=opened_at,
        metadata=metadata,
    )


def fold_account(state: AccountState, entry: EntryRecord, terms: Mapping[str, Any]) -> AccountState:
    """Return `state` after `entry`: it replays what was decided and decides nothing.

    Args:
        terms: the entry's terms, read.
    """
    after = _SIDES[entry.counter](state, entry.amount)
    if "overdraft_limit" in terms:
        after = replace(after, overdraft_limit=terms["overdraft_limit"])
    if "status" in terms:
        after = replace(after, status=Status[terms["status"].upper()])
    return replace(
        after,
        posted=state.posted + entry.amount,
        held=state.held + entry.hold_amount,
        seq=entry.seq,
        last_at=entry.at,
    )


_SIDES: Final[dict[Counter, Callable[[AccountState, int], AccountState]]] = {
    Counter.NONE: lambda state, _amount: state,
    Counter.ISSUED: lambda state, amount: replace(state, issued=state.issued + amount),
    Counter.SPENT: lambda state, amount: replace(state, spent=state.spent - amount),
    Counter.EXPIRED: lambda state, amount: replace(state, expired=state.expired - amount),
    Counter.ADJUSTED: lambda state, amount: replace(state, adjusted=state.adjusted + amount),
    Counter.ACCOUNT: lambda state, amount: replace(state, moved=state.moved + amount),
}


def account_of(state: AccountState, receipt: Receipt | None = None) -> Account:
    """Return what the API shows of an account's row."""
    return Account(
        account_id=state.account_id.hex(),
        book=state.book,
        asset=state.asset,
        owner=state.owner,
        posted=state.posted,
        held=state.held,
        available=state.available,
        issued=state.issued,
        spent=state.spent,
        expired=state.expired,
        adjusted=state.adjusted,
        moved=state.moved,
        entry_count=state.seq,
        overdraft_limit=state.overdraft_limit,
        status=state.status.word,
        opened_at=instant_of(state.opened_at),
        last_at=instant_of(state.last_at) if state.seq else None,
        metadata=None if state.metadata is None else json.loads(state.metadata),
        receipt=receipt,
    )
