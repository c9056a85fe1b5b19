"""The command ``maintenance``."""

from __future__ import annotations

from typing import Annotated

import typer

import pluct_ledger.maintenance
from pluct_ledger.cli.options import Json, span_of, terminal_of
from pluct_ledger.cli.sheets import counted
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.maintenance import MaintenanceReport


def maintenance(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many accounts at most.")] = 1000,
    budget: Annotated[str, typer.Option(help="How long to go on, in seconds, or e.g. 5m.")] = "5",
    as_json: Json = False,
) -> None:
    """Record what has fallen due in all books; nothing depends on it, and many may run it at once."""
    terminal = terminal_of(context, as_json)
    span = span_of(budget, "budget")
    with terminal.engine() as engine:
        report = pluct_ledger.maintenance.run(engine, limit=limit, budget=span, schema=terminal.schema)
    terminal.answer(report, lambda: _show(terminal, report))


def _show(terminal: Terminal, report: MaintenanceReport) -> None:
    entries = counted(report.entries, "entry", "entries")
    terminal.say(f"Recorded {entries} in {counted(report.accounts, 'account', 'accounts')}.")
    if not report.done:
        terminal.note("There is more: the next run goes on.")
