"""Decisions: what a command does to accounts that are locked and known; every refusal is raised here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pluct_ledger.domain.accounts import empty_account
from pluct_ledger.domain.arguments import instant_of
from pluct_ledger.domain.cases import (
    Case,
    Look,
    Names,
    Positions,
    affordable,
    case_of,
    check_may_use,
    check_not_closed,
    granted,
    negated,
    no_look,
)
from pluct_ledger.domain.commands import (
    Adjust,
    Authorize,
    Capture,
    Close,
    Extend,
    Freeze,
    Issue,
    OpenAccount,
    Reverse,
    SetOverdraftLimit,
    Spend,
    Transfer,
    Unfreeze,
    Vend,
    Void,
)
from pluct_ledger.domain.controls import decide_close, decide_control
from pluct_ledger.domain.drafts import Draft, joined
from pluct_ledger.domain.dues import expire_released
from pluct_ledger.domain.entries import Counter, EntryRecord, Operation, Receipt, Share, entry_id_of
from pluct_ledger.domain.grants import debt_first, drawn
from pluct_ledger.domain.holds import decide_authorize, decide_capture, decide_extend, decide_void
from pluct_ledger.domain.intents import Intent
from pluct_ledger.domain.positions import POOL, GrantKey, Position, ShareRecord
from pluct_ledger.domain.reversals import decide_reverse
from pluct_ledger.errors import AccountExists, AccountNotFound, EntryNotFound, HoldNotFound

__all__ = ["Decision", "Names", "check_accounts", "decide", "receipt_of"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What will be written.

    Attributes:
        entries: the new entries, of each account in the order of its log.
        keyed: the one among them that the command's key names; None where opening an account made none.
        positions: the touched accounts after them.
        receipt: of the keyed entry.
    """

    entries: tuple[EntryRecord, ...]
    shares: tuple[ShareRecord, ...]
    keyed: EntryRecord | None
    positions: tuple[Position, ...]
    receipt: Receipt | None


def check_accounts(intent: Intent, positions: Positions, names: Names) -> None:
    """Check that the accounts exist that the command does not open, and that ids are of this book and asset.

    Raises:
        AccountNotFound: naming the first owner without an account.
        HoldNotFound, EntryNotFound: the id that was given is of no account of this book and asset.
    """
    if isinstance(intent.command, Issue | OpenAccount):
        return
    position = positions.get(intent.account_id)
    if intent.place is not None:
        if position is None or (position.account.book, position.account.asset) != (names.book, names.asset):
            raise _not_found(intent)
        return
    if position is None:
        raise AccountNotFound(owner=intent.owner)
    if intent.target_id is not None and intent.target is not None and intent.target_id not in positions:
        raise AccountNotFound(owner=intent.target)


def decide(intent: Intent, positions: Positions, *, names: Names, now: int, look: Look = no_look) -> Decision:
    """Decide a command upon the accounts it touches, as they are after all that came before it.

    Args:
        positions: by account id; an account that does not exist is missing.
        now: the clock, in microseconds since 1970-01-01T00:00Z.
        look: finds what is to be reversed.

    Raises:
        Refused: the first refusal, in the order that `errors` documents.
    """
    case = case_of(intent, positions, names=names, now=now, look=look)
    keyed = _RULES[type(intent.command)](case)
    drafts = case.drafts.values()
    shares = tuple(share for draft in drafts for share in draft.shares)
    receipt = None
    if keyed is not None:
        its_shares = [share for share in shares if _of(share, keyed)]
        receipt = receipt_of(keyed, owner=case.account.owner, names=names, shares=its_shares)
    return Decision(
        tuple(entry for draft in drafts for entry in draft.entries),
        shares,
        keyed,
        tuple(draft.position for draft in drafts),
        receipt,
    )


def receipt_of(
    entry: EntryRecord,
    *,
    owner: str,
    names: Names,
    replayed: bool = False,
    shares: Sequence[ShareRecord] = (),
) -> Receipt:
    """Return the receipt of an entry in an owner's log."""
    return Receipt(
        entry_id=entry.entry_id,
        account_id=entry.account_id.hex(),
        seq=entry.seq,
        book=names.book,
        asset=names.asset,
        owner=owner,
        operation=entry.operation.word,
        kind=entry.kind or entry.operation.word,
        amount=entry.amount,
        posted_after=entry.posted_after,
        held_after=entry.held_after,
        available_after=entry.posted_after - entry.held_after,
        at=instant_of(entry.at),
        replayed=replayed,
        shares=tuple(share_of(share) for share in shares),
        counterpart_entry_id=entry.counterpart_entry_id,
    )


def share_of(share: ShareRecord) -> Share:
    """Return what the API shows of a share."""
    return Share(
        grant_id=entry_id_of(share.account_id, share.grant_seq),
        part=share.grant_part,
        amount=share.amount,
        hold_amount=share.hold_amount,
    )


def _of(share: ShareRecord, entry: EntryRecord) -> bool:
    return (share.account_id, share.seq) == (entry.account_id, entry.seq)


def _not_found(intent: Intent) -> HoldNotFound | EntryNotFound:
    place = entry_id_of(intent.account_id, intent.place or 0)
    return (
        EntryNotFound(entry_id=place) if isinstance(intent.command, Reverse) else HoldNotFound(hold_id=place)
    )


