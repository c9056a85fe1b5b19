"""The four beats of every write: lock, recall, decide, record. One command is a batch of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pluct_ledger.domain.accounts import AccountState, ledger_id_of
from pluct_ledger.domain.decisions import Names, check_accounts, decide, receipt_of
from pluct_ledger.domain.entries import EntryRecord, Receipt
from pluct_ledger.domain.idempotency import check_same_intent
from pluct_ledger.domain.intents import Intent
from pluct_ledger.errors import Corrupted, Refused
from pluct_ledger.storage.accounts import lock_accounts, open_accounts, update_accounts
from pluct_ledger.storage.entries import Key, append_entries, recall
from pluct_ledger.storage.fast_path import in_one_statement
from pluct_ledger.storage.unit_of_work import UnitOfWork

Outcome = Receipt | Refused | None
"""What became of one command; None: an account was opened, and no entry was needed for it."""


@dataclass(slots=True)
class Plan:
    """What a batch comes to: an outcome a command, and what `record` will write.

    Attributes:
        locked: the accounts as they were locked.
        states: the accounts as they will be; those that nothing touched are as they were.
    """

    names: Names
    locked: dict[bytes, AccountState]
    states: dict[bytes, AccountState]
    outcomes: list[Outcome] = field(default_factory=list)
    entries: list[EntryRecord] = field(default_factory=list)


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
    locked = lock_accounts(work, {account_id for intent in intents for account_id in intent.account_ids})
    _check_names(intents, locked, names)
    recalled = recall(work, _keys_to_recall(work, intents, locked))
    plan = Plan(names, locked, dict(locked))
    for index, intent in enumerate(intents):
        try:
            plan.outcomes.append(_decide_one(intent, plan, recalled, now))
        except Refused as refusal:
            refusal.index = index if numbered else None
            if atomic:
                raise
            plan.outcomes.append(refusal)
    return plan


def record(work: UnitOfWork, plan: Plan) -> None:
    """Write what was decided. From here on there are no refusals, only writes."""
    touched = [state for account_id, state in plan.states.items() if state is not plan.locked.get(account_id)]
    if not touched:
        return
    opened = [state for state in touched if state.account_id not in plan.locked]
    if opened:
        open_accounts(work, opened)
    update_accounts(work, touched, {account_id: state.seq for account_id, state in plan.locked.items()})
    if plan.entries:
        append_entries(work, plan.entries, ledger_id_of(plan.names.book, plan.names.asset))


def _decide_one(intent: Intent, plan: Plan, recalled: dict[Key, EntryRecord], now: int) -> Outcome:
    check_accounts(intent, plan.states)
    key = None if intent.key_hash is None else (intent.account_id, intent.key_hash)
    if key is not None and (first := recalled.get(key)) is not None:
        check_same_intent(first, intent)
        # A key that was made for this very call is met again only after a COMMIT whose answer was lost.
        return receipt_of(first, owner=intent.owner, names=plan.names, replayed=not intent.key_made)

    decision = decide(intent, plan.states, names=plan.names, now=now)
    plan.entries.extend(decision.entries)
    plan.states.update((state.account_id, state) for state in decision.states)
    if key is not None and decision.entries:
        recalled[key] = decision.entries[0]
    return decision.receipt


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
        _check_name(locked.get(intent.account_id), intent.owner, names)
        if intent.target_id is not None and intent.target is not None:
            _check_name(locked.get(intent.target_id), intent.target, names)


def _check_name(state: AccountState | None, owner: str, names: Names) -> None:
    if state is not None and (state.book, state.owner, state.asset) != (names.book, owner, names.asset):
        raise Corrupted(
            record=f"account {state.account_id.hex()}", problem="its names are not those of its id"
        )
