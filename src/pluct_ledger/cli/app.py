"""The commands of ``pluct-ledger`` as a tree, and the options before them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import click
import typer

import pluct_ledger
from pluct_ledger.cli import accounts, database, keys, tokens
from pluct_ledger.cli.demo import demo
from pluct_ledger.cli.terminal import Terminal, errors_shown

app = typer.Typer(
    name="pluct-ledger",
    help="Credits in your own database: accounts, tokens, partner keys, and books that prove themselves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")
app.add_typer(database.importing, name="import")
accounts.add_to(app)
app.add_typer(tokens.app, name="token")
app.add_typer(keys.app, name="key")
app.command("demo")(demo)


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
            show_envvar=True,
            help="The database, e.g. sqlite:///ledger.db; DATABASE_URL keeps a password out of the process list.",
        ),
    ] = None,
    book: Annotated[str, typer.Option(envvar="PLUCT_BOOK", help="The book to work in.")] = "default",
    asset: Annotated[str, typer.Option(help="What is counted.")] = "credit",
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    terminal: Terminal = context.find_root().obj
    terminal.url, terminal.book, terminal.asset, terminal.as_json = url, book, asset, as_json


def run(arguments: list[str] | None = None) -> Any:
    """Run the command line with these arguments; without, with the process's."""
    terminal = Terminal()
    with errors_shown(terminal):
        try:
            sys.exit(app(arguments, obj=terminal, standalone_mode=False) or 0)
        except click.exceptions.Exit as exit_:
            sys.exit(exit_.exit_code)
        except click.exceptions.Abort:
            sys.exit(130)
        except click.ClickException as wrong:
            wrong.show()
            sys.exit(wrong.exit_code)
