"""Commands on accounts: show, open, grant, spend, transfer, adjust, entries, verify."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from pluct_ledger.cli.terminal import EXIT_BOOKS_WRONG, Terminal, table
from pluct_ledger.domain.accounts import Account
from pluct_ledger.domain.entries import Entry, Receipt
from pluct_ledger.domain.verification import VerifyReport
from pluct_ledger.errors import InvalidArgument

Owner = Annotated[str, typer.Argument(help="Who holds the credit.")]
Amount = Annotated[int, typer.Argument(help="How much, in the smallest unit.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", "--key", help="Your name for this intent: a repeat moves nothing."),
]
Kind = Annotated[str | None, typer.Option(help="Your word for the entry.")]
Reason = Annotated[str | None, typer.Option(help="Why, for people.")]
Actor = Annotated[str | None, typer.Option(help="Who did it.")]
Metadata = Annotated[str | None, typer.Option(help="A JSON object to keep with the entry.")]
EventAt = Annotated[str | None, typer.Option(help="When it happened in the world, ISO 8601 with an offset.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (account, accounts, grant, spend, transfer, adjust, entries, verify):
        app.command(command.__name__)(command)
    app.command("open")(open_account)


def terminal_of(context: typer.Context, as_json: bool) -> Terminal:
    """Return the terminal of this run; ``--json`` may stand before or after the command."""
    terminal: Terminal = context.find_root().obj
    terminal.as_json = terminal.as_json or as_json
    return terminal


def account(context: typer.Context, owner: Owner, as_json: Json = False) -> None:
    """Show an account."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        found = ledger.account(owner)
    terminal.show(found, lambda: _account_table([found]))


def accounts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many, 1 to 1000.")] = 50,
    after: Annotated[str | None, typer.Option(help="Go on after this owner.")] = None,
    as_json: Json = False,
) -> None:
    """List accounts in the order of their owners."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        page = ledger.accounts(limit=limit, after=after)
    terminal.show({"items": list(page.items), "next": page.next}, lambda: _account_table(page.items))
    if page.next is not None and not terminal.as_json:
        terminal.err.print(f"more: --after {page.next!r}", markup=False)


def open_account(
    context: typer.Context,
    owner: Owner,
    initial: Annotated[int, typer.Option(help="Credit to begin with.")] = 0,
    overdraft_limit: Annotated[int, typer.Option(help="How far below 0 spends may go.")] = 0,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    as_json: Json = False,
) -> None:
    """Open an account."""
    terminal = terminal_of(context, as_json)
    options = _options(key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=None)
    with terminal.ledger() as ledger:
        opened = ledger.open_account(owner, initial=initial, overdraft_limit=overdraft_limit, **options)
    terminal.show(opened, lambda: _account_table([opened]))


def grant(
    context: typer.Context,
    owner: Owner,
    amount: Amount,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Give credit to an owner; opens the account if there is none."""
    terminal = terminal_of(context, as_json)
    options = _options(key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at)
    with terminal.ledger() as ledger:
        receipt = ledger.grant(owner, amount, **options)
    terminal.show(receipt, lambda: _receipt_line(receipt))


