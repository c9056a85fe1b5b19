"""The first tables: accounts and their log, grants, tokens, API keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from alembic.operations import Operations

from pluct_ledger.migrations.columns import (
    CLUSTERED,
    ROWS,
    account_id,
    exact_text,
    fixed_bytes,
    long_text,
    number,
    small,
)
from pluct_ledger.migrations.marks import record, withdraw

revision: Final = "0001"
down_revision: Final = None

Create = Callable[..., Any]

TABLES: Final = ("account", "entry", "share", "grant", "hold", "token", "api_key", "meta")


def upgrade(op: Operations, schema: str | None) -> None:
    """Create what is not there yet, `meta` first and its version last."""
    table = partial(op.create_table, schema=schema, if_not_exists=True)
    index = partial(op.create_index, schema=schema, if_not_exists=True)
    _meta(table)
    _account(table, index)
    _entry(table, index)
    _share(table)
    _grant(table, index)
    _hold(table, index)
    _token(table, index)
    _api_key(table, index)
    record(op, "0001", serves_since="0001", schema=schema)


def downgrade(op: Operations, schema: str | None) -> None:
    """Drop everything that is still there, `meta` last."""
    withdraw(op, schema=schema)
    for name in TABLES:
        op.drop_table(f"pluct_{name}", schema=schema, if_exists=True)


def _meta(table: Create) -> None:
    table(
        "pluct_meta",
        sa.Column("name", exact_text(64), primary_key=True),
        sa.Column("value", exact_text(255), nullable=False),
        **ROWS,
    )


def _account(table: Create, index: Create) -> None:
    table(
        "pluct_account",
        sa.Column("account_id", account_id(), primary_key=True),
        sa.Column("book", exact_text(64), nullable=False),
        sa.Column("owner", exact_text(255), nullable=False),
        sa.Column("asset", exact_text(64), nullable=False),
        sa.Column("posted", number(), nullable=False),
        sa.Column("held", number(), nullable=False),
        sa.Column("seq", number(), nullable=False),
        sa.Column("last_at", number(), nullable=False),
        sa.Column("issued", number(), nullable=False),
        sa.Column("spent", number(), nullable=False),
        sa.Column("expired", number(), nullable=False),
        sa.Column("adjusted", number(), nullable=False),
        sa.Column("moved", number(), nullable=False),
        sa.Column("overdraft_limit", number()),
        sa.Column("status", small(), nullable=False),
        sa.Column("attention", small(), nullable=False),
        sa.Column("next_due_at", number()),
        sa.Column("opened_at", number(), nullable=False),
        sa.Column("metadata", long_text()),
        sa.CheckConstraint(
            "posted = issued - spent - expired + adjusted + moved",
            name="pluct_account_posted_has_its_sources",
        ),
        sa.CheckConstraint(
            "posted BETWEEN -9007199254740991 AND 9007199254740991", name="pluct_account_posted_within_bounds"
        ),
        sa.CheckConstraint("held BETWEEN 0 AND 9007199254740991", name="pluct_account_held_within_bounds"),
        sa.CheckConstraint("overdraft_limit >= 0", name="pluct_account_overdraft_limit_not_negative"),
        **ROWS,
    )
    index(
        "pluct_account_by_owner",
        "pluct_account",
        ["book", "asset", "owner"],
    )
    index(
        "pluct_account_by_next_due_at",
        "pluct_account",
        ["next_due_at"],
        **_where("next_due_at IS NOT NULL"),
    )


def _entry(table: Create, index: Create) -> None:
    table(
        "pluct_entry",
        sa.Column("account_id", account_id(), primary_key=True),
        sa.Column("seq", number(), primary_key=True, autoincrement=False),
        sa.Column("operation", small(), nullable=False),
        sa.Column("kind", exact_text(64)),
        sa.Column("amount", number(), nullable=False),
        sa.Column("hold_amount", number(), nullable=False),
        sa.Column("posted_after", number(), nullable=False),
        sa.Column("held_after", number(), nullable=False),
        sa.Column("counter", small(), nullable=False),
        sa.Column("counter_account_id", account_id()),
        sa.Column("counter_seq", number()),
        sa.Column("concerns_seq", number()),
        sa.Column("terms", long_text()),
        sa.Column("idempotency_key", exact_text(255)),
        sa.Column("key_hash", fixed_bytes(16)),
        sa.Column("reason", exact_text(500)),
        sa.Column("actor", exact_text(255)),
        sa.Column("metadata", long_text()),
        sa.Column("salt", fixed_bytes(16)),
        sa.Column("digest", fixed_bytes(16), nullable=False),
        sa.Column("event_at", number()),
        sa.Column("at", number(), nullable=False),
        sa.Column("ledger_id", number(), nullable=False),
        sa.CheckConstraint("seq >= 1", name="pluct_entry_seq_counts_from_one"),
        sa.CheckConstraint(
            "posted_after BETWEEN -9007199254740991 AND 9007199254740991",
            name="pluct_entry_posted_within_bounds",
        ),
        sa.CheckConstraint(
            "held_after BETWEEN 0 AND 9007199254740991", name="pluct_entry_held_within_bounds"
        ),
        sa.CheckConstraint(
            "idempotency_key IS NULL OR key_hash IS NOT NULL", name="pluct_entry_key_has_its_hash"
        ),
        sa.CheckConstraint(
            "(counter_account_id IS NULL) = (counter_seq IS NULL)", name="pluct_entry_counterpart_is_whole"
        ),
        sa.CheckConstraint(
            "salt IS NOT NULL OR (reason IS NULL AND actor IS NULL AND metadata IS NULL)",
            name="pluct_entry_remarks_are_salted",
        ),
        **CLUSTERED,
    )
    index(
        "pluct_entry_by_key",
        "pluct_entry",
        ["account_id", "key_hash"],
        unique=True,
    )
    index("pluct_entry_by_at", "pluct_entry", ["ledger_id", "at"])
    index(
        "pluct_entry_by_concern",
        "pluct_entry",
        ["account_id", "concerns_seq"],
        **_where("concerns_seq IS NOT NULL"),
    )


def _share(table: Create) -> None:
    table(
        "pluct_share",
        sa.Column("account_id", account_id(), primary_key=True),
        sa.Column("seq", number(), primary_key=True, autoincrement=False),
        sa.Column("grant_seq", number(), primary_key=True, autoincrement=False),
        sa.Column("grant_part", small(), primary_key=True, autoincrement=False),
        sa.Column("amount", number(), nullable=False),
        sa.Column("hold_amount", number(), nullable=False),
        **CLUSTERED,
    )


def _grant(table: Create, index: Create) -> None:
    table(
        "pluct_grant",
        sa.Column("account_id", account_id(), primary_key=True),
        sa.Column("seq", number(), primary_key=True, autoincrement=False),
        sa.Column("part", small(), primary_key=True, autoincrement=False),
        sa.Column("amount", number(), nullable=False),
        sa.Column("posted", number(), nullable=False),
        sa.Column("held", number(), nullable=False),
        sa.Column("pending", number(), nullable=False),
        sa.Column("effective_at", number()),
        sa.Column("expires_at", number()),
        sa.Column("priority", number(), nullable=False),
        sa.Column("label", exact_text(255)),
        sa.Column("granted_by", exact_text(255)),
        sa.Column("status", small(), nullable=False),
        sa.CheckConstraint("held BETWEEN 0 AND posted", name="pluct_grant_held_within_posted"),
        **CLUSTERED,
    )
    index(
        "pluct_grant_by_status",
        "pluct_grant",
        ["account_id", "status"],
        **_where("status = 0"),
    )
    index(
        "pluct_grant_by_granted_by",
        "pluct_grant",
        ["granted_by"],
        **_where("granted_by IS NOT NULL"),
    )


def _hold(table: Create, index: Create) -> None:
    table(
        "pluct_hold",
        sa.Column("account_id", account_id(), primary_key=True),
        sa.Column("seq", number(), primary_key=True, autoincrement=False),
        sa.Column("amount", number(), nullable=False),
        sa.Column("held", number(), nullable=False),
        sa.Column("expires_at", number(), nullable=False),
        sa.Column("status", small(), nullable=False),
        sa.CheckConstraint("held BETWEEN 0 AND amount", name="pluct_hold_held_within_amount"),
        **CLUSTERED,
    )
    index("pluct_hold_by_status", "pluct_hold", ["account_id", "status"], **_where("status = 0"))
    index("pluct_hold_by_expires_at", "pluct_hold", ["expires_at"], **_where("status = 0"))


def _token(table: Create, index: Create) -> None:
    table(
        "pluct_token",
        sa.Column("account_id", account_id(), primary_key=True),
        sa.Column("seq", number(), primary_key=True, autoincrement=False),
        sa.Column("key_id", exact_text(255), nullable=False),
        sa.Column("claims", long_text(), nullable=False),
        sa.Column("expires_at", number(), nullable=False),
        **CLUSTERED,
    )
    index("pluct_token_by_expires_at", "pluct_token", ["expires_at"])


def _api_key(table: Create, index: Create) -> None:
    table(
        "pluct_api_key",
        sa.Column("key_id", exact_text(64), primary_key=True),
        sa.Column("book", exact_text(64), nullable=False),
        sa.Column("digest", fixed_bytes(32), nullable=False),
        sa.Column("pepper_id", exact_text(64)),
        sa.Column("legacy", small(), nullable=False),
        sa.Column("description", exact_text(500), nullable=False),
        sa.Column("scopes", long_text(), nullable=False),
        sa.Column("status", small(), nullable=False),
        sa.Column("created_at", number(), nullable=False),
        sa.Column("last_used_at", number()),
        sa.Column("revoked_at", number()),
        sa.Column("revoked_reason", exact_text(500)),
        sa.Column("metadata", long_text()),
        **ROWS,
    )
    index(
        "pluct_api_key_by_digest",
        "pluct_api_key",
        ["digest"],
        unique=True,
    )
    index(
        "pluct_api_key_by_created_at",
        "pluct_api_key",
        ["book", "created_at"],
    )


def _where(condition: str) -> dict[str, Any]:
    """Options of an index over some of the rows only; MariaDB has none such, and indexes all."""
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}
