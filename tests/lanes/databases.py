"""Each worker's own databases: one per lane with our schema in it, and new empty ones on demand."""

from __future__ import annotations

import itertools
import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from tests.lanes import LaneUnavailable, schema
from tests.lanes.servers import SERVERS

# Enough for the widest concurrency test; connections beyond the first ten close when they come back.
POOL = {"pool_size": 10, "max_overflow": 30}


class Lane(ABC):
    """One database, as one worker sees it."""

    name: str

    @abstractmethod
    def open(self, where: Path) -> Engine:
        """An engine to the database with our schema and no rows; `where` is the test's own directory."""

    @abstractmethod
    def wipe(self, engine: Engine) -> None:
        """Empty the database of an engine that `open` gave."""

    @abstractmethod
    def close(self, engine: Engine) -> None:
        """Take back an engine that `open` gave."""

    @abstractmethod
    def create(self, where: Path) -> URL:
        """A new database without our schema."""

    @abstractmethod
    def drop(self, url: URL) -> None:
        """Remove a database that `create` made."""

    @abstractmethod
    def shut(self) -> None:
        """Give back all that this worker has of the lane."""

    def engine(self, url: URL) -> Engine:
        """Another engine to the same database."""
        return create_engine(url, **POOL)


class SqliteLane(Lane):
    """A file for each test, copied from one that was migrated once."""

    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._numbers = itertools.count(1)
        self._template = directory / "template.db"
        engine = create_engine(_sqlite(self._template), poolclass=NullPool)
        schema.install(engine)
        engine.dispose()

    def open(self, where: Path) -> Engine:
        file = where / "pluct.db"
        shutil.copyfile(self._template, file)
        return schema.configure(self.engine(_sqlite(file)))

    def wipe(self, engine: Engine) -> None:
        engine.dispose()
        file = Path(str(engine.url.database))
        for suffix in ("-wal", "-shm", "-journal"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self._template, file)

    def close(self, engine: Engine) -> None:
        engine.dispose()

    def create(self, where: Path) -> URL:
        return _sqlite(where / f"fresh-{next(self._numbers)}.db")

    def drop(self, url: URL) -> None:
        Path(str(url.database)).unlink(missing_ok=True)

    def shut(self) -> None:
        self._template.unlink(missing_ok=True)


class ServerLane(Lane):
    """A database for each worker on a server that all of them share; its engine lives as long as the worker."""

    def __init__(self, name: str, admin: URL, prefix: str) -> None:
        self.name = name
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._admin = create_engine(admin, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            self._admin.connect().close()
        except DBAPIError as error:
            raise LaneUnavailable(f"nobody answers at {admin!r}: {error.orig}") from error
        self._engine = self.engine(self._created(prefix))
        schema.install(self._engine)
        tables = inspect(self._engine).get_table_names()
        self._tables = [table for table in tables if table.startswith("pluct_") and table not in schema.KEPT]
        # Another engine than the tests', so that what a test leaves open cannot be in its way unseen.
        self._cleaner = create_engine(self._engine.url, pool_size=1)

    def open(self, where: Path) -> Engine:
        return self._engine

    def wipe(self, engine: Engine) -> None:
        try:
            with self._cleaner.begin() as connection:
                _delete_rows(connection, self._tables)
        except DBAPIError as error:
            raise AssertionError(
                f"the test left a transaction open: its rows cannot be removed: {error}"
            ) from error

    def close(self, engine: Engine) -> None:
        self.wipe(engine)

    def create(self, where: Path) -> URL:
        return self._created(f"{self._prefix}_{next(self._numbers)}")

    def drop(self, url: URL) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {url.database}{self._force}")

    def shut(self) -> None:
        self._engine.dispose()
        self._cleaner.dispose()
        self.drop(self._engine.url)
        self._admin.dispose()

    @property
    def _force(self) -> str:
        return " WITH (FORCE)" if self.name == "postgres" else ""

    def _created(self, database: str) -> URL:
        url = self._admin.url.set(database=database)
        self.drop(url)  # a killed run may have left it
        self._execute(f"CREATE DATABASE {database}")
        return url

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


def open_lane(name: str, slot: Path, directory: Path) -> Lane:
    """The lane of this name for this worker; `LaneUnavailable` when its database cannot run here."""
    if name == "sqlite":
        return SqliteLane(directory)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    if given := os.environ.get(f"PLUCT_TEST_{name.upper()}_URL"):
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:8]
        return ServerLane(name, make_url(given), f"pluct_test_{run}_{worker}")
    return ServerLane(name, SERVERS[name](slot).url(), f"pluct_test_{worker}")


def _sqlite(file: Path) -> URL:
    return URL.create("sqlite", database=str(file))


def _delete_rows(connection: Connection, tables: list[str]) -> None:
    """Delete the rows that there are, past the triggers that guard the log against exactly this."""
    if not tables:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SET LOCAL lock_timeout = '10s'; SET LOCAL session_replication_role = replica")
        )
        connection.execute(text("; ".join(f"DELETE FROM {table}" for table in tables)))
        return
    connection.execute(text("SET lock_wait_timeout = 10, foreign_key_checks = 0"))
    filled = connection.execute(
        text("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM `{table}`)" for table in tables))
    ).one()
    for table, rows in zip(tables, filled, strict=True):
        if rows:
            connection.execute(text(f"TRUNCATE TABLE `{table}`"))
