"""${message}."""
<%text>
# Name column types and table options by pluct_ledger.migrations.columns. Create with if_not_exists=True and drop with
# if_exists=True: MariaDB commits after each, so a run that was cut off is run again. Only add what the release before
# can live with: what it needs goes in a later revision. On the way up `record` stands last, on the way down first.
</%text>
from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic.operations import Operations
${imports if imports else ""}
from pluct_ledger.migrations.marks import record

revision: Final = ${repr(up_revision)}
down_revision: Final = ${repr(down_revision)}


def upgrade(op: Operations, schema: str | None) -> None:
    """${message}."""
    ${upgrades if upgrades else ""}
    record(op, revision, serves_since=down_revision, schema=schema)


def downgrade(op: Operations, schema: str | None) -> None:
    """Go back to ${down_revision}."""
    record(op, down_revision, serves_since=down_revision, schema=schema)
    ${downgrades if downgrades else ""}
