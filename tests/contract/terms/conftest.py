"""The callers of this folder, paired with lanes as those of the folder above."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.callers import PAIRS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the whole cross-product of callers on SQLite, and the pairs that are chosen elsewhere."""
    items[:] = [item for item in items if _is_paired(item)]


def _is_paired(item: pytest.Item) -> bool:
    if not item.path.is_relative_to(Path(__file__).parent):
        return True
    chosen = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return "caller" not in chosen or chosen["caller"] in PAIRS[str(chosen["lane"])]
