"""Commands that move credit: open, grant, spend, transfer, adjust, reverse."""

from __future__ import annotations

from typing import Annotated

import typer

from pluct_ledger.cli.options import (
    UNLIMITED,
    Actor,
    Amount,
    EventAt,
    Json,
    Key,
    Kind,
    Metadata,
    Owner,
    Reason,
    instant_of,
    limit_of,
    span_of,
    terminal_of,
    write_options,
)
from pluct_ledger.cli.reading import account_record
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.errors import InvalidArgument


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
    limit = limit_of(overdraft_limit, "overdraft_limit")
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
    expires_at: Annotated[
        str | None, typer.Option(help="When what is left of it is gone, e.g. 2026-01-31T12:00:00Z.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="How long it lives from when it takes effect, e.g. 30d, 12h, 90s.")
    ] = None,
    effective_at: Annotated[str | None, typer.Option(help="Until then it only waits.")] = None,
    priority: Annotated[int, typer.Option(help="The lowest is used first, -32767 to 32767.")] = 0,
    label: Annotated[str | None, typer.Option(help="Your name for this grant.")] = None,
    granted_by: Annotated[str | None, typer.Option(help="Who granted it; a label only.")] = None,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Give credit to an owner, on terms if you like; opens the account if there is none."""
    terminal = terminal_of(context, as_json)
    if expires_at is not None and expires_in is not None:
        raise InvalidArgument("expires_in", "stands beside --expires-at: one of them is enough")
    ends = instant_of(expires_at, "expires_at") if expires_in is None else span_of(expires_in, "expires_in")
    begins = instant_of(effective_at, "effective_at")
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.grant(
            owner,
            amount,
            expires_at=ends,
            effective_at=begins,
            priority=priority,
            label=label,
            granted_by=granted_by,
            **options,
        )
    answer_receipt(terminal, receipt)


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
    answer_receipt(terminal, receipt)


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
    answer_receipt(terminal, receipt)


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
    answer_receipt(terminal, receipt)


def reverse(
    context: typer.Context,
    entry_id: Annotated[str, typer.Argument(help="The entry: a spend, capture, transfer or grant.")],
    amount: Annotated[int | None, typer.Argument(help="How much of it; all that is left without it.")] = None,
    up_to: Annotated[bool, typer.Option("--up-to", help="Take as much of the amount as there is.")] = False,
    expired_grace: Annotated[
        str | None,
        typer.Option(help="Reissue what belongs to a grant that is over, for this long, e.g. 7d."),
    ] = None,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Reverse an entry, wholly or in part, as often as something is left of it."""
    terminal = terminal_of(context, as_json)
    grace = None if expired_grace is None else span_of(expired_grace, "expired_grace")
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.reverse(entry_id, amount, up_to=up_to, expired_grace=grace, **options)
    answer_receipt(terminal, receipt)


def answer_receipt(terminal: Terminal, receipt: Receipt) -> None:
    """Answer with what a write did."""
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
