"""API keys on every database, in our own transactions and in the host's: made, verified, listed, revoked."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.domain.api_keys import ApiKey, ApiKeyCode, KeyForm
from pluct_ledger.errors import ApiKeyNotFound, InvalidArgument
from tests.clock import FrozenClock
from tests.doorways import Doorway

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_a_created_key_is_valid(registry: ApiKeyRegistry, clock: FrozenClock) -> None:
    """What create returns verifies at once, and tells everything but the secret."""
    created = registry.create("Partner Ä 🦉 ", scopes=["credits:add", "tokens:vend"], metadata={"team": "x"})

    assert created.api_key == ApiKey(
        key_id=created.secret[11:23],
        book="default",
        description="Partner Ä 🦉 ",
        scopes=("credits:add", "tokens:vend"),
        status="active",
        created_at=clock(),
        last_used_at=None,
        revoked_at=None,
        revoked_reason=None,
        legacy=False,
        metadata={"team": "x"},
    )
    check = registry.verify(created.secret)
    assert (check.valid, check.code, check.api_key) == (True, ApiKeyCode.VALID, created.api_key)


def test_a_key_may_do_what_its_scopes_say(registry: ApiKeyRegistry) -> None:
    """A scope that the key does not have is missing; the scope to add credits is there unless said."""
    secret = registry.create("Partner A").secret

    assert registry.verify(secret, scope="credits:add").valid
    assert registry.verify(secret, scope="credits").code is ApiKeyCode.MISSING_SCOPE
    assert registry.verify(registry.create("none", scopes=()).secret).valid


def test_a_wrong_scope_is_the_hosts_mistake(registry: ApiKeyRegistry) -> None:
    """A scope that cannot be one is refused whatever key is presented."""
    with pytest.raises(InvalidArgument):
        registry.verify("garbage", scope="Credits Add")


def test_a_key_that_was_never_made_is_unknown(registry: ApiKeyRegistry) -> None:
    """A well-formed key, new or old, that nobody made is unknown, and the answer names no key."""
    registry.create("another")

    for secret in (KeyForm().mint(random.Random(5).randbytes).text, "pluct_api_" + "0" * 32):
        check = registry.verify(secret)
        assert (check.valid, check.code, check.api_key) == (False, ApiKeyCode.UNKNOWN_KEY, None)


def test_a_wrong_secret_under_a_known_id_is_unknown(registry: ApiKeyRegistry) -> None:
    """The id alone opens nothing: a key with the id of another and a secret of its own is unknown."""
    known = registry.create("Partner A")
    same_id = bytes(ALPHABET.index(symbol) for symbol in known.api_key.key_id)
    forged = KeyForm().mint(lambda _count: same_id + bytes(32))

    assert forged.key_id == known.api_key.key_id
    assert registry.verify(forged.text).code is ApiKeyCode.UNKNOWN_KEY


def test_a_revoked_key_is_revoked_from_the_next_call(registry: ApiKeyRegistry, clock: FrozenClock) -> None:
    """Revoking tells the key as it is then, and the next verify sees it."""
    created = registry.create("Partner A")
    assert registry.verify(created.secret).valid
    clock.advance(timedelta(hours=1))

    revoked = registry.revoke(created.api_key.key_id, reason="leaked")

    assert (revoked.status, revoked.revoked_at, revoked.revoked_reason) == ("revoked", clock(), "leaked")
    check = registry.verify(created.secret, scope="tokens:vend")
    assert (check.valid, check.code, check.api_key) == (False, ApiKeyCode.REVOKED, revoked)


def test_nothing_is_cached(own: ApiKeyRegistry, raw_engine: Engine) -> None:
    """A revocation by another registry on another engine holds from this one's next call."""
    created = own.create("Partner A")
    assert own.verify(created.secret).valid

    ApiKeyRegistry(raw_engine).revoke(created.api_key.key_id)

    assert own.verify(created.secret).code is ApiKeyCode.REVOKED


def test_the_first_revocation_stays(registry: ApiKeyRegistry, clock: FrozenClock) -> None:
    """Revoking again changes neither the instant nor the reason."""
    key_id = registry.create("Partner A").api_key.key_id
    first = registry.revoke(key_id, reason="leaked")
    clock.advance(timedelta(days=1))

    assert registry.revoke(key_id, reason="to be sure") == first
    assert registry.revoke(key_id) == registry.get(key_id) == first


@pytest.mark.parametrize("reason", ["a" * 501, "\0", 7])
def test_a_reason_is_storable_text(registry: ApiKeyRegistry, reason: Any) -> None:
    """A reason that no backend could keep is refused, and the key stays active."""
    created = registry.create("Partner A")

    with pytest.raises(InvalidArgument):
        registry.revoke(created.api_key.key_id, reason=reason)
    assert registry.verify(created.secret).valid


