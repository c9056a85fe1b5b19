"""Reads the log for verification: correct at any isolation level, while others write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import exists, func, or_, select, true, tuple_

from pluct_ledger.domain.accounts import AccountState, account_id_of, ledger_id_of
from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.entries import EntryRecord
from pluct_ledger.domain.positions import HAS_GRANTS, HAS_HOLDS, GrantKey, GrantState, HoldState, ShareRecord
from pluct_ledger.domain.verification import Finding, Replay, pair_findings
from pluct_ledger.errors import Contended, Corrupted
from pluct_ledger.storage.accounts import COLUMNS as ACCOUNT_COLUMNS
from pluct_ledger.storage.accounts import state_of
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.entries import COLUMNS as ENTRY_COLUMNS
from pluct_ledger.storage.entries import record_of
from pluct_ledger.storage.positions import (
    GRANT_COLUMNS,
    HOLD_COLUMNS,
    OPEN,
    SHARE_COLUMNS,
    grant_state_of,
    hold_state_of,
    share_record_of,
)
from pluct_ledger.storage.unit_of_work import UnitOfWork

T = TypeVar("T")

_ACCOUNTS_A_TIME: Final = 200
_ENTRIES_A_TIME: Final = 2_000
_PAIRS_A_TIME: Final = 200
_LOOKS: Final = 100


def count_entries(work: UnitOfWork, names: Names, owner: str | None) -> int:
    """Return how many entries there are to replay."""
    entry = work.tables.entry
    statement = select(func.count()).select_from(entry)
    if owner is None:
        statement = statement.where(entry.c.ledger_id == ledger_id_of(names.book, names.asset))
    else:
        statement = statement.where(entry.c.account_id == account_id_of(names.book, owner, names.asset))
    return int(work.execute(statement).scalar_one())


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one account at one moment, or what keeps its own from being read, and the newest seq of its log.

    `open_grants` are those among its grants that their rows call open: only these are loaded for a write.
    """

    account_id: bytes
    account: AccountState | Finding
    newest_seq: int
    grants: Sequence[GrantState]
    holds: Sequence[HoldState]
    open_grants: frozenset[GrantKey] = frozenset()


def accounts_to_verify(
    work: UnitOfWork, names: Names, owner: str | None, after: bytes | None
) -> list[Stored]:
    """Return the next accounts with all their grants and holds, each as it was at one moment."""
    account = work.tables.account
    wanted = [account.c.book == names.book, account.c.asset == names.asset]
    if owner is not None:
        wanted.append(account.c.account_id == account_id_of(names.book, owner, names.asset))
    if after is not None:
        wanted.append(account.c.account_id > after)
    found = _with_newest(work, wanted, limit=_ACCOUNTS_A_TIME)
    stored: dict[bytes, Stored] = {}
    for _ in range(_LOOKS):
        ids = sorted(its_id for its_id in found if its_id not in stored)
        if not ids:
            return [stored[its_id] for its_id in sorted(stored)]
        grants, holds, open_grants = _grants_and_holds(work, ids)
        # Others may have written between these reads; an account that moved meanwhile is read again.
        again = _with_newest(work, [account.c.account_id.in_(ids)], limit=len(ids))
        for its_id in ids:
            state, newest_seq = found[its_id]
            alone = its_id not in grants and its_id not in holds and not _has_terms(state)
            if alone or _seq(again[its_id][0]) == _seq(state):
                stored[its_id] = Stored(
                    its_id,
                    state,
                    newest_seq,
                    grants.get(its_id, ()),
                    holds.get(its_id, ()),
                    frozenset(open_grants.get(its_id, ())),
                )
        found.update(again)
    raise Contended("an account did not stand still while it was read; verify again")


def _with_newest(
    work: UnitOfWork, wanted: list[Any], *, limit: int
) -> dict[bytes, tuple[AccountState | Finding, int]]:
    """Return account rows, each with the newest seq of its log, both from one statement."""
    account, entry = work.tables.account, work.tables.entry
    newest = (
        select(func.max(entry.c.seq))
        .where(entry.c.account_id == account.c.account_id)
        .correlate(account)
        .scalar_subquery()
    )
    statement = (
        select(*(account.c[name] for name in ACCOUNT_COLUMNS), newest)
        .where(*wanted)
        .order_by(account.c.account_id)
        .limit(limit)
    )
    return {row.account_id: (_read(state_of, row[:-1]), row[-1] or 0) for row in work.execute(statement)}


def _has_terms(account: AccountState | Finding) -> bool:
    return isinstance(account, Finding) or bool(account.attention & (HAS_GRANTS | HAS_HOLDS))


