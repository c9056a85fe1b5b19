"""Positions: an account with its grants and holds, and the fold of entries and shares that gives all their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

from pluct_ledger.domain.accounts import AccountState, Status, fold_account
from pluct_ledger.domain.entries import EntryRecord, Operation

GrantKey = tuple[int, int]
"""The entry that brought a grant, and which part of it."""

POOL: Final[GrantKey] = (0, 0)
"""Stands for the pool where parts of an amount are listed by grant: no entry has seq 0."""

HAS_GRANTS: Final = 1
HAS_HOLDS: Final = 2
RESTRICTED: Final = 4
"""Why the fast path may not act, as bits of `attention`: open grants, open holds, a status other than open."""

_FOREVER: Final = 2**63 - 1
_TERMS_OF_A_GRANT: Final = frozenset(
    {"effective_at", "expires_at", "expires_in", "granted_by", "label", "priority"}
)


class HoldStatus(IntEnum):
    """What became of a hold; the numbers are stored."""

    OPEN = 0
    CAPTURED = 1
    VOIDED = 2
    EXPIRED = 3

    @property
    def word(self) -> str:
        """The status as the API says it, e.g. ``"open"``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class ShareRecord:
    """The part of an entry that falls on one grant, as it is stored."""

    account_id: bytes
    seq: int
    grant_seq: int
    grant_part: int
    amount: int
    hold_amount: int

    @property
    def key(self) -> GrantKey:
        """The grant."""
        return (self.grant_seq, self.grant_part)


@dataclass(frozen=True, slots=True)
class GrantState:
    """A grant's row: its terms, and the cache of the fold over its shares; instants in microseconds.

    Attributes:
        amount: what it was issued with.
        posted: what is left of it, `held` included.
        pending: what will be posted when it takes effect.
    """

    seq: int
    part: int
    amount: int
    posted: int
    held: int
    pending: int
    effective_at: int | None
    expires_at: int | None
    priority: int
    label: str | None
    granted_by: str | None

    @property
    def key(self) -> GrantKey:
        """The entry that brought it, and which part of it."""
        return (self.seq, self.part)

    @property
    def usable(self) -> int:
        """What is left and not held."""
        return self.posted - self.held

    @property
    def is_open(self) -> bool:
        """Whether anything is left in it or to come."""
        return bool(self.posted or self.held or self.pending)

    @property
    def order(self) -> tuple[int, int, int, int]:
        """Its place in the order of use: priority, expiry with never last, age."""
        return (self.priority, _FOREVER if self.expires_at is None else self.expires_at, self.seq, self.part)

    def expired(self, at: int) -> bool:
        """Whether it is past its end."""
        return self.expires_at is not None and self.expires_at <= at


POOL_ORDER: Final = (0, _FOREVER, _FOREVER, 0)
"""The pool's place in the order of use: priority 0, never expiring, last."""


@dataclass(frozen=True, slots=True)
class HoldState:
    """A hold's row, and where what it holds lies.

    Attributes:
        amount: what was authorized.
        held: what it still holds.
        parts: of `held`, what lies on grants; the rest is the pool's.
    """

    seq: int
    amount: int
    held: int
    expires_at: int
    status: HoldStatus
    parts: Mapping[GrantKey, int] = field(default_factory=dict)

    @property
    def by_source(self) -> dict[GrantKey, int]:
        """What it holds, by grant, with the pool's part."""
        rest = self.held - sum(self.parts.values())
        return {**self.parts, POOL: rest} if rest else dict(self.parts)


@dataclass(frozen=True, slots=True)
class Position:
    """An account with its grants and holds; those that are closed may be missing."""

    account: AccountState
    grants: Mapping[GrantKey, GrantState] = field(default_factory=dict)
    holds: Mapping[int, HoldState] = field(default_factory=dict)

    @property
    def pool_posted(self) -> int:
        """What of posted has no terms; negative where an overdraft is used."""
        return self.account.posted - sum(grant.posted for grant in self.grants.values())

    @property
    def pool_usable(self) -> int:
        """What of the pool is not held."""
        held = self.account.held - sum(grant.held for grant in self.grants.values())
        return self.pool_posted - held


def fold(position: Position, entry: EntryRecord, shares: Iterable[ShareRecord]) -> Position:
    """Return `position` after `entry`: it replays what was decided and decides nothing."""
    terms: dict[str, Any] = {} if entry.terms is None else json.loads(entry.terms)
    account = fold_account(position.account, entry, terms)
    if not position.grants and not position.holds and not shares and _plain(entry, terms):
        return Position(account)
    grants = dict(position.grants)
    for grant in _brought(entry, terms):
        grants[grant.key] = grant
    _fold_pending(grants, entry, terms)
    moved: dict[GrantKey, int] = {}
    for share in shares:
        grant = grants[share.key]
        grants[share.key] = replace(
            grant, posted=grant.posted + share.amount, held=grant.held + share.hold_amount
        )
        moved[share.key] = share.hold_amount
    holds = _fold_holds(position.holds, entry, terms, moved)
    return _with_derived(Position(account, grants, holds))


