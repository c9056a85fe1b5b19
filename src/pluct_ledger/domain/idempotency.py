"""Idempotency: once per key and account, and a repeat must ask for the same."""

from __future__ import annotations

import json
from hashlib import blake2b

from pluct_ledger.domain.entries import EntryRecord
from pluct_ledger.domain.intents import Intent
from pluct_ledger.errors import IdempotencyMismatch


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
    if entry.counter_account_id != intent.target_id:
        return "target"
    if intent.amount is not None and entry.amount != intent.amount:
        return "amount"
    if entry.terms != intent.terms:
        return _differing_term(entry.terms, intent.terms)
    return None


def _differing_term(stored: str | None, asked: str | None) -> str:
    """Return the name of the first term that two canonical JSON texts do not agree on."""
    before = {} if stored is None else json.loads(stored)
    now = {} if asked is None else json.loads(asked)
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return names[0] if names else "terms"
