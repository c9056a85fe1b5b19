"""Commands that move credit: open, grant, spend, transfer, adjust."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from pluct_ledger.cli.options import (
    Actor,
    Amount,
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
from pluct_ledger.cli.reading import account_record
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.errors import InvalidArgument

UNLIMITED: Final = "unlimited"


def open_account(
    context: typer.Context,
    owner: Owner,
    initial: Annotated[int, typer.Option(help="Credit to begin with.")] = 0,
    overdraft_limit: Annotated[
        str, typer.Option(help=f"How far below 0 spends may go, or '{UNLIMITED}'.")
    ] = "0",
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object that describes the account.")] = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Open an account."""
    terminal = terminal_of(context, as_json)
    limit = _limit_of(overdraft_limit)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        opened = ledger.open_account(owner, initial=initial, overdraft_limit=limit, **options)
    terminal.answer(opened, lambda: terminal.show_record(account_record(opened)))


def grant(
    context: typer.Context,
    owner: Owner,
    amount: Amount,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Give credit to an owner; opens the account if there is none."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.grant(owner, amount, **options)
    _answer(terminal, receipt)


def spend(
    context: typer.Context,
    owner: Owner,
    amount: Amount,
    up_to: Annotated[bool, typer.Option("--up-to", help="Take as much of the amount as there is.")] = False,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Take credit from an owner."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.spend(owner, amount, up_to=up_to, **options)
    _answer(terminal, receipt)


def transfer(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Who pays.")],
    target: Annotated[str, typer.Argument(help="Who receives.")],
    amount: Amount,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Move credit from one owner to another; both have an account."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.transfer(source, target, amount, **options)
    _answer(terminal, receipt)


def adjust(
    context: typer.Context,
    owner: Owner,
    signed_amount: Annotated[int, typer.Argument(help="The correction, e.g. 5 or -5.")],
    reason: Annotated[str, typer.Option(help="Why, for people; a correction needs one.")],
    key: Key = None,
    kind: Kind = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Correct an account, past every limit."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.adjust(owner, signed_amount, **options)
    _answer(terminal, receipt)


def _answer(terminal: Terminal, receipt: Receipt) -> None:
    terminal.answer(receipt, lambda: _say(terminal, receipt))


def _say(terminal: Terminal, receipt: Receipt) -> None:
    if receipt.replayed:
        terminal.say("Nothing moved: this key stands for what was done before.", "yellow")
    terminal.say(
        f"{receipt.owner}: {receipt.amount:+} {receipt.asset} ({receipt.kind}), "
        f"{receipt.posted_after} posted, {receipt.available_after} available"
    )
    terminal.say(f"entry {receipt.entry_id}")
    if receipt.counterpart_entry_id is not None:
        terminal.say(f"entry {receipt.counterpart_entry_id} is the other side")


def _limit_of(text: str) -> int | None:
    if text == UNLIMITED:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument("overdraft_limit", f"must be a whole number, or '{UNLIMITED}'") from None
