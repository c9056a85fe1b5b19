"""Commands that give account: statement, explain, explain-balance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pluct_ledger.cli.options import At, Json, Owner, instant_of, terminal_of
from pluct_ledger.cli.reading import entry_sheet
from pluct_ledger.cli.sheets import record
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.statements import Statement
from pluct_ledger.errors import InvalidArgument


def statement(
    context: typer.Context,
    owner: Owner,
    start: Annotated[str, typer.Argument(help="From this instant on, e.g. 2026-01-01T00:00:00Z.")],
    end: Annotated[str, typer.Argument(help="Before this instant, likewise.")],
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the entries as CSV, for a spreadsheet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell what an account did in a time: what it began with, each entry, and what it ended with."""
    terminal = terminal_of(context, as_json)
    if as_csv and terminal.as_json:
        raise InvalidArgument("csv", "is no JSON: one of --csv and --json is enough")
    first, over = _instant(start, "start"), _instant(end, "end")
    with terminal.ledger() as ledger:
        told = ledger.statement(owner, first, over)
    if as_csv:
        terminal.write(told.csv())
    else:
        terminal.answer(told, lambda: _show(terminal, told))


def explain(
    context: typer.Context,
    entry_id: Annotated[str, typer.Argument(help="The entry.")],
    as_json: Json = False,
) -> None:
    """Tell why an entry is what it is: which grants paid, which hold, which key, what it reversed."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger:
        found = ledger.explain(entry_id)
    terminal.answer(found, lambda: _say(terminal, found.text))


def explain_balance(context: typer.Context, owner: Owner, at: At = None, as_json: Json = False) -> None:
    """Tell why a balance is this number: what it came from, what is held, what expires when, what changed last."""
    terminal = terminal_of(context, as_json)
    instant = instant_of(at, "at")
    with terminal.ledger() as ledger:
        found = ledger.explain_balance(owner, instant)
    terminal.answer(found, lambda: _say(terminal, found.text))


def _instant(text: str, name: str) -> datetime:
    instant = instant_of(text, name)
    assert instant is not None
    return instant


def _say(terminal: Terminal, text: str) -> None:
    for line in text.split("\n"):
        terminal.say(line)


def _show(terminal: Terminal, told: Statement) -> None:
    terminal.show_record(
        record(
            owner=told.owner,
            start=told.start,
            end=told.end,
            opening=told.opening.posted,
            received=told.received,
            used=told.used,
            forfeited=told.forfeited,
            closing=told.closing.posted,
            available=told.closing.available,
        )
    )
    if told.entries:
        terminal.say("")
        terminal.show(entry_sheet(told.entries))
