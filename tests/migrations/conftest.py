"""Releases to come, for the tests of migrations."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pluct_ledger.migrations import history
from tests.migrations.later import LATER

FIRST = history.revisions()


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this release the one whose newest revision has that id."""

    def become(head: str) -> None:
        known = tuple(revision for revision in (*FIRST, *LATER) if revision.id <= head)
        monkeypatch.setattr(history, "revisions", lambda: known)

    return become
