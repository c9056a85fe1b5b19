"""What the tests of the import share."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from pluct_ledger import ApiKeyRegistry, Ledger
from pluct_ledger.importing import ImportReport, import_d1
from tests.clock import FrozenClock
from tests.importing.exports import REAL_BALANCES, REAL_FILE


@pytest.fixture
def ledger(engine: Engine, clock: FrozenClock) -> Ledger:
    """An empty ledger."""
    return Ledger(engine, clock=clock)


@pytest.fixture
def registry(engine: Engine, clock: FrozenClock) -> ApiKeyRegistry:
    """A registry of API keys beside the ledger."""
    return ApiKeyRegistry(engine, clock=clock)


@pytest.fixture
def moved_in(ledger: Ledger, registry: ApiKeyRegistry) -> ImportReport:
    """The real export, moved in."""
    return import_d1(ledger, REAL_FILE, kv_balances=REAL_BALANCES, registry=registry)
