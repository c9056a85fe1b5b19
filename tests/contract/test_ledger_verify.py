"""Verification: clean after everything the ledger does, and every change past it is found and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Executable, delete, insert, literal, select, update

from pluct_ledger import AccountNotFound, Corrupted, Finding, Ledger
from pluct_ledger.commands import Issue, Spend, Transfer
from pluct_ledger.domain.accounts import account_id_of
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock
from tests.contract.callers import Caller

TABLES = tables_in(None)
ACCOUNT, ENTRY, SHARE = TABLES.account, TABLES.entry, TABLES.share
ADA, BOB, EVE = (account_id_of("default", owner, "credit") for owner in ("ada", "bob", "eve"))
NOBODY = b"\x07" * 16
SECOND = timedelta(seconds=1)


def write_of_every_kind(ledger: Ledger, clock: FrozenClock) -> None:
    """Fill the log: ada's has six entries, of which the fifth is paired with bob's first."""
    ledger.open_account("bob")
    ledger.open_account("ada", initial=10, overdraft_limit=5)
    writes: list[Callable[[], object]] = [
        lambda: ledger.grant("ada", 7, idempotency_key="k", reason="r", actor="a", metadata={"m": 1}),
        lambda: ledger.spend("ada", 3, up_to=True, event_at=clock()),
        lambda: ledger.adjust("ada", 2, reason="counted"),
        lambda: ledger.transfer("ada", "bob", 4),
        lambda: ledger.spend("ada", 1, kind="thing"),
    ]
    for write in writes:
        clock.advance(SECOND)
        write()


def test_what_the_ledger_wrote_is_in_order(ledger: Ledger, committed: Ledger, caller: Caller) -> None:
    """After writes of every kind the replay agrees with every cached number, and counts what it replayed."""
    write_of_every_kind(ledger, caller.clock)
    ledger.for_book("shop").grant("ada", 1)
    caller.settle()

    for each in (ledger, committed):
        report = each.verify()
        assert (report.ok, report.checked, report.accounts, report.findings) == (True, 7, 2, ())
        of_ada = each.verify("ada")
        assert (of_ada.ok, of_ada.checked, of_ada.accounts, of_ada.findings) == (True, 6, 1, ())


def test_an_empty_book_is_in_order(ledger: Ledger) -> None:
    """Where nothing was written there is nothing to check, and an account without entries is an account."""
    report = ledger.verify()
    assert (report.ok, report.checked, report.accounts) == (True, 0, 0)

    ledger.open_account("ada")

    for report in (ledger.verify(), ledger.verify("ada")):
        assert (report.ok, report.checked, report.accounts) == (True, 0, 1)


def test_only_an_owner_with_an_account_is_verified(ledger: Ledger) -> None:
    """Verifying an owner of whom neither the accounts nor the log know is refused."""
    ledger.for_book("shop").grant("ada", 1)

    with pytest.raises(AccountNotFound) as refused:
        ledger.verify("ada")

    assert refused.value.owner == "ada"


def entry(number: int, account_id: bytes = ADA, /, **values: Any) -> Executable:
    """Change an entry."""
    return update(ENTRY).where(ENTRY.c.account_id == account_id, ENTRY.c.seq == number).values(**values)


def account(its_id: bytes = ADA, /, **values: Any) -> Executable:
    """Change an account's row."""
    return update(ACCOUNT).where(ACCOUNT.c.account_id == its_id).values(**values)


def without_entry(seq: int | None = None, account_id: bytes = ADA) -> Executable:
    """Delete an entry, or a whole log."""
    gone = delete(ENTRY).where(ENTRY.c.account_id == account_id)
    return gone if seq is None else gone.where(ENTRY.c.seq == seq)


