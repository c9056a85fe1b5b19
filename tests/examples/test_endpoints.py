"""Each endpoint of the contract, in both dialects, asked of a running server."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

import pluct_ledger
from tests.examples.serving import ADMIN, GATEWAY, Site, assert_instant, new_user

ENDPOINTS = {
    "GET /",
    "GET /health",
    "GET /.well-known/jwks.json",
    "POST /user/create",
    "GET /user/{userId}/balance",
    "GET /user/{userId}/transactions",
    "POST /validate-token",
    "POST /vend-token",
    "POST /add-credits",
    "GET /admin/users",
    "GET /admin/transactions",
    "POST /admin/credits/add",
    "POST /admin/api-keys/create",
    "GET /admin/api-keys",
    "POST /admin/api-keys/{key_id}/revoke",
    "POST /v1/credits/add",
}
ADMIN_ENDPOINTS = [
    ("GET", "/admin/users"),
    ("GET", "/admin/transactions"),
    ("POST", "/admin/credits/add"),
    ("POST", "/admin/api-keys/create"),
    ("GET", "/admin/api-keys"),
    ("POST", "/admin/api-keys/some-id/revoke"),
]
NO_ADMIN = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer wrong"},
    {"Authorization": ADMIN["Authorization"].removeprefix("Bearer ")},
    {"Authorization": ADMIN["Authorization"] + "x"},
    {"Authorization": ADMIN["Authorization"][:-1]},
    {"Authorization": ADMIN["Authorization"].replace("Bearer", "Basic")},
    {"Authorization": b"Bearer \xff\xfe"},
    {"X-Webhook-Secret": GATEWAY["X-Webhook-Secret"]},
]
NOT_IDS = ["", "%20", "a'b", 'a"b', "a%5Cb", "a;b", "%00", "x" * 101, quote("€" * 100)]


def next_of(response: httpx.Response) -> str | None:
    """Where the Link of a list leads on to."""
    link = response.headers.get("link")
    if link is None:
        return None
    found = re.fullmatch(r'<(\?[!-~]+)>; rel="next"', link)
    assert found, link
    return str(response.url.join(found[1]))


def test_welcome_tells_what_there_is(site: Site) -> None:
    """The root tells programs every endpoint and how to present each secret."""
    content = site.content(site.http.get("/"))
    assert set(content) == {"message", "version", "description", "endpoints", "authentication"}
    assert set(content["endpoints"]) == ENDPOINTS
    assert content["version"] == pluct_ledger.__version__


def test_browsers_get_a_page(site: Site) -> None:
    """A browser, which asks for HTML, gets a page that names every endpoint."""
    response = site.http.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert all(endpoint in response.text for endpoint in ENDPOINTS)


def test_health_is_flat_in_both_dialects(site: Site) -> None:
    """Health is the same object in both dialects."""
    response = site.http.get("/health")
    assert response.status_code == 200
    content = response.json()
    assert set(content) == {"status", "timestamp", "version", "endpoints"}
    assert content["status"] == "healthy"
    assert_instant(content["timestamp"])


def test_a_secret_has_no_public_key(site: Site) -> None:
    """Where a secret signs, the set of public keys is empty."""
    assert site.http.get("/.well-known/jwks.json").json() == {"keys": []}


def test_a_user_is_created(site: Site) -> None:
    """A new user has the credits asked for, by an entry that says so."""
    user = new_user()
    content = site.moved(site.post("/user/create", userId=user, initialCredits=5))
    assert content == {"userId": user, "initialBalance": 5, "message": "User created successfully"}
    (entry,) = site.transactions(user)
    assert (entry["type"], entry["amount"], entry["reason"]) == ("user_creation", 5, "User account creation")


def test_a_user_without_credits_has_no_entry(site: Site) -> None:
    """Nothing is written about a user who begins with nothing."""
    user = new_user()
    assert site.moved(site.post("/user/create", userId=user))["initialBalance"] == 0
    assert (site.balance(user), site.transactions(user)) == (0, [])
    site.refused(site.post("/user/create", userId=user), 409, "User already exists")


def test_a_user_is_created_once(site: Site) -> None:
    """A user who exists is not created again, and keeps what they have."""
    user = site.user(3)
    site.refused(site.post("/user/create", userId=user, initialCredits=9), 409, "User already exists")
    assert site.balance(user) == 3


def test_the_balance_of_a_user(site: Site) -> None:
    """A balance names its user and its instant."""
    user = site.user(4)
    content = site.content(site.http.get(f"/user/{user}/balance"))
    assert set(content) == {"userId", "balance", "timestamp"}
    assert (content["userId"], content["balance"]) == (user, 4)
    assert_instant(content["timestamp"])


def test_an_unknown_user_has_nothing(site: Site) -> None:
    """Who is not known has a balance of 0 and no entries."""
    user = new_user()
    assert site.content(site.http.get(f"/user/{user}/balance"))["balance"] == 0
    assert site.content(site.http.get(f"/user/{user}/transactions"))["count"] == 0


@pytest.mark.parametrize("what", ["balance", "transactions"])
@pytest.mark.parametrize("user", NOT_IDS)
def test_a_path_names_a_user_or_is_refused(site: Site, user: str, what: str) -> None:
    """What cannot be a user's id is refused in a path."""
    site.refused(site.http.get(f"/user/{user}/{what}"), 400, "Valid user ID is required")


