"""The example of a host that embeds the ledger tells the truth, wherever it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import Engine, inspect

from examples import embed
from tests.examples.serving import ROOT


def test_the_example_runs_by_itself() -> None:
    """Run as a script, it tells its story on a file of its own and exits with 0."""
    done = subprocess.run(
        [sys.executable, "examples/embed.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "both vanished" in done.stdout
    assert done.stdout.endswith("All of it is true.\n")


def test_the_example_is_true_on_every_database(
    engine: Engine, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a database that was named, the story is the same, twice over, and the host's table is gone afterwards."""
    stories = set()
    for _ in range(2):
        assert embed.main(database_url) == 0
        stories.add(capsys.readouterr().out)
    assert len(stories) == 1
    assert "example_orders" not in inspect(engine).get_table_names()


def test_the_example_notices_what_is_not_true(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the spend is left out of the order's transaction, the example says so and exits with 1."""

    def buy(session: object, ledger: object, *_order: object) -> None:
        return None

    monkeypatch.setattr(embed, "buy", buy)
    assert embed.main() == 1
    assert "WRONG" in capsys.readouterr().out
