"""Any moment of an account: balances of the past and the future, what expires when, and statements."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from pluct_ledger import AccountNotFound, Balance, InvalidArgument, Ledger
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.terms.told import MICRO, SECOND, later, line, t


def posted(ledger: Ledger, *instants: datetime) -> list[int]:
    """Return what ada had posted at these instants."""
    return [ledger.balance("ada", at=instant).posted for instant in instants]


def test_a_balance_of_the_past_is_the_one_that_was(ledger: Ledger, clock: FrozenClock) -> None:
    """At and after an entry its total counts, a microsecond before it the one before; before the first all is 0."""
    for second, amount in ((1, 5), (2, 6), (4, 7)):
        later(clock, second)
        ledger.grant("ada", amount)

    instants = [t(1) - MICRO, t(1), t(2) - MICRO, t(2), t(3), t(4) - MICRO, t(4), t(99)]

    assert posted(ledger, *instants) == [0, 5, 5, 11, 11, 11, 18, 18]
    assert posted(ledger, t(-(10**9))) == [0]
    assert ledger.balance("ada", at=t(0)) == Balance(0, 0, 0, ())


def test_entries_of_one_instant_are_all_before_what_follows(ledger: Ledger, clock: FrozenClock) -> None:
    """A moment is after everything that bears its instant, however much that is."""
    for _ in range(5):
        ledger.grant("ada", 1)
    clock.set(t(1))
    ledger.grant("ada", 1)

    assert posted(ledger, t(0) - MICRO, t(0), t(1) - MICRO, t(1)) == [0, 5, 5, 6]


def test_a_balance_of_the_future_assumes_that_nothing_is_used(ledger: Ledger, caller: Caller) -> None:
    """What will start, end and lapse is counted in at its instant, and nothing is recorded by asking."""
    ledger.grant("ada", 5, expires_at=t(10))
    ledger.grant("ada", 7, effective_at=t(4), expires_at=t(20))
    ledger.grant("ada", 1)
    ledger.authorize("ada", 2, ttl=12 * SECOND)
    before = caller.rows()

    told = [ledger.balance("ada", at=t(second)) for second in (0, 3, 4, 9, 10, 11, 12, 19, 20, 10**6)]

    numbers = [(one.posted, one.held, one.available) for one in told]
    assert numbers == [
        (6, 2, 4),
        (6, 2, 4),
        (13, 2, 11),
        (13, 2, 11),
        (10, 2, 8),
        (10, 2, 8),
        (8, 0, 8),
        (8, 0, 8),
        (1, 0, 1),
        (1, 0, 1),
    ]
    assert told[0].expiring == ((t(10), 3), (t(12), 2), (t(20), 7))
    assert [len(one.expiring) for one in told] == [3, 3, 3, 3, 2, 2, 1, 1, 0, 0]
    assert caller.rows() == before


def test_what_expires_is_told_by_instant(ledger: Ledger, clock: FrozenClock) -> None:
    """Grants that end at one instant are one pair; soonest first; what never ends is in none."""
    for seconds in (9, 3, 9):
        ledger.grant("ada", seconds, expires_at=t(seconds))
    ledger.grant("ada", 100)
    assert ledger.balance("ada").expiring == ((t(3), 3), (t(9), 18))
    assert ledger.balances(["ada"])["ada"] == ledger.balance("ada")

    ledger.spend("ada", 5)
    assert ledger.balance("ada").expiring == ((t(9), 16),)
    later(clock, 9)
    assert ledger.balance("ada").expiring == ()
    assert ledger.balance("ada", at=t(2)).expiring == ((t(9), 16),)


def test_what_a_grant_to_come_will_repay_does_not_expire(ledger: Ledger) -> None:
    """Of a grant that starts into debt, only what is left after repaying is told as expiring."""
    ledger.open_account("ada", overdraft_limit=4)
    ledger.spend("ada", 4)
    ledger.grant("ada", 10, effective_at=t(5), expires_at=t(9))

    assert ledger.balance("ada").expiring == ((t(9), 6),)
    assert posted(ledger, t(4), t(5), t(9)) == [-4, 6, 0]


def test_between_the_last_entry_and_now_time_went_on(ledger: Ledger, clock: FrozenClock) -> None:
    """What fell due since the last entry, and is not recorded, counts in a balance of the past all the same."""
    ledger.grant("ada", 5, expires_at=t(10))
    later(clock, 100)
    unrecorded = posted(ledger, t(9), t(10) - MICRO, t(10), t(50))
    ledger.grant("ada", 1)

    assert unrecorded == posted(ledger, t(9), t(10) - MICRO, t(10), t(50)) == [5, 5, 0, 0]


def test_now_is_never_before_the_newest_entry(ledger: Ledger, clock: FrozenClock) -> None:
    """Where the clock lags, the present balance is that after the newest entry; the past is as it was."""
    ledger.grant("ada", 1)
    later(clock, 10)
    ledger.grant("ada", 5, expires_at=t(12))
    later(clock, 3)

    assert (ledger.balance("ada").posted, ledger.account("ada").posted) == (6, 6)
    assert posted(ledger, t(3), t(10), t(11), t(12)) == [1, 6, 6, 1]

    spent = ledger.spend("ada", 2)
    assert spent.at == t(10)
    assert posted(ledger, t(9), t(10)) == [1, 4]


def test_an_instant_is_the_same_in_every_zone(ledger: Ledger, clock: FrozenClock) -> None:
    """An instant may be given in any zone; one without a zone is refused."""
    ledger.grant("ada", 5, expires_at=t(10).astimezone(timezone(timedelta(hours=-7))))
    for hours in (-12, 5, 14):
        zone = timezone(timedelta(hours=hours))
        assert posted(ledger, (t(10) - MICRO).astimezone(zone), t(10).astimezone(zone)) == [5, 0]
    with pytest.raises(InvalidArgument) as wrong:
        ledger.balance("ada", at=t(1).replace(tzinfo=None))
    assert wrong.value.argument == "at"
    with pytest.raises(AccountNotFound):
        ledger.balance("nobody", at=t(1))


def busy_day(ledger: Ledger, clock: FrozenClock) -> None:
    """Do things of every kind to ada's account, a second apart."""
    ledger.open_account("bob", initial=3)
    steps: list[Any] = [
        lambda: ledger.open_account("ada", overdraft_limit=3),
        lambda: ledger.grant("ada", 5, expires_at=t(8)),
        lambda: ledger.grant("ada", 6, effective_at=t(5), expires_at=6 * SECOND),
        lambda: ledger.authorize("ada", 4, ttl=7 * SECOND).hold_id,
        lambda: ledger.grant("ada", 9, priority=-1, label="nine"),
        lambda: ledger.spend("ada", 12).entry_id,
        lambda: ledger.transfer("bob", "ada", 2),
        lambda: ledger.adjust("ada", -1, reason="-counted"),
        lambda: ledger.transfer("ada", "bob", 1),
        lambda: ledger.set_overdraft_limit("ada", None),
        lambda: ledger.reverse(done[5], 3),
        lambda: ledger.freeze("ada"),
    ]
    done: list[Any] = []
    for second, step in enumerate(steps):
        later(clock, second)
        done.append(step())
    later(clock, 30)


