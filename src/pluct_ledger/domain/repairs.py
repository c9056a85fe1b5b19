"""Repairs: what an import could not take as it stood in the export, and what it did with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pluct_ledger.domain.arguments import instant_of, micros_of
from pluct_ledger.errors import InvalidArgument

REPAIRED: Final = "repaired"
SKIPPED: Final = "skipped"
NOTED: Final = "noted"

_SHOWN_CHARS: Final = 60
_USUAL_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_SECONDS = re.compile(r"[0-9]{10}")
_MILLISECONDS = re.compile(r"[0-9]{13}")
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Repair:
    """One place of an export that could not be taken as it stands.

    Attributes:
        source: where it stands, e.g. ``"transactions row 17"``.
        what: ``"repaired"`` (it was taken, changed), ``"skipped"`` (it was not) or ``"noted"`` (it was taken as it is).
        reason: why, for people; values are quoted, so that it can be printed anywhere.
    """

    source: str
    what: str
    reason: str


class Unusable(Exception):
    """A row from which nothing can be made; its text is the reason."""


def shown(value: object) -> str:
    """Return a value of the export as a message can carry it: quoted, escaped, and short."""
    if isinstance(value, str | bytes) and len(value) > _SHOWN_CHARS:
        return f"{value[:_SHOWN_CHARS]!r}..."
    return repr(value)[: 4 * _SHOWN_CHARS]


def printable(message: object) -> str:
    """Return a message that may repeat what stands in the export as one that can be printed anywhere."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(message))


def storable(text: str, name: str, most_chars: int, remarks: list[str]) -> str:
    """Return `text` as every database stores it, within its bound; what had to be changed is added to `remarks`."""
    clean = _NOT_STORABLE.sub("\ufffd", text)
    if clean != text:
        remarks.append(f"{name} {shown(text)} holds what no database stores: replaced by U+FFFD")
    if len(clean) > most_chars:
        remarks.append(f"{name} has {len(clean)} characters: cut to {most_chars}")
    return clean[:most_chars]


def read_instant(value: object, name: str, remarks: list[str]) -> int | None:
    """Return an instant of the export in microseconds, or None if it cannot be read.

    The old service writes ``2024-01-01T00:00:00.000Z``. Any other form of ISO 8601, and seconds or milliseconds
    since 1970, are read too and added to `remarks`; without a zone they are taken as UTC.
    """
    text = str(value) if type(value) is int else value
    if type(text) is not str:
        return None
    if _USUAL_INSTANT.fullmatch(text):
        return _micros(text)
    micros = _micros(text.strip())
    if micros is not None:
        remarks.append(
            f"{name} {shown(value)} is not of the usual form: read as {instant_of(micros).isoformat()}"
        )
    return micros


def _micros(text: str) -> int | None:
    if _SECONDS.fullmatch(text):
        return int(text) * 1_000_000
    if _MILLISECONDS.fullmatch(text):
        return int(text) * 1_000
    try:
        moment = datetime.fromisoformat(text)
        return micros_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC), "instant")
    except (ValueError, InvalidArgument):
        return None