def test_an_id_that_nobody_has_is_not_found(registry: ApiKeyRegistry) -> None:
    """Get and revoke of an unknown id are refused and leave a borrowed transaction usable."""
    for ask in (registry.get, registry.revoke):
        with pytest.raises(ApiKeyNotFound) as caught:
            ask("nobody")
        assert caught.value.key_id == "nobody"

    assert registry.verify(registry.create("after").secret).valid


def test_ids_are_exact(registry: ApiKeyRegistry) -> None:
    """An id in other letter case is another id."""
    created = registry.create("Partner A")
    other = created.api_key.key_id.swapcase()

    if other != created.api_key.key_id:
        with pytest.raises(ApiKeyNotFound):
            registry.get(other)


def test_a_secret_handed_in_as_an_id_is_not_repeated(own: ApiKeyRegistry) -> None:
    """A whole key where an id belongs is an InvalidArgument whose message does not hold it."""
    secret = own.create("Partner A").secret

    for ask in (own.get, own.revoke):
        with pytest.raises(InvalidArgument) as caught:
            ask(secret)
        assert secret[-38:] not in str(caught.value)


def test_a_key_of_another_book_is_unknown(engine: Engine, doorway: Doorway, registry: ApiKeyRegistry) -> None:
    """A key verifies, shows, lists and is revoked in its own book only; a trailing blank makes another book."""
    created = registry.create("Partner A")

    for book in ("other", "default ", "Default"):
        stranger = doorway.enter(ApiKeyRegistry(engine, book=book))
        assert stranger.verify(created.secret).code is ApiKeyCode.UNKNOWN_KEY
        assert list(stranger.page()) == []
        for ask in (stranger.get, stranger.revoke):
            with pytest.raises(ApiKeyNotFound):
                ask(created.api_key.key_id)

    assert registry.verify(created.secret).valid


def test_a_key_of_another_environment_is_malformed(engine: Engine, own: ApiKeyRegistry) -> None:
    """A registry reads only keys of its own prefix and environment, though they are in the same table."""
    test = ApiKeyRegistry(engine, prefix="acme", environment="test")
    created = test.create("Partner A")

    assert created.secret.startswith("acme_test_")
    assert test.verify(created.secret).valid
    assert own.verify(created.secret).code is ApiKeyCode.MALFORMED


# Lists.


def test_a_list_is_newest_first(registry: ApiKeyRegistry, clock: FrozenClock) -> None:
    """Page by page the keys of a book come newest first, each once, with ties in a stable order."""
    made = []
    for number in range(7):
        made.append(registry.create(f"key {number}").api_key)
        clock.advance(timedelta(microseconds=number % 2))

    first = registry.page(limit=3)
    walked = list(first.all())

    assert [len(first), first.next is not None] == [3, True]
    assert walked == sorted(made, key=lambda key: (key.created_at, key.key_id), reverse=True)
    assert list(registry.page(limit=7)) == walked
    assert registry.page(limit=7).next is None


def test_a_cursor_stands_still_while_keys_are_made(registry: ApiKeyRegistry, clock: FrozenClock) -> None:
    """Keys that are made while a list is walked shift nothing."""
    for number in range(4):
        registry.create(f"key {number}")
        clock.advance(timedelta(seconds=1))
    page = registry.page(limit=2)
    registry.create("newer")

    assert [key.description for key in registry.page(limit=2, after=page.next)] == ["key 1", "key 0"]


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": 1001}, {"limit": True}, {"after": "nonsense"}])
def test_a_page_has_bounds(own: ApiKeyRegistry, arguments: dict[str, Any], sent: list[str]) -> None:
    """A page size out of bounds and a cursor that is none are refused before any statement."""
    with pytest.raises(InvalidArgument):
        own.page(**arguments)

    assert sent == []


# Peppers.


def test_keys_under_a_pepper_need_it(engine: Engine, own: ApiKeyRegistry) -> None:
    """Keys from before the pepper go on; new ones verify under it only, and their rows name it."""
    pepper = bytes(range(32))
    peppered = ApiKeyRegistry(engine, pepper=pepper)
    before, after = own.create("before"), peppered.create("after")

    assert peppered.verify(before.secret).valid
    assert peppered.verify(after.secret).valid
    assert own.verify(after.secret).code is ApiKeyCode.UNKNOWN_KEY
    other = ApiKeyRegistry(engine, pepper=bytes(32))
    assert other.verify(after.secret).code is ApiKeyCode.UNKNOWN_KEY
    assert str(pepper) not in repr(peppered)
