"""Account rows: locked, opened, updated, read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Executable, Select, bindparam, delete, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from pluct_ledger.domain.accounts import AccountState, Status
from pluct_ledger.errors import Contended, Corrupted
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.dialects import Backend
from pluct_ledger.storage.schema import Tables
from pluct_ledger.storage.unit_of_work import LostRace, UnitOfWork

_UNBORN: Final = -1
"""The seq of a row that this transaction inserted and has not yet written to; no other transaction ever sees it."""

_stale: Final[WeakKeyDictionary[Any, set[bytes]]] = WeakKeyDictionary()
"""The accounts whose logs a transaction's plain reads do not show whole, by SQLAlchemy's transaction."""

_NAMES: Final = ("account_id", "book", "owner", "asset")
_NUMBERS: Final = (
    "posted",
    "held",
    "seq",
    "last_at",
    "issued",
    "spent",
    "expired",
    "adjusted",
    "moved",
    "overdraft_limit",
    "status",
    "attention",
    "next_due_at",
)
COLUMNS: Final = (*_NAMES, *_NUMBERS, "opened_at", "metadata")
_STATUS: Final = COLUMNS.index("status")


@dataclass(frozen=True, eq=False)
class _Statements:
    read_one: Select[Any]
    read_many: Select[Any]
    read_seqs: Select[Any]
    lock_one: Select[Any]
    lock_many: Select[Any]
    page: Select[Any]
    page_after: Select[Any]
    insert: Executable
    update: Executable
    remove: Executable


@lru_cache(maxsize=64)
def _statements(tables: Tables, backend: Backend) -> _Statements:
    account = tables.account
    columns = [account.c[name] for name in COLUMNS]
    one = select(*columns).where(account.c.account_id == bindparam("account_id"))
    many = (
        select(*columns)
        .where(account.c.account_id.in_(bindparam("account_ids", expanding=True)))
        .order_by(account.c.account_id)
    )
    # MariaDB scans and locks a small table whole unless it is told to go by the key.
    lock_many = many.with_for_update()
    for dialect in ("mysql", "mariadb"):
        lock_many = lock_many.with_hint(account, "FORCE INDEX (PRIMARY)", dialect)
    in_ledger = (
        select(*columns)
        .where(account.c.book == bindparam("book"), account.c.asset == bindparam("asset"))
        .order_by(account.c.owner)
        .limit(bindparam("limit"))
    )
    return _Statements(
        read_one=one,
        read_many=many,
        read_seqs=many.with_only_columns(account.c.account_id, account.c.seq),
        lock_one=one.with_for_update(),
        lock_many=lock_many,
        page=in_ledger,
        page_after=in_ledger.where(account.c.owner > bindparam("after")),
        insert=_insertion(tables, backend),
        update=update(account)
        .where(account.c.account_id == bindparam("its_id"), account.c.seq == bindparam("its_seq"))
        .values({name: bindparam(name) for name in _NUMBERS}),
        remove=delete(account).where(account.c.account_id.in_(bindparam("account_ids", expanding=True))),
    )


def _insertion(tables: Tables, backend: Backend) -> Executable:
    """Return the insertion that passes over accounts that exist, and tells which it inserted."""
    account = tables.account
    match backend:
        case Backend.POSTGRESQL:
            return (
                postgresql.insert(account)
                .on_conflict_do_nothing(index_elements=["account_id"])
                .returning(account.c.account_id, account.c.seq)
            )
        case Backend.SQLITE:
            return (
                sqlite.insert(account)
                .on_conflict_do_nothing(index_elements=["account_id"])
                .returning(account.c.account_id, account.c.seq)
            )
        case Backend.MARIADB:
            return (
                mysql.insert(account)
                .on_duplicate_key_update(seq=account.c.seq)
                .returning(account.c.account_id, account.c.seq)
            )


def read_accounts(work: UnitOfWork, account_ids: Iterable[bytes]) -> dict[bytes, AccountState]:
    """Return the accounts that exist, without locking them."""
    sql = _statements(work.tables, work.backend)
    return _fetched(work, sql.read_one, sql.read_many, sorted(account_ids))


def lock_accounts(work: UnitOfWork, account_ids: Iterable[bytes]) -> dict[bytes, AccountState]:
    """Lock the accounts that exist, in sorted order, and return them as they are now.

    On SQLite the whole database is locked before this (see `transactions`), and this only reads.
    """
    wanted = sorted(account_ids)
    if work.backend is Backend.MARIADB and not work.own:
        return _lock_under_a_snapshot(work, wanted)
    sql = _statements(work.tables, work.backend)
    return _fetched(work, sql.lock_one, sql.lock_many, wanted)


def _lock_under_a_snapshot(work: UnitOfWork, wanted: list[bytes]) -> dict[bytes, AccountState]:
    """Lock in a transaction of MariaDB's that may be REPEATABLE READ.

    There a plain read after the lock shows the past, and a locking read of a row that does not exist locks a gap, on
    which strangers deadlock. So: read ``seq`` plainly, lock what was seen, and where ``seq`` has moved meanwhile,
    plain reads of this transaction are stale.
    """
    sql = _statements(work.tables, work.backend)
    seen: dict[bytes, int] = {}
    for chunk in in_chunks(wanted):
        seen.update((row.account_id, row.seq) for row in work.execute(sql.read_seqs, {"account_ids": chunk}))
    existing = [account_id for account_id in wanted if account_id in seen or account_id in work.certain]
    locked = _fetched(work, sql.lock_one, sql.lock_many, existing)
    stale = _stale.setdefault(work.connection.get_transaction(), set())
    stale.update(account_id for account_id, state in locked.items() if seen.get(account_id) != state.seq)
    work.reads_are_stale = not stale.isdisjoint(locked)
    return locked


def _fetched(
    work: UnitOfWork, one: Executable, many: Executable, wanted: list[bytes]
) -> dict[bytes, AccountState]:
    if not wanted:
        return {}
    if len(wanted) == 1:
        return {row.account_id: state_of(row) for row in work.execute(one, {"account_id": wanted[0]})}
    found: dict[bytes, AccountState] = {}
    for chunk in in_chunks(wanted):
        found.update((row.account_id, state_of(row)) for row in work.execute(many, {"account_ids": chunk}))
    return found


def page_of_accounts(
    work: UnitOfWork, book: str, asset: str, *, limit: int, after: str | None
) -> list[AccountState]:
    """Return accounts of a book and asset in the order of their owners' UTF-8 bytes."""
    sql = _statements(work.tables, work.backend)
    names = {"book": book, "asset": asset, "limit": limit}
    if after is None:
        return [state_of(row) for row in work.execute(sql.page, names)]
    return [state_of(row) for row in work.execute(sql.page_after, {**names, "after": after})]


