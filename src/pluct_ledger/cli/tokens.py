"""Commands on tokens: vend, validate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import create_engine

from pluct_ledger.cli.options import (
    Actor,
    EventAt,
    Json,
    Key,
    Kind,
    Metadata,
    Owner,
    Reason,
    terminal_of,
    write_options,
)
from pluct_ledger.cli.secrets import read_token, signing_keys
from pluct_ledger.cli.sheets import record
from pluct_ledger.cli.terminal import EXIT_TOKEN_NOT_VALID, Terminal
from pluct_ledger.domain.tokens import TokenCheck, VendedToken
from pluct_ledger.errors import InvalidArgument
from pluct_ledger.ledger import Ledger
from pluct_ledger.token_vendor import TokenVendor

app = typer.Typer(help="Tokens that cost credit.", no_args_is_help=True)

SecretFile = Annotated[
    Path | None, typer.Option(help="A file with the secret of HS256; without it JWT_SECRET is used.")
]
KeyFile = Annotated[Path | None, typer.Option(help="A file with an Ed25519 key in PEM.")]
Issuer = Annotated[str, typer.Option(help="Who issues the token.")]
Audience = Annotated[str | None, typer.Option(help="Whom the token is for.")]
Scope = Annotated[list[str] | None, typer.Option(help="What it allows; may be repeated.")]


@app.command("vend")
def vend(
    context: typer.Context,
    owner: Owner,
    cost: Annotated[int, typer.Option(help="What the token costs.")] = 1,
    ttl: Annotated[int, typer.Option(help="For how many seconds it is good.")] = 60,
    scope: Scope = None,
    issuer: Issuer = "pluct",
    audience: Audience = None,
    secret_file: SecretFile = None,
    key_file: KeyFile = None,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Take what a token costs from its owner, and print the token."""
    terminal = terminal_of(context, as_json)
    keys = signing_keys(secret_file, key_file)
    lifetime = _seconds(ttl)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        vendor = TokenVendor(ledger, keys=keys, issuer=issuer, audience=audience)
        vended = vendor.vend(owner, cost=cost, ttl=lifetime, scope=tuple(scope or ()), **options)
    terminal.answer(vended, lambda: _hand_out(terminal, vended))


@app.command("validate")
def validate(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="A file with the token; without it, the standard input.")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option(help="What it has to allow; may be repeated.")] = None,
    issuer: Issuer = "pluct",
    audience: Audience = None,
    secret_file: SecretFile = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Tell whether a token is good, without any database; exits with 40 if it is not."""
    terminal = terminal_of(context, as_json)
    keys = signing_keys(secret_file, key_file)
    token = read_token(file, terminal)
    with _no_database(terminal) as ledger:
        vendor = TokenVendor(ledger, keys=keys, issuer=issuer, audience=audience)
        found = vendor.validate(token, scope=tuple(scope or ()))
    terminal.answer(found, lambda: _show_verdict(terminal, found))
    if not found.valid:
        raise typer.Exit(EXIT_TOKEN_NOT_VALID)


def _hand_out(terminal: Terminal, vended: VendedToken) -> None:
    terminal.write(vended.token + "\n")
    if vended.receipt.replayed:
        terminal.note("This key vended it before: nothing was taken.")
    terminal.note(
        f"Token {vended.token_id}, good until {vended.expires_at:%Y-%m-%d %H:%M:%SZ}; "
        f"{vended.receipt.available_after} available to {vended.owner}."
    )


def _show_verdict(terminal: Terminal, found: TokenCheck) -> None:
    terminal.say(found.code, "bold green" if found.valid else "bold red")
    if found.token_id is not None:
        shown = record(
            owner=found.owner, token=found.token_id, expires=found.expires_at, scope=" ".join(found.scope)
        )
        terminal.show_record(shown)


@contextmanager
def _no_database(terminal: Terminal) -> Iterator[Ledger]:
    """Give a ledger that is asked for nothing but the name of its book."""
    engine = create_engine("sqlite://")
    try:
        yield Ledger(engine, book=terminal.book)
    finally:
        engine.dispose()


def _seconds(count: int) -> timedelta:
    try:
        return timedelta(seconds=count)
    except OverflowError:
        raise InvalidArgument("ttl", "is longer than any calendar") from None
