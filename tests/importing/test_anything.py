"""Whatever stands in an export, reading it ends in rows that can be written or in a plain refusal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger import InvalidArgument
from pluct_ledger.domain.arguments import MAX_AMOUNT
from pluct_ledger.domain.intents import happened, intent_of
from pluct_ledger.domain.legacy_balances import ends_of, judge_balances
from pluct_ledger.domain.legacy_history import HistoryRow, SourceRow, judge_history
from pluct_ledger.domain.legacy_key_rows import SourceKey, judge_keys
from pluct_ledger.importing.balances import read_balances
from pluct_ledger.importing.export import opened
from pluct_ledger.importing.moving_in import _command_of
from tests.importing.exports import API_KEYS, TRANSACTIONS, row, write_file

texts = st.text(st.characters(exclude_categories=()), max_size=12) | st.text("0123456789-:TZ. +", max_size=30)
values = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(MAX_AMOUNT - 2, MAX_AMOUNT + 2)
    | st.floats()
    | texts
    | st.binary(max_size=8)
    | st.sampled_from(["ada", "bob", "spend", "admin_add", "2024-01-01T00:00:00.000Z", 1, 5, "x" * 600])
)
rows = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3"]) | values,
        st.sampled_from(["ada", "bob"]) | values,
        st.sampled_from(["spend", "admin_add"]) | values,
        st.sampled_from([1, 5, MAX_AMOUNT]) | values,
        st.sampled_from(["2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z"]) | values,
        values,
    ),
    max_size=8,
)


@given(rows)
def test_any_row_becomes_an_entry_or_a_line_of_the_report(found: list[tuple[object, ...]]) -> None:
    """Each row is written or skipped, in order, under a key of its own, within bounds, and printable."""
    history = judge_history(SourceRow(number, *one) for number, one in enumerate(found, start=1))
    skipped = [one for one in history.repairs if one.what == "skipped"]

    assert len(history.rows) + len(skipped) == len(found)
    assert len({one.key for one in history.rows}) == len(history.rows)
    assert [(one.at, one.number) for one in history.rows] == sorted(
        (one.at, one.number) for one in history.rows
    )
    for one in history.rows:
        intent = intent_of(
            _command_of(one), book="default", asset="credit", max_amount=MAX_AMOUNT, salt=lambda: bytes(16)
        )
        assert (intent.key, happened(intent, one.at).amount) == (one.key, one.amount)
    for owner in {one.owner for one in history.rows}:
        balances = accumulate(one.amount for one in history.rows if one.owner == owner)
        assert max(map(abs, balances)) <= MAX_AMOUNT
    "".join(one.reason for one in history.repairs).encode()


@given(st.dictionaries(st.just("user:ada") | texts.map("user:{}".format) | texts, values, max_size=6), rows)
def test_any_balance_is_taken_or_reported(
    members: dict[str, object], found: list[tuple[object, ...]]
) -> None:
    """Each key of KV is a balance, or a line of the report; every owner of either side has one end."""
    history = judge_history(SourceRow(number, *one) for number, one in enumerate(found, start=1))
    balances = judge_balances(members)
    ends = ends_of(history.rows, balances)
    owners = {one.owner for one in history.rows} | balances.seen.keys() | balances.unreadable

    assert len(balances.seen) + sum(one.what == "skipped" for one in balances.repairs) == len(members)
    assert [end.owner for end in ends] == sorted(owners)
    assert all(len(end.reason) <= 500 for end in ends)
    "".join(one.source + one.reason for one in balances.repairs).encode()


@given(st.lists(st.tuples(values, st.just("0" * 64) | values, values, values, values), max_size=4))
def test_any_key_row_is_a_key_or_a_line_of_the_report(found: list[tuple[object, ...]]) -> None:
    """Each row of ``api_keys`` is taken or skipped, and what is said of it can be printed."""
    keys, repairs = judge_keys(SourceKey(number, *one) for number, one in enumerate(found, start=1))

    assert len(keys) + sum(one.what == "skipped" for one in repairs) == len(found)
    "".join(one.reason for one in repairs).encode()


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each example writes anew."""
    return tmp_path_factory.mktemp("anything") / "export"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with a row in each table."""
    keys = [("1", "0" * 64, "Partner", "2024-01-01T00:00:00.000Z", "active")]
    return write_file(tmp_path_factory.mktemp("whole") / "d1.sqlite", [row()], keys)


def refused(read: Callable[[], object]) -> str:
    """Read, and return what was refused, or nothing; any other error goes on."""
    try:
        read()
    except InvalidArgument as refusal:
        return refusal.problem
    return ""


DUMP = f"{TRANSACTIONS};\n{API_KEYS};\nINSERT INTO transactions VALUES {row()};\n".encode()
SQL = st.text("'\"`[]();-/*\n\0 ", max_size=10).map(str.encode) | st.sampled_from(
    [
        b"INSERT INTO transactions VALUES",
        b"CREATE TRIGGER t BEGIN ",
        b"END",
        b"BEGIN;",
        b"(1,2,3,4,5,6)",
        b"\xff",
    ]
)


@given(st.lists(SQL, max_size=8).map(b"".join), st.booleans())
def test_any_dump_is_read_or_refused(export: Path, rest: bytes, before: bool) -> None:
    """Whatever else stands in a dump, it is read or refused, and nothing else is raised."""
    export.write_bytes(rest + DUMP if before else DUMP + rest)
    found: list[HistoryRow] = []

    def read() -> None:
        with opened(export) as source:
            found.extend(judge_history(source.transactions()).rows)

    refusal = refused(read)

    assert refusal.isprintable()
    assert refusal or found or before


@given(st.integers(0, 12_287), st.binary(min_size=1, max_size=64))
def test_any_damaged_database_is_read_or_refused(export: Path, whole: Path, at: int, damage: bytes) -> None:
    """An SQLite file with wrong bytes anywhere is read or refused, and nothing else is raised."""
    database = whole.read_bytes()
    export.write_bytes(database[:at] + damage + database[at + len(damage) :])

    def read() -> None:
        with opened(export) as source:
            judge_history(source.transactions())
            judge_keys(source.api_keys())

    assert refused(read).isprintable()


@given(st.binary(max_size=40) | st.text('{}[]":,.0123456789eNanul user-', max_size=40).map(str.encode))
def test_any_file_of_balances_is_read_or_refused(export: Path, content: bytes) -> None:
    """Whatever stands in the file of balances, it is an object or it is refused."""
    export.write_bytes(content)

    assert refused(lambda: judge_balances(read_balances(export))).isprintable()
