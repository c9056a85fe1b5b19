"""The history of the old service: rows judged, repaired or skipped, and put in order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, NamedTuple

from pluct_ledger.domain.accounts import check_owner
from pluct_ledger.domain.arguments import MAX_AMOUNT, MAX_REASON_CHARS, check_name
from pluct_ledger.domain.repairs import REPAIRED, SKIPPED, Repair, Unusable, read_instant, shown, storable
from pluct_ledger.errors import InvalidArgument

SPEND: Final = "spend"
CREDITS: Final = ("user_creation", "add_webhook", "admin_add", "api_add")
KEY_PREFIX: Final = "d1:"
"""The idempotency keys that the import makes itself begin with this; all others are ids of the old service."""

_KINDS: Final = (SPEND, *CREDITS)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,16}(\.0+)?")
_NOT_IN_KINDS = re.compile(r"[^a-z0-9_]")
_MAX_KIND_CHARS: Final = 64


class SourceRow(NamedTuple):
    """A row of ``transactions`` as it stands in the export: nothing is known of its values."""

    number: int
    id: object
    user_id: object
    type: object
    amount: object
    timestamp: object
    reason: object


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A row that will be an entry.

    Attributes:
        number: its place in the export, from 1.
        key: its idempotency key: the id that it had.
        kind: the type that it had.
        amount: the signed change of the balance.
        at: the instant at which it is placed, in microseconds.
        event_at: the instant that it told, in microseconds; None if that could not be read.
    """

    number: int
    key: str
    owner: str
    kind: str
    amount: int
    at: int
    event_at: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class History:
    """The rows that will be entries, in the order of their instants and then of the export, and what was repaired."""

    rows: tuple[HistoryRow, ...]
    repairs: tuple[Repair, ...]


def judge_history(source: Iterable[SourceRow]) -> History:
    """Judge every row: take it as it is, repair it, or skip it."""
    rows: list[HistoryRow] = []
    repairs: list[Repair] = []
    keys = _Keys()
    first: int | None = None
    before: int | None = None
    for row in source:
        remarks: list[str] = []
        try:
            judged = _judged(row, before, keys, remarks)
        except Unusable as reason:
            repairs.append(Repair(place(row.number), SKIPPED, str(reason)))
            continue
        rows.append(judged)
        if judged.event_at is not None:
            before = judged.event_at
            first = before if first is None else first
        if remarks:
            repairs.append(Repair(place(row.number), REPAIRED, "; ".join(remarks)))
    placed = [replace(row, at=first or 0) if row.at == _NOWHERE else row for row in rows]
    placed.sort(key=lambda row: (row.at, row.number))
    kept = tuple(_within_bounds(placed, repairs))
    return History(kept, tuple(repairs))


def place(number: int) -> str:
    """Return how a report names a row."""
    return f"transactions row {number}"


_NOWHERE: Final = -(2**63)
"""Stands for the instant of rows before the first one whose instant can be read: they are placed with that one, or
at 1970 where no row tells an instant."""


def _judged(row: SourceRow, before: int | None, keys: _Keys, remarks: list[str]) -> HistoryRow:
    owner = _owner_of(row.user_id, remarks)
    kind = _kind_of(row.type, remarks)
    magnitude = _amount_of(row.amount, remarks)
    amount = -magnitude if kind == SPEND else magnitude
    event_at = read_instant(row.timestamp, "timestamp", remarks)
    if event_at is None:
        remarks.append(
            f"timestamp {shown(row.timestamp)} cannot be read: placed with the nearest row that tells one"
        )
    at = event_at if event_at is not None else before
    reason = _reason_of(row.reason, remarks)
    key = keys.take(row, (owner, kind, amount, event_at), remarks)
    return HistoryRow(row.number, key, owner, kind, amount, _NOWHERE if at is None else at, event_at, reason)


