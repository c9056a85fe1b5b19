"""Dues: what time alone has made true of an account, recorded before anything else is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pluct_ledger.domain.drafts import Draft
from pluct_ledger.domain.entries import Counter, Operation
from pluct_ledger.domain.grants import debt_first
from pluct_ledger.domain.positions import GrantState, HoldState, HoldStatus, Position

MAX_DUES: Final = 1_000
"""How many dues one transaction records at the most."""


class _Class(IntEnum):
    """The order in which dues of one instant are recorded."""

    LAPSE = 0
    EXPIRY = 1
    ACTIVATION = 2


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """One thing that falls due, in the order of recording: instant, class, seq, part."""

    instant: int
    kind: _Class
    seq: int
    part: int


class TooManyDuesError(Exception):
    """More fell due in an account than one transaction records; the door goes on in chunks, or tells the host."""

    def __init__(self, account_id: bytes) -> None:
        self.account_id = account_id
        super().__init__("more fell due than one transaction records")


def next_due(position: Position) -> Due | None:
    """Return what falls due first."""
    dues = [
        Due(hold.expires_at, _Class.LAPSE, hold.seq, 0)
        for hold in position.holds.values()
        if hold.status is HoldStatus.OPEN
    ]
    for grant in position.grants.values():
        if grant.pending and grant.effective_at is not None:
            dues.append(Due(grant.effective_at, _Class.ACTIVATION, grant.seq, grant.part))
        if grant.usable > 0 and grant.expires_at is not None:
            dues.append(Due(grant.expires_at, _Class.EXPIRY, grant.seq, grant.part))
    return min(dues, default=None)


def settle(draft: Draft, until: int, *, most: int | None = MAX_DUES) -> bool:
    """Write what has fallen due at or before `until` (microseconds), in the order of the dues.

    Args:
        most: how many entries to write at the most; None for all.

    Returns:
        Whether that was all.
    """
    before = len(draft.entries)
    while (first := draft.position.account.next_due_at) is not None and first <= until:
        if most is not None and len(draft.entries) - before >= most:
            return False
        due = next_due(draft.position)
        assert due is not None
        _record(draft, due)
    return True


def expire_released(draft: Draft, at: int) -> None:
    """Write one entry that expires what the entry before it set free or gave back of grants that are over."""
    over = [grant for grant in draft.position.grants.values() if grant.usable > 0 and grant.expired(at)]
    if over:
        _expire(draft, over, at)


def _record(draft: Draft, due: Due) -> None:
    at = max(due.instant, draft.position.account.last_at)
    if due.kind is _Class.LAPSE:
        release(draft, draft.position.holds[due.seq], at)
        expire_released(draft, at)
    elif due.kind is _Class.EXPIRY:
        _expire(draft, [draft.position.grants[due.seq, due.part]], at)
    else:
        _activate(draft, draft.position.grants[due.seq, due.part], at)


def release(draft: Draft, hold: HoldState, at: int) -> None:
    """Write the keyless void of a hold that lapsed."""
    draft.write(
        Operation.VOID,
        at=at,
        hold_amount=-hold.held,
        parts={key: (0, -amount) for key, amount in hold.parts.items()},
        concerns=hold.seq,
    )


def _expire(draft: Draft, over: list[GrantState], at: int) -> None:
    draft.write(
        Operation.EXPIRE,
        at=at,
        counter=Counter.EXPIRED,
        amount=-sum(grant.usable for grant in over),
        parts={grant.key: (-grant.usable, 0) for grant in over},
        concerns=over[0].seq if len(over) == 1 else None,
    )


def _activate(draft: Draft, grant: GrantState, at: int) -> None:
    (remains,) = debt_first(draft.position, [grant.pending])
    draft.write(
        Operation.ACTIVATE,
        at=at,
        counter=Counter.ISSUED,
        amount=grant.pending,
        parts={grant.key: (remains, 0)},
        concerns=grant.seq,
    )
