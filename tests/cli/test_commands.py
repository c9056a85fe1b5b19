"""Every command, one after the other: answers in JSON, help, and its place in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pluct_ledger.cli.app import app
from tests.cli.calls import ROOT, Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="the command line has no SQL of its own; test_walk.py goes everywhere"
)

PAGE = (ROOT / "docs/guides/cli.md").read_text(encoding="utf-8")
REMARKS = {"--idempotency-key", "--kind", "--reason", "--actor", "--metadata", "--event-at"}

MONTH = ["2026-01-01T00:00:00Z", "2126-02-01T00:00:00Z"]

# Words in braces are what the fixture `known` made, and what `fresh` makes anew for each call.
CALLS = {
    "db upgrade": [],
    "db check": [],
    "db sql": ["mariadb"],
    "import d1": ["{export}/d1.sqlite", "--kv-balances", "{export}/kv-balances.json"],
    "maintenance": [],
    "demo": ["--export", "{export}"],
    "open": ["{newcomer}"],
    "grant": ["ada", "5"],
    "spend": ["ada", "1"],
    "transfer": ["ada", "bob", "1"],
    "adjust": ["ada", "-1", "--reason", "Counted twice"],
    "reverse": ["{entry}", "1"],
    "hold authorize": ["ada", "1", "--ttl", "15m"],
    "hold capture": ["{hold}"],
    "hold void": ["{hold}"],
    "hold extend": ["{hold}", "--ttl", "1h"],
    "overdraft": ["ada", "10"],
    "freeze": ["ada"],
    "unfreeze": ["ada"],
    "close": ["{empty}"],
    "account": ["ada"],
    "accounts": [],
    "balance": ["ada"],
    "grants": ["ada"],
    "holds": ["ada"],
    "orphan-holds": [],
    "entries": [],
    "statement": ["ada", *MONTH],
    "explain": ["{entry}"],
    "explain-balance": ["ada"],
    "verify": [],
    "token vend": ["ada"],
    "token validate": ["{token}"],
    "key create": ["Partner A"],
    "key list": [],
    "key revoke": ["{key_id}"],
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with the words that call it."""
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from leaves(child, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


def groups(command: Any) -> Iterator[Any]:
    """Yield every group of commands, the whole first."""
    if hasattr(command, "commands"):
        yield command
        for child in command.commands.values():
            yield from groups(child)


TREE: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = dict(leaves(TREE))


@pytest.fixture
def known(cli: Call, token_file: Path, small_export: Path) -> dict[str, str]:
    """What the commands are called with: accounts, a token and a key that there are."""
    cli("open", "bob")
    cli("key", "create", "Partner A")
    key_id = cli("key", "list", "--json").json["items"][0]["key_id"]
    cli("grant", "ada", "100")
    entry_id = cli("spend", "ada", "10", "--json").json["entry_id"]
    return {"token": str(token_file), "key_id": key_id, "export": str(small_export), "entry": entry_id}


def fresh(cli: Call, newcomer: str, wanted: list[str]) -> dict[str, str]:
    """Make what a command uses up."""
    made = {"newcomer": newcomer, "empty": f"{newcomer}-empty", "hold": ""}
    if "{empty}" in wanted:
        cli("open", made["empty"])
    if "{hold}" in wanted:
        made["hold"] = cli("hold", "authorize", "ada", "2", "--ttl", "60", "--json").json["hold_id"]
    return made


def test_every_command_is_called() -> None:
    """The calls of these tests are of all commands that there are."""
    assert set(CALLS) == set(COMMANDS)


@pytest.mark.parametrize("name", CALLS)
def test_every_command_answers_people_and_programs(cli: Call, known: dict[str, str], name: str) -> None:
    """A command answers in JSON alone wherever --json stands, and in lines for people without it."""

    def arguments(newcomer: str) -> list[str]:
        words = {**known, **fresh(cli, newcomer, CALLS[name])}
        return [argument.format(**words) for argument in CALLS[name]]

    before = cli("--json", *name.split(), *arguments("eve"))
    after = cli(*name.split(), "--json", *arguments("finn"))
    assert before.err == after.err == ""
    assert isinstance(before.json, dict)
    assert before.json.keys() == after.json.keys()

    people = cli(*name.split(), *arguments("gus"))
    assert people.out.strip()
    assert not people.out.startswith("{")
    assert "\x1b" not in people.out + people.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_its_help(run_here: Call, name: str) -> None:
    """The option --help tells what a command does, and what each argument and option of it is."""
    command = COMMANDS[name]
    shown = run_here(*name.split(), "--help").out
    assert command.help
    told = " ".join(re.sub(r"[│╭╮╰╯─]", " ", shown).split())
    assert command.help.split(";")[0].rstrip(".") in told
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"
        assert max(parameter.opts, key=len) in shown


def test_every_group_and_option_before_the_command_has_its_help(run_here: Call) -> None:
    """The groups tell what they hold, and the options before the command what they are."""
    for group in groups(TREE):
        assert group.help
    shown = run_here("--help").out
    for parameter in TREE.params:
        assert parameter.help, f"{parameter.name} has no help"
        assert max(parameter.opts, key=len) in shown
    assert run_here("-h").out == shown


def documented() -> dict[str, set[str]]:
    """The rows of the page's table: the options of each command."""
    rows: dict[str, set[str]] = {}
    for call, options in re.findall(r"^\| `([^`]+)` \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE):
        name = " ".join(word for word in call.split() if word.islower() or word == "d1")
        rows[name] = set(re.findall(r"`(--[\w-]+)`", options)) | (
            REMARKS if "*remarks*" in options else set()
        )
    return rows


def test_every_command_and_option_is_documented() -> None:
    """The guide names every command with its arguments and options, and none that there is not."""
    rows = documented()
    assert set(rows) == set(COMMANDS)
    for name, command in COMMANDS.items():
        options = {option for parameter in command.params for option in parameter.opts if option[:2] == "--"}
        assert rows[name] - {"--reason"} == options - {"--json", "--reason"}, name
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                assert re.search(rf"`{name} [^`]*\b{parameter.name.upper()}\b", PAGE), (
                    f"{name} {parameter.name}"
                )


def test_every_option_before_the_command_is_documented() -> None:
    """The guide names every option that stands before the command."""
    for parameter in TREE.params:
        for option in parameter.opts:
            assert f"`{option}`" in PAGE


def test_no_option_takes_a_secret() -> None:
    """No option or argument is a secret: what concerns one is the name of a file."""
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if re.search(r"secret|pepper|password|private|token", str(parameter.name)):
                assert parameter.name.endswith("_file"), f"{name} {parameter.name}"


def test_no_help_tells_what_the_environment_holds(run_here: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Help names variables, and never shows what is in them."""
    variables = ("DATABASE_URL", "JWT_SECRET", "API_KEY_PEPPER")
    for variable in variables:
        monkeypatch.setenv(variable, f"sqlite:///{variable}-s3cret")
    for name in ("", *COMMANDS):
        assert "s3cret" not in run_here(*name.split(), "--help").out


def test_the_version_is_told(run_here: Call) -> None:
    """The option --version tells the version of the package, and needs no command."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run_here("--version").out)