def copied(number: int, /, **values: Any) -> Executable:
    """Insert a copy of one of ada's entries with other values."""
    others = {"key_hash": None, "idempotency_key": None, **values}
    columns = [
        literal(others[column.name], column.type).label(column.name) if column.name in others else column
        for column in ENTRY.columns
    ]
    source = select(*columns).where(ENTRY.c.account_id == ADA, ENTRY.c.seq == number)
    return insert(ENTRY).from_select([column.name for column in ENTRY.columns], source)


# What is changed, and the record and column that ada's verification names first.
TAMPERED: list[tuple[str, list[Executable], str, str]] = [
    ("operation", [entry(2, operation=10)], "entry ADA.2", "digest"),
    ("operation to none", [entry(2, operation=99)], "entry ADA.2", "record"),
    ("kind", [entry(2, kind="gift")], "entry ADA.2", "digest"),
    ("kind to another", [entry(6, kind="thang")], "entry ADA.6", "digest"),
    ("kind to none", [entry(6, kind=None)], "entry ADA.6", "digest"),
    ("amount", [entry(2, amount=8)], "entry ADA.2", "posted_after"),
    ("amount and the total", [entry(2, amount=8, posted_after=18)], "entry ADA.2", "digest"),
    ("hold_amount", [entry(2, hold_amount=1)], "entry ADA.2", "held_after"),
    ("hold_amount and the total", [entry(2, hold_amount=1, held_after=1)], "entry ADA.2", "digest"),
    ("posted_after", [entry(2, posted_after=18)], "entry ADA.2", "posted_after"),
    ("held_after", [entry(2, held_after=1)], "entry ADA.2", "held_after"),
    ("counter", [entry(2, counter=4)], "entry ADA.2", "digest"),
    ("counter to none", [entry(2, counter=99)], "entry ADA.2", "record"),
    ("counter_account_id", [entry(5, counter_account_id=EVE)], "entry ADA.5", "digest"),
    ("counter_seq", [entry(5, counter_seq=2)], "entry BOB.2", "record"),
    ("counter_seq of the pair", [entry(1, BOB, counter_seq=4)], "entry ADA.5", "counter_seq"),
    ("amount of the pair", [entry(1, BOB, amount=5)], "entry ADA.5", "amount"),
    ("operation of the pair to none", [entry(1, BOB, operation=99)], "entry BOB.1", "record"),
    ("a pair where there is none", [entry(2, counter_account_id=BOB, counter_seq=1)], "entry ADA.2", "digest"),
    ("concerns_seq", [entry(2, concerns_seq=1)], "entry ADA.2", "digest"),
    ("terms", [entry(3, terms='{"amount":4,"up_to":true}')], "entry ADA.3", "digest"),
    ("terms to none", [entry(3, terms=None)], "entry ADA.3", "digest"),
    ("terms where there are none", [entry(2, terms="{}")], "entry ADA.2", "digest"),
    ("terms to no JSON", [entry(3, terms="amount")], "entry ADA.3", "terms"),
    ("terms to no object", [entry(3, terms="5")], "entry ADA.3", "terms"),
    ("terms to another limit", [entry(1, terms='{"opened":true,"overdraft_limit":6}')], "entry ADA.1", "digest"),
    ("idempotency_key", [entry(2, idempotency_key="K")], "entry ADA.2", "key_hash"),
    ("key_hash", [entry(2, key_hash=NOBODY)], "entry ADA.2", "key_hash"),
    ("key and hash to none", [entry(2, idempotency_key=None, key_hash=None)], "entry ADA.2", "digest"),
    ("hash of a key that was made", [entry(6, key_hash=NOBODY)], "entry ADA.6", "digest"),
    ("reason", [entry(2, reason="R")], "entry ADA.2", "digest"),
    ("reason to none", [entry(2, reason=None)], "entry ADA.2", "digest"),
    ("reason to nothing", [entry(4, reason="")], "entry ADA.4", "digest"),
    ("reason where there is none", [entry(6, reason="r", salt=NOBODY)], "entry ADA.6", "digest"),
    ("actor", [entry(2, actor="b")], "entry ADA.2", "digest"),
    ("actor and reason", [entry(2, actor="r", reason="a")], "entry ADA.2", "digest"),
    ("metadata", [entry(2, metadata='{"m":2}')], "entry ADA.2", "digest"),
    ("salt", [entry(2, salt=NOBODY)], "entry ADA.2", "digest"),
    ("digest", [entry(2, digest=NOBODY)], "entry ADA.2", "digest"),
    ("event_at", [entry(3, event_at=ENTRY.c.event_at + 1)], "entry ADA.3", "digest"),
    ("event_at to none", [entry(3, event_at=None)], "entry ADA.3", "digest"),
    ("event_at where there is none", [entry(2, event_at=1)], "entry ADA.2", "digest"),
    ("at to the past", [entry(3, at=0)], "entry ADA.3", "at"),
    ("at of the newest", [entry(6, at=ENTRY.c.at + 1)], "account ADA", "last_at"),
    ("ledger_id", [entry(2, ledger_id=1)], "entry ADA.2", "ledger_id"),
    (
        "a spend and the row",
        [entry(6, amount=-2, posted_after=10), account(posted=10, spent=5)],
        "entry ADA.6",
        "digest",
    ),
    ("book", [account(book="shop")], "account ADA", "record"),
    ("asset", [account(asset="seat")], "account ADA", "record"),
    ("owner", [account(owner="Ada")], "account ADA", "account_id"),
    ("account_id", [account(account_id=EVE)], "account ADA", "record"),
    ("posted and issued", [account(posted=12, issued=18)], "account ADA", "posted"),
    ("held", [account(held=1)], "account ADA", "held"),
    ("seq back", [account(seq=5)], "entry ADA.6", "record"),
    ("seq on", [account(seq=7)], "entry ADA.7", "record"),
    ("last_at", [account(last_at=ACCOUNT.c.last_at + 1)], "account ADA", "last_at"),
    ("issued and spent", [account(issued=18, spent=5)], "account ADA", "issued"),
    ("spent and expired", [account(spent=3, expired=1)], "account ADA", "spent"),
    ("expired and adjusted", [account(expired=1, adjusted=3)], "account ADA", "expired"),
    ("adjusted and moved", [account(adjusted=1, moved=-3)], "account ADA", "adjusted"),
    ("moved and spent", [account(moved=-3, spent=5)], "account ADA", "spent"),
    ("overdraft_limit", [account(overdraft_limit=6)], "account ADA", "overdraft_limit"),
    ("overdraft_limit to none", [account(overdraft_limit=None)], "account ADA", "overdraft_limit"),
    ("status", [account(status=1)], "account ADA", "status"),
    ("status to none", [account(status=9)], "account ADA", "record"),
    ("attention", [account(attention=1)], "account ADA", "attention"),
    ("next_due_at", [account(next_due_at=1)], "account ADA", "next_due_at"),
    ("the first entry deleted", [without_entry(1)], "entry ADA.1", "record"),
    ("an entry deleted", [without_entry(3)], "entry ADA.3", "record"),
    ("the newest entry deleted", [without_entry(6)], "entry ADA.6", "record"),
    ("the whole log deleted", [without_entry()], "entry ADA.1", "record"),
    ("the pair deleted", [without_entry(1, BOB)], "entry BOB.1", "record"),
    ("an entry added", [copied(6, seq=7)], "entry ADA.7", "record"),
    (
        "an entry added with the row",
        [copied(6, seq=7, posted_after=10), account(seq=7, posted=10, spent=5)],
        "entry ADA.7",
        "digest",
    ),
    ("two entries swapped", [entry(3, seq=99), entry(4, seq=3), entry(99, seq=4)], "entry ADA.3", "posted_after"),
    ("the row deleted", [delete(ACCOUNT).where(ACCOUNT.c.account_id == ADA)], "account ADA", "record"),
    (
        "a share added",
        [insert(SHARE).values(account_id=ADA, seq=2, grant_seq=2, grant_part=0, amount=1, hold_amount=0)],
        "share of entry ADA.2",
        "record",
    ),
]  # fmt: skip


