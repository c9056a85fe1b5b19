"""Commands on grants, holds, reversals, controls, time and maintenance, as people and programs see them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine

from pluct_ledger import Ledger, sqlite
from tests.cli.calls import Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="the command line has no SQL of its own; test_walk.py goes everywhere"
)

YEAR_3000 = "3000-01-01T00:00:00Z"


@pytest.fixture
def yesterday(database_url: str) -> Ledger:
    """The same ledger with a clock that is a day behind: what it does will have been."""
    engine = sqlite.configure(create_engine(database_url))
    then = datetime.now(UTC) - timedelta(days=1)
    return Ledger(engine, clock=lambda: then)


def test_a_grant_takes_every_term(cli: Call, ledger: Ledger) -> None:
    """Expiry, beginning, priority, label and who granted stand on the grant as they were given."""
    cli(
        *("grant", "ada", "10", "--expires-at", "3001-01-01T01:00:00+01:00", "--effective-at", YEAR_3000),
        *("--priority", "-3", "--label", "Spring", "--granted-by", "marketing"),
    )

    (grant,) = ledger.grants("ada")
    assert (grant.pending, grant.priority, grant.label, grant.granted_by) == (10, -3, "Spring", "marketing")
    assert grant.effective_at == datetime(3000, 1, 1, tzinfo=UTC)
    assert grant.expires_at == datetime(3001, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("45", timedelta(seconds=45)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_span_has_a_unit_or_counts_seconds(cli: Call, ledger: Ledger, said: str, meant: timedelta) -> None:
    """How long something lasts is said in seconds, or with a unit."""
    receipt = cli("grant", "ada", "10", "--expires-in", said, "--json").json
    (grant,) = ledger.grants("ada")
    assert grant.expires_at == datetime.fromisoformat(receipt["at"]) + meant


def test_grants_are_listed_in_the_order_of_use(cli: Call) -> None:
    """The list of grants begins with the one that is used next."""
    cli("grant", "ada", "10", "--label", "late", "--expires-in", "30d")
    cli("grant", "ada", "10", "--label", "soon", "--expires-in", "1d")
    cli("grant", "ada", "10", "--label", "first", "--priority", "-1")
    cli("spend", "ada", "4")

    items = cli("grants", "ada", "--json").json["items"]
    assert [(one["label"], one["posted"]) for one in items] == [("first", 6), ("soon", 10), ("late", 10)]
    lines = cli("grants", "ada").out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["first", "soon", "late"]


def test_a_hold_goes_its_way(cli: Call, ledger: Ledger) -> None:
    """A hold is authorized, extended, captured in part, and its rest is set free at the end."""
    cli("grant", "ada", "100")
    hold = cli("hold", "authorize", "ada", "30", "--ttl", "15m", "--json").json
    assert (hold["amount"], hold["held"], hold["status"]) == (30, 30, "open")
    longer = cli("hold", "extend", hold["hold_id"], "--ttl", "2h", "--json").json
    assert longer["expires_at"] > hold["expires_at"]

    cli("hold", "capture", hold["hold_id"], "10", "--keep-open")
    assert [one["held"] for one in cli("holds", "ada", "--json").json["items"]] == [20]
    cli("hold", "capture", hold["hold_id"], "25", code=24)
    told = cli("hold", "capture", hold["hold_id"], "25", "--allow-over").out.splitlines()
    assert told[0] == "ada: -25 credit (capture), 65 posted, 65 available"
    assert cli("holds", "ada", "--json").json["items"] == []
    cli("hold", "void", hold["hold_id"], code=23)
    assert ledger.verify().ok


def test_a_hold_is_shown_to_people(cli: Call) -> None:
    """What a hold is, is told value by value, and a repeat says that nothing moved."""
    cli("grant", "ada", "100")
    arguments = ("hold", "authorize", "ada", "30", "--ttl", "15m", "--idempotency-key", "k")
    first = cli(*arguments)
    assert "held     30\n" in first.out
    assert "status   open\n" in first.out
    assert cli(*arguments).out == "Nothing moved: this key stands for what was done before.\n" + first.out

    hold_id = first.out.splitlines()[0].split()[1]
    assert cli("hold", "void", hold_id).out.startswith("ada: +0 credit (void), 100 posted, 100 available\n")


def test_orphans_are_holds_past_due(cli: Call, yesterday: Ledger) -> None:
    """A hold past due is an orphan until something records its end."""
    yesterday.grant("ada", 10)
    hold = yesterday.authorize("ada", 4, ttl=timedelta(hours=1))

    (orphan,) = cli("orphan-holds", "--json").json["items"]
    assert (orphan["hold_id"], orphan["owner"]) == (hold.hold_id, "ada")
    assert hold.hold_id in cli("orphan-holds").out
    assert cli("maintenance").out == "Recorded 1 entry in 1 account.\n"
    assert cli("orphan-holds", "--json").json["items"] == []


def test_a_reversal_is_partial_and_graceful(cli: Call, ledger: Ledger, yesterday: Ledger) -> None:
    """A reversal gives back as much as was said; with a grace, also what had expired."""
    yesterday.grant("ada", 10, expires_at=timedelta(hours=1))
    spend = yesterday.spend("ada", 10).entry_id

    cli("reverse", spend, "3")
    assert ledger.balance("ada").available == 0
    cli("reverse", spend, "3", "--expired-grace", "7d")
    assert ledger.balance("ada").available == 3
    cli("reverse", spend, "5", code=26)
    assert cli("reverse", spend, "5", "--up-to", "--json").json["amount"] == 4


def test_controls_say_what_an_account_may_do(cli: Call, ledger: Ledger) -> None:
    """An account is overdrawn as far as it was said, frozen, set free and closed."""
    cli("open", "ada")
    cli("overdraft", "ada", "5")
    cli("spend", "ada", "5")
    cli("spend", "ada", "1", code=17)
    cli("overdraft", "ada", "unlimited", "--reason", "A friend of the house")
    cli("spend", "ada", "1")
    assert ledger.account("ada").overdraft_limit is None

    cli("freeze", "ada", "--actor", "risk")
    cli("spend", "ada", "1", code=15)
    cli("unfreeze", "ada")
    cli("close", "ada", code=27)
    cli("grant", "ada", "6")
    cli("close", "ada")
    cli("grant", "ada", "1", code=14)
    assert [entry.actor for entry in ledger.entries("ada")].count("risk") == 1


def test_a_balance_is_told_at_any_instant(cli: Call, yesterday: Ledger) -> None:
    """A balance is what it was, is, or will be, with what expires when."""
    yesterday.grant("ada", 10)
    cli("grant", "ada", "5", "--expires-at", YEAR_3000)

    before = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert cli("balance", "ada", "--at", before, "--json").json["posted"] == 10
    assert cli("balance", "ada", "--at", YEAR_3000, "--json").json["posted"] == 10
    lines = cli("balance", "ada").out.splitlines()
    assert lines[:3] == ["posted     15", "held       0", "available  15"]
    assert lines[-1].split() == ["3000-01-01T00:00:00Z", "5"]


def test_a_statement_is_told_to_people_programs_and_spreadsheets(cli: Call) -> None:
    """The same statement is a record with its entries, JSON, or CSV."""
    cli("grant", "ada", "10", "--reason", "=1+1")
    cli("spend", "ada", "4")
    time = ("2026-01-01T00:00:00Z", YEAR_3000)

    told = cli("statement", "ada", *time, "--json").json
    assert (told["opening"]["posted"], told["closing"]["posted"], told["used"]) == (0, 6, 4)
    lines = cli("statement", "ada", *time).out.splitlines()
    assert "closing    6" in lines
    assert [line.split()[2] for line in lines[-2:]] == ["grant", "spend"]
    rows = list(csv.DictReader(io.StringIO(cli("statement", "ada", *time, "--csv").out)))
    assert [(row["kind"], row["amount"], row["reason"]) for row in rows] == [
        ("grant", "10", "'=1+1"),
        ("spend", "-4", ""),
    ]


def test_a_statement_is_csv_or_json(cli: Call) -> None:
    """CSV in JSON is a wrong call, and so is a time that ends before it begins."""
    time = (YEAR_3000, "2026-01-01T00:00:00Z")
    cli("open", "ada")
    assert cli("statement", "ada", *time, "--csv", "--json", code=2).error["argument"] == "csv"
    assert cli("statement", "ada", *time, "--json", code=2).error["argument"] == "end"


def test_an_entry_is_explained_in_sentences(cli: Call) -> None:
    """An explanation names the grants that paid, the key, the reason, and what reversed it."""
    grant_id = cli("grant", "ada", "5", "--label", "Spring", "--expires-at", YEAR_3000, "--json").json[
        "entry_id"
    ]
    cli("grant", "ada", "5")
    spend = cli("spend", "ada", "8", "--reason", "Report", "--idempotency-key", "k", "--json").json
    reversal = cli("reverse", spend["entry_id"], "2", "--json").json

    at, back = (one["at"].replace("T", " ") for one in (spend, reversal))
    assert cli("explain", spend["entry_id"]).out.splitlines() == [
        f"Entry {spend['entry_id']}, number 3 in the log of 'ada': a spend, at {at}.",
        "It took 8 from the balance: 10 before, 2 after.",
        f"  5 from grant {grant_id} ('Spring', expires 3000-01-01 00:00:00Z)",
        "  3 from the pool, credit without terms",
        f"Entry {reversal['entry_id']} reversed 2 of it at {back}.",
        "Reason: 'Report'",
        "Idempotency key: 'k'",
    ]
    assert (
        f"It reverses entry {spend['entry_id']}: a spend, -8 at {at}."
        in cli("explain", reversal["entry_id"]).out
    )
    assert cli("explain", spend["entry_id"], "--json").json["sources"][0]["amount"] == -5
    cli("explain", f"{spend['account_id']}.99", code=16)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["overdraft", "ada", "7"], "From then on the account may be overdrawn by 7."),
        (["overdraft", "ada", "0"], "From then on the account may be overdrawn no more."),
        (["overdraft", "ada", "unlimited"], "From then on the account may be overdrawn without limit."),
        (["freeze", "ada"], "From then on the account is frozen."),
        (["spend", "ada", "99", "--up-to"], "It was to move as much of 99 as there was."),
        (["spend", "ada", "1", "--kind", "job"], "a spend called 'job'"),
        (["adjust", "ada", "-1", "--reason", "x"], "an adjustment, at"),
        (
            ["grant", "ada", "7", "--effective-at", YEAR_3000],
            "It granted 7, to be used from 3000-01-01 00:00:00Z on.",
        ),
        (["spend", "ada", "1", "--reason", "x\nDone by: me"], "Reason: 'x\\nDone by: me'"),
    ],
)
def test_what_was_asked_for_is_said_in_words(cli: Call, arguments: list[str], sentence: str) -> None:
    """Terms are sentences, and what the host wrote cannot pass for one of ours."""
    cli("grant", "ada", "10")
    entry_id = cli(*arguments, "--json").json["entry_id"]
    assert sentence in cli("explain", entry_id).out


def test_a_balance_is_explained_in_sentences(cli: Call) -> None:
    """An explanation of a balance tells what it came from, what is held, what expires, and what changed last."""
    cli("grant", "ada", "5", "--label", "Spring", "--expires-at", YEAR_3000)
    cli("hold", "authorize", "ada", "2", "--ttl", "1h")
    lines = cli("explain-balance", "ada").out.splitlines()

    assert lines[0].endswith("'ada' has 3 available: 5 posted, 2 held.")
    assert lines[1] == "The 5 posted are 5 granted, over 2 entries."
    assert lines[2].endswith("('Spring', expires 3000-01-01 00:00:00Z) has 5 of 5 left, 2 of them held.")
    assert "If nothing is used, 5 will expire at 3000-01-01 00:00:00Z." in lines
    later = cli("explain-balance", "ada", "--at", YEAR_3000).out
    assert "The 0 posted are 5 granted - 5 expired" in later


def test_maintenance_says_when_there_is_more(cli: Call, yesterday: Ledger) -> None:
    """Maintenance stops at its limit, and says that the next run goes on."""
    for owner in ("ada", "bob"):
        yesterday.grant(owner, 5, expires_at=timedelta(hours=1))
    answer = cli("maintenance", "--limit", "1", "--budget", "1m")
    assert answer.out == "Recorded 1 entry in 1 account.\n"
    assert answer.err == "There is more: the next run goes on.\n"
    assert cli("maintenance", "--json").json == {"accounts": 1, "entries": 1, "done": True}


@pytest.mark.parametrize("width", [40, 80, 120])
def test_terms_fit_a_terminal(cli: Call, terminal_of_width: Callable[[int], None], width: int) -> None:
    """Lists of grants and holds fit the terminal that they are shown on."""
    cli("grant", "ada", "5", "--label", "A label of some length", "--expires-at", YEAR_3000)
    cli("hold", "authorize", "ada", "2", "--ttl", "1h")
    terminal_of_width(width)
    for name in ("grants", "holds"):
        assert max(len(line) for line in cli(name, "ada").seen.splitlines()) <= width


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (["grant", "ada", "1", "--expires-in", "1d", "--expires-at", YEAR_3000], "expires_in"),
        (["grant", "ada", "1", "--expires-in", "soon"], "expires_in"),
        (["grant", "ada", "1", "--expires-in", "0"], "expires_at"),
        (["grant", "ada", "1", "--expires-in", "9" * 18], "expires_in"),
        (["grant", "ada", "1", "--effective-at", "tomorrow"], "effective_at"),
        (["grant", "ada", "1", "--priority", "32768"], "priority"),
        (["hold", "authorize", "ada", "1", "--ttl", "-5"], "ttl"),
        (["hold", "authorize", "ada", "1", "--ttl", "\u0665"], "ttl"),
        (["hold", "capture", "x"], "hold_id"),
        (["reverse", "x"], "entry_id"),
        (["overdraft", "ada", "much"], "limit"),
        (["balance", "ada", "--at", "noon"], "at"),
        (["maintenance", "--budget", "long"], "budget"),
        (["maintenance", "--limit", "0"], "limit"),
    ],
)
def test_a_wrong_term_is_named(cli: Call, ledger: Ledger, arguments: list[str], argument: str) -> None:
    """A wrong argument is named and changes nothing."""
    assert cli(*arguments, "--json", code=2).error["argument"] == argument
    assert not ledger.accounts().items
