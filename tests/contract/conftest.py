"""The callers of the contract suite, and a ledger called by each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pluct_ledger import Ledger
from tests.clock import FrozenClock
from tests.contract.callers import CALLERS, PAIRS, Caller, caller_of


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the whole cross-product of callers on SQLite, and the pairs that are chosen elsewhere."""
    items[:] = [item for item in items if _is_paired(item)]


def _is_paired(item: pytest.Item) -> bool:
    chosen: dict[str, Any] = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    if not item.path.is_relative_to(Path(__file__).parent) or "caller" not in chosen:
        return True
    return chosen["caller"] not in CALLERS or chosen["caller"] in PAIRS[chosen["lane"]]


@pytest.fixture(params=CALLERS)
def caller(request: pytest.FixtureRequest, engine: Engine, clock: FrozenClock) -> Iterator[Caller]:
    """Each way of calling a ledger; what it did is committed at the end."""
    with caller_of(request.param, engine, clock) as opened:
        yield opened
        opened.settle()


@pytest.fixture
def ledger(caller: Caller, committed: Ledger) -> Iterator[Ledger]:
    """A ledger called one way; at the end of the test its books are in order."""
    yield caller.ledger()
    caller.settle()
    report = committed.verify()
    assert report.ok, report.findings


@pytest.fixture
def committed(engine: Engine, clock: FrozenClock) -> Ledger:
    """A ledger of somebody else's, who sees only what was committed."""
    return Ledger(engine, clock=clock)
