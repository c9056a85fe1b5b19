"""Running revisions on a database: alone, from where it stands, and leaving the marks right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from pluct_ledger.errors import Contended, SchemaMismatch
from pluct_ledger.migrations import history, locks, marks
from pluct_ledger.migrations.marks import Marks
from pluct_ledger.storage import dialects
from pluct_ledger.storage.schema import VERSION_TABLE
from pluct_ledger.storage.transactions import READING

Bind = Engine | Connection
Ids = tuple[str, ...]


def upgrade(bind: Bind, target: str | None, schema: str | None) -> Ids:
    """Run what is missing up to `target`, alone, and make the version table say so."""
    with reading(bind) as connection:
        found = _glance(connection, schema) if isinstance(bind, Engine) else marks.read(connection, schema)
    if found.whole and reached(found, target):
        return ()
    with translated(), locks.alone(bind) as connection:
        return climb_on(connection, target, schema, stamped=True)


def downgrade(bind: Bind, target: str | None, schema: str | None) -> Ids:
    """Undo what is above `target`, alone."""
    with translated(), locks.alone(bind) as connection:
        return descend_on(connection, target, schema)


def climb_on(connection: Connection, target: str | None, schema: str | None, *, stamped: bool) -> Ids:
    """Run what is missing up to `target` on a connection that holds the lock.

    Args:
        connection: a connection in a transaction, under the database's lock.
        target: the revision to come to.
        schema: the PostgreSQL schema of our tables; None is the connection's default.
        stamped: make the version table where there is none.
    """
    found = marks.read(connection, schema, latest=True)
    op = _operations(connection)
    ran = () if reached(found, target) else climb(op, found.version, target, schema)
    version = ran[-1] if ran else found.version
    if version is not None and version != found.stamp and (stamped or found.stamp is not None):
        marks.stamp(op, version, schema=schema)
    return ran


def descend_on(connection: Connection, target: str | None, schema: str | None) -> Ids:
    """Undo what is above `target` on a connection that holds the lock."""
    found = marks.read(connection, schema, latest=True)
    if not history.known(found.version):
        raise SchemaMismatch(expected=history.head(), found=found.version)
    start = found.version
    if start is None and found.begun:
        start = history.revisions()[0].id  # cut off half-way: what is left of the first tables goes too
    op = _operations(connection)
    undone = descend(op, start, target, schema)
    if undone and target is not None and found.stamp is not None:
        marks.stamp(op, target, schema=schema)
    return undone


def climb(op: Operations, start: str | None, target: str | None, schema: str | None) -> Ids:
    """Run the revisions above `start` up to `target` and return their ids, oldest first."""
    steps = history.above(start, target)
    if steps and start is None and schema is not None:
        _create_schema(op, schema)
    for step in steps:
        step.upgrade(op, schema)
    return tuple(step.id for step in steps)


def descend(op: Operations, start: str | None, target: str | None, schema: str | None) -> Ids:
    """Undo the revisions above `target` from `start` on and return their ids, newest first."""
    steps = history.above(target, start)[::-1]
    for step in steps:
        step.downgrade(op, schema)
    if target is None:
        op.drop_table(VERSION_TABLE, schema=schema, if_exists=True)
    return tuple(step.id for step in steps)


def reached(found: Marks, target: str | None) -> bool:
    """Tell whether nothing is to be done to come to `target`.

    Raises:
        SchemaMismatch: a later release was here, and left this one behind.
    """
    if history.known(found.version):
        return (found.version or "") >= (target or "")
    require(found)
    return True


def require(found: Marks) -> None:
    """Do nothing where this release works on the tables.

    Raises:
        SchemaMismatch: it does not.
    """
    if not found.serve(history.head()):
        raise SchemaMismatch(expected=history.head(), found=found.version)


@contextmanager
def reading(bind: Bind) -> Iterator[Connection]:
    """Yield a connection to read on, and leave no transaction open that was not open before."""
    if isinstance(bind, Engine):
        with (
            translated(),
            locks.turn(bind),
            bind.execution_options(**{READING: True}).connect() as connection,
        ):
            yield connection
        return
    open_before = bind.in_transaction()
    try:
        with translated():
            yield bind
    finally:
        if not open_before:
            bind.rollback()


@contextmanager
def translated() -> Iterator[None]:
    """Raise `Contended` where others were in the way."""
    try:
        yield
    except DBAPIError as error:
        if dialects.is_contention(error):
            raise Contended from error
        raise


def _glance(connection: Connection, schema: str | None) -> Marks:
    try:
        return marks.glance(connection, schema)
    except DBAPIError as error:
        if dialects.is_missing_table(error):
            return Marks()
        raise


def _operations(connection: Connection) -> Operations:
    """Operations of our own, so that neither alembic's global `op` nor a host's naming convention plays a part."""
    return Operations(MigrationContext.configure(connection=connection))


def _create_schema(op: Operations, schema: str) -> None:
    """Create a schema that is missing; PostgreSQL asks for the right to do so even where it is there."""
    if op.get_context().as_sql or not inspect(op.get_bind()).has_schema(schema):
        op.execute(CreateSchema(schema, if_not_exists=True))
