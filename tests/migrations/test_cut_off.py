"""Migrations that are cut off half-way, at every statement, and go on afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from pluct_ledger import SchemaMismatch, migrations
from pluct_ledger.storage.schema import VERSION_TABLE
from tests.migrations.catalog import catalog, nothing_is_left

Fresh = Callable[[], Engine]

LINE_CUT = """
import os, sys
from sqlalchemy import create_engine, event
from pluct_ledger import migrations

engine = create_engine(sys.argv[1])

@event.listens_for(engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if sys.argv[2] in statement:
        os._exit(9)

migrations.upgrade(engine)
"""


class CutOff(Exception):
    """The process is gone."""


@contextmanager
def cut_off_after(engine: Engine, number: int) -> Iterator[None]:
    """Raise after this many statements that change something."""
    left = number

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal left
        if statement.strip().startswith(("CREATE", "DROP", "INSERT", "DELETE")):
            left -= 1
            if left < 0:
                raise CutOff

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


def passes(engine: Engine) -> bool:
    try:
        migrations.check(engine)
    except SchemaMismatch:
        return False
    return True


def cut_off_everywhere(engine: Engine, migrate: Callable[[], Any]) -> Iterator[int]:
    """Cut `migrate` off before its first change, then before its second, until it runs to its end."""
    for number in range(100):
        try:
            with cut_off_after(engine, number):
                migrate()
        except CutOff:
            yield number
        else:
            return
    raise AssertionError("a migration has no hundred statements")


def test_an_upgrade_goes_on_from_anywhere(lane: str, fresh_database: Fresh) -> None:
    """Cut off after any of its statements, an upgrade leaves nothing that passes for whole, and can be completed."""
    engine = fresh_database()
    migrations.upgrade(engine)
    whole = catalog(engine)
    migrations.downgrade(engine, to="base")

    cuts = 0
    for cuts, _ in enumerate(cut_off_everywhere(engine, lambda: migrations.upgrade(engine)), 1):
        if lane != "mariadb":
            # Differs because MariaDB commits around each CREATE TABLE.
            assert nothing_is_left(engine)
        elif passes(engine):
            missing = set(whole) - set(catalog(engine))
            assert all(name.startswith(VERSION_TABLE) for name in missing)
        if cuts % 2:
            migrations.upgrade(engine)
            migrations.check(engine)
            assert catalog(engine) == whole
        migrations.downgrade(engine, to="base")
        assert nothing_is_left(engine)
    assert cuts > 20


def test_a_downgrade_goes_on_from_anywhere(fresh_database: Fresh) -> None:
    """Cut off after each of its statements, a downgrade is completed by the next, and undone by an upgrade."""
    engine = fresh_database()
    migrations.upgrade(engine)
    whole = catalog(engine)

    for cut in cut_off_everywhere(engine, lambda: migrations.downgrade(engine, to="base")):
        if cut % 2:
            migrations.downgrade(engine, to="base")
            assert nothing_is_left(engine)
        migrations.upgrade(engine)
        migrations.check(engine)
        assert catalog(engine) == whole
    assert nothing_is_left(engine)


@pytest.mark.parametrize(
    "last", ["CREATE TABLE IF NOT EXISTS pluct_entry", "INSERT INTO pluct_meta", "INSERT INTO pluct_ledger"]
)
def test_a_process_that_dies_leaves_no_lock(fresh_database: Fresh, last: str) -> None:
    """A process killed in the middle of an upgrade holds nobody up: the next one makes all tables."""
    engine = fresh_database()
    url = engine.url.render_as_string(hide_password=False)
    died = subprocess.run(
        [sys.executable, "-c", LINE_CUT, url, last], capture_output=True, text=True, check=False, timeout=60
    )
    assert died.returncode == 9, died.stderr

    migrations.upgrade(engine)
    migrations.check(engine)
    assert migrations.upgrade(engine) == ()


@pytest.mark.lanes("postgres", "mariadb", because="SQLite has no connections that others could cut")
def test_a_connection_that_is_lost_leaves_no_lock(lane: str, fresh_database: Fresh) -> None:
    """When the server ends the connection of an upgrade, the error comes through and the next upgrade completes it."""
    engine = fresh_database()
    other = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    me, kill = {
        "postgres": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mariadb": ("SELECT CONNECTION_ID()", "KILL {}"),
    }[lane]
    killed: list[int] = []

    @event.listens_for(engine, "before_cursor_execute")
    def lose(connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if "pluct_entry" in statement and not killed:
            cursor.execute(me)
            killed.append(cursor.fetchone()[0])
            with other.connect() as admin:
                admin.execute(text(kill.format(killed[0])))

    with pytest.raises(DBAPIError):
        migrations.upgrade(engine)
    assert migrations.upgrade(engine) == ("0001",)
    migrations.check(engine)
    other.dispose()
