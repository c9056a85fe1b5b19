"""Verification of grants, holds and shares: what was changed past the ledger is found and named."""

from __future__ import annotations

from typing import Any, Final

import pytest
from sqlalchemy import Executable, delete, insert, literal, select, update

from pluct_ledger import Ledger
from pluct_ledger.domain.accounts import account_id_of
from tests.contract.callers import TABLES, Caller
from tests.contract.terms.told import SECOND, later, t, two_grants

ADA: Final = account_id_of("default", "ada", "credit")
GRANT, HOLD, SHARE, ACCOUNT = TABLES.grant, TABLES.hold, TABLES.share, TABLES.account


def fill(caller: Caller) -> None:
    """Write ada's log: grants 1 and 2, hold 3 of both, spend 4, a grant to come 5, hold 6 that is captured by 7."""
    ledger = caller.ledger()
    two_grants(ledger)
    ledger.authorize("ada", 8, ttl=20 * SECOND)
    ledger.spend("ada", 1)
    ledger.grant("ada", 9, effective_at=t(50), granted_by="ops")
    ledger.capture(ledger.authorize("ada", 2, ttl=SECOND).hold_id, 1)
    caller.settle()


def grant(seq: int, **values: Any) -> Executable:
    """Change a grant's row."""
    return update(GRANT).where(GRANT.c.account_id == ADA, GRANT.c.seq == seq).values(**values)


def hold(seq: int, **values: Any) -> Executable:
    """Change a hold's row."""
    return update(HOLD).where(HOLD.c.account_id == ADA, HOLD.c.seq == seq).values(**values)


def share(seq: int, of: int, /, **values: Any) -> Executable:
    """Change a share's row."""
    its = (SHARE.c.account_id == ADA, SHARE.c.seq == seq, SHARE.c.grant_seq == of)
    return update(SHARE).where(*its).values(**values)


def account(**values: Any) -> Executable:
    """Change the account's row."""
    return update(ACCOUNT).where(ACCOUNT.c.account_id == ADA).values(**values)


def added(seq: int, grant_seq: int, amount: int) -> Executable:
    """Insert a copy of a share of entry 4 under another address."""
    values = {"seq": seq, "grant_seq": grant_seq, "amount": amount}
    columns = [
        literal(values[column.name], column.type).label(column.name) if column.name in values else column
        for column in SHARE.columns
    ]
    source = select(*columns).where(SHARE.c.account_id == ADA, SHARE.c.seq == 4)
    copy = insert(SHARE).from_select([column.name for column in SHARE.columns], source)
    return copy.execution_options(preserve_rowcount=True)


def gone(table: Any, seq: int) -> Executable:
    """Delete rows."""
    return delete(table).where(table.c.account_id == ADA, table.c.seq == seq)


# What is changed, and the record and column that the findings name.
TAMPERED: list[tuple[str, Executable, str, str]] = [
    ("grant's posted", grant(2, posted=9), "grant ADA.2 part 0", "posted"),
    ("grant's held", grant(1, held=4), "grant ADA.1 part 0", "held"),
    ("grant's amount", grant(1, amount=6), "grant ADA.1 part 0", "amount"),
    ("grant's pending", grant(5, pending=8), "grant ADA.5 part 0", "pending"),
    ("grant's start", grant(5, effective_at=1), "grant ADA.5 part 0", "effective_at"),
    ("grant's end", grant(1, expires_at=None), "grant ADA.1 part 0", "expires_at"),
    ("grant's priority", grant(2, priority=-1), "grant ADA.2 part 0", "priority"),
    ("grant's label", grant(2, label="x"), "grant ADA.2 part 0", "label"),
    ("grant's origin", grant(5, granted_by="me"), "grant ADA.5 part 0", "granted_by"),
    ("grant's row gone", gone(GRANT, 2), "grant ADA.2 part 0", "record"),
    ("grant's status", grant(2, status=1), "grant ADA.2 part 0", "status"),
    ("hold's held", hold(3, held=7), "hold ADA.3", "held"),
    ("hold's amount", hold(3, amount=9), "hold ADA.3", "amount"),
    ("hold's end", hold(3, expires_at=1), "hold ADA.3", "expires_at"),
    ("hold's status", hold(3, status=2), "hold ADA.3", "status"),
    ("closed hold opened", hold(6, status=0), "hold ADA.6", "status"),
    ("hold's row gone", gone(HOLD, 3), "hold ADA.3", "record"),
    ("share's amount", share(4, 2, amount=0), "grant ADA.2 part 0", "posted"),
    ("share's hold_amount", share(3, 1, hold_amount=4), "grant ADA.1 part 0", "held"),
    ("share beyond its entry", share(4, 2, amount=-2), "entry ADA.4", "shares"),
    ("share the other way", share(4, 2, amount=1), "entry ADA.4", "shares"),
    ("share of another grant", share(4, 2, grant_seq=1), "grant ADA.1 part 0", "posted"),
    ("share of no grant", share(4, 2, grant_seq=4), "share of entry ADA.4", "record"),
    ("share gone", gone(SHARE, 4), "grant ADA.2 part 0", "posted"),
    ("share too many", added(4, 1, -1), "entry ADA.4", "shares"),
    ("share of no entry", added(99, 1, -1), "share of entry ADA.99", "record"),
    ("account's attention", account(attention=0), "account ADA", "attention"),
    ("account's next due", account(next_due_at=None), "account ADA", "next_due_at"),
]


@pytest.mark.parametrize(
    ("change", "record", "field"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED]
)
def test_what_was_tampered_with_is_found(
    caller: Caller, committed: Ledger, change: Executable, record: str, field: str
) -> None:
    """A grant, hold or share that is not what the log says is a finding that names the record and the column."""
    fill(caller)
    assert committed.verify("ada").ok
    caller.tamper(change)

    for report in (committed.verify("ada"), committed.verify()):
        assert not report.ok
        found = {(one.record.replace(ADA.hex(), "ADA"), one.field) for one in report.findings}
        assert (record, field) in found


def test_what_is_due_is_no_finding(caller: Caller, committed: Ledger) -> None:
    """That something fell due and is not recorded yet contradicts nothing, and recording it neither."""
    fill(caller)
    later(caller.clock, 100)
    assert committed.verify().ok

    caller.ledger().grant("ada", 1)
    caller.settle()

    assert committed.verify().ok
