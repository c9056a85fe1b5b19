"""Tokens: what is vended, what it says, and when it is good."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pluct_ledger.domain.entries import Receipt
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.domain.tokens import (
    Claims,
    TokenCheck,
    TokenCode,
    VendedToken,
    claims_of,
    sign,
)
from tests.unit.token_forge import (
    CLAIMS,
    ED25519,
    ED_KID,
    ISSUED,
    KID,
    NOW,
    PRIVATE_PEM,
    PUBLIC_PEM,
    SECRET,
    TOKEN_ID,
    claims_with,
    forged,
    header_with,
)
from tests.unit.token_judge import built, checked

HS256 = SigningKeys.hs256(SECRET, kid=KID)
EDDSA = SigningKeys.ed25519(PRIVATE_PEM, kid=ED_KID)
EXPIRES_AT = datetime.fromtimestamp(ISSUED + 60, UTC)
SECOND = 1_000_000


@pytest.mark.parametrize("keys", [HS256, EDDSA], ids=["HS256", "EdDSA"])
def test_a_token_that_was_signed_is_valid(keys: SigningKeys) -> None:
    """A good token tells its owner, its id, its end and its scope."""
    assert checked(sign(built(), keys.signer), keys=keys) == TokenCheck(
        valid=True,
        code=TokenCode.VALID,
        owner="ada",
        token_id=TOKEN_ID,
        expires_at=EXPIRES_AT,
        scope=("read", "write"),
    )


def test_a_public_key_verifies_what_the_private_one_signed() -> None:
    """Who holds only the public key can check tokens."""
    assert checked(sign(built(), EDDSA.signer), keys=SigningKeys.ed25519(PUBLIC_PEM, kid=ED_KID)).valid


@pytest.mark.parametrize("keys", [HS256, EDDSA], ids=["HS256", "EdDSA"])
def test_stored_claims_give_the_same_token_again(keys: SigningKeys) -> None:
    """A token is not stored: its claims are, and signing them again gives it to the character."""
    first = built(owner='Ünïcode \\ " 💳\n', audience="shop")
    stored = first.text
    assert claims_of(stored) == first
    assert sign(claims_of(stored), keys.signer) == sign(first, keys.signer)


def test_the_text_of_claims_is_pinned() -> None:
    """Tokens vended by one release are given again by the next, so their texts never change."""
    assert built(audience="shop").text == (
        '{"aud":"shop","book":"default","cost":1,"exp":1750000060,"iat":1750000000,"iss":"pluct",'
        '"jti":"00112233445566778899aabbccddeeff.7","nbf":1750000000,"scope":"read write","sub":"ada"}'
    )
    assert sign(built(), HS256.signer) == (
        "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJib29rIjoiZGVmYXVsdCIsImNvc3QiOjEsImV4cCI6MTc1MDAwMDA2M"
        "CwiaWF0IjoxNzUwMDAwMDAwLCJpc3MiOiJwbHVjdCIsImp0aSI6IjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZmLjciLCJuYmYiOj"
        "E3NTAwMDAwMDAsInNjb3BlIjoicmVhZCB3cml0ZSIsInN1YiI6ImFkYSJ9.sgNM9HaLSqNV1aX6WlO96h7DY4LqqoRQr-mAcS46_gM"
    )


@given(
    owner=st.text(min_size=1, max_size=60).filter(lambda text: "\0" not in text),
    cost=st.integers(1, 2**53 - 1),
    seconds=st.integers(1, 3653 * 86_400),
    now=st.integers(0, 4_000_000_000 * SECOND),
)
def test_whatever_is_vended_is_valid_at_once(owner: str, cost: int, seconds: int, now: int) -> None:
    """Any claims that can be built are signed, stored, read and found valid at the instant of vending."""
    made = built(owner=owner, cost=cost, ttl=timedelta(seconds=seconds), now=now)
    assert claims_of(made.text) == made
    verdict = checked(sign(made, HS256.signer), now=now)
    assert verdict.valid
    assert verdict.owner == owner


@pytest.mark.parametrize("keys", [HS256, EDDSA], ids=["HS256", "EdDSA"])
def test_the_largest_token_is_within_the_bound(keys: SigningKeys) -> None:
    """No token is vended that a check would refuse for its length."""
    worst = "\x01" * 255
    scope = ("w" * 128, "x" * 127, "y" * 127, "z" * 127)
    made = built(
        owner=worst,
        issuer=worst,
        audience=worst,
        book="\x01" * 64,
        scope=scope,
        cost=2**53 - 1,
        token_id="f" * 32 + "." + "9" * 18,
    )
    keys = (
        SigningKeys.hs256(SECRET, kid="k" * 64)
        if keys is HS256
        else SigningKeys.ed25519(PRIVATE_PEM, kid="k" * 64)
    )
    token = sign(made, keys.signer)
    assert len(token) <= 8192
    assert checked(token, keys=keys, issuer=worst, audience=worst, book="\x01" * 64).valid


def test_a_plain_library_reads_our_tokens() -> None:
    """PyJWT alone verifies what we sign, with every check that it has."""
    now = int(datetime.now(UTC).timestamp()) * SECOND
    made = built(audience="shop", now=now)
    expected = json.loads(made.text)
    options: Any = {"require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]}
    told = {"issuer": "pluct", "audience": "shop", "options": options}
    assert jwt.decode(sign(made, HS256.signer), SECRET, algorithms=["HS256"], **told) == expected
    assert jwt.decode(sign(made, EDDSA.signer), PUBLIC_PEM, algorithms=["EdDSA"], **told) == expected
    assert jwt.get_unverified_header(sign(made, HS256.signer)) == {"alg": "HS256", "kid": KID, "typ": "JWT"}


def test_the_published_key_set_verifies_our_tokens() -> None:
    """PyJWT finds the key of a token in `jwks()` and verifies it with that alone."""
    made = built(now=int(datetime.now(UTC).timestamp()) * SECOND)
    token = sign(made, EDDSA.signer)
    key = jwt.PyJWKSet.from_dict(EDDSA.jwks())[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["EdDSA"])["sub"] == "ada"


def test_a_plain_library_makes_tokens_that_we_read() -> None:
    """A token of the same members is valid whoever wrote it, in whatever order its members stand."""
    assert checked(jwt.encode(CLAIMS, SECRET, "HS256", headers={"kid": KID})).valid
    assert checked(jwt.encode(CLAIMS, ED25519, "EdDSA", headers={"kid": ED_KID}), keys=EDDSA).valid
    assert checked(forged(claims=dict(reversed(CLAIMS.items())))).valid
    assert checked(forged(claims=json.dumps(CLAIMS, indent=2))).valid


@pytest.mark.parametrize(
    ("now", "leeway", "code"),
    [
        (ISSUED * SECOND - 1, 0, TokenCode.NOT_YET_VALID),
        (ISSUED * SECOND, 0, TokenCode.VALID),
        ((ISSUED + 60) * SECOND - 1, 0, TokenCode.VALID),
        ((ISSUED + 60) * SECOND, 0, TokenCode.EXPIRED),
        ((ISSUED - 5) * SECOND - 1, 5, TokenCode.NOT_YET_VALID),
        ((ISSUED - 5) * SECOND, 5, TokenCode.VALID),
        ((ISSUED + 65) * SECOND - 1, 5, TokenCode.VALID),
        ((ISSUED + 65) * SECOND, 5, TokenCode.EXPIRED),
        ((ISSUED + 60) * SECOND, 0.000001, TokenCode.VALID),
        (0, 0, TokenCode.NOT_YET_VALID),
        (10**20, 0, TokenCode.EXPIRED),
    ],
)
def test_a_token_is_good_in_a_half_open_interval(now: int, leeway: float, code: TokenCode) -> None:
    """It is good from nbf - leeway until just before exp + leeway, to the microsecond, and tells its end both sides."""
    verdict = checked(forged(), now=now, leeway=timedelta(seconds=leeway))
    assert verdict.code is code
    assert verdict.valid is (code is TokenCode.VALID)
    assert (verdict.owner, verdict.token_id, verdict.expires_at) == ("ada", TOKEN_ID, EXPIRES_AT)


def test_an_expired_token_is_not_reported_as_a_bad_signature() -> None:
    """A well-signed token that has run out says EXPIRED; one that was tampered with says BAD_SIGNATURE."""
    late = NOW + 3600 * SECOND
    assert checked(forged(), now=late).code is TokenCode.EXPIRED
    assert checked(forged(secret=b"x" * 32), now=late).code is TokenCode.BAD_SIGNATURE


ALL_WRONG = claims_with(iss="x", aud="x", book="x", nbf=ISSUED + 3600, exp=ISSUED + 7200, scope="")
PRECEDENCE: list[tuple[TokenCode, str]] = [
    (TokenCode.UNKNOWN_KEY, forged(header_with(kid="x", typ="x", alg="x"), "x", secret=b"x")),
    (TokenCode.BAD_SIGNATURE, forged(header_with(typ="x"), "x", secret=b"x")),
    (TokenCode.WRONG_TYPE, forged(header_with(typ="x"), "x")),
    (TokenCode.MALFORMED, forged(claims={**ALL_WRONG, "cost": 0})),
    (TokenCode.WRONG_ISSUER, forged(claims=ALL_WRONG)),
    (TokenCode.WRONG_AUDIENCE, forged(claims={**ALL_WRONG, "iss": "pluct"})),
    (TokenCode.WRONG_BOOK, forged(claims={**ALL_WRONG, "iss": "pluct", "aud": "shop"})),
    (TokenCode.NOT_YET_VALID, forged(claims={**ALL_WRONG, "iss": "pluct", "aud": "shop", "book": "default"})),
    (TokenCode.EXPIRED, forged(claims=claims_with(aud="shop", nbf=0, exp=1, scope=""))),
    (TokenCode.MISSING_SCOPE, forged(claims=claims_with(aud="shop", scope=""))),
    (TokenCode.VALID, forged(claims=claims_with(aud="shop"))),
]


@pytest.mark.parametrize(("code", "token"), PRECEDENCE, ids=[code for code, _ in PRECEDENCE])
def test_the_first_thing_wrong_is_told(code: TokenCode, token: str) -> None:
    """Where several things are wrong, the verdict is the first in the documented order."""
    assert checked(token, audience="shop", scope=("read",)).code is code


@pytest.mark.parametrize(
    "token", [token for _, token in PRECEDENCE[:7]], ids=[code for code, _ in PRECEDENCE[:7]]
)
def test_a_foreign_token_tells_nothing(token: str) -> None:
    """What this issuer did not sign for this audience and book has no owner here."""
    assert dataclasses.replace(checked(token, audience="shop"), code=TokenCode.MALFORMED) == TokenCheck(
        valid=False, code=TokenCode.MALFORMED
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "valid"),
    [
        (None, None, True),
        ("a", "a", True),
        (None, "a", False),
        ("a", None, False),
        ("a", "A", False),
        ("a", "a ", False),
    ],
)
def test_an_audience_is_the_same_or_wrong(ours: str | None, theirs: str | None, *, valid: bool) -> None:
    """A token for an audience is for it alone, and one for none is for no audience (RFC 7519, section 4.1.3)."""
    token = sign(built(audience=theirs), HS256.signer)
    assert checked(token, audience=ours).code is (TokenCode.VALID if valid else TokenCode.WRONG_AUDIENCE)


@pytest.mark.parametrize("typ", ["jwt", "at+jwt", "JWT ", "", "application/jwt", "JOSE"])
def test_another_type_is_wrong(typ: str) -> None:
    """A token of another type under the same key is no token of ours (RFC 8725, section 3.11)."""
    assert checked(forged(header_with(typ=typ))) == TokenCheck(valid=False, code=TokenCode.WRONG_TYPE)


@pytest.mark.parametrize(
    ("has", "wanted", "valid"),
    [
        ((), (), True),
        (("read",), (), True),
        (("read", "write"), ("write",), True),
        (("read", "write"), ("write", "read"), True),
        ((), ("read",), False),
        (("read",), ("read", "write"), False),
        (("reader",), ("read",), False),
        (("READ",), ("read",), False),
    ],
)
def test_a_token_has_to_allow_all_that_is_wanted(
    has: tuple[str, ...], wanted: tuple[str, ...], *, valid: bool
) -> None:
    """The scope that is asked for has to be in the token, each word as it is written."""
    verdict = checked(sign(built(scope=has), HS256.signer), scope=wanted)
    assert verdict.code is (TokenCode.VALID if valid else TokenCode.MISSING_SCOPE)
    assert verdict.scope == has


def test_a_check_is_true_exactly_if_the_token_is_valid() -> None:
    """`if check(...)` means what it seems to mean."""
    assert checked(forged())
    assert not checked("")


def test_the_values_serialise() -> None:
    """Checks and claims go through JSON with pydantic's TypeAdapter and come back equal."""
    verdict, made = checked(forged()), built()
    for kind, value in ((TokenCheck, verdict), (Claims, made)):
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        assert adapter.validate_json(adapter.dump_json(value)) == value
    assert json.loads(TypeAdapter(TokenCheck).dump_json(verdict))["code"] == "VALID"
    assert TypeAdapter(VendedToken).json_schema()["required"][0] == "token"


def test_a_vended_token_does_not_print_itself() -> None:
    """Who reads a log cannot use the tokens that it speaks of."""
    made = built()
    token = sign(made, HS256.signer)
    receipt = Receipt(
        entry_id=TOKEN_ID,
        account_id=TOKEN_ID[:32],
        seq=7,
        book="default",
        asset="credit",
        owner="ada",
        operation="spend",
        kind="spend",
        amount=-1,
        posted_after=0,
        held_after=0,
        available_after=0,
        at=made.issued_at,
    )
    vended = VendedToken(token, made.jti, made.sub, made.issued_at, made.expires_at, receipt)
    assert token.rsplit(".", 1)[1] not in repr(vended)
    assert TOKEN_ID in repr(vended)