@pytest.mark.parametrize(
    "user", ["Ångström", "日本", "a b", "mobile+tag@example.com", "a/b", "a%b", "-" * 100]
)
def test_any_other_text_is_a_user(site: Site, user: str) -> None:
    """An id may hold any character that the contract does not exclude, in a path and in a body."""
    name = (new_user() + user)[-100:] if len(user) < 100 else user
    site.moved(site.post("/add-credits", GATEWAY, userId=name, amount=2))
    content = site.content(site.http.get(f"/user/{quote(name, safe='')}/balance"))
    assert content["userId"] == name
    assert content["balance"] >= 2


def test_the_transactions_of_a_user(site: Site) -> None:
    """A user's entries come newest first, with their magnitude, and in the envelope with their signed change."""
    user = site.user(2)
    site.content(site.post("/vend-token", userId=user))
    content = site.content(site.http.get(f"/user/{user}/transactions"))
    assert set(content) == {"userId", "transactions", "count", "timestamp"}
    assert (content["userId"], content["count"]) == (user, 2)
    newest, oldest = content["transactions"]
    expected = {"id", "user_id", "type", "amount", "timestamp", "reason"}
    assert set(newest) == expected | ({"change"} if site.enveloped else set())
    assert newest["user_id"] == user
    assert (newest["type"], newest["amount"], newest["reason"]) == ("spend", 1, "")
    assert (oldest["type"], oldest["amount"]) == ("user_creation", 2)
    assert newest.get("change", -1) == -1
    assert_instant(newest["timestamp"])


def test_a_list_is_walked_by_its_links(site: Site) -> None:
    """The Link of each page leads to the next one, and the last has none."""
    user = site.user(7)
    for _ in range(6):
        site.content(site.post("/vend-token", userId=user))
    seen: list[str] = []
    following: str | None = f"/user/{user}/transactions?limit=3"
    sizes = []
    while following is not None:
        response = site.http.get(following)
        page = site.content(response)["transactions"]
        sizes.append(len(page))
        seen += [entry["id"] for entry in page]
        following = next_of(response)
    assert sizes == [3, 3, 1]
    assert seen == [entry["id"] for entry in site.transactions(user)]


def test_a_limit_above_the_maximum_is_clamped(site: Site) -> None:
    """Asked for more than a page holds, a list gives a whole page."""
    user = new_user()
    for amount in range(1, 103):
        site.moved(site.post("/add-credits", GATEWAY, userId=user, amount=amount))
    for limit, count in (("100", 100), ("101", 100), ("9" * 30, 100), ("007", 7)):
        content = site.content(site.http.get(f"/user/{user}/transactions", params={"limit": limit}))
        assert content["count"] == count
    assert site.content(site.http.get(f"/user/{user}/transactions"))["count"] == 50


