"""Each lane is the database it says it is, and starts every test empty."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, create_engine, func, insert, inspect, select, text

from pluct_ledger.storage.schema import tables_in
from tests.clock import FrozenClock
from tests.lanes.slots import Slot

SHARE = tables_in(None).share
A_SHARE = {
    "account_id": bytes(16),
    "seq": 1,
    "grant_seq": 1,
    "grant_part": 0,
    "amount": 1,
    "hold_amount": 0,
}
VERSION = {
    "sqlite": ("SELECT sqlite_version()", "3."),
    "postgres": ("SELECT version()", "PostgreSQL"),
    "mariadb": ("SELECT version()", "MariaDB"),
}


def rows(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(SHARE)) or 0


def test_a_lane_is_the_database_it_says(lane: str, engine: Engine) -> None:
    """Asked for its version, the database of a lane answers with the lane's name."""
    question, answer = VERSION[lane]
    with engine.connect() as connection:
        assert answer in connection.execute(text(question)).scalar_one()


def test_forty_threads_have_a_connection_each(engine: Engine) -> None:
    """Forty threads hold a connection at the same time without waiting for one another."""
    everybody = Barrier(40, timeout=60)

    def meet(_: int) -> int:
        with engine.connect():
            return everybody.wait()

    with ThreadPoolExecutor(40) as pool:
        assert sorted(pool.map(meet, range(40))) == list(range(40))


@pytest.mark.parametrize("turn", [1, 2])
def test_rows_do_not_outlive_their_test(engine: Engine, turn: int) -> None:
    """Whatever a test leaves in our tables is gone when the next one begins."""
    with engine.begin() as connection:
        assert rows(connection) == 0
        connection.execute(insert(SHARE), A_SHARE)


def test_a_wipe_leaves_no_rows(engine: Engine, wipe: Callable[[], None]) -> None:
    """Wiping in the middle of a test empties our tables, and they take the same rows again."""
    for _ in range(2):
        with engine.begin() as connection:
            assert rows(connection) == 0
            connection.execute(insert(SHARE), A_SHARE)
        wipe()


def test_fresh_databases_are_empty_and_apart(fresh_database: Callable[[], Engine]) -> None:
    """A fresh database has no table, and what is made in one is not in another."""
    one, another = fresh_database(), fresh_database()
    with one.begin() as connection:
        connection.execute(text("CREATE TABLE host_order (id INTEGER PRIMARY KEY)"))
    assert inspect(one).get_table_names() == ["host_order"]
    assert inspect(another).get_table_names() == []


def test_a_second_engine_sees_the_same_database(engine: Engine, raw_engine: Engine) -> None:
    """The raw engine is another engine to the very same tables."""
    assert raw_engine is not engine
    assert inspect(raw_engine).get_table_names() == inspect(engine).get_table_names()


def test_the_url_leads_to_the_same_database(engine: Engine, database_url: str) -> None:
    """The address given to other processes opens the database of the engine."""
    other = create_engine(database_url)
    try:
        assert inspect(other).get_table_names() == inspect(engine).get_table_names()
    finally:
        other.dispose()


def test_the_clock_moves_only_when_told(clock: FrozenClock) -> None:
    """The frozen clock begins at 2030 in UTC and moves by what it is told."""
    assert clock() == clock() == datetime(2030, 1, 1, tzinfo=UTC)
    clock.advance(timedelta(hours=1))
    assert clock() == datetime(2030, 1, 1, 1, tzinfo=UTC)
    clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    assert clock() == datetime(2031, 1, 1, tzinfo=UTC)


def test_two_runs_at_once_have_a_slot_each(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A slot that is held is never given out again before it is released."""
    root = tmp_path_factory.mktemp("slots")
    one, another = Slot.acquire(root), Slot.acquire(root)
    assert one.path != another.path
    one.release()
    again = Slot.acquire(root)
    assert again.path == one.path
    again.release()
    another.release()


@pytest.mark.parametrize(("ci", "code"), [("1", 1), ("", 0)])
def test_a_lane_that_cannot_run_is_never_silent(ci: str, code: int) -> None:
    """A lane that cannot run fails under CI, and elsewhere is the last thing the report says."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-m",
            "postgres",
            __file__,
            "-k",
            "it_says",
        ],
        env={
            **os.environ,
            "CI": ci,
            "PLUCT_TEST_POSTGRES_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert "this lane cannot run: postgres" in done.stdout
    if not ci:
        assert "LANES THAT DID NOT RUN" in "".join(done.stdout.splitlines()[-3:-1])
