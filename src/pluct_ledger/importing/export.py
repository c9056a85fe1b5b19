"""Opens an export of D1, an SQLite file or an SQL dump, and yields its rows as they stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pluct_ledger.domain.legacy_history import SourceRow
from pluct_ledger.domain.legacy_key_rows import SourceKey
from pluct_ledger.domain.repairs import Repair, printable
from pluct_ledger.errors import InvalidArgument
from pluct_ledger.importing.sql_dump import load

_MAGIC: Final = b"SQLite format 3\0"
_TRANSACTIONS: Final = ("transactions", ("id", "user_id", "type", "amount", "timestamp", "reason"))
_API_KEYS: Final = ("api_keys", ("id", "key_hash", "description", "created_at", "status"))
_TABLES: Final = dict((_TRANSACTIONS, _API_KEYS))


@dataclass(frozen=True, slots=True)
class Export:
    """An open export.

    Attributes:
        repairs: the statements of a dump that were not taken.
    """

    connection: sqlite3.Connection
    repairs: tuple[Repair, ...]

    def transactions(self) -> Iterator[SourceRow]:
        """Yield the rows of ``transactions``, in the order in which they stand there."""
        known: dict[str, str] = {}
        for number, (row_id, owner, kind, *rest) in enumerate(
            _rows(self.connection, *_TRANSACTIONS), start=1
        ):
            amount, timestamp, reason = rest
            # Few different texts stand in very many rows: each is kept once.
            shared = (
                known.setdefault(text, text) if type(text) is str else text for text in (owner, kind, reason)
            )
            yield SourceRow(number, row_id, next(shared), next(shared), amount, timestamp, next(shared))

    def api_keys(self) -> Iterator[SourceKey]:
        """Yield the rows of ``api_keys``, in the order in which they stand there."""
        for number, row in enumerate(_rows(self.connection, *_API_KEYS), start=1):
            yield SourceKey(number, *row)


@contextmanager
def opened(path: Path) -> Iterator[Export]:
    """Open an export, told by its content and not by its name; the file is never written to.

    Raises:
        InvalidArgument: there is no such file, it is neither of the two, it is damaged or cut off, or it lacks a
            table or column.
    """
    try:
        connection, repairs = _connected(path)
        with closing(connection):
            # A database from elsewhere may hold SQL of its own, which is to run nothing but what is harmless.
            connection.execute("PRAGMA trusted_schema = OFF")
            # Text that is not UTF-8 is judged with its row, and does not end the whole import.
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            for table, columns in _TABLES.items():
                _check_table(connection, table, columns)
            yield Export(connection, repairs)
    except OSError as error:
        raise InvalidArgument("export", f"{path} cannot be read: {error.strerror}") from error
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a message of SQLite's may itself be damaged
        reason = f"{path} cannot be read as an SQLite database: {printable(error)}"
        raise InvalidArgument("export", reason) from error


def _connected(path: Path) -> tuple[sqlite3.Connection, tuple[Repair, ...]]:
    """Connect to a file so that nothing is written, not even beside it, or to what a dump loads."""
    with path.open("rb") as file:
        is_database = file.read(len(_MAGIC)) == _MAGIC
    if not is_database:
        return load(path.read_bytes(), list(_TABLES))
    _refuse_unmerged(path)
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True), ()


def _refuse_unmerged(path: Path) -> None:
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise InvalidArgument(
                "export",
                f"{beside.name} stands beside it, so that the file alone is not the whole database: "
                f"run sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)' first",
            )


def _check_table(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    """Check that a table of rows is there, and no view or virtual table in its place, which would run as code."""
    if not connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND lower(name) = ?", [table]
    ).fetchone():
        raise InvalidArgument("export", f"it has no table {table}")
    present = {str(row[1]).lower() for row in connection.execute(f"PRAGMA table_info({table})")}
    missing = [column for column in columns if column not in present]
    if missing:
        raise InvalidArgument("export", f"its table {table} has no column {', '.join(missing)}")


def _rows(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    wanted = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - names of ours, never of the export
    try:
        ordered = connection.execute(f"{wanted} ORDER BY _rowid_")
    except sqlite3.OperationalError:  # a table WITHOUT ROWID stands in the order of its key
        ordered = connection.execute(wanted)
    yield from ordered
