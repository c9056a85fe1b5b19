"""The commands of ``pluct-ledger`` as a tree, and the options before them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn

import typer
import typer.main

import pluct_ledger
from pluct_ledger.cli import controls, database, explaining, holds, importing, keys, reading, tokens, writing
from pluct_ledger.cli.demo import demo
from pluct_ledger.cli.failures import failures_shown
from pluct_ledger.cli.maintenance import maintenance
from pluct_ledger.cli.terminal import Terminal, prepare_streams

NAME: Final = "pluct-ledger"

app = typer.Typer(
    name=NAME,
    help="Credits in your own database: accounts, tokens, partner keys, and books that prove themselves.",
    epilog="Every command takes --json, before or after it, and exits with a number that tells what went wrong.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SET_UP: Final = "Set up"
_CREDIT: Final = "Credit"
_CONTROL: Final = "Controls"
_LOOK: Final = "Look"
_ACCESS: Final = "Tokens and keys"

app.add_typer(database.app, name="db", rich_help_panel=_SET_UP)
app.add_typer(importing.app, name="import", rich_help_panel=_SET_UP)
app.command("maintenance", rich_help_panel=_SET_UP)(maintenance)
app.command("demo", rich_help_panel=_SET_UP)(demo)
app.command("open", rich_help_panel=_CREDIT)(writing.open_account)
app.command("grant", rich_help_panel=_CREDIT)(writing.grant)
app.command("spend", rich_help_panel=_CREDIT)(writing.spend)
app.command("transfer", rich_help_panel=_CREDIT)(writing.transfer)
# What looks like an option and is none is taken as an argument, so that -5 needs nothing before it.
_negative = {"ignore_unknown_options": True}
app.command("adjust", rich_help_panel=_CREDIT, context_settings=_negative)(writing.adjust)
app.command("reverse", rich_help_panel=_CREDIT)(writing.reverse)
app.add_typer(holds.app, name="hold", rich_help_panel=_CREDIT)
app.command("overdraft", rich_help_panel=_CONTROL)(controls.overdraft)
app.command("freeze", rich_help_panel=_CONTROL)(controls.freeze)
app.command("unfreeze", rich_help_panel=_CONTROL)(controls.unfreeze)
app.command("close", rich_help_panel=_CONTROL)(controls.close)
app.command("account", rich_help_panel=_LOOK)(reading.account)
app.command("accounts", rich_help_panel=_LOOK)(reading.accounts)
app.command("balance", rich_help_panel=_LOOK)(reading.balance)
app.command("grants", rich_help_panel=_LOOK)(reading.grants)
app.command("holds", rich_help_panel=_LOOK)(reading.holds)
app.command("orphan-holds", rich_help_panel=_LOOK)(reading.orphan_holds)
app.command("entries", rich_help_panel=_LOOK)(reading.entries)
app.command("statement", rich_help_panel=_LOOK)(explaining.statement)
app.command("explain", rich_help_panel=_LOOK)(explaining.explain)
app.command("explain-balance", rich_help_panel=_LOOK)(explaining.explain_balance)
app.command("verify", rich_help_panel=_LOOK)(reading.verify)
app.add_typer(tokens.app, name="token", rich_help_panel=_ACCESS)
app.add_typer(keys.app, name="key", rich_help_panel=_ACCESS)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(pluct_ledger.__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="DATABASE_URL",
            help="The database, e.g. sqlite:///ledger.db; the variable keeps a password out of the process list.",
        ),
    ] = None,
    book: Annotated[str, typer.Option(envvar="PLUCT_BOOK", help="The book to work in.")] = "default",
    asset: Annotated[str, typer.Option(help="What is counted.")] = "credit",
    schema: Annotated[
        str | None,
        typer.Option(help="The PostgreSQL schema of the tables; the connection's default without it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, errors too.")] = False,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    terminal: Terminal = context.find_root().obj
    terminal.url, terminal.book, terminal.asset, terminal.schema = url, book, asset, schema
    terminal.as_json = as_json


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line with these arguments, or with the ones that the process was given."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    terminal = Terminal()
    try:
        with failures_shown(terminal, given):
            command = typer.main.get_command(app)
            sys.exit(command.main(given, prog_name=NAME, standalone_mode=False, obj=terminal) or 0)
    except typer.Exit as exit_:
        sys.exit(exit_.exit_code)
