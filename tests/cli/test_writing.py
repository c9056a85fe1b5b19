"""Commands that move credit, as people and programs see them."""

from __future__ import annotations

import pytest

from pluct_ledger import Ledger
from tests.cli.calls import Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="the command line has no SQL of its own; test_walk.py goes everywhere"
)


def test_a_grant_opens_an_account_and_tells_what_it_did(cli: Call, ledger: Ledger) -> None:
    """A grant says how much whose account got, what it has now, and which entry tells it."""
    answer = cli("grant", "ada", "10", "--reason", "Welcome")

    entry = ledger.entries("ada")[0]
    assert (entry.amount, entry.reason) == (10, "Welcome")
    assert answer.out == f"ada: +10 credit (grant), 10 posted, 10 available\nentry {entry.entry_id}\n"
    assert answer.err == ""


def test_every_remark_reaches_the_entry(cli: Call, ledger: Ledger) -> None:
    """Key, kind, reason, actor, metadata and the world's time stand on the entry as they were given."""
    cli(
        *(
            "grant",
            "ada",
            "10",
            "--idempotency-key",
            "k",
            "--kind",
            "bonus",
            "--reason",
            "Why",
            "--actor",
            "me",
        ),
        *("--metadata", '{"order": 7}', "--event-at", "2026-01-31T12:00:00+01:00"),
    )

    entry = ledger.entries("ada")[0]
    assert (entry.idempotency_key, entry.kind, entry.reason, entry.actor) == ("k", "bonus", "Why", "me")
    assert entry.metadata == {"order": 7}
    assert entry.event_at is not None
    assert entry.event_at.isoformat() == "2026-01-31T11:00:00+00:00"


def test_a_repeat_says_that_nothing_moved(cli: Call, ledger: Ledger) -> None:
    """The second request of one key is answered with the first entry, and says so."""
    first = cli("grant", "ada", "10", "--idempotency-key", "k")
    again = cli("grant", "ada", "10", "--idempotency-key", "k")

    assert again.out == "Nothing moved: this key stands for what was done before.\n" + first.out
    assert cli("grant", "ada", "10", "--idempotency-key", "k", "--json").json["replayed"] is True
    assert ledger.balance("ada").posted == 10


def test_a_spend_takes_credit_and_up_to_takes_what_there_is(cli: Call, ledger: Ledger) -> None:
    """A spend takes its amount; with --up-to it takes as much of it as there is."""
    cli("grant", "ada", "10")
    receipt = cli("spend", "ada", "3", "--json").json
    assert (receipt["amount"], receipt["available_after"], receipt["operation"]) == (-3, 7, "spend")

    cli("spend", "ada", "8", code=17)
    assert cli("spend", "ada", "8", "--up-to", "--json").json["amount"] == -7
    assert ledger.balance("ada").posted == 0


def test_a_transfer_names_both_entries(cli: Call) -> None:
    """A transfer tells the source's entry and the other side's."""
    cli("grant", "ada", "10")
    cli("open", "bob")
    told = cli("transfer", "ada", "bob", "4").out.splitlines()
    assert told[0] == "ada: -4 credit (transfer), 6 posted, 6 available"

    paired = cli("entries", "bob", "--json").json["items"][0]
    assert told[1] == f"entry {paired['counterpart_entry_id']}"
    assert told[2] == f"entry {paired['entry_id']} is the other side"


@pytest.mark.parametrize("amount", [["-4"], ["--", "-4"]])
def test_a_correction_may_be_negative(cli: Call, ledger: Ledger, amount: list[str]) -> None:
    """A negative correction needs no special spelling, and may have one."""
    cli("grant", "ada", "10")
    cli("adjust", "ada", "--reason", "Counted twice", *amount)
    assert ledger.account("ada").adjusted == -4


def test_a_correction_needs_a_reason(cli: Call, ledger: Ledger) -> None:
    """Without a reason nothing is corrected."""
    cli("grant", "ada", "10")
    assert "--reason" in cli("adjust", "ada", "4", code=2).err
    assert ledger.account("ada").adjusted == 0


@pytest.mark.parametrize(("said", "limit"), [("0", 0), ("25", 25), ("unlimited", None)])
def test_an_account_is_opened_with_its_overdraft(
    cli: Call, ledger: Ledger, said: str, limit: int | None
) -> None:
    """An account begins with the credit and the overdraft limit that were asked for."""
    answer = cli("open", "ada", "--initial", "10", "--overdraft-limit", said)

    opened = ledger.account("ada")
    assert (opened.posted, opened.overdraft_limit) == (10, limit)
    assert f"overdraft limit  {said}\n" in answer.out


def test_book_and_asset_choose_another_ledger(cli: Call, ledger: Ledger) -> None:
    """The options before the command choose the book and the asset that it works on."""
    cli("--book", "shop", "--asset", "coin", "grant", "ada", "3")

    assert ledger.for_book("shop").for_asset("coin").balance("ada").posted == 3
    cli("account", "ada", code=11)


def test_the_environment_chooses_the_book(cli: Call, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """PLUCT_BOOK names the book where no option does."""
    monkeypatch.setenv("PLUCT_BOOK", "shop")
    cli("grant", "ada", "3")
    assert ledger.for_book("shop").balance("ada").posted == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["grant", "ada", "0"], "amount"),
        (["grant", "ada", "1.5"], "amount"),
        (["grant", "ada", "ten"], "amount"),
        (["grant", "", "1"], "owner"),
        (["grant", "ada", "1", "--kind", "No Kind"], "kind"),
        (["grant", "ada", "1", "--metadata", "{"], "metadata"),
        (["grant", "ada", "1", "--metadata", "[1]"], "metadata"),
        (["grant", "ada", "1", "--metadata", '{"a": 1, "a": 2}'], "metadata"),
        (["grant", "ada", "1", "--metadata", '{"a": NaN}'], "metadata"),
        (["grant", "ada", "1", "--metadata", "[" * 100_000], "metadata"),
        (["grant", "ada", "1", "--event-at", "yesterday"], "event_at"),
        (["grant", "ada", "1", "--event-at", "2026-01-31T12:00:00"], "event_at"),
        (["open", "ada", "--overdraft-limit", "much"], "overdraft_limit"),
        (["open", "ada", "--initial", "-1"], "initial"),
        (["adjust", "ada", "0", "--reason", "x"], "signed_amount"),
    ],
)
def test_a_wrong_argument_is_named(cli: Call, ledger: Ledger, arguments: list[str], problem: str) -> None:
    """A wrong argument is named in one line, exits with 2, and changes nothing."""
    answer = cli(*arguments, code=2)

    assert problem in answer.err.lower()
    assert len(answer.err.splitlines()) == 1
    assert answer.out == ""
    assert not ledger.accounts().items
