"""Commands on API keys: create, list, revoke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.cli.accounts import Json, terminal_of
from pluct_ledger.cli.secrets import pepper
from pluct_ledger.cli.terminal import Terminal, table
from pluct_ledger.domain.api_keys import ApiKey

app = typer.Typer(help="API keys of partners.", no_args_is_help=True)

PepperFile = Annotated[
    Path | None, typer.Option(help="A file with the pepper; else API_KEY_PEPPER, else none.")
]


@app.command("create")
def create(
    context: typer.Context,
    description: Annotated[str, typer.Argument(help="Whom the key is for.")],
    scope: Annotated[list[str] | None, typer.Option(help="What it allows; may be repeated.")] = None,
    pepper_file: PepperFile = None,
    as_json: Json = False,
) -> None:
    """Create an API key; its secret is shown this once."""
    terminal = terminal_of(context, as_json)
    with _registry(terminal, pepper_file) as registry:
        created = registry.create(description, scopes=tuple(scope or ("credits:add",)))
    if terminal.as_json:
        terminal.show(created, str)
        return
    terminal.out.out(created.secret)
    terminal.err.print(
        f"key {created.api_key.key_id}: keep the secret now, it is not shown again", markup=False
    )


@app.command("list")
def list_keys(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many, 1 to 1000.")] = 50,
    after: Annotated[str | None, typer.Option(help="Go on after this cursor.")] = None,
    as_json: Json = False,
) -> None:
    """List the API keys of the book, newest first."""
    terminal = terminal_of(context, as_json)
    with _registry(terminal, None) as registry:
        page = registry.page(limit=limit, after=after)
    terminal.show({"items": list(page.items), "next": page.next}, lambda: _key_table(page.items))
    if page.next is not None and not terminal.as_json:
        terminal.err.print(f"more: --after {page.next}", markup=False)


@app.command("revoke")
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The key's public id.")],
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    as_json: Json = False,
) -> None:
    """Revoke an API key; it is refused from the next request on."""
    terminal = terminal_of(context, as_json)
    with _registry(terminal, None) as registry:
        revoked = registry.revoke(key_id, reason=reason)
    terminal.show(revoked, lambda: _key_table((revoked,)))


@contextmanager
def _registry(terminal: Terminal, pepper_file: Path | None) -> Iterator[ApiKeyRegistry]:
    with terminal.engine() as engine:
        yield ApiKeyRegistry(engine, book=terminal.book, pepper=pepper(pepper_file))


def _key_table(shown: tuple[ApiKey, ...]) -> Table:
    return table(
        "API keys",
        ("id", "description", "scopes", "status", "created", "last used"),
        (
            (key.key_id, key.description, " ".join(key.scopes), key.status, key.created_at, key.last_used_at)
            for key in shown
        ),
    )