def _seq(account: AccountState | Finding) -> int | None:
    return None if isinstance(account, Finding) else account.seq


def _read(read: Callable[[Sequence[Any]], T], row: Sequence[Any]) -> T | Finding:
    """Return what a row holds, or that it cannot be read."""
    try:
        return read(row)
    except Corrupted as wrong:
        return Finding(wrong.record, "record", wrong.problem)


def _grants_and_holds(
    work: UnitOfWork, account_ids: list[bytes]
) -> tuple[dict[bytes, list[GrantState]], dict[bytes, list[HoldState]], dict[bytes, set[GrantKey]]]:
    grant, hold = work.tables.grant, work.tables.hold
    grants: dict[bytes, list[GrantState]] = {}
    holds: dict[bytes, list[HoldState]] = {}
    open_grants: dict[bytes, set[GrantKey]] = {}
    statement = select(grant.c.account_id, grant.c.status, *(grant.c[name] for name in GRANT_COLUMNS))
    for row in work.execute(statement.where(grant.c.account_id.in_(account_ids))):
        state = grant_state_of(row[2:])
        grants.setdefault(row.account_id, []).append(state)
        if row.status == OPEN:
            open_grants.setdefault(row.account_id, set()).add(state.key)
    statement = select(hold.c.account_id, *(hold.c[name] for name in HOLD_COLUMNS))
    for row in work.execute(statement.where(hold.c.account_id.in_(account_ids))):
        holds.setdefault(row.account_id, []).append(hold_state_of(row[1:]))
    return grants, holds, open_grants


def verify_accounts(work: UnitOfWork, names: Names, batch: Sequence[Stored]) -> Iterator[Finding | int]:
    """Replay the logs of these accounts up to the seq of their rows; yields findings, and numbers of entries replayed.

    Entries up to that seq never change, so no snapshot is needed.
    """
    ledger_id = ledger_id_of(names.book, names.asset)
    stored = {one.account_id: one for one in batch}
    yield from (one.account for one in batch if isinstance(one.account, Finding))
    replays = {
        one.account_id: Replay(one.account, ledger_id)
        for one in batch
        if not isinstance(one.account, Finding)
    }
    waiting = sorted(replays, reverse=True)
    for chunk in log_of(work, sorted(replays)):
        others = _counterparts(work, chunk)
        for line in chunk:
            while waiting[-1] != line.account_id:
                yield from _compared(replays, stored, waiting.pop())
            replay = replays.get(line.account_id)
            if isinstance(line.entry, Finding):
                yield line.entry
                replays.pop(
                    line.account_id, None
                )  # what follows an entry that cannot be read cannot be replayed
                continue
            if replay is None or line.entry.seq > replay.stored.seq:
                continue
            yield from replay.step(line.entry, line.ledger_id, line.shares)
            if line.entry.counter_account_id is not None:
                yield from pair_findings(line.entry, others.get(_counterpart(line.entry)))
        yield len(chunk)
    while waiting:
        yield from _compared(replays, stored, waiting.pop())


def _compared(replays: dict[bytes, Replay], stored: dict[bytes, Stored], its_id: bytes) -> Iterator[Finding]:
    if (replay := replays.get(its_id)) is not None:
        yield from replay.names()
        one = stored[its_id]
        yield from replay.cache(one.newest_seq, one.grants, one.holds, one.open_grants)


def moved_in_all(work: UnitOfWork, names: Names) -> int:
    """Return what all transfers of a book and asset come to, which is 0: what one account paid, another received."""
    account = work.tables.account
    total = func.coalesce(func.sum(account.c.moved), 0)
    statement = select(total).where(account.c.book == names.book, account.c.asset == names.asset)
    return int(work.execute(statement).scalar_one())


