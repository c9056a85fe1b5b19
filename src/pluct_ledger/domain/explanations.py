"""Explanations: why an entry is what it is, and why a balance is this number; as values, and as text for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pluct_ledger.domain.accounts import Account, Balance
from pluct_ledger.domain.entries import Entry
from pluct_ledger.domain.grants import Grant
from pluct_ledger.domain.holds import Hold


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
            f"Entry {entry.entry_id} is number {entry.seq} in the log of {entry.owner!r}, "
            f"a {entry.operation} of kind {entry.kind!r} at {_instant(entry.at)}."
        ),
        f"It changed the balance by {entry.amount:+} to {entry.posted_after}"
        + (
            f", and what is held by {entry.hold_amount:+} to {entry.held_after}."
            if entry.hold_amount
            else "."
        ),
    ]
    if entry.event_at is not None and entry.event_at != entry.at:
        lines.append(f"It happened in the world at {_instant(entry.event_at)}.")
    lines += [_source_text(source) for source in sources]
    if hold is not None:
        lines.append(
            f"Its hold {hold.hold_id} set {hold.amount} aside until {_instant(hold.expires_at)}; it is {hold.status} "
            f"now, with {hold.held} held."
        )
    if counterpart is not None:
        way = "from" if entry.amount > 0 else "to"
        lines.append(f"The credit went {way} {counterpart.owner!r}: entry {counterpart.entry_id}.")
    if concerns is not None and hold is None:
        lines.append(
            f"It acts on entry {concerns.entry_id}, a {concerns.operation} of {concerns.amount:+} "
            f"at {_instant(concerns.at)}."
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
        (
            f"Posted is {account.issued} granted - {account.spent} spent - {account.expired} expired "
            f"{account.adjusted:+} adjusted {account.moved:+} moved by transfers, over {account.entry_count} entries."
        ),
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
        f"If nothing is used, {amount} expire at {_instant(when)}." for when, amount in balance.expiring
    ]
    newest = list(last)
    if newest:
        lines.append("The last changes:")
    lines += [
        f"  {_instant(entry.at)}  {entry.kind}  {entry.amount:+} to {entry.posted_after}"
        + (f"  ({entry.reason})" if entry.reason else "")
        for entry in newest
    ]
    return "\n".join(lines)


def _source_text(source: Source) -> str:
    where = "the pool, which has no terms" if source.grant is None else _grant_name(source.grant)
    held = f", {source.hold_amount:+} held" if source.hold_amount else ""
    return f"Of this, {source.amount:+}{held} fell on {where}."


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
    return f"{grant.posted} of {grant.amount} are left of {name}{held}."


def _remarks(entry: Entry) -> list[str]:
    said = (
        ("Reason", entry.reason),
        ("Done by", entry.actor),
        ("Idempotency key", entry.idempotency_key),
        ("Metadata", entry.metadata),
        ("Terms", entry.terms or None),
    )
    return [f"{name}: {value}" for name, value in said if value is not None and value != ""]


def _instant(instant: datetime | None) -> str:
    return "" if instant is None else instant.isoformat(sep=" ").replace("+00:00", "Z")
