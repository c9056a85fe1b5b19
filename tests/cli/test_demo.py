"""The demo: its story step by step, and its end where the books are wrong."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from pluct_ledger import Ledger
from pluct_ledger.cli import demo
from tests.cli.calls import EXPORT, Call, on_terminal

STEPS = [
    "1. The tables",
    "2. Moving in from the old service",
    "3. A partner adds credit",
    "4. Tokens that cost credit",
    "5. The books",
    "6. The proof",
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the demo prints into a pipe, told once for all tests of its story."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        screen = on_terminal(["demo"], {}, width=80, height=200)
        story = screen.end()
        assert screen.process.returncode == 0, story
    return story.splitlines()


def step(told: list[str], number: int) -> str:
    """The text of one step."""
    start = told.index(STEPS[number - 1])
    end = told.index(STEPS[number]) if number < len(STEPS) else len(told)
    return "\n".join(line.rstrip() for line in told[start + 1 : end])


def test_the_steps_stand_in_order(told: list[str]) -> None:
    """The demo tells its six steps, each under its title."""
    assert [line for line in told if re.match(r"\d\. ", line)] == STEPS


def test_the_story_fits_the_terminal(told: list[str]) -> None:
    """No line of the demo is wider than a terminal of 80 columns."""
    assert max(len(line) for line in told) <= 80


def test_the_tables_are_made(told: list[str]) -> None:
    """The demo begins with the migrations, in a file that is gone afterwards."""
    assert "Migrated to revision 0001 in an SQLite file that is gone afterwards" in step(told, 1)


def test_the_export_is_moved_in(told: list[str]) -> None:
    """The demo imports the real export under a progress bar, and tells what it adjusted and that no row was lost."""
    moved = step(told, 2)
    assert re.search(r"Importing .*━.* 6280/6280", moved)
    assert re.search(r"5892 entries of 388 users in [\d.]+ seconds\.", moved)
    assert re.search(r"adjustments +44 +0", moved)
    assert re.search(r"racer +-100 +\+106 +6\n", moved)
    assert "and 34 more" in moved
    assert "Every row of the export was taken as it stands there." in moved
    assert "All 388 users have the balance that they saw in the old service." in moved
    assert "Partner A VALID, Partner B VALID, Old partner REVOKED" in " ".join(moved.split())


def test_a_partner_adds_credit_once(told: list[str]) -> None:
    """A partner's key adds credit, and the same request again adds none."""
    partner = " ".join(step(told, 3).split())
    found = re.search(r"The partner gets API key (\w{12}); .* adds 3 for (\S+): (\d+) available\.", partner)
    assert found is not None
    assert f"The same request comes again: nothing moves, {found[3]} available." in partner
    assert "pluct_live_" not in partner


def test_tokens_are_sold_until_the_user_runs_dry(told: list[str]) -> None:
    """Every token that was sold is valid and costs one credit, the last request is refused, and so is a forgery."""
    sold = step(told, 4)
    left = [int(number) for number in re.findall(r"^[0-9a-f]{32}\.\d+ +VALID +(\d+)$", sold, re.MULTILINE)]
    assert left
    assert left == list(range(len(left)))[::-1]
    assert re.search(r"has run dry: 1 requested, 0 available\.", sold)
    assert "A token in which the owner was changed is refused: BAD_SIGNATURE." in sold


def test_balances_and_entries_are_shown(told: list[str]) -> None:
    """The demo shows balances, and the last entries with the tokens and the partner's credit among them."""
    books = step(told, 5)
    assert re.search(r"^owner +posted +issued +spent +adjusted +entries$", books, re.MULTILINE)
    assert re.search(r"^at +owner +kind +amount +posted +reason$", books, re.MULTILINE)
    assert re.search(r"api_add +\+3 ", books)
    assert re.search(r"spend +-1 ", books)


def test_the_books_are_proved(told: list[str]) -> None:
    """The demo ends with the verification of every entry, under a progress bar."""
    proof = step(told, 6)
    assert re.search(r"Verifying .*━.* (\d+)/\1 ", proof)
    assert re.search(r"The books balance: replayed \d+ entries of 388 accounts\.", proof)


