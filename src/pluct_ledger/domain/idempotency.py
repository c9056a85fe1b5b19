"""Idempotency: once per key and account, and a repeat must ask for the same."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, Final

from pluct_ledger.domain.entries import EntryRecord, Operation
from pluct_ledger.domain.intents import Intent
from pluct_ledger.errors import IdempotencyMismatch

_ABSENT: Final = object()
_OUTCOMES: Final = ("parts", "unposted")
"""Terms that tell what came of a command, not what was asked."""


def key_hash_of(key: str) -> bytes:
    """Return the 16 bytes (BLAKE2b-128) under which a key is kept unique in its account."""
    return blake2b(key.encode(), digest_size=16, person=b"pluct-key-v1").digest()


def check_same_intent(entry: EntryRecord, intent: Intent) -> None:
    """Compare what is asked now with the entry that its key made.

    Compared are operation, kind, target, amount and terms; not reason, actor, metadata and event_at.

    Raises:
        IdempotencyMismatch: naming the first field that differs.
    """
    differs = _difference(entry, intent)
    if differs is not None:
        raise IdempotencyMismatch(owner=intent.owner, field=differs)


def _difference(entry: EntryRecord, intent: Intent) -> str | None:
    if entry.operation is not intent.operation:
        return "operation"
    if entry.kind != intent.kind:
        return "kind"
    if entry.concerns_seq != intent.place:
        return "entry_id" if entry.operation is Operation.REVERSE else "hold_id"
    if entry.counter_account_id != intent.target_id:
        return "target"
    changed = entry.hold_amount if entry.operation is Operation.AUTHORIZE else entry.amount
    sign = 1 if entry.operation is Operation.GRANT else -1
    before, now = _arguments(changed, entry.terms, sign), _arguments(intent.amount, intent.terms, sign)
    differing = [
        name for name in before.keys() | now.keys() if before.get(name, _ABSENT) != now.get(name, _ABSENT)
    ]
    return min(differing, key=lambda name: (name != "amount", name), default=None)


def _arguments(amount: int | None, terms: str | None, sign: int) -> dict[str, Any]:
    """Return terms by name, and among them the amount that was asked for, also where another came of it.

    Args:
        sign: of an entry's amount, where the terms tell the one that was asked for without it.
    """
    named: dict[str, Any] = {} if terms is None else json.loads(terms)
    for outcome in _OUTCOMES:
        named.pop(outcome, None)
    if "whole" not in named:
        # Where terms hold the amount it is the one asked for, and without a sign, as every amount but an adjustment's.
        named["amount"] = sign * named["amount"] if "amount" in named else amount
    return named
