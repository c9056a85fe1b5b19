"""The four beats of every write: lock, recall, decide, record. One command is a batch of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pluct_ledger.domain.accounts import AccountState, ledger_id_of
from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.commands import Reverse
from pluct_ledger.domain.decisions import check_accounts, decide, receipt_of
from pluct_ledger.domain.drafts import Draft
from pluct_ledger.domain.dues import TooManyDuesError, settle
from pluct_ledger.domain.entries import EntryRecord, Operation, Receipt
from pluct_ledger.domain.idempotency import check_same_intent
from pluct_ledger.domain.intents import Intent, owned, paired
from pluct_ledger.domain.positions import Position, ShareRecord
from pluct_ledger.errors import Corrupted, Refused
from pluct_ledger.storage.accounts import lock_accounts, open_accounts, update_accounts
from pluct_ledger.storage.entries import Key, append_entries, recall
from pluct_ledger.storage.fast_path import in_one_statement
from pluct_ledger.storage.originals import Past, load_past, pair_reversals
from pluct_ledger.storage.positions import Address, load_positions, shares_of, write_positions, write_shares
from pluct_ledger.storage.unit_of_work import UnitOfWork

Outcome = Receipt | Refused | None
"""What became of one command; None: an account was opened, and no entry was needed for it."""


class DuesWaiting(Exception):
    """More fell due in an account than one transaction records; nothing was written."""

    def __init__(self, account_id: bytes, until: int) -> None:
        self.account_id = account_id
        self.until = until
        super().__init__("more fell due than one transaction records")


@dataclass(slots=True)
class Plan:
    """What a batch comes to: an outcome a command, and what `record` will write.

    Attributes:
        loaded: the accounts as they were locked, with their open grants and holds.
        positions: the accounts as they will be; those that nothing touched are as they were.
        past: what reversals of this batch need to know.
        recalled_shares: of the entries that its keys made before.
        reverses: some command of the batch is a reversal.
    """

    names: Names
    loaded: dict[bytes, Position]
    positions: dict[bytes, Position]
    past: Past
    recalled_shares: Mapping[Address, Sequence[ShareRecord]] = field(default_factory=dict)
    reverses: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    entries: list[EntryRecord] = field(default_factory=list)
    shares: list[ShareRecord] = field(default_factory=list)


def perform(
    work: UnitOfWork,
    intents: Sequence[Intent],
    *,
    names: Names,
    now: int,
    atomic: bool,
    numbered: bool = False,
) -> Plan:
    """Lock, recall, decide and record a batch; later commands see what earlier ones did.

    Args:
        numbered: a refusal tells its place in the batch.

    Raises:
        Refused: with `atomic`, the first refusal; nothing was written.
        LostRace: an account appeared between lock and record; nothing of ours is left.
        Corrupted: an account's row has other names than its id stands for.
    """
    if len(intents) == 1 and (plan := in_one_statement(work, intents[0], names=names, now=now)) is not None:
        return plan
    plan = decide_all(work, intents, names=names, now=now, atomic=atomic, numbered=numbered)
    record(work, plan)
    return plan


def decide_all(
    work: UnitOfWork,
    intents: Sequence[Intent],
    *,
    names: Names,
    now: int,
    atomic: bool,
    numbered: bool = False,
) -> Plan:
    """Lock, recall and decide a batch, writing nothing; `record` does that."""
    intents = pair_reversals(work, intents)
    locked = lock_accounts(work, {account_id for intent in intents for account_id in intent.account_ids})
    intents = [_with_owner(intent, locked) for intent in intents]
    _check_names(intents, locked, names)
    recalled = recall(work, _keys_to_recall(work, intents, locked))
    shares = shares_of(work, [(entry.account_id, entry.seq) for entry in recalled.values()])
    past = load_past(work, intents)
    holds = _holds_named(intents, locked) | _holds_recalled(recalled)
    loaded = load_positions(work, locked, grants=past.grants(), holds=holds)
    reverses = any(isinstance(intent.command, Reverse) for intent in intents)
    plan = Plan(names, loaded, dict(loaded), past, shares, reverses=reverses)
    for index, intent in enumerate(intents):
        try:
            plan.outcomes.append(_decide_one(intent, plan, recalled, now))
        except Refused as refusal:
            refusal.index = index if numbered else None
            if atomic:
                raise
            plan.outcomes.append(refusal)
        except TooManyDuesError as waiting:
            raise DuesWaiting(waiting.account_id, now) from None
    return plan


def record(work: UnitOfWork, plan: Plan) -> None:
    """Write what was decided. From here on there are no refusals, only writes."""
    touched = [one for its_id, one in plan.positions.items() if one is not plan.loaded.get(its_id)]
    if not touched:
        return
    opened = [one.account for one in touched if one.account.account_id not in plan.loaded]
    if opened:
        open_accounts(work, opened)
    seq_before = {its_id: one.account.seq for its_id, one in plan.loaded.items()}
    update_accounts(work, [one.account for one in touched], seq_before)
    if plan.entries:
        append_entries(work, plan.entries, ledger_id_of(plan.names.book, plan.names.asset))
    if plan.shares:
        write_shares(work, plan.shares)
    write_positions(work, plan.loaded, touched)


def record_dues(work: UnitOfWork, account_id: bytes, *, until: int) -> int:
    """Record some of what has fallen due in an account; return how many entries that took, 0 when nothing is due."""
    locked = lock_accounts(work, [account_id])
    loaded = load_positions(work, locked)
    position = loaded.get(account_id)
    if position is None:
        return 0
    draft = Draft(position)
    settle(draft, until)
    if draft.entries:
        names = Names(position.account.book, position.account.asset)
        changed = {account_id: draft.position}
        record(work, Plan(names, loaded, changed, Past(), entries=draft.entries, shares=draft.shares))
    return len(draft.entries)


def _decide_one(intent: Intent, plan: Plan, recalled: dict[Key, EntryRecord], now: int) -> Outcome:
    intent = _paired_here(intent, plan)
    check_accounts(intent, plan.positions, plan.names)
    key = None if intent.key_hash is None else (intent.account_id, intent.key_hash)
    if key is not None and (first := recalled.get(key)) is not None:
        check_same_intent(first, intent)
        return _replayed(intent, first, plan)

    decision = decide(intent, plan.positions, names=plan.names, now=now, look=plan.past.look)
    plan.entries.extend(decision.entries)
    plan.shares.extend(decision.shares)
    plan.positions.update((one.account.account_id, one) for one in decision.positions)
    if plan.reverses:
        plan.past.add(decision.entries, decision.shares)
    if key is not None and decision.keyed is not None:
        recalled[key] = decision.keyed
    return decision.receipt


def _replayed(intent: Intent, first: EntryRecord, plan: Plan) -> Receipt:
    address = (first.account_id, first.seq)
    shares = plan.recalled_shares.get(address) or [
        share for share in plan.shares if (share.account_id, share.seq) == address
    ]
    # A key that was made for this very call is met again only after a COMMIT whose answer was lost.
    return receipt_of(
        first, owner=intent.owner, names=plan.names, replayed=not intent.key_made, shares=shares
    )


def _with_owner(intent: Intent, locked: dict[bytes, AccountState]) -> Intent:
    """Return an intent that names a hold or entry by its id with the owner of the account."""
    state = locked.get(intent.account_id)
    return intent if intent.place is None or state is None else owned(intent, state.owner)


def _paired_here(intent: Intent, plan: Plan) -> Intent:
    """Return the reversal of a transfer that this very batch made with the account at its other end."""
    if not isinstance(intent.command, Reverse) or intent.target_id is not None:
        return intent
    original = plan.past.look(intent.account_id, intent.place or 0)
    other = None if original is None else original.entry.counter_account_id
    return intent if other is None else paired(intent, other)


def _holds_named(intents: Iterable[Intent], locked: dict[bytes, AccountState]) -> set[tuple[bytes, int]]:
    """Return the holds that commands name; they may be closed."""
    return {
        (intent.account_id, intent.place)
        for intent in intents
        if intent.place is not None
        and intent.account_id in locked
        and not isinstance(intent.command, Reverse)
    }


def _holds_recalled(recalled: Mapping[Key, EntryRecord]) -> set[Address]:
    """Return the holds that keys made before; a repeat is answered with what became of them."""
    return {
        (entry.account_id, entry.seq) for entry in recalled.values() if entry.operation is Operation.AUTHORIZE
    }


def _keys_to_recall(
    work: UnitOfWork, intents: Iterable[Intent], locked: dict[bytes, AccountState]
) -> list[Key]:
    """Return the keys that may be known: of accounts that exist, and not made a moment ago for this call."""
    keys = {
        (intent.account_id, intent.key_hash): None
        for intent in intents
        if intent.key_hash is not None
        and intent.account_id in locked
        and not (intent.key_made and work.attempt == 0)
    }
    return list(keys)


def _check_names(intents: Iterable[Intent], locked: dict[bytes, AccountState], names: Names) -> None:
    for intent in intents:
        if intent.place is not None:
            continue
        _check_name(locked.get(intent.account_id), intent.owner, names)
        if intent.target_id is not None and intent.target is not None:
            _check_name(locked.get(intent.target_id), intent.target, names)


def _check_name(state: AccountState | None, owner: str, names: Names) -> None:
    if state is not None and (state.book, state.owner, state.asset) != (names.book, owner, names.asset):
        raise Corrupted(
            record=f"account {state.account_id.hex()}", problem="its names are not those of its id"
        )
