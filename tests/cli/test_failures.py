"""How errors leave the command line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from pluct_ledger import Ledger, errors
from pluct_ledger.cli.terminal import EXIT_CODES
from tests.cli.calls import Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="the command line has no SQL of its own; test_walk.py goes everywhere"
)

EVERY_ERROR = [
    errors.InvalidArgument("owner", "must not be empty"),
    errors.Refused("no"),
    errors.AccountNotFound(owner="ada"),
    errors.AccountExists(owner="ada"),
    errors.IdempotencyMismatch(owner="ada", field="amount"),
    errors.AccountClosed(owner="ada"),
    errors.AccountFrozen(owner="ada"),
    errors.HoldNotFound(hold_id="x.1"),
    errors.HoldClosed(hold_id="x.1", status="voided"),
    errors.CaptureExceedsHold(hold_id="x.1", requested=2, held=1),
    errors.NotReversible(entry_id="x.1", operation="adjust"),
    errors.ReversalExceedsOriginal(entry_id="x.1", requested=2, reversible=1),
    errors.AccountNotEmpty(owner="ada", posted=1, held=0, pending=0),
    errors.EntryNotFound(entry_id="00.1"),
    errors.InsufficientCredit(owner="ada", requested=5, available=4),
    errors.BalanceLimitExceeded(owner="ada", limit=9),
    errors.TokenUnavailable(token_id="00.1", key_id="k"),
    errors.ApiKeyNotFound(key_id="k"),
    errors.ApiKeyExists(key_id="k"),
    errors.Contended(),
    errors.OutcomeUnknown(keys=("k1", "k2")),
    errors.Corrupted(record="entry 00.1", problem="its digest is wrong"),
    errors.SchemaMismatch(expected="0001", found=None),
]


def name_of(error: errors.PluctError) -> str:
    return type(error).__name__


def test_every_error_is_tried() -> None:
    """The list of these tests holds every error of the library but the root, which nothing raises."""
    assert {name_of(error) for error in EVERY_ERROR} == set(errors.__all__) - {"PluctError"}
    assert {error.code for error in EVERY_ERROR} == set(EXIT_CODES)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


@pytest.mark.parametrize("error", EVERY_ERROR, ids=name_of)
def test_each_error_has_its_number_its_line_and_its_json(
    cli: Call, monkeypatch: pytest.MonkeyPatch, error: errors.PluctError
) -> None:
    """An error exits with the number of its code, is one line for people, and JSON with its facts for programs."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Ledger, "account", refuse)
    answer = cli("account", "ada", code=EXIT_CODES[error.code])
    assert answer.out == ""
    assert answer.err.startswith(f"error: {error}")
    assert answer.err.endswith(f" ({error.code})\n")
    assert answer.err.count("\n") == 1

    told = cli("account", "ada", "--json", code=EXIT_CODES[error.code])
    assert told.err == ""
    assert told.error["code"] == error.code
    assert str(error) in told.error["message"]
    facts = {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in error.facts.items()}
    assert told.error.items() >= facts.items()


def test_refusals_end_real_commands(cli: Call) -> None:
    """Commands that the ledger refuses exit with the numbers of the reasons."""
    cli("spend", "ada", "1", code=11)
    cli("open", "ada")
    cli("open", "ada", code=12)
    cli("grant", "ada", "1", "--idempotency-key", "k")
    cli("grant", "ada", "2", "--idempotency-key", "k", code=13)
    cli("spend", "ada", "2", code=17)
    cli("grant", "ada", str(2**53 - 1), code=18)
    cli("key", "revoke", "nobody", code=20)


def test_missing_tables_are_told_with_the_command_that_makes_them(
    run_here: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database without our tables exits with 33 and says what to run."""
    file = tmp_path / "empty.db"
    sqlite3.connect(file).close()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
    (tmp_path / "empty.db").touch()
    for arguments in (["accounts"], ["grant", "ada", "1"], ["verify"], ["key", "list"], ["db", "check"]):
        assert "run pluct-ledger db upgrade (schema_mismatch)" in run_here(*arguments, code=33).err
    run_here("db", "upgrade")
    run_here("db", "check")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grant", "ada"], "Missing argument"),
        (["grant", "ada", "1", "2"], "unexpected extra argument"),
        (["grant", "ada", "1", "--nosuch", "x"], "No such option: --nosuch"),
        (["grant", "ada", "1", "--reason"], "requires an argument"),
        (["nosuch"], "No such command 'nosuch'"),
        (["accounts", "--url", "x"], "--url: it stands before the command"),
    ],
)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_wrong_call_is_told_in_json_too(cli: Call, arguments: list[str], said: str, place: str) -> None:
    """A call that is no call exits with 2, in one line for people and in JSON for programs."""
    answer = cli(*arguments, code=2)
    assert said in answer.err
    assert answer.err.endswith("(invalid_argument)\n")
    assert answer.err.count("\n") == 1

    in_json = ["--json", *arguments] if place == "before" else [*arguments[:1], "--json", *arguments[1:]]
    told = cli(*in_json, code=2)
    assert told.error["code"] == "invalid_argument"
    assert said in told.error["message"]
    assert told.err == ""


def test_what_follows_two_dashes_is_no_option(cli: Call) -> None:
    """After two dashes even --json is an argument."""
    assert cli("grant", "--", "--json", code=2).err


def test_without_a_command_the_help_is_shown(run_here: Call) -> None:
    """A call without a command shows what commands there are, and exits with 2."""
    for group in ([], ["db"], ["import"], ["token"], ["key"]):
        answer = run_here(*group, code=2)
        assert "Usage: pluct-ledger" in answer.out
        assert answer.err == ""


def test_what_a_database_refuses_is_one_line_without_the_statement(
    cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the database is told in its own words, without the statement and its arguments."""

    def refuse(*_: object) -> None:
        raise ProgrammingError("SELECT secret", {"a": "hidden"}, Exception("permission denied\n for table"))

    monkeypatch.setattr(Ledger, "account", refuse)
    answer = cli("account", "ada", code=1)
    assert answer.err == "error: the database says: permission denied for table (database_error)\n"
    assert cli("account", "ada", "--json", code=1).error["code"] == "database_error"


def test_a_database_that_goes_away_is_no_traceback(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost half-way is told in one line."""

    def refuse(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(Ledger, "account", refuse)
    assert "server closed the connection" in cli("account", "ada", code=1).err
