"""SQLite's files without a write-ahead log, where readers and writers keep each other out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from pluct_ledger import Ledger, sqlite
from pluct_ledger.storage.schema import tables_in
from tests.concurrency.crowd import at_once

pytestmark = pytest.mark.sqlite


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Engine]:
    """An engine that nobody set up, to a file that has no write-ahead log."""
    engine = create_engine(f"sqlite:///{tmp_path / 'journal.db'}", poolclass=NullPool)
    tables_in(None).metadata.create_all(engine)
    yield engine
    engine.dispose()


def journal_of(engine: Engine) -> str:
    """Return how the file is journaled."""
    with engine.connect() as connection:
        return str(connection.execute(text("PRAGMA journal_mode")).scalar_one())


def test_an_engine_connects_while_another_writes(untouched: Engine) -> None:
    """An engine that is set up connects to a file that is being written, and a later connection gets it its log."""
    Ledger(untouched).grant("ada", 5)
    configured = sqlite.configure(create_engine(untouched.url, poolclass=NullPool))

    with untouched.connect() as writer:
        Ledger(untouched).using(writer).spend("ada", 1)
        assert journal_of(untouched) == "delete"
        with configured.execution_options(pluct_ledger_reading=True).connect() as reader:
            assert Ledger(configured).using(reader).balance("ada").posted == 5
        writer.commit()

    assert Ledger(configured).balance("ada").posted == 4
    assert journal_of(configured) == "wal"


def test_all_connect_for_the_first_time_at_once(untouched: Engine) -> None:
    """Engines that are set up and engines that are not begin on a file at once, and all their writes count."""
    engines = [untouched] * 16
    engines += [sqlite.configure(create_engine(untouched.url, poolclass=NullPool)) for _ in range(16)]
    jobs: list[Callable[[], object]] = [partial(Ledger(engine).grant, "ada", 1) for engine in engines]

    at_once(jobs)

    assert Ledger(untouched).balance("ada").posted == len(engines)
    assert Ledger(untouched).verify().ok
