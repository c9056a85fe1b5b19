"""Commands on the ledger's tables: upgrade, check, sql."""

from __future__ import annotations

from typing import Annotated

import typer

from pluct_ledger import migrations
from pluct_ledger.cli.options import Json, terminal_of

app = typer.Typer(help="The ledger's tables.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="The revision to come to.")] = "head",
    as_json: Json = False,
) -> None:
    """Create the tables, or bring them up to this release; safe from many places at once."""
    terminal = terminal_of(context, as_json)
    with terminal.engine(creating=True) as engine:
        ran = migrations.upgrade(engine, to=to, schema=terminal.schema)
    said = f"Upgraded: {', '.join(ran)}." if ran else "The tables are up to date."
    terminal.answer({"upgraded": list(ran)}, lambda: terminal.say(said))


@app.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Tell whether this release works on the tables that are there; exits with 33 if not."""
    terminal = terminal_of(context, as_json)
    with terminal.engine() as engine:
        migrations.check(engine, schema=terminal.schema)
    terminal.answer({"ok": True}, lambda: terminal.say("This release works on these tables."))


@app.command("sql")
def sql(
    context: typer.Context,
    dialect: Annotated[str, typer.Argument(help="sqlite, postgresql or mariadb.")],
    to: Annotated[str, typer.Option(help="The revision to come to.")] = "head",
    since: Annotated[str, typer.Option(help="The revision that the tables are at.")] = "base",
    as_json: Json = False,
) -> None:
    """Print the upgrade as SQL, for a database administrator to run; needs no database."""
    terminal = terminal_of(context, as_json)
    script = migrations.sql(dialect, to=to, since=since, schema=terminal.schema)
    terminal.answer({"dialect": dialect, "sql": script}, lambda: terminal.write(script))
