"""What every command shares: the database, the book, and how answers and errors are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from pluct_ledger import sqlite
from pluct_ledger.errors import InvalidArgument, PluctError
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
    "contended": 30,
    "outcome_unknown": 31,
    "corrupted": 32,
    "schema_mismatch": 33,
}
"""What the command exits with on each error code; 1 for anything else."""

EXIT_BOOKS_WRONG: Final = EXIT_CODES["corrupted"]
EXIT_TOKEN_NOT_VALID: Final = 40

_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mariadb+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS: Final = {"psycopg": "postgres", "pymysql": "mariadb"}


@dataclass(slots=True)
class Terminal:
    """The options before the command, and where answers go."""

    url: str | None = None
    book: str = "default"
    asset: str = "credit"
    as_json: bool = False
    out: Console = field(default_factory=lambda: Console(highlight=False))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Give the engine of ``--url`` or ``DATABASE_URL`` for as long as a command runs."""
        if not self.url:
            raise typer.BadParameter("name the database: --url before the command, or DATABASE_URL")
        engine = open_engine(self.url)
        try:
            yield engine
        finally:
            engine.dispose()

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Give the ledger of the chosen book and asset."""
        with self.engine() as engine:
            yield Ledger(engine, book=self.book, asset=self.asset)

    def show(self, value: object, text: Callable[[], object]) -> None:
        """Print `value` as JSON where that was asked for, else what `text` returns."""
        if self.as_json:
            self.out.out(to_json(value))
        else:
            self.out.print(text())

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Give a function that moves a progress bar on the error stream; nothing is drawn where nobody looks."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.err, disable=self.as_json) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def open_engine(url: str) -> Engine:
    """Return an engine for a database URL; SQLite's is configured for the ledger.

    Raises:
        InvalidArgument: it is no database URL, or the driver is not installed.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in _DRIVERS:
            parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
        engine = create_engine(parsed)
    except (ArgumentError, NoSuchModuleError):
        # The text is not repeated: it may hold a password.
        raise InvalidArgument(
            "url", "is no database URL; e.g. sqlite:///ledger.db or postgresql://host/name"
        ) from None
    except ModuleNotFoundError as missing:
        extra = _EXTRAS.get(missing.name or "", "postgres")
        raise InvalidArgument("url", f"needs a driver: pip install 'pluct-ledger[{extra}]'") from None
    return sqlite.configure(engine) if engine.dialect.name == "sqlite" else engine


def to_json(value: object) -> str:
    """Return the JSON text of a value of the API, or of plain containers of such."""
    plain = TypeAdapter(type(value)).dump_python(value, mode="json")
    return json.dumps(plain, ensure_ascii=False, indent=2)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> Table:
    """Return a table whose cells are shown as they are; columns in `numbers` stand right."""
    made = Table(title=escape(title), title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"
    return escape(str(value))


@contextmanager
def errors_shown(terminal: Terminal) -> Iterator[None]:
    """Show an error of ours as one line (or as JSON), and exit with the number of its code."""
    try:
        yield
    except PluctError as error:
        report(terminal, error.code, str(error), error.facts)
        sys.exit(EXIT_CODES.get(error.code, 1))
    except OperationalError as error:
        report(terminal, "database_unreachable", str(error.orig).strip(), {})
        sys.exit(1)


def report(terminal: Terminal, code: str, message: str, facts: dict[str, Any]) -> None:
    """Print an error."""
    if terminal.as_json:
        terminal.out.out(to_json({"error": {"code": code, "message": message, **facts}}))
    else:
        terminal.err.print(f"[bold red]error[/]: {escape(message)} ({code})", soft_wrap=True)
