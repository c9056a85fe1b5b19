"""Commands that only read, as people and programs see them."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
from sqlalchemy import text

from pluct_ledger import Ledger
from pluct_ledger.commands import Issue
from tests.cli.calls import Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="the command line has no SQL of its own; test_walk.py goes everywhere"
)

LONG = "a-customer-with-a-name-that-is-far-longer-than-any-terminal-is-wide-" * 3


def test_an_account_tells_all_of_its_numbers(cli: Call) -> None:
    """An account is shown number by number, each beside its name."""
    cli("open", "ada", "--initial", "10")
    cli("spend", "ada", "3")
    shown = dict(line.split("  ", 1) for line in cli("account", "ada").out.splitlines())
    assert {name: value.strip() for name, value in shown.items()}.items() >= {
        "owner": "ada",
        "posted": "7",
        "held": "0",
        "available": "7",
        "issued": "10",
        "spent": "3",
        "entries": "2",
        "status": "open",
    }.items()


def test_a_pipe_gets_whole_lines(cli: Call) -> None:
    """In a pipe every row is one line with every column, nothing folded, cut, coloured or drawn."""
    cli("grant", LONG, "10", "--reason", LONG)
    lines = cli("entries").out.splitlines()

    assert len(lines) == 2
    assert lines[0].split() == ["at", "owner", "kind", "amount", "posted", "reason", "entry"]
    entry = cli("entries", "--json").json["items"][0]
    assert lines[1].split() == [entry["at"], LONG, "grant", "+10", "10", LONG, entry["entry_id"]]


def test_a_value_that_is_missing_keeps_its_place(cli: Call) -> None:
    """Where there is no value a dash stands, so that every line has as many columns."""
    cli("grant", "ada", "10")
    assert cli("entries").out.splitlines()[1].split()[5] == "-"


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_terminal_gets_what_fits(cli: Call, terminal_of_width: Callable[[int], None], width: int) -> None:
    """On a terminal no line is wider than it is, and an id is whole, or left out with its column."""
    cli("grant", "ada", "10", "--reason", "A reason of some length")
    cli("grant", LONG, "10")
    entry_id = cli("entries", "--json").json["items"][0]["entry_id"]
    terminal_of_width(width)
    shown = cli("entries").seen

    assert max(len(line) for line in shown.splitlines()) <= width
    assert ("entry" in shown.split()) == (entry_id in shown)
    assert (entry_id in shown) == (width != 80)


def test_a_narrow_terminal_gets_records(cli: Call, terminal_of_width: Callable[[int], None]) -> None:
    """Where no table fits, every value has a line of its own."""
    cli("grant", "ada", "10")
    terminal_of_width(38)
    lines = cli("entries").seen.splitlines()
    assert "owner   ada" in lines
    assert "amount  +10" in lines


def test_a_list_tells_how_it_goes_on(cli: Call, ledger: Ledger) -> None:
    """Where there are more rows the next page's cursor is told, in words that the shell takes back."""
    owners = sorted(["it's me", "b", "c", "d"])
    for owner in owners:
        ledger.grant(owner, 1)

    met, more = [], ["--limit", "1"]
    while more:
        answer = cli("accounts", *more)
        met.append(answer.out.splitlines()[1].split("  ")[0])
        told = answer.err.removeprefix("There are more: ")
        more = [*shlex.split(told), "--limit", "1"] if told else []
    assert met == owners


@pytest.mark.parametrize("owner", [None, "ada"])
def test_entries_go_on_before_a_cursor(cli: Call, ledger: Ledger, owner: str | None) -> None:
    """Pages of entries, of one owner and of all, join without a gap or a repeat."""
    ledger.apply_many([Issue("ada", 1) for _ in range(5)])
    arguments = ["entries", *([owner] if owner else []), "--limit", "2", "--json"]

    seqs: list[int] = []
    before: list[str] = []
    while True:
        page = cli(*arguments, *before).json
        seqs += [entry["seq"] for entry in page["items"]]
        if page["next"] is None:
            break
        before = ["--before", page["next"]]
    assert seqs == [5, 4, 3, 2, 1]


def test_entries_are_chosen_by_kind_and_instant(cli: Call, ledger: Ledger) -> None:
    """Only entries of the kinds and the time that were asked for are listed."""
    for kind in ("one", "two", "three"):
        ledger.grant("ada", 1, kind=kind)
    items = cli("entries", "ada", "--kind", "one", "--kind", "three", "--json").json["items"]
    assert [entry["kind"] for entry in items] == ["three", "one"]

    two = ledger.entries("ada", kinds=["two"])[0].at.isoformat()
    assert [entry["kind"] for entry in cli("entries", "--until", two, "--json").json["items"]] == ["one"]
    since = cli("entries", "--since", two, "--json").json["items"]
    assert [entry["kind"] for entry in since] == ["three", "two"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["accounts", "--limit", "0"],
        ["entries", "--limit", "1001"],
        ["entries", "--before", "x"],
        ["entries", "--since", "x"],
    ],
)
def test_a_wrong_page_is_refused(cli: Call, arguments: list[str]) -> None:
    """A limit or cursor or instant that is none is a wrong call."""
    assert cli(*arguments, "--json", code=2).error["argument"] == arguments[1].removeprefix("--")


def test_an_empty_list_says_so_beside_the_answer(cli: Call) -> None:
    """A list without rows says that there are none where it is in nobody's way."""
    answer = cli("accounts")
    assert answer.err == "There are none.\n"
    assert len(answer.out.splitlines()) == 1
    assert cli("accounts", "--json").json == {"items": [], "next": None}


def test_what_a_terminal_would_act_on_is_shown_as_its_escape(
    cli: Call, ledger: Ledger, terminal_of_width: Callable[[int], None]
) -> None:
    """Control characters, line breaks and marks that turn text around never reach a terminal or a pipe as they are."""
    ledger.grant("\x1b[31mred\x07", 1, reason="two\nlines\u202e[bold]")
    for width in (None, 120):
        if width is not None:
            terminal_of_width(width)
        shown = cli("entries").seen
        assert r"\x1b[31mred\x07" in shown
        assert r"two\nlines\u202e[bold]" in shown
        assert not set("\x1b\x07\u202e") & set(shown)


def test_verify_says_that_the_books_balance(cli: Call) -> None:
    """Books that are right are said to be, with how much was replayed."""
    cli("grant", "ada", "1")
    cli("grant", "ada", "1")
    assert cli("verify").out == "The books balance: replayed 2 entries of 1 account.\n"
    assert cli("verify", "ada", "--json").json == {"ok": True, "checked": 2, "accounts": 1, "findings": []}


def test_verify_tells_what_is_wrong(cli: Call, ledger: Ledger) -> None:
    """Wrong books exit with 32 and name what disagrees: a readable part of it to people, all of it in JSON."""
    for number in range(25):
        ledger.grant(f"owner-{number}", 5)
    with ledger.desk.door.engine.begin() as connection:
        connection.execute(text("UPDATE pluct_account SET posted = 6, adjusted = adjusted + 1"))

    answer = cli("verify", code=32)
    assert answer.out.startswith("The books are wrong: replayed 25 entries of 25 accounts, ")
    report = cli("verify", "--json", code=32).json
    assert not report["ok"]
    assert answer.out.endswith(f"and {len(report['findings']) - 20} more; --json tells all\n")
    assert report["findings"][0]["record"] in answer.out
    cli("verify", "owner-3", code=32)


def test_verifying_nobody_is_refused(cli: Call) -> None:
    """An owner without an account has no books to verify."""
    cli("verify", "nobody", code=11)
