"""What every command shares: the database, the book, and how answers are shown."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TextIO

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from sqlalchemy import Engine

from pluct_ledger.cli.engines import open_engine
from pluct_ledger.cli.sheets import Sheet, visible
from pluct_ledger.errors import InvalidArgument
from pluct_ledger.ledger import Ledger

EXIT_CODES: Final = {
    "invalid_argument": 2,
    "refused": 10,
    "account_not_found": 11,
    "account_exists": 12,
    "idempotency_mismatch": 13,
    "account_closed": 14,
    "account_frozen": 15,
    "entry_not_found": 16,
    "insufficient_credit": 17,
    "balance_limit_exceeded": 18,
    "token_unavailable": 19,
    "api_key_not_found": 20,
    "api_key_exists": 21,
    "hold_not_found": 22,
    "hold_closed": 23,
    "capture_exceeds_hold": 24,
    "not_reversible": 25,
    "reversal_exceeds_original": 26,
    "account_not_empty": 27,
    "contended": 30,
    "outcome_unknown": 31,
    "corrupted": 32,
    "schema_mismatch": 33,
}
"""What the command exits with on each error code; 1 for anything else."""

EXIT_BOOKS_WRONG: Final = EXIT_CODES["corrupted"]
EXIT_TOKEN_NOT_VALID: Final = 40
EXIT_INTERRUPTED: Final = 130
EXIT_NOBODY_READS: Final = 141
"""What a shell reports of a program that wrote on after its reader was gone."""

_WRITTEN_AT_ONCE: Final = 32_768


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


@dataclass(slots=True)
class Terminal:
    """The options before the command, and where answers go."""

    url: str | None = None
    book: str = "default"
    asset: str = "credit"
    schema: str | None = None
    as_json: bool = False
    out: Console = field(default_factory=_console)
    err: Console = field(default_factory=lambda: _console(stderr=True))

    @contextmanager
    def engine(self, *, creating: bool = False) -> Iterator[Engine]:
        """Give the engine of ``--url`` or ``DATABASE_URL`` for as long as a command runs."""
        if not self.url:
            raise InvalidArgument("url", "name the database: --url before the command, or DATABASE_URL")
        engine = open_engine(self.url, creating=creating)
        try:
            yield engine
        finally:
            engine.dispose()

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Give the ledger of the chosen book and asset."""
        with self.engine() as engine:
            yield Ledger(engine, book=self.book, asset=self.asset, schema=self.schema)

    def answer(self, value: object, show: Callable[[], None]) -> None:
        """Print `value` as JSON where that was asked for; else call `show`, which says the same to people."""
        if self.as_json:
            self.write(self.json_of(value) + "\n")
        else:
            show()

    def say(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        self._print(self.out, text, style)

    def note(self, text: str) -> None:
        """Print a line beside the answer, on the error stream; none beside JSON."""
        if not self.as_json:
            self._print(self.err, text, "dim")

    def fail(self, text: str) -> None:
        """Print what went wrong, in one line on the error stream."""
        line = Text.assemble(("error: ", "bold red"), visible(" ".join(text.split())))
        if self.err.is_terminal:
            self.err.print(line)
        else:
            self._write(sys.stderr, line.plain + "\n")

    def show(self, sheet: Sheet) -> None:
        """Print rows: as a table that fits the terminal, or as whole lines into a pipe."""
        if self.out.is_terminal:
            self.out.print(sheet.table(self.out.width))
        else:
            self.write("".join(line + "\n" for line in sheet.lines()))

    def show_record(self, sheet: Sheet) -> None:
        """Print each value of a row on a line of its own, beside its name."""
        for line in sheet.records():
            self.say(line)

    def write(self, text: str) -> None:
        """Write to the standard output what a program is to read."""
        self._write(sys.stdout, text)

    def json_of(self, value: object) -> str:
        """Return the JSON text of a value of the API, or of plain containers of such."""
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        return json.dumps(to_jsonable_python(value), ensure_ascii=not unicode, indent=2)

    @contextmanager
    def progress(self, what: str, *, stays: bool = False) -> Iterator[Callable[[int, int], None]]:
        """Give a function that moves a progress bar on the error stream.

        Args:
            what: what goes on, before the bar.
            stays: the bar is there afterwards too; also where it is no terminal, but then only in its last state.
        """
        if self.as_json or not (stays or self.err.is_terminal):
            yield lambda _done, _total: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.err, transient=not stays) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _print(self, console: Console, text: str, style: str) -> None:
        if console.is_terminal:
            console.print(Text(visible(text), style=style))
        else:
            self._write(sys.stderr if console.stderr else sys.stdout, visible(text) + "\n")

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            # Under PYTHONUNBUFFERED a long write that ends early says nothing; the next one does.
            starts = range(0, len(text), _WRITTEN_AT_ONCE)
            stream.writelines(text[start : start + _WRITTEN_AT_ONCE] for start in starts)
            stream.flush()
        except OSError as error:
            _silence(stream)
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(EXIT_NOBODY_READS) from None
            if stream is not sys.stderr:
                self.fail(f"the answer cannot be written: {error.strerror}")
            raise typer.Exit(1) from None


def prepare_streams() -> None:
    """Let both streams take whatever they are given: what their encoding lacks is written as its escape."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w")))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _silence(stream: TextIO) -> None:
    """Send nowhere what is still unwritten, so that Python says nothing of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