@pytest.mark.parametrize(
    "path", ["/user/ada/transactions", "/admin/users", "/admin/transactions", "/admin/api-keys"]
)
@pytest.mark.parametrize("limit", ["abc", "", "0", "00", "-1", "1.5", "1e3", "\u0661", " 5", "9" * 50 + "x"])
def test_a_limit_that_is_no_number_is_refused(site: Site, path: str, limit: str) -> None:
    """A limit is a whole number from 1, or the request is refused."""
    response = site.http.get(path, params={"limit": limit}, headers=ADMIN)
    site.refused(response, 400, "limit must be a whole number from 1")


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/user/ada/transactions", "before"),
        ("/admin/transactions", "before"),
        ("/admin/api-keys", "after"),
        ("/admin/users", "after"),
    ],
)
def test_a_cursor_that_is_none_is_refused(site: Site, path: str, cursor: str) -> None:
    """What no list gave is no cursor of it."""
    site.refused(site.http.get(path, params={cursor: "\0nonsense"}, headers=ADMIN), 400)


def test_a_token_is_sold(site: Site) -> None:
    """A token costs one credit, and is good."""
    user = site.user(3)
    sold = site.content(site.post("/vend-token", userId=user))
    assert set(sold) == ({"token", "expiresAt", "balanceAfter"} if site.enveloped else {"token"})
    assert sold.get("balanceAfter", 2) == 2
    assert site.balance(user) == 2
    content = site.content(site.post("/validate-token", token=sold["token"]))
    assert set(content) == {"valid", "userId", "expiresAt"}
    assert (content["valid"], content["userId"]) == (True, user)
    assert_instant(content["expiresAt"])
    assert content["expiresAt"] == sold.get("expiresAt", content["expiresAt"])


@pytest.mark.parametrize("known", [True, False])
def test_no_credit_no_token(site: Site, known: bool) -> None:
    """Who has no credit, or is not known at all, gets no token."""
    user = site.user() if known else new_user()
    site.refused(site.post("/vend-token", userId=user), site.insufficient, "Insufficient credits")


def test_a_forged_token_is_told_from_a_good_one(site: Site) -> None:
    """Whatever was not signed here has an invalid signature; the envelope says more exactly why."""
    token = site.content(site.post("/vend-token", userId=site.user(1)))["token"]
    head, claims, signature = token.split(".")
    swapped = ("A" if signature[0] != "A" else "B") + signature[1:]
    forged = {
        f"{head}.{claims}.{swapped}": "BAD_SIGNATURE",
        "nonsense": "MALFORMED",
        token + "=": "MALFORMED",
    }
    for text, code in forged.items():
        expected: dict[str, Any] = {"valid": False, "reason": "Invalid token signature"}
        if site.enveloped:
            expected["errorCode"] = code
        assert site.content(site.post("/validate-token", token=text)) == expected


def test_the_gateway_adds_credits(site: Site) -> None:
    """Credit that was paid for opens the account of a user who is not known yet."""
    user = new_user()
    response = site.post("/add-credits", GATEWAY, userId=user, amount=10_000)
    assert site.moved(response) == {"newBalance": 10_000}
    (entry,) = site.transactions(user)
    assert (entry["type"], entry["amount"], entry["reason"]) == ("add_webhook", 10_000, "Payment gateway")


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Webhook-Secret": ""}, {"X-Webhook-Secret": "wrong"}, ADMIN, {"X-Webhook-Secret": b"\xff"}],
)
def test_only_the_gateway_adds_paid_credits(site: Site, headers: dict[str, str]) -> None:
    """Without the gateway's secret nothing is added, whatever the body is."""
    user = new_user()
    site.refused(site.post("/add-credits", headers, userId=user, amount=5), 401, "Unauthorized")
    site.refused(site.http.post("/add-credits", headers=headers, content=b"{"), 401, "Unauthorized")
    assert site.transactions(user) == []


