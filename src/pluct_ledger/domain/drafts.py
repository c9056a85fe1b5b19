"""A draft: the entries that a command will write to one account, each folded into its position as it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pluct_ledger.domain.arguments import MAX_AMOUNT, canonical_json
from pluct_ledger.domain.entries import Counter, EntryRecord, Operation, digest_of, remark_of
from pluct_ledger.domain.intents import Intent
from pluct_ledger.domain.positions import POOL, GrantKey, Position, ShareRecord, fold
from pluct_ledger.errors import BalanceLimitExceeded

_MAX_TOTAL: Final = 2**61 - 1
"""The largest running total: the sum of five of them in any order is still a signed 64-bit number."""

Parts = Mapping[GrantKey, tuple[int, int]]
"""By grant, its part of an entry's amount and hold_amount; what is left is the pool's."""


class Draft:
    """What will be written to one account; the position is always the one after all of it."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.entries: list[EntryRecord] = []
        self.shares: list[ShareRecord] = []

    def write(
        self,
        operation: Operation,
        *,
        at: int,
        counter: Counter = Counter.NONE,
        amount: int = 0,
        hold_amount: int = 0,
        parts: Parts | None = None,
        concerns: int | None = None,
        pair: tuple[bytes, int] | None = None,
        terms: str | None = None,
        intent: Intent | None = None,
        keyed: bool = True,
        metadata: str | None = None,
    ) -> EntryRecord:
        """Add an entry and its shares.

        Args:
            intent: whose kind and remarks the entry carries, and with `keyed` its key; None for what time does.
            terms: canonical JSON.
            metadata: the entry's, which is not the intent's where that describes an account.

        Raises:
            BalanceLimitExceeded: a number would leave its range.
        """
        account = self.position.account
        reason, actor, event_at, kind = None, None, None, None
        if intent is not None:
            reason, actor, event_at, kind = intent.reason, intent.actor, intent.event_at, intent.kind
        key_hash = intent.key_hash if intent is not None and keyed else None
        remarked = reason is not None or actor is not None or metadata is not None
        salt = intent.salt if intent is not None and remarked else None
        entry = EntryRecord(
            account_id=account.account_id,
            seq=account.seq + 1,
            operation=operation,
            kind=kind,
            amount=amount,
            hold_amount=hold_amount,
            posted_after=account.posted + amount,
            held_after=account.held + hold_amount,
            counter=counter,
            counter_account_id=None if pair is None else pair[0],
            counter_seq=None if pair is None else pair[1],
            concerns_seq=concerns,
            terms=terms,
            idempotency_key=None if intent is None or not keyed or intent.key_made else intent.key,
            key_hash=key_hash,
            reason=reason,
            actor=actor,
            metadata=metadata,
            salt=salt,
            digest=digest_of(
                account_id=account.account_id,
                operation=operation,
                kind=kind,
                amount=amount,
                hold_amount=hold_amount,
                counter=counter,
                counter_account_id=None if pair is None else pair[0],
                concerns_seq=concerns,
                terms=terms,
                key_hash=key_hash,
                event_at=event_at,
                remark=remark_of(salt, reason, actor, metadata),
            ),
            event_at=event_at,
            at=at,
        )
        self._add(entry, {} if parts is None else parts)
        return entry

    def _add(self, entry: EntryRecord, parts: Parts) -> None:
        shares = [
            ShareRecord(entry.account_id, entry.seq, key[0], key[1], amount, hold_amount)
            for key, (amount, hold_amount) in parts.items()
            if key != POOL and (amount or hold_amount)
        ]
        self.position = fold(self.position, entry, shares)
        self._check_bounds()
        self.entries.append(entry)
        self.shares.extend(shares)

    def _check_bounds(self) -> None:
        account = self.position.account
        if abs(account.posted) > MAX_AMOUNT or account.held > MAX_AMOUNT:
            raise BalanceLimitExceeded(owner=account.owner, limit=MAX_AMOUNT)
        totals = (account.issued, account.spent, account.expired, account.adjusted, account.moved)
        if max(map(abs, totals)) > _MAX_TOTAL:
            raise BalanceLimitExceeded(owner=account.owner, limit=_MAX_TOTAL)


def joined(terms: str | None, outcome: Mapping[str, Any]) -> str | None:
    """Return the terms that were asked for together with what came of them."""
    if not outcome:
        return terms
    return canonical_json({**read_terms(terms), **outcome})


def read_terms(terms: str | None) -> dict[str, Any]:
    """Return terms as a dict."""
    return {} if terms is None else dict(json.loads(terms))
