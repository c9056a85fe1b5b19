"""The example of a customer's month tells what was recorded, wherever it runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from examples.credits import main
from pluct_ledger import Ledger, migrations, sqlite
from tests.examples.serving import ROOT

RECORDED = (Path(__file__).parent / "recorded" / "credits.txt").read_text(encoding="utf-8")


@pytest.mark.lanes("sqlite", because="the script by itself runs on an SQLite file of its own")
def test_the_example_runs_by_itself() -> None:
    """Run as a script, it says what was recorded, to the letter, and exits with 0."""
    done = subprocess.run(
        [sys.executable, "examples/credits.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == RECORDED
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_says_the_same_on_every_database(
    fresh_database: Callable[[], Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    """On each database the same month ends in the same numbers."""
    url = fresh_database().url.render_as_string(hide_password=False)
    assert main(url) == 0
    assert capsys.readouterr().out == RECORDED


@pytest.mark.lanes("sqlite", because="which books are wrong is found in the same way everywhere")
def test_the_example_fails_where_the_books_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where somebody has changed a number behind the log, it says so and exits with 1."""
    url = f"sqlite:///{tmp_path / 'wrong.db'}"
    engine = sqlite.configure(create_engine(url))
    migrations.upgrade(engine)
    Ledger(engine).grant("mallory", 1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE pluct_account SET posted = 1000, issued = 1000"))
    engine.dispose()

    assert main(url) == 1
    assert capsys.readouterr().out.endswith("The books are WRONG.\n")
