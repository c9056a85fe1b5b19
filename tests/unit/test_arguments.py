"""Arguments: what may be handed in, to the last byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger.domain.arguments import (
    MAX_AMOUNT,
    canonical_json,
    check_amount,
    check_callable,
    check_change,
    check_flag,
    check_items,
    check_kind,
    check_limit,
    check_metadata,
    check_name,
    check_text,
    instant_of,
    micros_of,
)
from pluct_ledger.errors import InvalidArgument

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_AMOUNT, MAX_AMOUNT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
ALMOST_A_DAY = timedelta(hours=23)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (lambda value: check_amount(value, most=10), [1, 10], [0, 11, -1, True, 1.0, "1", None]),
        (lambda value: check_change(value, most=10), [1, -1, 10, -10], [0, 11, -11, True, 1.0, "1", None]),
        (check_limit, [1, 1000], [0, 1001, True, "1", 1.0, None]),
        (lambda value: check_flag(value, "x"), [True, False], [0, 1, None, "True"]),
        (
            check_kind,
            ["a", "a" * 64, "a_1", "grant"],
            ["", "a" * 65, "_a", "1a", "A", "a-", "ä", "a\n", None, b"a"],
        ),
        (
            lambda value: check_name(value, "x", most_bytes=4),
            ["a", "abcd", "éé", "😀", " ", "\x01"],
            ["", "abcde", "ééx", "😀x", "\0", "\ud800", None, b"a", 1],
        ),
        (
            lambda value: check_text(value, "x", most_chars=2),
            ["", "ab", "😀😀"],
            ["abc", "😀😀😀", "\0", "\udfff", None, b""],
        ),
    ],
    ids=["amount", "change", "limit", "flag", "kind", "name", "text"],
)
def test_what_is_within_bounds_is_returned_as_it_is(
    check: Callable[[object], object], good: list[Any], bad: list[Any]
) -> None:
    """A check returns the very thing that it was given, or raises."""
    for value in good:
        assert check(value) is value
    for value in bad:
        with pytest.raises(InvalidArgument):
            check(value)


@given(st.text(max_size=80))
def test_a_name_is_measured_in_bytes(text: str) -> None:
    """Text is a name if it can be stored and its UTF-8 has one byte at least and no more than allowed."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        encoded = b""
    fits = 1 <= len(encoded) <= 64 and "\0" not in text

    if fits:
        assert check_name(text, "owner", most_bytes=64) == text
    else:
        with pytest.raises(InvalidArgument, match="owner"):
            check_name(text, "owner", most_bytes=64)


@given(st.datetimes(timezones=st.just(UTC) | st.builds(timezone, st.timedeltas(-ALMOST_A_DAY, ALMOST_A_DAY))))
def test_an_instant_is_its_microseconds(instant: datetime) -> None:
    """An aware datetime of the years 1 to 9999 UTC goes to microseconds and back without loss."""
    try:
        micros = micros_of(instant, "at")
    except InvalidArgument:
        with pytest.raises(OverflowError):
            instant.astimezone(UTC)
    else:
        assert instant_of(micros) == instant
        assert instant_of(micros).utcoffset() == timedelta(0)


def test_the_epoch_is_nought() -> None:
    """Microseconds are counted from 1970 in UTC, and before it are negative."""
    assert micros_of(datetime(1970, 1, 1, tzinfo=UTC), "at") == 0
    assert micros_of(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "at") == -1
    assert micros_of(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "at") == 0


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), JSON
    )
)
def test_metadata_comes_back_as_it_was(metadata: dict[str, Any]) -> None:
    """Metadata that is taken is read back equal and of the same types from its canonical text."""
    text = check_metadata(metadata)

    assert json.loads(text) == metadata
    assert canonical_json(json.loads(text)) == text


@given(JSON)
def test_canonical_json_does_not_depend_on_the_order_of_members(value: Any) -> None:
    """Equal values have one text, in whatever order their members were put in."""

    def turned(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: turned(part[name]) for name in reversed(part)}
        return [turned(item) for item in part] if isinstance(part, list) else part

    assert canonical_json(turned(value)) == canonical_json(value)


def test_canonical_json_is_short_and_readable() -> None:
    """Canonical JSON has sorted members, no blanks, and letters as they are."""
    assert canonical_json({"b": [1, 2.5, None], "a": {"é": "😀", "ä": True}}) == (
        '{"a":{"ä":true,"é":"😀"},"b":[1,2.5,null]}'
    )


def test_metadata_is_bounded_in_bytes_and_depth() -> None:
    """Metadata is taken up to 8192 bytes of JSON and 32 levels, and refused beyond."""
    assert len(check_metadata({"a": "x" * 8_184}).encode()) == 8_192
    with pytest.raises(InvalidArgument, match="8192"):
        check_metadata({"a": "x" * 8_185})
    levels: dict[str, Any] = {}
    for _ in range(31):
        levels = {"a": levels}
    check_metadata(levels)
    with pytest.raises(InvalidArgument, match="32"):
        check_metadata({"a": levels})
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidArgument, match="32"):
        check_metadata({"a": endless})


def test_items_are_listed_up_to_their_bound() -> None:
    """What is iterable is listed, text is not, and no more is taken from an endless one than is needed to refuse it."""

    def endless() -> Iterator[int]:
        number = 0
        while True:
            yield (number := number + 1)

    assert check_items((1, 2), "x") == check_items(iter([1, 2]), "x", most=2) == [1, 2]
    with pytest.raises(InvalidArgument, match="at most 2"):
        check_items(endless(), "x", most=2)
    for wrong in ("ab", b"ab", None, 5):
        with pytest.raises(InvalidArgument):
            check_items(wrong, "x")


def test_what_is_to_be_called_can_be() -> None:
    """Only what can be called is taken for something to call."""
    check_callable(print, "x")
    with pytest.raises(InvalidArgument):
        check_callable("print", "x")
