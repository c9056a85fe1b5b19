"""Loads an SQL dump into a temporary database, and trusts nothing that stands in it.

Of a dump only CREATE TABLE and INSERT of the wanted tables are run; an authorizer lets these do nothing else, so that a
dump can neither open files nor read or compute what it likes. A table's constraints and defaults are left out, so that
no row is lost to them before it was judged.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pluct_ledger.domain.repairs import SKIPPED, Repair, printable
from pluct_ledger.errors import InvalidArgument

_MAX_VALUE_BYTES: Final = 64 * 1024 * 1024
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_HARMLESS_FUNCTIONS: Final = {"char", "replace", "unistr"}
"""What dumps write line breaks and control characters with."""

_CREATION: Final = {
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_REINDEX,
}
"""What making an empty table comes to."""

_LEADING = re.compile(rb"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*+", re.DOTALL)
_STATEMENT = re.compile(
    rb"""(?:[^'"`\[\-/;]|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|-(?!-)|/(?!\*))*+;""",
    re.DOTALL,
)
_TRIGGER = re.compile(rb"create\s+(?:temp\w*\s+)?trigger\b", re.IGNORECASE)
_END = re.compile(rb"end\s*;", re.IGNORECASE)

_NAME: Final = r"""(?:main\s*\.\s*|"main"\s*\.\s*)?("[^"]+"|`[^`]+`|\[[^\]]+\]|\w+)"""
_CREATE = re.compile(rf"create\s+table\s+(?:if\s+not\s+exists\s+)?{_NAME}", re.IGNORECASE)
_INSERT = re.compile(rf"(?:insert|replace)\s+(?:or\s+\w+\s+)?into\s+{_NAME}", re.IGNORECASE)
_BEGIN = re.compile(r"begin\b", re.IGNORECASE)
_COMMIT = re.compile(r"(commit|end)\b", re.IGNORECASE)
_OF_NO_WEIGHT = re.compile(
    r"(pragma|begin|commit|end|savepoint|release|analyze|reindex|vacuum|create|insert|replace"
    r"|delete\s+from\s+\W?sqlite_)",
    re.IGNORECASE,
)
_UNISTR = re.compile(r"\\(?:(\\)|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4}))")


def load(content: bytes, tables: Sequence[str]) -> tuple[sqlite3.Connection, tuple[Repair, ...]]:
    """Load the wanted tables of a dump into a temporary database.

    Returns:
        The database, and the statements that were not taken.

    Raises:
        InvalidArgument: it is no dump, or it is cut off.
    """
    if content.startswith(_UTF16):
        raise InvalidArgument("export", "it is UTF-16: save the dump as UTF-8")
    if not re.search(rb"create\s+table", content, re.IGNORECASE):
        raise InvalidArgument("export", "it is neither an SQLite database nor an SQL dump of one")
    connection = sqlite3.connect("", isolation_level=None, cached_statements=0)
    try:
        return connection, tuple(_Loading(connection, tables).run(content.removeprefix(_UTF8_MARK)))
    except BaseException:
        connection.close()
        raise


class _Loading:
    """One dump on its way into a database."""

    def __init__(self, connection: sqlite3.Connection, tables: Sequence[str]) -> None:
        self._connection = connection
        self._wanted = frozenset(tables)
        self._created: set[str] = set()
        self._committed = True

    def run(self, content: bytes) -> Iterator[Repair]:
        """Take what is wanted, statement by statement; yield those that were not taken.

        Raises:
            InvalidArgument: the dump is cut off.
        """
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        self._connection.create_function("unistr", 1, _unistr, deterministic=True)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("BEGIN")
        self._connection.set_authorizer(self._allow)
        for line, statement in _statements(content):
            try:
                self._take(statement.decode())
            except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                yield Repair(f"statement in line {line}", SKIPPED, printable(error))
        if not self._committed:
            raise InvalidArgument(
                "export", "the dump begins a transaction and never commits it: it is cut off"
            )
        self._connection.set_authorizer(None)
        self._connection.execute("COMMIT")

    def _take(self, statement: str) -> None:
        if (created := _CREATE.match(statement)) and (table := _bare(created[1])) in self._wanted:
            self._create(table, statement)
        elif (inserted := _INSERT.match(statement)) and _bare(inserted[1]) in self._wanted:
            self._connection.execute(statement)
        elif _BEGIN.match(statement):
            self._committed = False
        elif _COMMIT.match(statement):
            self._committed = True
        elif not _OF_NO_WEIGHT.match(statement):
            raise ValueError("only CREATE TABLE and INSERT of the two tables are taken")

    def _create(self, table: str, statement: str) -> None:
        """Make a table with the columns that the statement names, and nothing else of it."""
        if table in self._created:
            raise ValueError(f"the table {table} stands there already")
        columns = ", ".join(_quoted(name) for name in _columns_of(table, statement))
        self._connection.set_authorizer(None)
        self._connection.execute(f"CREATE TABLE {table} ({columns})")
        self._connection.set_authorizer(self._allow)
        self._created.add(table)

    def _allow(self, action: int, name: str | None, detail: str | None, *_: Any) -> int:
        allowed = (
            action == sqlite3.SQLITE_SELECT  # VALUES of several rows; there is nothing that it may read
            or (action == sqlite3.SQLITE_INSERT and str(name).lower() in self._created)
            or (action == sqlite3.SQLITE_FUNCTION and str(detail).lower() in _HARMLESS_FUNCTIONS)
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _statements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the statements of a dump, each with the line in which it begins.

    Raises:
        InvalidArgument: the last one has no end.
    """
    at, line = 0, 1
    while True:
        start = _start_of_statement(content, at)
        line += content.count(b"\n", at, start)
        if start == len(content):
            return
        at = _end_of_statement(content, start)
        if at < 0:
            break
        yield line, content[start:at]
        line += content.count(b"\n", start, at)
    rest = content[start:]
    if not _COMMIT.match(rest.decode("utf-8", "replace")):
        raise InvalidArgument("export", f"the statement that begins in line {line} has no end: it is cut off")
    yield line, rest


def _end_of_statement(content: bytes, start: int) -> int:
    """Return where a statement ends, -1 if it does not; a trigger holds others, and ends after them."""
    is_trigger = _TRIGGER.match(content, start) is not None
    while found := _STATEMENT.match(content, start):
        if not is_trigger or _END.match(content, _start_of_statement(content, start)):
            return found.end()
        start = found.end()
    return -1


def _start_of_statement(content: bytes, at: int) -> int:
    """Return where the next statement starts, behind blanks and comments."""
    leading = _LEADING.match(content, at)
    return leading.end() if leading else at


def _columns_of(table: str, statement: str) -> list[str]:
    """Return the columns that a CREATE TABLE names, found out in a database of its own."""
    scratch = sqlite3.connect(":memory:", isolation_level=None)
    try:
        scratch.set_authorizer(_allow_creation)
        scratch.execute(statement)
        scratch.set_authorizer(None)
        return [str(row[1]) for row in scratch.execute(f"PRAGMA table_info({table})")]
    finally:
        scratch.close()


def _allow_creation(action: int, *_: Any) -> int:
    return sqlite3.SQLITE_OK if action in _CREATION else sqlite3.SQLITE_DENY


def _bare(name: str) -> str:
    return name.strip('"`[]').lower()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _unistr(text: object) -> str:
    """Do what SQLite's own `unistr` does, which only its newest releases have."""
    return _UNISTR.sub(_character, str(text))


def _character(escape: re.Match[str]) -> str:
    digits = escape[2] or escape[3] or escape[4] or escape[5]
    return chr(int(digits, 16)) if digits else "\\"
