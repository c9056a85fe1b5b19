"""Alembic's environment for writing revisions of this project; hosts have theirs, see hosts/README.md.

`DATABASE_URL` names the database: `alembic upgrade head`, `alembic check`, `alembic revision --autogenerate -m "..."`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from alembic import context
from alembic.operations import MigrationScript, Operations
from sqlalchemy import create_engine

from pluct_ledger.migrations import history
from pluct_ledger.storage.schema import VERSION_TABLE, tables_in


def number_on(_context: Any, _revision: Any, scripts: Iterable[MigrationScript]) -> None:
    """Number revisions on from the newest: releases compare them by their ids."""
    for script in scripts:
        script.rev_id = f"{int(history.head()) + 1:04d}"


options: dict[str, Any] = {
    "target_metadata": tables_in(None).metadata,
    "version_table": VERSION_TABLE,
    "process_revision_directives": number_on,
}


def run() -> None:
    """Hand the operations to revisions as an argument, as `pluct_ledger.migrations` does."""
    with context.begin_transaction():
        context.run_migrations(op=Operations(context.get_context()), schema=None)


if context.is_offline_mode():
    context.configure(url=os.environ["DATABASE_URL"], literal_binds=True, **options)
    run()
else:
    engine = create_engine(os.environ["DATABASE_URL"])
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        run()
    engine.dispose()
