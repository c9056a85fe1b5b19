"""Commands that only read: account, accounts, balance, grants, holds, orphan-holds, entries, verify."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import typer

from pluct_ledger.cli.options import At, Json, Limit, Owner, instant_of, terminal_of
from pluct_ledger.cli.sheets import Kind, Sheet, counted, record, sheet
from pluct_ledger.cli.terminal import EXIT_BOOKS_WRONG, Terminal
from pluct_ledger.domain.accounts import Account, Balance
from pluct_ledger.domain.entries import Entry
from pluct_ledger.domain.grants import Grant
from pluct_ledger.domain.holds import Hold
from pluct_ledger.domain.pages import Page
from pluct_ledger.domain.verification import VerifyReport

SHOWN_FINDINGS: Final = 20


def account(context: typer.Context, owner: Owner, as_json: Json = False) -> None:
    """Show an account."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        found = ledger.account(owner)
    terminal.answer(found, lambda: terminal.show_record(account_record(found)))


def accounts(
    context: typer.Context,
    limit: Limit = 50,
    after: Annotated[str | None, typer.Option(help="Go on after this owner.")] = None,
    as_json: Json = False,
) -> None:
    """List accounts in the order of their owners."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        page = ledger.accounts(limit=limit, after=after)
    answer_page(terminal, page, account_sheet(page), more="--after")


def balance(context: typer.Context, owner: Owner, at: At = None, as_json: Json = False) -> None:
    """Show what an owner has, had, or will have if nothing is used until then."""
    terminal = terminal_of(context, as_json)
    instant = instant_of(at, "at")
    with terminal.ledger() as ledger:
        found = ledger.balance(owner, at=instant)
    terminal.answer(found, lambda: _show_balance(terminal, found))


def grants(context: typer.Context, owner: Owner, as_json: Json = False) -> None:
    """List an owner's open grants in the order in which they are used."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        found = ledger.grants(owner)
    answer_items(terminal, found, grant_sheet(found))


def holds(context: typer.Context, owner: Owner, as_json: Json = False) -> None:
    """List an owner's open holds, oldest first."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        found = ledger.holds(owner)
    answer_items(terminal, found, hold_sheet(found))


def orphan_holds(context: typer.Context, limit: Limit = 50, as_json: Json = False) -> None:
    """List holds that are past due: the jobs of these neither captured nor voided."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        found = ledger.orphan_holds(limit=limit)
    answer_items(terminal, found, hold_sheet(found))


def entries(
    context: typer.Context,
    owner: Annotated[str | None, typer.Argument(help="Whose; everybody's without it.")] = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="Go on before this cursor.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From this instant on, e.g. 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this instant, likewise.")] = None,
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
            since=instant_of(since, "since"),
            until=instant_of(until, "until"),
            kinds=kind or None,
        )
    answer_page(terminal, page, entry_sheet(page), more="--before")


