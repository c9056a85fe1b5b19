"""The balances of the old service, and what closes the difference between them and the history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pluct_ledger.domain.accounts import check_owner
from pluct_ledger.domain.arguments import MAX_AMOUNT
from pluct_ledger.domain.legacy_history import KEY_PREFIX, HistoryRow
from pluct_ledger.domain.repairs import NOTED, REPAIRED, SKIPPED, Repair, Unusable, shown
from pluct_ledger.errors import InvalidArgument

CLOSING_KEY: Final = f"{KEY_PREFIX}closing"
CLOSING_KIND: Final = "import_adjustment"

_PREFIX: Final = "user:"
_USUAL_BALANCE = re.compile(r"0|-?[1-9][0-9]{0,15}")
_BALANCE = re.compile(r"[+-]?[0-9]{1,32}(\.0+)?")


@dataclass(frozen=True, slots=True)
class Balances:
    """What users saw in the old service.

    Attributes:
        seen: by owner.
        unreadable: owners whose balance stands there, but cannot be read.
    """

    seen: Mapping[str, int]
    unreadable: frozenset[str]
    repairs: tuple[Repair, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Where an owner's history ends, and what carries it to the balance that the owner saw.

    Attributes:
        has_history: False for an owner of whom only a balance is known.
        difference: the signed change that is missing; 0 if none.
        reason: why there is one, for people.
    """

    owner: str
    has_history: bool
    difference: int
    reason: str


def judge_balances(members: Mapping[str, object]) -> Balances:
    """Judge every key and value of the KV namespace: ``user:<id>`` to a decimal string."""
    seen: dict[str, int] = {}
    unreadable: set[str] = set()
    repairs: list[Repair] = []
    for key, value in members.items():
        source = f"KV key {shown(key)}"
        try:
            owner = _owner_of(key)
        except Unusable as reason:
            repairs.append(Repair(source, SKIPPED, str(reason)))
            continue
        remarks: list[str] = []
        try:
            seen[owner] = _balance_of(value, remarks)
        except Unusable as reason:
            unreadable.add(owner)
            repairs.append(Repair(source, SKIPPED, str(reason)))
        if remarks:
            repairs.append(Repair(source, REPAIRED, "; ".join(remarks)))
    return Balances(seen, frozenset(unreadable), tuple(repairs))


def ends_of(rows: Iterable[HistoryRow], balances: Balances | None) -> tuple[End, ...]:
    """Return where every owner ends, computed from the export alone, in the order of their names.

    Args:
        rows: all rows of the history that are taken.
        balances: None if there are none: then a history that ends below zero is carried to zero.
    """
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.owner] = totals.get(row.owner, 0) + row.amount
    owners = totals.keys() | (balances.seen.keys() | balances.unreadable if balances else set())
    return tuple(_end_of(owner, totals.get(owner), balances) for owner in sorted(owners))


def check_balances(ends: Iterable[End], balances: Balances | None) -> tuple[Repair, ...]:
    """Note how many owners have a history and no balance, which a list that was cut off would look like.

    Raises:
        InvalidArgument: there is no balance of anybody.
    """
    if balances is None:
        return ()
    known = balances.seen.keys() | balances.unreadable
    missing = sum(end.owner not in known for end in ends)
    if missing and not balances.seen:
        raise InvalidArgument("kv_balances", "it holds no balance of any user")
    if not missing:
        return ()
    return (
        Repair("KV", NOTED, f"{missing} users have a history and no balance: the old service showed them 0"),
    )


def _end_of(owner: str, total: int | None, balances: Balances | None) -> End:
    history = total or 0
    if balances is None or owner in balances.unreadable:
        target = max(history, 0)
        reason = f"Import: the history ended below zero, at {history}"
    elif owner in balances.seen:
        target = balances.seen[owner]
        reason = f"Import: the old service showed a balance of {target}, its history comes to {history}"
    else:
        target = 0
        reason = (
            f"Import: the old service kept no balance, which it showed as 0; its history comes to {history}"
        )
    return End(owner, total is not None, target - history, reason)


def _owner_of(key: str) -> str:
    if not key.startswith(_PREFIX):
        raise Unusable(f"is not of the form {_PREFIX}<id>")
    try:
        return check_owner(key.removeprefix(_PREFIX), "user id")
    except InvalidArgument as error:
        raise Unusable(f"the id after {_PREFIX} cannot name an account: {error.problem}") from error


def _balance_of(value: object, remarks: list[str]) -> int:
    text = str(value) if type(value) is int else value
    if type(text) is not str or not _BALANCE.fullmatch(text.strip()):
        raise Unusable(f"the balance {shown(value)} is not a whole number: the history stands as it is")
    balance = int(text.strip().partition(".")[0])
    if abs(balance) > MAX_AMOUNT:
        raise Unusable(f"the balance {shown(value)} is beyond {MAX_AMOUNT}: the history stands as it is")
    if type(value) is not str or not _USUAL_BALANCE.fullmatch(value):
        remarks.append(f"the balance {shown(value)} is taken as {balance}")
    return balance
