"""The rules of credit once more, in plain dicts and lists: what the ledger is compared with.

It shares the commands with the library, which are what a host hands in, and nothing else: no fold, no SQL, no caches.
A log is a list, and every number is summed from it when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Transfer

MOST: Final = 2**53 - 1

Moving = Issue | Spend | Transfer | Adjust
AnyCommand = Moving | OpenAccount


class No(Exception):
    """A refusal: the code and the facts that the ledger's own is to have."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        super().__init__(f"{code} {facts}")


@dataclass(frozen=True)
class Ask:
    """What a command asks for, as far as a repeat under its key has to ask for the same."""

    operation: str
    kind: str
    target: str | None
    amount: int
    terms: Mapping[str, object]

    def differs_from(self, other: Ask) -> str | None:
        """Return the name of the first thing in which two asks differ."""
        for name in ("operation", "kind", "target", "amount"):
            if getattr(self, name) != getattr(other, name):
                return name
        missing = object()
        for name in sorted({*self.terms, *other.terms}):
            if self.terms.get(name, missing) != other.terms.get(name, missing):
                return name
        return None


@dataclass(frozen=True)
class Line:
    """One entry."""

    owner: str
    seq: int
    operation: str
    kind: str
    amount: int
    posted_after: int
    counter: str
    counterpart: tuple[str, int] | None
    terms: Mapping[str, object]
    key: str | None
    reason: str | None
    actor: str | None
    metadata: Mapping[str, object] | None
    event_at: datetime | None
    at: datetime


@dataclass(frozen=True)
class Told:
    """What the caller is told: the entry, if one was needed, and whether it had been made before."""

    line: Line | None
    replayed: bool = False


@dataclass
class Purse:
    """An account: its log, and what each key in it asked for."""

    owner: str
    opened_at: datetime
    metadata: Mapping[str, object] | None = None
    overdraft_limit: int | None = 0
    log: list[Line] = field(default_factory=list)
    keys: dict[str, tuple[Ask, int]] = field(default_factory=dict)

    @property
    def posted(self) -> int:
        return sum(line.amount for line in self.log)

    @property
    def last_at(self) -> datetime:
        return self.log[-1].at if self.log else self.opened_at

    def from_side(self, counter: str) -> int:
        """Return what came, all in all, from one side of the double entry."""
        return sum(line.amount for line in self.log if line.counter == counter)

    def takes(self, amount: int) -> int:
        """Return how much of `amount` may be taken."""
        if self.overdraft_limit is None:
            return amount
        return max(0, min(amount, self.posted + self.overdraft_limit))


