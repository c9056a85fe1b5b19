"""Commands on API keys: create, list, revoke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.cli.options import Json, Limit, terminal_of
from pluct_ledger.cli.reading import answer_page
from pluct_ledger.cli.secrets import pepper
from pluct_ledger.cli.sheets import Kind, Sheet, record, sheet
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.api_keys import ApiKey, CreatedApiKey, KeyForm

app = typer.Typer(help="API keys of partners.", no_args_is_help=True)


@app.command("create")
def create(
    context: typer.Context,
    description: Annotated[str, typer.Argument(help="Whom the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it allows, credits:add without it; may be repeated.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="The first word of the key.")] = "pluct",
    environment: Annotated[str, typer.Option(help="The second word of the key.")] = "live",
    pepper_file: Annotated[
        Path | None, typer.Option(help="A file with the pepper; else API_KEY_PEPPER, else none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create an API key and print its secret, which nothing can tell a second time."""
    terminal = terminal_of(context, as_json)
    form, secret_pepper = KeyForm(prefix, environment), pepper(pepper_file)
    with _registry(terminal, form, secret_pepper) as registry:
        created = registry.create(description, scopes=tuple(scope or ("credits:add",)))
    terminal.answer(created, lambda: _hand_out(terminal, created))


@app.command("list")
def list_keys(
    context: typer.Context,
    limit: Limit = 50,
    after: Annotated[str | None, typer.Option(help="Go on after this cursor.")] = None,
    as_json: Json = False,
) -> None:
    """List the API keys of the book, newest first."""
    terminal = terminal_of(context, as_json)
    with _registry(terminal) as registry:
        page = registry.page(limit=limit, after=after)
    answer_page(terminal, page, _key_sheet(page), more="--after")


@app.command("revoke")
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The key's public id.")],
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    as_json: Json = False,
) -> None:
    """Revoke an API key for good: it is refused from the next request on."""
    terminal = terminal_of(context, as_json)
    with _registry(terminal) as registry:
        revoked = registry.revoke(key_id, reason=reason)
    terminal.answer(revoked, lambda: terminal.show_record(_key_record(revoked)))


@contextmanager
def _registry(
    terminal: Terminal, form: KeyForm | None = None, secret_pepper: bytes | None = None
) -> Iterator[ApiKeyRegistry]:
    shape = form or KeyForm()
    with terminal.engine() as engine:
        yield ApiKeyRegistry(
            engine,
            book=terminal.book,
            schema=terminal.schema,
            pepper=secret_pepper,
            prefix=shape.prefix,
            environment=shape.environment,
        )


def _hand_out(terminal: Terminal, created: CreatedApiKey) -> None:
    terminal.write(created.secret + "\n")
    terminal.note(f"Key {created.api_key.key_id}: keep the secret now, it is not shown again.")


def _key_sheet(shown: Iterable[ApiKey]) -> Sheet:
    columns = [("id", Kind.EXACT), ("description", Kind.TEXT), ("scopes", Kind.TEXT), ("status", Kind.EXACT)]
    columns += [("created", Kind.SPARE), ("last used", Kind.SPARE)]
    rows = (
        (one.key_id, one.description, " ".join(one.scopes), one.status, one.created_at, one.last_used_at)
        for one in shown
    )
    return sheet(columns, rows)


def _key_record(one: ApiKey) -> Sheet:
    return record(
        id=one.key_id,
        description=one.description,
        scopes=" ".join(one.scopes),
        status=one.status,
        created=one.created_at,
        last_used=one.last_used_at,
        revoked=one.revoked_at,
        reason=one.revoked_reason,
    )
