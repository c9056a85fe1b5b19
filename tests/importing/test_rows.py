"""Rows that exports must not hold: each is repaired or skipped with its reason, and none ends the import."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pluct_ledger.domain.arguments import MAX_AMOUNT, instant_of
from pluct_ledger.domain.legacy_history import History, HistoryRow, SourceRow, judge_history
from pluct_ledger.domain.repairs import shown
from tests.importing.exports import Row, row


def judged(*rows: Row) -> History:
    return judge_history(SourceRow(number, *one) for number, one in enumerate(rows, start=1))


def only(history: History) -> HistoryRow:
    (found,) = history.rows
    return found


def reasons(history: History) -> list[tuple[str, str, str]]:
    return [(repair.source, repair.what, repair.reason) for repair in history.repairs]


def test_a_good_row_is_taken_as_it_stands() -> None:
    """A row of the old service's own form is taken without a word."""
    history = judged(row())
    at = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

    assert only(history) == HistoryRow(1, "t1", "ada", "admin_add", 5, at, at, "Support goodwill")
    assert history.repairs == ()


def test_a_spend_takes_and_its_empty_reason_says_nothing() -> None:
    """A spend is the one type that takes, and an empty reason is none."""
    found = only(judged(row(kind="spend", reason="")))

    assert (found.amount, found.reason) == (-5, None)


def test_rows_stand_in_the_order_of_instants_and_then_of_the_export() -> None:
    """An earlier instant comes first wherever it stands, and equal ones stay as they stood."""
    late, early = "2024-01-01T00:00:00.002Z", "2024-01-01T00:00:00.001Z"
    history = judged(row("a", timestamp=late), row("c", timestamp=early), row("b", timestamp=early))

    assert [found.key for found in history.rows] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T02:00:00.5+02:00", "2024-01-01T00:00:00.500000+00:00"),
        ("2024-01-01 00:00:00", "2024-01-01T00:00:00+00:00"),
        ("20240101T000000.123456Z", "2024-01-01T00:00:00.123456+00:00"),
        (" 2024-01-01 ", "2024-01-01T00:00:00+00:00"),
        (1704067200000, "2024-01-01T00:00:00+00:00"),
        ("1704067200", "2024-01-01T00:00:00+00:00"),
    ],
)
def test_other_forms_of_an_instant_are_read(timestamp: object, expected: str) -> None:
    """Any ISO 8601 form and seconds or milliseconds since 1970 are read, and the report says as what."""
    history = judged(row(timestamp=timestamp))

    assert instant_of(only(history).at).isoformat() == expected
    assert reasons(history) == [
        (
            "transactions row 1",
            "repaired",
            f"timestamp {timestamp!r} is not of the usual form: read as {expected}",
        )
    ]


@pytest.mark.parametrize(
    "timestamp",
    [None, "", "yesterday", "2024-13-01T00:00:00.000Z", "0001-01-01T00:00:00+14:00", 12, 1.5, b"2024-01-01"],
    ids=shown,
)
def test_a_row_without_a_readable_instant_stays_in_its_place(timestamp: object) -> None:
    """Its credit is not lost: it is placed with the row before it, and tells no instant of its own."""
    history = judged(row("a"), row("b", timestamp=timestamp), row("c", timestamp="2024-01-02T00:00:00.000Z"))
    first, placed, _ = history.rows

    assert (placed.key, placed.at, placed.event_at) == ("b", first.at, None)
    assert [(repair.source, repair.what) for repair in history.repairs] == [
        ("transactions row 2", "repaired")
    ]


def test_rows_before_the_first_readable_instant_are_placed_with_it() -> None:
    """Where no row before tells an instant, the first one after does; where none does, it is 1970."""
    first, second = judged(row("a", timestamp="?"), row("b")).rows

    assert (first.key, first.at) == ("a", second.at)
    assert only(judged(row(timestamp="?"))).at == 0


@pytest.mark.parametrize(
    ("amount", "taken"), [(5.0, 5), ("12", 12), (" 12.00 ", 12), (MAX_AMOUNT, MAX_AMOUNT)]
)
def test_a_whole_number_is_taken_however_it_is_written(amount: object, taken: int) -> None:
    """Text and floats that are whole numbers count as such, and are reported unless they were integers."""
    history = judged(row(amount=amount))

    assert only(history).amount == taken
    assert [repair.what for repair in history.repairs] == ["repaired"] * (type(amount) is not int)


@pytest.mark.parametrize(
    "amount",
    [0, -1, 1.5, "1.5", "1e3", "", None, b"5", float("inf"), MAX_AMOUNT + 1, "9" * 5000, "٣"],
    ids=shown,
)
def test_an_amount_that_is_no_amount_is_skipped(amount: object) -> None:
    """What is not an integer in 1..2^53-1 moved nothing that could be told."""
    history = judged(row(amount=amount), row("t2"))

    assert only(history).key == "t2"
    assert [(repair.source, repair.what) for repair in history.repairs] == [("transactions row 1", "skipped")]
    assert history.repairs[0].reason.startswith("amount ")


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("refund", "refund"),
        ("Sign-up Bonus!", "sign_up_bonus_"),
        ("2for1", "type_2for1"),
        ("x" * 80, "x" * 64),
        ("払い戻し", "type_____"),
    ],
)
def test_an_unknown_type_is_credit_under_its_own_kind(kind: str, taken: str) -> None:
    """Every type of the old service but spend added credit, so an unknown one does."""
    history = judged(row(kind=kind))

    assert (only(history).kind, only(history).amount) == (taken, 5)
    assert history.repairs[0].what == "repaired"
    assert history.repairs[0].reason.endswith(f"is unknown: taken as credit of the kind {taken}")


