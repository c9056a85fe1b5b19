"""Creates our tables and brings them up to this release, on whichever of three roads a host likes.

A host with an alembic history of its own calls `upgrade(to="0001")` in a revision; one without calls `upgrade(engine)`
when it starts; database administrators get `sql(dialect)`. Revisions only add what the release before can live with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Engine

from pluct_ledger.errors import InvalidArgument
from pluct_ledger.migrations import history, marks, offline, runs
from pluct_ledger.storage.dialects import Backend, backend_of
from pluct_ledger.storage.schema import table_names

__all__ = ["check", "downgrade", "include_name", "sql", "upgrade"]

_OURS: Final = table_names()


def upgrade(
    bind: Engine | Connection | None = None,
    *,
    to: str = "head",
    since: str | None = None,
    schema: str | None = None,
) -> tuple[str, ...]:
    """Bring our tables up to a revision; where they are, or are beyond it, nothing happens.

    Safe from any number of threads and processes at once: one runs the revisions, the others wait and find them run.

    Args:
        bind: an engine, whose transaction is begun and committed here; or a connection: in a transaction it is left to
            whoever began it (MariaDB commits around every change of a table all the same), without one it is begun and
            committed here. Without a bind, the alembic revision that is running says where, offline too.
        to: the id of a revision, or "head".
        since: the revision that the tables are at, for an offline run of alembic that starts in the middle.
        schema: the PostgreSQL schema for our tables, created where it is missing; None is the connection's default.

    Returns:
        The ids of the revisions that were run, oldest first.

    Raises:
        InvalidArgument: no such revision; no bind outside an alembic revision; a connection in autocommit mode; a
            schema on another database than PostgreSQL; an offline run whose start is unknown.
        SchemaMismatch: a later release migrated this database, and this one cannot work on it.
        Contended: another migration, or a lock on a table, was in the way for too long.
    """
    target = history.resolve("to", to)
    if target is None:
        raise InvalidArgument("to", "upgrading leads up: downgrade(to='base') removes the tables")
    if bind is None:
        context = offline.host_context()
        _check_schema(context.dialect.name, schema)
        return offline.upgrade(context, target, since, schema)
    _check_bind(bind, schema)
    return runs.upgrade(bind, target, schema)


def downgrade(
    bind: Engine | Connection | None = None,
    *,
    to: str,
    since: str | None = None,
    schema: str | None = None,
) -> tuple[str, ...]:
    """Undo the revisions above one; to "base" it removes every table of ours, and all credit with them.

    Args:
        bind: as for `upgrade`.
        to: the id of the revision to come to, or "base".
        since: the revision that the tables are at, for an offline run of alembic that starts in the middle.
        schema: the PostgreSQL schema of our tables, which itself stays; None is the connection's default.

    Returns:
        The ids of the revisions that were undone, newest first.

    Raises:
        InvalidArgument: as for `upgrade`.
        SchemaMismatch: a later release migrated this database, and only it knows the way back.
        Contended: another migration, or a lock on a table, was in the way for too long.
    """
    target = history.resolve("to", to)
    if bind is None:
        context = offline.host_context()
        _check_schema(context.dialect.name, schema)
        return offline.downgrade(context, target, since, schema)
    _check_bind(bind, schema)
    return runs.downgrade(bind, target, schema)


def sql(dialect: str, *, to: str = "head", since: str = "base", schema: str | None = None) -> str:
    """Return the upgrade as a script, for whoever runs SQL by hand; afterwards `upgrade(engine)` finds nothing to do.

    Args:
        dialect: "sqlite", "postgresql" or "mariadb".
        to: the id of a revision, or "head".
        since: the revision that the tables are at, or "base" where there are none.
        schema: the PostgreSQL schema for our tables, created where it is missing; None is the connection's default.

    Returns:
        The statements, each ending in a semicolon at the end of a line; no text where there is nothing to do.

    Raises:
        InvalidArgument: no such dialect or revision; a schema on another database than PostgreSQL.
    """
    if dialect not in offline.DIALECTS:
        raise InvalidArgument("dialect", f"must be one of {', '.join(offline.DIALECTS)}")
    _check_schema(dialect, schema)
    return offline.script(dialect, history.resolve("to", to), history.resolve("since", since), schema)


def check(bind: Engine | Connection, *, schema: str | None = None) -> None:
    """Do nothing where this release works on the tables that are there, which it does on those of the next release too.

    Args:
        bind: an engine or a connection; a transaction that is open stays so, and none is left open that was not.
        schema: the PostgreSQL schema of our tables; None is the connection's default.

    Raises:
        InvalidArgument: the bind is neither; a schema on another database than PostgreSQL.
        SchemaMismatch: there are no tables of ours, or not all that this release needs, or a later release has left it
            behind.
        Contended: a lock on a table was in the way for too long.
    """
    _check_bind(bind, schema)
    with runs.reading(bind) as connection:
        runs.require(marks.read(connection, schema))


def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:  # noqa: ARG001 - alembic's signature
    """Keep alembic's autogenerate of a host from dropping our tables: its `env.py` passes this to `context.configure`.

    Args:
        name: the name of what alembic found in the database.
        type_: what it is: "schema", "table", "column", "index" and so on.
        parent_names: what it is in.

    Returns:
        False for our tables and our version table, True for all else.
    """
    return not (type_ == "table" and name in _OURS)


def _check_bind(bind: object, schema: str | None) -> None:
    if not isinstance(bind, Engine | Connection):
        raise InvalidArgument("bind", f"an Engine or a Connection is required, not {type(bind).__name__}")
    _check_schema(bind.dialect.name, schema)


def _check_schema(dialect: str, schema: object) -> None:
    backend = backend_of(dialect)
    if schema is None:
        return
    if backend is not Backend.POSTGRESQL:
        raise InvalidArgument("schema", "only PostgreSQL has schemas")
    if not isinstance(schema, str) or not schema:
        raise InvalidArgument("schema", "must be the name of a schema")
