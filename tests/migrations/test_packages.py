"""However the package is installed, it finds its revisions."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REVISION = "pluct_ledger/migrations/versions/0001_tables.py"

UPGRADE = """
from pathlib import Path
from sqlalchemy import create_engine
import pluct_ledger
from pluct_ledger import Ledger, migrations

assert Path(pluct_ledger.__file__).is_relative_to(Path.cwd() / "fresh"), pluct_ledger.__file__
engine = create_engine("sqlite:///from_the_wheel.db")
print(migrations.upgrade(engine), migrations.upgrade(engine))
Ledger(engine).grant("ada", 10)
print(len(migrations.sql("postgresql")) > 0)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built from it."""
    target = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--outdir", str(target), str(ROOT)], cwd=target)
    return target


def run(command: list[str], *, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_revisions_are_in_the_wheel_and_the_sdist(built: Path) -> None:
    """Wheel and sdist hold every revision; the sdist also what hosts look at and what its tests need."""
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.split("/", 1)[-1] for name in archive.getnames()}

    revisions = {
        str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / REVISION).parent.glob("*.py")
    }
    assert REVISION in revisions
    assert revisions <= in_wheel
    assert {f"src/{revision}" for revision in revisions} <= in_sdist
    assert {
        "alembic/env.py",
        "alembic/script.py.mako",
        "alembic/hosts/README.md",
        "alembic/hosts/own_history/alembic.ini",
        "alembic/hosts/own_history/versions/a2_credits.py",
        "tests/migrations/test_packages.py",
    } <= in_sdist
    assert not any(name.startswith(("alembic/", "tests/")) for name in in_wheel)


def test_a_fresh_environment_upgrades_from_the_wheel(built: Path, tmp_path: Path) -> None:
    """In an environment that holds nothing but the wheel and what it asks for, an upgrade makes the tables."""
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False)
    python = str(fresh / "bin" / "python")
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", str(wheel)], cwd=tmp_path)

    assert run([python, "-c", UPGRADE], cwd=tmp_path).splitlines() == ["('0001',) ()", "True"]


def test_an_editable_installation_finds_its_revisions() -> None:
    """In a checkout the revisions are those of the checkout."""
    found = run(
        [sys.executable, "-c", "from pluct_ledger.migrations import versions; print(versions.__path__[0])"],
        cwd=ROOT,
    )
    assert Path(found.strip()).samefile((ROOT / "src" / REVISION).parent)
