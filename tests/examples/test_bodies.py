"""Bad bodies: whatever is sent, it is refused as the sender's fault, and changes nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.examples.serving import ADMIN, GATEWAY, Site, new_user

LIMIT = 64 * 1024
TOO_LARGE = json.dumps({"userId": "ada", "amount": 1, "padding": "x" * LIMIT}).encode()

USER_ID = "Valid user ID is required"
NEITHER = "Invalid userId or amount"
AMOUNT = "Valid amount between 1 and 10000 is required"
OBJECT = "A JSON object in UTF-8 is required"

PATHS: dict[str, dict[str, Any]] = {
    "/user/create": {"userId": "ada", "initialCredits": 1},
    "/vend-token": {"userId": "ada"},
    "/validate-token": {"token": "x"},
    "/add-credits": {"userId": "ada", "amount": 1},
    "/admin/credits/add": {"userId": "ada", "amount": 1},
    "/admin/api-keys/create": {"description": "x"},
    "/v1/credits/add": {"userId": "ada", "amount": 1},
}
NO_OBJECTS = {
    "nothing": b"",
    "no JSON": b"userId=ada&amount=1",
    "cut off": b'{"userId":"ada"',
    "two objects": b'{"userId":"ada"}{"userId":"ada"}',
    "a list": b'[{"userId":"ada","amount":1}]',
    "a text": b'"ada"',
    "a number": b"1",
    "null": b"null",
    "no UTF-8": b'{"userId":"\xff\xfe"}',
    "UTF-16": '{"userId":"ada"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"userId":"ada"}',
    "overlong UTF-8": b'{"userId":"\xc0\xaf"}',
    "a raw NUL": b'{"userId":"a\0"}',
    "a member twice": b'{"userId":"ada","amount":1,"userId":"ada","amount":1,"token":"x","token":"x"}',
    "a member twice, deep inside": b'{"userId":"ada","amount":1,"x":[{"y":1,"y":1}]}',
    "NaN": b'{"userId":"ada","amount":1,"x":NaN}',
    "an infinity": b'{"userId":"ada","amount":-Infinity}',
    "many digits": b'{"userId":"ada","amount":' + b"9" * 5000 + b"}",
    "many brackets": b"[" * 60_000,
    "nested lists": b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nested objects": b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
}
NOT_IDS: list[Any] = [
    None, 1, 1.5, True, [], ["ada"], {}, "", " ", "\t\n", "\u3000", "a'b", 'a"b', "a\\b", "a;b", "a\0b", "\ud800",
    "x" * 101, "\U0001f600" * 100,
]  # fmt: skip
NOT_AMOUNTS: list[Any] = [
    None, 0, -1, 1.5, 1.0, 1e3, True, False, "5", "1e3", "", [], [5], {}, 10_001, 2**53, 2**64, -(2**64), 10**400,
]  # fmt: skip


@pytest.fixture
def headers(site: Site) -> dict[str, dict[str, str]]:
    """What each path is to be shown, so that its body is read at all."""
    secret, _ = site.api_key()
    return {
        "/add-credits": GATEWAY,
        "/admin/credits/add": ADMIN,
        "/admin/api-keys/create": ADMIN,
        "/v1/credits/add": {"X-API-Key": secret},
    }


@pytest.fixture
def nothing_changed(site: Site) -> Iterator[None]:
    """At the end the books, the accounts and the keys are as they were at the beginning."""
    before = everything(site)
    yield
    assert everything(site) == before


def everything(site: Site) -> list[list[dict[str, Any]]]:
    """All that the lists tell, but for when a key was last used: a bad body does not make its key unused."""
    lists = ("/admin/transactions", "/admin/users", "/admin/api-keys")
    rows = [site.content(site.http.get(path, headers=ADMIN)) for path in lists]
    return [[{**row, "last_used_at": None} for row in listed] for listed in rows]


@pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS.keys())
def test_a_body_is_an_object_or_refused(
    site: Site, headers: dict[str, dict[str, str]], nothing_changed: None, body: bytes
) -> None:
    """What is not one strict JSON object in UTF-8 is refused everywhere."""
    for path in PATHS:
        site.refused(site.http.post(path, content=body, headers=headers.get(path)), 400, OBJECT)


@pytest.mark.parametrize("user", NOT_IDS, ids=ascii)
def test_a_user_id_is_one_or_refused(
    site: Site, headers: dict[str, dict[str, str]], nothing_changed: None, user: Any
) -> None:
    """What is not text of 1 to 100 characters, without quotes, backslash and semicolon, is no user's id."""
    for path, members in PATHS.items():
        if "userId" in members:
            body = json.dumps({**members, "userId": user}).encode()
            response = site.http.post(path, content=body, headers=headers.get(path))
            site.refused(response, 400, NEITHER if path.startswith("/v1") else USER_ID)


