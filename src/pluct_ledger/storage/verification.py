"""Reads the log for verification: correct at any isolation level, while others write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import exists, func, or_, select, true, tuple_

from pluct_ledger.domain.accounts import AccountState, account_id_of, ledger_id_of
from pluct_ledger.domain.decisions import Names
from pluct_ledger.domain.entries import EntryRecord
from pluct_ledger.domain.verification import Finding, Replay, pair_findings
from pluct_ledger.storage.accounts import COLUMNS as ACCOUNT_COLUMNS
from pluct_ledger.storage.accounts import state_of
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.entries import COLUMNS as ENTRY_COLUMNS
from pluct_ledger.storage.entries import record_of
from pluct_ledger.storage.unit_of_work import UnitOfWork

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


def accounts_to_verify(
    work: UnitOfWork, names: Names, owner: str | None, after: bytes | None
) -> list[tuple[AccountState, int]]:
    """Return the next accounts, each with the newest seq of its log, both from one statement."""
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
    return [(state_of(row[:-1]), row[-1] or 0) for row in work.execute(statement)]


def verify_accounts(
    work: UnitOfWork, names: Names, batch: Sequence[tuple[AccountState, int]]
) -> Iterator[Finding | int]:
    """Replay the logs of these accounts up to the seq of their rows; yields findings, and numbers of entries replayed.

    Entries up to that seq never change, so no snapshot is needed.
    """
    ledger_id = ledger_id_of(names.book, names.asset)
    replays = {stored.account_id: Replay(stored, ledger_id) for stored, _ in batch}
    newest = {stored.account_id: newest_seq for stored, newest_seq in batch}
    waiting = sorted(replays, reverse=True)
    for chunk in _chunks(work, sorted(replays)):
        others = _counterparts(work, [record for record, _ in chunk if record.counter_account_id is not None])
        for record, its_ledger_id in chunk:
            while waiting[-1] != record.account_id:
                yield from _compared(replays, newest, waiting.pop())
            replay = replays[record.account_id]
            if record.seq > replay.stored.seq:
                continue
            yield from replay.step(record, its_ledger_id)
            if record.counter_account_id is not None:
                yield from pair_findings(record, others.get(_counterpart(record)))
        yield len(chunk)
    while waiting:
        yield from _compared(replays, newest, waiting.pop())


def _compared(replays: dict[bytes, Replay], newest: dict[bytes, int], account_id: bytes) -> Iterator[Finding]:
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
    if owner is None:
        statement = (
            select(entry.c.account_id)
            .where(
                entry.c.ledger_id == ledger_id_of(names.book, names.asset),
                ~exists().where(account.c.account_id == entry.c.account_id),
            )
            .distinct()
            .order_by(entry.c.account_id)
        )
    else:
        account_id = account_id_of(names.book, owner, names.asset)
        statement = (
            select(entry.c.account_id)
            .where(entry.c.account_id == account_id, ~exists().where(account.c.account_id == account_id))
            .distinct()
        )
    for row in work.execute(statement):
        yield Finding(
            f"account {row.account_id.hex()}", "record", "its row is missing; the log has entries of it"
        )
    strays = (
        select(share.c.account_id, share.c.seq)
        .join(account, account.c.account_id == share.c.account_id)
        .where(account.c.book == names.book, account.c.asset == names.asset)
        .order_by(share.c.account_id, share.c.seq)
    )
    if owner is not None:
        strays = strays.where(share.c.account_id == account_id_of(names.book, owner, names.asset))
    for row in work.execute(strays):
        yield Finding(f"share of entry {row.account_id.hex()}.{row.seq}", "record", "no entry has shares yet")


def _chunks(work: UnitOfWork, account_ids: list[bytes]) -> Iterator[list[tuple[EntryRecord, int]]]:
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
        rows = work.execute(statement.where(entry.c.account_id.in_(left), beyond if place[0] else true()))
        chunk = [(record_of(row[:-1]), row[-1]) for row in rows]
        if chunk:
            yield chunk
        if len(chunk) < _ENTRIES_A_TIME:
            return
        place = (chunk[-1][0].account_id, chunk[-1][0].seq)
        left = [account_id for account_id in left if account_id >= place[0]]


def _counterpart(record: EntryRecord) -> tuple[bytes | None, int | None]:
    return record.counter_account_id, record.counter_seq


def _counterparts(work: UnitOfWork, records: Sequence[EntryRecord]) -> dict[Any, EntryRecord]:
    entry = work.tables.entry
    found: dict[Any, EntryRecord] = {}
    for chunk in in_chunks(records, _PAIRS_A_TIME):
        statement = select(*(entry.c[name] for name in ENTRY_COLUMNS)).where(
            tuple_(entry.c.account_id, entry.c.seq).in_([_counterpart(record) for record in chunk])
        )
        for row in work.execute(statement):
            other = record_of(row)
            found[(other.account_id, other.seq)] = other
    return found
