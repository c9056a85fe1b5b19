"""An intent: a command that was checked, named and encoded, ready to be recalled and decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pluct_ledger.domain.accounts import account_id_of, check_owner
from pluct_ledger.domain.arguments import (
    MAX_ACTOR_CHARS,
    MAX_AMOUNT,
    MAX_REASON_CHARS,
    canonical_json,
    check_amount,
    check_change,
    check_flag,
    check_kind,
    check_metadata,
    check_name,
    check_text,
    micros_of,
)
from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Transfer, Vend, Write
from pluct_ledger.domain.entries import Operation
from pluct_ledger.errors import InvalidArgument


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

    @property
    def account_ids(self) -> tuple[bytes, ...]:
        """The accounts that the command touches, the one that its key is scoped to first."""
        return (self.account_id,) if self.target_id is None else (self.account_id, self.target_id)


@dataclass(frozen=True, slots=True)
class _Ask:
    """The part of an intent that its command's own arguments give."""

    operation: Operation
    owner: str
    amount: int | None
    asked: int
    terms: dict[str, Any] | None = None
    target: str | None = None


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
    if not isinstance(command, Write) or type(command) not in _ASKS:
        raise InvalidArgument("command", f"{type(command).__name__} is not a command")
    ask = _ASKS[type(command)](command, max_amount)
    return Intent(
        command=command,
        operation=ask.operation,
        owner=ask.owner,
        account_id=account_id_of(book, ask.owner, asset),
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
        **_remarks_of(command, salt),
    )


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


def _ask_open(command: OpenAccount, most: int) -> _Ask:
    owner = check_owner(command.owner)
    initial = 0 if command.initial == 0 and type(command.initial) is int else None
    if initial is None:
        initial = check_amount(command.initial, most=most, name="initial")
    limit = check_overdraft_limit(command.overdraft_limit)
    terms: dict[str, Any] = {"opened": True}
    if limit != 0:
        terms["overdraft_limit"] = limit
    operation = Operation.GRANT if initial else Operation.CONTROL
    return _Ask(operation, owner, initial, initial, terms)


def check_overdraft_limit(limit: object) -> int | None:
    """Return `limit` if it is an int in 0..2^53-1, or None for unlimited."""
    if limit is None:
        return None
    if type(limit) is not int or not 0 <= limit <= MAX_AMOUNT:
        raise InvalidArgument("overdraft_limit", f"must be None or an int between 0 and {MAX_AMOUNT}")
    return limit


def _ask_issue(command: Issue, most: int) -> _Ask:
    owner = check_owner(command.owner)
    amount = check_amount(command.amount, most=most)
    for name in ("expires_at", "effective_at", "label", "granted_by"):
        if getattr(command, name) is not None:
            raise InvalidArgument(name, "terms of a grant are not supported yet")
    if type(command.priority) is not int or command.priority != 0:
        raise InvalidArgument("priority", "terms of a grant are not supported yet")
    return _Ask(Operation.GRANT, owner, amount, amount)


def _ask_spend(command: Spend, most: int) -> _Ask:
    owner = check_owner(command.owner)
    amount = check_amount(command.amount, most=most)
    if check_flag(command.up_to, "up_to"):
        return _Ask(Operation.SPEND, owner, None, amount, {"amount": amount, "up_to": True})
    return _Ask(Operation.SPEND, owner, -amount, amount)


def _ask_transfer(command: Transfer, most: int) -> _Ask:
    source = check_owner(command.source, "source")
    target = check_owner(command.target, "target")
    amount = check_amount(command.amount, most=most)
    if source == target:
        raise InvalidArgument("target", "must not be the source")
    return _Ask(Operation.TRANSFER, source, -amount, amount, target=target)


def _ask_adjust(command: Adjust, most: int) -> _Ask:
    owner = check_owner(command.owner)
    change = check_change(command.signed_amount, most=most)
    if type(command.reason) is not str or not command.reason.strip():
        raise InvalidArgument("reason", "an adjustment needs a reason")
    return _Ask(Operation.ADJUST, owner, change, abs(change))


def _ask_vend(command: Vend, most: int) -> _Ask:
    owner = check_owner(command.owner)
    cost = check_amount(command.cost, most=most, name="cost")
    terms: dict[str, Any] = {"vend": True}
    if command.ttl is not None:
        terms["ttl"] = command.ttl
    if command.scope:
        terms["scope"] = command.scope
    return _Ask(Operation.SPEND, owner, -cost, cost, terms)


_ASKS: Final[dict[type, Callable[[Any, int], _Ask]]] = {
    OpenAccount: _ask_open,
    Issue: _ask_issue,
    Spend: _ask_spend,
    Transfer: _ask_transfer,
    Adjust: _ask_adjust,
    Vend: _ask_vend,
}
