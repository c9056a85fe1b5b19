"""What each command does to accounts on terms: the rules once more, in plain steps.

A command is done to copies, which become the truth when nothing refused it: so a refusal leaves nothing, not even what
had fallen due. It shares the commands with the library, which are what a host hands in, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pluct_ledger.domain import commands as c
from tests.terms_state.purse import POOL, Key, Line, Lot, Purse, Reserve
from tests.terms_state.reversing import reverse
from tests.terms_state.saying import No, Trial

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
AnyCommand = c.Command | c.OpenAccount
Told = tuple[str, Line | None, bool]
"""Whose line it is, the line if one was needed, and whether it had been written before."""

_REMARKS: Final = {"idempotency_key", "reason", "actor", "metadata", "event_at", "kind"}
_WORDS: Final = {
    "OpenAccount": "grant",
    "Issue": "grant",
    "Extend": "control",
    "SetOverdraftLimit": "control",
}
_WORDS.update(dict.fromkeys(("Freeze", "Unfreeze", "Close"), "control"))
_CONTROLS: Final = {"Freeze": "frozen", "Unfreeze": "open", "Close": "closed"}


def micros(value: datetime | timedelta) -> int:
    """Return an instant or a span in microseconds."""
    span = value - EPOCH if isinstance(value, datetime) else value
    return span // timedelta(microseconds=1)


class Model:
    """A book of one asset."""

    def __init__(self, ids: Callable[[str], str]) -> None:
        self.ids = ids
        self.purses: dict[str, Purse] = {}

    def do(self, command: AnyCommand, now: int) -> Told:
        """Do one command, or raise `No` having done nothing."""
        place = getattr(command, "hold_id", None) or getattr(command, "entry_id", None)
        payer = self._payer(command, place)
        if not isinstance(command, c.Issue | c.OpenAccount):
            self._find(command, payer, place)
        purse = self.purses.get(payer)
        ask = _ask(command)
        if purse is not None and command.idempotency_key in purse.keys:
            first, seq = purse.keys[command.idempotency_key]
            if first != ask:
                raise No("idempotency_mismatch", owner=payer)
            return payer, purse.log[seq - 1], True
        trial = Trial(self.purses, self.ids, now)
        line = _RULES[type(command)](trial, command, payer, 0 if place is None else int(place.split(".")[1]))
        self.purses = {**self.purses, **trial.touched}
        if line is not None and command.idempotency_key is not None:
            self.purses[payer].keys[command.idempotency_key] = (ask, line.seq)
        return payer, line, False

    def do_many(self, commands: Sequence[AnyCommand], now: int, *, atomic: bool) -> list[Told | No]:
        """Do commands one after the other; with `atomic`, all of them or, raising the first `No`, none."""
        before = self.snapshot()
        outcomes: list[Told | No] = []
        for index, command in enumerate(commands):
            try:
                outcomes.append(self.do(command, now))
            except No as no:
                no.facts["index"] = index
                outcomes.append(no)
                if atomic:
                    self.purses = before
                    raise
        return outcomes

    def snapshot(self) -> dict[str, Purse]:
        """Return all accounts as they are: whatever changes one changes a copy."""
        return dict(self.purses)

    def maintain(self, now: int) -> None:
        """Record what is due in every account."""
        self.purses = self.snapshot()
        for owner, purse in self.purses.items():
            self.purses[owner] = purse.copy()
            self.purses[owner].settle(now)

    def _payer(self, command: AnyCommand, place: str | None) -> str:
        if place is not None:
            of = {self.ids(owner): owner for owner in self.purses}
            return of.get(place.split(".")[0], "")
        owner: str = command.source if isinstance(command, c.Transfer) else getattr(command, "owner")  # noqa: B009 - only commands with a place have none
        return owner

    def _find(self, command: AnyCommand, payer: str, place: str | None) -> None:
        if place is not None and payer not in self.purses:
            what = "entry" if isinstance(command, c.Reverse) else "hold"
            raise No(f"{what}_not_found", **{f"{what}_id": place})
        for owner in (payer, command.target) if isinstance(command, c.Transfer) else (payer,):
            if owner not in self.purses:
                raise No("account_not_found", owner=owner)


def _ask(command: AnyCommand) -> object:
    """Return what a repeat under the same key has to ask for again."""
    arguments = {one.name: getattr(command, one.name) for one in fields(command) if one.name not in _REMARKS}
    name = type(command).__name__
    return name, command.kind or _WORDS.get(name, name.lower()), arguments


def _open(trial: Trial, command: c.OpenAccount, owner: str, _place: int) -> Line | None:
    if owner in trial.purses:
        raise No("account_exists", owner=owner)
    purse = trial.open(owner)
    purse.limit = command.overdraft_limit
    if command.initial:
        return purse.write("grant", trial.now, amount=command.initial, counter="issued")
    return purse.write("control", trial.now) if command.overdraft_limit != 0 else None


def _issue(trial: Trial, command: c.Issue, owner: str, _place: int) -> Line:
    purse = trial.take(owner) if owner in trial.purses else trial.open(owner)
    at = trial.settle(purse)
    terms = (command.expires_at, command.effective_at, command.label, command.granted_by)
    if not command.priority and terms == (None, None, None, None):
        return purse.write("grant", at, amount=command.amount, counter="issued")
    starts = None if command.effective_at is None else micros(command.effective_at)
    waits = starts is not None and starts > at
    ends = None if command.expires_at is None else micros(command.expires_at)
    if isinstance(command.expires_at, timedelta) and ends is not None:
        ends += starts if waits and starts is not None else at
    key = (purse.next_seq, 0)
    purse.lots[key] = Lot(
        command.amount,
        0,
        pending=command.amount if waits else 0,
        starts=starts,
        ends=ends,
        priority=command.priority,
        label=command.label,
        granted_by=None if command.granted_by is None else str(command.granted_by),
    )
    if waits:
        return purse.write("grant", at, counter="issued")
    (remains,) = purse.after_debt([command.amount])
    line = purse.write("grant", at, amount=command.amount, counter="issued", parts={key: remains})
    purse.expire_over(at)
    return line


def _spend(trial: Trial, command: c.Spend, owner: str, _place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse, uses=True)
    amount = trial.afford(purse, command.amount, up_to=command.up_to)
    return purse.write("spend", at, amount=-amount, counter="spent", parts=minus(purse.draw(amount)))


def _transfer(trial: Trial, command: c.Transfer, owner: str, _place: int) -> Line:
    source, target = trial.take(owner), trial.take(command.target)
    at = trial.settle(source, target, uses=True)
    amount = trial.afford(source, command.amount)
    taken = source.draw(amount)
    on_terms = [
        key
        for key in sorted(taken, key=source.order)
        if key != POOL and (source.lots[key].ends is not None or source.lots[key].priority)
    ]
    arrived: dict[Key, int] = {}
    origins: dict[Key, Key] = {}
    remains = target.after_debt([taken[key] for key in on_terms])
    for part, (key, left) in enumerate(zip(on_terms, remains, strict=True)):
        lot, mine = source.lots[key], (target.next_seq, part)
        target.lots[mine] = Lot(taken[key], 0, ends=lot.ends, priority=lot.priority)
        arrived[mine], origins[mine] = left, key
    pays, gets = (source.owner, source.next_seq), (target.owner, target.next_seq)
    paid = source.write("transfer", at, amount=-amount, counter="account", parts=minus(taken), pair=gets)
    target.write("transfer", at, amount=amount, counter="account", parts=arrived, pair=pays, origins=origins)
    return paid


def _adjust(trial: Trial, command: c.Adjust, owner: str, _place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse)
    change = command.signed_amount
    parts = minus(purse.draw(-change)) if change < 0 else {}
    return purse.write("adjust", at, amount=change, counter="adjusted", parts=parts)


def _authorize(trial: Trial, command: c.Authorize, owner: str, _place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse, uses=True)
    trial.afford(purse, command.amount)
    parts = purse.draw(command.amount)
    purse.reserves[purse.next_seq] = Reserve(command.amount, parts, at + micros(command.ttl))
    return purse.write("authorize", at, held=command.amount, freed=parts)


def _capture(trial: Trial, command: c.Capture, owner: str, place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse)
    reserve = trial.open_reserve(purse, place)
    held = reserve.held
    wanted = held if command.amount is None else command.amount
    if wanted > held and not command.allow_over:
        raise No("capture_exceeds_hold", hold_id=trial.id_of(purse, place), requested=wanted, held=held)
    extra = purse.draw(trial.afford(purse, wanted - held)) if wanted > held else {}
    missing, taken = min(wanted, held), dict.fromkeys(reserve.parts, 0)
    for key in sorted(reserve.parts, key=purse.order):
        taken[key] = min(missing, reserve.parts[key])
        missing -= taken[key]
    freed = dict(reserve.parts) if command.final else taken
    reserve.parts = {key: part - freed[key] for key, part in reserve.parts.items() if part > freed[key]}
    reserve.status = "open" if reserve.parts else "captured"
    spent = {key: -taken.get(key, 0) - extra.get(key, 0) for key in {**taken, **extra}}
    line = purse.write(
        "capture",
        at,
        amount=-wanted,
        counter="spent",
        held=-sum(freed.values()),
        parts=spent,
        freed=minus(freed),
        concerns=place,
    )
    purse.expire_over(at)
    return line


def _void(trial: Trial, _command: c.Void, owner: str, place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse)
    trial.open_reserve(purse, place)
    line = purse.release(place, at, "voided")
    purse.expire_over(at)
    return line


def _extend(trial: Trial, command: c.Extend, owner: str, place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse)
    trial.open_reserve(purse, place).ends = at + micros(command.ttl)
    return purse.write("control", at, concerns=place)


def _control(trial: Trial, command: AnyCommand, owner: str, _place: int) -> Line:
    purse = trial.take(owner)
    at = trial.settle(purse)
    if isinstance(command, c.Close) and (
        purse.posted or purse.held or purse.pending or any(lot.left for lot in purse.lots.values())
    ):
        facts = {"posted": purse.posted, "held": purse.held, "pending": purse.pending}
        raise No("account_not_empty", owner=owner, **facts)
    if isinstance(command, c.SetOverdraftLimit):
        purse.limit = command.limit
    else:
        purse.status = _CONTROLS[type(command).__name__]
    return purse.write("control", at)


def minus(taken: dict[Key, int]) -> dict[Key, int]:
    """Return the amounts as they are taken away."""
    return {key: -amount for key, amount in taken.items()}


_RULES: Final[dict[type, Callable[[Trial, Any, str, int], Line | None]]] = {
    c.OpenAccount: _open,
    c.Issue: _issue,
    c.Spend: _spend,
    c.Transfer: _transfer,
    c.Adjust: _adjust,
    c.Authorize: _authorize,
    c.Capture: _capture,
    c.Void: _void,
    c.Extend: _extend,
    c.Reverse: reverse,
    c.SetOverdraftLimit: _control,
    c.Freeze: _control,
    c.Unfreeze: _control,
    c.Close: _control,
}