def _within_bounds(rows: Iterable[HistoryRow], repairs: list[Repair]) -> Iterable[HistoryRow]:
    """Yield the rows that keep their account's balance exact, in order; the others are added to `repairs`."""
    balances: dict[str, int] = {}
    for row in rows:
        after = balances.get(row.owner, 0) + row.amount
        if abs(after) > MAX_AMOUNT:
            reason = (
                f"amount {abs(row.amount)} would carry the balance of {shown(row.owner)} beyond {MAX_AMOUNT}"
            )
            repairs.append(Repair(place(row.number), SKIPPED, reason))
            continue
        balances[row.owner] = after
        yield row


def _owner_of(value: object, remarks: list[str]) -> str:
    if type(value) is int:
        remarks.append(f"user_id {value} is a number: taken as text")
        value = str(value)
    try:
        return check_owner(value, "user_id")
    except InvalidArgument as error:
        raise Unusable(f"user_id {shown(value)} cannot name an account: {error.problem}") from error


def _kind_of(value: object, remarks: list[str]) -> str:
    if value in _KINDS:
        return str(value)
    word = value.strip().lower() if type(value) is str else ""
    if not word:
        raise Unusable(f"type {shown(value)} says nothing")
    if word in _KINDS:
        remarks.append(f"type {shown(value)} is taken as {word}")
        return word
    kind = _NOT_IN_KINDS.sub("_", word)
    kind = (kind if kind[0].isalpha() else f"type_{kind}")[:_MAX_KIND_CHARS]
    remarks.append(f"type {shown(value)} is unknown: taken as credit of the kind {kind}")
    return kind


def _amount_of(value: object, remarks: list[str]) -> int:
    amount: object = value
    if type(value) is float and value.is_integer():
        amount = int(value)
    elif type(value) is str and _WHOLE_NUMBER.fullmatch(value.strip()):
        amount = int(value.strip().partition(".")[0])
    if type(amount) is not int:
        raise Unusable(f"amount {shown(value)} is not a whole number")
    if not 1 <= amount <= MAX_AMOUNT:
        raise Unusable(f"amount {shown(value)} is not between 1 and {MAX_AMOUNT}")
    if type(value) is not int:
        remarks.append(f"amount {shown(value)} is taken as {amount}")
    return amount


def _reason_of(value: object, remarks: list[str]) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        remarks.append(f"reason {shown(value)} is not text: left out")
        return None
    return storable(str(value), "reason", MAX_REASON_CHARS, remarks)


_Fact = tuple[str, str, int, int | None]
"""What a row says: owner, kind, signed amount, and the instant that it told."""


class _Keys:
    """The idempotency keys given out: the ids of the old service, or made where an id cannot serve."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, _Fact]] = {}
        self._made: Counter[_Fact] = Counter()

    def take(self, row: SourceRow, fact: _Fact, remarks: list[str]) -> str:
        """Return the key of a row.

        Raises:
            Unusable: the row repeats an earlier one.
        """
        key = str(row.id) if type(row.id) is int else row.id
        try:
            check_name(key, "id")
        except InvalidArgument as error:
            return self._make(fact, f"id {shown(row.id)} cannot be a key ({error.problem})", remarks)
        assert isinstance(key, str)
        if key.startswith(KEY_PREFIX):
            return self._make(fact, f"id {shown(key)} is of a form that the import keeps to itself", remarks)
        if key in self._rows:
            number, earlier = self._rows[key]
            if earlier == fact:
                raise Unusable(f"repeats row {number}, with the same id {shown(key)}")
            return self._make(fact, f"id {shown(key)} is that of row {number} already", remarks)
        self._rows[key] = (row.number, fact)
        return key

    def _make(self, fact: _Fact, problem: str, remarks: list[str]) -> str:
        """Return a key made of what the row says: a newer export of the same rows gives the same keys."""
        self._made[fact] += 1
        digest = blake2b(repr((fact, self._made[fact])).encode(), digest_size=16).hexdigest()
        remarks.append(f"{problem}: its key is made of its contents")
        return f"{KEY_PREFIX}{digest}"
