"""Exports to move in from: the real one, and a way to craft others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, select

from pluct_ledger.storage.schema import tables_in

REAL: Final = Path(__file__).resolve().parents[2] / "examples" / "data" / "pluct-d1"
REAL_FILE: Final = REAL / "d1.sqlite"
REAL_DUMP: Final = REAL / "d1.sql"
REAL_BALANCES: Final = REAL / "kv-balances.json"

TRANSACTIONS: Final = (
    "CREATE TABLE transactions (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, type TEXT NOT NULL, "
    "amount INTEGER NOT NULL, timestamp TEXT NOT NULL, reason TEXT)"
)
API_KEYS: Final = (
    "CREATE TABLE api_keys (id TEXT PRIMARY KEY, key_hash TEXT UNIQUE NOT NULL, description TEXT, "
    "created_at TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'active')"
)
LAX_TRANSACTIONS: Final = "CREATE TABLE transactions (id, user_id, type, amount, timestamp, reason)"
LAX_API_KEYS: Final = "CREATE TABLE api_keys (id, key_hash, description, created_at, status)"

Row = tuple[Any, Any, Any, Any, Any, Any]


def row(
    row_id: object = "t1",
    owner: object = "ada",
    kind: object = "admin_add",
    amount: object = 5,
    timestamp: object = "2024-01-01T00:00:00.000Z",
    reason: object = "Support goodwill",
) -> Row:
    """A row of ``transactions``."""
    return (row_id, owner, kind, amount, timestamp, reason)


def real_rows() -> list[Row]:
    """The rows of the real export, in the order in which they stand there."""
    connection = sqlite3.connect(REAL_FILE)
    try:
        return connection.execute(
            "SELECT id, user_id, type, amount, timestamp, reason FROM transactions ORDER BY rowid"
        ).fetchall()
    finally:
        connection.close()


def real_balances() -> dict[str, int]:
    """The balances that users of the old service saw."""
    members = json.loads(REAL_BALANCES.read_text(encoding="utf-8"))
    return {key.removeprefix("user:"): int(value) for key, value in members.items()}


def write_file(
    path: Path,
    transactions: Iterable[Row] = (),
    api_keys: Iterable[tuple[Any, ...]] = (),
    *,
    schema: Iterable[str] = (LAX_TRANSACTIONS, LAX_API_KEYS),
) -> Path:
    """Write an export as an SQLite file."""
    connection = sqlite3.connect(path)
    for statement in schema:
        connection.execute(statement)
    connection.executemany("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)", transactions)
    connection.executemany("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?)", api_keys)
    connection.commit()
    connection.close()
    return path


def write_dump(path: Path, *statements: str) -> Path:
    """Write an export as an SQL dump: the two tables, and these statements."""
    path.write_text(";\n".join((TRANSACTIONS, API_KEYS, *statements, "")), encoding="utf-8")
    return path


def write_balances(path: Path, **balances: object) -> Path:
    """Write balances of KV, by owner."""
    path.write_text(
        json.dumps({f"user:{owner}": value for owner, value in balances.items()}), encoding="utf-8"
    )
    return path


def tables_of(engine: Engine, *, without: Iterable[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of ours, sorted; `without` are columns that chance decides."""
    found = {}
    with engine.connect() as connection:
        for table in tables_in(None).metadata.sorted_tables:
            columns = [column for column in table.columns if column.name not in without]
            found[table.name] = sorted((tuple(one) for one in connection.execute(select(*columns))), key=repr)
    return found
