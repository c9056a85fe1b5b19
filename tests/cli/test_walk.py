"""A short walk through the commands on every database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.cli.calls import Call


def test_the_commands_work_on_every_database(
    fresh_database: Callable[[], Engine],
    run_here: Call,
    jwt_secret: str,
    small_export: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From an empty database to books that balance, commands do the same on SQLite, PostgreSQL and MariaDB."""
    url = fresh_database().url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    if not url.startswith("sqlite"):
        assert "run pluct-ledger db upgrade" in run_here("accounts", code=33).err
    assert run_here("db", "upgrade", "--json").json == {"upgraded": ["0001"]}
    run_here("db", "check")

    run_here("open", "ada", "--initial", "10", "--metadata", '{"name": "Ada"}')
    run_here("grant", "Zoë 日本", "5", "--idempotency-key", "k")
    assert run_here("grant", "Zoë 日本", "5", "--idempotency-key", "k", "--json").json["replayed"]
    run_here("spend", "ada", "20", code=17)
    run_here("transfer", "ada", "Zoë 日本", "4")
    run_here("adjust", "ada", "-1", "--reason", "Counted twice")

    run_here("grant", "cleo", "20", "--expires-in", "30d", "--label", "Spring", "--granted-by", "marketing")
    hold = run_here("hold", "authorize", "cleo", "8", "--ttl", "15m", "--json").json["hold_id"]
    run_here("hold", "extend", hold, "--ttl", "1h")
    spend = run_here("hold", "capture", hold, "6", "--json").json["entry_id"]
    run_here("reverse", spend, "2")
    run_here("overdraft", "cleo", "unlimited")
    run_here("freeze", "cleo")
    run_here("spend", "cleo", "1", code=15)
    run_here("unfreeze", "cleo")
    assert run_here("grants", "cleo", "--json").json["items"][0]["posted"] == 16
    assert run_here("balance", "cleo", "--at", "3000-01-01T00:00:00Z", "--json").json["posted"] == 0
    assert "'Spring', granted by 'marketing'" in run_here("explain", spend).out
    assert "16 available" in run_here("explain-balance", "cleo").out
    month = ("2026-01-01T00:00:00Z", "3000-01-01T00:00:00Z")
    assert len(run_here("statement", "cleo", *month, "--csv").out.splitlines()) == 9
    assert run_here("maintenance", "--json").json["done"]

    token = run_here("token", "vend", "ada").out
    assert run_here("token", "validate", "--json", stdin=token).json["owner"] == "ada"

    run_here("key", "create", "Partner A")
    (key,) = run_here("key", "list", "--json").json["items"]
    run_here("key", "revoke", key["key_id"])

    export = [
        "import",
        "d1",
        str(small_export / "d1.sqlite"),
        "--kv-balances",
        str(small_export / "kv-balances.json"),
    ]
    assert run_here(*export, "--json").json["entries_written"] == 3
    assert run_here(*export, "--json").json["entries_already_there"] == 3
    owners = [one["owner"] for one in run_here("accounts", "--json").json["items"]]
    assert owners == ["Zoë 日本", "ada", "cleo", "racer"]
    assert run_here("account", "ada", "--json").json["posted"] == 4
    assert len(run_here("entries", "ada").out.splitlines()) == 5
    assert run_here("verify", "--json").json["accounts"] == 4
