"""Balances of KV: what users saw, and what carries their history there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pluct_ledger import InvalidArgument, Ledger
from pluct_ledger.domain.arguments import MAX_AMOUNT
from pluct_ledger.domain.legacy_balances import Balances, judge_balances
from pluct_ledger.domain.repairs import shown
from pluct_ledger.importing import import_d1
from pluct_ledger.importing.balances import read_balances
from tests.importing.exports import row, write_balances, write_file


def test_usual_balances_are_taken_as_they_stand() -> None:
    """A decimal string under the key of a user is that user's balance."""
    members = {"user:ada": "12", "user:日本": "0", "user:bob": "-3", "user:user:x": "1"}

    assert judge_balances(members) == Balances(
        {"ada": 12, "日本": 0, "bob": -3, "user:x": 1}, frozenset(), ()
    )


@pytest.mark.parametrize(
    ("value", "taken"), [(12, 12), ("012", 12), ("+7", 7), (" 5\n", 5), ("12.00", 12), ("-0", 0)]
)
def test_a_balance_in_another_form_is_read(value: object, taken: int) -> None:
    """A whole number in any writing is taken, and reported."""
    balances = judge_balances({"user:ada": value})

    assert balances.seen == {"ada": taken}
    assert [(one.source, one.what) for one in balances.repairs] == [("KV key 'user:ada'", "repaired")]


@pytest.mark.parametrize(
    "value",
    ["", "twelve", "1e3", "NaN", "1.5", 1.5, None, True, [], {}, str(2**53), "9" * 5000, "١٢"],
    ids=shown,
)
def test_a_balance_that_is_no_number_is_reported(value: object) -> None:
    """Such a balance is unknown, which is not zero."""
    balances = judge_balances({"user:ada": value})

    assert not balances.seen
    assert balances.unreadable == {"ada"}
    assert [(one.source, one.what) for one in balances.repairs] == [("KV key 'user:ada'", "skipped")]


@pytest.mark.parametrize(
    "key", ["session:1", "user", "user:", "user:a\0", "user:\ud800", "user:" + "x" * 256]
)
def test_a_key_of_no_user_is_reported(key: str) -> None:
    """Keys that are not of the form ``user:<id>`` are skipped with the reason, which any terminal can print."""
    balances = judge_balances({key: "1"})

    assert (balances.seen, balances.unreadable) == ({}, frozenset())
    assert [one.what for one in balances.repairs] == ["skipped"]
    f"{balances.repairs[0].source} {balances.repairs[0].reason}".encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"user:ada": ' + b"1" * 5000 + b"}", "is not JSON"),
        (b'{"user:ada": NaN}', "NaN is not JSON"),
        (b"[]", "holds no JSON object"),
        (b'"user:ada"', "holds no JSON object"),
        (b'{"user:ada": "1", "user:ada": "2"}', "the member 'user:ada' stands there twice"),
        (b'{"user:\xff": "1"}', "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_object_of_balances_is_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    """What is not one JSON object with different members is refused before anything is written."""
    file = tmp_path / "kv.json"
    file.write_bytes(content)
    with pytest.raises(InvalidArgument, match=problem) as caught:
        read_balances(file)

    assert caught.value.argument == "kv_balances"


def test_a_missing_file_of_balances_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(InvalidArgument, match=r"kv\.json cannot be read: No such file"):
        read_balances(tmp_path / "kv.json")


def test_a_mark_at_the_beginning_is_no_part_of_the_json(tmp_path: Path) -> None:
    """A byte order mark before the object is passed over."""
    file = tmp_path / "kv.json"
    file.write_bytes(b'\xef\xbb\xbf{"user:ada": "1"}')

    assert read_balances(file) == {"user:ada": "1"}


def test_every_difference_is_closed_and_explained(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever saw more, less or nothing gets one adjustment that says so, and whoever saw the same gets none."""
    rows = [row("1", "more"), row("2", "less"), row("3", "same"), row("4", "absent"), row("5", "unreadable")]
    export = write_file(
        tmp_path / "d1.sqlite", [*rows, row("6", "debtor", "spend"), row("7", "lost", "spend")]
    )
    kv = write_balances(
        tmp_path / "kv.json",
        more="8", less="1", same="5", unreadable="five", lost="?", debtor="-2", newcomer="4", empty="0",
    )  # fmt: skip
    report = import_d1(ledger, export, kv_balances=kv)

    assert {account.owner: account.posted for account in ledger.accounts()} == {
        "more": 8, "less": 1, "same": 5, "absent": 0, "unreadable": 5, "debtor": -2, "lost": 0, "newcomer": 4,
        "empty": 0,
    }  # fmt: skip
    assert {one.owner: (one.amount, one.reason) for one in report.adjustments} == {
        "more": (3, "Import: the old service showed a balance of 8, its history comes to 5"),
        "less": (-4, "Import: the old service showed a balance of 1, its history comes to 5"),
        "absent": (
            -5,
            "Import: the old service kept no balance, which it showed as 0; its history comes to 5",
        ),
        "debtor": (3, "Import: the old service showed a balance of -2, its history comes to -5"),
        "lost": (5, "Import: the history ended below zero, at -5"),
        "newcomer": (4, "Import: the old service showed a balance of 4, its history comes to 0"),
    }
    notes = [one.reason for one in report.repairs if one.what == "noted"]
    assert notes == ["1 users have a history and no balance: the old service showed them 0"]
    assert ledger.verify().ok


@pytest.mark.parametrize("content", ["{}", '{"session:1": "5"}', '{"user:ada": "?"}'])
@pytest.mark.lanes("sqlite", because="the refusal comes before any SQL")
def test_balances_of_nobody_take_nothing_from_everybody(ledger: Ledger, tmp_path: Path, content: str) -> None:
    """A file without any balance is refused, as it would empty every account that has a history."""
    export = write_file(tmp_path / "d1.sqlite", [row(), row("2", "bob")])
    kv = tmp_path / "kv.json"
    kv.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidArgument, match="it holds no balance of any user"):
        import_d1(ledger, export, kv_balances=kv)

    assert len(ledger.accounts()) == 0


def test_a_difference_that_no_entry_can_carry_is_reported(ledger: Ledger, tmp_path: Path) -> None:
    """A difference beyond 2^53-1 is not closed, and the report says so."""
    export = write_file(tmp_path / "d1.sqlite", [row(kind="spend", amount=MAX_AMOUNT), row("2", "bob")])
    kv = write_balances(tmp_path / "kv.json", ada=str(MAX_AMOUNT), bob="7")
    report = import_d1(ledger, export, kv_balances=kv)

    assert [one.owner for one in report.adjustments] == ["bob"]
    assert [(one.source, one.what) for one in report.repairs] == [("balance of 'ada'", "skipped")]
    assert ledger.balance("ada").posted == -MAX_AMOUNT


@pytest.mark.lanes("sqlite", because="an empty export writes nothing anywhere")
def test_an_export_of_nobody_is_moved_in(ledger: Ledger, tmp_path: Path) -> None:
    """An export without rows and balances changes nothing."""
    kv = tmp_path / "kv.json"
    kv.write_text("{}", encoding="utf-8")

    assert not import_d1(ledger, write_file(tmp_path / "d1.sqlite"), kv_balances=kv).changed