def test_every_change_past_the_ledger_is_found(
    engine: Engine, clock: FrozenClock, subtests: pytest.Subtests
) -> None:
    """Whatever plain SQL changes in the log or in a cached number, verification names the first wrong record."""
    write_of_every_kind(Ledger(engine, clock=clock), clock)

    for change, statements, record, field in TAMPERED:
        with subtests.test(change=change), engine.connect() as connection:
            for statement in statements:
                assert connection.execute(statement).rowcount in {
                    1,
                    6,
                    -1,
                }  # all drivers count, but not all inserts
            ledger = Ledger(engine, clock=clock).using(connection)

            of_ada, of_all = ledger.verify("ada"), ledger.verify()

            named = record.replace("ADA", ADA.hex()).replace("BOB", BOB.hex())
            assert (of_ada.findings[0].record, of_ada.findings[0].field) == (named, field)
            assert (of_ada.ok, of_all.ok) == (False, False)
            assert set(of_ada.findings) <= set(of_all.findings)
            connection.rollback()


def test_a_change_that_was_committed_is_found(caller: Caller) -> None:
    """Verification finds what somebody else committed, whoever asks."""
    ledger = caller.ledger()
    write_of_every_kind(ledger, caller.clock)
    caller.tamper(entry(2, amount=8))

    assert ledger.verify().findings[0] == Finding(
        f"entry {ADA.hex()}.2", "posted_after", "17, but the log says 18"
    )


