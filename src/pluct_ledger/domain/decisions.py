"""Decisions: what a command does to accounts that are locked and known; every refusal is raised here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pluct_ledger.domain.accounts import AccountState, Status, empty_account, fold
from pluct_ledger.domain.arguments import MAX_AMOUNT, instant_of
from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Transfer, Vend
from pluct_ledger.domain.entries import (
    Counter,
    EntryRecord,
    Receipt,
    digest_of,
    remark_of,
)
from pluct_ledger.domain.intents import Intent
from pluct_ledger.errors import (
    AccountClosed,
    AccountExists,
    AccountFrozen,
    AccountNotFound,
    BalanceLimitExceeded,
    InsufficientCredit,
)

Accounts = Mapping[bytes, AccountState]

_MAX_TOTAL: Final = 2**61 - 1
"""The largest running total: the sum of five of them in any order is still a signed 64-bit number."""


@dataclass(frozen=True, slots=True)
class Names:
    """The book and asset in which commands are decided."""

    book: str
    asset: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What will be written.

    Attributes:
        entries: the new entries; the first is the one that the command's key names.
        states: the touched accounts after them.
        receipt: of the first entry; None where opening an account made no entry.
    """

    entries: tuple[EntryRecord, ...]
    states: tuple[AccountState, ...]
    receipt: Receipt | None


def check_accounts(intent: Intent, accounts: Accounts) -> None:
    """Check that the accounts exist that the command does not open.

    Raises:
        AccountNotFound: naming the first owner without an account.
    """
    if isinstance(intent.command, Issue | OpenAccount):
        return
    if intent.account_id not in accounts:
        raise AccountNotFound(owner=intent.owner)
    if intent.target_id is not None and intent.target is not None and intent.target_id not in accounts:
        raise AccountNotFound(owner=intent.target)


def decide(intent: Intent, accounts: Accounts, *, names: Names, now: int) -> Decision:
    """Decide a command upon the accounts it touches, as they are after all that came before it.

    Args:
        accounts: by account id; an account that does not exist is missing.
        now: the clock, in microseconds since 1970-01-01T00:00Z.

    Raises:
        AccountExists, AccountClosed, AccountFrozen, InsufficientCredit, BalanceLimitExceeded: in this order.
    """
    return _RULES[type(intent.command)](intent, accounts, names, now)


def receipt_of(entry: EntryRecord, *, owner: str, names: Names, replayed: bool = False) -> Receipt:
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
        counterpart_entry_id=entry.counterpart_entry_id,
    )


def _decide_open(intent: Intent, accounts: Accounts, names: Names, now: int) -> Decision:
    if intent.account_id in accounts:
        raise AccountExists(owner=intent.owner)
    at = now if intent.at is None else intent.at
    command = intent.command
    state = empty_account(names.book, intent.owner, names.asset, opened_at=at, metadata=intent.metadata)
    if not intent.asked and isinstance(command, OpenAccount) and command.overdraft_limit == 0:
        return Decision((), (state,), None)
    counter = Counter.ISSUED if intent.asked else Counter.NONE
    entry = _entry(intent, state, amount=intent.asked, counter=counter, at=at, metadata=None)
    return _decision(intent, names, (entry, state))


def _decide_issue(intent: Intent, accounts: Accounts, names: Names, now: int) -> Decision:
    known = accounts.get(intent.account_id)
    if known is None:
        at = now if intent.at is None else intent.at
        known = empty_account(names.book, intent.owner, names.asset, opened_at=at)
    _check_not_closed(known)
    at = _instant(intent, now, known)
    entry = _entry(
        intent, known, amount=intent.asked, counter=Counter.ISSUED, at=at, metadata=intent.metadata
    )
    return _decision(intent, names, (entry, known))


def _decide_spend(intent: Intent, accounts: Accounts, names: Names, now: int) -> Decision:
    state = accounts[intent.account_id]
    _check_may_use(state, intent)
    amount = _affordable(intent, state)
    at = _instant(intent, now, state)
    entry = _entry(intent, state, amount=-amount, counter=Counter.SPENT, at=at, metadata=intent.metadata)
    return _decision(intent, names, (entry, state))


def _decide_transfer(intent: Intent, accounts: Accounts, names: Names, now: int) -> Decision:
    assert intent.target_id is not None
    source, target = accounts[intent.account_id], accounts[intent.target_id]
    _check_not_closed(source)
    _check_not_closed(target)
    _check_may_use(source, intent)
    amount = _affordable(intent, source)
    at = max(_instant(intent, now, source), target.last_at)
    paid = _entry(
        intent,
        source,
        amount=-amount,
        counter=Counter.ACCOUNT,
        at=at,
        metadata=intent.metadata,
        pair=(target.account_id, target.seq + 1),
    )
    received = _entry(
        intent,
        target,
        amount=amount,
        counter=Counter.ACCOUNT,
        at=at,
        metadata=intent.metadata,
        pair=(source.account_id, source.seq + 1),
        keyless=True,
    )
    return _decision(intent, names, (paid, source), (received, target))


