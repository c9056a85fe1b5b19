"""Migrations without a database to ask: under a host's alembic, and scripts for database administrators."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any, Final
from weakref import WeakKeyDictionary

import alembic.op
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Dialect
from sqlalchemy.dialects import mysql, postgresql, sqlite

from pluct_ledger.errors import InvalidArgument
from pluct_ledger.migrations import history, locks, marks, runs
from pluct_ledger.migrations.runs import Ids

DIALECTS: Final[dict[str, Callable[..., Dialect]]] = {
    "sqlite": sqlite.dialect,
    "postgresql": postgresql.dialect,
    "mariadb": mysql.dialect,
}

# How far an offline run of a host's alembic has come.
_emitted: Final[WeakKeyDictionary[MigrationContext, str | None]] = WeakKeyDictionary()


def host_context() -> MigrationContext:
    """Return the context of the host's alembic revision that is running.

    Raises:
        InvalidArgument: none is running.
    """
    try:
        return alembic.op.get_context()
    except (
        NameError,
        AttributeError,
    ) as error:  # alembic raises one before its first revision, the other after
        raise InvalidArgument(
            "bind", "an Engine or a Connection is required outside an alembic revision"
        ) from error


def upgrade(context: MigrationContext, target: str | None, since: str | None, schema: str | None) -> Ids:
    """Run what is missing up to `target` as a part of a host's revision."""
    if not context.as_sql:
        assert context.connection is not None
        with runs.translated(), locks.inside(context.connection, checked=False) as connection:
            return runs.climb_on(connection, target, schema, stamped=False)
    start = _start_of_climb(context, target, since)
    ran = runs.climb(_operations(context.dialect, context.output_buffer), start, target, schema)
    _emitted[context] = ran[-1] if ran else start
    return ran


def downgrade(context: MigrationContext, target: str | None, since: str | None, schema: str | None) -> Ids:
    """Undo what is above `target` as a part of a host's revision."""
    if not context.as_sql:
        assert context.connection is not None
        with runs.translated(), locks.inside(context.connection, checked=False) as connection:
            return runs.descend_on(connection, target, schema)
    start = _start_of_descent(context, target, since)
    undone = runs.descend(_operations(context.dialect, context.output_buffer), start, target, schema)
    _emitted[context] = target if undone else start
    return undone


def script(dialect: str, target: str | None, since: str | None, schema: str | None) -> str:
    """Return the SQL of the revisions above `since` up to `target`, the marks included."""
    lines = StringIO()
    op = _operations(DIALECTS[dialect](paramstyle="named"), lines)
    lines.write(
        f"-- pluct-ledger: {dialect}, from {since or history.BASE} to {target or history.BASE}\n\nBEGIN;\n\n"
    )
    ran = runs.climb(op, since, target, schema)
    if not ran:
        return ""
    marks.stamp(op, ran[-1], schema=schema)
    lines.write("COMMIT;\n")
    return lines.getvalue()


def _operations(dialect: Dialect, script: Any) -> Operations:
    options = {"as_sql": True, "literal_binds": True, "output_buffer": script}
    return Operations(MigrationContext.configure(dialect=dialect, opts=options))


def _start_of_climb(context: MigrationContext, target: str | None, since: str | None) -> str | None:
    if context in _emitted:
        return _emitted[context]
    if since is not None:
        return history.resolve("since", since)
    from_base = context.opts.get("starting_rev") in (None, history.BASE)
    if from_base or len(history.above(None, target)) <= 1:
        return None
    raise _unknown_start()


def _start_of_descent(context: MigrationContext, target: str | None, since: str | None) -> str | None:
    if context in _emitted:
        return _emitted[context]
    if since is not None:
        return history.resolve("since", since)
    candidates = history.above(target, history.head())
    if len(candidates) > 1:
        raise _unknown_start()
    return candidates[0].id if candidates else target


def _unknown_start() -> InvalidArgument:
    return InvalidArgument(
        "since", "an offline run can't read which revision the tables are at: say since='...'"
    )
