"""A registry of API keys by each way in, and what is sent to its database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pluct_ledger.api_key_registry import ApiKeyRegistry
from tests.clock import FrozenClock
from tests.doorways import DOORWAYS, Doorway, doorway_of


@pytest.fixture
def own(engine: Engine, clock: FrozenClock) -> ApiKeyRegistry:
    """A registry with transactions of its own."""
    return ApiKeyRegistry(engine, clock=clock)


@pytest.fixture(params=DOORWAYS)
def doorway(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Doorway]:
    """Each way in."""
    with doorway_of(request.param, engine) as opened:
        yield opened


@pytest.fixture
def registry(doorway: Doorway, own: ApiKeyRegistry) -> ApiKeyRegistry:
    """A registry by each way in."""
    return doorway.enter(own)


@pytest.fixture
def sent(engine: Engine) -> Iterator[list[str]]:
    """Every statement that goes to the database of `engine`, by whatever road; a test may clear it."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)
