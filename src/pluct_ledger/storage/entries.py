"""Entries: recalled by key, appended, listed; never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Executable, Select, and_, bindparam, insert, or_, select, tuple_

from pluct_ledger.domain.arguments import instant_of
from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.decisions import share_of
from pluct_ledger.domain.entries import Counter, Entry, EntryRecord, Operation, entry_id_of
from pluct_ledger.domain.positions import ShareRecord
from pluct_ledger.errors import Corrupted
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.schema import Tables
from pluct_ledger.storage.unit_of_work import UnitOfWork

COLUMNS: Final = tuple(field.name for field in fields(EntryRecord))
_OPERATION: Final = COLUMNS.index("operation")
_COUNTER: Final = COLUMNS.index("counter")
_KEYS_IN_ONE_STATEMENT: Final = 200

Key = tuple[bytes, bytes]
"""An account id and the hash of an idempotency key."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a newest-first list over a whole book goes on: after the entry at this place."""

    at: int
    account_id: bytes
    seq: int

    def precedes(self, entry: EntryRecord) -> bool:
        """Tell whether an entry comes after this place in the list."""
        return (entry.at, entry.account_id, entry.seq) < (self.at, self.account_id, self.seq)


@dataclass(frozen=True, slots=True)
class Owned:
    """An entry and whose it is."""

    entry: EntryRecord
    owner: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries of a list are wanted; instants in microseconds, `since` included, `until` excluded."""

    since: int | None = None
    until: int | None = None
    kinds: frozenset[str] | None = None

    def takes(self, entry: EntryRecord) -> bool:
        """Tell whether an entry is wanted."""
        if self.since is not None and entry.at < self.since:
            return False
        if self.until is not None and entry.at >= self.until:
            return False
        return self.kinds is None or (entry.kind or entry.operation.word) in self.kinds


@dataclass(frozen=True, eq=False)
class _Statements:
    recall_one: Select[Any]
    recall_many: Select[Any]
    address: Select[Any]
    append: Executable


@lru_cache(maxsize=64)
def _statements(tables: Tables) -> _Statements:
    entry = tables.entry
    columns = [entry.c[name] for name in COLUMNS]
    return _Statements(
        recall_one=select(*columns).where(
            entry.c.account_id == bindparam("account_id"), entry.c.key_hash == bindparam("key_hash")
        ),
        recall_many=select(*columns).where(
            tuple_(entry.c.account_id, entry.c.key_hash).in_(bindparam("keys", expanding=True))
        ),
        address=select(*columns).where(
            entry.c.account_id == bindparam("account_id"), entry.c.seq == bindparam("seq")
        ),
        append=insert(entry),
    )


def recall(work: UnitOfWork, keys: Sequence[Key]) -> dict[Key, EntryRecord]:
    """Return the entries that these keys made, of accounts that are locked."""
    if not keys:
        return {}
    sql = _statements(work.tables)
    if len(keys) == 1:
        statement = work.fresh(sql.recall_one)
        rows = work.execute(statement, {"account_id": keys[0][0], "key_hash": keys[0][1]})
        return {(row.account_id, row.key_hash): record_of(row) for row in rows}
    found: dict[Key, EntryRecord] = {}
    for chunk in in_chunks(keys, _KEYS_IN_ONE_STATEMENT):
        for row in work.execute(work.fresh(sql.recall_many), {"keys": list(chunk)}):
            found[(row.account_id, row.key_hash)] = record_of(row)
    return found


def append_entries(work: UnitOfWork, entries: Sequence[EntryRecord], ledger_id: int) -> None:
    """Append entries to the logs of locked accounts."""
    rows = [{name: getattr(entry, name) for name in COLUMNS} | {"ledger_id": ledger_id} for entry in entries]
    work.execute(_statements(work.tables).append, rows if len(rows) > 1 else rows[0])


def read_entry(work: UnitOfWork, account_id: bytes, seq: int) -> EntryRecord | None:
    """Return the entry at an address."""
    rows = work.execute(_statements(work.tables).address, {"account_id": account_id, "seq": seq})
    return next((record_of(row) for row in rows), None)


def find_entry(work: UnitOfWork, account_id: bytes, key_hash: bytes) -> EntryRecord | None:
    """Return the entry that a key made."""
    rows = work.execute(_statements(work.tables).recall_one, {"account_id": account_id, "key_hash": key_hash})
    return next((record_of(row) for row in rows), None)


def entries_of_account(
    work: UnitOfWork, account_id: bytes, *, limit: int, before: int | None, wanted: Filter
) -> list[EntryRecord]:
    """Return an account's entries, newest first, those with a lower seq than `before`."""
    entry = work.tables.entry
    statement = select(*(entry.c[name] for name in COLUMNS)).where(
        entry.c.account_id == account_id, *_conditions(work.tables, wanted)
    )
    if before is not None:
        statement = statement.where(entry.c.seq < before)
    return [record_of(row) for row in work.execute(statement.order_by(entry.c.seq.desc()).limit(limit))]


