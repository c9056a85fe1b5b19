"""An import can be interrupted, repeated and followed by life, and nothing counts twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Executable, Insert
from sqlalchemy.orm import Session

from pluct_ledger import InvalidArgument, Ledger
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.importing import import_d1, moving_in
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock
from tests.importing.exports import (
    REAL_BALANCES,
    REAL_FILE,
    real_rows,
    row,
    tables_of,
    write_balances,
    write_file,
)

CHANCE = ("salt", "digest")
DAY = "2024-01-{:02}T00:00:00.000Z"


class Interrupted(Exception):
    """Stands for a power cut."""


@pytest.mark.lanes("sqlite", because="the callback hears of batches, whatever database they go to")
def test_progress_goes_from_nothing_to_all(ledger: Ledger) -> None:
    """The callback hears of the beginning, of every batch and of the end, and never of less than before."""
    heard: list[tuple[int, int]] = []
    import_d1(
        ledger, REAL_FILE, kv_balances=REAL_BALANCES, progress=lambda done, total: heard.append((done, total))
    )
    total = 5892 + 388

    assert heard[0] == (0, total)
    assert heard[-1] == (total, total)
    assert heard == sorted(heard)


@pytest.mark.parametrize("after", [1, 3, 7])
def test_an_import_that_was_interrupted_is_finished_by_the_next(
    ledger: Ledger,
    engine: Engine,
    wipe: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """Cut off between two batches and run again, an import ends with the very rows of one that ran through."""
    monkeypatch.setattr(moving_in, "BATCH", 100)
    export = write_file(tmp_path / "d1.sqlite", real_rows()[:500])
    import_d1(ledger, export, kv_balances=REAL_BALANCES)
    whole = tables_of(engine, without=CHANCE)
    wipe()
    heard: list[int] = []

    def cut_off(done: int, total: int) -> None:
        heard.append(done)
        if len(heard) > after:
            raise Interrupted

    with pytest.raises(Interrupted):
        import_d1(ledger, export, kv_balances=REAL_BALANCES, progress=cut_off)
    assert tables_of(engine, without=CHANCE) != whole
    assert ledger.verify().ok
    report = import_d1(ledger, export, kv_balances=REAL_BALANCES)

    assert tables_of(engine, without=CHANCE) == whole
    assert report.entries_already_there == min(after * 100, 500)
    assert report.entries_written == 500 - report.entries_already_there


def test_two_imports_at_once_come_to_one(
    ledger: Ledger, engine: Engine, wipe: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two imports of one export at the same time write each row once between them."""
    monkeypatch.setattr(moving_in, "BATCH", 100)
    export = write_file(tmp_path / "d1.sqlite", real_rows()[:500])
    alone = import_d1(ledger, export, kv_balances=REAL_BALANCES)
    whole = tables_of(engine, without=CHANCE)
    wipe()
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: import_d1(ledger, export, kv_balances=REAL_BALANCES), range(2)))

    assert tables_of(engine, without=CHANCE) == whole
    assert sum(one.entries_written for one in reports) == 500
    assert sum(one.accounts_opened for one in reports) == alone.accounts_opened
    assert sum(len(one.adjustments) for one in reports) == len(alone.adjustments)


