"""Commands: what a host can ask for, named and parameterised like the methods of `Ledger`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict


class WriteOptions(TypedDict, total=False):
    """What every write takes by keyword; see `Write`."""

    idempotency_key: str | None
    kind: str | None
    reason: str | None
    actor: str | None
    metadata: dict[str, Any] | None
    event_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What every write takes.

    Attributes:
        idempotency_key: the caller's name for this intent, once per intent, 1..255 bytes, unique in the account; a
            repeat returns the first receipt and moves nothing.
        kind: the host's word for the entry, ``[a-z][a-z0-9_]{0,63}``; the operation's name unless said.
        reason: text for people, up to 500 characters.
        actor: who did it, up to 255 characters.
        metadata: a JSON-safe dict, up to 8192 bytes as JSON.
        event_at: when it happened in the world, an aware datetime; no rule uses it.
    """

    idempotency_key: str | None = None
    kind: str | None = None
    reason: str | None = None
    actor: str | None = None
    metadata: dict[str, Any] | None = None
    event_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenAccount(Write):
    """Open the owner's account, with `initial` credit and an overdraft limit; `metadata` describes the account."""

    owner: str
    initial: int = field(default=0, kw_only=True)
    overdraft_limit: int | None = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Issue(Write):
    """Grant credit to the owner; opens the account if there is none."""

    owner: str
    amount: int
    expires_at: datetime | timedelta | None = field(default=None, kw_only=True)
    effective_at: datetime | None = field(default=None, kw_only=True)
    priority: int = field(default=0, kw_only=True)
    label: str | None = field(default=None, kw_only=True)
    granted_by: object | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Spend(Write):
    """Take credit from the owner; with `up_to`, as much of `amount` as there is."""

    owner: str
    amount: int
    up_to: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Transfer(Write):
    """Move credit from one owner's account to another's."""

    source: str
    target: str
    amount: int


@dataclass(frozen=True, slots=True)
class Adjust(Write):
    """Correct an account by a signed amount, past every limit; `reason` is mandatory."""

    owner: str
    signed_amount: int


@dataclass(frozen=True, slots=True)
class Authorize(Write):
    """Set credit of the owner aside for `ttl`, to be captured or voided."""

    owner: str
    amount: int
    ttl: timedelta = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Capture(Write):
    """Spend what a hold set aside: all of it, or `amount`; with `final`, the rest of the hold is set free."""

    hold_id: str
    amount: int | None = None
    final: bool = field(default=True, kw_only=True)
    allow_over: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Void(Write):
    """Set free what a hold set aside."""

    hold_id: str


@dataclass(frozen=True, slots=True)
class Extend(Write):
    """Let a hold live for `ttl` from now on."""

    hold_id: str
    ttl: timedelta = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Reverse(Write):
    """Reverse a spend, capture, transfer or grant: all that is left of it, or `amount`."""

    entry_id: str
    amount: int | None = None
    up_to: bool = field(default=False, kw_only=True)
    expired_grace: timedelta | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class SetOverdraftLimit(Write):
    """Let spends go down to -`limit`; None is unlimited."""

    owner: str
    limit: int | None


@dataclass(frozen=True, slots=True)
class Freeze(Write):
    """Let credit come in, but none be used."""

    owner: str


@dataclass(frozen=True, slots=True)
class Unfreeze(Write):
    """Let credit of a frozen account be used again."""

    owner: str


@dataclass(frozen=True, slots=True)
class Close(Write):
    """Close an empty account for good."""

    owner: str


@dataclass(frozen=True, slots=True)
class Vend(Write):
    """Take what a token costs; `ttl` (whole seconds) and `scope` (space-separated) only where asked for."""

    owner: str
    cost: int
    ttl: int | None = field(default=None, kw_only=True)
    scope: str = field(default="", kw_only=True)


Command = (
    Issue
    | Spend
    | Authorize
    | Capture
    | Void
    | Extend
    | Transfer
    | Reverse
    | Adjust
    | SetOverdraftLimit
    | Freeze
    | Unfreeze
    | Close
)
"""What `Ledger.apply` and `Ledger.apply_many` take."""
