"""API keys: their form, their hashing and the verdicts on them."""

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
from hypothesis import given
from hypothesis import strategies as st
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
    random_base62,
    touch_due,
)
from pluct_ledger.errors import InvalidArgument

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = KeyForm()
LEGACY = "pluct_api_" + "0123456789abcdef" * 2


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    """Randomness that a test can repeat."""
    return random.Random(seed).randbytes


def minted(seed: int = 1) -> KeyText:
    """A key that a test can repeat."""
    return FORM.mint(seeded(seed))


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


# The form.


def test_a_key_shows_its_prefix_environment_and_id() -> None:
    """A minted key is prefix, environment, 12 symbols of id, 32 of secret and 6 of check."""
    key = KeyForm(prefix="acme", environment="test2").mint(seeded())

    prefix, environment, key_id, rest = key.text.split("_")
    assert (prefix, environment, key_id) == ("acme", "test2", key.key_id)
    assert (len(key_id), len(rest)) == (12, 38)
    assert set(key_id + rest) <= set(ALPHABET)


def test_a_minted_key_reads_back() -> None:
    """Reading a key gives its text and its id again."""
    for seed in range(500):
        key = minted(seed)
        assert FORM.read(key.text) == key


@pytest.mark.parametrize("value", ["", "A", "a_b", "a" * 17, "ä", "a\n", "１", b"a", None, 1])  # noqa: RUF001  # a digit that is not ASCII
@pytest.mark.parametrize("name", ["prefix", "environment"])
def test_a_prefix_that_would_blur_the_form_is_refused(name: str, value: object) -> None:
    """A prefix or environment is 1..16 lower-case ASCII letters and digits, or an InvalidArgument."""
    with pytest.raises(InvalidArgument) as caught:
        KeyForm(**{name: value})  # type: ignore[arg-type]  # the point of the test

    assert caught.value.argument == name


def test_a_key_of_another_prefix_or_environment_is_malformed() -> None:
    """A key reads only under the prefix and environment that it was minted under."""
    for other in (KeyForm(prefix="acme"), KeyForm(environment="test")):
        assert FORM.read(other.mint(seeded()).text) is None


def test_old_keys_are_known_by_their_form() -> None:
    """A key of the old service reads as a legacy key, which has no public id."""
    key = FORM.read(LEGACY)

    assert key is not None
    assert (key.text, key.key_id) == (LEGACY, None)


@pytest.mark.parametrize(
    "text",
    [
        LEGACY.upper(),
        LEGACY[:-1],
        LEGACY + "0",
        LEGACY + "\n",
        " " + LEGACY,
        LEGACY[:-1] + "g",
        LEGACY[:-1] + "A",
    ],
)
def test_what_only_resembles_an_old_key_is_malformed(text: str) -> None:
    """An old key is exactly 32 lower-case hex digits after its prefix."""
    assert FORM.read(text) is None


# Randomness.


def test_every_symbol_is_equally_likely() -> None:
    """Over 620,000 symbols the chi-square of 62 equal chances stays below its one-in-a-million bound."""
    counts = Counter(random_base62(620_000, seeded(7)))

    chi_square = sum((counts[symbol] - 10_000) ** 2 / 10_000 for symbol in ALPHABET)
    assert set(counts) == set(ALPHABET)
    assert chi_square < 125


def test_bytes_that_would_favour_some_symbols_are_drawn_again() -> None:
    """The bytes 248..255, for which there is no whole turn of the alphabet, give no symbol."""
    draws = iter([bytes(range(248, 256)), bytes([247, 248, 62, 255]), bytes([0, 1])])

    assert random_base62(3, lambda _count: next(draws)) == "z00"


@pytest.mark.parametrize("broken", [b"", b"\xff" * 64])
def test_a_broken_source_of_randomness_makes_no_key(broken: bytes) -> None:
    """A source that gives no usable bytes is an error, neither an endless loop nor a short key."""
    with pytest.raises(RuntimeError):
        FORM.mint(lambda _count: broken)


def test_keys_of_one_source_all_differ() -> None:
    """Ten thousand keys have ten thousand ids and ten thousand secrets."""
    draw = seeded(3)
    keys = [FORM.mint(draw) for _ in range(10_000)]

    assert len({key.key_id for key in keys}) == len(keys)
    assert len({key.text for key in keys}) == len(keys)


# Typos and garbage.


def test_every_changed_character_is_caught() -> None:
    """No key with one character replaced by any other of the alphabet, or by a stranger to it, reads."""
    text = minted().text

    for place, right in enumerate(text):
        for wrong in ALPHABET + "_-+/= \n\0é":
            if wrong != right:
                assert FORM.read(text[:place] + wrong + text[place + 1 :]) is None


def test_every_swap_of_neighbours_and_every_lost_or_doubled_character_is_caught() -> None:
    """The slips of a hand that copies a key make it malformed."""
    text = minted().text

    for place in range(len(text)):
        assert FORM.read(text[:place] + text[place + 1 :]) is None
        assert FORM.read(text[:place] + text[place] + text[place:]) is None
        swapped = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
        assert swapped == text or FORM.read(swapped) is None


def test_corrupted_keys_never_read() -> None:
    """Of 20,000 keys with several characters changed none reads as a key."""
    chance = random.Random(11)
    for seed in range(20_000):
        symbols = list(minted(seed % 100).text)
        for place in chance.sample(range(len(symbols)), chance.randint(1, 6)):
            symbols[place] = chance.choice(ALPHABET.replace(symbols[place], ""))
        assert FORM.read("".join(symbols)) is None


@given(st.one_of(st.text(), st.binary(), st.integers(), st.floats(), st.none(), st.lists(st.text())))
def test_any_object_gets_a_verdict(presented: object) -> None:
    """Whatever is presented is read as no key, without an exception."""
    assert FORM.read(presented) is None


@given(st.from_regex(r"\Apluct_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\Z"))
def test_a_guess_of_the_right_shape_fails_its_check(presented: str) -> None:
    """A made-up key of the right length and alphabet fails on its check symbols."""
    assert FORM.read(presented) is None


def test_a_text_that_pretends_is_not_a_key() -> None:
    """Only true text is read: a subclass of str, bytes and a huge text are malformed."""

    class Pretender(str):
        __slots__ = ()

    text = minted().text
    for presented in (
        Pretender(text),
        text.encode(),
        bytearray(text.encode()),
        text * 100_000,
        "\ud800" + text,
    ):
        assert FORM.read(presented) is None


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
