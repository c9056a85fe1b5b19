"""A ledger that was made before a fork."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pluct_ledger import Ledger
from tests.concurrency.forking import CHILDREN, SPENDS

ROOT = Path(__file__).parents[2]


WRITTEN = (CHILDREN + 1) * 2 * SPENDS


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
    assert sorted(json.loads(done.stdout)) == list(range(2, 2 + WRITTEN))


def assert_nothing_is_lost(engine: Engine) -> None:
    """Look at what is there, with an engine that took no part."""
    ledger = Ledger(engine)
    assert (ledger.balance("ada").posted, ledger.account("ada").entry_count) == (1_000 - WRITTEN, 1 + WRITTEN)
    assert ledger.verify().ok


@pytest.mark.lanes("postgres", "mariadb", because="SQLite is tried twice, set up and not")
def test_parent_and_children_spend_with_one_ledger(engine: Engine, database_url: str) -> None:
    """Forked children spend with their parent's ledger beside it, over connections of their own."""
    fork_on(database_url, "as it is")
    assert_nothing_is_lost(engine)


@pytest.mark.lanes("sqlite", because="only SQLite is set up by us")
@pytest.mark.parametrize("configured", ["configured", "untouched"])
def test_parent_and_children_spend_from_one_file(engine: Engine, database_url: str, configured: str) -> None:
    """Forked children lose nothing that they write though their parent closes the file meanwhile."""
    fork_on(database_url, configured)
    assert_nothing_is_lost(engine)
