"""Column types that mean the same on every backend: exact text, 16-byte ids, 64-bit numbers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, LargeBinary, SmallInteger, String, Text
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

MARIADB_COLLATION = "utf8mb4_nopad_bin"
"""Byte by byte, trailing blanks included; utf8mb4_bin would take "a " for "a"."""

_MARIADB = ("mysql", "mariadb")


def integer() -> TypeEngine[int]:
    """A signed 64-bit number: amounts, instants in microseconds, sequence numbers."""
    return BigInteger().with_variant(sqlite.INTEGER(), "sqlite")


def small() -> TypeEngine[int]:
    """A small number: operations, statuses."""
    return SmallInteger().with_variant(sqlite.INTEGER(), "sqlite")


def exact_text(length: int) -> TypeEngine[str]:
    """Bounded text that compares and sorts byte by byte."""
    return (
        String(length)
        .with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
        .with_variant(sqlite.TEXT(), "sqlite")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation=MARIADB_COLLATION), *_MARIADB)
    )


def long_text() -> TypeEngine[str]:
    """Text whose bound is checked before it comes here; never compared in SQL."""
    return (
        Text()
        .with_variant(sqlite.TEXT(), "sqlite")
        .with_variant(mysql.TEXT(charset="utf8mb4", collation=MARIADB_COLLATION), *_MARIADB)
    )


def fixed_bytes(length: int) -> TypeEngine[bytes]:
    """Exactly `length` bytes: digests, salts, hashes of keys."""
    return (
        LargeBinary(length)
        .with_variant(sqlite.BLOB(), "sqlite")
        .with_variant(mysql.BINARY(length), *_MARIADB)
    )


class AccountId(TypeDecorator[bytes]):
    """A 16-byte account id: ``uuid`` on PostgreSQL, ``BINARY(16)`` on MariaDB, a BLOB on SQLite; bytes in Python."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=True))
        if dialect.name in _MARIADB:
            return dialect.type_descriptor(mysql.BINARY(16))
        return dialect.type_descriptor(sqlite.BLOB())

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return value
        return UUID(bytes=value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        return value.bytes if isinstance(value, UUID) else bytes(value)
