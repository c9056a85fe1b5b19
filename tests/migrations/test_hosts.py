"""What `alembic/hosts` shows to integrators runs, file by file, on every database."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect

from pluct_ledger import migrations
from pluct_ledger.storage.schema import VERSION_TABLE, table_names
from tests.migrations.catalog import catalog
from tests.migrations.scripts import run_script

HOSTS = Path(__file__).resolve().parents[2] / "alembic" / "hosts"
THEIRS = {"host_order", "alembic_version"}

Host = Callable[[str], "Road"]


class Road:
    """One of the hosts, with a new database of its own."""

    def __init__(self, name: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = engine
        self.directory = HOSTS / name
        self.written = StringIO()
        self.config = Config(self.directory / "alembic.ini", stdout=self.written, output_buffer=self.written)
        self._url = engine.url.render_as_string(hide_password=False)
        self._monkeypatch = monkeypatch

    def alembic(self, name: str, *arguments: str, sql: bool = False) -> str:
        """What `alembic <name> <arguments>` prints."""
        self._monkeypatch.setenv("DATABASE_URL", self._url)
        self.written.seek(0)
        self.written.truncate()
        getattr(command, name)(self.config, *arguments, **({"sql": True} if sql else {}))
        return self.written.getvalue()

    def python(self, file: str, *arguments: str) -> None:
        """Run a file of the host's as a program."""
        self._monkeypatch.setenv("DATABASE_URL", self._url)
        self._monkeypatch.setattr(sys, "argv", [file, *arguments])
        runpy.run_path(str(self.directory / file), run_name="__main__")

    @property
    def tables(self) -> set[str]:
        return set(inspect(self.engine).get_table_names())


@pytest.fixture
def host(fresh_database: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch) -> Host:
    """Finds a host by the name of its directory."""
    return lambda name: Road(name, fresh_database(), monkeypatch)


def test_a_history_that_holds_ours(host: Host) -> None:
    """One `upgrade head` makes the host's tables and ours, `check` is content, and the way down takes ours first."""
    road = host("own_history")
    road.alembic("upgrade", "head")

    assert road.tables == THEIRS | table_names() - {VERSION_TABLE}
    assert "No new upgrade operations" in road.alembic("check")
    migrations.check(road.engine)
    assert migrations.upgrade(road.engine) == ()
    assert "No new upgrade operations" in road.alembic("check")

    road.alembic("downgrade", "a1")
    assert road.tables == THEIRS
    road.alembic("upgrade", "head")
    road.alembic("downgrade", "base")
    assert road.tables == {"alembic_version"}


def test_a_history_that_holds_ours_offline(host: Host) -> None:
    """The host's own offline SQL, whole or from the middle, makes what its online upgrade makes, and unmakes it."""
    whole, halves, online = host("own_history"), host("own_history"), host("own_history")
    online.alembic("upgrade", "head")

    run_script(whole.engine, whole.alembic("upgrade", "head", sql=True))
    for half in ("a1", "a1:a2"):
        run_script(halves.engine, halves.alembic("upgrade", half, sql=True))
    assert catalog(whole.engine) == catalog(halves.engine) == catalog(online.engine)
    for road in (whole, halves):
        migrations.check(road.engine)
        assert "(head)" in road.alembic("current")

    run_script(whole.engine, whole.alembic("downgrade", "a2:a1", sql=True))
    assert whole.tables == THEIRS


def test_a_host_that_migrates_when_it_starts(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Started twice, the application finds its tables and its credit; alembic proposes nothing of ours."""
    road = host("at_startup")
    road.alembic("upgrade", "head")
    for _ in range(2):
        road.python("start.py")
        assert capsys.readouterr().out == "ada has 10\n"

    assert road.tables == THEIRS | table_names()
    assert "No new upgrade operations" in road.alembic("check")


def test_a_host_whose_dba_runs_scripts(lane: str, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the script the application says what is missing; with it, it starts and has nothing left to do."""
    road = host("sql_for_dbas")
    road.alembic("upgrade", "head")
    with pytest.raises(SystemExit, match=r"found None, expected 0001"):
        road.python("start.py")

    road.python("write_sql.py", {"postgres": "postgresql"}.get(lane, lane))
    run_script(road.engine, capsys.readouterr().out)
    road.python("start.py")
    assert capsys.readouterr().out == "the tables are there\n"
    assert migrations.upgrade(road.engine) == ()
    assert "No new upgrade operations" in road.alembic("check")


def test_the_readme_of_hosts_runs(tmp_path: Path) -> None:
    """The commands that the README of the hosts gives run as they stand, in a host's directory."""
    shutil.copytree(HOSTS / "own_history", tmp_path / "host")
    block = re.search(r"```sh\n(.*?)```", (HOSTS / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    programs = str(Path(sys.executable).parent)
    subprocess.run(
        ["sh", "-e", "-c", block[1]],
        cwd=tmp_path / "host",
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        check=True,
    )
    assert (tmp_path / "host" / "try.db").stat().st_size > 0


def test_every_host_is_told_of() -> None:
    """The README of the hosts names each directory."""
    readme = (HOSTS / "README.md").read_text(encoding="utf-8")
    directories = {path.name for path in HOSTS.iterdir() if (path / "alembic.ini").exists()}
    assert directories == set(re.findall(r"\]\((\w+)\)", readme))
