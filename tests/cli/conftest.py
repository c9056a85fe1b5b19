"""What the tests of the command line share."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from pluct_ledger import Ledger, sqlite
from pluct_ledger.cli.app import run
from tests.cli.calls import SECRET, SMALL_EXPORT, Answer, Call

AMBIENT = (
    "API_KEY_PEPPER",
    "COLUMNS",
    "FORCE_COLOR",
    "JWT_SECRET",
    "NO_COLOR",
    "PLUCT_BOOK",
    "TTY_COMPATIBLE",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test hears of the environment that the tests were started in."""
    for name in (*AMBIENT, "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command line in this process, without a database of its own."""

    def call(*arguments: str, code: int = 0, stdin: str | bytes = b"") -> Answer:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        printed = capsys.readouterr()
        answer = Answer(int(ended.value.code or 0), printed.out, printed.err)
        assert answer.code == code, f"{answer.out}\n{answer.err}"
        return answer

    return call


@pytest.fixture
def cli(database_url: str, monkeypatch: pytest.MonkeyPatch, run_here: Call) -> Call:
    """Runs the command line in this process on a database with our tables, named by DATABASE_URL."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return run_here


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """The ledger that the command line works on, in an SQLite file."""
    engine = sqlite.configure(create_engine(database_url))
    yield Ledger(engine)
    engine.dispose()


@pytest.fixture
def jwt_secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """The secret that tokens are signed with, as the environment says it."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    return SECRET


@pytest.fixture
def token_file(cli: Call, jwt_secret: str, tmp_path: Path) -> Path:
    """A file with a token that `ada` has paid for."""
    cli("grant", "ada", "5")
    file = tmp_path / "token"
    file.write_text(cli("token", "vend", "ada").out)
    return file


@pytest.fixture
def small_export(tmp_path: Path) -> Path:
    """A folder with an export of the old service that is moved in at once; `racer` saw another balance than he had."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "d1.sqlite").write_text(SMALL_EXPORT, encoding="utf-8")
    (folder / "kv-balances.json").write_text('{"user:racer": "4", "user:Zoë 日本": "90"}', encoding="utf-8")
    return folder


@pytest.fixture
def terminal_of_width(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the command line believe that it writes to a terminal of some width."""

    def set_width(columns: int) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))

    return set_width
