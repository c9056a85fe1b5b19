"""The real export of the old service, with all that is wrong in it, moves in whole."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from pluct_ledger import ApiKeyRegistry, Ledger
from pluct_ledger.importing import ImportReport, import_d1
from tests.importing.exports import (
    REAL,
    REAL_BALANCES,
    REAL_DUMP,
    REAL_FILE,
    real_balances,
    real_rows,
    tables_of,
)

Told = tuple[str | None, str, int, datetime | None, datetime, str | None]
"""Key, kind, change, event_at, at and reason of an entry."""


def histories() -> dict[str, list[Told]]:
    """What each owner's log is to say of the export, oldest first."""
    expected = defaultdict(list)
    ordered = sorted(enumerate(real_rows()), key=lambda numbered: (numbered[1][4], numbered[0]))
    for _, (key, owner, kind, amount, timestamp, reason) in ordered:
        at = datetime.fromisoformat(timestamp)
        expected[owner].append((key, kind, -amount if kind == "spend" else amount, at, at, reason or None))
    return dict(expected)


def logs(ledger: Ledger) -> dict[str, list[Told]]:
    """What each owner's log says, oldest first."""
    found = defaultdict(list)
    for one in sorted(ledger.entries(limit=1000).all(), key=lambda entry: entry.seq):
        found[one.owner].append((one.idempotency_key, one.kind, one.amount, one.event_at, one.at, one.reason))
    return dict(found)


def test_every_user_has_the_balance_they_saw(ledger: Ledger, moved_in: ImportReport) -> None:
    """After the import each user has the balance of KV, and nobody else has an account."""
    found = {account.owner: account.available for account in ledger.accounts(limit=1000).all()}

    assert found == real_balances()
    assert moved_in.accounts_opened == len(found) == 388


def test_the_history_is_all_there(ledger: Ledger, moved_in: ImportReport) -> None:
    """Each log has the owner's rows in the order of the source, and then the one adjustment that was reported."""
    expected = histories()
    now = ledger.desk.clock()
    for one in moved_in.adjustments:
        closing = ("d1:closing", "import_adjustment", one.amount, None, now, one.reason)
        expected.setdefault(one.owner, []).append(closing)

    assert logs(ledger) == expected
    assert (moved_in.entries_written, len(moved_in.adjustments), moved_in.repairs) == (5892, 44, ())


def test_an_account_opens_with_its_first_event(ledger: Ledger, moved_in: ImportReport) -> None:
    """An account is as old as its oldest row, and one without history as the import."""
    oldest = {owner: log[0][4] for owner, log in histories().items()}
    now = ledger.desk.clock()

    for account in ledger.accounts(limit=1000).all():
        assert account.opened_at == oldest.get(account.owner, now)


def test_the_books_balance_after_moving_in(ledger: Ledger, moved_in: ImportReport) -> None:
    """Replaying the log of all that was imported finds nothing wrong."""
    report = ledger.verify()

    assert report.ok, report.findings
    assert report.checked == moved_in.entries_written + len(moved_in.adjustments)


def test_a_second_run_changes_nothing(
    engine: Engine, ledger: Ledger, registry: ApiKeyRegistry, moved_in: ImportReport
) -> None:
    """Run again, the import leaves every row of every table as it was, and says so."""
    before = tables_of(engine)
    again = import_d1(ledger, REAL_FILE, kv_balances=REAL_BALANCES, registry=registry)

    assert tables_of(engine) == before
    assert (moved_in.changed, again.changed) == (True, False)
    assert (again.accounts_opened, again.accounts_already_there) == (0, 388)
    assert (again.entries_written, again.entries_already_there) == (0, 5892)
    assert (again.adjustments, again.adjustments_already_there) == ((), len(moved_in.adjustments))
    assert (again.keys_imported, again.keys_already_there) == (0, 6)
    assert again.repairs == ()


def test_old_keys_keep_working(registry: ApiKeyRegistry, moved_in: ImportReport) -> None:
    """Both active keys of the old service verify, and the revoked one is known as revoked."""
    secrets = json.loads((REAL / "test-api-keys.json").read_text(encoding="utf-8"))
    checks = [registry.verify(secret, scope="credits:add") for secret in secrets]
    names = [check.api_key.description for check in checks if check.api_key]

    assert [check.code for check in checks] == ["VALID", "VALID", "REVOKED"]
    assert names == ["Partner A", "Partner B", "Old partner"]
    assert (moved_in.keys_imported, moved_in.keys_already_there) == (6, 0)


@pytest.mark.usefixtures("moved_in")
def test_histories_that_dip_below_zero_are_told_as_they_were(ledger: Ledger) -> None:
    """The eleven owners who spent more than there was have that in their log, and still may not overdraw."""
    below = {entry.owner for entry in ledger.entries(limit=1000).all() if entry.posted_after < 0}

    assert len(below) == 11
    assert "racer" in below
    assert {account.overdraft_limit for account in ledger.accounts(limit=1000).all()} == {0}


def test_without_balances_only_a_negative_end_is_closed(ledger: Ledger) -> None:
    """Without KV the histories stand, and the one that ends below zero is carried to zero."""
    ends = {owner: sum(told[2] for told in log) for owner, log in histories().items()}
    report = import_d1(ledger, REAL_FILE)
    found = {account.owner: account.posted for account in ledger.accounts(limit=1000).all()}

    assert found == {owner: max(end, 0) for owner, end in ends.items()}
    assert [(one.owner, one.amount) for one in report.adjustments] == [("racer", -ends["racer"])]
    assert ledger.verify().ok


@pytest.mark.lanes("sqlite", because="how an export is read knows nothing of the database that it goes to")
def test_file_and_dump_are_the_same_export(
    ledger: Ledger, registry: ApiKeyRegistry, engine: Engine, wipe: Callable[[], None]
) -> None:
    """The SQLite file and the SQL dump give the same rows in every table, but for what chance decides."""
    reports, tables = [], []
    for export in (REAL_FILE, REAL_DUMP):
        wipe()
        reports.append(import_d1(ledger, export, kv_balances=REAL_BALANCES, registry=registry))
        tables.append(tables_of(engine, without=("salt", "digest")))

    assert reports[0] == reports[1]
    assert tables[0] == tables[1]


@pytest.mark.lanes("sqlite", because="files are told by their bytes, whatever they go to")
def test_the_export_is_not_touched(ledger: Ledger) -> None:
    """Reading an SQLite file changes no byte of it, and leaves nothing beside it."""
    before, beside = REAL_FILE.read_bytes(), sorted(REAL.iterdir())
    import_d1(ledger, REAL_FILE)

    assert REAL_FILE.read_bytes() == before
    assert sorted(REAL.iterdir()) == beside


@pytest.mark.lanes("sqlite", because="a report is the same whatever database it tells of")
def test_a_report_is_serialisable(moved_in: ImportReport) -> None:
    """A report goes to JSON and comes back the same."""
    adapter = TypeAdapter(ImportReport)

    assert adapter.validate_json(adapter.dump_json(moved_in)) == moved_in
