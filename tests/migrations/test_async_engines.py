"""Hosts with an asynchronous engine migrate by `run_sync`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pluct_ledger import InvalidArgument, migrations
from tests.migrations.catalog import catalog, nothing_is_left

DRIVER = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "mariadb": "mariadb+aiomysql"}

Fresh = Callable[[], Engine]


def on_the_engine(connection: Connection) -> tuple[str, ...]:
    return migrations.upgrade(connection.engine)


def test_a_transaction_of_the_hosts(lane: str, fresh_database: Fresh) -> None:
    """In an asynchronous transaction the tables are made, and committed with it."""
    fresh = fresh_database()

    async def host() -> tuple[str, ...]:
        engine = create_async_engine(fresh.url.set(drivername=DRIVER[lane]))
        async with engine.begin() as connection:
            ran = await connection.run_sync(migrations.upgrade)
        async with engine.connect() as connection:
            await connection.run_sync(migrations.check)
        await engine.dispose()
        return ran

    assert asyncio.run(host()) == ("0001",)
    migrations.check(fresh)
    assert migrations.upgrade(fresh) == ()


def test_transactions_of_ours(lane: str, fresh_database: Fresh) -> None:
    """Without a transaction one is begun and committed, up and down, on a connection and on the engine below it."""
    fresh, reference = fresh_database(), fresh_database()
    migrations.upgrade(reference)

    async def host() -> None:
        engine = create_async_engine(fresh.url.set(drivername=DRIVER[lane]))
        async with engine.connect() as connection:
            assert await connection.run_sync(migrations.upgrade) == ("0001",)
            assert catalog(fresh) == catalog(reference)
            assert await connection.run_sync(migrations.downgrade, to="base") == ("0001",)
            assert nothing_is_left(fresh)
            assert await connection.run_sync(on_the_engine) == ("0001",)
        await engine.dispose()

    asyncio.run(host())
    assert catalog(fresh) == catalog(reference)


@pytest.mark.parametrize("migrate", [migrations.upgrade, on_the_engine], ids=["connection", "engine"])
def test_eight_tasks_at_once(
    lane: str, fresh_database: Fresh, migrate: Callable[[Connection], tuple[str, ...]]
) -> None:
    """Of eight tasks of one event loop one runs the revisions, and none stops the loop."""
    fresh = fresh_database()

    async def upgrade(engine: AsyncEngine) -> tuple[str, ...]:
        async with engine.connect() as connection:
            return await connection.run_sync(migrate)

    async def host() -> list[tuple[str, ...]]:
        engine = create_async_engine(fresh.url.set(drivername=DRIVER[lane]))
        found = await asyncio.wait_for(asyncio.gather(*(upgrade(engine) for _ in range(8))), 60)
        await engine.dispose()
        return found

    assert sorted(asyncio.run(host())) == [()] * 7 + [("0001",)]


@pytest.mark.lanes("sqlite", because="the refusal asks no database")
def test_an_asynchronous_engine_itself_is_refused(fresh_database: Fresh) -> None:
    """An asynchronous engine is no bind: its connections are, under `run_sync`."""
    engine = create_async_engine(fresh_database().url.set(drivername=DRIVER["sqlite"]))
    with pytest.raises(InvalidArgument, match="AsyncEngine"):
        migrations.upgrade(engine)  # type: ignore[arg-type]  # wrong on purpose
