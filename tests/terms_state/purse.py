"""An account on terms as plain numbers that are changed in place: no fold, no rows, no SQL.

It shares nothing with the library. What is held is summed from the holds whenever it is asked for, and what has fallen
due is found by looking at everything. Instants are microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

Key = tuple[int, int]
Amounts = dict[Key, int]

POOL: Final[Key] = (0, 0)
NEVER: Final = 2**62


@dataclass
class Lot:
    """A grant: what is left of it and its terms."""

    amount: int
    left: int
    pending: int = 0
    starts: int | None = None
    ends: int | None = None
    priority: int = 0
    label: str | None = None
    granted_by: str | None = None


@dataclass
class Reserve:
    """A hold: what it still sets aside, by source."""

    amount: int
    parts: Amounts
    ends: int
    status: str = "open"

    @property
    def held(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Line:
    """An entry: its two amounts, each also by grant, and what it has to do with others.

    Attributes:
        given: of a reversal, what it gave back or took back, by the source that it first came from.
        origins: of a transfer's arrival, from which grant of its source each part came.
        unposted: of a reversal, what it took of a grant that has not begun.
    """

    seq: int
    operation: str
    at: int
    amount: int
    held: int
    posted_after: int
    held_after: int
    counter: str
    parts: Mapping[Key, tuple[int, int]]
    concerns: int | None = None
    pair: tuple[str, int] | None = None
    given: Mapping[Key, int] = field(default_factory=dict)
    origins: Mapping[Key, Key] = field(default_factory=dict)
    unposted: int = 0

    def by_source(self) -> Amounts:
        """Return what of its amount fell on which source, without a sign."""
        found = {key: amount for key, (amount, _) in self.parts.items() if amount}
        if rest := self.amount - sum(found.values()):
            found[POOL] = rest
        return {key: abs(amount) for key, amount in found.items()}


@dataclass
class Purse:
    """An account."""

    owner: str
    opened_at: int
    limit: int | None = 0
    status: str = "open"
    pool: int = 0
    lots: dict[Key, Lot] = field(default_factory=dict)
    reserves: dict[int, Reserve] = field(default_factory=dict)
    log: list[Line] = field(default_factory=list)
    keys: dict[str, tuple[object, int]] = field(default_factory=dict)

    def copy(self) -> Purse:
        """Return one that can go its own way."""
        return replace(
            self,
            lots={key: replace(lot) for key, lot in self.lots.items()},
            reserves={seq: replace(one, parts=dict(one.parts)) for seq, one in self.reserves.items()},
            log=list(self.log),
            keys=dict(self.keys),
        )

    # What it has.

    @property
    def posted(self) -> int:
        return self.pool + sum(lot.left for lot in self.lots.values())

    @property
    def held(self) -> int:
        return sum(reserve.held for reserve in self.reserves.values())

    @property
    def available(self) -> int:
        return self.posted - self.held

    @property
    def pending(self) -> int:
        return sum(lot.pending for lot in self.lots.values())

    @property
    def last_at(self) -> int:
        return self.log[-1].at if self.log else self.opened_at

    @property
    def next_seq(self) -> int:
        return len(self.log) + 1

    def free(self, key: Key) -> int:
        """Return what of a source is not held."""
        held = sum(reserve.parts.get(key, 0) for reserve in self.reserves.values())
        return (self.pool if key == POOL else self.lots[key].left) - held

    def order(self, key: Key) -> tuple[int, int, int, int]:
        """Return a source's place in the order of use."""
        if key == POOL:
            return (0, NEVER, NEVER, 0)
        lot = self.lots[key]
        return (lot.priority, NEVER if lot.ends is None else lot.ends, *key)

    def usable(self) -> list[Key]:
        """Return the sources that have anything free, in the order of use."""
        return sorted((key for key in (POOL, *self.lots) if self.free(key) > 0), key=self.order)

    def draw(self, amount: int, first: Sequence[tuple[Key, int]] = ()) -> Amounts:
        """Return whence an amount is taken: unit by unit, from `first` as far as it goes, then in order of use."""
        taken: Amounts = {}
        wishes = [*first, *((key, NEVER) for key in self.usable())]
        left = {key: self.free(key) for key in self.usable()}
        for key, most in wishes:
            for _ in range(min(most, amount, left.get(key, 0))):
                taken[key] = taken.get(key, 0) + 1
                left[key], amount = left[key] - 1, amount - 1
        if amount:
            taken[POOL] = taken.get(POOL, 0) + amount
        return taken

    def after_debt(self, amounts: Sequence[int]) -> list[int]:
        """Return what remains of amounts that come in once they have repaid the pool's debt."""
        debt = max(0, -self.pool)
        remains = []
        for amount in amounts:
            repaid = min(debt, amount)
            debt -= repaid
            remains.append(amount - repaid)
        return remains

    # How it changes.

    def write(
        self,
        operation: str,
        at: int,
        *,
        amount: int = 0,
        counter: str = "none",
        parts: Mapping[Key, int] | None = None,
        freed: Mapping[Key, int] | None = None,
        held: int = 0,
        concerns: int | None = None,
        pair: tuple[str, int] | None = None,
        given: Mapping[Key, int] | None = None,
        origins: Mapping[Key, Key] | None = None,
        unposted: int = 0,
    ) -> Line:
        """Add a line and change what is left by it; `freed` (signed) has been done to the holds by then.

        Args:
            parts: the amount by grant, signed; what they leave is the pool's.
        """
        parts = {key: part for key, part in (parts or {}).items() if key != POOL}
        for key, part in parts.items():
            self.lots[key].left += part
        self.pool += amount - sum(parts.values())
        on_holds = {key: part for key, part in (freed or {}).items() if key != POOL}
        line = Line(
            seq=self.next_seq,
            operation=operation,
            at=at,
            amount=amount,
            held=held,
            posted_after=self.posted,
            held_after=self.held,
            counter=counter,
            parts={
                key: (parts.get(key, 0), on_holds.get(key, 0))
                for key in {**parts, **on_holds}
                if parts.get(key) or on_holds.get(key)
            },
            concerns=concerns,
            pair=pair,
            given=given or {},
            origins=origins or {},
            unposted=unposted,
        )
        self.log.append(line)
        return line

    def release(self, seq: int, at: int, status: str) -> Line:
        """End a hold and give back all that it still holds."""
        reserve = self.reserves[seq]
        freed = {key: -part for key, part in reserve.parts.items()}
        held, reserve.parts, reserve.status = -reserve.held, {}, status
        return self.write("void", at, held=held, freed=freed, concerns=seq)

    def expire(self, keys: Sequence[Key], at: int) -> None:
        """Let what is free of some grants expire, in one line."""
        gone = {key: -self.free(key) for key in keys}
        self.write(
            "expire",
            at,
            amount=sum(gone.values()),
            counter="expired",
            parts=gone,
            concerns=keys[0][0] if len(keys) == 1 else None,
        )

    def expire_over(self, at: int) -> None:
        """Let what came free of grants that are over expire."""
        over = [key for key, lot in self.lots.items() if lot.ends is not None and lot.ends <= at]
        if over := [key for key in over if self.free(key) > 0]:
            self.expire(over, at)

    def settle(self, until: int) -> None:
        """Do what time alone does, up to an instant: lapses, expiries, starts, of one instant in this order."""
        while True:
            due = [(one.ends, 0, seq, 0) for seq, one in self.reserves.items() if one.status == "open"]
            for key, lot in self.lots.items():
                if lot.ends is not None and self.free(key) > 0:
                    due.append((lot.ends, 1, *key))
                if lot.starts is not None and lot.pending:
                    due.append((lot.starts, 2, *key))
            if not due or min(due)[0] > until:
                return
            instant, what, seq, part = min(due)
            at = max(instant, self.last_at)
            if what == 0:
                self.release(seq, at, "expired")
                self.expire_over(at)
            elif what == 1:
                self.expire([(seq, part)], at)
            else:
                self.begin((seq, part), at)

    def begin(self, key: Key, at: int) -> None:
        """Post a grant that takes effect."""
        lot = self.lots[key]
        amount, lot.pending = lot.pending, 0
        (remains,) = self.after_debt([amount])
        self.write("activate", at, amount=amount, counter="issued", parts={key: remains}, concerns=key[0])

    def at(self, instant: int) -> Purse:
        """Return it as it will be at an instant that is not past."""
        later = self.copy()
        later.settle(max(instant, self.last_at))
        return later

    def lapsing(self) -> tuple[tuple[int, int], ...]:
        """Return what will lapse and when, if nothing is used."""
        ended: dict[int, int] = {}
        for line in self.at(NEVER).log[len(self.log) :]:
            if line.operation == "expire":
                ended[line.at] = ended.get(line.at, 0) - line.amount
        return tuple(sorted(ended.items()))
