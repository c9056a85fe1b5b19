"""API keys: their hashing and the verdicts on them."""

from __future__ import annotations

import hmac
import pickle
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from pydantic import TypeAdapter

from pluct_ledger.domain import api_keys
from pluct_ledger.domain.api_keys import (
    TOUCH_EVERY,
    ApiKey,
    ApiKeyCheck,
    ApiKeyCode,
    ApiKeyRecord,
    CreatedApiKey,
    KeyForm,
    KeyHash,
    KeyStatus,
    KeyText,
    api_key_of,
    check_description,
    check_key_id,
    check_scopes,
    cursor_of,
    judge,
    parse_cursor,
    touch_due,
)
from pluct_ledger.errors import InvalidArgument

LEGACY = "pluct_api_" + "0123456789abcdef" * 2


def minted(seed: int = 1) -> KeyText:
    """A key that a test can repeat."""
    return KeyForm().mint(random.Random(seed).randbytes)


def record_of(key: KeyText, keyed: KeyHash | None = None, **changes: Any) -> ApiKeyRecord:
    """The row of `key`, with these changes."""
    keyed = keyed or KeyHash()
    record = ApiKeyRecord(
        key_id=key.key_id or "old",
        book="default",
        digest=keyed.digest(key),
        pepper_id=keyed.pepper_id,
        legacy=False,
        description="Partner A",
        scopes='["credits:add"]',
        status=KeyStatus.ACTIVE,
        created_at=1_000_000,
        last_used_at=None,
        revoked_at=None,
        revoked_reason=None,
        metadata=None,
    )
    return replace(record, **changes)


# What is stored.


def test_what_is_stored_is_the_hash_of_the_whole_key() -> None:
    """Without a pepper SHA-256 of the whole key is stored, as the old service did, and no pepper's name."""
    keyed, key = KeyHash(), minted()

    assert keyed.digest(key) == keyed.legacy_digest(key) == sha256(key.text.encode()).digest()
    assert keyed.pepper_id is None


def test_under_a_pepper_the_hash_is_keyed() -> None:
    """With a pepper HMAC-SHA-256 of the whole key is stored; old keys are still found by the plain hash."""
    pepper = bytes(range(32))
    keyed, key = KeyHash(pepper), minted()

    assert keyed.digest(key) == hmac.digest(pepper, key.text.encode(), "sha256")
    assert keyed.legacy_digest(key) == sha256(key.text.encode()).digest()


def test_a_pepper_is_named_without_being_told() -> None:
    """The name of a pepper is short, the same each time, differs from another's, and holds nothing of it."""
    one, same, other = KeyHash(b"a" * 32), KeyHash(b"a" * 32), KeyHash(b"b" * 32)

    assert one.pepper_id is not None
    assert one.pepper_id == same.pepper_id != other.pepper_id
    assert len(one.pepper_id) == 16
    assert "aaaa" not in repr(one) + str(one)


@pytest.mark.parametrize("pepper", [b"", b"a" * 31, "a" * 32, bytearray(32), 32, True])
def test_a_weak_pepper_is_refused(pepper: object) -> None:
    """A pepper is at least 32 bytes, or an InvalidArgument that does not repeat it."""
    with pytest.raises(InvalidArgument) as caught:
        KeyHash(pepper)

    assert "aaaa" not in str(caught.value)


def test_a_key_fits_its_own_row_only() -> None:
    """A key fits the row that was made of it, not another's, and not the absence of one."""
    keyed, key, other = KeyHash(), minted(1), minted(2)

    assert keyed.fits(key, record_of(key))
    assert not keyed.fits(other, record_of(key))
    assert not keyed.fits(key, None)


def test_rows_from_before_the_pepper_still_fit() -> None:
    """A row without a pepper's name fits under a pepper; one of another pepper fits no key."""
    key, now, before = minted(), KeyHash(b"n" * 32), KeyHash(b"b" * 32)

    assert now.fits(key, record_of(key))
    assert now.fits(key, record_of(key, now))
    assert not now.fits(key, record_of(key, before))
    assert not KeyHash().fits(key, record_of(key, before))


