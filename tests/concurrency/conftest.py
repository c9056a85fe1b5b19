"""The crowds of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from pluct_ledger import Ledger
from tests.concurrency.crowd import PROCESSES, Processes, Threads, stand_before

Crowd = Threads | Processes


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Processes that wait for scripts, as many as a gate lets through at once."""
    context = get_context("spawn")
    gate = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, initializer=stand_before, initargs=(gate,)) as pool:
        yield pool


@pytest.fixture
def strange_engine(engine: Engine, raw_engine: Engine, lane: str) -> Iterator[Engine]:
    """The engine of a host that chose otherwise: SQLite without a WAL, elsewhere SERIALIZABLE by default."""
    if lane == "sqlite":
        engine.dispose()
        raw_engine.dispose()
        alone = create_engine(engine.url, poolclass=NullPool)
        with alone.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode = DELETE")).scalar_one() == "delete"
        yield raw_engine
        return
    strange = create_engine(engine.url, isolation_level="SERIALIZABLE", pool_size=20)
    yield strange
    strange.dispose()


@pytest.fixture(params=["threads", "threads of a strange host", "processes"])
def crowd(
    request: pytest.FixtureRequest, engine: Engine, raw_engine: Engine, database_url: str
) -> Threads | Processes:
    """Many at once: threads on an engine that is set up and one that is not, or processes with either."""
    if request.param == "threads":
        return Threads(engine, raw_engine)
    if request.param == "processes":
        return Processes(request.getfixturevalue("processes"), database_url)
    return Threads(request.getfixturevalue("strange_engine"))


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """A ledger to set the scene with, and to look at it afterwards."""
    return Ledger(engine)
