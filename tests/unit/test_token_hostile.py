"""What a check says of tokens that were made to fool it."""

from __future__ import annotations

import json
import tracemalloc
from base64 import urlsafe_b64decode

import pytest

from pluct_ledger.domain.jws import MalformedError, json_object_of
from pluct_ledger.domain.tokens import TokenCheck, TokenCode
from tests.unit.hostile_tokens import (
    BAD_CLAIMS,
    BAD_HEADERS,
    BAD_SIGNATURES,
    MISSHAPEN,
    NOT_TOKENS,
    SIGNATURE,
    spaced,
)
from tests.unit.token_forge import (
    CLAIMS,
    ED_KID,
    HEADER,
    OTHER_SECRET,
    PRIVATE_PEM,
    as_bytes,
    base64url,
    forged,
    header_with,
)
from tests.unit.token_judge import checked


@pytest.mark.parametrize("token", NOT_TOKENS.values(), ids=NOT_TOKENS)
def test_what_is_not_text_is_malformed(token: object) -> None:
    """Any object at all may be checked, and what is not plain text is no token."""
    assert checked(token) == TokenCheck(valid=False, code=TokenCode.MALFORMED)


@pytest.mark.parametrize("token", MISSHAPEN.values(), ids=MISSHAPEN)
def test_another_shape_is_malformed(token: str) -> None:
    """Only three parts of exact base64url within the bound are a token, however well they are signed."""
    assert checked(token) == TokenCheck(valid=False, code=TokenCode.MALFORMED)


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_another_header_is_malformed(header: object) -> None:
    """Only a header of exactly alg, kid and typ is taken, though our own key signed the token."""
    assert checked(forged(header)) == TokenCheck(valid=False, code=TokenCode.MALFORMED)


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_other_claims_are_malformed(claims: object) -> None:
    """Only exactly the known claims, each of its type and within its bound, are taken of our own signature."""
    assert checked(forged(claims=claims)) == TokenCheck(valid=False, code=TokenCode.MALFORMED)


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_claims_are_not_read_before_the_signature_is_verified(claims: object) -> None:
    """Whatever a stranger writes into the claims, the verdict is on the signature."""
    assert checked(forged(claims=claims, secret=OTHER_SECRET)).code is TokenCode.BAD_SIGNATURE


@pytest.mark.parametrize("token", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_a_signature_of_another_key_or_algorithm_is_bad(token: str) -> None:
    """A key answers for its one algorithm only, whatever the header says, and nothing of the claims is told."""
    assert checked(token) == TokenCheck(valid=False, code=TokenCode.BAD_SIGNATURE)


def test_the_other_spellings_stand_for_the_same_bytes() -> None:
    """What is refused for its spelling alone would be taken by a decoder that is not strict."""
    _, claims, _ = MISSHAPEN["an unused bit of the claims"].split(".")
    assert json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4))) == CLAIMS
    _, _, signature = MISSHAPEN["an unused bit of the signature"].split(".")
    assert signature != SIGNATURE
    assert urlsafe_b64decode(signature + "=") == urlsafe_b64decode(SIGNATURE + "=")
    assert len(MISSHAPEN["padding of the header"].split(".")[0]) % 4 == 0
    assert len(MISSHAPEN["a length that base64 never has"].split(".")[1]) % 4 == 1
    assert set(MISSHAPEN["the alphabet of plain base64"].split(".")[1]) & set("+/")
    assert checked(forged(spaced(HEADER, 2), spaced(CLAIMS, 2))).valid


def test_what_is_refused_for_its_content_is_not_refused_for_its_length() -> None:
    """But for the one that is about length, the bad headers and claims are within the bounds."""
    for name, header in BAD_HEADERS.items():
        assert len(base64url(as_bytes(header))) <= 512 or name == "a long header"
    assert all(len(forged(claims=claims)) <= 8192 for claims in BAD_CLAIMS.values())


def test_there_are_enough_hostile_tokens() -> None:
    """The tables above hold several times the 45 tokens that were asked for."""
    assert len(NOT_TOKENS) + len(MISSHAPEN) + len(BAD_HEADERS) + len(BAD_CLAIMS) + len(BAD_SIGNATURES) > 200


@pytest.mark.parametrize("kid", ["K1", "k1.", "..", "-", "ed", "x" * 64])
def test_a_kid_that_is_not_ours_is_unknown(kid: str) -> None:
    """A kid picks the key of exactly that name, or none."""
    assert checked(forged(header_with(kid=kid))) == TokenCheck(valid=False, code=TokenCode.UNKNOWN_KEY)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1.0", "1e2", "-1", "-0", "9" * 17])
def test_numbers_are_plain_integers_wherever_they_stand(number: str) -> None:
    """No float, exponent, sign or seventeenth digit is read, not even of a member that nobody asks for."""
    for text in (f'{{"a": {number}}}', f'{{"a": [{number}]}}'):
        with pytest.raises(MalformedError):
            json_object_of(text.encode())
    assert json_object_of(b'{"a": [9999999999999999, {"a": 0}]}') == {"a": [9_999_999_999_999_999, {"a": 0}]}


def test_members_are_distinct_at_any_depth() -> None:
    """A member that stands twice makes the whole text malformed, however deep it stands."""
    with pytest.raises(MalformedError):
        json_object_of(b'{"a": [{"b": {"c": 1, "\\u0063": 2}}]}')


def test_depth_is_counted_outside_of_strings() -> None:
    """Four levels are read, five are not, and brackets within a string are text."""
    assert json_object_of(b'{"a": [[[1]]]}') == {"a": [[[1]]]}
    assert json_object_of(b'{"[[[[": "{{{{\\"[[["}') == {"[[[[": '{{{{"[[['}
    with pytest.raises(MalformedError):
        json_object_of(b'{"a": [[[[1]]]]}')


def test_a_huge_token_costs_nothing() -> None:
    """What is too long is refused by its length: nothing of it is copied."""
    token = "a." * 5_000_000
    tracemalloc.start()
    try:
        checked(token)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_a_private_key_in_the_wrong_place_is_no_secret() -> None:
    """A token that was signed with the private key's own text as a secret is a stranger's."""
    token = forged(header_with(kid=ED_KID), secret=PRIVATE_PEM.encode())
    assert checked(token).code is TokenCode.BAD_SIGNATURE
