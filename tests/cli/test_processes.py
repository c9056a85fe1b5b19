"""The command line as a process: pipes, terminals, signals, locales, and what is not installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pluct_ledger import Ledger
from pluct_ledger.commands import Issue
from tests.cli.calls import COMMAND, SECRET, on_terminal, run_apart

pytestmark = pytest.mark.lanes("sqlite", because="what a process does with its streams knows no database")

OWNER = "Zoë 日本"


@pytest.fixture
def environment(database_url: str, ledger: Ledger) -> dict[str, str]:
    """The environment of a process that works on a database with one account."""
    ledger.grant(OWNER, 10, reason="naïve")
    return {"DATABASE_URL": database_url, "JWT_SECRET": SECRET}


def test_the_installed_command_runs(environment: dict[str, str]) -> None:
    """The script that the package installs beside its interpreter is the command line."""
    script = Path(sys.executable).with_name("pluct-ledger")
    answer = run_apart(["account", OWNER, "--json"], environment, command=[str(script)])
    assert (answer.code, answer.json["posted"]) == (0, 10)
    assert run_apart(["account", "nobody"], environment, command=[str(script)]).code == 11


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_it_says_what_to_install(missing: str) -> None:
    """Where the extra is not installed, one line says so, and the library itself works without it."""
    blocked = f"import sys; sys.modules[{missing!r}] = None; import pluct_ledger.cli; pluct_ledger.cli.main()"
    answer = run_apart(["--help"], {}, command=[sys.executable, "-c", blocked])
    assert answer.code == 1
    assert answer.err == "pluct-ledger's command line needs its extra: pip install 'pluct-ledger[cli]'\n"
    assert answer.out == ""


def test_another_module_that_is_missing_is_not_blamed_on_the_extra() -> None:
    """A module that is missing for another reason is told as what it is."""
    blocked = "import sys; sys.modules['alembic'] = None; from pluct_ledger.cli import main; main()"
    answer = run_apart(["--help"], {}, command=[sys.executable, "-c", blocked])
    assert "alembic" in answer.err
    assert "its extra" not in answer.err


def test_a_pipe_has_no_colours_and_no_bars(environment: dict[str, str]) -> None:
    """In a pipe there are no escapes, no bars and no drawn lines."""
    for arguments in (["verify"], ["account", "nobody"]):
        answer = run_apart(arguments, environment)
        assert "\x1b" not in answer.out + answer.err
        assert not set("─│━\r") & set(answer.out + answer.err)


def test_no_locale_crashes_it(environment: dict[str, str]) -> None:
    """Where the locale lacks a character, people see its escape, and JSON stays the same JSON."""
    poor = {**environment, "PYTHONIOENCODING": "ascii"}
    answer = run_apart(["accounts"], poor)
    assert answer.code == 0
    assert r"\u65e5\u672c" in answer.out
    assert run_apart(["entries", "--json"], poor).json["items"][0]["owner"] == OWNER
    assert r"\u672c' has no account" in run_apart(["spend", "日本", "1"], poor).err


def test_arguments_that_are_no_text_are_refused(environment: dict[str, str]) -> None:
    """Bytes that are no UTF-8 name no account, and are told without a traceback."""
    done = subprocess.run(
        [*COMMAND, "grant", b"\xff\xfe", "1"],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == b"error: owner: must not hold lone surrogates (invalid_argument)\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error_message(
    environment: dict[str, str], ledger: Ledger, unbuffered: str
) -> None:
    """Where nobody reads on, the command ends at once and says nothing, with the number that a shell expects."""
    ledger.apply_many([Issue("ada", 1, metadata={"x": "y" * 8000}) for _ in range(600)])
    process = subprocess.Popen(
        [*COMMAND, "entries", "--limit", "1000", "--json"],
        env={**os.environ, **environment, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.wait(60) == 141


def test_an_answer_that_cannot_be_written_is_told(environment: dict[str, str], ledger: Ledger) -> None:
    """A full disk behind the standard output is told in one line, and what was done is done."""
    full = Path("/dev/full")
    with full.open("wb") as stream:
        done = subprocess.run(
            [*COMMAND, "spend", OWNER, "1"],
            env={**os.environ, **environment},
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"error: the answer cannot be written: No space left on device\n"
    assert ledger.balance(OWNER).posted == 9


def test_a_closed_output_is_as_good_as_none(environment: dict[str, str], ledger: Ledger) -> None:
    """With the standard output closed the command does what it was told to."""
    shell = f'exec "{sys.executable}" -c "from pluct_ledger.cli import main; main()" spend "{OWNER}" 1 >&-'
    answer = run_apart([], environment, command=["sh", "-c", shell])
    assert (answer.code, answer.err) == (0, "")
    assert ledger.balance(OWNER).posted == 9


def test_an_interrupt_ends_it_quietly(environment: dict[str, str]) -> None:
    """Ctrl-C ends a command that waits, with 130 and without a traceback; a person was asked for the token first."""
    screen = on_terminal(["token", "validate"], environment)
    screen.read_until("Paste the token, then press Ctrl-D.")
    screen.process.send_signal(signal.SIGINT)
    shown = screen.end()
    assert screen.process.returncode == 130
    assert "Traceback" not in shown


def test_a_terminal_sees_a_bar_only_while_it_moves(environment: dict[str, str]) -> None:
    """On a terminal a bar shows how a verification goes on, and it leaves nothing behind but the answer."""
    screen = on_terminal(["verify"], environment, width=60)
    screen.end()
    assert b"Verifying" in screen.raw
    assert screen.raw.rstrip().endswith(b"replayed 1 entry of 1 account.\x1b[0m")
    assert screen.process.returncode == 0


def test_errors_are_seen_on_a_terminal(environment: dict[str, str]) -> None:
    """On a terminal an error stands out, and no word of it is cut."""
    screen = on_terminal(["spend", OWNER, "1000"], environment, width=50)
    shown = " ".join(screen.end().split())
    assert shown == f"error: '{OWNER}' has 10 available, 1000 requested (insufficient_credit)"
    assert screen.process.returncode == 17


def test_a_token_can_be_piped_into_the_next_command(environment: dict[str, str]) -> None:
    """Vending and validating join in a pipe."""
    vended = run_apart(["token", "vend", OWNER], environment)
    answer = run_apart(["token", "validate", "--json"], environment, stdin=vended.out.encode())
    assert json.loads(answer.out)["owner"] == OWNER
