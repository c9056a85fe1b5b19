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
    assert owners == ["Zoë 日本", "ada", "racer"]
    assert run_here("account", "ada", "--json").json["posted"] == 4
    assert len(run_here("entries", "ada").out.splitlines()) == 5
    assert run_here("verify", "--json").json["accounts"] == 3
