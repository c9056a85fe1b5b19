"""Commands on holds: authorize, capture, void, extend."""

from __future__ import annotations

from typing import Annotated

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
    span_of,
    terminal_of,
    write_options,
)
from pluct_ledger.cli.reading import hold_record
from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.cli.writing import answer_receipt
from pluct_ledger.domain.holds import Hold

app = typer.Typer(help="Credit set aside while a job runs, then captured or set free.", no_args_is_help=True)

HoldId = Annotated[str, typer.Argument(help="The hold.")]
Ttl = Annotated[str, typer.Option(help="How long it lives from now on, in seconds, or e.g. 15m, 12h, 30d.")]


@app.command("authorize")
def authorize(
    context: typer.Context,
    owner: Owner,
    amount: Amount,
    ttl: Ttl,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Set credit aside; when its time is over it is free again by itself."""
    terminal = terminal_of(context, as_json)
    lifetime = span_of(ttl, "ttl")
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        hold = ledger.authorize(owner, amount, ttl=lifetime, **options)
    answer_hold(terminal, hold)


@app.command("capture")
def capture(
    context: typer.Context,
    hold_id: HoldId,
    amount: Annotated[int | None, typer.Argument(help="How much; all that is held without it.")] = None,
    keep_open: Annotated[
        bool, typer.Option("--keep-open", help="Leave the rest held, so that more captures may follow.")
    ] = False,
    allow_over: Annotated[
        bool, typer.Option("--allow-over", help="Take what is above the hold from the rest of the credit.")
    ] = False,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Spend what a hold set aside, and set the rest free."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.capture(hold_id, amount, final=not keep_open, allow_over=allow_over, **options)
    answer_receipt(terminal, receipt)


@app.command("void")
def void(
    context: typer.Context,
    hold_id: HoldId,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Set free what a hold set aside."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.void(hold_id, **options)
    answer_receipt(terminal, receipt)


@app.command("extend")
def extend(
    context: typer.Context,
    hold_id: HoldId,
    ttl: Ttl,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Let a hold live for another while from now on."""
    terminal = terminal_of(context, as_json)
    lifetime = span_of(ttl, "ttl")
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        hold = ledger.extend(hold_id, ttl=lifetime, **options)
    answer_hold(terminal, hold)


def answer_hold(terminal: Terminal, hold: Hold) -> None:
    """Answer with a hold as it stands."""
    terminal.answer(hold, lambda: _show(terminal, hold))


def _show(terminal: Terminal, hold: Hold) -> None:
    if hold.receipt is not None and hold.receipt.replayed:
        terminal.say("Nothing moved: this key stands for what was done before.", "yellow")
    terminal.show_record(hold_record(hold))
