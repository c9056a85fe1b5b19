"""Holds: credit set aside grant by grant, so that what was reserved stays capturable though its grant expires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pluct_ledger.domain.arguments import instant_of
from pluct_ledger.domain.cases import Case, affordable, check_may_use, check_not_closed
from pluct_ledger.domain.commands import Capture
from pluct_ledger.domain.dues import expire_released
from pluct_ledger.domain.entries import Counter, EntryRecord, Operation, Receipt, entry_id_of
from pluct_ledger.domain.grants import drawn, in_order_of_use
from pluct_ledger.domain.positions import GrantKey, HoldState, HoldStatus
from pluct_ledger.errors import CaptureExceedsHold, HoldClosed, HoldNotFound


@dataclass(frozen=True, slots=True)
class Hold:
    """Credit that is set aside, as the API shows it; amounts in the asset's smallest unit.

    Attributes:
        hold_id: the entry that authorized it.
        amount: what was authorized.
        held: what is still set aside.
        expires_at: from this instant on it is dead.
        status: open, captured, voided or expired.
        receipt: of the write that returned this value; None where it was read.
    """

    hold_id: str
    owner: str
    amount: int
    held: int
    expires_at: datetime
    status: str
    receipt: Receipt | None = None


def hold_of(state: HoldState, *, account_id: bytes, owner: str, receipt: Receipt | None = None) -> Hold:
    """Return what the API shows of a hold's row."""
    return Hold(
        hold_id=entry_id_of(account_id, state.seq),
        owner=owner,
        amount=state.amount,
        held=state.held,
        expires_at=instant_of(state.expires_at),
        status=state.status.word,
        receipt=receipt,
    )


def decide_authorize(case: Case) -> EntryRecord:
    """Set credit aside, in the order of use.

    Raises:
        AccountClosed, AccountFrozen, InsufficientCredit: in this order.
    """
    intent, draft = case.intent, case.draft
    check_may_use(case.account, intent)
    case.settle()
    amount = affordable(case.account, intent.asked)
    return draft.write(
        Operation.AUTHORIZE,
        at=case.at,
        hold_amount=amount,
        parts={key: (0, part) for key, part in drawn(draft.position, amount).items()},
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )


def decide_capture(case: Case) -> EntryRecord:
    """Spend what a hold set aside, first reserved first, and what is above it from the rest.

    Raises:
        AccountClosed, HoldNotFound, HoldClosed, CaptureExceedsHold, InsufficientCredit: in this order.
    """
    intent, draft, command = case.intent, case.draft, case.intent.command
    assert isinstance(command, Capture)
    check_not_closed(case.account)
    case.settle()
    hold = _open_hold(case)
    wanted = intent.asked or hold.held
    from_hold = min(wanted, hold.held)
    if wanted > hold.held and not command.allow_over:
        raise CaptureExceedsHold(
            hold_id=entry_id_of(intent.account_id, hold.seq), requested=wanted, held=hold.held
        )

    above = wanted - from_hold
    extra = drawn(draft.position, affordable(case.account, above)) if above else {}
    taken = _first_reserved(case, hold, from_hold)
    freed = hold.by_source if command.final or from_hold == hold.held else taken
    parts = {
        key: (-taken.get(key, 0) - extra.get(key, 0), -freed.get(key, 0))
        for key in {**freed, **taken, **extra}
    }
    entry = draft.write(
        Operation.CAPTURE,
        at=case.at,
        counter=Counter.SPENT,
        amount=-wanted,
        hold_amount=-sum(freed.values()),
        parts=parts,
        concerns=hold.seq,
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )
    expire_released(draft, case.at)
    return entry


def decide_void(case: Case) -> EntryRecord:
    """Give back what a hold set aside, to the same grants.

    Raises:
        AccountClosed, HoldNotFound, HoldClosed: in this order.
    """
    intent, draft = case.intent, case.draft
    check_not_closed(case.account)
    case.settle()
    hold = _open_hold(case)
    entry = draft.write(
        Operation.VOID,
        at=case.at,
        hold_amount=-hold.held,
        parts={key: (0, -part) for key, part in hold.parts.items()},
        concerns=hold.seq,
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )
    expire_released(draft, case.at)
    return entry


def decide_extend(case: Case) -> EntryRecord:
    """Let a hold live for another while from now on.

    Raises:
        AccountClosed, HoldNotFound, HoldClosed: in this order.
    """
    intent, draft = case.intent, case.draft
    check_not_closed(case.account)
    case.settle()
    hold = _open_hold(case)
    return draft.write(
        Operation.CONTROL,
        at=case.at,
        concerns=hold.seq,
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )


def _open_hold(case: Case) -> HoldState:
    hold_id = entry_id_of(case.intent.account_id, case.intent.place or 0)
    hold = case.draft.position.holds.get(case.intent.place or 0)
    if hold is None:
        raise HoldNotFound(hold_id=hold_id)
    if hold.status is not HoldStatus.OPEN:
        raise HoldClosed(hold_id=hold_id, status=hold.status.word)
    return hold


def _first_reserved(case: Case, hold: HoldState, amount: int) -> dict[GrantKey, int]:
    """Return from which parts of a hold an amount is captured: in the order in which they were reserved."""
    sources = hold.by_source
    taken: dict[GrantKey, int] = {}
    for key in in_order_of_use(case.draft.position, sources):
        take = min(amount, sources[key])
        if take:
            taken[key] = take
            amount -= take
    return taken