def test_a_known_type_is_known_in_other_letters() -> None:
    """Case and blanks around a type do not turn a spend into credit."""
    history = judged(row(kind=" SPEND "))

    assert (only(history).kind, only(history).amount) == ("spend", -5)
    assert reasons(history) == [("transactions row 1", "repaired", "type ' SPEND ' is taken as spend")]


@pytest.mark.parametrize("kind", [None, "", "  ", 7, b"spend"], ids=shown)
def test_a_row_without_a_type_is_skipped(kind: object) -> None:
    """What says nothing of whether it adds or takes is not taken."""
    history = judged(row(kind=kind))

    assert history.rows == ()
    assert history.repairs[0].reason == f"type {kind!r} says nothing"


@pytest.mark.parametrize("owner", ["", None, "a" * 256, "ü" * 128, "a\0b", "a\udcff", b"ada", 1.5], ids=shown)
def test_a_row_of_nobody_is_skipped(owner: object) -> None:
    """A user id that cannot name an account is never bent into one: it might be another's."""
    history = judged(row(owner=owner))

    assert history.rows == ()
    assert history.repairs[0].reason.startswith("user_id ")
    history.repairs[0].reason.encode()


@pytest.mark.parametrize("owner", ["日本", "mobile+tag@example.com", "Ångström", "a b", "ü" * 127], ids=shown)
def test_any_other_user_id_is_kept_byte_by_byte(owner: str) -> None:
    """User ids are opaque, and nothing of them is normalised."""
    history = judged(row(owner=owner))

    assert only(history).owner == owner
    assert history.repairs == ()


def test_a_number_can_be_a_user_id() -> None:
    """A user id that stands there as a number is taken as its digits."""
    assert only(judged(row(owner=7))).owner == "7"


@pytest.mark.parametrize(
    ("reason", "taken", "remark"),
    [
        ("r" * 500, "r" * 500, None),
        ("r" * 501, "r" * 500, "reason has 501 characters: cut to 500"),
        ("a\0b", "a\ufffdb", "reason 'a\\x00b' holds what no database stores: replaced by U+FFFD"),
        ("a\udcffb", "a\ufffdb", "reason 'a\\udcffb' holds what no database stores: replaced by U+FFFD"),
        (12, "12", None),
        (b"\x00", None, "reason b'\\x00' is not text: left out"),
        (None, None, None),
    ],
)
def test_a_reason_is_kept_as_far_as_it_can_be_stored(
    reason: object, taken: str | None, remark: str | None
) -> None:
    """A reason is cut or mended rather than lost, and the report says how."""
    history = judged(row(reason=reason))

    assert only(history).reason == taken
    assert [repair.reason for repair in history.repairs] == ([] if remark is None else [remark])


def test_a_row_that_stands_there_twice_counts_once() -> None:
    """The second of two equal rows is skipped."""
    history = judged(row(), row(reason="another reason"))

    assert only(history).number == 1
    assert reasons(history) == [("transactions row 2", "skipped", "repeats row 1, with the same id 't1'")]


@pytest.mark.parametrize(
    "change", [{"amount": 6}, {"owner": "bob"}, {"kind": "spend"}, {"timestamp": "2025"}]
)
def test_another_row_under_the_same_id_counts_too(change: dict[str, object]) -> None:
    """Two rows that share an id and say different things both happened; the second gets a key of its own."""
    history = judged(row(), row(**change))
    keys = [found.key for found in history.rows]

    assert len(history.rows) == 2
    assert keys[0] == "t1"
    assert keys[1].startswith("d1:")
    assert "id 't1' is that of row 1 already" in history.repairs[0].reason


@pytest.mark.parametrize(
    "row_id", [None, "", "i" * 256, "a\0b", "a\udcff", b"t1", 1.5, "d1:closing"], ids=shown
)
def test_a_row_without_a_usable_id_gets_a_key_of_its_contents(row_id: object) -> None:
    """Such a key is the same in every export of the same rows, and no two rows share one."""
    first = judged(row(row_id), row(row_id))
    second = judged(row("other"), row(row_id), row(row_id))
    keys = [found.key for found in first.rows]

    assert len(set(keys)) == 2
    assert all(key.startswith("d1:") and key != "d1:closing" for key in keys)
    assert [found.key for found in second.rows] == ["other", *keys]
    assert [repair.what for repair in first.repairs] == ["repaired", "repaired"]


def test_a_number_can_be_an_id() -> None:
    """An id that stands there as a number is taken as its digits."""
    assert only(judged(row(7))).key == "7"


def test_a_balance_is_not_carried_beyond_what_is_exact() -> None:
    """The row that would carry a balance beyond 2^53-1 is skipped, and those that fit go on."""
    history = judged(row("a", amount=MAX_AMOUNT), row("b"), row("c", kind="spend"), row("d"))

    assert [found.key for found in history.rows] == ["a", "c", "d"]
    assert [(repair.source, repair.what) for repair in history.repairs] == [("transactions row 2", "skipped")]


def test_one_row_is_reported_once() -> None:
    """All that was mended in a row stands in one line of the report."""
    history = judged(row(amount="5", timestamp="2024-01-01", kind="bonus", reason="r" * 501))

    assert len(history.repairs) == 1
    assert history.repairs[0].reason.count("; ") == 3
