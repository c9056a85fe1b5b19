"""Many at once: one migrates, the others wait and find it done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, text

from pluct_ledger import Contended, migrations, sqlite
from pluct_ledger.migrations import locks
from tests.migrations.catalog import catalog, nothing_is_left

MANY = 8
PATIENCE = 60

Fresh = Callable[[], Engine]


def reference(fresh_database: Fresh) -> dict[str, Any]:
    engine = fresh_database()
    migrations.upgrade(engine)
    return catalog(engine)


def upgrade_from_a_process(url: str, barrier: Any, answers: Any, *, configured: bool) -> None:
    """What one of the processes does; here, so that it can be found by its name."""
    engine = create_engine(url)
    if configured:
        sqlite.configure(engine)
    barrier.wait(PATIENCE)
    try:
        answers.put(migrations.upgrade(engine))
    except BaseException as error:  # noqa: BLE001 - the test prints what the process met
        answers.put(repr(error))
    engine.dispose()


def all_at_once(engine: Engine, *, configured: bool) -> list[Any]:
    url = engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pluct_ledger.migrations"])
    barrier, answers = context.Barrier(MANY), context.Queue()
    processes = [
        context.Process(
            target=upgrade_from_a_process, args=(url, barrier, answers), kwargs={"configured": configured}
        )
        for _ in range(MANY)
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=PATIENCE) for _ in processes]
    for process in processes:
        process.join(PATIENCE)
    return found


def test_eight_processes(lane: str, fresh_database: Fresh) -> None:
    """Of eight processes that begin at the same time one runs the revisions and none fails."""
    engine = fresh_database()

    found = all_at_once(engine, configured=lane == "sqlite")

    assert sorted(found, key=str) == [("0001",)] + [()] * (MANY - 1)
    assert catalog(engine) == reference(fresh_database)


@pytest.mark.lanes("sqlite", because="only SQLite's engines need to be configured")
def test_eight_processes_that_configured_nothing(fresh_database: Fresh) -> None:
    """Eight processes whose engines are as the driver makes them fare no worse."""
    engine = fresh_database()

    found = all_at_once(engine, configured=False)

    assert sorted(found, key=str) == [("0001",)] + [()] * (MANY - 1)
    assert catalog(engine) == reference(fresh_database)


@pytest.mark.parametrize("each_its_own_engine", [False, True])
def test_eight_threads(fresh_database: Fresh, *, each_its_own_engine: bool) -> None:
    """Of eight threads, on one engine or on one each, one runs the revisions and none fails."""
    fresh = fresh_database()
    engines = [create_engine(fresh.url) if each_its_own_engine else fresh for _ in range(MANY)]
    barrier = Barrier(MANY)

    def run(engine: Engine) -> tuple[str, ...]:
        barrier.wait(PATIENCE)
        return migrations.upgrade(engine)

    with ThreadPoolExecutor(MANY) as threads:
        found = list(threads.map(run, engines))

    assert sorted(found, key=str) == [("0001",)] + [()] * (MANY - 1)
    assert catalog(fresh) == reference(fresh_database)
    for engine in engines:
        engine.dispose()


def test_eight_threads_on_one_connection() -> None:
    """Threads that share a database in memory take turns on its one connection."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    sqlite.configure(engine)
    barrier = Barrier(MANY)

    def run(_turn: int) -> tuple[str, ...]:
        barrier.wait(PATIENCE)
        return migrations.upgrade(engine)

    with ThreadPoolExecutor(MANY) as threads:
        found = list(threads.map(run, range(MANY)))
    assert sorted(found, key=str) == [("0001",)] + [()] * (MANY - 1)
    engine.dispose()


def test_up_and_down_at_once(fresh_database: Fresh) -> None:
    """Upgrades and downgrades that meet run one after another, and the last one's tables are whole or gone."""
    engine = fresh_database()
    barrier = Barrier(MANY)

    def run(number: int) -> None:
        barrier.wait(PATIENCE)
        for turn in range(3):
            if (number + turn) % 2:
                migrations.upgrade(engine)
            else:
                migrations.downgrade(engine, to="base")

    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(run, range(MANY)))

    assert nothing_is_left(engine) or catalog(engine) == reference(fresh_database)


def test_two_databases_do_not_wait_for_each_other(fresh_database: Fresh) -> None:
    """While one database is being migrated, another of the same server is."""
    one, another = fresh_database(), fresh_database()
    with locks.alone(one):
        assert migrations.upgrade(another) == ("0001",)


def test_a_host_that_waits_for_itself_is_told(fresh_database: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that another one holds up for too long is given up, and the other one goes on."""
    engine = fresh_database()
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 1)
    other = create_engine(
        engine.url, connect_args={"timeout": 0.1} if engine.dialect.name == "sqlite" else {}
    )
    with locks.alone(engine) as connection:
        with pytest.raises(Contended):
            migrations.upgrade(other)
        connection.execute(text("SELECT 1"))
    assert migrations.upgrade(other) == ("0001",)
    other.dispose()
