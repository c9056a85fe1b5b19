"""Commands on tokens: vend, validate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import create_engine

from pluct_ledger.cli.accounts import Json, Key, Owner, terminal_of
from pluct_ledger.cli.secrets import read_text, signing_keys
from pluct_ledger.cli.terminal import EXIT_TOKEN_NOT_VALID, table
from pluct_ledger.domain.tokens import TokenCheck
from pluct_ledger.ledger import Ledger
from pluct_ledger.token_vendor import TokenVendor

app = typer.Typer(help="Tokens that cost credit.", no_args_is_help=True)

SecretFile = Annotated[
    Path | None, typer.Option(help="A file with the HS256 secret; else the variable JWT_SECRET is used.")
]
KeyFile = Annotated[Path | None, typer.Option(help="A PEM file with the Ed25519 key.")]
Issuer = Annotated[str, typer.Option(help="Who issues the token.")]
Audience = Annotated[str | None, typer.Option(help="Whom it is for.")]
Scope = Annotated[list[str] | None, typer.Option(help="What it allows; may be repeated.")]


@app.command("vend")
def vend(
    context: typer.Context,
    owner: Owner,
    cost: Annotated[int, typer.Option(help="What it costs.")] = 1,
    ttl: Annotated[int, typer.Option(help="How many seconds it is good.")] = 60,
    scope: Scope = None,
    key: Key = None,
    issuer: Issuer = "pluct",
    audience: Audience = None,
    secret_file: SecretFile = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Vend a token: take what it costs from the owner, and print it."""
    terminal = terminal_of(context, as_json)
    keys = signing_keys(secret_file, key_file)
    with terminal.ledger() as ledger:
        vendor = TokenVendor(ledger, keys=keys, issuer=issuer, audience=audience)
        vended = vendor.vend(
            owner, cost=cost, ttl=timedelta(seconds=ttl), scope=tuple(scope or ()), idempotency_key=key
        )
    if terminal.as_json:
        terminal.show(vended, str)
        return
    terminal.out.out(vended.token)
    terminal.err.print(
        f"{vended.token_id}: good until {vended.expires_at.isoformat()}, {vended.receipt.available_after} left",
        markup=False,
        soft_wrap=True,
    )


@app.command("validate")
def validate(
    context: typer.Context,
    token: Annotated[
        str | None,
        typer.Argument(help="The token; without it (or with -) it is read from the standard input."),
    ] = None,
    scope: Scope = None,
    issuer: Issuer = "pluct",
    audience: Audience = None,
    secret_file: SecretFile = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Tell whether a token is good, without a database; exits with 40 if it is not."""
    terminal = terminal_of(context, as_json)
    keys = signing_keys(secret_file, key_file)
    text = read_text(Path("-"), "token") if token in {None, "-"} else token
    with _no_database(terminal.book) as ledger:
        vendor = TokenVendor(ledger, keys=keys, issuer=issuer, audience=audience)
        found = vendor.validate(text.strip(), scope=tuple(scope or ()))
    terminal.show(found, lambda: _check_table(found))
    if not found.valid:
        raise typer.Exit(EXIT_TOKEN_NOT_VALID)


@contextmanager
def _no_database(book: str) -> Iterator[Ledger]:
    """Give a ledger that is asked for its book's name only."""
    engine = create_engine("sqlite://")
    try:
        yield Ledger(engine, book=book)
    finally:
        engine.dispose()


def _check_table(found: TokenCheck) -> object:
    return table(
        "valid" if found.valid else "not valid",
        ("code", "owner", "token", "expires", "scope"),
        [(found.code, found.owner, found.token_id, found.expires_at, " ".join(found.scope))],
    )