def entries_of_book(
    work: UnitOfWork, ledger_id: int, *, limit: int, before: Cursor | None, wanted: Filter
) -> list[Owned]:
    """Return the entries of a book and asset with their owners, newest first, those that come after the cursor."""
    entry, account = work.tables.entry, work.tables.account
    statement = (
        select(*(entry.c[name] for name in COLUMNS), account.c.owner)
        .join(account, account.c.account_id == entry.c.account_id)
        .where(entry.c.ledger_id == ledger_id, *_conditions(work.tables, wanted))
        .order_by(entry.c.at.desc(), entry.c.account_id.desc(), entry.c.seq.desc())
        .limit(limit)
    )
    if before is not None:
        earlier_in_account = and_(entry.c.account_id == before.account_id, entry.c.seq < before.seq)
        statement = statement.where(
            entry.c.at <= before.at,
            or_(
                entry.c.at < before.at,
                entry.c.account_id < before.account_id,
                earlier_in_account,
            ),
        )
    return [Owned(record_of(row[:-1]), row[-1]) for row in work.execute(statement)]


def _conditions(tables: Tables, wanted: Filter) -> Iterable[Any]:
    entry = tables.entry
    if wanted.since is not None:
        yield entry.c.at >= wanted.since
    if wanted.until is not None:
        yield entry.c.at < wanted.until
    if wanted.kinds is not None:
        named = [operation.value for operation in Operation if operation.word in wanted.kinds]
        yield or_(
            entry.c.kind.in_(sorted(wanted.kinds)),
            and_(entry.c.kind.is_(None), entry.c.operation.in_(named)),
        )


def record_of(row: Sequence[Any]) -> EntryRecord:
    """Return the entry that a row holds.

    Raises:
        Corrupted: its operation or counter is none that an entry can have.
    """
    values = list(row)
    try:
        values[_OPERATION] = Operation(values[_OPERATION])
        values[_COUNTER] = Counter(values[_COUNTER])
    except ValueError as error:
        raise Corrupted(record=f"entry {entry_id_of(values[0], values[1])}", problem=str(error)) from error
    return EntryRecord(*values)


def seq_at(work: UnitOfWork, account_id: bytes, instant: int, *, newest: int) -> int:
    """Return the seq of an account's last entry at or before an instant, 0 for none; `at` never falls along seq."""
    entry = work.tables.entry
    statement = select(entry.c.at).where(
        entry.c.account_id == bindparam("account_id"), entry.c.seq == bindparam("seq")
    )
    low, high = 0, newest
    while low < high:
        middle = (low + high + 1) // 2
        at = work.execute(statement, {"account_id": account_id, "seq": middle}).scalar()
        if at is None or at > instant:
            high = middle - 1
        else:
            low = middle
    return low


def entry_of(record: EntryRecord, *, owner: str, names: Names, shares: Sequence[ShareRecord] = ()) -> Entry:
    """Return what the API shows of a stored entry."""
    concerns = None if record.concerns_seq is None else entry_id_of(record.account_id, record.concerns_seq)
    return Entry(
        entry_id=record.entry_id,
        account_id=record.account_id.hex(),
        seq=record.seq,
        book=names.book,
        asset=names.asset,
        owner=owner,
        operation=record.operation.word,
        kind=record.kind or record.operation.word,
        amount=record.amount,
        hold_amount=record.hold_amount,
        posted_after=record.posted_after,
        held_after=record.held_after,
        available_after=record.posted_after - record.held_after,
        counter=record.counter.word,
        counterpart_entry_id=record.counterpart_entry_id,
        concerns_entry_id=concerns,
        terms={} if record.terms is None else json.loads(record.terms),
        idempotency_key=record.idempotency_key,
        reason=record.reason,
        actor=record.actor,
        metadata=None if record.metadata is None else json.loads(record.metadata),
        event_at=None if record.event_at is None else instant_of(record.event_at),
        at=instant_of(record.at),
        shares=tuple(share_of(share) for share in shares),
    )