@pytest.mark.parametrize("pepper", [None, b"p" * 32])
def test_a_miss_hashes_and_compares_as_often_as_a_hit(
    pepper: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hit, wrong secret, no row and a row of another pepper take equal digests and one comparison each."""
    keyed, key, other = KeyHash(pepper), minted(1), minted(2)
    rows = [record_of(key, keyed), record_of(other, keyed), None, record_of(key, KeyHash(b"x" * 32))]
    made: Counter[str] = Counter()

    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            made[name] += 1
            return original(*arguments)

        return call

    monkeypatch.setattr(api_keys, "sha256", counted("sha256", sha256))
    monkeypatch.setattr(hmac, "digest", counted("hmac", hmac.digest))
    monkeypatch.setattr(hmac, "compare_digest", counted("compare", hmac.compare_digest))
    work = []
    for row in rows:
        made.clear()
        keyed.fits(key, row)
        work.append(dict(made))

    assert work[0]["compare"] == 1
    assert all(one == work[0] for one in work)


# What may be asked for.


@pytest.mark.parametrize(
    "key_id", ["", "a" * 65, "a b", "a\n", "ä", "a_b", "a.b", None, 7, minted().text, LEGACY]
)
def test_a_key_id_that_cannot_be_one_is_refused_unrepeated(key_id: object) -> None:
    """What is no key id, above all a whole key, is refused by a message that does not hold it."""
    with pytest.raises(InvalidArgument) as caught:
        check_key_id(key_id)

    assert not isinstance(key_id, str) or len(key_id) < 5 or key_id not in str(caught.value)


@pytest.mark.parametrize(
    "scopes",
    [
        "credits:add",
        {"credits:add"},
        None,
        [1],
        [""],
        ["Credits"],
        ["credits:"],
        [":add"],
        ["credits::add"],
        ["credits:*"],
        ["*"],
        ["a b"],
        ["a\n"],
        ["a:b:c:d:e"],
        ["a" * 33],
        ["a", "a"],
        [f"a{n}" for n in range(33)],
    ],
)
def test_scopes_that_are_none_are_refused(scopes: object) -> None:
    """Scopes are a tuple or list of different words joined by colons; a wildcard is not one."""
    with pytest.raises(InvalidArgument):
        check_scopes(scopes)


def test_scopes_keep_their_order() -> None:
    """Scopes come back as a tuple in the order in which they were given; none at all is allowed."""
    assert check_scopes(["tokens:vend", "credits:add", "admin"]) == ("tokens:vend", "credits:add", "admin")
    assert check_scopes(()) == ()


@pytest.mark.parametrize("description", ["", " \t", "a" * 501, "a\0", "\ud800", None, 1, b"a"])
def test_a_key_has_a_description(description: object) -> None:
    """A description is 1..500 characters of storable text, not blank."""
    with pytest.raises(InvalidArgument) as caught:
        check_description(description)

    assert caught.value.argument == "description"


# The verdict.


def test_a_revoked_key_is_revoked_whatever_its_scopes() -> None:
    """Revocation goes before a missing scope, and both tell whose key it was."""
    revoked = record_of(minted(), status=KeyStatus.REVOKED, revoked_at=5, revoked_reason="leaked")

    for scope in (None, "credits:add", "tokens:vend"):
        check = judge(revoked, scope)
        assert (check.valid, check.code) == (False, ApiKeyCode.REVOKED)
        assert check.api_key is not None
        assert (check.api_key.status, check.api_key.revoked_reason) == ("revoked", "leaked")


def test_a_scope_is_matched_exactly() -> None:
    """A key has a scope if it is in its list letter by letter; asked for none, it is valid."""
    record = record_of(minted(), scopes='["credits:add","tokens"]')

    assert [judge(record, scope).code for scope in (None, "credits:add", "tokens")] == [ApiKeyCode.VALID] * 3
    for scope in ("credits", "credits:ad", "credits:add:more", "tokens:vend"):
        check = judge(record, scope)
        assert (check.valid, check.code) == (False, ApiKeyCode.MISSING_SCOPE)


def test_a_use_is_recorded_once_a_minute() -> None:
    """A use is due for its record if none was recorded, or the last record is a whole minute old."""
    key = minted()

    assert touch_due(record_of(key), 0)
    assert not touch_due(record_of(key, last_used_at=1_000), 1_000 + TOUCH_EVERY - 1)
    assert touch_due(record_of(key, last_used_at=1_000), 1_000 + TOUCH_EVERY)
    assert not touch_due(record_of(key, last_used_at=1_000), 0)


# The values.


def test_no_value_shows_the_secret_or_its_digest() -> None:
    """The repr and str of every value leave out the secret and what is stored of it."""
    key = minted()
    record = record_of(key)
    shown = [
        key,
        record,
        CreatedApiKey(key.text, api_key_of(record)),
        judge(record, None),
        KeyHash(b"s" * 32),
    ]

    for value in shown:
        for text in (repr(value), str(value), f"{value}"):
            assert key.text[-38:] not in text
            assert repr(record.digest) not in text
            assert record.digest.hex() not in text


def test_the_api_shows_all_of_a_row_but_its_digest() -> None:
    """An ApiKey tells instants in UTC, scopes as a tuple and metadata as a dict."""
    record = record_of(
        minted(),
        last_used_at=2_000_000,
        revoked_at=3_000_000,
        status=KeyStatus.REVOKED,
        metadata='{"team":"x"}',
    )

    assert api_key_of(record) == ApiKey(
        key_id=record.key_id,
        book="default",
        description="Partner A",
        scopes=("credits:add",),
        status="revoked",
        created_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        last_used_at=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC),
        revoked_at=datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC),
        revoked_reason=None,
        legacy=False,
        metadata={"team": "x"},
    )


def test_a_check_serialises_and_pickles() -> None:
    """A check survives JSON and pickle unchanged."""
    check = judge(record_of(minted()), "credits:add")
    adapter = TypeAdapter(ApiKeyCheck)

    assert adapter.validate_json(adapter.dump_json(check)) == check
    assert pickle.loads(pickle.dumps(check)) == check  # noqa: S301  # our own bytes


def test_a_cursor_leads_back_to_its_key() -> None:
    """The place of a key in the list reads back as its instant and its id."""
    record = record_of(minted(), created_at=-5, key_id="d479a1ef-68d8-4785-a080-aa4a4f619d7b")

    assert parse_cursor(cursor_of(record)) == (-5, record.key_id)


@pytest.mark.parametrize("cursor", ["", "1", "1.", ".a", "x.a", "1.a b", "1.a\n", "9" * 19 + ".a", None, 7])
def test_a_cursor_that_is_none_is_refused(cursor: object) -> None:
    """Only what a page gave out as its `next` is taken as a cursor."""
    with pytest.raises(InvalidArgument):
        parse_cursor(cursor)