def test_as_of_equals_a_replay_of_a_prefix(ledger: Ledger, clock: FrozenClock) -> None:
    """The balance at any instant is the total after the newest entry that is not after it."""
    busy_day(ledger, clock)
    entries = list(ledger.entries("ada", limit=1000))

    for half_seconds in range(-2, 62):
        at = t(half_seconds / 2)
        then = ledger.balance("ada", at=at)
        newest = next((entry for entry in entries if entry.at <= at), None)
        expected = (0, 0) if newest is None else (newest.posted_after, newest.held_after)
        assert (then.posted, then.held, then.available) == (*expected, expected[0] - expected[1])


def test_what_is_told_of_the_past_does_not_change(ledger: Ledger, clock: FrozenClock) -> None:
    """A balance of then, asked now, is what the balance was when it was asked then, expiring credit included."""
    told: list[Balance] = []
    ledger.grant("ada", 5, expires_at=t(4))
    ledger.grant("ada", 5, effective_at=t(2), expires_at=t(7))
    for second in range(1, 9):
        later(clock, second)
        if second % 3 == 0:
            ledger.spend("ada", 1)
        told.append(ledger.balance("ada"))

    assert [ledger.balance("ada", at=t(second)) for second in range(1, 9)] == told


def test_a_statement_adds_up(ledger: Ledger, clock: FrozenClock) -> None:
    """Opening and entries make closing; received, used and forfeited are the entries' sums."""
    busy_day(ledger, clock)
    for start, end in ((0, 30), (3, 9), (8, 9), (9, 40), (-5, 0), (12, 30), (40, 50)):
        statement = ledger.statement("ada", t(start), t(end))
        change = sum(entry.amount for entry in statement.entries)
        assert statement.opening.posted + change == statement.closing.posted
        assert change == statement.received - statement.used - statement.forfeited
        held = sum(entry.hold_amount for entry in statement.entries)
        assert statement.opening.held + held == statement.closing.held
        assert list(statement.entries) == sorted(statement.entries, key=lambda entry: entry.seq)
    whole = ledger.statement("ada", t(0), t(30))
    assert len(whole.entries) == ledger.account("ada").entry_count
    expired = [entry for entry in whole.entries if entry.operation == "expire"]
    assert expired
    assert whole.forfeited == -sum(entry.amount for entry in expired)
    assert (whole.owner, whole.book, whole.asset) == ("ada", "default", "credit")


