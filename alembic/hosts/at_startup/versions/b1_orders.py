"""The host's own tables."""

import sqlalchemy as sa
from alembic import op

revision = "b1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "host_order",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("host_order")
