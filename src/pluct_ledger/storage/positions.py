"""Grant and hold rows and shares: loaded with their accounts into positions, and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Executable, bindparam, insert, or_, select, true, tuple_, update

from pluct_ledger.domain.accounts import AccountState
from pluct_ledger.domain.entries import Operation
from pluct_ledger.domain.positions import (
    HAS_GRANTS,
    HAS_HOLDS,
    GrantKey,
    GrantState,
    HoldState,
    HoldStatus,
    Position,
    ShareRecord,
)
from pluct_ledger.errors import Contended
from pluct_ledger.storage.accounts import read_accounts
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.schema import Tables
from pluct_ledger.storage.unit_of_work import UnitOfWork

Address = tuple[bytes, int]
"""An account id and a seq."""

GRANT_COLUMNS: Final = (
    "seq",
    "part",
    "amount",
    "posted",
    "held",
    "pending",
    "effective_at",
    "expires_at",
    "priority",
    "label",
    "granted_by",
)
HOLD_COLUMNS: Final = ("seq", "amount", "held", "expires_at", "status")
SHARE_COLUMNS: Final = ("account_id", "seq", "grant_seq", "grant_part", "amount", "hold_amount")

_CHANGING_OF_GRANT: Final = ("posted", "held", "pending", "status")
_CHANGING_OF_HOLD: Final = ("held", "expires_at", "status")
OPEN: Final = 0
_CLOSED: Final = 1
_ROWS_A_TIME: Final = 500
_LOOKS: Final = 100


@dataclass(frozen=True, eq=False)
class _Statements:
    insert_grant: Executable
    insert_hold: Executable
    update_grant: Executable
    update_hold: Executable


@lru_cache(maxsize=64)
def _statements(tables: Tables) -> _Statements:
    grant, hold = tables.grant, tables.hold
    return _Statements(
        insert_grant=insert(grant),
        insert_hold=insert(hold),
        update_grant=update(grant)
        .where(
            grant.c.account_id == bindparam("its_account_id"),
            grant.c.seq == bindparam("its_seq"),
            grant.c.part == bindparam("its_part"),
        )
        .values({name: bindparam(name) for name in _CHANGING_OF_GRANT}),
        update_hold=update(hold)
        .where(hold.c.account_id == bindparam("its_account_id"), hold.c.seq == bindparam("its_seq"))
        .values({name: bindparam(name) for name in _CHANGING_OF_HOLD}),
    )


def load_positions(
    work: UnitOfWork,
    states: Mapping[bytes, AccountState],
    *,
    grants: Iterable[tuple[bytes, GrantKey]] = (),
    holds: Iterable[Address] = (),
    closed: bool = False,
) -> dict[bytes, Position]:
    """Return positions of accounts with their open grants and holds.

    Args:
        grants: grants that are wanted though they are closed.
        holds: holds that are wanted though they are closed.
        closed: all grants and holds are wanted.
    """
    with_grants = sorted(its_id for its_id, state in states.items() if closed or state.attention & HAS_GRANTS)
    with_holds = sorted(its_id for its_id, state in states.items() if closed or state.attention & HAS_HOLDS)
    found_grants: dict[bytes, dict[GrantKey, GrantState]] = {}
    found_holds: dict[bytes, dict[int, HoldState]] = {}
    _load_grants(work, found_grants, with_grants, sorted(grants), closed=closed)
    _load_holds(work, found_holds, with_holds, sorted(holds), closed=closed)
    _load_hold_parts(work, found_holds, found_grants)
    return {
        its_id: Position(state, found_grants.get(its_id, {}), found_holds.get(its_id, {}))
        for its_id, state in states.items()
    }


def read_positions(
    work: UnitOfWork, account_ids: Iterable[bytes], *, closed: bool = False
) -> dict[bytes, Position]:
    """Return positions of accounts that are not locked, each as it was at one moment; with `closed`, of all time.

    Accounts, grants and holds come from several statements, between which others may write. So it is read again until
    no account has moved meanwhile.
    """
    wanted = list(account_ids)
    states = read_accounts(work, wanted)
    for _ in range(_LOOKS):
        if not closed and not any(state.attention & (HAS_GRANTS | HAS_HOLDS) for state in states.values()):
            return {its_id: Position(state) for its_id, state in states.items()}
        positions = load_positions(work, states, closed=closed)
        again = read_accounts(work, wanted)
        if all(again[its_id].seq == state.seq for its_id, state in states.items()):
            return positions
        states = again
    raise Contended("an account did not stand still while it was read; read again")


def write_shares(work: UnitOfWork, shares: Sequence[ShareRecord]) -> None:
    """Append the shares of entries that were just appended."""
    rows = [{name: getattr(share, name) for name in SHARE_COLUMNS} for share in shares]
    work.execute(insert(work.tables.share), rows if len(rows) > 1 else rows[0])


def write_positions(work: UnitOfWork, before: Mapping[bytes, Position], after: Iterable[Position]) -> None:
    """Write the grants and holds that differ from what was loaded."""
    new_grants: list[dict[str, Any]] = []
    old_grants: list[dict[str, Any]] = []
    new_holds: list[dict[str, Any]] = []
    old_holds: list[dict[str, Any]] = []
    for position in after:
        account_id = position.account.account_id
        loaded = before.get(account_id) or Position(position.account)
        for key, grant in position.grants.items():
            if grant is not loaded.grants.get(key):
                (old_grants if key in loaded.grants else new_grants).append(_grant_row(account_id, grant))
        for seq, hold in position.holds.items():
            if hold is not loaded.holds.get(seq):
                (old_holds if seq in loaded.holds else new_holds).append(_hold_row(account_id, hold))
    sql = _statements(work.tables)
    _write(work, sql.insert_grant, new_grants)
    _write(work, sql.insert_hold, new_holds)
    _write(work, sql.update_grant, [_changes(row, _CHANGING_OF_GRANT, "part") for row in old_grants])
    _write(work, sql.update_hold, [_changes(row, _CHANGING_OF_HOLD) for row in old_holds])


def _changes(row: dict[str, Any], changing: Sequence[str], *beside: str) -> dict[str, Any]:
    """Return what changes of a row, and the key that finds it."""
    key = {f"its_{name}": row[name] for name in ("account_id", "seq", *beside)}
    return {name: row[name] for name in changing} | key


def shares_of(work: UnitOfWork, addresses: Sequence[Address]) -> dict[Address, list[ShareRecord]]:
    """Return the shares of these entries; who has none is missing."""
    share = work.tables.share
    found: dict[Address, list[ShareRecord]] = {}
    for chunk in in_chunks(addresses, _ROWS_A_TIME):
        statement = select(*(share.c[name] for name in SHARE_COLUMNS)).where(
            tuple_(share.c.account_id, share.c.seq).in_(chunk)
        )
        for row in work.execute(work.fresh(statement)):
            record = share_record_of(row)
            found.setdefault((record.account_id, record.seq), []).append(record)
    return found


def holds_past_due(
    work: UnitOfWork, book: str, asset: str, *, now: int, limit: int
) -> list[tuple[bytes, str, HoldState]]:
    """Return open holds past their expiry with account id and owner, the longest dead first."""
    hold, account = work.tables.hold, work.tables.account
    statement = (
        select(account.c.account_id, account.c.owner, *(hold.c[name] for name in HOLD_COLUMNS))
        .join(account, account.c.account_id == hold.c.account_id)
        .where(
            hold.c.status == HoldStatus.OPEN,
            hold.c.expires_at <= now,
            account.c.book == book,
            account.c.asset == asset,
        )
        .order_by(hold.c.expires_at, hold.c.account_id, hold.c.seq)
        .limit(limit)
    )
    return [(row.account_id, row.owner, hold_state_of(tuple(row)[2:])) for row in work.execute(statement)]


def grants_of(work: UnitOfWork, account_id: bytes) -> list[GrantState]:
    """Return all grants of an account, used-up ones included, oldest first."""
    grant = work.tables.grant
    statement = (
        select(*(grant.c[name] for name in GRANT_COLUMNS))
        .where(grant.c.account_id == account_id)
        .order_by(grant.c.seq, grant.c.part)
    )
    return [grant_state_of(row) for row in work.execute(statement)]


def share_record_of(row: Sequence[Any]) -> ShareRecord:
    """Return the share that a row of `SHARE_COLUMNS` tells of."""
    return ShareRecord(*tuple(row))


def grant_state_of(row: Sequence[Any]) -> GrantState:
    """Return the grant that a row of `GRANT_COLUMNS` tells of."""
    return GrantState(*tuple(row))


def hold_state_of(row: Sequence[Any]) -> HoldState:
    """Return the hold that a row of `HOLD_COLUMNS` tells of."""
    return HoldState(row[0], row[1], row[2], row[3], HoldStatus(row[4]))


def _load_grants(
    work: UnitOfWork,
    found: dict[bytes, dict[GrantKey, GrantState]],
    account_ids: list[bytes],
    keys: list[tuple[bytes, GrantKey]],
    *,
    closed: bool,
) -> None:
    grant = work.tables.grant
    columns = (grant.c.account_id, *(grant.c[name] for name in GRANT_COLUMNS))
    statements = [
        select(*columns).where(grant.c.account_id.in_(chunk), true() if closed else grant.c.status == OPEN)
        for chunk in in_chunks(account_ids)
    ]
    statements += [
        select(*columns).where(tuple_(grant.c.account_id, grant.c.seq, grant.c.part).in_(chunk))
        for chunk in in_chunks([(account_id, *key) for account_id, key in keys], _ROWS_A_TIME)
    ]
    for statement in statements:
        for row in work.execute(work.fresh(statement)):
            state = grant_state_of(row[1:])
            found.setdefault(row.account_id, {})[state.key] = state


def _load_holds(
    work: UnitOfWork,
    found: dict[bytes, dict[int, HoldState]],
    account_ids: list[bytes],
    places: list[Address],
    *,
    closed: bool,
) -> None:
    hold = work.tables.hold
    columns = (hold.c.account_id, *(hold.c[name] for name in HOLD_COLUMNS))
    statements = [
        select(*columns).where(
            hold.c.account_id.in_(chunk), true() if closed else hold.c.status == HoldStatus.OPEN
        )
        for chunk in in_chunks(account_ids)
    ]
    statements += [
        select(*columns).where(tuple_(hold.c.account_id, hold.c.seq).in_(chunk))
        for chunk in in_chunks(places, _ROWS_A_TIME)
    ]
    for statement in statements:
        for row in work.execute(work.fresh(statement)):
            found.setdefault(row.account_id, {})[row.seq] = hold_state_of(row[1:])


def _load_hold_parts(
    work: UnitOfWork,
    holds: dict[bytes, dict[int, HoldState]],
    grants: Mapping[bytes, Mapping[GrantKey, GrantState]],
) -> None:
    """Fill in on which grants the open holds lie: the sum of the shares of what made and changed them."""
    open_holds = [
        (account_id, seq)
        for account_id, found in holds.items()
        for seq, hold in found.items()
        if hold.held and any(grant.held for grant in grants.get(account_id, {}).values())
    ]
    entry, share = work.tables.entry, work.tables.share
    parts: dict[Address, dict[GrantKey, int]] = {}
    for chunk in in_chunks(open_holds, _ROWS_A_TIME):
        for place in (entry.c.seq, entry.c.concerns_seq):
            operations = (
                [Operation.AUTHORIZE] if place is entry.c.seq else [Operation.CAPTURE, Operation.VOID]
            )
            statement = (
                select(entry.c.account_id, place, share.c.grant_seq, share.c.grant_part, share.c.hold_amount)
                .join(share, (share.c.account_id == entry.c.account_id) & (share.c.seq == entry.c.seq))
                .where(
                    or_(*((entry.c.account_id == its_id) & (place == seq) for its_id, seq in chunk)),
                    entry.c.operation.in_([operation.value for operation in operations]),
                )
            )
            for row in work.execute(work.fresh(statement)):
                account_id, seq, grant_seq, grant_part, held = tuple(row)
                its_parts = parts.setdefault((account_id, seq), {})
                key = (grant_seq, grant_part)
                its_parts[key] = its_parts.get(key, 0) + held
    for (account_id, seq), its_parts in parts.items():
        hold = holds[account_id][seq]
        left = {key: held for key, held in its_parts.items() if held}
        holds[account_id][seq] = HoldState(
            hold.seq, hold.amount, hold.held, hold.expires_at, hold.status, left
        )


def _grant_row(account_id: bytes, grant: GrantState) -> dict[str, Any]:
    row = {name: getattr(grant, name) for name in GRANT_COLUMNS}
    return row | {"account_id": account_id, "status": OPEN if grant.is_open else _CLOSED}


def _hold_row(account_id: bytes, hold: HoldState) -> dict[str, Any]:
    return {name: getattr(hold, name) for name in HOLD_COLUMNS} | {"account_id": account_id}


def _write(work: UnitOfWork, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        work.execute(statement, rows if len(rows) > 1 else rows[0])
