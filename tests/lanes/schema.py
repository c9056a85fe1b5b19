"""The one place where the tests put our tables into a database."""

from __future__ import annotations

from sqlalchemy import Engine

from pluct_ledger import migrations, sqlite

KEPT = ("pluct_meta", "pluct_ledger_alembic_version")


def install(engine: Engine) -> None:
    """Make our schema in an empty database, by the migrations as a host would."""
    migrations.upgrade(engine)


def configure(engine: Engine) -> Engine:
    """Set an SQLite engine up as the documentation tells hosts to."""
    return sqlite.configure(engine)