def spend(
    context: typer.Context,
    owner: Owner,
    amount: Amount,
    up_to: Annotated[bool, typer.Option(help="Take as much of it as there is.")] = False,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Take credit from an owner."""
    terminal = terminal_of(context, as_json)
    options = _options(key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at)
    with terminal.ledger() as ledger:
        receipt = ledger.spend(owner, amount, up_to=up_to, **options)
    terminal.show(receipt, lambda: _receipt_line(receipt))


def transfer(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Who pays.")],
    target: Annotated[str, typer.Argument(help="Who receives.")],
    amount: Amount,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Move credit from one owner to another."""
    terminal = terminal_of(context, as_json)
    options = _options(key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at)
    with terminal.ledger() as ledger:
        receipt = ledger.transfer(source, target, amount, **options)
    terminal.show(receipt, lambda: _receipt_line(receipt))


def adjust(
    context: typer.Context,
    owner: Owner,
    signed_amount: Annotated[int, typer.Argument(help="The correction; write a negative one after --.")],
    reason: Annotated[str, typer.Option(help="Why, for people; mandatory.")],
    key: Key = None,
    kind: Kind = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Correct an account, past every limit."""
    terminal = terminal_of(context, as_json)
    options = _options(key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at)
    with terminal.ledger() as ledger:
        receipt = ledger.adjust(owner, signed_amount, **options)
    terminal.show(receipt, lambda: _receipt_line(receipt))


def entries(
    context: typer.Context,
    owner: Annotated[str | None, typer.Argument(help="Whose; all without it.")] = None,
    limit: Annotated[int, typer.Option(help="How many, 1 to 1000.")] = 50,
    before: Annotated[str | None, typer.Option(help="Go on before this cursor.")] = None,
    since: Annotated[str | None, typer.Option(help="From this instant on, ISO 8601 with an offset.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this instant, ISO 8601 with an offset.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Of this kind only; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """List entries, newest first."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        page = ledger.entries(
            owner,
            limit=limit,
            before=before,
            since=_instant(since, "since"),
            until=_instant(until, "until"),
            kinds=kind or None,
        )
    terminal.show({"items": list(page.items), "next": page.next}, lambda: entry_table(page.items))
    if page.next is not None and not terminal.as_json:
        terminal.err.print(f"more: --before {page.next}", markup=False)


def verify(
    context: typer.Context,
    owner: Annotated[str | None, typer.Argument(help="Whose account; the whole book without it.")] = None,
    as_json: Json = False,
) -> None:
    """Replay the log and compare every cached number with it; exits with 32 if the books are wrong."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger, terminal.progress("verifying") as progress:
        found = ledger.verify(owner, progress=progress)
    terminal.show(found, lambda: verification(found))
    if not found.ok:
        raise typer.Exit(EXIT_BOOKS_WRONG)


def entry_table(shown: tuple[Entry, ...], title: str = "Entries, newest first") -> Table:
    """Return entries as a table."""
    return table(
        title,
        ("at", "owner", "kind", "amount", "balance", "reason", "entry"),
        (
            (
                entry.at,
                entry.owner,
                entry.kind,
                f"{entry.amount:+}",
                entry.posted_after,
                entry.reason,
                entry.entry_id,
            )
            for entry in shown
        ),
        numbers=("amount", "balance"),
    )


def verification(report: VerifyReport) -> str | Table:
    """Return what a verification found, for people."""
    if report.ok:
        return f"[green]The books balance[/]: {report.checked} entries of {report.accounts} accounts were replayed."
    findings = ((finding.record, finding.field, finding.problem) for finding in report.findings)
    return table(
        f"The books are wrong: {len(report.findings)} findings", ("record", "field", "problem"), findings
    )


def _account_table(shown: tuple[Account, ...] | list[Account]) -> Table:
    return table(
        "Accounts",
        ("owner", "posted", "held", "available", "spent", "entries", "status"),
        (
            (one.owner, one.posted, one.held, one.available, one.spent, one.entry_count, one.status)
            for one in shown
        ),
        numbers=("posted", "held", "available", "spent", "entries"),
    )


def _receipt_line(receipt: Receipt) -> Table:
    said = "replayed: nothing moved, this was the first time" if receipt.replayed else "done"
    return table(
        said,
        ("owner", "kind", "amount", "balance", "available", "at", "entry"),
        [
            (
                receipt.owner,
                receipt.kind,
                f"{receipt.amount:+}",
                receipt.posted_after,
                receipt.available_after,
                receipt.at,
                receipt.entry_id,
            )
        ],
        numbers=("amount", "balance", "available"),
    )


def _options(
    *,
    key: str | None,
    kind: str | None,
    reason: str | None,
    actor: str | None,
    metadata: str | None,
    event_at: str | None,
) -> Any:
    return {
        "idempotency_key": key,
        "kind": kind,
        "reason": reason,
        "actor": actor,
        "metadata": None if metadata is None else _json_object(metadata),
        "event_at": _instant(event_at, "event_at"),
    }


def _json_object(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as wrong:
        raise InvalidArgument("metadata", f"is no JSON: {wrong}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidArgument("metadata", "a member stands in it twice")
    return members


def _instant(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(name, "must be ISO 8601, e.g. 2026-01-31T12:00:00Z") from None
