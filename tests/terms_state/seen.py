"""How the model's accounts show in the ledger's own values, and what must be equal in the two."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, select

from pluct_ledger import Account, Balance, Entry
from pluct_ledger.domain.entries import Share
from pluct_ledger.domain.grants import Grant
from pluct_ledger.domain.holds import Hold
from pluct_ledger.domain.verification import rebuilt
from pluct_ledger.storage import accounts, entries, positions
from pluct_ledger.storage.schema import tables_in
from tests.terms_state.purse import Line, Purse
from tests.terms_state.rules import EPOCH, Model, micros


@cache
def instant(value: int) -> datetime:
    """Return microseconds as an instant."""
    return EPOCH + timedelta(microseconds=value)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


def balances(model: Model, now: int) -> dict[str, Balance]:
    """Return what each owner has now."""
    found = {}
    for owner, purse in model.purses.items():
        later = purse.at(now)
        expiring = tuple((instant(at), amount) for at, amount in later.lapsing())
        found[owner] = Balance(later.posted, later.held, later.available, expiring)
    return found


def posted_and_held_at(purse: Purse, moment: int) -> tuple[int, int]:
    """Return what an account had or will have at a moment."""
    if moment >= purse.last_at:
        later = purse.at(moment)
        return later.posted, later.held
    before = [line for line in purse.log if line.at <= moment]
    return (before[-1].posted_after, before[-1].held_after) if before else (0, 0)


def account(shown: Account) -> tuple[Any, ...]:
    """Return the numbers of an account as the ledger shows it."""
    sides = (shown.issued, shown.spent, shown.expired, shown.adjusted, shown.moved)
    return (shown.posted, shown.held, shown.entry_count, shown.overdraft_limit, shown.status, *sides)


def account_of(purse: Purse) -> tuple[Any, ...]:
    """Return the same of the model's."""
    signs = {"issued": 1, "spent": -1, "expired": -1, "adjusted": 1, "account": 1}
    sides = (
        sign * sum(line.amount for line in purse.log if line.counter == counter)
        for counter, sign in signs.items()
    )
    return (purse.posted, purse.held, len(purse.log), purse.limit, purse.status, *sides)


def shares(found: Iterable[Share]) -> list[tuple[str, int, int, int]]:
    """Return shares in an order of their own."""
    return sorted((one.grant_id, one.part, one.amount, one.hold_amount) for one in found)


def entry(shown: Entry) -> tuple[Any, ...]:
    """Return what an entry shows."""
    amounts = (shown.amount, shown.hold_amount, shown.posted_after, shown.held_after)
    others = (shown.concerns_entry_id, shown.counterpart_entry_id, shown.counter)
    return (shown.seq, shown.operation, micros(shown.at), *amounts, *others, shares(shown.shares))


def line(one: Line, account_id: str, ids: Callable[[str], str]) -> tuple[Any, ...]:
    """Return the same of the model's line."""
    amounts = (one.amount, one.held, one.posted_after, one.held_after)
    concerns = None if one.concerns is None else f"{account_id}.{one.concerns}"
    counterpart = None if one.pair is None else f"{ids(one.pair[0])}.{one.pair[1]}"
    parts = sorted(
        (f"{account_id}.{seq}", part, amount, held) for (seq, part), (amount, held) in one.parts.items()
    )
    return (one.seq, one.operation, one.at, *amounts, concerns, counterpart, one.counter, parts)


def grants(purse: Purse, account_id: str) -> tuple[Grant, ...]:
    """Return the open grants of an account, in the order of use."""
    held = {key: lot.left - purse.free(key) for key, lot in purse.lots.items()}
    opened = [key for key, lot in purse.lots.items() if lot.left or held[key] or lot.pending]
    return tuple(
        Grant(
            grant_id=f"{account_id}.{key[0]}",
            part=key[1],
            owner=purse.owner,
            amount=lot.amount,
            posted=lot.left,
            held=held[key],
            pending=lot.pending,
            effective_at=_instant(lot.starts),
            expires_at=_instant(lot.ends),
            priority=lot.priority,
            label=lot.label,
            granted_by=lot.granted_by,
        )
        for key in sorted(opened, key=purse.order)
        for lot in (purse.lots[key],)
    )


def holds(purse: Purse, account_id: str) -> tuple[Hold, ...]:
    """Return the open holds of an account, oldest first."""
    return tuple(
        Hold(f"{account_id}.{seq}", purse.owner, one.amount, one.held, instant(one.ends), "open")
        for seq, one in sorted(purse.reserves.items())
        if one.status == "open"
    )


def assert_rows_follow(engine: Engine, book: str) -> None:
    """Make the rows of every account, grant and hold again from entries and shares alone, and compare."""
    tables = tables_in(None)
    with engine.connect() as connection:

        def rows(table: Any, names: Iterable[str], ids: list[bytes], order: tuple[str, ...]) -> list[Any]:
            columns = (table.c[name] for name in names)
            chosen = select(table.c.account_id, *columns).where(table.c.account_id.in_(ids))
            return list(connection.execute(chosen.order_by(*(table.c[name] for name in order))))

        stored = connection.execute(
            select(*(tables.account.c[name] for name in accounts.COLUMNS)).where(
                tables.account.c.book == book
            )
        ).all()
        states = {state.account_id: state for state in map(accounts.state_of, stored)}
        ids = list(states)
        logs = rows(tables.entry, entries.COLUMNS, ids, ("account_id", "seq"))
        parts = rows(tables.share, positions.SHARE_COLUMNS, ids, ("account_id", "seq"))
        kept_grants = rows(tables.grant, positions.GRANT_COLUMNS, ids, ("account_id",))
        kept_holds = rows(tables.hold, positions.HOLD_COLUMNS, ids, ("account_id",))
    by_entry: dict[tuple[bytes, int], list[Any]] = {}
    for share in map(positions.share_record_of, (row[1:] for row in parts)):
        by_entry.setdefault((share.account_id, share.seq), []).append(share)
    log_of = {
        its_id: [(record, by_entry.get((its_id, record.seq), [])) for record in its]
        for its_id, its in groupby(
            map(entries.record_of, (row[1:] for row in logs)), lambda one: one.account_id
        )
    }
    for its_id, state in states.items():
        made = rebuilt(state, log_of.get(its_id, []))
        assert made.account == state
        found = [positions.grant_state_of(row[1:]) for row in kept_grants if row.account_id == its_id]
        assert {grant.key: grant for grant in found} == dict(made.grants)
        its_holds = [positions.hold_state_of(row[1:]) for row in kept_holds if row.account_id == its_id]
        for hold in its_holds:
            again = made.holds[hold.seq]
            assert (again.amount, again.held, again.expires_at, again.status) == (
                hold.amount,
                hold.held,
                hold.expires_at,
                hold.status,
            )
        assert len(its_holds) == len(made.holds)