def test_a_wrong_entry_does_not_make_others_wrong(engine: Engine, clock: FrozenClock) -> None:
    """What follows a wrong amount is compared with the totals it states, and no other entry is called wrong."""
    ledger = Ledger(engine, clock=clock)
    write_of_every_kind(ledger, clock)
    with engine.begin() as connection:
        connection.execute(entry(2, amount=8))
        connection.execute(account(BOB, attention=1))

    assert {(finding.record, finding.field) for finding in ledger.verify().findings} == {
        (f"entry {ADA.hex()}.2", "posted_after"),
        (f"entry {ADA.hex()}.2", "digest"),
        (f"account {ADA.hex()}", "issued"),
        (f"account {BOB.hex()}", "attention"),
    }


def test_what_belongs_to_nobody_is_found(engine: Engine, clock: FrozenClock) -> None:
    """A log without an account is found, and so is an account whose credit the log does not know."""
    ledger = Ledger(engine, clock=clock)
    write_of_every_kind(ledger, clock)
    with engine.begin() as connection:
        connection.execute(copied(2, account_id=NOBODY))
        ada = connection.execute(select(ACCOUNT).where(ACCOUNT.c.account_id == ADA)).one()._asdict()
        eve = {**ada, "account_id": EVE, "owner": "eve", "seq": 0, "overdraft_limit": 0}
        connection.execute(insert(ACCOUNT).values(eve))

    found = {(finding.record, finding.field) for finding in ledger.verify().findings}

    assert (f"account {NOBODY.hex()}", "record") in found
    assert {
        (f"account {EVE.hex()}", field) for field in ("posted", "issued", "spent", "adjusted", "moved")
    } <= found


def test_transfers_come_to_nothing_or_are_found(engine: Engine, clock: FrozenClock) -> None:
    """What all accounts together moved must be nothing, and what it is instead is told."""
    ledger = Ledger(engine, clock=clock)
    write_of_every_kind(ledger, clock)
    with engine.begin() as connection:
        connection.execute(account(BOB, moved=7, adjusted=-3))

    assert [finding for finding in ledger.verify().findings if finding.record.startswith("book")] == [
        Finding("book default asset credit", "moved", "all transfers together move 3, and must move 0")
    ]


