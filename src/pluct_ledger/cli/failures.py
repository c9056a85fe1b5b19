"""How errors leave the command line: one line, or JSON, and the number that it exits with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import typer
from sqlalchemy.exc import DBAPIError

from pluct_ledger.cli.engines import Unreachable, reason_of
from pluct_ledger.cli.terminal import EXIT_CODES, EXIT_INTERRUPTED, Terminal
from pluct_ledger.errors import PluctError

# Typer brings its own copy of click, or stands on the one that is installed: the error is where its child is.
UsageError: Final[Any] = typer.BadParameter.__bases__[0]

_ADVICE: Final = {"schema_mismatch": "pluct-ledger db upgrade"}
_BEFORE_THE_COMMAND: Final = frozenset({"--url", "--book", "--asset", "--schema"})
_USER_AND_PASSWORD: Final = re.compile(r"(?<=://)[^/\s]*@")


@contextmanager
def failures_shown(terminal: Terminal, arguments: Sequence[str]) -> Iterator[None]:
    """Show an error that has a name as one line (or as JSON), and exit with the number of its code."""
    try:
        yield
    except PluctError as error:
        advice = f"; run {_ADVICE[error.code]}" if error.code in _ADVICE else ""
        _end(terminal, error.code, f"{error}{advice}", **error.facts)
    except Unreachable as error:
        _end(terminal, "database_unreachable", str(error))
    except DBAPIError as error:
        _end(terminal, "database_error", f"the database says: {reason_of(error)}")
    except UsageError as error:
        terminal.as_json = "--json" in _options(arguments)
        _end(terminal, "invalid_argument", _usage(error), exit_code=error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)


def _end(
    terminal: Terminal, code: str, message: str, exit_code: int | None = None, **facts: object
) -> NoReturn:
    shown = _USER_AND_PASSWORD.sub("***@", message)
    if terminal.as_json:
        terminal.write(terminal.json_of({"error": {"code": code, "message": shown, **facts}}) + "\n")
    elif shown:
        terminal.fail(f"{shown} ({code})")
    sys.exit(EXIT_CODES.get(code, 1) if exit_code is None else exit_code)


def _usage(error: Any) -> str:
    """Return what is wrong about a call; nothing where the help was printed instead of an answer."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    said = str(error.format_message()).rstrip(".")
    if getattr(error, "option_name", None) in _BEFORE_THE_COMMAND:
        said += ": it stands before the command"
    return said if error.ctx is None else f"{said}; see {error.ctx.command_path} --help"


def _options(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments that may be options."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments
