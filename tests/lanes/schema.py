"""The one place where the tests put our tables into a database."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from sqlalchemy import Engine

from pluct_ledger.storage.schema import tables_in

KEPT = ("pluct_meta", "pluct_ledger_alembic_version")


def install(engine: Engine) -> None:
    """Make our schema in an empty database, by the migrations as a host would."""
    migrations = import_module("pluct_ledger.migrations") if find_spec("pluct_ledger.migrations") else None
    if migrations is not None and hasattr(migrations, "upgrade"):
        migrations.upgrade(engine)
    else:
        tables_in(None).metadata.create_all(engine)


def configure(engine: Engine) -> Engine:
    """Set an SQLite engine up as the documentation tells hosts to."""
    if find_spec("pluct_ledger.sqlite"):
        import_module("pluct_ledger.sqlite").configure(engine)
    return engine
