"""A request that is repeated under its key moves nothing, and gets the same answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.examples.serving import ADMIN, GATEWAY, Site, new_user

MOVING = ("/user/create", "/vend-token", "/add-credits", "/admin/credits/add", "/v1/credits/add")
KEY_HEADERS = ("Idempotency-Key", "X-Client-Request-Id")
MISMATCH = "This idempotency key was used for another request"


def headers_of(site: Site, path: str) -> dict[str, str]:
    """What the path is to be shown."""
    if path.startswith("/v1"):
        return {"X-API-Key": site.api_key()[0]}
    return {"/add-credits": GATEWAY, "/admin/credits/add": ADMIN}.get(path, {})


def body_of(site: Site, path: str) -> dict[str, Any]:
    """A body that the path accepts."""
    if path == "/user/create":
        return {"userId": new_user(), "initialCredits": 5}
    user = site.user(5)
    return {"userId": user} if path == "/vend-token" else {"userId": user, "amount": 5}


@pytest.mark.parametrize("header", KEY_HEADERS)
@pytest.mark.parametrize("path", MOVING)
def test_a_repeat_moves_nothing(site: Site, path: str, header: str) -> None:
    """Under either header, a repeat has the first one's status and answer, also after more has happened."""
    headers, body = {**headers_of(site, path), header: "request-1"}, body_of(site, path)
    first = site.content(site.post(path, headers, **body))
    entries = site.transactions(body["userId"])
    assert site.content(site.post(path, headers, **body)) == first
    assert site.transactions(body["userId"]) == entries

    site.moved(site.post("/admin/credits/add", ADMIN, userId=body["userId"], amount=100))
    assert site.content(site.post(path, headers, **body)) == first
    assert len(site.transactions(body["userId"])) == len(entries) + 1


@pytest.mark.parametrize(
    ("path", "member"),
    [
        (path, "initialCredits" if path == "/user/create" else "amount")
        for path in MOVING
        if path != "/vend-token"
    ],
)
def test_another_body_under_the_same_key_is_refused(site: Site, path: str, member: str) -> None:
    """A key stands for one amount: another one is refused, and moves nothing."""
    headers, body = {**headers_of(site, path), "Idempotency-Key": "request-1"}, body_of(site, path)
    site.content(site.post(path, headers, **body))
    balance = site.balance(body["userId"])
    site.refused(site.post(path, headers, **{**body, member: 6}), 422, MISMATCH)
    assert site.balance(body["userId"]) == balance


def test_another_endpoint_under_the_same_key_is_refused(site: Site) -> None:
    """A key stands for one endpoint: at another one it is refused, and moves nothing."""
    user, key = site.user(5), {"Idempotency-Key": "request-1"}
    site.content(site.post("/vend-token", key, userId=user))
    for path in ("/add-credits", "/admin/credits/add", "/v1/credits/add"):
        response = site.post(path, {**headers_of(site, path), **key}, userId=user, amount=1)
        site.refused(response, 422, MISMATCH)
    assert site.balance(user) == 4


def test_a_key_belongs_to_its_user(site: Site) -> None:
    """Two users with the same key do not know of each other."""
    headers = {**GATEWAY, "Idempotency-Key": "request-1"}
    for user in (new_user(), new_user()):
        assert site.moved(site.post("/add-credits", headers, userId=user, amount=3)) == {"newBalance": 3}


def test_without_a_key_every_request_counts(site: Site) -> None:
    """A request that names no intent is another one each time."""
    user = new_user()
    for balance in (3, 6):
        assert site.moved(site.post("/add-credits", GATEWAY, userId=user, amount=3)) == {
            "newBalance": balance
        }


def test_a_refusal_is_not_remembered(site: Site) -> None:
    """A key whose request was refused is as good as new."""
    user, key = site.user(), {"Idempotency-Key": "request-1"}
    site.refused(site.post("/vend-token", key, userId=user), site.insufficient)
    site.moved(site.post("/add-credits", GATEWAY, userId=user, amount=1))
    assert site.content(site.post("/vend-token", key, userId=user))["token"]


def test_a_user_without_credits_is_not_created_again(site: Site) -> None:
    """Where nothing was moved there is nothing to repeat: the user exists."""
    user, key = new_user(), {"Idempotency-Key": "request-1"}
    site.moved(site.post("/user/create", key, userId=user))
    site.refused(site.post("/user/create", key, userId=user), 409, "User already exists")


@pytest.mark.parametrize("header", KEY_HEADERS)
@pytest.mark.parametrize("key", ["", "x" * 251, b"\xc3\xa9", "a\tb"])
def test_a_key_is_one_or_refused(site: Site, header: str, key: Any) -> None:
    """A key that is empty, too long or not ASCII is refused rather than left aside."""
    user = new_user()
    site.refused(site.post("/add-credits", {**GATEWAY, header: key}, userId=user, amount=1), 400)
    assert site.transactions(user) == []


def test_the_longest_key_is_a_key(site: Site) -> None:
    """A key may have 250 characters, also spaces and quotes."""
    user, headers = new_user(), {**GATEWAY, "Idempotency-Key": '"a b"' + "x" * 245}
    for _ in range(2):
        assert site.moved(site.post("/add-credits", headers, userId=user, amount=1)) == {"newBalance": 1}


def test_a_key_at_once_from_everywhere_moves_once(site: Site) -> None:
    """Twenty requests at once under one key get twenty times the one token, for one credit."""
    user = site.user(20)

    def vend(_number: int) -> str:
        response = site.post("/vend-token", {"Idempotency-Key": "request-1"}, userId=user)
        token: str = site.content(response)["token"]
        return token

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(vend, range(20)))) == 1
    assert site.balance(user) == 19
