"""Statements: what an account did between two instants."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime

from pluct_ledger.domain.accounts import Balance
from pluct_ledger.domain.entries import Entry

_COLUMNS = (
    "at",
    "entry_id",
    "kind",
    "amount",
    "hold_amount",
    "posted_after",
    "held_after",
    "available_after",
    "reason",
    "actor",
    "idempotency_key",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What an account did in a half-open interval; amounts in the asset's smallest unit.

    Attributes:
        opening: the balance just before `start`.
        entries: from `start` on and before `end`, oldest first.
        closing: the balance just before `end`, or now if that is earlier.
        received: the sum of what came in.
        used: the sum of what went out, what was forfeited excepted.
        forfeited: the sum of what expired.
    """

    owner: str
    book: str
    asset: str
    start: datetime
    end: datetime
    opening: Balance
    entries: tuple[Entry, ...]
    closing: Balance
    received: int
    used: int
    forfeited: int

    def csv(self) -> str:
        """Return the entries as CSV (RFC 4180), with a line of names; text that a spreadsheet would run is quoted."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(_COLUMNS)
        for entry in self.entries:
            writer.writerow([_cell(getattr(entry, name)) for name in _COLUMNS])
        return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    # What people wrote must not become a formula in a spreadsheet.
    return f"'{text}" if isinstance(value, str) and text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def statement_of(
    *,
    owner: str,
    book: str,
    asset: str,
    start: datetime,
    end: datetime,
    opening: Balance,
    entries: tuple[Entry, ...],
    closing: Balance,
) -> Statement:
    """Return a statement with its sums."""
    forfeited = -sum(entry.amount for entry in entries if entry.operation == "expire")
    return Statement(
        owner=owner,
        book=book,
        asset=asset,
        start=start,
        end=end,
        opening=opening,
        entries=entries,
        closing=closing,
        received=sum(entry.amount for entry in entries if entry.amount > 0),
        used=-sum(entry.amount for entry in entries if entry.amount < 0) - forfeited,
        forfeited=forfeited,
    )
