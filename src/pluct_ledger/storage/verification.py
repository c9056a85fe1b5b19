"""Reads the log for verification: correct at any isolation level, while others write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import exists, func, or_, select, true, tuple_

from pluct_ledger.domain.accounts import AccountState, account_id_of, ledger_id_of
from pluct_ledger.domain.decisions import Names
from pluct_ledger.domain.entries import EntryRecord
from pluct_ledger.domain.verification import Finding, Replay, pair_findings
from pluct_ledger.errors import Corrupted
from pluct_ledger.storage.accounts import COLUMNS as ACCOUNT_COLUMNS
from pluct_ledger.storage.accounts import state_of
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.entries import COLUMNS as ENTRY_COLUMNS
from pluct_ledger.storage.entries import record_of
from pluct_ledger.storage.unit_of_work import UnitOfWork

T = TypeVar("T")
Row = tuple[bytes, AccountState | Finding, int]
"""An account's id, its row or what keeps it from being read, and the newest seq of its log."""

_ACCOUNTS_A_TIME: Final = 200
_ENTRIES_A_TIME: Final = 2_000
_PAIRS_A_TIME: Final = 200


def count_entries(work: UnitOfWork, names: Names, owner: str | None) -> int:
    """Return how many entries there are to replay."""
    entry = work.tables.entry
    statement = select(func.count()).select_from(entry)
    if owner is None:
        statement = statement.where(entry.c.ledger_id == ledger_id_of(names.book, names.asset))
    else:
        statement = statement.where(entry.c.account_id == account_id_of(names.book, owner, names.asset))
    return int(work.execute(statement).scalar_one())


def accounts_to_verify(work: UnitOfWork, names: Names, owner: str | None, after: bytes | None) -> list[Row]:
    """Return the ids of the next accounts, each with its row and the newest seq of its log from one statement."""
    account, entry = work.tables.account, work.tables.entry
    newest = (
        select(func.max(entry.c.seq))
        .where(entry.c.account_id == account.c.account_id)
        .correlate(account)
        .scalar_subquery()
    )
    statement = (
        select(*(account.c[name] for name in ACCOUNT_COLUMNS), newest)
        .where(account.c.book == names.book, account.c.asset == names.asset)
        .order_by(account.c.account_id)
        .limit(_ACCOUNTS_A_TIME)
    )
    if owner is not None:
        statement = statement.where(account.c.account_id == account_id_of(names.book, owner, names.asset))
    if after is not None:
        statement = statement.where(account.c.account_id > after)
    return [(row.account_id, _read(state_of, row[:-1]), row[-1] or 0) for row in work.execute(statement)]


def verify_accounts(work: UnitOfWork, names: Names, batch: Sequence[Row]) -> Iterator[Finding | int]:
    """Replay the logs of these accounts up to the seq of their rows; yields findings, and numbers of entries replayed.

    Entries up to that seq never change, so no snapshot is needed.
    """
    ledger_id = ledger_id_of(names.book, names.asset)
    replays = {its_id: Replay(row, ledger_id) for its_id, row, _ in batch if not isinstance(row, Finding)}
    newest = {account_id: newest_seq for account_id, _, newest_seq in batch}
    yield from (row for _, row, _ in batch if isinstance(row, Finding))
    waiting = sorted(replays, reverse=True)
    for chunk in _chunks(work, sorted(replays)):
        others = _counterparts(work, [record for _, record, _ in chunk])
        for account_id, record, its_ledger_id in chunk:
            while waiting[-1] != account_id:
                yield from _compared(replays, newest, waiting.pop())
            replay = replays.get(account_id)
            if isinstance(record, Finding):
                yield record
                replays.pop(account_id, None)  # what follows an entry that cannot be read cannot be replayed
                continue
            if replay is None or record.seq > replay.stored.seq:
                continue
            yield from replay.step(record, its_ledger_id)
            if record.counter_account_id is not None:
                yield from pair_findings(record, others.get(_counterpart(record)))
        yield len(chunk)
    while waiting:
        yield from _compared(replays, newest, waiting.pop())


def _compared(replays: dict[bytes, Replay], newest: dict[bytes, int], account_id: bytes) -> Iterator[Finding]:
    if account_id in replays:
        yield from replays[account_id].names()
        yield from replays[account_id].cache(newest[account_id])


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
        .where(*named)
        .order_by(share.c.account_id, share.c.seq)
    )
    if owner is not None:
        strays = strays.where(share.c.account_id == account_id_of(names.book, owner, names.asset))
    for row in work.execute(strays):
        yield Finding(f"share of entry {row.account_id.hex()}.{row.seq}", "record", "no entry has shares yet")


def _chunks(
    work: UnitOfWork, account_ids: list[bytes]
) -> Iterator[list[tuple[bytes, EntryRecord | Finding, int]]]:
    """Yield the entries of these accounts with their ledger ids, in the order of (account, seq), some at a time."""
    entry = work.tables.entry
    statement = (
        select(*(entry.c[name] for name in ENTRY_COLUMNS), entry.c.ledger_id)
        .order_by(entry.c.account_id, entry.c.seq)
        .limit(_ENTRIES_A_TIME)
    )
    left, place = account_ids, (b"", 0)
    while True:
        beyond = or_(entry.c.account_id != place[0], entry.c.seq > place[1])
        rows = work.execute(
            statement.where(entry.c.account_id.in_(left), beyond if place[0] else true())
        ).all()
        if rows:
            yield [(row.account_id, _read(record_of, row[:-1]), row[-1]) for row in rows]
        if len(rows) < _ENTRIES_A_TIME:
            return
        place = (rows[-1].account_id, rows[-1].seq)
        left = [account_id for account_id in left if account_id >= place[0]]


def _read(read: Callable[[Sequence[Any]], T], row: Sequence[Any]) -> T | Finding:
    """Return what a row holds, or that it cannot be read."""
    try:
        return read(row)
    except Corrupted as wrong:
        return Finding(wrong.record, "record", wrong.problem)


def _counterpart(record: EntryRecord) -> tuple[bytes | None, int | None]:
    return record.counter_account_id, record.counter_seq


def _counterparts(work: UnitOfWork, records: Sequence[EntryRecord | Finding]) -> dict[Any, EntryRecord]:
    entry = work.tables.entry
    paired = [
        _counterpart(record)
        for record in records
        if isinstance(record, EntryRecord) and record.counter_account_id is not None
    ]
    found: dict[Any, EntryRecord] = {}
    for chunk in in_chunks(paired, _PAIRS_A_TIME):
        statement = select(*(entry.c[name] for name in ENTRY_COLUMNS)).where(
            tuple_(entry.c.account_id, entry.c.seq).in_(chunk)
        )
        for row in work.execute(statement):
            if isinstance(other := _read(record_of, row), EntryRecord):
                found[(other.account_id, other.seq)] = other
    return found
