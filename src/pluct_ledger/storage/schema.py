"""The tables, as the newest revision leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, Index, MetaData, Table, text
from sqlalchemy.sql.schema import SchemaItem

from pluct_ledger.domain.arguments import MAX_AMOUNT
from pluct_ledger.storage.types import (
    MARIADB_COLLATION,
    AccountId,
    exact_text,
    fixed_bytes,
    integer,
    long_text,
    small,
)

PREFIX: Final = "pluct_"
VERSION_TABLE: Final = "pluct_ledger_alembic_version"
SCHEMA_VERSION: Final = "0001"
"""The newest revision: what `meta.schema_version` holds in a database that this release works on."""

_STRICT: Final[dict[str, Any]] = {
    "sqlite_strict": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": MARIADB_COLLATION,
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": MARIADB_COLLATION,
}
_CLUSTERED: Final[dict[str, Any]] = {**_STRICT, "sqlite_with_rowid": False}


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of one PostgreSQL schema (or of the connection's default)."""

    metadata: MetaData
    account: Table
    entry: Table
    share: Table
    grant: Table
    hold: Table
    token: Table
    api_key: Table
    meta: Table


@lru_cache(maxsize=64)
def tables_in(schema: str | None = None) -> Tables:
    """Return the tables in a PostgreSQL schema; None is the connection's default."""
    metadata = MetaData(schema=schema)
    return Tables(
        metadata=metadata,
        account=_account(metadata),
        entry=_entry(metadata),
        share=_share(metadata),
        grant=_grant(metadata),
        hold=_hold(metadata),
        token=_token(metadata),
        api_key=_api_key(metadata),
        meta=_meta(metadata),
    )


def table_names() -> frozenset[str]:
    """Return the names of all tables that are ours, the version table included."""
    return frozenset(table.name for table in tables_in(None).metadata.tables.values()) | {VERSION_TABLE}


def _table(name: str, metadata: MetaData, *items: SchemaItem, **options: Any) -> Table:
    return Table(PREFIX + name, metadata, *items, **options)


def _number(name: str, **options: Any) -> Column[int]:
    return Column(name, integer(), nullable=False, **options)


def _account_id() -> Column[bytes]:
    return Column("account_id", AccountId(), primary_key=True)


def _seq() -> Column[int]:
    return Column("seq", integer(), primary_key=True, autoincrement=False)


def _account(metadata: MetaData) -> Table:
    table = _table(
        "account",
        metadata,
        _account_id(),
        Column("book", exact_text(64), nullable=False),
        Column("owner", exact_text(255), nullable=False),
        Column("asset", exact_text(64), nullable=False),
        _number("posted"),
        _number("held"),
        _number("seq"),
        _number("last_at"),
        _number("issued"),
        _number("spent"),
        _number("expired"),
        _number("adjusted"),
        _number("moved"),
        Column("overdraft_limit", integer()),
        Column("status", small(), nullable=False),
        Column("attention", small(), nullable=False),
        Column("next_due_at", integer()),
        _number("opened_at"),
        Column("metadata", long_text()),
        CheckConstraint(
            "posted = issued - spent - expired + adjusted + moved",
            name=PREFIX + "account_posted_has_its_sources",
        ),
        CheckConstraint(
            f"posted BETWEEN -{MAX_AMOUNT} AND {MAX_AMOUNT}", name=PREFIX + "account_posted_within_bounds"
        ),
        CheckConstraint(f"held BETWEEN 0 AND {MAX_AMOUNT}", name=PREFIX + "account_held_within_bounds"),
        CheckConstraint("overdraft_limit >= 0", name=PREFIX + "account_overdraft_limit_not_negative"),
        **_STRICT,
    )
    Index(PREFIX + "account_by_owner", table.c.book, table.c.asset, table.c.owner)
    Index(
        PREFIX + "account_by_next_due_at",
        table.c.next_due_at,
        postgresql_where=text("next_due_at IS NOT NULL"),
        sqlite_where=text("next_due_at IS NOT NULL"),
    )
    return table


