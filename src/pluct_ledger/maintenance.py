"""Maintenance: records early what the next write would record anyway; nothing depends on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pluct_ledger.desk import utc_now
from pluct_ledger.domain.arguments import check_span, micros_of
from pluct_ledger.doors import OwnDoor
from pluct_ledger.errors import InvalidArgument
from pluct_ledger.storage.accounts import accounts_due
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.writes import record_dues

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """What a run of maintenance did.

    Attributes:
        accounts: how many accounts it recorded something in.
        entries: how many entries it wrote.
        done: nothing more is due; else a limit was reached, and the next run goes on.
    """

    accounts: int
    entries: int
    done: bool


def run(
    engine: Engine,
    *,
    now: datetime | None = None,
    limit: int = 1000,
    budget: timedelta = timedelta(seconds=5),
    schema: str | None = None,
) -> MaintenanceReport:
    """Record grants that started or expired and holds that lapsed, of all books, the longest waiting first.

    Each account is a transaction of its own. Safe to run in many processes at once, and to kill at any time.

    Args:
        engine: the host's engine.
        now: what is due by then; None for the present. Give the instant of the clock that your ledgers are given,
            and never a later one: entries would be dated in the future.
        limit: how many accounts at the most.
        budget: how long to go on; an account that was begun is finished.
        schema: the PostgreSQL schema that the tables are in.

    Raises:
        InvalidArgument: an argument is wrong.
        Contended, SchemaMismatch: see the page on transactions.
    """
    instant = micros_of(utc_now() if now is None else now, "now")
    if type(limit) is not int or limit < 1:
        raise InvalidArgument("limit", "must be an int of at least 1")
    ends = time.monotonic() + check_span(budget, "budget") / 1_000_000
    door = OwnDoor(engine, tables_in(schema))
    waiting = door.read(lambda work: accounts_due(work, now=instant, limit=limit + 1))
    accounts = entries = 0
    for account_id in waiting[:limit]:
        if time.monotonic() > ends:
            return MaintenanceReport(accounts, entries, done=False)
        written = 0
        while recorded := door.write(partial(record_dues, account_id=account_id, until=instant)):
            written += recorded
        accounts += 1 if written else 0
        entries += written
    return MaintenanceReport(accounts, entries, done=len(waiting) <= limit)
