"""Reversals: giving back what was taken, and taking back what was given, as far as it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pluct_ledger.domain.cases import Case, Original, check_not_closed, granted, negated
from pluct_ledger.domain.commands import Reverse
from pluct_ledger.domain.drafts import Draft, joined, read_terms
from pluct_ledger.domain.dues import expire_released
from pluct_ledger.domain.entries import Counter, EntryRecord, Operation, entry_id_of
from pluct_ledger.domain.grants import drawn, in_order_of_use, usable
from pluct_ledger.domain.positions import POOL, GrantKey
from pluct_ledger.errors import EntryNotFound, InsufficientCredit, NotReversible, ReversalExceedsOriginal


@dataclass(frozen=True, slots=True)
class Given:
    """Credit that goes back to a source, taken from credit that ends at `until` (microseconds); None for never."""

    key: GrantKey
    amount: int
    until: int | None


_GIVES_BACK: Final = frozenset({Operation.SPEND, Operation.CAPTURE})


def decide_reverse(case: Case) -> EntryRecord:
    """Reverse a spend, a capture, a transfer or a grant, wholly or in part.

    Raises:
        AccountClosed, EntryNotFound, NotReversible, ReversalExceedsOriginal, InsufficientCredit: in this order.
    """
    for draft in case.drafts.values():
        check_not_closed(draft.position.account)
    case.settle()
    original = _original(case)
    operation = original.entry.operation
    if operation in _GIVES_BACK:
        return _give_back(case, original)
    if operation is Operation.GRANT:
        return _take_back_grant(case, original)
    if operation is Operation.TRANSFER:
        return _take_back_transfer(case, original)
    raise NotReversible(entry_id=original.entry.entry_id, operation=operation.word)


def _original(case: Case) -> Original:
    place = case.intent.place or 0
    original = case.look(case.intent.account_id, place)
    if original is not None:
        return original
    # What fell due is an entry already, though this very command would be the one to record it.
    for entry in case.draft.entries:
        if entry.seq == place:
            raise NotReversible(entry_id=entry.entry_id, operation=entry.operation.word)
    raise EntryNotFound(entry_id=entry_id_of(case.intent.account_id, place))


def _command(case: Case) -> Reverse:
    assert isinstance(case.intent.command, Reverse)
    return case.intent.command


def _asked(case: Case, original: Original, issued: int) -> int:
    """Return how much is to be reversed: what was asked for, or all that is left of the original.

    Raises:
        ReversalExceedsOriginal: so much is not left; with ``up_to``, nothing is.
    """
    left = issued - original.reversed
    asked = case.intent.asked or left
    if asked > left and _command(case).up_to and left:
        return left
    if asked > left or not left:
        raise ReversalExceedsOriginal(entry_id=original.entry.entry_id, requested=asked, reversible=left)
    return asked


def _give_back(case: Case, original: Original) -> EntryRecord:
    amount = _asked(case, original, -original.entry.amount)
    given = _last_used_first(case.draft, _left(original), amount)
    entry = _returned(case, case.draft, original, given, counter=Counter.SPENT, keyed=True)
    expire_released(case.draft, case.at)
    return entry


def _returned(
    case: Case,
    draft: Draft,
    original: Original,
    given: Sequence[Given],
    *,
    counter: Counter,
    keyed: bool,
    pair: tuple[bytes, int] | None = None,
) -> EntryRecord:
    """Write the entry that gives credit back to where it came from.

    What belongs to a grant that is over expires in the next entry, unless a grace reissues it for that long; and what
    was taken from credit that ends sooner is reissued to end then.
    """
    parts: list[dict[str, Any]] = []
    filled: dict[GrantKey, int] = {}
    for one in given:
        ends = _new_end(case, draft, one)
        if ends is None:
            filled[one.key] = filled.get(one.key, 0) + one.amount
            continue
        grant = draft.position.grants.get(one.key)
        terms: dict[str, Any] = {"amount": one.amount, "expires_at": ends, "of": list(one.key)}
        if grant is not None and grant.priority:
            terms["priority"] = grant.priority
        filled[draft.position.account.seq + 1, len(parts)] = one.amount
        parts.append(terms)
    return draft.write(
        Operation.REVERSE,
        at=case.at,
        counter=counter,
        amount=sum(one.amount for one in given),
        parts=granted(filled),
        concerns=original.entry.seq,
        pair=pair,
        terms=joined(case.intent.terms if keyed else None, {"parts": parts} if parts else {}),
        intent=case.intent,
        keyed=keyed,
        metadata=case.entry_metadata,
    )


def _new_end(case: Case, draft: Draft, one: Given) -> int | None:
    """Return when credit that is given back is to end, where that is not the end of the grant that it belongs to."""
    grant = draft.position.grants.get(one.key)
    end = None if grant is None else grant.expires_at
    if case.intent.grace is not None and end is not None and end <= case.at:
        end = case.at + case.intent.grace
        return end if one.until is None else min(end, one.until)
    if one.until is not None and (end is None or end > one.until):
        return one.until
    return None


def _left(original: Original) -> dict[GrantKey, int]:
    """Return what of an entry can still be given back, by source."""
    gone = original.reversed_by_source
    return {key: part - gone.get(key, 0) for key, part in original.by_source.items()}


def _last_used_first(
    draft: Draft, left: dict[GrantKey, int], amount: int, *, until: int | None = None
) -> list[Given]:
    """Take an amount out of what is left, the source that was used last first."""
    given = []
    for key in reversed(in_order_of_use(draft.position, left)):
        part = min(amount, left[key])
        if part > 0:
            given.append(Given(key, part, until))
            left[key] -= part
            amount -= part
    return given


def _take_back_grant(case: Case, original: Original) -> EntryRecord:
    intent, draft = case.intent, case.draft
    own = (original.entry.seq, 0)
    grant = draft.position.grants.get(own)
    issued = grant.amount if grant is not None else original.entry.amount
    asked = _asked(case, original, issued)
    if grant is not None and grant.pending:
        return draft.write(
            Operation.REVERSE,
            at=case.at,
            counter=Counter.ISSUED,
            concerns=original.entry.seq,
            terms=joined(intent.terms, {"unposted": asked}),
            intent=intent,
            metadata=case.entry_metadata,
        )
    amount = _unspent(case, draft, asked)
    return draft.write(
        Operation.REVERSE,
        at=case.at,
        counter=Counter.ISSUED,
        amount=-amount,
        parts=negated(drawn(draft.position, amount, first={POOL if grant is None else own: amount})),
        concerns=original.entry.seq,
        terms=intent.terms,
        intent=intent,
        metadata=case.entry_metadata,
    )


def _take_back_transfer(case: Case, original: Original) -> EntryRecord:
    """Reverse a transfer, named by either of its entries: the source gets back what the target has not spent."""
    intent, named = case.intent, original.entry
    assert named.counter_account_id is not None
    assert named.counter_seq is not None
    other = case.look(named.counter_account_id, named.counter_seq)
    if other is None:
        raise EntryNotFound(entry_id=entry_id_of(named.counter_account_id, named.counter_seq))
    paid, received = (original, other) if named.amount < 0 else (other, original)
    source, target = case.drafts[paid.entry.account_id], case.drafts[received.entry.account_id]
    amount = _unspent(case, target, _asked(case, paid, -paid.entry.amount))
    taken, given = _swapped(source, target, paid, received, amount)
    seqs = source.position.account.seq + 1, target.position.account.seq + 1
    source_is_named = paid is original
    taken_entry = target.write(
        Operation.REVERSE,
        at=case.at,
        counter=Counter.ACCOUNT,
        amount=-amount,
        parts=negated(taken),
        concerns=received.entry.seq,
        pair=(source.position.account.account_id, seqs[0]),
        terms=None if source_is_named else intent.terms,
        intent=intent,
        keyed=not source_is_named,
        metadata=case.entry_metadata,
    )
    given_entry = _returned(
        case,
        source,
        paid,
        given,
        counter=Counter.ACCOUNT,
        keyed=source_is_named,
        pair=(target.position.account.account_id, seqs[1]),
    )
    expire_released(source, case.at)
    return given_entry if source_is_named else taken_entry


def _swapped(
    source: Draft, target: Draft, paid: Original, received: Original, amount: int
) -> tuple[dict[GrantKey, int], list[Given]]:
    """Return what is taken from a transfer's target, and where it goes back to in its source.

    The parts received go back to the grants that they came from, then pool to pool; what is spent of these is taken in
    the order of use, and what comes back of that never lives longer than what was taken.
    """
    terms = read_terms(received.entry.terms).get("parts", ())
    came_from = {(received.entry.seq, part): tuple(term["from"]) for part, term in enumerate(terms)}
    left = _left(paid)
    first = {part: left[origin] for part, origin in reversed(came_from.items())}
    to_pool = {key: part for key, part in left.items() if key not in came_from.values()}
    first[POOL] = sum(to_pool.values())
    taken = drawn(target.position, amount, first=first)
    rest = dict(taken)
    given = []
    for part, origin in came_from.items():
        back = min(rest.get(part, 0), left[origin])
        if back:
            given.append(Given(origin, back, None))
            left[origin] -= back
            rest[part] -= back
    from_pool = _last_used_first(source, to_pool, min(rest.get(POOL, 0), first[POOL]))
    for one in from_pool:
        left[one.key] -= one.amount
        rest[POOL] -= one.amount
    given += from_pool
    for key, amount_left in rest.items():
        grant = None if key == POOL else target.position.grants[key]
        given += _last_used_first(
            source, left, amount_left, until=None if grant is None else grant.expires_at
        )
    return taken, given


def _unspent(case: Case, draft: Draft, asked: int) -> int:
    """Return how much of what was given may be taken back: what is available, never an overdraft.

    Raises:
        InsufficientCredit: it is spent; with ``up_to``, all of it is.
    """
    account = draft.position.account
    there = max(0, min(account.available, sum(usable(draft.position).values())))
    if there >= asked:
        return asked
    if not _command(case).up_to or there == 0:
        raise InsufficientCredit(owner=account.owner, requested=asked, available=account.available)
    return there


def reversed_by_source(
    entry: EntryRecord, shares: Mapping[GrantKey, int], terms: Mapping[str, Any]
) -> dict[GrantKey, int]:
    """Return what one reversal gave back, by the source that it first came from; all positive.

    Args:
        shares: the reversal's own shares, signed.
        terms: the reversal's terms, read: parts that a grace reissued name the grant that they are of.
    """
    reissued = {
        (entry.seq, part): tuple(term["of"])
        for part, term in enumerate(terms.get("parts", ()))
        if "of" in term
    }
    given: dict[GrantKey, int] = {}
    for key, amount in shares.items():
        origin = reissued.get(key, key)
        given[origin] = given.get(origin, 0) + abs(amount)
    return given
