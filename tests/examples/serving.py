"""A real server process of the example adapter, and a client that knows both dialects."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {name: secrets.token_hex(32) for name in ("ADMIN_SECRET", "JWT_SECRET", "WEBHOOK_SECRET")}
ADMIN = {"Authorization": f"Bearer {SECRETS['ADMIN_SECRET']}"}
GATEWAY = {"X-Webhook-Secret": SECRETS["WEBHOOK_SECRET"]}
PATIENCE = 60.0

_ANNOUNCED = re.compile(r"running on (http://127\.0\.0\.1:[0-9]+)")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment of a server: its settings, and none that this process happens to have."""
    ours = re.compile(r"PLUCT_|DATABASE_URL$|[A-Z]+_SECRET$")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}


def command(port: int = 0) -> list[str]:
    """What `make serve` runs; port 0 is any that is free."""
    app = "examples.fastapi_app.app:create_app"
    return [sys.executable, "-m", "uvicorn", app, "--factory", "--host", "127.0.0.1", "--port", str(port)]


@contextmanager
def serving(log: Path, settings: dict[str, str], folder: Path = ROOT) -> Iterator[str]:
    """Run a server in a folder, and yield its address once it listens; what it says goes into `log`."""
    with log.open("w") as said:
        child = subprocess.Popen(
            command(), cwd=folder, env=environment({**SECRETS, **settings}), stdout=said, stderr=said
        )
    try:
        yield _address(child, log)
    finally:
        child.terminate()
        child.wait(PATIENCE)


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None and time.monotonic() < deadline:
        if found := _ANNOUNCED.search(log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the server does not start:\n{log.read_text()}")


def new_user(name: str = "user") -> str:
    """A name that no other test has."""
    return f"{name}-{uuid4().hex[:12]}"


@dataclass(frozen=True)
class Site:
    """A server as its clients know it.

    Attributes:
        dialect: ``envelope`` or ``flat``.
        database_url: where it keeps its books.
        log: the file that it writes to.
    """

    http: httpx.Client
    dialect: str
    database_url: str
    log: Path

    @property
    def enveloped(self) -> bool:
        return self.dialect == "envelope"

    @property
    def insufficient(self) -> int:
        return 402 if self.enveloped else 403

    def post(self, path: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        """Send a JSON object."""
        return self.http.post(path, json=members, headers=headers)

    def content(self, response: httpx.Response) -> Any:
        """What a success says, out of its envelope; asserts that it is one of this dialect."""
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        answer = response.json()
        if not self.enveloped:
            return answer
        assert set(answer) == {"success", "data", "timestamp"}
        assert answer["success"] is True
        assert_instant(answer["timestamp"])
        return answer["data"]

    def moved(self, response: httpx.Response) -> dict[str, Any]:
        """What a success says that tells of it by ``success``, without that."""
        content: dict[str, Any] = dict(self.content(response))
        if not self.enveloped:
            assert content.pop("success") is True
        assert "success" not in content
        return content

    def refused(self, response: httpx.Response, status: int, text: str | None = None) -> dict[str, Any]:
        """What a refusal says; asserts that it is one of this dialect with this status and text."""
        assert response.status_code == status, response.text
        answer: dict[str, Any] = response.json()
        assert text is None or answer["error"] == text
        if not self.enveloped:
            assert set(answer) == {"error"}
            return answer
        assert answer["code"] == answer["status"] == status
        assert answer["detail"] == answer["error"]
        assert set(answer) == {"error", "code", "type", "title", "status", "detail", "errorCode"}
        return answer

    def user(self, initial: int = 0) -> str:
        """Make a user."""
        name = new_user()
        self.moved(self.post("/user/create", userId=name, initialCredits=initial))
        return name

    def balance(self, user: str) -> int:
        """A user's balance."""
        balance: int = self.content(self.http.get(f"/user/{user}/balance"))["balance"]
        return balance

    def transactions(self, user: str) -> list[dict[str, Any]]:
        """A user's newest hundred entries."""
        answer = self.content(self.http.get(f"/user/{user}/transactions", params={"limit": 100}))
        shown: list[dict[str, Any]] = answer["transactions"]
        return shown

    def api_key(self, description: str = "Partner") -> tuple[str, str]:
        """Make an API key; return its secret and its id."""
        made = self.content(self.post("/admin/api-keys/create", ADMIN, description=description))
        return made["apiKey"], made["id"]


@contextmanager
def open_site(folder: Path, dialect: str, database_url: str | None = None, **settings: str) -> Iterator[Site]:
    """Run a server in a dialect, on an SQLite file of its own unless said."""
    url = database_url or f"sqlite:///{folder / 'site.db'}"
    log = folder / f"{dialect}.log"
    with (
        serving(log, {"DATABASE_URL": url, "PLUCT_DIALECT": dialect, **settings}) as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as http,
    ):
        yield Site(http, dialect, url, log)


def assert_instant(text: str) -> None:
    """Assert that it is ISO 8601 in UTC, with milliseconds and Z."""
    assert _INSTANT.fullmatch(text), text
