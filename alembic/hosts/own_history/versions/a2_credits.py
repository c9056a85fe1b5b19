"""The tables of pluct-ledger, as a step of the host's own history."""

from pluct_ledger import migrations

revision = "a2"
down_revision = "a1"


def upgrade() -> None:
    # Always a number, never "head": what a revision does must not change when the library is updated.
    # The revision for the next release of pluct-ledger will say upgrade(to="0002", since="0001"): `since` is where an
    # offline run (alembic upgrade a2:a3 --sql) starts, which cannot ask the database.
    migrations.upgrade(to="0001")


def downgrade() -> None:
    # Removes all credit: the log is in these tables. Of the next one: downgrade(to="0001", since="0002").
    migrations.downgrade(to="base")
