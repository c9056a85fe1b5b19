"""The command ``demo``: the main job, end to end, on an embedded SQLite database and a real export."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pluct_ledger import migrations
from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.cli.accounts import entry_table, terminal_of, verification
from pluct_ledger.cli.database import import_summary
from pluct_ledger.cli.terminal import EXIT_BOOKS_WRONG, Terminal, open_engine, table
from pluct_ledger.domain.commands import WriteOptions
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.errors import InsufficientCredit, InvalidArgument
from pluct_ledger.importing import import_d1
from pluct_ledger.ledger import Ledger
from pluct_ledger.token_vendor import TokenVendor

_USER = "demo-user"


def demo(
    context: typer.Context,
    export: Annotated[
        Path, typer.Option(help="The folder of an export: d1.sqlite and kv-balances.json.")
    ] = Path("examples/data/pluct-d1"),
    database: Annotated[
        Path | None, typer.Option(help="The SQLite file to write to; a temporary one without it.")
    ] = None,
) -> None:
    """Run the main job on embedded SQLite, and prove that the books balance."""
    terminal = terminal_of(context, as_json=False)
    for name in ("d1.sqlite", "kv-balances.json"):
        if not (export / name).is_file():
            raise InvalidArgument(
                "export", f"{export / name} is not there: run it in a checkout, or name the folder"
            )
    with _database(database) as path:
        engine = open_engine(f"sqlite:///{path}")
        try:
            migrations.upgrade(engine)
            _say(terminal, f"The schema stands in {path.name}.")
            ledger = Ledger(engine, book=terminal.book)
            registry = ApiKeyRegistry(engine, book=terminal.book)
            _move_in(terminal, ledger, registry, export)
            _take_credit_from_a_partner(terminal, ledger, registry)
            _sell_tokens(terminal, ledger)
            _show_books(terminal, ledger)
        finally:
            engine.dispose()


@contextmanager
def _database(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="pluct-demo-") as folder:
        yield Path(folder) / "demo.db"


def _say(terminal: Terminal, text: str) -> None:
    terminal.out.print(f"[bold cyan]•[/] {escape(text)}", soft_wrap=True)


def _must(terminal: Terminal, holds: bool, what: str) -> None:  # noqa: FBT001 - reads as "must hold"
    """End the demo with an error where something that it claims does not hold."""
    if not holds:
        terminal.err.print(f"[bold red]not so[/]: {escape(what)}")
        raise typer.Exit(EXIT_BOOKS_WRONG)


def _move_in(terminal: Terminal, ledger: Ledger, registry: ApiKeyRegistry, export: Path) -> None:
    with terminal.progress("importing") as progress:
        report = import_d1(
            ledger,
            export / "d1.sqlite",
            kv_balances=export / "kv-balances.json",
            registry=registry,
            progress=progress,
        )
    terminal.out.print(import_summary(report))
    balances = json.loads((export / "kv-balances.json").read_text(encoding="utf-8"))
    seen = {key.removeprefix("user:"): int(value) for key, value in balances.items()}
    wrong = [owner for owner, found in ledger.balances(seen).items() if found.posted != seen[owner]]
    _must(terminal, not wrong, "every user has the balance that they saw")
    _say(terminal, f"All {len(seen)} users have the balance that they saw in the old service.")


def _take_credit_from_a_partner(terminal: Terminal, ledger: Ledger, registry: ApiKeyRegistry) -> None:
    created = registry.create("Demo partner")
    _say(
        terminal,
        f"A partner gets the API key {created.api_key.key_id}; its secret is shown once and stored hashed.",
    )
    check = registry.verify(created.secret, scope="credits:add")
    _must(terminal, check.valid, "the partner's key verifies")
    order = secrets.token_hex(4)
    facts: WriteOptions = {
        "kind": "api_add",
        "reason": f"Order {order}",
        "actor": f"api_key:{created.api_key.key_id}",
        "idempotency_key": f"order-{order}",
    }
    first = ledger.grant(_USER, 3, **facts)
    _say(terminal, f"The partner adds 3 credits for {_USER}: {first.available_after} available.")
    again = ledger.grant(_USER, 3, **facts)
    _must(terminal, again.replayed and again.entry_id == first.entry_id, "a repeated request moves nothing")
    _say(terminal, f"The same request comes again: answered with entry {again.seq}, nothing moved.")


def _sell_tokens(terminal: Terminal, ledger: Ledger) -> None:
    vendor = TokenVendor(ledger, keys=SigningKeys.hs256(secrets.token_bytes(32)))
    while True:
        try:
            vended = vendor.vend(_USER)
        except InsufficientCredit as refusal:
            _say(
                terminal,
                f"{_USER} has run dry: {refusal.available} available, {refusal.requested} requested.",
            )
            break
        check = vendor.validate(vended.token)
        _must(terminal, check.valid, "a vended token is valid")
        _say(
            terminal, f"Token {vended.token_id}: {check.code}, {vended.receipt.available_after} credits left."
        )
    forger = TokenVendor(ledger, keys=SigningKeys.hs256(secrets.token_bytes(32)))
    ledger.grant(_USER, 1, kind="admin_add", reason="One more for the forger")
    forged = forger.vend(_USER).token
    refused = vendor.validate(forged)
    _must(terminal, not refused.valid, "a forged token is refused")
    _say(terminal, f"A token that somebody else signed is refused: {refused.code}.")


def _show_books(terminal: Terminal, ledger: Ledger) -> None:
    richest = sorted(ledger.accounts(limit=1000).all(), key=lambda account: -account.posted)[:8]
    terminal.out.print(
        table(
            "The largest balances",
            ("owner", "balance", "granted", "spent", "adjusted", "entries"),
            (
                (one.owner, one.posted, one.issued, one.spent, one.adjusted, one.entry_count)
                for one in (*richest, ledger.account(_USER))
            ),
            numbers=("balance", "granted", "spent", "adjusted", "entries"),
        )
    )
    terminal.out.print(entry_table(ledger.entries(limit=8).items, "The last entries"))
    with terminal.progress("verifying") as progress:
        report = ledger.verify(progress=progress)
    terminal.out.print(verification(report))
    if not report.ok:
        raise typer.Exit(EXIT_BOOKS_WRONG)
