"""Readers among writers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, get_ident

import pytest
from sqlalchemy import Engine

from pluct_ledger import InsufficientCredit, Ledger, VerifyReport
from pluct_ledger.commands import Command, Issue, Spend, Transfer
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.concurrency.crowd import at_once

WRITERS = 8
OWNERS = ("ada", "bob", "cy")


@pytest.fixture(params=["as documented", "strange"])
def ledgers(request: pytest.FixtureRequest, engine: Engine, raw_engine: Engine) -> list[Ledger]:
    """Ledgers to write and read with: on engines set up and not, or on a strange host's."""
    strange = request.param == "strange"
    engines = [request.getfixturevalue("strange_engine")] if strange else [engine, raw_engine]
    return [Ledger(each) for each in engines]


def among_writers(ledgers: list[Ledger], commands: list[Command], read: Callable[[], None]) -> int:
    """Read again and again while eight write, until they have written; returns how often it was read."""
    finished = [Event() for _ in range(WRITERS)]
    read_times = [0]

    def write(number: int) -> None:
        ledger = ledgers[number % len(ledgers)]
        try:
            for command in commands[number:] + commands[:number]:
                try:
                    ledger.apply(command)
                except InsufficientCredit:
                    continue
        finally:
            finished[number].set()

    def read_on() -> None:
        while not all(event.is_set() for event in finished):
            read()
            read_times[0] += 1

    jobs: list[Callable[[], None]] = [partial(write, number) for number in range(WRITERS)]
    at_once([*jobs, read_on])
    return read_times[0]


def test_verifying_among_writers_raises_no_false_alarm(ledgers: list[Ledger], ledger: Ledger) -> None:
    """The log verifies clean at any moment, though eight write to it."""
    for owner in OWNERS:
        ledger.grant(owner, 50)
    commands: list[Command] = [
        Transfer("ada", "bob", 3),
        Spend("bob", 2),
        Transfer("bob", "ada", 2),
        Issue("cy", 1),
        Transfer("cy", "ada", 4),
    ]
    reports: list[VerifyReport] = []

    def verify() -> None:
        reports.append(ledgers[len(reports) % len(ledgers)].verify())

    times = among_writers(ledgers, commands * 8, verify)

    assert [report.findings for report in reports] == [()] * times
    assert times >= 2, "the writers were done before anything was read"
    checked = [report.checked for report in reports]
    assert checked[0] < checked[-1]
    assert ledger.verify().ok


def test_balances_among_transfers_are_never_torn(ledgers: list[Ledger], ledger: Ledger) -> None:
    """The balances of all who only give to each other come to the same sum at any moment."""
    for owner in OWNERS:
        ledger.grant(owner, 50)
    commands: list[Command] = [
        Transfer("ada", "bob", 3),
        Transfer("bob", "cy", 4),
        Transfer("cy", "ada", 5),
        Transfer("cy", "bob", 1),
        Transfer("bob", "ada", 2),
    ]
    sums: list[int] = []

    def add_up() -> None:
        balances = ledgers[len(sums) % len(ledgers)].balances(OWNERS)
        sums.append(sum(balance.posted for balance in balances.values()))

    times = among_writers(ledgers, commands * 8, add_up)

    assert sums == [150] * times
    assert times >= 2, "the writers were done before anything was read"


def test_balances_are_those_of_one_moment(ledger: Ledger) -> None:
    """However often others write between the statements of a reader, the balances of all that it asked for agree."""
    for owner in OWNERS:
        ledger.grant(owner, 50)
    first, *_, last = sorted(OWNERS, key=ledger.account_id)
    me, moved = get_ident(), [0]

    def move(_connection: object, _statement: object) -> None:
        if get_ident() == me:
            moved[0] += 1
            with ThreadPoolExecutor(1) as another:
                another.submit(ledger.transfer, first, last, 2).result()

    with watch_statements(move):
        balances = [ledger.balances(OWNERS) for _ in range(3)]

    assert [sum(balance.posted for balance in each.values()) for each in balances] == [150] * 3
    assert moved[0] >= 3, "nobody wrote meanwhile"
