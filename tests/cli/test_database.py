"""The database: how it is named, what is said where it cannot be had, and its tables."""

from __future__ import annotations

import socket
import sqlite3
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pluct_ledger import migrations, sqlite
from pluct_ledger.domain.retry import RetryPolicy
from tests.cli.calls import Call

PASSWORD = "s3cret-pa55word"


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_command_needs_a_database(run_here: Call) -> None:
    """Without --url and DATABASE_URL the command says how to name a database."""
    answer = run_here("accounts", code=2)
    assert "--url before the command, or DATABASE_URL" in answer.err


def test_the_option_goes_before_the_variable(
    run_here: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option --url names the database even where DATABASE_URL names another."""
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    url = f"sqlite:///{tmp_path / 'here.db'}"
    run_here("--url", url, "db", "upgrade")
    run_here("--url", url, "grant", "ada", "1")
    assert run_here("--url", url, "--json", "account", "ada").json["posted"] == 1


def test_an_upgrade_says_what_it_ran(run_here: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first upgrade tells the revisions that it ran, and the second that there was nothing to do."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert run_here("db", "upgrade", "--to", "0001", "--json").json == {"upgraded": ["0001"]}
    assert run_here("db", "upgrade").out == "The tables are up to date.\n"
    assert run_here("db", "upgrade", "--json").json == {"upgraded": []}
    assert run_here("db", "check").out == "This release works on these tables.\n"
    assert run_here("db", "check", "--json").json == {"ok": True}
    assert run_here("db", "upgrade", "--to", "nosuch", "--json", code=2).error["argument"] == "to"


def test_an_upgrade_alone_makes_a_file(
    run_here: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is mistyped makes no database: only db upgrade does."""
    file = tmp_path / "typo.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
    for arguments in (["accounts"], ["grant", "ada", "1"], ["db", "check"], ["import", "d1", str(file)]):
        assert f"there is no file {file}" in run_here(*arguments, code=1).err
    assert not file.exists()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mariadb"])
def test_sql_is_printed_as_it_is(run_here: Call, dialect: str) -> None:
    """The script for a database administrator is what the library makes, to the letter, and needs no database."""
    script = migrations.sql(dialect)
    assert run_here("db", "sql", dialect).out == script
    assert run_here("db", "sql", dialect, "--json").json == {"dialect": dialect, "sql": script}
    assert run_here("db", "sql", dialect, "--since", "0001").out == migrations.sql(dialect, since="0001")


def test_sql_of_no_dialect_is_refused(run_here: Call) -> None:
    """A dialect that there is not is a wrong call that names those that there are."""
    assert "sqlite, postgresql, mariadb" in run_here("db", "sql", "oracle", code=2).err


def test_a_schema_is_taken_into_the_sql(run_here: Call) -> None:
    """The option --schema names the PostgreSQL schema for every command, and no other database has one."""
    assert (
        "ledger_tables.pluct_account" in run_here("--schema", "ledger_tables", "db", "sql", "postgresql").out
    )
    assert run_here("--schema", "x", "db", "sql", "sqlite", "--json", code=2).error["argument"] == "schema"


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+asyncpg", "mysql", "mariadb", "mariadb+aiomysql"]
)
def test_a_server_that_does_not_answer_is_one_line(run_here: Call, nobody: int, scheme: str) -> None:
    """A server at which nobody answers is named in one line, without the password, whatever driver the URL says."""
    url = f"{scheme}://user:{PASSWORD}@127.0.0.1:{nobody}/books"
    answer = run_here("--url", url, "accounts", code=1)
    assert f"127.0.0.1:{nobody}/books" in answer.err
    assert answer.err.endswith("(database_unreachable)\n")
    assert answer.err.count("\n") == 1
    assert PASSWORD not in answer.err
    told = run_here("--url", url, "--json", "accounts", code=1)
    assert told.error["code"] == "database_unreachable"
    assert PASSWORD not in told.out


@pytest.mark.parametrize(
    "url",
    [
        PASSWORD,
        f"postgresql://user:{PASSWORD}",
        f"postgresql://user:{PASSWORD}@host:port/books",
        f"postgresql://user:a@{PASSWORD}@host/books",
        f"postgresql+{PASSWORD}://host/books",
        f"oracle://user:{PASSWORD}@host/books",
        f"nosuch://user:{PASSWORD}@host/books",
        f"postgresql+pg8000://user:{PASSWORD}@host/books",
        f"mysql://user:{PASSWORD}@127.0.0.1:1/books?nosuch={PASSWORD}",
        f"sqlite:///ledger.db?password={PASSWORD}",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_is_none_is_not_repeated(
    run_here: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """What is no URL of a database exits with 2, and is not repeated, since a password may stand anywhere in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ledger.db").touch()
    monkeypatch.setenv("DATABASE_URL", url)
    answer = run_here("accounts", code=2)
    assert answer.err.count("\n") == 1
    if "+s3cret" not in url:
        assert PASSWORD not in answer.err


@pytest.mark.parametrize(("driver", "extra"), [("psycopg", "postgres"), ("pymysql", "mariadb")])
def test_a_missing_driver_is_told_with_its_extra(
    run_here: Call, monkeypatch: pytest.MonkeyPatch, driver: str, extra: str
) -> None:
    """Where the driver of a database is not installed, the extra that brings it is named."""
    monkeypatch.setitem(sys.modules, driver, None)
    answer = run_here(
        "--url", f"{extra}://user:{PASSWORD}@host/books".replace("postgres:", "postgresql:"), "verify", code=2
    )
    assert f"pip install 'pluct-ledger[{extra}]'" in answer.err
    assert PASSWORD not in answer.err


def test_a_file_that_is_no_database_is_told(run_here: Call, tmp_path: Path) -> None:
    """A file that is no SQLite database, or a folder, is told in one line."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, and long enough to be sure of it " * 20)
    assert "not a database" in run_here("--url", f"sqlite:///{file}", "accounts", code=1).err
    assert "unable to open" in run_here("--url", f"sqlite:///{tmp_path}", "accounts", code=1).err
    nowhere = tmp_path / "nowhere" / "x.db"
    assert "unable to open" in run_here("--url", f"sqlite:///{nowhere}", "db", "upgrade", code=1).err


def test_a_database_that_is_in_use_is_contended(
    run_here: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that others stand in the way of for too long exits with 30, and nothing was written."""
    file = tmp_path / "busy.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
    run_here("db", "upgrade")
    monkeypatch.setattr(
        "pluct_ledger.cli.engines.sqlite.configure", partial(sqlite.configure, busy_timeout_ms=1)
    )
    monkeypatch.setattr(RetryPolicy, "wait", lambda *_: None)
    with sqlite3.connect(file) as other:
        other.execute("BEGIN IMMEDIATE")
        run_here("grant", "ada", "1", code=30)
        other.rollback()
    run_here("account", "ada", code=11)