def accounts_due(
    work: UnitOfWork, *, now: int, book_and_asset: tuple[str, str] | None = None, limit: int | None = None
) -> list[bytes]:
    """Return the accounts in which something has fallen due by `now` (microseconds), the longest waiting first."""
    account = work.tables.account
    statement = (
        select(account.c.account_id).where(account.c.next_due_at <= now).order_by(account.c.next_due_at)
    )
    if book_and_asset is not None:
        statement = statement.where(account.c.book == book_and_asset[0], account.c.asset == book_and_asset[1])
    return list(work.execute(statement.limit(limit)).scalars())


def open_accounts(work: UnitOfWork, states: Sequence[AccountState]) -> None:
    """Insert rows for accounts that did not exist when they were locked; `update_accounts` fills them.

    Raises:
        LostRace: another transaction was first; on a borrowed connection what was inserted is deleted again.
    """
    rows = [_row(state) | {"seq": _UNBORN} for state in sorted(states, key=lambda state: state.account_id)]
    sql = _statements(work.tables, work.backend)
    result = work.execute(sql.insert, rows if len(rows) > 1 else rows[0])
    ours = {row.account_id for row in result if row.seq == _UNBORN}
    if len(ours) == len(rows):
        return
    if not work.own and ours:
        work.execute(sql.remove, {"account_ids": sorted(ours)})
    raise LostRace(frozenset(row["account_id"] for row in rows) - ours)


def update_accounts(work: UnitOfWork, states: Sequence[AccountState], seq_before: dict[bytes, int]) -> None:
    """Write the rows of accounts that are locked or were just inserted.

    Args:
        seq_before: the seq of each account when it was locked; one that was just inserted is missing.

    Raises:
        Contended: a row is not as it was locked, so the lock did not hold; nothing was written to it.
    """
    rows = []
    for state in sorted(states, key=lambda state: state.account_id):
        row = _row(state)
        rows.append(
            {name: row[name] for name in _NUMBERS}
            | {"its_id": state.account_id, "its_seq": seq_before.get(state.account_id, _UNBORN)}
        )
    sql = _statements(work.tables, work.backend)
    result = work.execute(sql.update, rows if len(rows) > 1 else rows[0])
    if result.rowcount not in (len(rows), -1):
        raise Contended("an account changed under its lock; retry the whole transaction")


def state_of(row: Sequence[Any]) -> AccountState:
    """Return the account that a row holds.

    Raises:
        Corrupted: its status is none that an account can have.
    """
    values = list(row)
    try:
        values[_STATUS] = Status(values[_STATUS])
    except ValueError as error:
        raise Corrupted(record=f"account {values[0].hex()}", problem=str(error)) from error
    return AccountState(*values)


def _row(state: AccountState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in COLUMNS}
