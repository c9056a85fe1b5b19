"""Explanations: why an entry is what it is, and why a balance is this number; as values, and as text for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pluct_ledger.domain.accounts import Account, Balance
from pluct_ledger.domain.arguments import instant_of
from pluct_ledger.domain.entries import Entry
from pluct_ledger.domain.grants import Grant
from pluct_ledger.domain.holds import Hold

_NOUNS: Final = {
    "activate": "activation",
    "adjust": "adjustment",
    "authorize": "authorization",
    "expire": "expiry",
    "reverse": "reversal",
}
"""Operations whose names are no nouns."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of an entry's amount came from or went to.

    Attributes:
        grant: the grant, as it stands now; None for the pool, which has no terms.
        amount: the part of the entry's change of posted.
        hold_amount: the part of its change of held.
    """

    grant: Grant | None
    amount: int
    hold_amount: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an entry is what it is.

    Attributes:
        sources: the grants and the pool that it touched, in the order of its shares.
        hold: the hold that it authorized, captured, voided or extended, as it stands now.
        concerns: the entry that it acts on: the grant, the hold's authorization, what it reversed.
        counterpart: the paired entry of a transfer.
        reversals: the entries that reversed it, oldest first.
        text: all of it in sentences, one a line.
    """

    entry: Entry
    sources: tuple[Source, ...]
    hold: Hold | None
    concerns: Entry | None
    counterpart: Entry | None
    reversals: tuple[Entry, ...]
    text: str


@dataclass(frozen=True, slots=True)
class BalanceExplanation:
    """Why a balance is this number.

    Attributes:
        account: what its posted came from.
        grants: the open grants, in the order of use.
        holds: the open holds.
        last: the newest entries up to the instant, newest first.
        text: all of it in sentences, one a line.
    """

    at: datetime
    account: Account
    balance: Balance
    grants: tuple[Grant, ...]
    holds: tuple[Hold, ...]
    last: tuple[Entry, ...]
    text: str


def entry_text(
    entry: Entry,
    *,
    sources: Iterable[Source],
    hold: Hold | None,
    concerns: Entry | None,
    counterpart: Entry | None,
    reversals: Iterable[Entry],
) -> str:
    """Return an explanation of an entry in sentences."""
    lines = [
        (
            f"Entry {entry.entry_id}, number {entry.seq} in the log of {entry.owner!r}: {_named(entry)}, "
            f"at {_instant(entry.at)}."
        ),
        *_changes(entry),
    ]
    if entry.event_at is not None and entry.event_at != entry.at:
        lines.append(f"It happened in the world at {_instant(entry.event_at)}.")
    lines += [_source_text(source) for source in sources]
    lines += _terms_text(entry)
    if hold is not None:
        lines.append(
            f"Hold {hold.hold_id} set {hold.amount} aside until {_instant(hold.expires_at)}; it is {hold.status} "
            f"now, with {hold.held} held."
        )
    if counterpart is not None:
        way = "came from" if entry.amount > 0 else "went to"
        lines.append(f"The credit {way} {counterpart.owner!r}: entry {counterpart.entry_id}.")
    if concerns is not None and hold is None:
        acts = "It reverses" if entry.operation == "reverse" else "It acts on"
        lines.append(
            f"{acts} entry {concerns.entry_id}: {_named(concerns)}, {concerns.amount:+} at {_instant(concerns.at)}."
        )
    lines += [
        f"Entry {one.entry_id} reversed {abs(one.amount)} of it at {_instant(one.at)}." for one in reversals
    ]
    lines += _remarks(entry)
    return "\n".join(lines)


def balance_text(
    at: datetime,
    account: Account,
    balance: Balance,
    *,
    grants: Iterable[Grant],
    holds: Iterable[Hold],
    last: Iterable[Entry],
) -> str:
    """Return an explanation of a balance in sentences."""
    lines = [
        (
            f"At {_instant(at)}, {account.owner!r} has {balance.available} available: "
            f"{balance.posted} posted, {balance.held} held."
        ),
        f"The {balance.posted} posted are {_sum_text(account)}, over {_counted(account.entry_count)}.",
    ]
    if account.status != "open":
        lines.append(f"The account is {account.status}.")
    if account.overdraft_limit is None:
        lines.append("It may be overdrawn without limit.")
    elif account.overdraft_limit:
        lines.append(f"It may be overdrawn by {account.overdraft_limit}.")
    lines += [_grant_text(grant) for grant in grants]
    lines += [
        f"Hold {hold.hold_id} keeps {hold.held} of {hold.amount} aside until {_instant(hold.expires_at)}."
        for hold in holds
    ]
    lines += [
        f"If nothing is used, {amount} will expire at {_instant(when)}." for when, amount in balance.expiring
    ]
    newest = list(last)
    if newest:
        lines.append("The last changes:")
    lines += [
        f"  {_instant(entry.at)}  {entry.kind}  {entry.amount:+} to {entry.posted_after}"
        + (f", {entry.hold_amount:+} held to {entry.held_after}" if entry.hold_amount else "")
        + (f"  ({entry.reason!r})" if entry.reason else "")
        for entry in newest
    ]
    return "\n".join(lines)


