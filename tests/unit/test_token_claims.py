"""Claims: what may be vended, and what may be asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.domain.tokens import (
    check_leeway,
    check_scope,
    check_ttl,
    claims_of,
)
from pluct_ledger.errors import InvalidArgument
from tests.unit.token_forge import CLAIMS, ED_KID, ISSUED, KID, NOW, PRIVATE_PEM, SECRET, forged
from tests.unit.token_judge import built, checked

HS256 = SigningKeys.hs256(SECRET, kid=KID)
EDDSA = SigningKeys.ed25519(PRIVATE_PEM, kid=ED_KID)
EXPIRES_AT = datetime.fromtimestamp(ISSUED + 60, UTC)
SECOND = 1_000_000


@pytest.mark.parametrize(
    "scope", ["read", {"read"}, ("",), ("a b",), ('a"b',), ("a\\b",), ("é",), ("a\n",), (1,), None]
)
def test_a_scope_that_is_no_scope_is_refused(scope: Any) -> None:
    """Scopes are words of RFC 6749, section 3.3, in a tuple or list: text is not taken letter by letter."""
    with pytest.raises(InvalidArgument) as refusal:
        check_scope(scope)
    assert refusal.value.argument == "scope"
    with pytest.raises(InvalidArgument):
        checked(forged(), scope=scope)


def test_a_scope_has_each_word_once_and_a_bound() -> None:
    """A word twice and more than 512 characters are refused; the order is kept."""
    assert check_scope(["b", "a"]) == ("b", "a")
    assert check_scope(("x" * 512,)) == ("x" * 512,)
    for scope in (("a", "a"), ("x" * 513,), tuple(f"{number:03}" for number in range(129))):
        with pytest.raises(InvalidArgument):
            check_scope(scope)


@pytest.mark.parametrize("now", [NOW, NOW + 999_998])
def test_a_token_counts_whole_seconds(now: int) -> None:
    """It begins with the second in which it was vended, and ends its time to live after that."""
    made = built(now=now)
    assert (made.iat, made.nbf, made.exp) == (ISSUED, ISSUED, ISSUED + 60)
    assert (made.issued_at, made.expires_at) == (datetime.fromtimestamp(ISSUED, UTC), EXPIRES_AT)


@pytest.mark.parametrize(
    "ttl",
    [
        timedelta(0),
        timedelta(seconds=-1),
        timedelta(milliseconds=1),
        timedelta(seconds=1, microseconds=1),
        timedelta(days=3653, seconds=1),
        timedelta.max,
        60,
        None,
    ],
)
def test_a_time_to_live_is_whole_seconds_within_bounds(ttl: Any) -> None:
    """From 1 second to 3653 days, and never a bare number of who knows what."""
    with pytest.raises(InvalidArgument) as refusal:
        built(ttl=ttl)
    assert refusal.value.argument == "ttl"
    assert check_ttl(timedelta(days=3653)) == timedelta(days=3653)


@pytest.mark.parametrize("leeway", [timedelta(microseconds=-1), timedelta(hours=1, microseconds=1), 5, None])
def test_a_leeway_is_bounded(leeway: Any) -> None:
    """A clock may be off by up to an hour; more would make tokens of long ago good."""
    with pytest.raises(InvalidArgument) as refusal:
        check_leeway(leeway)
    assert refusal.value.argument == "leeway"
    assert check_leeway(timedelta(hours=1)) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("owner", ""),
        ("owner", "a" * 256),
        ("owner", "a\0"),
        ("owner", "\ud800"),
        ("owner", 7),
        ("book", ""),
        ("book", "b" * 65),
        ("issuer", ""),
        ("issuer", None),
        ("audience", ""),
        ("audience", ["shop"]),
        ("scope", ["read"]),
        ("scope", ("read", "read")),
        ("cost", 0),
        ("cost", True),
        ("cost", 1.0),
        ("cost", 2**53),
        ("token_id", "7"),
        ("token_id", ""),
    ],
)
def test_claims_that_break_a_rule_are_not_built(argument: str, wrong: Any) -> None:
    """What a check would call malformed cannot be vended, and the refusal names the argument."""
    with pytest.raises(InvalidArgument) as refusal:
        built(**{argument: wrong})
    assert refusal.value.argument == argument


def test_claims_end_with_the_calendar() -> None:
    """A clock before 1970 or an end after the year 9999 is refused, as no datetime could say it."""
    with pytest.raises(InvalidArgument):
        built(now=-1)
    with pytest.raises(InvalidArgument):
        built(now=253_402_300_799 * SECOND)
    assert built(now=253_402_300_739 * SECOND).expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "\ud800",
        json.dumps(CLAIMS),
        built().text + " ",
        built().text.replace("ada", "\\u0061da"),
    ],
)
def test_stored_claims_that_were_changed_are_refused(text: str) -> None:
    """Only the canonical text of claims is signed again."""
    with pytest.raises(InvalidArgument) as refusal:
        claims_of(text)
    assert refusal.value.argument == "claims"