def verify(
    context: typer.Context,
    owner: Annotated[str | None, typer.Argument(help="Whose account; the whole book without it.")] = None,
    as_json: Json = False,
) -> None:
    """Replay the log and compare every cached number with it; exits with 32 if the books are wrong."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger, terminal.progress("Verifying") as progress:
        report = ledger.verify(owner, progress=progress)
    terminal.answer(report, lambda: show_verification(terminal, report))
    if not report.ok:
        raise typer.Exit(EXIT_BOOKS_WRONG)


def answer_page(terminal: Terminal, page: Page[Any], shown: Sheet, *, more: str) -> None:
    """Answer with a page, and with how to get the one that follows."""
    terminal.answer({"items": list(page.items), "next": page.next}, lambda: terminal.show(shown))
    if page.next is not None:
        terminal.note(f"There are more: {more} {shlex.quote(page.next)}")
    elif not page.items:
        terminal.note("There are none.")


def answer_items(terminal: Terminal, items: Sequence[Any], shown: Sheet) -> None:
    """Answer with a list that is whole."""
    terminal.answer({"items": list(items)}, lambda: terminal.show(shown))
    if not items:
        terminal.note("There are none.")


def account_record(one: Account) -> Sheet:
    """Return all that there is to say of an account."""
    return record(
        owner=one.owner,
        posted=one.posted,
        held=one.held,
        available=one.available,
        issued=one.issued,
        spent=one.spent,
        expired=one.expired,
        adjusted=one.adjusted,
        moved=one.moved,
        overdraft_limit="unlimited" if one.overdraft_limit is None else one.overdraft_limit,
        status=one.status,
        entries=one.entry_count,
        opened=one.opened_at,
        last_entry=one.last_at,
        account=one.account_id,
    )


def account_sheet(shown: Iterable[Account]) -> Sheet:
    """Return accounts as rows."""
    columns = [
        ("owner", Kind.TEXT),
        ("posted", Kind.NUMBER),
        ("held", Kind.NUMBER),
        ("available", Kind.NUMBER),
    ]
    columns += [("spent", Kind.NUMBER), ("entries", Kind.NUMBER), ("status", Kind.EXACT)]
    rows = (
        (one.owner, one.posted, one.held, one.available, one.spent, one.entry_count, one.status)
        for one in shown
    )
    return sheet(columns, rows)


def entry_sheet(shown: Iterable[Entry]) -> Sheet:
    """Return entries as rows."""
    columns = [("at", Kind.EXACT), ("owner", Kind.TEXT), ("kind", Kind.EXACT), ("amount", Kind.NUMBER)]
    columns += [("posted", Kind.NUMBER), ("reason", Kind.TEXT), ("entry", Kind.SPARE)]
    rows = (
        (one.at, one.owner, one.kind, f"{one.amount:+}", one.posted_after, one.reason, one.entry_id)
        for one in shown
    )
    return sheet(columns, rows)


def grant_sheet(shown: Iterable[Grant]) -> Sheet:
    """Return grants as rows."""
    columns = [("grant", Kind.SPARE), ("label", Kind.TEXT), ("amount", Kind.NUMBER), ("left", Kind.NUMBER)]
    columns += [("held", Kind.NUMBER), ("to come", Kind.NUMBER), ("effective", Kind.SPARE)]
    columns += [("expires", Kind.EXACT), ("priority", Kind.NUMBER), ("granted by", Kind.TEXT)]
    rows = (
        (
            one.grant_id if not one.part else f"{one.grant_id} part {one.part}",
            *(one.label, one.amount, one.posted, one.held, one.pending),
            *(one.effective_at, one.expires_at, one.priority, one.granted_by),
        )
        for one in shown
    )
    return sheet(columns, rows)


def hold_sheet(shown: Iterable[Hold]) -> Sheet:
    """Return holds as rows."""
    columns = [("owner", Kind.TEXT), ("amount", Kind.NUMBER), ("held", Kind.NUMBER)]
    columns += [("expires", Kind.EXACT), ("status", Kind.EXACT), ("hold", Kind.EXACT)]
    rows = ((one.owner, one.amount, one.held, one.expires_at, one.status, one.hold_id) for one in shown)
    return sheet(columns, rows)


def hold_record(one: Hold) -> Sheet:
    """Return all that there is to say of a hold."""
    return record(
        hold=one.hold_id,
        owner=one.owner,
        amount=one.amount,
        held=one.held,
        expires=one.expires_at,
        status=one.status,
    )


def _show_balance(terminal: Terminal, found: Balance) -> None:
    terminal.show_record(record(posted=found.posted, held=found.held, available=found.available))
    if found.expiring:
        terminal.say("")
        columns = [("expires", Kind.EXACT), ("amount", Kind.NUMBER)]
        terminal.show(sheet(columns, found.expiring))


def show_verification(terminal: Terminal, report: VerifyReport) -> None:
    """Say what a verification found."""
    log = counted(report.checked, "entry", "entries")
    replayed = f"replayed {log} of {counted(report.accounts, 'account', 'accounts')}"
    if report.ok:
        terminal.say(f"The books balance: {replayed}.", "green")
        return
    count = len(report.findings)
    terminal.say(f"The books are wrong: {replayed}, {counted(count, 'finding', 'findings')}.", "bold red")
    columns = [("record", Kind.TEXT), ("field", Kind.EXACT), ("problem", Kind.TEXT)]
    rows = [(one.record, one.field, one.problem) for one in report.findings[:SHOWN_FINDINGS]]
    terminal.show(sheet(columns, rows))
    if count > SHOWN_FINDINGS:
        terminal.say(f"and {count - SHOWN_FINDINGS} more; --json tells all")
