"""How the model's lines show in the ledger's own values, and what must be equal in the two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Engine, select

from pluct_ledger import Account, Balance, Entry, Ledger, Receipt, Refused
from pluct_ledger.domain.accounts import AccountState
from pluct_ledger.domain.entries import EntryRecord
from pluct_ledger.domain.verification import rebuilt
from pluct_ledger.storage.accounts import COLUMNS as ACCOUNT_COLUMNS
from pluct_ledger.storage.accounts import state_of
from pluct_ledger.storage.entries import COLUMNS as ENTRY_COLUMNS
from pluct_ledger.storage.entries import record_of
from pluct_ledger.storage.schema import tables_in
from tests.state.model import Line, Model, No, Purse, Told


def receipt(ledger: Ledger, told: Told) -> Receipt | None:
    """Return the receipt that tells of a line."""
    line = told.line
    if line is None:
        return None
    return Receipt(
        entry_id=_entry_id(ledger, line.owner, line.seq),
        account_id=ledger.account_id(line.owner),
        seq=line.seq,
        book=ledger.desk.names.book,
        asset=ledger.desk.names.asset,
        owner=line.owner,
        operation=line.operation,
        kind=line.kind,
        amount=line.amount,
        posted_after=line.posted_after,
        held_after=0,
        available_after=line.posted_after,
        at=line.at,
        replayed=told.replayed,
        counterpart_entry_id=_counterpart_id(ledger, line),
    )


def entry(ledger: Ledger, line: Line) -> Entry:
    """Return a line as the ledger lists it."""
    return Entry(
        entry_id=_entry_id(ledger, line.owner, line.seq),
        account_id=ledger.account_id(line.owner),
        seq=line.seq,
        book=ledger.desk.names.book,
        asset=ledger.desk.names.asset,
        owner=line.owner,
        operation=line.operation,
        kind=line.kind,
        amount=line.amount,
        hold_amount=0,
        posted_after=line.posted_after,
        held_after=0,
        available_after=line.posted_after,
        counter=line.counter,
        counterpart_entry_id=_counterpart_id(ledger, line),
        concerns_entry_id=None,
        terms=dict(line.terms),
        idempotency_key=line.key,
        reason=line.reason,
        actor=line.actor,
        metadata=None if line.metadata is None else dict(line.metadata),
        event_at=line.event_at,
        at=line.at,
        shares=(),
    )


def account(ledger: Ledger, purse: Purse) -> Account:
    """Return an account as the ledger shows it."""
    return Account(
        account_id=ledger.account_id(purse.owner),
        book=ledger.desk.names.book,
        asset=ledger.desk.names.asset,
        owner=purse.owner,
        posted=purse.posted,
        held=0,
        available=purse.posted,
        issued=purse.from_side("issued"),
        spent=-purse.from_side("spent"),
        expired=0,
        adjusted=purse.from_side("adjusted"),
        moved=purse.from_side("account"),
        entry_count=len(purse.log),
        overdraft_limit=purse.overdraft_limit,
        status="open",
        opened_at=purse.opened_at,
        last_at=purse.last_at if purse.log else None,
        metadata=None if purse.metadata is None else dict(purse.metadata),
    )


def balances(model: Model) -> dict[str, Balance]:
    """Return what each owner has."""
    return {owner: Balance(purse.posted, 0, purse.posted) for owner, purse in model.purses.items()}


def accounts(ledger: Ledger, model: Model) -> list[Account]:
    """Return the accounts in the order in which the ledger pages through them."""
    return [account(ledger, model.purses[owner]) for owner in sorted(model.purses, key=str.encode)]


def newest_first(ledger: Ledger, lines: Sequence[Line]) -> list[Entry]:
    """Return entries in the order in which the ledger lists those of a book."""
    shown = [entry(ledger, line) for line in lines]
    return sorted(shown, key=lambda one: (one.at, one.account_id, one.seq), reverse=True)


def assert_refused_alike(refused: Refused, no: No) -> None:
    """Compare a refusal with the model's, fact by fact."""
    assert (refused.code, refused.facts) == (no.code, no.facts), f"{refused!r} {refused.facts}, expected {no}"


def assert_rows_follow_from_entries(engine: Engine, book: str) -> None:
    """Make every account's row again from its entries alone, and compare the two."""
    for stored, records in _rows(engine, book):
        assert rebuilt(stored, ((record, ()) for record in records)).account == stored


def _rows(engine: Engine, book: str) -> list[tuple[AccountState, list[EntryRecord]]]:
    tables = tables_in(None)
    account, entry = tables.account, tables.entry
    with engine.connect() as connection:
        stored = connection.execute(
            select(*(account.c[name] for name in ACCOUNT_COLUMNS)).where(account.c.book == book)
        ).all()
        entries = connection.execute(
            select(*(entry.c[name] for name in ENTRY_COLUMNS))
            .where(entry.c.account_id.in_([row.account_id for row in stored]))
            .order_by(entry.c.account_id, entry.c.seq)
        ).all()
    records = {
        its_id: list(its) for its_id, its in groupby(map(record_of, entries), lambda one: one.account_id)
    }
    return [(state, records.get(state.account_id, [])) for state in map(state_of, stored)]


def _entry_id(ledger: Ledger, owner: str, seq: int) -> str:
    return f"{ledger.account_id(owner)}.{seq}"


def _counterpart_id(ledger: Ledger, line: Line) -> str | None:
    return None if line.counterpart is None else _entry_id(ledger, *line.counterpart)
