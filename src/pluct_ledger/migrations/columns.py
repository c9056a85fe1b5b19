"""What revisions write their tables in: column types and table options that never change once a release used them.

Revisions don't import `storage.types`: a change there is news, and history has to stay as it was. What a later revision
needs otherwise is added here under a new name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BigInteger, LargeBinary, SmallInteger, String, Text
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import TypeEngine

_MARIADB: Final = ("mysql", "mariadb")
_COLLATION: Final = "utf8mb4_nopad_bin"

ROWS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "sqlite_strict": True,
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": _COLLATION,
        "mariadb_engine": "InnoDB",
        "mariadb_charset": "utf8mb4",
        "mariadb_collate": _COLLATION,
    }
)
"""Options of a table: typed on SQLite; InnoDB, and bytes that compare as bytes, on MariaDB."""

CLUSTERED: Final[Mapping[str, Any]] = MappingProxyType({**ROWS, "sqlite_with_rowid": False})
"""The same for a table that lies in the order of its primary key on SQLite too."""


def account_id() -> TypeEngine[Any]:
    """The 16 bytes that name an account."""
    return (
        LargeBinary(16)
        .with_variant(postgresql.UUID(), "postgresql")
        .with_variant(sqlite.BLOB(), "sqlite")
        .with_variant(mysql.BINARY(16), *_MARIADB)
    )


def number() -> TypeEngine[int]:
    """A signed 64-bit number."""
    return BigInteger().with_variant(sqlite.INTEGER(), "sqlite")


def small() -> TypeEngine[int]:
    """A signed 16-bit number."""
    return SmallInteger().with_variant(sqlite.INTEGER(), "sqlite")


def exact_text(length: int) -> TypeEngine[str]:
    """Bounded text that compares and sorts byte by byte."""
    return (
        String(length)
        .with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
        .with_variant(sqlite.TEXT(), "sqlite")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation=_COLLATION), *_MARIADB)
    )


def long_text() -> TypeEngine[str]:
    """Text without a bound of its own."""
    return (
        Text()
        .with_variant(sqlite.TEXT(), "sqlite")
        .with_variant(mysql.TEXT(charset="utf8mb4", collation=_COLLATION), *_MARIADB)
    )


def fixed_bytes(length: int) -> TypeEngine[bytes]:
    """Exactly `length` bytes."""
    return (
        LargeBinary(length)
        .with_variant(sqlite.BLOB(), "sqlite")
        .with_variant(mysql.BINARY(length), *_MARIADB)
    )
