"""API keys: inserted, found by id or digest, listed, revoked, their use recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Engine, Executable, Row, Select, bindparam, or_, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pluct_ledger.domain.api_keys import TOUCH_EVERY, ApiKeyRecord, KeyStatus
from pluct_ledger.storage import dialects, transactions
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.dialects import Backend
from pluct_ledger.storage.schema import Tables
from pluct_ledger.storage.unit_of_work import UnitOfWork

_log: Final = logging.getLogger("pluct_ledger")

_COLUMNS: Final = tuple(field.name for field in fields(ApiKeyRecord))
_LEGACY: Final = _COLUMNS.index("legacy")
_STATUS: Final = _COLUMNS.index("status")


@dataclass(frozen=True, eq=False)
class _Statements:
    by_id: Select[Any]
    by_digest: Select[Any]
    by_either: Select[Any]
    page: Select[Any]
    page_after: Select[Any]
    insert: Executable
    revoke: Executable
    claim_touch: Select[Any]
    touch: Executable


@lru_cache(maxsize=64)
def _statements(tables: Tables, backend: Backend) -> _Statements:
    api_key = tables.api_key
    columns = [api_key.c[name] for name in _COLUMNS]
    by_id = select(*columns).where(api_key.c.key_id == bindparam("its_id"))
    in_book = (
        select(*columns)
        .where(api_key.c.book == bindparam("its_book"))
        .order_by(api_key.c.created_at.desc(), api_key.c.key_id.desc())
        .limit(bindparam("limit"))
    )
    old = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at <= bindparam("before"))
    return _Statements(
        by_id=by_id,
        by_digest=select(*columns).where(api_key.c.digest == bindparam("its_digest")),
        by_either=select(*columns).where(
            or_(
                api_key.c.key_id.in_(bindparam("its_ids", expanding=True)),
                api_key.c.digest.in_(bindparam("its_digests", expanding=True)),
            )
        ),
        page=in_book,
        page_after=in_book.where(
            api_key.c.created_at <= bindparam("at"),
            or_(api_key.c.created_at < bindparam("at"), api_key.c.key_id < bindparam("after_id")),
        ),
        insert=_insertion(tables, backend),
        revoke=update(api_key)
        .where(
            api_key.c.key_id == bindparam("its_id"),
            api_key.c.book == bindparam("its_book"),
            api_key.c.status == KeyStatus.ACTIVE.value,
        )
        .values(
            status=KeyStatus.REVOKED.value,
            revoked_at=bindparam("now"),
            revoked_reason=bindparam("reason"),
        ),
        claim_touch=select(api_key.c.key_id)
        .where(api_key.c.key_id == bindparam("its_id"), old)
        .with_for_update(skip_locked=True),
        touch=update(api_key)
        .where(api_key.c.key_id == bindparam("its_id"), old)
        .values(last_used_at=bindparam("now")),
    )


def _insertion(tables: Tables, backend: Backend) -> Executable:
    """Return the insertion that passes over a key whose id or digest exists, and returns what it inserted.

    On MariaDB it returns what stands there then, inserted or not.
    """
    api_key = tables.api_key
    columns = [api_key.c[name] for name in _COLUMNS]
    match backend:
        case Backend.POSTGRESQL:
            return postgresql.insert(api_key).on_conflict_do_nothing().returning(*columns)
        case Backend.SQLITE:
            return sqlite.insert(api_key).on_conflict_do_nothing().returning(*columns)
        case Backend.MARIADB:
            unchanged = {"created_at": api_key.c.created_at}
            return mysql.insert(api_key).on_duplicate_key_update(unchanged).returning(*columns)


def insert_api_key(work: UnitOfWork, record: ApiKeyRecord) -> bool:
    """Insert a key, or find this very one there; False if another has its id or its digest, and stays."""
    row = {name: getattr(record, name) for name in _COLUMNS}
    row |= {"legacy": int(record.legacy), "status": record.status.value}
    sql = _statements(work.tables, work.backend)
    if [_record(found) for found in work.execute(sql.insert, row)] == [record]:
        return True
    return read_api_key(work, record.key_id) == record


def read_api_key(work: UnitOfWork, key_id: str) -> ApiKeyRecord | None:
    """Return the key with this id, of whatever book."""
    sql = _statements(work.tables, work.backend)
    return _first(work.execute(sql.by_id, {"its_id": key_id}).first())


def read_api_key_by_digest(work: UnitOfWork, digest: bytes) -> ApiKeyRecord | None:
    """Return the key with this digest, of whatever book."""
    sql = _statements(work.tables, work.backend)
    return _first(work.execute(sql.by_digest, {"its_digest": digest}).first())


def api_keys_like(work: UnitOfWork, records: Sequence[ApiKeyRecord]) -> list[ApiKeyRecord]:
    """Return the stored keys that share an id or a digest with any of `records`."""
    sql = _statements(work.tables, work.backend)
    found: dict[str, ApiKeyRecord] = {}
    for chunk in in_chunks(records):
        names = {"its_ids": [one.key_id for one in chunk], "its_digests": [one.digest for one in chunk]}
        for row in work.execute(sql.by_either, names):
            found[row[0]] = _record(row)
    return list(found.values())


def page_of_api_keys(
    work: UnitOfWork, book: str, *, limit: int, after: tuple[int, str] | None
) -> list[ApiKeyRecord]:
    """Return keys of a book, newest first; `after` is the instant and id of the last one seen."""
    sql = _statements(work.tables, work.backend)
    names: dict[str, Any] = {"its_book": book, "limit": limit}
    if after is None:
        return [_record(row) for row in work.execute(sql.page, names)]
    at, key_id = after
    return [_record(row) for row in work.execute(sql.page_after, {**names, "at": at, "after_id": key_id})]


def revoke_api_key(
    work: UnitOfWork, key_id: str, book: str, *, now: int, reason: str | None
) -> ApiKeyRecord | None:
    """Revoke a key if it is active, and return it as it is then; None if the book has no such key."""
    sql = _statements(work.tables, work.backend)
    work.execute(sql.revoke, {"its_id": key_id, "its_book": book, "now": now, "reason": reason})
    # Where MariaDB reads from a snapshot, a plain read would not see who else revoked it meanwhile.
    stale = work.backend is Backend.MARIADB and not work.own
    statement = sql.by_id.with_for_update(read=True) if stale else sql.by_id
    record = _first(work.execute(statement, {"its_id": key_id}).first())
    return record if record is not None and record.book == book else None


def touch_api_key(engine: Engine, tables: Tables, key_id: str, *, now: int) -> None:
    """Record a use, unless a younger one is recorded; it waits for no other transaction, and may be lost.

    It is a transaction of its own, after the answer was found, so that no fault of it can change the answer.
    """
    try:
        with transactions.for_reading(engine).connect() as connection:
            work = UnitOfWork(connection, tables, own=True)
            transactions.begin_own_read(work)
            _touch(work, {"its_id": key_id, "before": now - TOUCH_EVERY, "now": now})
            transactions.commit_own(work)
    except SQLAlchemyError as error:
        if not (isinstance(error, DBAPIError) and dialects.is_contention(error)):
            _log.warning("the use of API key %s was not recorded: %s", key_id, type(error).__name__)


def _touch(work: UnitOfWork, names: dict[str, Any]) -> None:
    sql = _statements(work.tables, work.backend)
    if work.backend is not Backend.SQLITE:
        if work.execute(sql.claim_touch, names).first() is not None:
            work.execute(sql.touch, names)
        return
    patience = work.execute_driver_sql("PRAGMA busy_timeout").scalar_one()
    work.execute_driver_sql("PRAGMA busy_timeout = 0")
    try:
        work.execute(sql.touch, names)
    finally:
        work.execute_driver_sql(f"PRAGMA busy_timeout = {int(patience)}")


def _first(row: Row[Any] | None) -> ApiKeyRecord | None:
    return None if row is None else _record(row)


def _record(row: Row[Any]) -> ApiKeyRecord:
    values = list(row)
    values[_LEGACY] = bool(values[_LEGACY])
    values[_STATUS] = KeyStatus(values[_STATUS])
    return ApiKeyRecord(*values)