def _opened(case: Case, metadata: str | None = None) -> Draft:
    """Add the draft of an account that the command opens."""
    intent = case.intent
    state = empty_account(
        case.names.book, intent.owner, case.names.asset, opened_at=case.at, metadata=metadata
    )
    draft = case.drafts[intent.account_id] = Draft(Position(state))
    return draft


def _decide_open(case: Case) -> EntryRecord | None:
    intent, command = case.intent, case.intent.command
    if intent.account_id in case.drafts:
        raise AccountExists(owner=intent.owner)
    draft = _opened(case, intent.metadata)
    if not intent.asked and isinstance(command, OpenAccount) and command.overdraft_limit == 0:
        return None
    return draft.write(
        intent.operation,
        at=case.at,
        counter=Counter.ISSUED if intent.asked else Counter.NONE,
        amount=intent.asked,
        terms=intent.terms,
        intent=intent,
    )


def _decide_issue(case: Case) -> EntryRecord:
    intent = case.intent
    draft = case.drafts[intent.account_id] if intent.account_id in case.drafts else _opened(case)
    check_not_closed(case.account)
    case.settle()
    waits = intent.effective_at is not None and intent.effective_at > case.at
    amount = 0 if waits else intent.asked
    parts: dict[GrantKey, tuple[int, int]] = {}
    if intent.on_terms and amount:
        (remains,) = debt_first(draft.position, [amount])
        parts = {(draft.position.account.seq + 1, 0): (remains, 0)}
    entry = draft.write(
        Operation.GRANT,
        at=case.at,
        counter=Counter.ISSUED,
        amount=amount,
        parts=parts,
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )
    expire_released(draft, case.at)
    return entry


def _decide_spend(case: Case) -> EntryRecord:
    intent, draft = case.intent, case.draft
    check_may_use(case.account, intent)
    case.settle()
    up_to = isinstance(intent.command, Spend) and intent.command.up_to
    amount = affordable(case.account, intent.asked, limited=intent.limited, up_to=up_to)
    return draft.write(
        Operation.SPEND,
        at=case.at,
        counter=Counter.SPENT,
        amount=-amount,
        parts=negated(drawn(draft.position, amount)),
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )


def _decide_transfer(case: Case) -> EntryRecord:
    intent, source = case.intent, case.draft
    assert intent.target_id is not None
    target = case.drafts[intent.target_id]
    check_not_closed(case.account)
    check_not_closed(target.position.account)
    check_may_use(case.account, intent)
    case.settle()
    amount = affordable(case.account, intent.asked, limited=intent.limited)
    taken = drawn(source.position, amount)
    received, parts = _received(source.position, taken, target.position)
    seqs = source.position.account.seq + 1, target.position.account.seq + 1
    paid = source.write(
        Operation.TRANSFER,
        at=case.at,
        counter=Counter.ACCOUNT,
        amount=-amount,
        parts=negated(taken),
        pair=(target.position.account.account_id, seqs[1]),
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )
    target.write(
        Operation.TRANSFER,
        at=case.at,
        counter=Counter.ACCOUNT,
        amount=amount,
        parts=granted(received),
        pair=(source.position.account.account_id, seqs[0]),
        terms=joined(None, {"parts": parts} if parts else {}),
        intent=intent,
        keyed=False,
        metadata=case.entry_metadata,
    )
    return paid


def _received(
    source: Position, taken: dict[GrantKey, int], target: Position
) -> tuple[dict[GrantKey, int], list[dict[str, Any]]]:
    """Return how a transfer arrives: as parts on the terms of its grants, once the target's debt is repaid."""
    with_terms = [key for key in taken if key != POOL and _has_terms(source, key)]
    remaining = debt_first(target, [taken[key] for key in with_terms])
    parts: list[dict[str, Any]] = []
    received: dict[GrantKey, int] = {}
    for key, remains in zip(with_terms, remaining, strict=True):
        grant = source.grants[key]
        terms: dict[str, Any] = {"amount": taken[key], "from": list(key)}
        if grant.expires_at is not None:
            terms["expires_at"] = grant.expires_at
        if grant.priority:
            terms["priority"] = grant.priority
        received[target.account.seq + 1, len(parts)] = remains
        parts.append(terms)
    return received, parts


def _has_terms(position: Position, key: GrantKey) -> bool:
    grant = position.grants[key]
    return grant.expires_at is not None or grant.priority != 0


def _decide_adjust(case: Case) -> EntryRecord:
    intent, draft = case.intent, case.draft
    check_not_closed(case.account)
    case.settle()
    assert intent.amount is not None
    taken = drawn(draft.position, -intent.amount) if intent.amount < 0 else {}
    return draft.write(
        Operation.ADJUST,
        at=case.at,
        counter=Counter.ADJUSTED,
        amount=intent.amount,
        parts=negated(taken),
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )


_RULES: Final[dict[type, Callable[[Case], EntryRecord | None]]] = {
    OpenAccount: _decide_open,
    Issue: _decide_issue,
    Spend: _decide_spend,
    Vend: _decide_spend,
    Transfer: _decide_transfer,
    Adjust: _decide_adjust,
    Authorize: decide_authorize,
    Capture: decide_capture,
    Void: decide_void,
    Extend: decide_extend,
    Reverse: decide_reverse,
    SetOverdraftLimit: decide_control,
    Freeze: decide_control,
    Unfreeze: decide_control,
    Close: decide_close,
}
