"""Entries: the immutable lines of an account's log, which are the only truth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Final

from pluct_ledger.errors import InvalidArgument


class Operation(IntEnum):
    """What an entry did: the closed set that the rules know; the numbers are stored."""

    GRANT = 1
    ACTIVATE = 2
    SPEND = 3
    AUTHORIZE = 4
    CAPTURE = 5
    VOID = 6
    EXPIRE = 7
    TRANSFER = 8
    REVERSE = 9
    ADJUST = 10
    CONTROL = 11

    @property
    def word(self) -> str:
        """The operation's name as the API says it, e.g. ``"spend"``."""
        return _WORDS[self]


_WORDS: Final = {operation: operation.name.lower() for operation in Operation}


class Counter(IntEnum):
    """The other side of an entry: a derived system side, another account, or none; the numbers are stored."""

    NONE = 0
    ISSUED = 1
    SPENT = 2
    EXPIRED = 3
    ADJUSTED = 4
    ACCOUNT = 5

    @property
    def word(self) -> str:
        """The counter's name as the API says it, e.g. ``"issued"``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """One entry as it is stored: the facts alone."""

    account_id: bytes
    seq: int
    operation: Operation
    kind: str | None
    amount: int
    hold_amount: int
    posted_after: int
    held_after: int
    counter: Counter
    counter_account_id: bytes | None
    counter_seq: int | None
    concerns_seq: int | None
    terms: str | None
    idempotency_key: str | None
    key_hash: bytes | None
    reason: str | None
    actor: str | None
    metadata: str | None
    salt: bytes | None
    digest: bytes
    event_at: int | None
    at: int

    @property
    def entry_id(self) -> str:
        """The entry's id in the API: ``"<account id in hex>.<seq>"``."""
        return entry_id_of(self.account_id, self.seq)

    @property
    def newest_first(self) -> tuple[int, int, int]:
        """Its place in newest-first lists over a book: instant, account, seq, each falling."""
        return (-self.at, -int.from_bytes(self.account_id, "big"), -self.seq)

    @property
    def counterpart_entry_id(self) -> str | None:
        """The id of the paired entry of a transfer, or None."""
        if self.counter_account_id is None or self.counter_seq is None:
            return None
        return entry_id_of(self.counter_account_id, self.counter_seq)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of an entry that falls on one grant.

    Attributes:
        grant_id: the entry that issued the grant.
        part: which part of it, where one entry brought several; else 0.
        amount: the part of the entry's change of posted.
        hold_amount: the part of the entry's change of held.
    """

    grant_id: str
    part: int
    amount: int
    hold_amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One immutable line of an account's log.

    Attributes:
        amount: the signed change of posted, in the asset's smallest unit.
        hold_amount: the signed change of held.
        counter: the other side: issued, spent, expired, adjusted, account or none.
        event_at: when it happened in the world, as the host told; no rule uses it.
        at: the ledger's instant; it never decreases along ``seq``.
    """

    entry_id: str
    account_id: str
    seq: int
    book: str
    asset: str
    owner: str
    operation: str
    kind: str
    amount: int
    hold_amount: int
    posted_after: int
    held_after: int
    available_after: int
    counter: str
    counterpart_entry_id: str | None
    concerns_entry_id: str | None
    terms: dict[str, Any]
    idempotency_key: str | None
    reason: str | None
    actor: str | None
    metadata: dict[str, Any] | None
    event_at: datetime | None
    at: datetime
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What every write returns: the entry that it made, or made the first time.

    In a borrowed transaction it is provisional until the host commits.

    Attributes:
        amount: the entry's signed change of posted, in the asset's smallest unit.
        replayed: True if the idempotency key was known: nothing moved, and the rest tells of the first time.
        counterpart_entry_id: for a transfer, the paired entry in the target's log.
    """

    entry_id: str
    account_id: str
    seq: int
    book: str
    asset: str
    owner: str
    operation: str
    kind: str
    amount: int
    posted_after: int
    held_after: int
    available_after: int
    at: datetime
    replayed: bool = False
    shares: tuple[Share, ...] = ()
    counterpart_entry_id: str | None = None


_ENTRY_ID = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,17})")


def entry_id_of(account_id: bytes, seq: int) -> str:
    """Return the API's text for an entry's address."""
    return f"{account_id.hex()}.{seq}"


def parse_entry_id(entry_id: object, name: str = "entry_id") -> tuple[bytes, int]:
    """Return the address that an entry id stands for.

    Raises:
        InvalidArgument: it is not of the form ``<32 hex digits>.<seq>``.
    """
    match = _ENTRY_ID.fullmatch(entry_id) if type(entry_id) is str else None
    if match is None:
        raise InvalidArgument(name, "must be of the form <32 lower-case hex digits>.<number>")
    return bytes.fromhex(match[1]), int(match[2])


def digest_of(
    *,
    account_id: bytes,
    operation: Operation,
    kind: str | None,
    amount: int,
    hold_amount: int,
    counter: Counter,
    counter_account_id: bytes | None,
    concerns_seq: int | None,
    terms: str | None,
    key_hash: bytes | None,
    event_at: int | None,
    remark: bytes,
) -> bytes:
    """Return the 16 bytes (BLAKE2b-128) for all that an entry's writer knew before the database answered.

    `remark` stands for reason, actor and metadata (see `remark_of`), so that these can be erased one day.
    """
    hashed = blake2b(digest_size=16, person=b"pluct-entry-v1")
    for part in (
        account_id,
        b"%d" % operation,
        _encoded(kind),
        b"%d" % amount,
        b"%d" % hold_amount,
        b"%d" % counter,
        counter_account_id or b"",
        _number(concerns_seq),
        _encoded(terms),
        key_hash or b"",
        _number(event_at),
        remark,
    ):
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)
    return hashed.digest()


def digest_of_record(record: EntryRecord) -> bytes:
    """Return the digest that a stored entry is to have."""
    return digest_of(
        account_id=record.account_id,
        operation=record.operation,
        kind=record.kind,
        amount=record.amount,
        hold_amount=record.hold_amount,
        counter=record.counter,
        counter_account_id=record.counter_account_id,
        concerns_seq=record.concerns_seq,
        terms=record.terms,
        key_hash=record.key_hash,
        event_at=record.event_at,
        remark=remark_of(record.salt, record.reason, record.actor, record.metadata),
    )


def remark_of(salt: bytes | None, reason: str | None, actor: str | None, metadata: str | None) -> bytes:
    """Return the salted hash of what people wrote on an entry; empty if they wrote nothing.

    The salt keeps short texts from being guessed from the digest after they were erased.
    """
    if salt is None:
        return b""
    hashed = blake2b(salt, digest_size=16, person=b"pluct-remark-v1")
    for text in (reason, actor, metadata):
        part = b"-" if text is None else b"+" + text.encode()
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)
    return hashed.digest()


def _encoded(text: str | None) -> bytes:
    return b"" if text is None else text.encode()


def _number(value: int | None) -> bytes:
    return b"" if value is None else b"%d" % value