@pytest.mark.parametrize("amount", NOT_AMOUNTS, ids=lambda amount: ascii(amount)[:24])
def test_an_amount_is_one_or_refused(
    site: Site, headers: dict[str, dict[str, str]], nothing_changed: None, amount: Any
) -> None:
    """What is not a whole number from 1 to the setting's maximum is no amount."""
    for path, members in PATHS.items():
        if "amount" in members:
            body = json.dumps({**members, "amount": amount}).encode()
            response = site.http.post(path, content=body, headers=headers.get(path))
            site.refused(response, 400, NEITHER if path.startswith("/v1") else AMOUNT)


@pytest.mark.parametrize("initial", [-1, 1.0, 0.0, True, "0", [], 10_001], ids=ascii)
def test_initial_credits_are_some_or_refused(site: Site, nothing_changed: None, initial: Any) -> None:
    """A user begins with a whole number of credits from 0 to the setting's maximum."""
    response = site.post("/user/create", userId=new_user(), initialCredits=initial)
    site.refused(response, 400, "Valid initial credits between 0 and 10000 are required")


@pytest.mark.parametrize("token", [None, "", 1, True, [], {}], ids=ascii)
def test_a_token_is_text_or_refused(site: Site, token: Any) -> None:
    """What is no text is not even a bad token."""
    site.refused(site.post("/validate-token", token=token), 400, "Valid token is required")
    site.refused(site.post("/validate-token"), 400, "Valid token is required")


@pytest.mark.parametrize("description", [None, "", "  ", 1, True, []], ids=ascii)
def test_a_key_is_described_or_refused(site: Site, nothing_changed: None, description: Any) -> None:
    """No key is made without a description."""
    for members in ({}, {"description": description}):
        site.refused(site.post("/admin/api-keys/create", ADMIN, **members), 400, "Description is required")


@pytest.mark.parametrize(
    "text", ["x" * 501, "a\0b", "\ud800", 1, True, [], {}], ids=lambda text: ascii(text)[:12]
)
def test_a_text_is_storable_or_refused(
    site: Site, headers: dict[str, dict[str, str]], nothing_changed: None, text: Any
) -> None:
    """A reason or description is text that every database can keep."""
    for path, name in {
        "/admin/credits/add": "reason",
        "/v1/credits/add": "reason",
        "/admin/api-keys/create": "description",
    }.items():
        body = json.dumps({**PATHS[path], name: text}).encode()
        site.refused(site.http.post(path, content=body, headers=headers[path]), 400)


def test_a_body_has_a_bound(site: Site, headers: dict[str, dict[str, str]], nothing_changed: None) -> None:
    """More than 64 KiB are refused, whether their length is told beforehand or not."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(TOO_LARGE), 1000):
            yield TOO_LARGE[start : start + 1000]

    for path in PATHS:
        site.refused(site.http.post(path, content=TOO_LARGE, headers=headers.get(path)), 413)
        site.refused(site.http.post(path, content=pieces(), headers=headers.get(path)), 413)


def test_a_body_within_the_bound_is_read(site: Site) -> None:
    """A body of exactly 64 KiB is read, and members that nobody knows are ignored."""
    user = new_user()
    members = {"userId": user, "amount": 1, "nested": [{"deep": [1.5, -2, None, True]}], "padding": ""}
    members["padding"] = "x" * (LIMIT - len(json.dumps(members)))
    body = json.dumps(members).encode()
    assert len(body) == LIMIT
    assert site.moved(site.http.post("/add-credits", content=body, headers=GATEWAY)) == {"newBalance": 1}


def test_nobody_waits_for_the_end_of_an_endless_body(site: Site) -> None:
    """A body that never ends is refused as soon as it is too large."""
    url = site.http.base_url
    head = f"POST /vend-token HTTP/1.1\r\nHost: {url.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(head.encode())
        for _ in range(70):
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_request_that_is_cut_off_harms_nobody(site: Site, nothing_changed: None) -> None:
    """A client that leaves in the middle of its body leaves nothing behind."""
    url = site.http.base_url
    head = f"POST /vend-token HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(head.encode() + b'{"userId":')
    assert site.http.get("/health").status_code == 200
    assert "Traceback" not in site.log.read_text()


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
def test_no_content_type_is_asked_for(site: Site, content_type: str | None) -> None:
    """The old clients' JSON is read whatever they call it."""
    user = new_user()
    headers = {**GATEWAY, **({} if content_type is None else {"Content-Type": content_type})}
    body = json.dumps({"userId": user, "amount": 2})
    assert site.moved(site.http.post("/add-credits", content=body, headers=headers)) == {"newBalance": 2}


def test_a_refusal_repeats_nothing_that_was_sent(site: Site) -> None:
    """What a client sent stands in no refusal."""
    answers: list[httpx.Response] = [
        site.post("/vend-token", userId="<script>'"),
        site.post("/add-credits", GATEWAY, userId="<script>", amount="<script>"),
        site.post("/admin/credits/add", ADMIN, userId="a", amount=1, reason="<script>" * 100),
        site.http.get("/user/%3Cscript%3E'/balance"),
        site.http.get("/%3Cscript%3E"),
    ]
    assert all(answer.status_code >= 400 and "script" not in answer.text for answer in answers)
