"""What commands ask for: their own arguments, checked before any SQL, and put as amounts and terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pluct_ledger.domain.accounts import check_owner
from pluct_ledger.domain.api_keys import ApiKey
from pluct_ledger.domain.arguments import (
    MAX_AMOUNT,
    check_amount,
    check_change,
    check_flag,
    check_name,
    check_span,
    micros_of,
)
from pluct_ledger.domain.commands import (
    Adjust,
    Authorize,
    Capture,
    Close,
    Extend,
    Freeze,
    Issue,
    OpenAccount,
    Reverse,
    SetOverdraftLimit,
    Spend,
    Transfer,
    Unfreeze,
    Vend,
    Void,
)
from pluct_ledger.domain.entries import Operation, parse_entry_id
from pluct_ledger.errors import InvalidArgument

MAX_PRIORITY: Final = 32_767


@dataclass(frozen=True, slots=True)
class Ask:
    """What a command's own arguments come to; see `Intent`, which has the same attributes.

    Attributes:
        owner: whose account; empty where `place` names it.
        place: the account and seq of the hold or entry that the command names.
    """

    operation: Operation
    owner: str
    amount: int | None
    asked: int
    terms: dict[str, Any] | None = None
    target: str | None = None
    place: tuple[bytes, int] | None = None
    effective_at: int | None = None
    on_terms: bool = False
    grace: int | None = None


def ask_of(command: object, most: int) -> Ask:
    """Check a command's own arguments.

    Args:
        most: the largest amount that the ledger takes.

    Raises:
        InvalidArgument: naming the first argument that is wrong.
    """
    ask = _ASKS.get(type(command))
    if ask is None:
        raise InvalidArgument("command", f"{type(command).__name__} is not a command")
    return ask(command, most)


def _ask_open(command: OpenAccount, most: int) -> Ask:
    owner = check_owner(command.owner)
    initial = 0 if command.initial == 0 and type(command.initial) is int else None
    if initial is None:
        initial = check_amount(command.initial, most=most, name="initial")
    limit = check_overdraft_limit(command.overdraft_limit)
    terms: dict[str, Any] = {"opened": True}
    if limit != 0:
        terms["overdraft_limit"] = limit
    operation = Operation.GRANT if initial else Operation.CONTROL
    return Ask(operation, owner, initial, initial, terms)


def check_overdraft_limit(limit: object, name: str = "overdraft_limit") -> int | None:
    """Return `limit` if it is an int in 0..2^53-1, or None for unlimited."""
    if limit is None:
        return None
    if type(limit) is not int or not 0 <= limit <= MAX_AMOUNT:
        raise InvalidArgument(name, f"must be None or an int between 0 and {MAX_AMOUNT}")
    return limit


def _ask_issue(command: Issue, most: int) -> Ask:
    owner = check_owner(command.owner)
    amount = check_amount(command.amount, most=most)
    terms: dict[str, Any] = {}
    effective_at = None if command.effective_at is None else micros_of(command.effective_at, "effective_at")
    if effective_at is not None:
        terms["effective_at"] = effective_at
        terms["amount"] = amount
    if isinstance(command.expires_at, timedelta):
        terms["expires_in"] = check_span(command.expires_at, "expires_at")
    elif command.expires_at is not None:
        terms["expires_at"] = micros_of(command.expires_at, "expires_at")
        if effective_at is not None and terms["expires_at"] <= effective_at:
            raise InvalidArgument("expires_at", "must be after effective_at")
    if type(command.priority) is not int or abs(command.priority) > MAX_PRIORITY:
        raise InvalidArgument("priority", f"must be an int between -{MAX_PRIORITY} and {MAX_PRIORITY}")
    if command.priority:
        terms["priority"] = command.priority
    granted_by = command.granted_by
    if isinstance(granted_by, ApiKey):
        granted_by = f"api_key:{granted_by.key_id}"
    for name, label in (("label", command.label), ("granted_by", granted_by)):
        if label is not None:
            terms[name] = check_name(label, name)
    asked_for = None if effective_at is not None else amount
    return Ask(
        Operation.GRANT,
        owner,
        asked_for,
        amount,
        terms or None,
        effective_at=effective_at,
        on_terms=bool(terms),
    )


def _ask_spend(command: Spend, most: int) -> Ask:
    owner = check_owner(command.owner)
    amount = check_amount(command.amount, most=most)
    if check_flag(command.up_to, "up_to"):
        return Ask(Operation.SPEND, owner, None, amount, {"amount": amount, "up_to": True})
    return Ask(Operation.SPEND, owner, -amount, amount)


def _ask_transfer(command: Transfer, most: int) -> Ask:
    source = check_owner(command.source, "source")
    target = check_owner(command.target, "target")
    amount = check_amount(command.amount, most=most)
    if source == target:
        raise InvalidArgument("target", "must not be the source")
    return Ask(Operation.TRANSFER, source, -amount, amount, target=target)


def _ask_adjust(command: Adjust, most: int) -> Ask:
    owner = check_owner(command.owner)
    change = check_change(command.signed_amount, most=most)
    if type(command.reason) is not str or not command.reason.strip():
        raise InvalidArgument("reason", "an adjustment needs a reason")
    return Ask(Operation.ADJUST, owner, change, abs(change))


def _ask_authorize(command: Authorize, most: int) -> Ask:
    owner = check_owner(command.owner)
    amount = check_amount(command.amount, most=most)
    return Ask(Operation.AUTHORIZE, owner, amount, amount, {"ttl": check_span(command.ttl, "ttl")})


def _ask_capture(command: Capture, most: int) -> Ask:
    place = parse_entry_id(command.hold_id, "hold_id")
    amount = None if command.amount is None else check_amount(command.amount, most=most)
    terms: dict[str, Any] = {"whole": True} if amount is None else {}
    if not check_flag(command.final, "final"):
        terms["final"] = False
    if check_flag(command.allow_over, "allow_over"):
        terms["allow_over"] = True
    asked_for = None if amount is None else -amount
    return Ask(Operation.CAPTURE, "", asked_for, amount or 0, terms or None, place=place)


def _ask_void(command: Void, _most: int) -> Ask:
    return Ask(Operation.VOID, "", 0, 0, place=parse_entry_id(command.hold_id, "hold_id"))


def _ask_extend(command: Extend, _most: int) -> Ask:
    place = parse_entry_id(command.hold_id, "hold_id")
    return Ask(Operation.CONTROL, "", 0, 0, {"ttl": check_span(command.ttl, "ttl")}, place=place)


def _ask_reverse(command: Reverse, most: int) -> Ask:
    place = parse_entry_id(command.entry_id)
    amount = None if command.amount is None else check_amount(command.amount, most=most)
    terms: dict[str, Any] = {"whole": True} if amount is None else {"amount": amount}
    if check_flag(command.up_to, "up_to"):
        terms["up_to"] = True
    grace = None if command.expired_grace is None else check_span(command.expired_grace, "expired_grace")
    if grace is not None:
        terms["expired_grace"] = grace
    return Ask(Operation.REVERSE, "", None, amount or 0, terms, place=place, grace=grace)


def _ask_limit(command: SetOverdraftLimit, _most: int) -> Ask:
    owner = check_owner(command.owner)
    return Ask(
        Operation.CONTROL, owner, 0, 0, {"overdraft_limit": check_overdraft_limit(command.limit, "limit")}
    )


def _ask_status(command: Freeze | Unfreeze | Close, _most: int) -> Ask:
    status = {Freeze: "frozen", Unfreeze: "open", Close: "closed"}[type(command)]
    return Ask(Operation.CONTROL, check_owner(command.owner), 0, 0, {"status": status})


def _ask_vend(command: Vend, most: int) -> Ask:
    owner = check_owner(command.owner)
    cost = check_amount(command.cost, most=most, name="cost")
    terms: dict[str, Any] = {"vend": True}
    if command.ttl is not None:
        terms["ttl"] = command.ttl
    if command.scope:
        terms["scope"] = command.scope
    return Ask(Operation.SPEND, owner, -cost, cost, terms)


_ASKS: Final[dict[type, Callable[[Any, int], Ask]]] = {
    OpenAccount: _ask_open,
    Issue: _ask_issue,
    Spend: _ask_spend,
    Transfer: _ask_transfer,
    Adjust: _ask_adjust,
    Vend: _ask_vend,
    Authorize: _ask_authorize,
    Capture: _ask_capture,
    Void: _ask_void,
    Extend: _ask_extend,
    Reverse: _ask_reverse,
    SetOverdraftLimit: _ask_limit,
    Freeze: _ask_status,
    Unfreeze: _ask_status,
    Close: _ask_status,
}
