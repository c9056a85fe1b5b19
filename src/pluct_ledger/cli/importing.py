"""Commands that move users in from another service: d1."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.cli.options import Json, terminal_of
from pluct_ledger.cli.sheets import Kind, sheet
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.legacy_balances import CLOSING_KEY
from pluct_ledger.domain.repairs import NOTED, REPAIRED, SKIPPED
from pluct_ledger.importing import Adjustment, ImportReport, Repair, import_d1
from pluct_ledger.ledger import Ledger

app = typer.Typer(help="Move in from another service.", no_args_is_help=True)

SHOWN: Final = 10
"""How many rows of a list are shown to people; JSON has all."""


@app.callback()
def callback() -> None:
    """Keep the name of a command where there is only one."""


@app.command("d1")
def d1(
    context: typer.Context,
    export: Annotated[Path, typer.Argument(help="The export of D1: an SQLite file or an SQL dump.")],
    kv_balances: Annotated[
        Path | None, typer.Option(help="The balances that users saw: the KV namespace as a JSON object.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Move in accounts, history, balances and API keys of the old service; repeated, it changes nothing."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        registry = ApiKeyRegistry(ledger.desk.door.engine, book=terminal.book, schema=terminal.schema)
        with terminal.progress("Importing") as progress:
            report = import_d1(ledger, export, kv_balances=kv_balances, registry=registry, progress=progress)
        terminal.answer(report, lambda: show_import(terminal, ledger, report))


def show_import(terminal: Terminal, ledger: Ledger, report: ImportReport) -> None:
    """Say what an import did."""
    done = [
        ("accounts", report.accounts_opened, report.accounts_already_there),
        ("entries", report.entries_written, report.entries_already_there),
        ("adjustments", len(report.adjustments), report.adjustments_already_there),
        ("API keys", report.keys_imported, report.keys_already_there),
    ]
    numbers = [("new", Kind.NUMBER), ("there before", Kind.NUMBER)]
    terminal.show(sheet([("moved in", Kind.EXACT), *numbers], done))
    if report.adjustments:
        terminal.say("")
        _show_adjustments(terminal, ledger, report.adjustments)
    terminal.say("")
    _show_repairs(terminal, report.repairs)


def _show_adjustments(terminal: Terminal, ledger: Ledger, adjustments: tuple[Adjustment, ...]) -> None:
    up = [one.amount for one in adjustments if one.amount > 0]
    down = [-one.amount for one in adjustments if one.amount < 0]
    terminal.say(
        f"Balances that differed from their history, and were adjusted: {len(adjustments)} "
        f"({len(up)} up by {sum(up)} in all, {len(down)} down by {sum(down)})."
    )
    columns = [
        ("owner", Kind.TEXT),
        ("history", Kind.NUMBER),
        ("adjusted", Kind.NUMBER),
        ("balance", Kind.NUMBER),
    ]
    largest = sorted(adjustments, key=lambda one: (-abs(one.amount), one.owner))[:SHOWN]
    rows = []
    for one in largest:
        entry = ledger.find(one.owner, CLOSING_KEY)
        assert entry is not None
        rows.append((one.owner, entry.posted_after - entry.amount, f"{entry.amount:+}", entry.posted_after))
    terminal.show(sheet(columns, rows))
    _say_rest(terminal, len(adjustments))


def _show_repairs(terminal: Terminal, repairs: tuple[Repair, ...]) -> None:
    if not repairs:
        terminal.say("Every row of the export was taken as it stands there.")
        return
    counts = Counter(one.what for one in repairs)
    said = ", ".join(f"{counts[what]} {what}" for what in (SKIPPED, REPAIRED, NOTED) if counts[what])
    terminal.say(f"Not everything could be taken as it stands there: {said}.")
    first = sorted(repairs, key=lambda one: (SKIPPED, REPAIRED, NOTED).index(one.what))[:SHOWN]
    columns = [("where", Kind.TEXT), ("what", Kind.EXACT), ("why", Kind.TEXT)]
    terminal.show(sheet(columns, ((one.source, one.what, one.reason) for one in first)))
    _say_rest(terminal, len(repairs))


def _say_rest(terminal: Terminal, count: int) -> None:
    if count > SHOWN:
        terminal.say(f"and {count - SHOWN} more; --json tells all")
