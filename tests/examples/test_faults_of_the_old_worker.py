"""The faults of the service that this library replaces, each by name, and none of them here."""

from __future__ import annotations

import dataclasses
import hmac
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import create_engine

from examples.fastapi_app.app import create_app
from pluct_ledger import Ledger, SigningKeys, TokenVendor, sqlite
from pluct_ledger.models import Settings
from tests.examples.asking import ask
from tests.examples.serving import ADMIN, GATEWAY, SECRETS, Site, command, environment, new_user


def settings(folder: Path) -> Settings:
    return Settings.from_environment({**SECRETS, "DATABASE_URL": f"sqlite:///{folder / 'site.db'}"})


def test_fault_concurrent_vends_give_no_token_for_free(site: Site) -> None:
    """Fifty requests at once on a balance of ten get ten tokens, all different, and forty refusals."""
    user = site.user(10)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: site.post("/vend-token", userId=user), range(50)))
    sold = {site.content(answer)["token"] for answer in answers if answer.status_code == 200}
    refused = [answer for answer in answers if answer.status_code != 200]
    assert (len(sold), len(refused)) == (10, 40)
    for answer in refused:
        site.refused(answer, site.insufficient, "Insufficient credits")
    assert site.balance(user) == 0
    assert [entry["type"] for entry in site.transactions(user)] == ["spend"] * 10 + ["user_creation"]


def test_fault_concurrent_credits_lose_no_update(site: Site) -> None:
    """Credits that are added at once all count, whoever adds them."""
    user, key = new_user(), {"X-API-Key": site.api_key()[0]}
    doors = [("/add-credits", GATEWAY), ("/admin/credits/add", ADMIN), ("/v1/credits/add", key)] * 10
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda door: site.post(*door, userId=user, amount=7), doors))
    balances = sorted(site.moved(answer)["newBalance"] for answer in answers)
    assert balances == [7 * number for number in range(1, 31)]
    assert site.balance(user) == 210


def test_fault_success_at_balance_zero(site: Site) -> None:
    """Who has spent their last credit gets no success and no token, however often they ask."""
    user = site.user(1)
    site.content(site.post("/vend-token", userId=user))
    for _ in range(3):
        answer = site.post("/vend-token", userId=user)
        site.refused(answer, site.insufficient, "Insufficient credits")
        assert "token" not in answer.json()
    assert site.balance(user) == 0


def test_fault_another_user_with_the_same_request_id_gets_their_own_token(site: Site) -> None:
    """A request id that two users happen to share gives each of them a token of their own, for their own credit."""
    users = [site.user(2), site.user(2)]
    headers = {"X-Client-Request-Id": "1"}
    tokens = [site.content(site.post("/vend-token", headers, userId=user))["token"] for user in users]
    owners = [site.content(site.post("/validate-token", token=token))["userId"] for token in tokens]
    assert owners == users
    assert [site.balance(user) for user in users] == [1, 1]


def test_fault_an_error_is_answered_after_the_credit_was_moved(site: Site) -> None:
    """Credit that was added is told as a success, so that nobody adds it a second time."""
    user = new_user()
    answer = site.post("/admin/credits/add", ADMIN, userId=user, amount=5)
    assert site.moved(answer)["newBalance"] == 5
    assert len(site.transactions(user)) == 1


def test_fault_credits_are_spent_before_signing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where signing fails, nothing was spent: the answer is an error, and the credit is all there."""
    app = create_app(settings(tmp_path))
    shop = app.state.shop
    shop.ledger.open_account("ada", initial=1)

    def fail(_message: bytes) -> NoReturn:
        raise RuntimeError("the key is out of reach")

    (key,) = SigningKeys.hs256(SECRETS["JWT_SECRET"])
    broken = SigningKeys._of(dataclasses.replace(key, _sign=fail))
    app.state.shop = dataclasses.replace(shop, vendor=TokenVendor(shop.ledger, keys=broken))
    answer = ask(app, "POST", "/vend-token", json={"userId": "ada"})
    assert answer.status_code == 500
    assert answer.json()["error"] == "Internal server error"
    assert (shop.ledger.balance("ada").available, shop.ledger.account("ada").entry_count) == (1, 1)
    shop.engine.dispose()


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("unset", ["absent", "empty"])
def test_fault_unset_secret_starts_a_server(name: str, unset: str, tmp_path: Path) -> None:
    """A secret that is not set, or is empty, starts no server, and is named."""
    others = {other: secret for other, secret in SECRETS.items() if other != name}
    done = subprocess.run(
        command(),
        env=environment(others if unset == "absent" else {**others, name: ""}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert f"{name} is required" in done.stderr


def test_fault_unset_secret_matches_absent_header(site: Site) -> None:
    """An absent or empty header, or what a client makes of a variable that is not set, matches no secret."""
    for absent in ("", "undefined", "null", "None", "Bearer undefined", "Bearer null"):
        site.refused(site.http.get("/admin/users", headers={"Authorization": absent}), 401)
        site.refused(site.post("/add-credits", {"X-Webhook-Secret": absent}, userId="ada", amount=1), 401)
    site.refused(site.http.get("/admin/users"), 401, "Unauthorized")
    site.refused(site.post("/add-credits", userId="ada", amount=1), 401, "Unauthorized")


def test_fault_secrets_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each presented secret, right or wrong, long or short, goes through one comparison in constant time."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def watched(given: bytes, secret: bytes) -> bool:
        compared.append((given, secret))
        return compare(given, secret)

    app = create_app(settings(tmp_path))
    monkeypatch.setattr("examples.fastapi_app.access.hmac.compare_digest", watched)
    for name in ("ADMIN_SECRET", "WEBHOOK_SECRET"):
        right = SECRETS[name]
        for given in (right, right[:-1], right + "x", "x" + right[1:], "x"):
            compared.clear()
            if name == "ADMIN_SECRET":
                answer = ask(app, "GET", "/admin/users", headers={"Authorization": f"Bearer {given}"})
            else:
                answer = ask(
                    app,
                    "POST",
                    "/add-credits",
                    headers={"X-Webhook-Secret": given},
                    json={"userId": "ada", "amount": 1},
                )
            assert answer.status_code == (200 if given == right else 401)
            assert compared == [(given.encode(), right.encode())]
    app.state.shop.engine.dispose()


def test_fault_expired_token_reported_as_bad_signature(site: Site) -> None:
    """A well-signed token that has expired is called just that, and one that was tampered with is not."""
    engine = sqlite.configure(create_engine(site.database_url))
    long_ago = Ledger(engine, clock=lambda: datetime.now(UTC) - timedelta(hours=1))
    vendor = TokenVendor(long_ago, keys=SigningKeys.hs256(SECRETS["JWT_SECRET"]))
    user = new_user()
    long_ago.grant(user, 1)
    token = vendor.vend(user).token
    engine.dispose()

    content = site.content(site.post("/validate-token", token=token))
    assert content == {
        "valid": False,
        "reason": "Token expired",
        **({"errorCode": "EXPIRED"} if site.enveloped else {}),
    }
    head, claims, signature = token.split(".")
    forged = f"{head}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    content = site.content(site.post("/validate-token", token=forged))
    assert (content["valid"], content["reason"]) == (False, "Invalid token signature")
