"""The revisions make exactly what the code says the tables are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Engine, inspect

from pluct_ledger import migrations
from pluct_ledger.migrations import history, marks, versions
from pluct_ledger.storage.schema import SCHEMA_VERSION, VERSION_TABLE, table_names, tables_in
from tests.migrations.catalog import catalog

ROOT = Path(__file__).resolve().parents[2]


def test_the_code_needs_the_newest_revision() -> None:
    """The schema version that the code asks for is the newest revision's id."""
    assert history.head() == SCHEMA_VERSION


def test_revisions_are_numbered_in_order() -> None:
    """Revisions are numbered from 0001 on with four digits, so that their ids as text tell which is newer."""
    ids = [revision.id for revision in history.revisions()]
    assert ids == [f"{number:04d}" for number in range(1, len(ids) + 1)]


def test_alembic_finds_no_difference(engine: Engine) -> None:
    """Autogenerate, comparing types and indexes too, proposes nothing after the newest revision."""
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables_in(None).metadata) == []


def test_the_catalogs_are_equal(fresh_database: Callable[[], Engine]) -> None:
    """Collations, CHECKs, conditions of indexes and table options are those that the metadata itself would make."""
    migrated, created = fresh_database(), fresh_database()
    migrations.upgrade(migrated)
    tables_in(None).metadata.create_all(created)

    assert catalog(migrated, leave_out=(VERSION_TABLE,)) == catalog(created)


def test_the_tables_are_all_there(engine: Engine) -> None:
    """A migrated database holds our tables and the version table, and nothing else."""
    assert set(inspect(engine).get_table_names()) == table_names()


def test_every_step_is_written_down(fresh_database: Callable[[], Engine]) -> None:
    """After each revision, up and down, both marks name it."""
    engine = fresh_database()
    ids = [revision.id for revision in history.revisions()]

    for step in ids:
        migrations.upgrade(engine, to=step)
        with engine.connect() as connection:
            found = marks.read(connection, None)
            assert (found.version, found.stamp) == (step, step)
    for step in reversed(ids[:-1]):
        migrations.downgrade(engine, to=step)
        with engine.connect() as connection:
            found = marks.read(connection, None)
            assert (found.version, found.stamp) == (step, step)


def test_the_command_line_of_alembic_works_on_our_revisions(fresh_database: Callable[[], Engine]) -> None:
    """In a checkout `alembic upgrade head` migrates, `check` finds nothing to add, and `downgrade base` empties."""
    engine = fresh_database()

    def alembic(*arguments: str) -> str:
        environment = {**os.environ, "DATABASE_URL": engine.url.render_as_string(hide_password=False)}
        command = [sys.executable, "-m", "alembic", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    alembic("upgrade", "head")
    migrations.check(engine)
    assert migrations.upgrade(engine) == ()
    assert "No new upgrade operations detected" in alembic("check")
    alembic("downgrade", "base")
    assert inspect(engine).get_table_names() == [VERSION_TABLE]


def test_a_new_revision_begins_with_what_every_revision_needs(
    tmp_path: Path, fresh_database: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `alembic revision` writes is numbered on, and runs up and down as it stands."""
    engine = fresh_database()
    migrations.upgrade(engine)
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    config.set_main_option("version_locations", f"{Path(versions.__path__[0])}{os.pathsep}{tmp_path}")
    config.set_main_option("path_separator", "os")
    script = command.revision(config, "a step", autogenerate=True, version_path=str(tmp_path))
    assert isinstance(script, Script)
    assert (script.revision, script.down_revision) == ("0002", "0001")

    new = history.Revision("0002", "0001", script.module.upgrade, script.module.downgrade)
    known = (*history.revisions(), new)
    monkeypatch.setattr(history, "revisions", lambda: known)
    assert migrations.upgrade(engine) == ("0002",)
    assert migrations.downgrade(engine, to="0001") == ("0002",)
