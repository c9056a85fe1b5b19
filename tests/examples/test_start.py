"""How the example adapter starts, or says why it does not."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pluct_ledger import errors
from pluct_ledger.models import Settings
from tests.examples.serving import ROOT, SECRETS, command, environment, open_site, serving

SETTINGS_EXPLAINED = ROOT / ".env.example"
WRONG = {
    "ADMIN_SECRET short": ({"ADMIN_SECRET": "short"}, "ADMIN_SECRET: needs at least 16 characters"),
    "WEBHOOK_SECRET short": ({"WEBHOOK_SECRET": "x" * 15}, "WEBHOOK_SECRET: needs at least 16 characters"),
    "JWT_SECRET short": ({"JWT_SECRET": secrets.token_hex(15)}, "JWT_SECRET: at least 32 bytes"),
    "well-known": ({"ADMIN_SECRET": "your-admin-secret-here"}, "ADMIN_SECRET: is well-known"),
    "well-known JWT": ({"JWT_SECRET": "your-256-bit-secret-your-256-bit-secret"}, "JWT_SECRET: well-known"),
    "two at once": ({"ADMIN_SECRET": "", "PLUCT_DIALECT": "soap"}, "ADMIN_SECRET is required; PLUCT_DIALECT"),
    "cost": ({"PLUCT_TOKEN_COST": "0"}, "PLUCT_TOKEN_COST"),
    "lifetime": ({"PLUCT_TOKEN_TTL": "1.5"}, "PLUCT_TOKEN_TTL"),
    "maximum": ({"PLUCT_MAX_AMOUNT": "many"}, "PLUCT_MAX_AMOUNT"),
    "book": ({"PLUCT_BOOK": "x" * 65}, "book: at most 64 bytes"),
    "no URL": ({"DATABASE_URL": "nonsense-0815"}, "DATABASE_URL is no URL"),
    "no driver": ({"DATABASE_URL": "mysql+mysqldb://u:geheim-0815@h/d"}, "DATABASE_URL needs the package"),
    "no folder": ({"DATABASE_URL": "sqlite:////nowhere-0815/site.db"}, "DATABASE_URL: unable to open"),
    "nobody there": (
        {"DATABASE_URL": "postgresql+psycopg://u:geheim-0815@127.0.0.1:1/d"},
        "DATABASE_URL: connection failed",
    ),
}


@pytest.mark.parametrize(("settings", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_starts_no_server(settings: dict[str, str], message: str, tmp_path: Path) -> None:
    """A server with a wrong setting ends at once, names the setting, and repeats no secret."""
    done = subprocess.run(
        command(),
        env=environment({**SECRETS, **settings}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "The application cannot start: " in said
    assert message in said
    assert "Traceback" not in said
    for name, value in {**SECRETS, **settings}.items():
        if value and name.endswith(("_SECRET", "_URL")):
            assert value not in said
    assert "geheim" not in said


def test_make_starts_what_the_tests_start() -> None:
    """The command of `make serve` is the one under test."""
    done = subprocess.run(
        ["make", "--dry-run", "serve", "PORT=8787", "ADAPTER=fastapi"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert " ".join(command(8787)[1:]) in done.stdout


def test_the_file_of_settings_names_them_all() -> None:
    """Every setting stands in `.env.example`, the required ones empty, the others with their defaults."""
    text = SETTINGS_EXPLAINED.read_text()
    defaults = Settings.from_environment(SECRETS)
    for name, field in Settings.model_fields.items():
        if field.is_required():
            assert f"\n{field.alias}=\n" in text
        else:
            value = getattr(defaults, name)
            shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
            assert f"\n#{field.alias}={shown}\n" in text


def test_an_empty_secret_of_the_file_starts_nothing() -> None:
    """Who copies `.env.example` and fills nothing in is told of every secret."""
    lines = [line for line in SETTINGS_EXPLAINED.read_text().splitlines() if "=" in line and line[0] != "#"]
    with pytest.raises(errors.InvalidArgument) as caught:
        Settings.from_environment(dict(line.split("=", 1) for line in lines))
    assert all(f"{name} is required" in str(caught.value) for name in SECRETS)


def test_the_settings_hold(tmp_path: Path) -> None:
    """Cost, lifetime, largest amount and book are those of the environment."""
    settings = {
        "PLUCT_TOKEN_COST": "3",
        "PLUCT_TOKEN_TTL": "3600",
        "PLUCT_MAX_AMOUNT": "20",
        "PLUCT_BOOK": "partner",
    }
    with open_site(tmp_path, "envelope", **settings) as site:
        user = site.user(20)
        response = site.post("/user/create", userId="rich", initialCredits=21)
        site.refused(response, 400, "Valid initial credits between 0 and 20 are required")
        sold = site.content(site.post("/vend-token", userId=user))
        assert sold["balanceAfter"] == 17
        assert sold["expiresAt"] > site.http.get("/health").json()["timestamp"]
    with open_site(tmp_path, "envelope") as other:
        assert other.balance(user) == 0
        content = other.content(other.post("/validate-token", token=sold["token"]))
        assert (content["valid"], content["errorCode"]) == (False, "WRONG_BOOK")


def test_what_was_sold_outlives_the_server(tmp_path: Path) -> None:
    """A server that starts again finds its books and its keys, and gives the same token for the same request."""
    key = {"Idempotency-Key": "request-1"}
    with open_site(tmp_path, "envelope") as site:
        user, (secret, _) = site.user(2), site.api_key()
        sold = site.content(site.post("/vend-token", key, userId=user))
    with open_site(tmp_path, "flat") as again:
        assert again.balance(user) == 1
        assert again.content(again.post("/vend-token", key, userId=user))["token"] == sold["token"]
        again.moved(again.post("/v1/credits/add", {"X-API-Key": secret}, userId=user, amount=1))


def test_a_private_key_signs_where_others_can_check(tmp_path: Path) -> None:
    """With an Ed25519 key, the public half is published, and tokens name it."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with open_site(tmp_path, "flat", JWT_SECRET=pem.decode()) as site:
        (key,) = site.http.get("/.well-known/jwks.json").json()["keys"]
        assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
        assert "d" not in key
        token = site.content(site.post("/vend-token", userId=site.user(1)))["token"]
        assert site.content(site.post("/validate-token", token=token))["valid"] is True


def test_the_default_is_a_file_in_the_folder(tmp_path: Path) -> None:
    """Without DATABASE_URL the books are an SQLite file where the server runs."""
    assert Settings.from_environment(SECRETS).database_url.get_secret_value() == "sqlite:///pluct-ledger.db"
    with serving(tmp_path / "log", {}, folder=tmp_path):
        assert (tmp_path / "pluct-ledger.db").exists()
