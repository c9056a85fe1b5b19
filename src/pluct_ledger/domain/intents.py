"""An intent: a command that was checked, named and encoded, ready to be recalled and decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pluct_ledger.domain.accounts import account_id_of
from pluct_ledger.domain.arguments import (
    MAX_ACTOR_CHARS,
    MAX_REASON_CHARS,
    canonical_json,
    check_kind,
    check_metadata,
    check_name,
    check_text,
    micros_of,
)
from pluct_ledger.domain.asks import ask_of
from pluct_ledger.domain.commands import Write
from pluct_ledger.domain.entries import Operation


@dataclass(frozen=True, slots=True)
class Intent:
    """A checked command.

    Attributes:
        amount: the signed change of posted that the entry must have; None where it may come out differently.
        asked: the positive amount asked for (of an adjustment, its magnitude), 0 if none.
        terms: canonical JSON of every argument that is in no other column of the entry; None if there is none.
        key: the idempotency key that was handed in, or made for a caller who gave none.
        key_made: the key was made here: it is kept as a hash only.
        at: the instant at which a historic command happened, in microseconds; None for the clock's.
        limited: False for history, which happened whatever the limits say now.
        place: the seq of the hold or entry that the command names by its id; its owner is known once it is locked.
        effective_at: when a grant takes effect, in microseconds; None at once.
        on_terms: a grant's credit has terms of its own.
        grace: for how long a reversal reissues what has expired, in microseconds.
    """

    command: Write
    operation: Operation
    owner: str
    account_id: bytes
    target: str | None
    target_id: bytes | None
    amount: int | None
    asked: int
    kind: str | None
    terms: str | None
    key: str | None
    key_hash: bytes | None
    key_made: bool
    reason: str | None
    actor: str | None
    metadata: str | None
    salt: bytes | None
    event_at: int | None
    at: int | None
    limited: bool
    place: int | None = None
    effective_at: int | None = None
    on_terms: bool = False
    grace: int | None = None

    @property
    def account_ids(self) -> tuple[bytes, ...]:
        """The accounts that the command touches, the one that its key is scoped to first."""
        return (self.account_id,) if self.target_id is None else (self.account_id, self.target_id)


def intent_of(
    command: object, *, book: str, asset: str, max_amount: int, salt: Callable[[], bytes]
) -> Intent:
    """Check a command and encode it; the idempotency key's hash is added by `keyed`.

    Args:
        max_amount: the largest amount that the ledger takes.
        salt: makes the 16 random bytes that keep reason, actor and metadata from being guessed out of a digest.

    Raises:
        InvalidArgument: naming the first argument that is wrong.
    """
    ask = ask_of(command, max_amount)
    assert isinstance(command, Write)
    return Intent(
        command=command,
        operation=ask.operation,
        owner=ask.owner,
        account_id=account_id_of(book, ask.owner, asset) if ask.place is None else ask.place[0],
        target=ask.target,
        target_id=None if ask.target is None else account_id_of(book, ask.target, asset),
        amount=ask.amount,
        asked=ask.asked,
        kind=_kind_of(command, ask.operation),
        terms=None if ask.terms is None else canonical_json(ask.terms),
        key=None
        if command.idempotency_key is None
        else check_name(command.idempotency_key, "idempotency_key"),
        key_hash=None,
        key_made=False,
        at=None,
        limited=True,
        event_at=None if command.event_at is None else micros_of(command.event_at, "event_at"),
        place=None if ask.place is None else ask.place[1],
        effective_at=ask.effective_at,
        on_terms=ask.on_terms,
        grace=ask.grace,
        **_remarks_of(command, salt),
    )


def owned(intent: Intent, owner: str) -> Intent:
    """Return an intent that names a hold or entry, with the owner of its account, which is locked by now."""
    return replace(intent, owner=owner)


def paired(intent: Intent, other_id: bytes) -> Intent:
    """Return the reversal of a transfer with the account at its other end, which is to be locked with the first."""
    return replace(intent, target_id=other_id)


def keyed(intent: Intent, key: str, key_hash: bytes, *, made: bool) -> Intent:
    """Return `intent` under an idempotency key; `made` says that the caller gave none."""
    return replace(intent, key=key, key_hash=key_hash, key_made=made)


def happened(intent: Intent, at: int) -> Intent:
    """Return `intent` as history: it happened at that instant (microseconds), and no limit applies to it."""
    return replace(intent, at=at, limited=False)


def _kind_of(command: Write, operation: Operation) -> str | None:
    kind = None if command.kind is None else check_kind(command.kind)
    return None if kind == operation.word else kind


def _remarks_of(command: Write, salt: Callable[[], bytes]) -> dict[str, Any]:
    reason = (
        None if command.reason is None else check_text(command.reason, "reason", most_chars=MAX_REASON_CHARS)
    )
    actor = None if command.actor is None else check_text(command.actor, "actor", most_chars=MAX_ACTOR_CHARS)
    metadata = None if command.metadata is None else check_metadata(command.metadata)
    remarked = reason is not None or actor is not None or metadata is not None
    return {"reason": reason, "actor": actor, "metadata": metadata, "salt": salt() if remarked else None}
