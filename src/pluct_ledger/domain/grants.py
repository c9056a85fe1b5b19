"""Grants: credit on terms, the order in which it is used, and where it goes when it comes in or back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pluct_ledger.domain.arguments import instant_of
from pluct_ledger.domain.entries import entry_id_of
from pluct_ledger.domain.positions import POOL, POOL_ORDER, GrantKey, GrantState, Position


@dataclass(frozen=True, slots=True)
class Grant:
    """Credit that was issued on terms, as the API shows it; amounts in the asset's smallest unit.

    Attributes:
        grant_id: the entry that issued it.
        part: which part of that entry, where one brought several; else 0.
        amount: what it was issued with.
        posted: what is left of it, what is held included.
        held: what of it is set aside by holds.
        pending: what will be posted at `effective_at`.
    """

    grant_id: str
    part: int
    owner: str
    amount: int
    posted: int
    held: int
    pending: int
    effective_at: datetime | None
    expires_at: datetime | None
    priority: int
    label: str | None
    granted_by: str | None


def grant_of(state: GrantState, *, account_id: bytes, owner: str) -> Grant:
    """Return what the API shows of a grant's row."""
    return Grant(
        grant_id=entry_id_of(account_id, state.seq),
        part=state.part,
        owner=owner,
        amount=state.amount,
        posted=state.posted,
        held=state.held,
        pending=state.pending,
        effective_at=None if state.effective_at is None else instant_of(state.effective_at),
        expires_at=None if state.expires_at is None else instant_of(state.expires_at),
        priority=state.priority,
        label=state.label,
        granted_by=state.granted_by,
    )


def in_order_of_use(position: Position, keys: Iterable[GrantKey]) -> list[GrantKey]:
    """Return sources of credit in the order in which they are used: priority, expiry with never last, age, the pool."""
    return sorted(keys, key=lambda key: POOL_ORDER if key == POOL else position.grants[key].order)


def usable(position: Position) -> dict[GrantKey, int]:
    """Return what may be used now, by source, in the order of use; what is due must have been recorded."""
    sources = {key: grant.usable for key, grant in position.grants.items() if grant.usable > 0}
    if position.pool_usable > 0:
        sources[POOL] = position.pool_usable
    return {key: sources[key] for key in in_order_of_use(position, sources)}


def drawn(
    position: Position, amount: int, *, first: Mapping[GrantKey, int] | None = None
) -> dict[GrantKey, int]:
    """Return from where an amount is taken: in the order of use, and what nothing covers from the pool.

    Args:
        first: what is taken before all else, up to these amounts, as far as it is there.
    """
    if not position.grants:
        return {POOL: amount}
    available = usable(position)
    taken: dict[GrantKey, int] = {}
    for key, most in (*(first or {}).items(), *available.items()):
        take = min(amount, most, available.get(key, 0) - taken.get(key, 0))
        if take > 0:
            taken[key] = taken.get(key, 0) + take
            amount -= take
    if amount:
        taken[POOL] = taken.get(POOL, 0) + amount
    return taken


def debt_first(position: Position, amounts: Sequence[int]) -> list[int]:
    """Return what remains of amounts that come in, one after the other, once the pool's debt is repaid from them."""
    debt = max(0, -position.pool_posted)
    remaining = []
    for amount in amounts:
        repaid = min(debt, amount)
        debt -= repaid
        remaining.append(amount - repaid)
    return remaining