def _named(entry: Entry) -> str:
    noun = _NOUNS.get(entry.operation, entry.operation)
    called = "" if entry.kind == entry.operation else f" called {entry.kind!r}"
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}{called}"


def _changes(entry: Entry) -> list[str]:
    if not entry.amount and not entry.hold_amount:
        return [f"It moved nothing: {entry.posted_after} posted, {entry.available_after} available."]
    lines = []
    if entry.amount:
        before = entry.posted_after - entry.amount
        what = f"added {entry.amount} to" if entry.amount > 0 else f"took {-entry.amount} from"
        lines.append(f"It {what} the balance: {before} before, {entry.posted_after} after.")
    if entry.hold_amount:
        before = entry.held_after - entry.hold_amount
        what = f"set {entry.hold_amount} aside" if entry.hold_amount > 0 else f"set {-entry.hold_amount} free"
        lines.append(f"It {what}: {before} held before, {entry.held_after} after.")
    return lines


def _source_text(source: Source) -> str:
    where = "the pool, credit without terms" if source.grant is None else _grant_name(source.grant)
    posted, held = source.amount, source.hold_amount
    said = [
        *([f"{posted} to"] if posted > 0 else [f"{-posted} from"] if posted < 0 else []),
        *([f"{held} set aside in"] if held > 0 else [f"{-held} set free in"] if held < 0 else []),
    ]
    return f"  {' and '.join(said)} {where}"


def _terms_text(entry: Entry) -> list[str]:
    """Return what was asked for beside the amounts, or came of it, that stands nowhere else."""
    terms, lines = entry.terms, []
    if terms.get("opened"):
        lines.append("It opened the account.")
    if "overdraft_limit" in terms:
        limit = terms["overdraft_limit"]
        how = "without limit" if limit is None else f"by {limit}" if limit else "no more"
        lines.append(f"From then on the account may be overdrawn {how}.")
    if "status" in terms:
        lines.append(f"From then on the account is {terms['status']}.")
    if entry.operation == "grant" and "effective_at" in terms:
        begins = _instant(instant_of(terms["effective_at"]))
        lines.append(f"It granted {terms['amount']}, to be used from {begins} on.")
    if "vend" in terms:
        lines.append("It paid for a token.")
    if terms.get("up_to"):
        asked = f" of {terms['amount']}" if "amount" in terms else ""
        lines.append(f"It was to move as much{asked} as there was.")
    if "expired_grace" in terms:
        grace = timedelta(microseconds=terms["expired_grace"])
        lines.append(f"What belonged to grants that were over was issued again for {grace}.")
    if "unposted" in terms:
        lines.append(f"It took back {terms['unposted']} that had not begun yet.")
    return lines


def _sum_text(account: Account) -> str:
    """Return a balance as the sum of what it came from; what is nothing is left out."""
    text = f"{account.issued} granted"
    parts = (
        (-account.spent, "spent"),
        (-account.expired, "expired"),
        (account.adjusted, "adjusted"),
        (account.moved, "moved by transfers"),
    )
    for amount, name in parts:
        if amount:
            text += f" {'+' if amount > 0 else '-'} {abs(amount)} {name}"
    return text


def _counted(entries: int) -> str:
    return f"{entries} {'entry' if entries == 1 else 'entries'}"


def _grant_name(grant: Grant) -> str:
    name = f"grant {grant.grant_id}" + (f" part {grant.part}" if grant.part else "")
    facts = [
        *([f"{grant.label!r}"] if grant.label else []),
        *([f"granted by {grant.granted_by!r}"] if grant.granted_by else []),
        *([f"priority {grant.priority}"] if grant.priority else []),
        f"expires {_instant(grant.expires_at)}" if grant.expires_at else "never expires",
    ]
    return f"{name} ({', '.join(facts)})"


def _grant_text(grant: Grant) -> str:
    name = _grant_name(grant)
    if grant.pending:
        begins = "" if grant.effective_at is None else f" at {_instant(grant.effective_at)}"
        return f"{grant.pending} will come{begins} from {name}."
    held = f", {grant.held} of them held" if grant.held else ""
    return f"{name[0].upper()}{name[1:]} has {grant.posted} of {grant.amount} left{held}."


def _remarks(entry: Entry) -> list[str]:
    said = (
        ("Reason", entry.reason),
        ("Done by", entry.actor),
        ("Idempotency key", entry.idempotency_key),
        ("Metadata", entry.metadata),
    )
    # As Python would write it: no text of the host's can pass for a line of ours.
    return [f"{name}: {value!r}" for name, value in said if value]


def _instant(instant: datetime | None) -> str:
    return "" if instant is None else instant.isoformat(sep=" ").replace("+00:00", "Z")