def grants_brought(entry: EntryRecord) -> frozenset[GrantKey]:
    """Return the grants that an entry brings; none where its terms cannot be read."""
    try:
        terms = {} if entry.terms is None else json.loads(entry.terms)
        return frozenset(grant.key for grant in _brought(entry, terms))
    except (AttributeError, KeyError, TypeError, ValueError):
        return frozenset()


def next_due_at(position: Position) -> int | None:
    """Return the earliest instant at which time alone makes a number of this position false."""
    instants = [grant.effective_at for grant in position.grants.values() if grant.pending]
    instants += [grant.expires_at for grant in position.grants.values() if grant.usable > 0]
    instants += [hold.expires_at for hold in position.holds.values() if hold.status is HoldStatus.OPEN]
    return min((instant for instant in instants if instant is not None), default=None)


def _plain(entry: EntryRecord, terms: Mapping[str, Any]) -> bool:
    """Tell whether an entry touches the pool alone."""
    if entry.operation is Operation.CONTROL:
        return False
    return not terms or not (_TERMS_OF_A_GRANT & terms.keys() or "parts" in terms or "ttl" in terms)


def _brought(entry: EntryRecord, terms: Mapping[str, Any]) -> Iterable[GrantState]:
    """Yield the grants that an entry brings, empty: its shares fill them."""
    if entry.operation is Operation.GRANT and _TERMS_OF_A_GRANT & terms.keys():
        yield _granted(entry, terms)
    for part, term in enumerate(terms.get("parts", ())):
        yield GrantState(
            seq=entry.seq,
            part=part,
            amount=term["amount"],
            posted=0,
            held=0,
            pending=0,
            effective_at=None,
            expires_at=term.get("expires_at"),
            priority=term.get("priority", 0),
            label=term.get("label"),
            granted_by=None,
        )


def _granted(entry: EntryRecord, terms: Mapping[str, Any]) -> GrantState:
    effective_at = terms.get("effective_at")
    waits = effective_at is not None and effective_at > entry.at
    begins = effective_at if waits else entry.at
    expires_at = begins + terms["expires_in"] if "expires_in" in terms else terms.get("expires_at")
    amount = terms.get("amount", entry.amount)
    return GrantState(
        seq=entry.seq,
        part=0,
        amount=amount,
        posted=0,
        held=0,
        pending=amount if waits else 0,
        effective_at=effective_at,
        expires_at=expires_at,
        priority=terms.get("priority", 0),
        label=terms.get("label"),
        granted_by=terms.get("granted_by"),
    )


def _fold_pending(grants: dict[GrantKey, GrantState], entry: EntryRecord, terms: Mapping[str, Any]) -> None:
    if entry.concerns_seq is None:
        return
    key = (entry.concerns_seq, 0)
    if entry.operation is Operation.ACTIVATE:
        grants[key] = replace(grants[key], pending=0)
    elif entry.operation is Operation.REVERSE and "unposted" in terms:
        grants[key] = replace(grants[key], pending=grants[key].pending - terms["unposted"])


def _fold_holds(
    holds: Mapping[int, HoldState],
    entry: EntryRecord,
    terms: Mapping[str, Any],
    moved: Mapping[GrantKey, int],
) -> Mapping[int, HoldState]:
    if entry.operation is Operation.AUTHORIZE:
        hold = HoldState(
            seq=entry.seq,
            amount=entry.hold_amount,
            held=entry.hold_amount,
            expires_at=entry.at + terms["ttl"],
            status=HoldStatus.OPEN,
            parts=dict(moved),
        )
        return {**holds, entry.seq: hold}
    concerned = None if entry.concerns_seq is None else holds.get(entry.concerns_seq)
    if concerned is None:
        return holds
    if entry.operation is Operation.CONTROL:
        return {**holds, concerned.seq: replace(concerned, expires_at=entry.at + terms["ttl"])}
    if entry.operation not in {Operation.CAPTURE, Operation.VOID}:
        return holds
    left = {key: concerned.parts.get(key, 0) + moved.get(key, 0) for key in concerned.parts}
    held = concerned.held + entry.hold_amount
    status = HoldStatus.OPEN if held else _end_of(concerned, entry)
    parts = {key: amount for key, amount in left.items() if amount}
    return {**holds, concerned.seq: replace(concerned, held=held, status=status, parts=parts)}


def _end_of(hold: HoldState, entry: EntryRecord) -> HoldStatus:
    """Return how an entry ended a hold; a void at or past its expiry is time's, as nobody can void a dead hold."""
    if entry.operation is Operation.CAPTURE:
        return HoldStatus.CAPTURED
    return HoldStatus.EXPIRED if entry.at >= hold.expires_at else HoldStatus.VOIDED


def _with_derived(position: Position) -> Position:
    account = position.account
    attention = HAS_GRANTS if any(grant.is_open for grant in position.grants.values()) else 0
    if any(hold.status is HoldStatus.OPEN for hold in position.holds.values()):
        attention |= HAS_HOLDS
    if account.status is not Status.OPEN:
        attention |= RESTRICTED
    account = replace(account, attention=attention, next_due_at=next_due_at(position))
    return Position(account, position.grants, position.holds)