def _decide_adjust(intent: Intent, accounts: Accounts, names: Names, now: int) -> Decision:
    state = accounts[intent.account_id]
    _check_not_closed(state)
    assert intent.amount is not None
    at = _instant(intent, now, state)
    entry = _entry(
        intent, state, amount=intent.amount, counter=Counter.ADJUSTED, at=at, metadata=intent.metadata
    )
    return _decision(intent, names, (entry, state))


_RULES: Final[dict[type, Callable[[Intent, Accounts, Names, int], Decision]]] = {
    OpenAccount: _decide_open,
    Issue: _decide_issue,
    Spend: _decide_spend,
    Transfer: _decide_transfer,
    Adjust: _decide_adjust,
    Vend: _decide_spend,
}


def _check_not_closed(state: AccountState) -> None:
    if state.status is Status.CLOSED:
        raise AccountClosed(owner=state.owner)


def _check_may_use(state: AccountState, intent: Intent) -> None:
    _check_not_closed(state)
    if state.status is Status.FROZEN and intent.limited:
        raise AccountFrozen(owner=state.owner)


def _affordable(intent: Intent, state: AccountState) -> int:
    """Return the amount to take: what was asked, or with ``up_to`` as much of it as a spend may take."""
    spendable = state.spendable
    if not intent.limited or spendable is None or spendable >= intent.asked:
        return intent.asked
    may_take_less = isinstance(intent.command, Spend) and intent.command.up_to
    if not may_take_less or spendable <= 0:
        raise InsufficientCredit(owner=state.owner, requested=intent.asked, available=state.available)
    return spendable


def _instant(intent: Intent, now: int, state: AccountState) -> int:
    """Return the entry's instant: the clock's (or history's), never before the account's last."""
    return max(now if intent.at is None else intent.at, state.last_at)


def _entry(
    intent: Intent,
    state: AccountState,
    *,
    amount: int,
    counter: Counter,
    at: int,
    metadata: str | None,
    pair: tuple[bytes, int] | None = None,
    keyless: bool = False,
) -> EntryRecord:
    counter_account_id, counter_seq = pair or (None, None)
    terms = None if keyless else intent.terms
    key_hash = None if keyless else intent.key_hash
    remarked = intent.reason is not None or intent.actor is not None or metadata is not None
    salt = intent.salt if remarked else None
    return EntryRecord(
        account_id=state.account_id,
        seq=state.seq + 1,
        operation=intent.operation,
        kind=intent.kind,
        amount=amount,
        hold_amount=0,
        posted_after=state.posted + amount,
        held_after=state.held,
        counter=counter,
        counter_account_id=counter_account_id,
        counter_seq=counter_seq,
        concerns_seq=None,
        terms=terms,
        idempotency_key=None if keyless or intent.key_made else intent.key,
        key_hash=key_hash,
        reason=intent.reason,
        actor=intent.actor,
        metadata=metadata,
        salt=salt,
        digest=digest_of(
            account_id=state.account_id,
            operation=intent.operation,
            kind=intent.kind,
            amount=amount,
            hold_amount=0,
            counter=counter,
            counter_account_id=counter_account_id,
            concerns_seq=None,
            terms=terms,
            key_hash=key_hash,
            event_at=intent.event_at,
            remark=remark_of(salt, intent.reason, intent.actor, metadata),
        ),
        event_at=intent.event_at,
        at=at,
    )


def _decision(intent: Intent, names: Names, *changes: tuple[EntryRecord, AccountState]) -> Decision:
    states = tuple(_within_bounds(fold(state, entry)) for entry, state in changes)
    entries = tuple(entry for entry, _ in changes)
    return Decision(entries, states, receipt_of(entries[0], owner=intent.owner, names=names))


def _within_bounds(state: AccountState) -> AccountState:
    if abs(state.posted) > MAX_AMOUNT:
        raise BalanceLimitExceeded(owner=state.owner, limit=MAX_AMOUNT)
    totals = (state.issued, state.spent, state.expired, state.adjusted, state.moved)
    if max(map(abs, totals)) > _MAX_TOTAL:
        raise BalanceLimitExceeded(owner=state.owner, limit=_MAX_TOTAL)
    return state
