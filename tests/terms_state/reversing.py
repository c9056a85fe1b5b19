"""Reversals: what goes back, from where to where, and what becomes of it when its time is over.

Parts of a transfer go back to the grants they came from, then pool to pool, then in the order of use without living
longer than what was taken; a grant is taken back out of itself, then in the order of use.
"""

from __future__ import annotations

from datetime import timedelta

from pluct_ledger.domain.commands import Reverse
from tests.terms_state.purse import POOL, Amounts, Key, Line, Lot, Purse
from tests.terms_state.saying import No, Trial

Back = tuple[Key, int, int | None]
"""Credit that goes back: to which source, how much, and when what it was taken from ends."""


def reverse(trial: Trial, command: Reverse, owner: str, place: int) -> Line:
    """Reverse a spend, capture, transfer or grant."""
    purse = trial.take(owner)
    named = purse.log[place - 1] if place <= len(purse.log) else None
    other = None if named is None or named.pair is None else trial.take(named.pair[0])
    at = trial.settle(*(one for one in (purse, other) if one is not None))
    if place <= len(purse.log):
        named = purse.log[place - 1]
    if named is None:
        raise No("entry_not_found", entry_id=trial.id_of(purse, place))
    if named.operation in ("spend", "capture"):
        amount = _asked(trial, command, purse, named, -named.amount)
        backs = last_used_first(purse, _left(purse, named), amount)
        line = _give(purse, named, backs, at, command, "spent")
        purse.expire_over(at)
        return line
    if named.operation == "grant":
        return _take_back(trial, command, purse, named, at)
    if named.operation == "transfer" and other is not None and named.pair is not None:
        opposite = other.log[named.pair[1] - 1]
        if named.amount < 0:
            return _undo(trial, command, (purse, named), (other, opposite), at)[0]
        return _undo(trial, command, (other, opposite), (purse, named), at)[1]
    raise No("not_reversible", entry_id=trial.id_of(purse, place), operation=named.operation)


def _reversals(purse: Purse, line: Line) -> list[Line]:
    return [one for one in purse.log if one.operation == "reverse" and one.concerns == line.seq]


def _asked(trial: Trial, command: Reverse, purse: Purse, line: Line, issued: int) -> int:
    left = issued - sum(abs(one.amount) + one.unposted for one in _reversals(purse, line))
    asked = left if command.amount is None else command.amount
    if command.up_to and left:
        asked = min(asked, left)
    if asked > left or not left:
        facts = {"requested": asked, "reversible": left}
        raise No("reversal_exceeds_original", entry_id=trial.id_of(purse, line.seq), **facts)
    return asked


def _left(purse: Purse, line: Line) -> Amounts:
    """Return what of a line has not gone back, by source."""
    left = line.by_source()
    for one in _reversals(purse, line):
        for key, amount in one.given.items():
            left[key] = left.get(key, 0) - amount
    return left


def last_used_first(purse: Purse, left: Amounts, amount: int, until: int | None = None) -> list[Back]:
    """Take an amount out of what is left, the source that is used last first."""
    backs: list[Back] = []
    for key in sorted(left, key=purse.order, reverse=True):
        back = max(0, min(amount, left[key]))
        if back:
            backs.append((key, back, until))
            left[key] -= back
            amount -= back
    return backs


def _give(
    purse: Purse,
    line: Line,
    backs: list[Back],
    at: int,
    command: Reverse,
    counter: str,
    pair: tuple[str, int] | None = None,
) -> Line:
    """Give credit back to its sources; what may not live as long as they do, or longer, is a grant of its own."""
    parts: Amounts = {}
    given: Amounts = {}
    new = 0
    for key, amount, until in backs:
        given[key] = given.get(key, 0) + amount
        lot = None if key == POOL else purse.lots[key]
        end = None if lot is None else lot.ends
        grace: timedelta | None = command.expired_grace
        ends: int | None = None
        if grace is not None and end is not None and end <= at:
            ends = at + grace // timedelta(microseconds=1)
            ends = ends if until is None else min(ends, until)
        elif until is not None and (end is None or until < end):
            ends = until
        if ends is not None:
            key = (purse.next_seq, new)  # noqa: PLW2901 - from here on it is the new grant's
            purse.lots[key] = Lot(amount, 0, ends=ends, priority=0 if lot is None else lot.priority)
            new += 1
        parts[key] = parts.get(key, 0) + amount
    amount = sum(back[1] for back in backs)
    return purse.write(
        "reverse", at, amount=amount, counter=counter, parts=parts, concerns=line.seq, pair=pair, given=given
    )


def _unspent(purse: Purse, command: Reverse, asked: int) -> int:
    free = sum(purse.free(key) for key in purse.usable())
    there = max(0, min(purse.available, free))
    if there >= asked:
        return asked
    if command.up_to and there:
        return there
    raise No("insufficient_credit", owner=purse.owner, requested=asked, available=purse.available)


def _take_back(trial: Trial, command: Reverse, purse: Purse, line: Line, at: int) -> Line:
    own = (line.seq, 0)
    lot = purse.lots.get(own)
    asked = _asked(trial, command, purse, line, line.amount if lot is None else lot.amount)
    if lot is not None and lot.pending:
        lot.pending -= asked
        return purse.write("reverse", at, counter="issued", concerns=line.seq, unposted=asked)
    amount = _unspent(purse, command, asked)
    taken = purse.draw(amount, [(POOL if lot is None else own, amount)])
    parts = {key: -part for key, part in taken.items()}
    return purse.write("reverse", at, amount=-amount, counter="issued", parts=parts, concerns=line.seq)


def _undo(
    trial: Trial, command: Reverse, paid: tuple[Purse, Line], got: tuple[Purse, Line], at: int
) -> tuple[Line, Line]:
    """Reverse a transfer; return the source's line and the target's."""
    (source, paid_line), (target, got_line) = paid, got
    asked = _asked(trial, command, source, paid_line, -paid_line.amount)
    amount = _unspent(target, command, asked)
    left = _left(source, paid_line)
    origins = dict(got_line.origins)
    pooled = {key: part for key, part in left.items() if key not in origins.values()}
    first = [(part, left[origins[part]]) for part in sorted(origins, reverse=True)]
    taken = target.draw(amount, [*first, (POOL, sum(pooled.values()))])
    rest = dict(taken)
    backs: list[Back] = []
    for part in sorted(origins):
        back = min(rest.get(part, 0), left[origins[part]])
        if back:
            backs.append((origins[part], back, None))
            left[origins[part]] -= back
            rest[part] -= back
    from_pool = last_used_first(source, pooled, min(rest.get(POOL, 0), sum(pooled.values())))
    for key, back, _ in from_pool:
        left[key] -= back
        rest[POOL] -= back
    backs += from_pool
    for key, more in rest.items():
        backs += last_used_first(source, left, more, None if key == POOL else target.lots[key].ends)
    pays, gets = (source.owner, source.next_seq), (target.owner, target.next_seq)
    minus = {key: -part for key, part in taken.items()}
    gone = target.write(
        "reverse", at, amount=-amount, counter="account", parts=minus, concerns=got_line.seq, pair=pays
    )
    line = _give(source, paid_line, backs, at, command, "account", gets)
    source.expire_over(at)
    return line, gone
