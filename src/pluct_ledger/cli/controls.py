"""Commands that say what an account may do: overdraft, freeze, unfreeze, close."""

from __future__ import annotations

from typing import Annotated

import typer

from pluct_ledger.cli.options import (
    UNLIMITED,
    Actor,
    EventAt,
    Json,
    Key,
    Kind,
    Metadata,
    Owner,
    Reason,
    limit_of,
    terminal_of,
    write_options,
)
from pluct_ledger.cli.writing import answer_receipt


def overdraft(
    context: typer.Context,
    owner: Owner,
    limit: Annotated[str, typer.Argument(help=f"How far below 0 spends may go, or '{UNLIMITED}'.")],
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Set how far below 0 an owner's spends may go."""
    terminal = terminal_of(context, as_json)
    most = limit_of(limit, "limit")
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.set_overdraft_limit(owner, most, **options)
    answer_receipt(terminal, receipt)


def freeze(
    context: typer.Context,
    owner: Owner,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Let none of an owner's credit be used; all else goes on."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.freeze(owner, **options)
    answer_receipt(terminal, receipt)


def unfreeze(
    context: typer.Context,
    owner: Owner,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Let an owner's credit be used again."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.unfreeze(owner, **options)
    answer_receipt(terminal, receipt)


def close(
    context: typer.Context,
    owner: Owner,
    key: Key = None,
    kind: Kind = None,
    reason: Reason = None,
    actor: Actor = None,
    metadata: Metadata = None,
    event_at: EventAt = None,
    as_json: Json = False,
) -> None:
    """Close an empty account for good; there is no way back."""
    terminal = terminal_of(context, as_json)
    options = write_options(
        key=key, kind=kind, reason=reason, actor=actor, metadata=metadata, event_at=event_at
    )
    with terminal.ledger() as ledger:
        receipt = ledger.close(owner, **options)
    answer_receipt(terminal, receipt)
