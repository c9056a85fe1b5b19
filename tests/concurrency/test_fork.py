"""A ledger that was made before a fork."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.concurrency.forking import CHILDREN, SPENDS

ROOT = Path(__file__).parents[2]


def fork_on(url: str, configured: str) -> None:
    """Run the forking host, and check what it tells."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.concurrency.forking", url, configured],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    all_seqs = sorted(seq for seqs in told["seqs"] for seq in seqs)
    assert all_seqs == list(range(2, 2 + (CHILDREN + 1) * SPENDS))
    assert (told["balance"], told["ok"]) == (1_000 - (CHILDREN + 1) * SPENDS, True)


@pytest.mark.lanes("postgres", "mariadb", because="SQLite is tried twice, set up and not")
def test_parent_and_children_spend_with_one_ledger(engine: Engine, database_url: str) -> None:
    """Forked children spend with their parent's ledger beside it, over connections of their own."""
    fork_on(database_url, "as it is")


@pytest.mark.lanes("sqlite", because="only SQLite is set up by us")
@pytest.mark.parametrize("configured", ["configured", "untouched"])
def test_parent_and_children_spend_from_one_file(engine: Engine, database_url: str, configured: str) -> None:
    """Forked children spend with their parent's ledger from the same file, set up by us or not."""
    fork_on(database_url, configured)