@pytest.mark.parametrize(
    ("change", "record", "ask"),
    [
        (entry(2, operation=99), "entry ADA.2", lambda on: on.entries("ada")),
        (entry(2, counter=99), "entry ADA.2", lambda on: on.entry(f"{ADA.hex()}.2")),
        (entry(2, operation=99), "entry ADA.2", lambda on: on.grant("ada", 7, idempotency_key="k")),
        (account(status=9), "account ADA", lambda on: on.balance("ada")),
        (account(status=9), "account ADA", lambda on: on.spend("ada", 1)),
        (account(owner="Ada"), "account ADA", lambda on: on.spend("ada", 1)),
        (account(book="shop"), "account ADA", lambda on: on.transfer("bob", "ada", 1)),
    ],
    ids=["entries", "entry", "repeat", "balance", "spend", "another owner", "another book"],
)
def test_a_record_that_cannot_be_is_corrupted(
    engine: Engine, clock: FrozenClock, change: Executable, record: str, ask: Callable[[Ledger], object]
) -> None:
    """Nothing is told or decided upon a record that the ledger cannot have written: it is named."""
    ledger = Ledger(engine, clock=clock)
    write_of_every_kind(ledger, clock)
    with engine.begin() as connection:
        connection.execute(change)

    with pytest.raises(Corrupted) as raised:
        ask(ledger)

    assert raised.value.record == record.replace("ADA", ADA.hex())


def test_progress_goes_on_to_the_end(engine: Engine) -> None:
    """Progress is told as the replay goes on, never goes back, and ends with all entries done of all."""
    ledger = Ledger(engine)
    ledger.apply_many(Issue("ada", 1) for _ in range(2_100))
    ledger.apply_many(Issue(f"owner {number}", 1) for number in range(400))
    told: list[tuple[int, int]] = []

    report = ledger.verify(progress=lambda done, of: told.append((done, of)))

    assert (report.ok, report.checked, report.accounts) == (True, 2_500, 401)
    assert len(told) >= 3
    assert told == sorted(told)
    assert {of for _, of in told} == {2_500}
    assert told[-1] == (2_500, 2_500)
    told.clear()
    assert ledger.verify("ada", progress=lambda done, of: told.append((done, of))).checked == 2_100
    assert told[-1] == (2_100, 2_100)


def test_a_long_log_is_compared_to_its_last_entry(engine: Engine) -> None:
    """However long a log is, a wrong record deep inside it is named."""
    ledger = Ledger(engine)
    ledger.apply_many(Issue("ada", 1) for _ in range(4_100))
    with engine.begin() as connection:
        connection.execute(entry(2_001, actor="x", salt=NOBODY))
        connection.execute(entry(4_099, kind="x"))

    assert [finding.record for finding in ledger.verify().findings] == [
        f"entry {ADA.hex()}.2001",
        f"entry {ADA.hex()}.4099",
    ]


def test_verification_is_clean_while_others_write(engine: Engine, clock: FrozenClock) -> None:
    """Between any two statements of a verification others may open accounts, spend and transfer: it stays clean."""
    ledger = Ledger(engine, clock=clock)
    write_of_every_kind(ledger, clock)
    writer = Ledger(engine, clock=clock)
    writing = False
    rounds = 0

    def write(*_: object) -> None:
        nonlocal writing, rounds
        if writing:
            return
        writing = True
        rounds += 1
        clock.advance(SECOND)
        writer.apply_many(
            [
                Issue("ada", 2),
                Transfer("ada", "bob", 1),
                Transfer("bob", "ada", 1),
                Issue(f"new {rounds}", 3),
                Transfer(f"new {rounds}", "ada", 2),
                Spend("ada", 1),
            ]
        )
        writing = False

    for owner in (None, "ada"):
        with watch_statements(write):
            report = ledger.verify(owner)
        assert report.findings == ()
    assert rounds > 10
    assert ledger.verify().ok
