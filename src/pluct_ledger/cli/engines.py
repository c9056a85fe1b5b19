"""From a database URL to an engine that has answered once, or to one line that says why there is none."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SAWarning

from pluct_ledger import sqlite
from pluct_ledger.errors import InvalidArgument
from pluct_ledger.storage.dialects import backend_of

_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+asyncpg": "postgresql+psycopg",
    "mysql": "mariadb+pymysql",
    "mysql+aiomysql": "mariadb+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+aiomysql": "mariadb+pymysql",
    "sqlite+aiosqlite": "sqlite",
}
"""What an URL without a driver gets, and one with a driver that needs an event loop."""

_EXTRAS: Final = {"psycopg": "postgres", "pymysql": "mariadb"}
_PATIENCE: Final = 10
"""For how many seconds a server is waited for, where neither the URL nor the environment says."""

_EXAMPLE: Final = "e.g. sqlite:///ledger.db or postgresql://host/name"
_OPTION_REFUSED: Final = "the driver does not take one of its options"


class Unreachable(Exception):
    """The database did not answer, or did not let us in; the text says where and why, without the password."""


def open_engine(url: str | URL, *, creating: bool = False) -> Engine:
    """Return an engine whose database has answered; SQLite's is configured for the ledger.

    Args:
        url: an SQLAlchemy URL; a driver that needs an event loop is replaced by one that doesn't.
        creating: a file of SQLite's may be missing.

    Raises:
        InvalidArgument: it is no such URL, or the driver is not installed.
        Unreachable: nobody answers there, or not to us, or there is no such file.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        _check_file(parsed, creating=creating)
    engine = _engine(parsed)
    if engine.dialect.name == "sqlite":
        sqlite.configure(engine)
    try:
        engine.connect().close()
    except DBAPIError as error:
        engine.dispose()
        raise Unreachable(f"no answer from {place_of(parsed)}: {reason_of(error)}") from None
    except (TypeError, ValueError):
        # The driver refuses a part of the URL, and its message may repeat that part.
        engine.dispose()
        raise InvalidArgument("url", _OPTION_REFUSED) from None
    return engine


def place_of(url: URL) -> str:
    """Return where an URL leads, without what opens it."""
    host = "" if url.host is None else f"{url.host}:{url.port}" if url.port else url.host
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def reason_of(error: DBAPIError) -> str:
    """Return what the database said, in one line, and neither statement nor arguments."""
    said = error.orig.args[-1] if error.orig is not None and error.orig.args else error.orig
    return " ".join(str(said).split()) or type(error.orig).__name__


def _parsed(url: str | URL) -> URL:
    # The text is never repeated: it may hold a password, in the wrong place even.
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidArgument("url", f"is no database URL; {_EXAMPLE}") from None
    if parsed.host is not None and "@" in parsed.host:
        raise InvalidArgument("url", "write an @ in the user or the password as %40")
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _engine(url: URL) -> Engine:
    patient = url.get_backend_name() == "postgresql" and not (
        "connect_timeout" in url.query or os.environ.get("PGCONNECT_TIMEOUT")
    )
    options: dict[str, Any] = {"connect_args": {"connect_timeout": _PATIENCE}} if patient else {}
    try:
        backend_of(url.get_backend_name())
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)
            return create_engine(url, **options)
    except SAWarning:
        raise InvalidArgument("url", _OPTION_REFUSED) from None
    except (ArgumentError, NoSuchModuleError):
        raise InvalidArgument(
            "url", f"{url.drivername} is no driver that SQLAlchemy knows; {_EXAMPLE}"
        ) from None
    except ModuleNotFoundError as missing:
        extra = _EXTRAS.get(missing.name or "")
        way = (
            f": pip install 'pluct-ledger[{extra}]'" if extra else "; where the URL names none, ours is taken"
        )
        raise InvalidArgument("url", f"the driver {missing.name} is not installed{way}") from None


def _check_file(url: URL, *, creating: bool) -> None:
    name = url.database
    if name in {None, "", ":memory:"}:
        raise InvalidArgument(
            "url", "an SQLite database in memory ends with the command; name a file: sqlite:///ledger.db"
        )
    if not creating and not str(name).startswith("file:") and not Path(str(name)).exists():
        raise Unreachable(f"there is no file {name}; pluct-ledger db upgrade makes one")