def test_the_summary_is_json(run_here: Call) -> None:
    """Under --json the demo tells one object: what was imported, granted, sold, refused and verified, and no secret."""
    answer = run_here("demo", "--json")
    told = answer.json
    assert answer.err == ""
    assert told["import"]["accounts_opened"] == 388
    assert told["partner"]["repeated"]["replayed"] is True
    assert told["tokens"]["forged"]["code"] == "BAD_SIGNATURE"
    assert told["tokens"]["ran_dry"]["available"] == 0
    assert told["verified"]["ok"] is True
    assert "pluct_live_" not in answer.out
    assert "eyJ" not in answer.out


def test_the_demo_has_a_database_of_its_own(
    run_here: Call, small_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo opens no database that --url or DATABASE_URL name, and no file that is there already."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "production.db"
    file.write_bytes(b"")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("PLUCT_BOOK", "production")
    run_here("--url", f"sqlite:///{file}", "demo", "--export", str(small_export))
    assert "there already" in run_here("demo", "--keep", str(file), code=2).err
    assert file.read_bytes() == b""
    assert set(tmp_path.iterdir()) == {file, small_export}


def test_what_is_kept_can_be_looked_at(run_here: Call, small_export: Path, tmp_path: Path) -> None:
    """The option --keep leaves the demo's database in a new file, whatever its name, for other commands to work on."""
    file = tmp_path / "demo 100% kept?.db"
    run_here("demo", "--export", str(small_export), "--keep", str(file))
    with closing(sqlite3.connect(file)) as kept:
        assert kept.execute("SELECT count(*) FROM pluct_account").fetchone() == (2,)


def test_another_export_can_be_shown(run_here: Call, small_export: Path, tmp_path: Path) -> None:
    """The option --export names the folder of another export; one that lacks a file is a wrong argument."""
    assert "d1.sqlite" in run_here("demo", "--export", str(tmp_path), code=2).err
    (small_export / "kv-balances.json").write_text(json.dumps({"user:racer": "90", "user:bob": "x"}))
    told = run_here("demo", "--export", str(small_export)).out
    assert "the partner adds 3 for demo-user: 3 available." in told
    assert "1 skipped" in told


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "--json"]])
def test_books_that_do_not_balance_end_the_demo_with_an_error(
    run_here: Call, small_export: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Where a stored number was changed behind the ledger's back, the demo says which, and exits with 32."""
    show_books = demo._Story.books

    def corrupt(story: demo._Story, user: str) -> None:
        show_books(story, user)
        with story.ledger.desk.door.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE pluct_account SET posted = posted + 1, issued = issued + 1 WHERE owner = 'racer'"
                )
            )

    monkeypatch.setattr(demo._Story, "books", corrupt)
    answer = run_here(*arguments, "--export", str(small_export), code=32)
    if arguments == ["demo"]:
        assert "The books are wrong: " in answer.out
        assert "posted" in answer.out.split("The books are wrong")[1]
    else:
        assert answer.json["verified"]["ok"] is False


def test_a_claim_that_does_not_hold_ends_the_demo(
    run_here: Call, small_export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a step does not do what the demo claims, it says what does not hold, and exits with 32."""
    grant: Callable[..., object] = Ledger.grant

    def forgetful(ledger: Ledger, owner: str, amount: int, **options: object) -> object:
        return grant(ledger, owner, amount, **{**options, "idempotency_key": None})

    monkeypatch.setattr(Ledger, "grant", forgetful)
    answer = run_here("demo", "--export", str(small_export), code=32)
    assert "this does not hold: a repeated request moves nothing (corrupted)" in answer.err


def test_the_export_of_the_demo_is_in_the_checkout() -> None:
    """The real export stands where the demo looks for it."""
    assert demo._CHECKOUT / demo._EXPORT == EXPORT
    assert {"d1.sqlite", "kv-balances.json", "test-api-keys.json"} <= {file.name for file in EXPORT.iterdir()}
