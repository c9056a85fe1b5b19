"""Releases that are not there yet: revision 0002, and 0003 that leaves the first release behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pluct_ledger.migrations.columns import number
from pluct_ledger.migrations.history import Revision
from pluct_ledger.migrations.marks import record


def _up_to_0002(op: Operations, schema: str | None) -> None:
    op.create_table(
        "pluct_later", sa.Column("id", number(), primary_key=True), schema=schema, if_not_exists=True
    )
    record(op, "0002", serves_since="0001", schema=schema)


def _down_to_0001(op: Operations, schema: str | None) -> None:
    record(op, "0001", serves_since="0001", schema=schema)
    op.drop_table("pluct_later", schema=schema, if_exists=True)


def _up_to_0003(op: Operations, schema: str | None) -> None:
    op.create_table(
        "pluct_last", sa.Column("id", number(), primary_key=True), schema=schema, if_not_exists=True
    )
    record(op, "0003", serves_since="0002", schema=schema)


def _down_to_0002(op: Operations, schema: str | None) -> None:
    record(op, "0002", serves_since="0001", schema=schema)
    op.drop_table("pluct_last", schema=schema, if_exists=True)


LATER = (
    Revision("0002", "0001", _up_to_0002, _down_to_0001),
    Revision("0003", "0002", _up_to_0003, _down_to_0002),
)
