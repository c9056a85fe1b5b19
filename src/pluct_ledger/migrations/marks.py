"""The marks that migrations leave in a database: the schema version in `pluct_meta`, and its copy for alembic.

`pluct_meta` holds two rows: `schema_version`, the newest revision that ran to its end, and `serves_since`, the oldest
schema version whose release works on these tables. The version table is a copy that alembic's own commands can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy import Connection, column, delete, insert, inspect, select, table
from sqlalchemy.schema import CreateTable

from pluct_ledger.storage.schema import PREFIX, VERSION_TABLE

META: Final = PREFIX + "meta"
SCHEMA_VERSION: Final = "schema_version"
SERVES_SINCE: Final = "serves_since"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a database says of its migrations.

    Attributes:
        begun: our tables are there, or a migration was cut off on its way to or from them.
        version: the newest revision that ran to its end.
        serves_since: the oldest schema version whose release works on these tables.
        stamp: what the version table says.
    """

    begun: bool = False
    version: str | None = None
    serves_since: str | None = None
    stamp: str | None = None

    @property
    def whole(self) -> bool:
        """The version table says what is so."""
        return self.version is not None and self.version == self.stamp

    def serve(self, version: str) -> bool:
        """Tell whether the release that needs this schema version works on these tables."""
        if self.version is None or self.version < version:
            return False
        return self.version == version or (self.serves_since is not None and self.serves_since <= version)


def read(connection: Connection, schema: str | None, *, latest: bool = False) -> Marks:
    """Read the marks with statements that don't fail where a table is missing.

    Args:
        connection: the connection to read on.
        schema: the PostgreSQL schema of our tables; None is the connection's default.
        latest: what others committed since this transaction's snapshot counts too.
    """
    inspector = inspect(connection)
    stamp = None
    if inspector.has_table(VERSION_TABLE, schema=schema):
        stamp = connection.scalar(select(_stamps(schema).c.version_num))
    if not inspector.has_table(META, schema=schema):
        return Marks(stamp=stamp)
    meta = _meta(schema)
    rows = select(meta.c.name, meta.c.value).where(meta.c.name.in_((SCHEMA_VERSION, SERVES_SINCE)))
    return _marks(connection.execute(rows.with_for_update() if latest else rows).all(), stamp)


def glance(connection: Connection, schema: str | None) -> Marks:
    """Read the marks of a database that was stamped, in two reads; none where it never was.

    Raises:
        DBAPIError: the version table is there and `pluct_meta` is not.
    """
    if not inspect(connection).has_table(VERSION_TABLE, schema=schema):
        return Marks()
    meta, stamps = _meta(schema), _stamps(schema)
    rows = connection.execute(
        select(meta.c.name, meta.c.value, stamps.c.version_num).select_from(
            meta.outerjoin(stamps, sa.text("1 = 1"))
        )
    ).all()
    return _marks([(name, value) for name, value, _ in rows], rows[0][2] if rows else None)


def record(op: Operations, version: str, *, serves_since: str, schema: str | None) -> None:
    """Write down, as the last act of a revision, that it ran to its end.

    Args:
        op: the operations of the run.
        version: the revision that the tables are now at.
        serves_since: the oldest schema version whose release works on these tables.
        schema: the PostgreSQL schema of our tables; None is the connection's default.
    """
    withdraw(op, schema=schema)
    for name, value in ((SCHEMA_VERSION, version), (SERVES_SINCE, serves_since)):
        op.execute(insert(_meta(schema)).values(name=name, value=value))


def withdraw(op: Operations, *, schema: str | None) -> None:
    """Take the marks back, as the first act of a way down, so that no release takes the tables for whole."""
    meta = _meta(schema)
    op.execute(delete(meta).where(meta.c.name.in_((SCHEMA_VERSION, SERVES_SINCE))))


def stamp(op: Operations, version: str, *, schema: str | None) -> None:
    """Make the version table say `version`."""
    op.execute(CreateTable(version_table(schema), if_not_exists=True))
    op.execute(delete(_stamps(schema)))
    op.execute(insert(_stamps(schema)).values(version_num=version))


def version_table(schema: str | None) -> sa.Table:
    """The version table, as alembic would make it."""
    return sa.Table(
        VERSION_TABLE,
        sa.MetaData(),
        sa.Column("version_num", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version_num", name=VERSION_TABLE + "_pkc"),
        schema=schema,
    )


def _marks(rows: Any, stamp: str | None) -> Marks:
    found = dict(tuple(row) for row in rows)
    return Marks(
        begun=True, version=found.get(SCHEMA_VERSION), serves_since=found.get(SERVES_SINCE), stamp=stamp
    )


def _meta(schema: str | None) -> sa.TableClause:
    return table(META, column("name", sa.String), column("value", sa.String), schema=schema)


def _stamps(schema: str | None) -> sa.TableClause:
    return table(VERSION_TABLE, column("version_num", sa.String), schema=schema)