def orphans(work: UnitOfWork, names: Names, owner: str | None) -> Iterator[Finding]:
    """Find entries and shares that no account's log should have."""
    entry, share, account = work.tables.entry, work.tables.share, work.tables.account
    named = (account.c.book == names.book, account.c.asset == names.asset)
    statement = (
        select(entry.c.account_id)
        .where(~exists().where(account.c.account_id == entry.c.account_id, *named))
        .distinct()
        .order_by(entry.c.account_id)
    )
    if owner is None:
        statement = statement.where(entry.c.ledger_id == ledger_id_of(names.book, names.asset))
    else:
        statement = statement.where(entry.c.account_id == account_id_of(names.book, owner, names.asset))
    for row in work.execute(statement):
        yield Finding(
            f"account {row.account_id.hex()}", "record", "its row is missing; the log has entries of it"
        )
    strays = (
        select(share.c.account_id, share.c.seq)
        .join(account, account.c.account_id == share.c.account_id)
        .where(
            *named,
            ~exists().where(entry.c.account_id == share.c.account_id, entry.c.seq == share.c.seq),
        )
        .order_by(share.c.account_id, share.c.seq)
    )
    if owner is not None:
        strays = strays.where(share.c.account_id == account_id_of(names.book, owner, names.asset))
    for row in work.execute(strays):
        yield Finding(f"share of entry {row.account_id.hex()}.{row.seq}", "record", "there is no such entry")


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with its shares, or what keeps it from being read, and the ledger id of its row."""

    account_id: bytes
    entry: EntryRecord | Finding
    ledger_id: int
    shares: Sequence[ShareRecord]


def log_of(work: UnitOfWork, account_ids: list[bytes], *, upto: int | None = None) -> Iterator[list[Line]]:
    """Yield the entries of these accounts with their shares, in the order of (account, seq), some at a time.

    Args:
        upto: only entries up to this seq.
    """
    entry = work.tables.entry
    statement = (
        select(*(entry.c[name] for name in ENTRY_COLUMNS), entry.c.ledger_id)
        .order_by(entry.c.account_id, entry.c.seq)
        .limit(_ENTRIES_A_TIME)
    )
    if upto is not None:
        statement = statement.where(entry.c.seq <= upto)
    left, place = account_ids, (b"", 0)
    while True:
        beyond = or_(entry.c.account_id != place[0], entry.c.seq > place[1])
        rows = work.execute(
            statement.where(entry.c.account_id.in_(left), beyond if place[0] else true())
        ).all()
        if rows:
            first, last = rows[0], rows[-1]
            shares = _shares_between(work, left, (first.account_id, first.seq), (last.account_id, last.seq))
            yield [
                Line(
                    row.account_id,
                    _read(record_of, row[:-1]),
                    row[-1],
                    shares.get((row.account_id, row.seq), ()),
                )
                for row in rows
            ]
        if len(rows) < _ENTRIES_A_TIME:
            return
        place = (rows[-1].account_id, rows[-1].seq)
        left = [account_id for account_id in left if account_id >= place[0]]


def prefix_of(
    work: UnitOfWork, account_id: bytes, upto: int
) -> Iterator[tuple[EntryRecord, Sequence[ShareRecord]]]:
    """Yield the entries of an account up to a seq with their shares.

    Raises:
        Corrupted: an entry cannot be read.
    """
    for chunk in log_of(work, [account_id], upto=upto):
        for line in chunk:
            if isinstance(line.entry, Finding):
                raise Corrupted(record=line.entry.record, problem=line.entry.problem)
            yield line.entry, line.shares


def _shares_between(
    work: UnitOfWork, account_ids: list[bytes], first: tuple[bytes, int], last: tuple[bytes, int]
) -> dict[tuple[bytes, int], list[ShareRecord]]:
    share = work.tables.share
    ids = [its_id for its_id in account_ids if first[0] <= its_id <= last[0]]
    found: dict[tuple[bytes, int], list[ShareRecord]] = {}
    statement = select(*(share.c[name] for name in SHARE_COLUMNS)).where(
        share.c.account_id.in_(ids),
        or_(share.c.account_id != first[0], share.c.seq >= first[1]),
        or_(share.c.account_id != last[0], share.c.seq <= last[1]),
    )
    for row in work.execute(statement):
        record = share_record_of(row)
        found.setdefault((record.account_id, record.seq), []).append(record)
    return found


def _counterpart(record: EntryRecord) -> tuple[bytes | None, int | None]:
    return record.counter_account_id, record.counter_seq


def _counterparts(work: UnitOfWork, lines: Sequence[Line]) -> dict[Any, EntryRecord]:
    entry = work.tables.entry
    paired = [
        _counterpart(line.entry)
        for line in lines
        if isinstance(line.entry, EntryRecord) and line.entry.counter_account_id is not None
    ]
    found: dict[Any, EntryRecord] = {}
    for chunk in in_chunks(paired, _PAIRS_A_TIME):
        statement = select(*(entry.c[name] for name in ENTRY_COLUMNS)).where(
            tuple_(entry.c.account_id, entry.c.seq).in_(chunk)
        )
        for row in work.execute(statement):
            if isinstance(other := _read(record_of, row), EntryRecord):
                found[other.account_id, other.seq] = other
    return found
