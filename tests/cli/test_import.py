"""Moving in by the command line: the report for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pluct_ledger import ApiKeyRegistry, Ledger
from tests.cli.calls import EXPORT, Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="tests/importing goes everywhere; this is how it is called and told"
)

DUMP = """
CREATE TABLE transactions (id TEXT PRIMARY KEY, user_id TEXT, type TEXT, amount INTEGER, timestamp TEXT, reason TEXT);
CREATE TABLE api_keys (id TEXT PRIMARY KEY, key_hash TEXT, description TEXT, created_at TEXT, status TEXT);
INSERT INTO transactions VALUES
  ('t1', 'ada', 'user_creation', 10, '2024-01-01T09:00:00.000Z', 'User account creation'),
  ('t2', 'ada', 'spend', 1, '2024-01-02 08:30:00', ''),
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """An export with fifteen rows that cannot be taken."""
    rows = (
        f"  ('b{number}', 'ada', 'spend', 'much', '2024-01-03T00:00:00.000Z', '')" for number in range(15)
    )
    file = tmp_path / "d1.sql"
    file.write_text(DUMP + ",\n".join(rows) + ";\n")
    return file


def test_the_real_export_is_told_on_a_page(cli: Call, ledger: Ledger) -> None:
    """What was moved in is counted, and of the adjusted balances the largest are shown with their numbers."""
    answer = cli("import", "d1", str(EXPORT / "d1.sqlite"), "--kv-balances", str(EXPORT / "kv-balances.json"))

    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert lines[:5] == [
        "moved in new there before",
        "accounts 388 0",
        "entries 5892 0",
        "adjustments 44 0",
        "API keys 6 0",
    ]
    assert "owner history adjusted balance" in lines
    assert "racer -100 +106 6" in lines
    assert "and 34 more; --json tells all" in lines
    assert lines[-1] == "Every row of the export was taken as it stands there."
    assert len(lines) < 30
    assert answer.err == ""
    seen = json.loads((EXPORT / "kv-balances.json").read_text())
    assert all(ledger.balance(key.removeprefix("user:")).posted == int(seen[key]) for key in seen)


def test_the_second_time_all_is_there_before(cli: Call, database_url: str) -> None:
    """A second run changes nothing, and says so by its counts."""
    arguments = ["import", "d1", str(EXPORT / "d1.sqlite"), "--kv-balances", str(EXPORT / "kv-balances.json")]
    cli(*arguments)
    lines = [" ".join(line.split()) for line in cli(*arguments).out.splitlines()]
    assert lines[1:5] == ["accounts 0 388", "entries 0 5892", "adjustments 0 44", "API keys 0 6"]
    assert not any("history" in line for line in lines)
    report = cli(*arguments, "--json").json
    assert (report["entries_written"], report["entries_already_there"]) == (0, 5892)


def test_old_keys_verify_after_the_command(cli: Call, ledger: Ledger) -> None:
    """The command brings the old API keys in, the active ones active and the revoked one revoked."""
    cli("import", "d1", str(EXPORT / "d1.sqlite"))
    secrets = json.loads((EXPORT / "test-api-keys.json").read_text())
    registry = ApiKeyRegistry(ledger.desk.door.engine)
    assert [registry.verify(secret).valid for secret in secrets] == [True, True, False]


def test_what_was_repaired_is_told_readably_and_whole(cli: Call, broken: Path) -> None:
    """People see how much was repaired and skipped and the first of it, skipped rows first; JSON has every row."""
    answer = cli("import", "d1", str(broken))
    assert "Not everything could be taken as it stands there: 15 skipped, 1 repaired." in answer.out
    shown = [line for line in answer.out.splitlines() if line.startswith("transactions row")]
    assert len(shown) == 10
    assert all("'much'" in line for line in shown)
    assert answer.out.endswith("and 6 more; --json tells all\n")

    repairs = cli("import", "d1", str(broken), "--json").json["repairs"]
    assert len(repairs) == 16
    assert {repair["what"] for repair in repairs} == {"skipped", "repaired"}


def test_a_history_that_ends_below_zero_is_told_without_balances(cli: Call, tmp_path: Path) -> None:
    """Without the balances of KV, what was carried to zero is told as an adjustment."""
    file = tmp_path / "d1.sql"
    file.write_text(DUMP + "  ('t3', 'ada', 'spend', 12, '2024-01-03T00:00:00.000Z', '');\n")
    lines = [" ".join(line.split()) for line in cli("import", "d1", str(file)).out.splitlines()]
    assert (
        "Balances that differed from their history, and were adjusted: 1 (1 up by 3 in all, 0 down by 0)."
        in lines
    )
    assert "ada -3 +3 0" in lines


@pytest.mark.parametrize(("which", "argument"), [("export", "export"), ("balances", "kv_balances")])
def test_a_file_that_cannot_be_read_changes_nothing(
    cli: Call, ledger: Ledger, tmp_path: Path, which: str, argument: str
) -> None:
    """A file that is missing, or is not what it is named as, is a wrong argument, and nothing is written."""
    wrong = tmp_path / "wrong"
    export = str(wrong if which == "export" else EXPORT / "d1.sqlite")
    balances = ["--kv-balances", str(wrong)] if which == "balances" else []
    for content in (None, "nonsense"):
        if content is not None:
            wrong.write_text(content)
        assert cli("import", "d1", export, *balances, "--json", code=2).error["argument"] == argument
    assert not ledger.accounts().items