class Model:
    """A book of one asset."""

    def __init__(self, purses: dict[str, Purse] | None = None) -> None:
        self.purses: dict[str, Purse] = purses or {}

    def copy(self) -> Model:
        """Return a model that can go its own way, as a transaction does until it is committed."""
        return Model(
            {
                owner: replace(purse, log=list(purse.log), keys=dict(purse.keys))
                for owner, purse in self.purses.items()
            }
        )

    def lines(self) -> list[Line]:
        """Return all entries of the book."""
        return [line for purse in self.purses.values() for line in purse.log]

    def do(self, command: AnyCommand, now: datetime) -> Told:
        """Do one command, or raise `No` having done nothing."""
        asks, act = _RULES[type(command)]
        ask = asks(command)
        payer = payer_of(command)
        if not isinstance(command, Issue | OpenAccount):
            for owner in (payer, ask.target):
                if owner is not None and owner not in self.purses:
                    raise No("account_not_found", owner=owner)
        purse = self.purses.get(payer)
        if purse is not None and command.idempotency_key in purse.keys:
            first, seq = purse.keys[command.idempotency_key]
            if differs := ask.differs_from(first):
                raise No("idempotency_mismatch", owner=payer, field=differs)
            return Told(purse.log[seq - 1], replayed=True)
        return act(self, command, ask, now)

    def do_many(self, commands: Sequence[Moving], now: datetime, *, atomic: bool) -> list[Told | No]:
        """Do commands one after the other; with `atomic`, all of them or, raising the first `No`, none."""
        trial = self.copy()
        outcomes: list[Told | No] = []
        for index, command in enumerate(commands):
            try:
                outcomes.append(trial.do(command, now))
            except No as no:
                no.facts["index"] = index
                outcomes.append(no)
                if atomic:
                    raise
        self.purses = trial.purses
        return outcomes

    # One rule a command. Everything is checked before the first line is written.

    def _open(self, command: OpenAccount, ask: Ask, now: datetime) -> Told:
        if command.owner in self.purses:
            raise No("account_exists", owner=command.owner)
        limit = command.overdraft_limit
        purse = Purse(command.owner, opened_at=now, metadata=command.metadata, overdraft_limit=limit)
        self.purses[command.owner] = purse
        if not command.initial and limit == 0:
            return Told(None)
        counter = "issued" if command.initial else "none"
        described = replace(command, metadata=None)
        return self._write(purse, described, ask, ask.amount, counter, now, ask.terms)

    def _issue(self, command: Issue, ask: Ask, now: datetime) -> Told:
        purse = self.purses.get(command.owner) or Purse(command.owner, opened_at=now)
        self._check_bounds((purse, ask.amount))
        self.purses[command.owner] = purse
        return self._write(purse, command, ask, ask.amount, "issued", now)

    def _spend(self, command: Spend, ask: Ask, now: datetime) -> Told:
        purse = self.purses[command.owner]
        amount = purse.takes(command.amount)
        if amount < command.amount and not (command.up_to and amount > 0):
            raise self._not_enough(purse, command.amount)
        self._check_bounds((purse, -amount))
        terms = {**ask.terms, "amount": command.amount} if command.up_to else {}
        return self._write(purse, command, ask, -amount, "spent", now, terms)

    def _transfer(self, command: Transfer, ask: Ask, now: datetime) -> Told:
        source, target = self.purses[command.source], self.purses[command.target]
        if source.takes(command.amount) < command.amount:
            raise self._not_enough(source, command.amount)
        self._check_bounds((source, -command.amount), (target, command.amount))
        at = max(now, source.last_at, target.last_at)
        pays, gets = (source.owner, len(source.log) + 1), (target.owner, len(target.log) + 1)
        told = self._write(source, command, ask, -command.amount, "account", at, counterpart=gets)
        unkeyed = replace(command, idempotency_key=None)
        self._write(target, unkeyed, ask, command.amount, "account", at, counterpart=pays)
        return told

    def _adjust(self, command: Adjust, ask: Ask, now: datetime) -> Told:
        purse = self.purses[command.owner]
        self._check_bounds((purse, ask.amount))
        return self._write(purse, command, ask, ask.amount, "adjusted", now)

    def _not_enough(self, purse: Purse, requested: int) -> No:
        return No("insufficient_credit", owner=purse.owner, requested=requested, available=purse.posted)

    def _check_bounds(self, *changes: tuple[Purse, int]) -> None:
        for purse, change in changes:
            if abs(purse.posted + change) > MOST:
                raise No("balance_limit_exceeded", owner=purse.owner, limit=MOST)

    def _write(
        self,
        purse: Purse,
        command: AnyCommand,
        ask: Ask,
        amount: int,
        counter: str,
        at: datetime,
        terms: Mapping[str, object] = {},
        counterpart: tuple[str, int] | None = None,
    ) -> Told:
        line = Line(
            owner=purse.owner,
            seq=len(purse.log) + 1,
            operation=ask.operation,
            kind=ask.kind,
            amount=amount,
            posted_after=purse.posted + amount,
            counter=counter,
            counterpart=counterpart,
            terms=terms,
            key=command.idempotency_key,
            reason=command.reason,
            actor=command.actor,
            metadata=command.metadata,
            event_at=command.event_at,
            at=max(at, purse.last_at),
        )
        purse.log.append(line)
        if line.key is not None:
            purse.keys[line.key] = (ask, line.seq)
        return Told(line)


def payer_of(command: AnyCommand) -> str:
    """Return the owner in whose account the command's key is unique."""
    return command.source if isinstance(command, Transfer) else command.owner


def _ask(command: AnyCommand, operation: str, amount: int, **more: Any) -> Ask:
    terms = more.pop("terms", {})
    return Ask(operation, command.kind or operation, more.pop("target", None), amount, terms)


def _ask_open(command: OpenAccount) -> Ask:
    terms: dict[str, object] = {"opened": True}
    if command.overdraft_limit != 0:
        terms["overdraft_limit"] = command.overdraft_limit
    return _ask(command, "grant" if command.initial else "control", command.initial, terms=terms)


def _ask_issue(command: Issue) -> Ask:
    return _ask(command, "grant", command.amount)


def _ask_spend(command: Spend) -> Ask:
    return _ask(command, "spend", -command.amount, terms={"up_to": True} if command.up_to else {})


def _ask_transfer(command: Transfer) -> Ask:
    return _ask(command, "transfer", -command.amount, target=command.target)


def _ask_adjust(command: Adjust) -> Ask:
    return _ask(command, "adjust", command.signed_amount)


_RULES: Final[dict[type, tuple[Callable[[Any], Ask], Callable[[Model, Any, Ask, datetime], Told]]]] = {
    OpenAccount: (_ask_open, Model._open),
    Issue: (_ask_issue, Model._issue),
    Spend: (_ask_spend, Model._spend),
    Transfer: (_ask_transfer, Model._transfer),
    Adjust: (_ask_adjust, Model._adjust),
}