@pytest.mark.parametrize(("method", "path"), ADMIN_ENDPOINTS)
def test_only_the_admin_may(site: Site, method: str, path: str) -> None:
    """What is not exactly the admin's secret as a Bearer token is refused, before anything else is looked at."""
    for headers in NO_ADMIN:
        response = site.http.request(method, path, headers=headers)  # type: ignore[arg-type]  # bytes are allowed
        site.refused(response, 401, "Unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


def test_the_admin_adds_credits(site: Site) -> None:
    """Credit by hand has the reason that was given, or else the default one."""
    user = new_user()
    response = site.post("/admin/credits/add", ADMIN, userId=user, amount=7, reason="Goodwill")
    assert site.moved(response) == {"newBalance": 7, "message": f"Manually added 7 credits to {user}"}
    for reason in ({}, {"reason": ""}, {"reason": None}):
        site.moved(site.post("/admin/credits/add", ADMIN, userId=user, amount=1, **reason))
    told = [(entry["type"], entry["reason"]) for entry in site.transactions(user)]
    assert told == [("admin_add", "Manual credit addition by admin")] * 3 + [("admin_add", "Goodwill")]


def test_the_admin_sees_the_users(site: Site) -> None:
    """Every user with an entry is listed with their count, what they spent and what they have; nobody else is."""
    user, empty = site.user(5), site.user()
    site.content(site.post("/vend-token", userId=user))
    listed = {row["user_id"]: row for row in site.content(site.http.get("/admin/users", headers=ADMIN))}
    assert listed[user] == {
        "user_id": user,
        "transaction_count": 2,
        "total_spent": 1,
        "current_credits": 4,
    }
    assert empty not in listed


def test_the_list_of_users_is_walked_past_those_without_entries(site: Site) -> None:
    """Users without entries make no page shorter, and every page but the last leads on."""
    names = [new_user("~a") for _ in range(3)] + [new_user("~c") for _ in range(3)]
    for name in names:
        site.moved(site.post("/user/create", userId=name, initialCredits=1))
    for _ in range(7):
        site.moved(site.post("/user/create", userId=new_user("~b")))
    seen: list[str] = []
    following: str | None = "/admin/users?limit=2&after=~"
    while following is not None:
        response = site.http.get(following, headers=ADMIN)
        page = site.content(response)
        following = next_of(response)
        assert len(page) == 2 or following is None
        seen += [row["user_id"] for row in page]
    assert [name for name in seen if name in names] == sorted(names)
    assert not any(name.startswith("~b") for name in seen)


def test_the_admin_sees_all_transactions(site: Site) -> None:
    """The newest entries of everybody come first, and the list is walked by its links."""
    users = [site.user(1) for _ in range(3)]
    response = site.http.get("/admin/transactions", params={"limit": 2}, headers=ADMIN)
    first = site.content(response)
    following = next_of(response)
    assert following is not None
    second = site.content(site.http.get(following, headers=ADMIN))
    assert [row["user_id"] for row in (first + second)[:3]] == users[::-1]
    expected = {"id", "user_id", "type", "amount", "timestamp", "reason"}
    assert all(set(row) == expected | ({"change"} if site.enveloped else set()) for row in first)


def test_an_api_key_is_shown_once(site: Site) -> None:
    """A new key is told with its id, and listed ever after without it."""
    response = site.post("/admin/api-keys/create", ADMIN, description="Partner A")
    made = site.content(response)
    assert set(made) == {"message", "apiKey", "id"}
    assert made["message"] == (
        "API Key created successfully. This is the only time you will see the key. Store it securely."
    )
    listing = site.http.get("/admin/api-keys", headers=ADMIN)
    assert made["apiKey"] not in listing.text
    row = next(row for row in site.content(listing) if row["id"] == made["id"])
    assert_instant(row.pop("created_at"))
    assert row.pop("last_used_at", None) is None
    assert row == {"id": made["id"], "description": "Partner A", "status": "active"}


def test_a_partner_adds_credits(site: Site) -> None:
    """A partner's credit has the reason that was given, or else the default one."""
    secret, _ = site.api_key()
    user, key = new_user(), {"X-API-Key": secret}
    assert site.moved(site.post("/v1/credits/add", key, userId=user, amount=7, reason="Bonus")) == {
        "newBalance": 7
    }
    assert site.moved(site.post("/v1/credits/add", key, userId=user, amount=1)) == {"newBalance": 8}
    told = [(entry["type"], entry["reason"]) for entry in site.transactions(user)]
    assert told == [("api_add", "API key credit addition"), ("api_add", "Bonus")]


def test_a_partner_shows_a_key(site: Site) -> None:
    """Without a key a partner is not known; with one that is no key here, nothing is let through."""
    user = new_user()
    for headers in ({}, {"X-API-Key": ""}):
        site.refused(site.post("/v1/credits/add", headers, userId=user, amount=1), 401, "API Key is required")
    secret, _ = site.api_key()
    swapped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    for wrong in ("x", swapped, "pluct_api_" + "0" * 32, b"\xff\xfe"):
        headers = {"X-API-Key": wrong}  # type: ignore[dict-item]  # bytes are allowed
        response = site.post("/v1/credits/add", headers, userId=user, amount=1)
        site.refused(response, 403, "Invalid or revoked API Key")
    assert site.transactions(user) == []


def test_a_revoked_key_adds_nothing(site: Site) -> None:
    """From the next request on, a revoked key is refused; revoking it again changes nothing."""
    secret, key_id = site.api_key()
    user = new_user()
    site.moved(site.post("/v1/credits/add", {"X-API-Key": secret}, userId=user, amount=1))
    for _ in range(2):
        response = site.http.post(f"/admin/api-keys/{key_id}/revoke", headers=ADMIN)
        assert site.content(response) == {"message": "API key revoked successfully"}
    response = site.post("/v1/credits/add", {"X-API-Key": secret}, userId=user, amount=1)
    site.refused(response, 403, "Invalid or revoked API Key")
    listed = site.content(site.http.get("/admin/api-keys", headers=ADMIN))
    assert next(row["status"] for row in listed if row["id"] == key_id) == "revoked"
    assert site.balance(user) == 1


@pytest.mark.parametrize("key_id", ["000000000000", "x", "%00", "a b", "x" * 500])
def test_an_unknown_key_is_not_revoked(site: Site, key_id: str) -> None:
    """What is not the id of a key is not found."""
    response = site.http.post(f"/admin/api-keys/{key_id}/revoke", headers=ADMIN)
    site.refused(response, 404, "API key not found")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/health", 405)])
def test_what_there_is_not_is_refused_in_the_dialect(site: Site, method: str, path: str, status: int) -> None:
    """A route that is not there, or not for this method, is refused like everything else."""
    site.refused(site.http.request(method, path), status)


def test_a_slash_too_much_leads_nowhere(site: Site) -> None:
    """No route is found by another spelling, and nobody is sent elsewhere."""
    site.refused(site.http.post("/user/create/", json={"userId": new_user()}), 404)


def test_a_refusal_is_a_problem_for_who_asks(sites: dict[str, Site]) -> None:
    """In the envelope a refusal has the media type of RFC 9457 if that is asked for."""
    site = sites["envelope"]
    response = site.http.get("/nowhere", headers={"Accept": "application/problem+json"})
    assert response.headers["content-type"] == "application/problem+json"
    problem = site.refused(response, 404)
    assert (problem["type"], problem["title"]) == ("about:blank", "Not Found")
    assert problem["errorCode"] == "not_found"
    assert site.http.get("/nowhere").headers["content-type"] == "application/json"


def test_the_document_describes_every_endpoint(site: Site) -> None:
    """OpenAPI knows each endpoint with its answer, its body, its secrets and its refusals."""
    document = site.http.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert set(operations) == ENDPOINTS
    for name, operation in operations.items():
        assert {"200", "default"} <= set(operation["responses"]), name
        assert bool(operation.get("security")) == name.startswith(
            ("GET /admin", "POST /admin", "POST /v1", "POST /add-credits")
        ), name
        takes_body = name.startswith("POST") and not name.endswith("revoke")
        assert ("requestBody" in operation) is takes_body, name
    vend = operations["POST /vend-token"]
    assert vend["requestBody"]["content"]["application/json"]["schema"]["required"] == ["userId"]
    assert {"idempotency-key", "x-client-request-id"} == {one["name"] for one in vend["parameters"]}


def test_the_log_tells_no_secret(site: Site) -> None:
    """What the server writes down holds no secret, no key and no token."""
    secret, _ = site.api_key()
    user = site.user(1)
    token = site.content(site.post("/vend-token", userId=user))["token"]
    site.moved(site.post("/v1/credits/add", {"X-API-Key": secret}, userId=user, amount=1))
    site.content(site.post("/validate-token", token=token))
    site.moved(site.post("/admin/credits/add", {**ADMIN, **GATEWAY}, userId=user, amount=1))
    deadline = time.monotonic() + 10
    while "/admin/credits/add" not in (log := site.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "/admin/credits/add" in log
    for text in (secret, token, ADMIN["Authorization"][7:], GATEWAY["X-Webhook-Secret"]):
        assert text not in log