def test_a_statement_is_half_open(ledger: Ledger, clock: FrozenClock) -> None:
    """What bears the start is in a statement, what bears its end is in the next; each entry is in exactly one."""
    for second in range(4):
        later(clock, second)
        ledger.grant("ada", 1)

    statement = ledger.statement("ada", t(1), t(3))

    assert [line(entry)[1] for entry in statement.entries] == [1, 2]
    assert (statement.opening.posted, statement.closing.posted) == (1, 3)
    assert (statement.start, statement.end) == (t(1), t(3))
    following = ledger.statement("ada", t(3), t(3) + MICRO)
    assert (len(following.entries), following.opening) == (1, statement.closing)


def test_a_statement_tells_what_was_forfeited_though_nothing_recorded_it(
    ledger: Ledger, caller: Caller
) -> None:
    """Credit that ended within the statement is forfeited in it, whenever that is recorded."""
    ledger.grant("ada", 5, expires_at=t(10))
    ledger.spend("ada", 2)
    later(caller.clock, 60)
    before = caller.rows()

    statement = ledger.statement("ada", t(0), t(20))

    assert (statement.received, statement.used, statement.forfeited) == (5, 2, 3)
    assert caller.rows() == before
    ledger.grant("ada", 1)
    assert ledger.statement("ada", t(0), t(20)) == statement


def test_a_statement_does_not_foretell(ledger: Ledger) -> None:
    """A statement that reaches beyond now closes now: what would expire later is not forfeited yet."""
    ledger.grant("ada", 5, expires_at=t(10))

    statement = ledger.statement("ada", t(0), t(20))

    assert (statement.closing.posted, statement.forfeited, len(statement.entries)) == (5, 0, 1)


def test_a_statement_adds_up_where_the_clock_lags(ledger: Ledger, clock: FrozenClock) -> None:
    """Entries that are ahead of the clock are in a statement, and in what it closes with."""
    later(clock, 10)
    ledger.grant("ada", 5)
    later(clock, 1)

    statement = ledger.statement("ada", t(0), t(20))

    assert len(statement.entries) == 1
    assert (statement.opening.posted, statement.closing.posted) == (0, 5)
    assert ledger.statement("ada", t(0), t(10)).closing.posted == 0
    assert ledger.statement("ada", t(12), t(20)).opening.posted == 5


def test_a_statement_needs_an_owner_and_an_interval(ledger: Ledger) -> None:
    """An unknown owner is refused, and so is an interval that is empty, backwards or without a zone."""
    ledger.open_account("ada")
    with pytest.raises(AccountNotFound):
        ledger.statement("nobody", t(0), t(1))
    naive = t(0).replace(tzinfo=None)
    for start, end, name in ((t(1), t(1), "end"), (t(1), t(0), "end"), (naive, t(1), "start")):
        with pytest.raises(InvalidArgument) as wrong:
            ledger.statement("ada", start, end)
        assert wrong.value.argument == name


def test_a_statement_as_csv_can_be_opened_safely(ledger: Ledger, clock: FrozenClock) -> None:
    """Every entry is one CSV line; numbers stay numbers, and what people wrote cannot run as a formula."""
    for reason in ("=1+1", "+1", "-1", "@x", "\t=1", 'a "b", c\nd', "plain"):
        ledger.grant("ada", 1, reason=reason, actor="=cmd", idempotency_key=f"=k{reason}")
    ledger.spend("ada", 2)

    text = ledger.statement("ada", t(0), t(1)).csv()

    assert text.endswith("\r\n")
    names, *rows = csv.reader(io.StringIO(text, newline=""))
    assert names[:5] == ["at", "entry_id", "kind", "amount", "hold_amount"]
    told = [dict(zip(names, row, strict=True)) for row in rows]
    assert [row["reason"] for row in told] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\t=1",
        'a "b", c\nd',
        "plain",
        "",
    ]
    assert {row["actor"] for row in told[:-1]} == {"'=cmd"}
    assert [row["idempotency_key"][:3] for row in told[:-1]] == ["'=k"] * 7
    assert (told[-1]["amount"], told[-1]["posted_after"], told[-1]["kind"]) == ("-2", "5", "spend")
    assert datetime.fromisoformat(told[0]["at"]) == t(0)
