"""Commands on the database: its tables, and moving in from the old service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pluct_ledger import migrations
from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.cli.accounts import Json, terminal_of
from pluct_ledger.cli.terminal import table
from pluct_ledger.importing import ImportReport, import_d1

app = typer.Typer(help="The ledger's tables.", no_args_is_help=True)
importing = typer.Typer(help="Move in from another service.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="The revision to go to.")] = "head",
    schema: Annotated[str | None, typer.Option(help="The PostgreSQL schema.")] = None,
    as_json: Json = False,
) -> None:
    """Create the tables, or bring them up to this release; safe to run from many places at once."""
    terminal = terminal_of(context, as_json)
    with terminal.engine() as engine:
        migrations.upgrade(engine, to=to, schema=schema)
    terminal.show(
        {"upgraded": to}, lambda: "The tables are up to date." if to == "head" else f"Upgraded to {to}."
    )


@app.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Tell whether the tables are those of this release; exits with 33 if not."""
    terminal = terminal_of(context, as_json)
    with terminal.engine() as engine:
        migrations.check(engine)
    terminal.show({"ok": True}, lambda: "The tables are those of this release.")


@app.command("sql")
def sql(
    dialect: Annotated[str, typer.Argument(help="sqlite, postgresql or mariadb.")],
) -> None:
    """Print the SQL that creates the tables, for a DBA to run."""
    typer.echo(migrations.sql(dialect))


@importing.command("d1")
def d1(
    context: typer.Context,
    export: Annotated[Path, typer.Argument(help="The export of D1: an SQLite file or an SQL dump.")],
    kv_balances: Annotated[Path | None, typer.Option(help="The balances of KV, a JSON object.")] = None,
    as_json: Json = False,
) -> None:
    """Import accounts, history, balances and API keys of the old service; a second run changes nothing."""
    terminal = terminal_of(context, as_json)
    with terminal.ledger() as ledger, terminal.progress("importing") as progress:
        registry = ApiKeyRegistry(ledger.desk.door.engine, book=terminal.book)
        report = import_d1(ledger, export, kv_balances=kv_balances, registry=registry, progress=progress)
    terminal.show(report, lambda: import_summary(report))


def import_summary(report: ImportReport) -> object:
    """Return what an import did, for people."""
    return table("Imported", ("what", "how many"), [("accounts opened", report.accounts_opened)])
