"""A walk through the whole contract on the database servers; SQLite is under all other tests of this folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pluct_ledger import Ledger
from tests.examples.serving import ADMIN, GATEWAY, open_site


@pytest.mark.lanes("postgres", "mariadb", because="every other test of the adapter runs on SQLite")
@pytest.mark.parametrize("dialect", ["envelope", "flat"])
def test_a_walk_through_the_contract(engine: Engine, database_url: str, tmp_path: Path, dialect: str) -> None:
    """A user is created, paid for by all three doors, sold tokens until dry, and every list agrees with it."""
    with open_site(tmp_path, dialect, database_url) as site:
        assert site.http.get("/health").json()["status"] == "healthy"
        user, (secret, key_id) = site.user(1), site.api_key("Partner")
        partner = {"X-API-Key": secret, "Idempotency-Key": "gift"}
        assert site.moved(site.post("/add-credits", GATEWAY, userId=user, amount=2)) == {"newBalance": 3}
        added = site.moved(
            site.post("/admin/credits/add", ADMIN, userId=user, amount=3, reason="Gut gemacht, 日本")
        )
        assert added["newBalance"] == 6
        for _ in range(2):
            assert site.moved(site.post("/v1/credits/add", partner, userId=user, amount=4)) == {
                "newBalance": 10
            }
        site.refused(site.post("/v1/credits/add", partner, userId=user, amount=5), 422)

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: site.post("/vend-token", userId=user), range(20)))
        sold = [site.content(answer)["token"] for answer in answers if answer.status_code == 200]
        assert len(set(sold)) == 10
        for answer in answers:
            if answer.status_code != 200:
                site.refused(answer, site.insufficient, "Insufficient credits")
        assert site.content(site.post("/validate-token", token=sold[0]))["userId"] == user

        assert site.balance(user) == 0
        kinds = [entry["type"] for entry in site.transactions(user)]
        assert kinds == ["spend"] * 10 + ["api_add", "admin_add", "add_webhook", "user_creation"]
        assert site.content(site.http.get("/admin/users", headers=ADMIN)) == [
            {"user_id": user, "transaction_count": 14, "total_spent": 10, "current_credits": 0}
        ]
        everybody = site.content(site.http.get("/admin/transactions", headers=ADMIN))
        assert [entry["id"] for entry in everybody] == [entry["id"] for entry in site.transactions(user)]
        site.content(site.http.post(f"/admin/api-keys/{key_id}/revoke", headers=ADMIN))
        site.refused(site.post("/v1/credits/add", partner, userId=user, amount=4), 403)
    assert Ledger(engine).verify().ok