def test_a_batch_is_written_whole_or_not_at_all(
    ledger: Ledger, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the middle of a batch, an import leaves only the batches before it."""
    monkeypatch.setattr(moving_in, "BATCH", 100)
    export = write_file(tmp_path / "d1.sqlite", real_rows()[:300])
    entry = tables_in(None).entry
    appended = 0

    def cut_off(_: Connection, statement: Executable | str) -> None:
        nonlocal appended
        appended += isinstance(statement, Insert) and statement.table is entry
        if appended == 2:
            raise Interrupted

    with watch_statements(cut_off), pytest.raises(Interrupted):
        import_d1(ledger, export)

    assert len(tables_of(engine)["pluct_entry"]) == 100
    assert ledger.verify().ok


def test_what_users_did_since_stays(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    """A second run after live spends and grants, also by new users, leaves every row as it is."""
    export = write_file(tmp_path / "d1.sqlite", [row("1"), row("2", "bob", "spend", 2)])
    kv = write_balances(tmp_path / "kv.json", ada="9", bob="0", eve="1")
    import_d1(ledger, export, kv_balances=kv)
    ledger.spend("ada", 7)
    ledger.grant("bob", 3)
    ledger.grant("new", 3)
    before = tables_of(engine)
    again = import_d1(ledger, export, kv_balances=kv)

    assert tables_of(engine) == before
    assert (again.changed, again.repairs) == (False, ())


def test_a_newer_export_brings_what_is_new(ledger: Ledger, tmp_path: Path) -> None:
    """Rows that an earlier import did not know are added; behind live entries they keep only the world's instant."""
    old = [row("1", timestamp=DAY.format(1)), row("2", "bob", timestamp=DAY.format(2))]
    import_d1(ledger, write_file(tmp_path / "old.sqlite", old))
    live = ledger.grant("ada", 1)
    new = [*old, row("3", timestamp=DAY.format(3)), row("4", "bob", timestamp=DAY.format(4))]
    report = import_d1(ledger, write_file(tmp_path / "new.sqlite", new))
    ada, bob = ledger.entries("ada")[0], ledger.entries("bob")[0]

    assert (report.entries_written, report.entries_already_there) == (2, 2)
    assert (ada.at, ada.event_at.day if ada.event_at else None) == (live.at, 3)
    assert (bob.at, bob.at.day) == (bob.event_at, 4)
    assert ledger.verify().ok


def test_an_account_is_closed_once(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    """An export that asks for another closing adjustment than was made is reported, and moves nothing."""
    export = write_file(tmp_path / "d1.sqlite", [row("1"), row("2", "bob")])
    import_d1(ledger, export, kv_balances=write_balances(tmp_path / "kv.json", ada="9", bob="5"))
    before = tables_of(engine)
    more = import_d1(ledger, export, kv_balances=write_balances(tmp_path / "kv.json", ada="8", bob="5"))
    none = import_d1(ledger, export, kv_balances=write_balances(tmp_path / "kv.json", ada="5", bob="5"))

    assert tables_of(engine) == before
    for report, wanted in ((more, 3), (none, 0)):
        (repair,) = report.repairs
        assert (repair.source, repair.what) == ("balance of 'ada'", "skipped")
        assert f"closed a difference of 4, and this export asks for {wanted}:" in repair.reason


def test_a_row_that_changed_since_is_reported(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    """Under an id that is imported another amount moves nothing, and the report says what differs."""
    import_d1(ledger, write_file(tmp_path / "one.sqlite", [row("1"), row("2")]))
    before = tables_of(engine)
    report = import_d1(ledger, write_file(tmp_path / "two.sqlite", [row("1", amount=6), row("2")]))

    assert tables_of(engine) == before
    assert [(one.source, one.what) for one in report.repairs] == [("transactions row 1", "skipped")]
    assert "amount differs" in report.repairs[0].reason


def test_users_who_are_there_already_are_moved_in_too(ledger: Ledger, tmp_path: Path) -> None:
    """An account that the host opened before the import keeps its age, and gets the history behind its own."""
    opened = ledger.open_account("ada", initial=1)
    report = import_d1(ledger, write_file(tmp_path / "d1.sqlite", [row("1"), row("2", "bob")]))
    account = ledger.account("ada")

    assert (account.opened_at, account.posted) == (opened.opened_at, 6)
    assert (report.accounts_opened, report.accounts_already_there) == (1, 1)


def test_limits_and_hooks_do_not_apply(engine: Engine, clock: FrozenClock, tmp_path: Path) -> None:
    """History is neither bounded by the ledger's largest amount nor told to its hooks."""
    told: list[tuple[Receipt, ...]] = []
    ledger = Ledger(engine, clock=clock, max_amount=3, hooks=[told.append])
    report = import_d1(ledger, write_file(tmp_path / "d1.sqlite", [row(), row("2", "bob", "spend", 9)]))

    assert {account.owner: account.posted for account in ledger.accounts()} == {"ada": 5, "bob": 0}
    assert (report.repairs, told) == ((), [])


def test_rows_from_the_future_are_noted(engine: Engine, tmp_path: Path, clock: FrozenClock) -> None:
    """A row after the clock's present is taken with its instant, and the report says that later entries follow it."""
    ledger = Ledger(engine, clock=clock)
    rows = [row("1"), row("2", timestamp="2031-01-01T00:00:00.000Z")]
    report = import_d1(ledger, write_file(tmp_path / "d1.sqlite", rows))

    assert ledger.grant("ada", 1).at.year == 2031
    assert [(one.source, one.what) for one in report.repairs] == [("transactions", "noted")]
    assert "1 rows lie after the clock's present" in report.repairs[0].reason


def test_crafted_rows_move_in_beside_good_ones(ledger: Ledger, tmp_path: Path) -> None:
    """An export full of wrong rows is imported as far as it goes, and a second run finds it all there."""
    rows: list[Any] = [
        row("1"),
        row("1"),
        row(None, amount="7"),
        row("2", kind="Welcome gift", reason="r" * 600),
        row("3", timestamp="2023-12-31"),
        row("4", timestamp="never"),
        row("5", amount=0),
        row("6", owner=""),
        row("7", "bo\0b"),
        row("8", "日本", "spend", 2, reason="a\0b"),
        (None,) * 6,
    ]
    export = write_file(tmp_path / "d1.sqlite", rows)
    report = import_d1(ledger, export)
    again = import_d1(ledger, export)
    log = [(one.idempotency_key or "", one.kind, one.amount) for one in ledger.entries("ada")][::-1]

    assert [(key[:3], kind, amount) for key, kind, amount in log] == [
        ("3", "admin_add", 5),
        ("4", "admin_add", 5),
        ("1", "admin_add", 5),
        ("d1:", "admin_add", 7),
        ("2", "welcome_gift", 5),
    ]
    assert [(one.source.split()[-1], one.what) for one in report.repairs] == [
        ("2", "skipped"),
        ("3", "repaired"),
        ("4", "repaired"),
        ("5", "repaired"),
        ("6", "repaired"),
        ("7", "skipped"),
        ("8", "skipped"),
        ("9", "skipped"),
        ("10", "repaired"),
        ("11", "skipped"),
    ]
    assert (report.entries_written, again.entries_written, again.entries_already_there) == (6, 0, 6)
    assert again.repairs == report.repairs
    assert ledger.verify().ok


def test_an_import_can_live_and_die_with_the_hosts_transaction(
    ledger: Ledger, engine: Engine, tmp_path: Path
) -> None:
    """Imported on a borrowed session, nothing is there until the host commits."""
    export = write_file(tmp_path / "d1.sqlite", [row("1"), row("2", "bob", "spend")])
    with Session(engine) as session:
        assert import_d1(ledger.using(session), export).entries_written == 2
        session.rollback()
        assert len(ledger.accounts()) == 0
        import_d1(ledger.using(session), export)
        session.commit()

    assert {account.owner: account.posted for account in ledger.accounts()} == {"ada": 5, "bob": 0}


@pytest.mark.lanes("sqlite", because="the refusal comes before any SQL")
def test_paths_are_paths_or_text(ledger: Ledger) -> None:
    """Files are named by a path or by text, and anything else is refused by the argument's name."""
    assert import_d1(ledger, str(REAL_FILE), kv_balances=str(REAL_BALANCES)).changed
    for arguments in ({"export": 7}, {"export": REAL_FILE, "kv_balances": b"kv.json"}):
        with pytest.raises(InvalidArgument, match="a path is required"):
            import_d1(ledger, **arguments)