def _entry(metadata: MetaData) -> Table:
    table = _table(
        "entry",
        metadata,
        _account_id(),
        _seq(),
        Column("operation", small(), nullable=False),
        Column("kind", exact_text(64)),
        _number("amount"),
        _number("hold_amount"),
        _number("posted_after"),
        _number("held_after"),
        Column("counter", small(), nullable=False),
        Column("counter_account_id", AccountId()),
        Column("counter_seq", integer()),
        Column("concerns_seq", integer()),
        Column("terms", long_text()),
        Column("idempotency_key", exact_text(255)),
        Column("key_hash", fixed_bytes(16)),
        Column("reason", exact_text(500)),
        Column("actor", exact_text(255)),
        Column("metadata", long_text()),
        Column("salt", fixed_bytes(16)),
        Column("digest", fixed_bytes(16), nullable=False),
        Column("event_at", integer()),
        _number("at"),
        _number("ledger_id"),
        CheckConstraint("seq >= 1", name=PREFIX + "entry_seq_counts_from_one"),
        CheckConstraint(
            f"posted_after BETWEEN -{MAX_AMOUNT} AND {MAX_AMOUNT}", name=PREFIX + "entry_posted_within_bounds"
        ),
        CheckConstraint(f"held_after BETWEEN 0 AND {MAX_AMOUNT}", name=PREFIX + "entry_held_within_bounds"),
        CheckConstraint(
            "idempotency_key IS NULL OR key_hash IS NOT NULL", name=PREFIX + "entry_key_has_its_hash"
        ),
        CheckConstraint(
            "(counter_account_id IS NULL) = (counter_seq IS NULL)", name=PREFIX + "entry_counterpart_is_whole"
        ),
        CheckConstraint(
            "salt IS NOT NULL OR (reason IS NULL AND actor IS NULL AND metadata IS NULL)",
            name=PREFIX + "entry_remarks_are_salted",
        ),
        **_CLUSTERED,
    )
    Index(PREFIX + "entry_by_key", table.c.account_id, table.c.key_hash, unique=True)
    Index(PREFIX + "entry_by_at", table.c.ledger_id, table.c.at)
    Index(
        PREFIX + "entry_by_concern",
        table.c.account_id,
        table.c.concerns_seq,
        postgresql_where=text("concerns_seq IS NOT NULL"),
        sqlite_where=text("concerns_seq IS NOT NULL"),
    )
    return table


def _share(metadata: MetaData) -> Table:
    return _table(
        "share",
        metadata,
        _account_id(),
        _seq(),
        Column("grant_seq", integer(), primary_key=True, autoincrement=False),
        Column("grant_part", small(), primary_key=True, autoincrement=False),
        _number("amount"),
        _number("hold_amount"),
        **_CLUSTERED,
    )


def _grant(metadata: MetaData) -> Table:
    table = _table(
        "grant",
        metadata,
        _account_id(),
        _seq(),
        Column("part", small(), primary_key=True, autoincrement=False),
        _number("amount"),
        _number("posted"),
        _number("held"),
        _number("pending"),
        Column("effective_at", integer()),
        Column("expires_at", integer()),
        _number("priority"),
        Column("label", exact_text(255)),
        Column("granted_by", exact_text(255)),
        Column("status", small(), nullable=False),
        CheckConstraint("held BETWEEN 0 AND posted", name=PREFIX + "grant_held_within_posted"),
        **_CLUSTERED,
    )
    Index(
        PREFIX + "grant_by_status",
        table.c.account_id,
        table.c.status,
        postgresql_where=text("status = 0"),
        sqlite_where=text("status = 0"),
    )
    Index(
        PREFIX + "grant_by_granted_by",
        table.c.granted_by,
        postgresql_where=text("granted_by IS NOT NULL"),
        sqlite_where=text("granted_by IS NOT NULL"),
    )
    return table


def _hold(metadata: MetaData) -> Table:
    table = _table(
        "hold",
        metadata,
        _account_id(),
        _seq(),
        _number("amount"),
        _number("held"),
        _number("expires_at"),
        Column("status", small(), nullable=False),
        CheckConstraint("held BETWEEN 0 AND amount", name=PREFIX + "hold_held_within_amount"),
        **_CLUSTERED,
    )
    Index(
        PREFIX + "hold_by_status",
        table.c.account_id,
        table.c.status,
        postgresql_where=text("status = 0"),
        sqlite_where=text("status = 0"),
    )
    Index(
        PREFIX + "hold_by_expires_at",
        table.c.expires_at,
        postgresql_where=text("status = 0"),
        sqlite_where=text("status = 0"),
    )
    return table


def _token(metadata: MetaData) -> Table:
    table = _table(
        "token",
        metadata,
        _account_id(),
        _seq(),
        Column("key_id", exact_text(255), nullable=False),
        Column("claims", long_text(), nullable=False),
        _number("expires_at"),
        **_CLUSTERED,
    )
    Index(PREFIX + "token_by_expires_at", table.c.expires_at)
    return table


def _api_key(metadata: MetaData) -> Table:
    table = _table(
        "api_key",
        metadata,
        Column("key_id", exact_text(64), primary_key=True),
        Column("book", exact_text(64), nullable=False),
        Column("digest", fixed_bytes(32), nullable=False),
        Column("pepper_id", exact_text(64)),
        Column("legacy", small(), nullable=False),
        Column("description", exact_text(500), nullable=False),
        Column("scopes", long_text(), nullable=False),
        Column("status", small(), nullable=False),
        _number("created_at"),
        Column("last_used_at", integer()),
        Column("revoked_at", integer()),
        Column("revoked_reason", exact_text(500)),
        Column("metadata", long_text()),
        **_STRICT,
    )
    Index(PREFIX + "api_key_by_digest", table.c.digest, unique=True)
    Index(PREFIX + "api_key_by_created_at", table.c.book, table.c.created_at)
    return table


def _meta(metadata: MetaData) -> Table:
    return _table(
        "meta",
        metadata,
        Column("name", exact_text(64), primary_key=True),
        Column("value", exact_text(255), nullable=False),
        **_STRICT,
    )
