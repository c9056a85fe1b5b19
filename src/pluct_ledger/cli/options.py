"""Arguments and options that several commands take, and how their text is read."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NoReturn

import typer

from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.commands import WriteOptions
from pluct_ledger.errors import InvalidArgument

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Owner = Annotated[str, typer.Argument(help="Who holds the credit.")]
Amount = Annotated[int, typer.Argument(help="How much, in the asset's smallest unit.")]
Limit = Annotated[int, typer.Option(help="How many at most, 1 to 1000.")]
At = Annotated[
    str | None,
    typer.Option(help="At this instant, past or future, e.g. 2026-01-31T12:00:00Z; now without it."),
]

Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="Your name for this intent: a repeat of it moves nothing."),
]
Kind = Annotated[str | None, typer.Option(help="Your word for the entry; the operation's name without it.")]
Reason = Annotated[str | None, typer.Option(help="Why, for people.")]
Actor = Annotated[str | None, typer.Option(help="Who did it.")]
Metadata = Annotated[str | None, typer.Option(help="A JSON object to keep with the entry.")]
EventAt = Annotated[
    str | None, typer.Option(help="When it happened in the world, e.g. 2026-01-31T12:00:00Z.")
]

UNLIMITED: Final = "unlimited"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,18})([smhd]?)", re.ASCII)


def terminal_of(context: typer.Context, as_json: bool) -> Terminal:
    """Return the terminal of this run; ``--json`` may stand before or after the command."""
    terminal: Terminal = context.find_root().obj
    terminal.as_json = terminal.as_json or as_json
    return terminal


def write_options(
    *,
    key: str | None,
    kind: str | None,
    reason: str | None,
    actor: str | None,
    metadata: str | None,
    event_at: str | None = None,
) -> WriteOptions:
    """Return what every write takes by keyword.

    Raises:
        InvalidArgument: `metadata` is no JSON, or `event_at` is no instant.
    """
    return WriteOptions(
        idempotency_key=key,
        kind=kind,
        reason=reason,
        actor=actor,
        metadata=None if metadata is None else _json_of(metadata),
        event_at=instant_of(event_at, "event_at"),
    )


def instant_of(text: str | None, name: str) -> datetime | None:
    """Return the instant that a text tells.

    Raises:
        InvalidArgument: it tells none, or one without an offset.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None:
        raise InvalidArgument(name, "must be ISO 8601 with an offset, e.g. 2026-01-31T12:00:00Z")
    return instant


def span_of(text: str, name: str) -> timedelta:
    """Return how long a text tells: a number of seconds, or one with s, m, h or d after it.

    Raises:
        InvalidArgument: it tells none.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise InvalidArgument(name, "must be a number of seconds, or e.g. 90s, 15m, 12h or 30d")
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2] or "s"])
    except OverflowError:
        raise InvalidArgument(name, "is longer than any calendar") from None


def limit_of(text: str, name: str) -> int | None:
    """Return the overdraft limit that a text tells, None for no limit.

    Raises:
        InvalidArgument: it tells none.
    """
    if text == UNLIMITED:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(name, f"must be a whole number, or '{UNLIMITED}'") from None


def _json_of(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise InvalidArgument(
            "metadata", "must be one JSON object, no member of which stands twice"
        ) from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_such_number(_text: str) -> NoReturn:
    raise ValueError("NaN and infinities are not JSON")
