"""How API keys look: minted from randomness, read back strictly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger.domain.api_keys import KeyForm, KeyText, random_base62
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
