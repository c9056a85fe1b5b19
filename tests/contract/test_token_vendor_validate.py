"""Validating: a token is judged by its signature and claims alone, and by the clock to the microsecond."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import Engine, create_engine, event

from pluct_ledger import InvalidArgument, Ledger, SigningKeys, TokenCheck, TokenCode, TokenVendor
from tests.clock import FrozenClock
from tests.contract.callers import Caller, counted_statements
from tests.contract.vending import (
    ED25519,
    HS256,
    OTHER,
    borrowed_only,
    claims_in,
    give_up,
    joined,
    vendor_of,
)
from tests.unit.token_forge import ED25519 as ED25519_KEY
from tests.unit.token_forge import ED_KID, KID, OTHER_SECRET, PUBLIC_PEM, SECRET, hs256

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada has 10."""
    ledger.grant("ada", 10)
    return ledger


@pytest.fixture
def vendor(ledger: Ledger, caller: Caller) -> TokenVendor:
    """A vendor as it is made without a word more than is needed."""
    return vendor_of(caller)


@pytest.fixture
def checkouts(engine: Engine) -> Iterator[list[object]]:
    """Every connection that is taken out of the pool of `engine`; a test may clear it."""
    taken: list[object] = []

    def note(connection: object, *_: object) -> None:
        taken.append(connection)

    event.listen(engine, "checkout", note)
    yield taken
    event.remove(engine, "checkout", note)


def test_validating_reads_no_database(
    vendor: TokenVendor, caller: Caller, clock: FrozenClock, checkouts: list[object]
) -> None:
    """Whatever the verdict, no statement is sent and no connection taken."""
    good = vendor.vend("ada", scope=("read",)).token
    caller.settle()
    checkouts.clear()
    with counted_statements(caller.engine) as sent:
        codes = [
            vendor.validate(good).code,
            vendor.validate(good, scope=("read",)).code,
            vendor.validate(good, scope=("write",)).code,
            vendor.validate(good[:-4] + "AAAA").code,
            vendor.validate("no token").code,
            vendor.validate(None).code,
        ]
        clock.advance(timedelta(minutes=1))
        codes.append(vendor.validate(good).code)

    assert codes == [
        *("VALID", "VALID", "MISSING_SCOPE", "BAD_SIGNATURE", "MALFORMED", "MALFORMED", "EXPIRED")
    ]
    assert sent == []
    assert checkouts == []


def test_validating_needs_no_database_at_all(vendor: TokenVendor, clock: FrozenClock) -> None:
    """A vendor whose database cannot be reached judges tokens all the same."""
    token = vendor.vend("ada").token
    unreachable = create_engine("sqlite:////nowhere/at/all.db")

    assert TokenVendor(Ledger(unreachable, clock=clock), keys=HS256).validate(token).valid


def test_validating_begins_no_transaction_of_the_hosts(vendor: TokenVendor, caller: Caller) -> None:
    """A host's session or connection is not touched by a check."""
    token = vendor.vend("ada").token
    caller.settle()

    assert vendor.validate(token).valid
    assert caller._host is None or not caller._host.in_transaction()


@pytest.mark.parametrize("fraction", [timedelta(0), MICROSECOND, timedelta(microseconds=999_999)])
@pytest.mark.parametrize("leeway", [timedelta(0), MICROSECOND, timedelta(seconds=5), timedelta(hours=1)])
def test_a_token_ends_to_the_microsecond(
    ledger: Ledger, caller: Caller, clock: FrozenClock, fraction: timedelta, leeway: timedelta
) -> None:
    """A token of 60 s is good from the second it was vended in, for 60 s less what of that second was over."""
    begins = clock()
    clock.advance(fraction)
    vendor = vendor_of(caller, leeway=leeway)
    vended = vendor.vend("ada")
    ends = begins + timedelta(seconds=60)

    assert (vended.issued_at, vended.expires_at) == (begins, ends)
    for now, code in (
        (begins - leeway - MICROSECOND, TokenCode.NOT_YET_VALID),
        (begins - leeway, TokenCode.VALID),
        (begins + fraction, TokenCode.VALID),
        (ends + leeway - MICROSECOND, TokenCode.VALID),
        (ends + leeway, TokenCode.EXPIRED),
    ):
        clock.set(now)
        check = vendor.validate(vended.token)
        assert check == TokenCheck(
            valid=code is TokenCode.VALID,
            code=code,
            owner="ada",
            token_id=vended.token_id,
            expires_at=ends,
        )


def test_the_shortest_and_the_longest_life(vendor: TokenVendor, clock: FrozenClock) -> None:
    """A token lives one second or ten years, and not a microsecond more."""
    begins = clock()
    for ttl in (SECOND, timedelta(days=3653)):
        clock.set(begins)
        token = vendor.vend("ada", ttl=ttl).token
        clock.set(begins + ttl - MICROSECOND)
        assert vendor.validate(token).valid
        clock.advance(MICROSECOND)
        assert vendor.validate(token).code is TokenCode.EXPIRED


FOREIGN: dict[str, tuple[dict[str, Any], dict[str, Any], TokenCode]] = {
    "another issuer": ({}, {"issuer": "shop"}, TokenCode.WRONG_ISSUER),
    "an issuer in other letters": ({}, {"issuer": "Pluct"}, TokenCode.WRONG_ISSUER),
    "no audience, one is ours": ({}, {"audience": "api"}, TokenCode.WRONG_AUDIENCE),
    "an audience, none is ours": ({"audience": "api"}, {}, TokenCode.WRONG_AUDIENCE),
    "another audience": ({"audience": "api"}, {"audience": "web"}, TokenCode.WRONG_AUDIENCE),
    "issuer and audience": ({}, {"issuer": "shop", "audience": "api"}, TokenCode.WRONG_ISSUER),
    "keys it was not signed with": ({}, {"keys": OTHER}, TokenCode.UNKNOWN_KEY),
    "another key of that name": (
        {},
        {"keys": SigningKeys.hs256(OTHER_SECRET, kid=KID)},
        TokenCode.BAD_SIGNATURE,
    ),
    "a key of another algorithm of that name": (
        {},
        {"keys": SigningKeys.ed25519(PUBLIC_PEM, kid=KID)},
        TokenCode.BAD_SIGNATURE,
    ),
}


@pytest.mark.parametrize(("theirs", "ours", "code"), FOREIGN.values(), ids=FOREIGN)
def test_a_token_of_another_vendor_tells_nothing(
    ledger: Ledger, caller: Caller, theirs: dict[str, Any], ours: dict[str, Any], code: TokenCode
) -> None:
    """A token of another issuer, audience or key is refused, and the check repeats nothing that it says."""
    token = vendor_of(caller, **theirs).vend("ada", scope=("read",)).token

    assert vendor_of(caller, **theirs).validate(token).valid
    assert vendor_of(caller, **ours).validate(token) == TokenCheck(valid=False, code=code)


def test_a_token_of_another_book_is_refused(vendor: TokenVendor, caller: Caller) -> None:
    """Under the same keys, issuer and audience a token is good in its own book only, and tells nothing elsewhere."""
    shop = joined(TokenVendor(caller.ledger(book="shop"), keys=HS256), caller)
    caller.ledger(book="shop").grant("ada", 1)
    ours, theirs = vendor.vend("ada").token, shop.vend("ada").token

    assert vendor.validate(ours).valid
    assert shop.validate(theirs).valid
    for check in (vendor.validate(theirs), shop.validate(ours)):
        assert check == TokenCheck(valid=False, code=TokenCode.WRONG_BOOK)


def test_a_foreign_token_that_is_expired_is_foreign(
    vendor: TokenVendor, caller: Caller, clock: FrozenClock
) -> None:
    """Whose token it is comes before when it was good, and when before what it allows."""
    token = vendor.vend("ada").token
    shop = TokenVendor(Ledger(caller.engine, clock=clock, book="shop"), keys=HS256)

    assert vendor.validate(token, scope=("read",)).code is TokenCode.MISSING_SCOPE
    clock.advance(-timedelta(hours=1))
    assert vendor.validate(token, scope=("read",)).code is TokenCode.NOT_YET_VALID
    clock.advance(timedelta(hours=2))
    assert vendor.validate(token, scope=("read",)).code is TokenCode.EXPIRED
    assert shop.validate(token, scope=("read",)).code is TokenCode.WRONG_BOOK


def test_a_token_allows_what_it_says_and_no_more(vendor: TokenVendor) -> None:
    """All of what is wanted has to be in the token's scope, word for word and in any order."""
    token = vendor.vend("ada", scope=("render:hd", "read")).token

    for allowed in ([], ["read"], ["read", "render:hd"]):
        assert vendor.validate(token, scope=allowed).valid
        assert vendor.validate(token, scope=tuple(allowed)).valid
    for wanted in (["write"], ["read", "write"], ["Read"], ["render"], ["render:*"]):
        check = vendor.validate(token, scope=wanted)
        assert (check.valid, check.code, check.scope) == (False, "MISSING_SCOPE", ("render:hd", "read"))


@pytest.mark.parametrize(
    ("asked", "argument"),
    [
        ({"scope": "read"}, "scope"),
        ({"scope": None}, "scope"),
        ({"scope": ("a b",)}, "scope"),
        ({"stateful": True}, "stateful"),
        ({"stateful": 0}, "stateful"),
    ],
)
def test_what_is_wrong_with_the_call_is_said_whatever_the_token(
    vendor: TokenVendor, asked: dict[str, Any], argument: str
) -> None:
    """A scope that is none, and the check of a database that there is not yet, are refused for any token."""
    for token in (vendor.vend("ada").token, "no token"):
        with pytest.raises(InvalidArgument) as refused:
            vendor.validate(token, **asked)
        assert refused.value.argument == argument


@borrowed_only
def test_a_token_of_an_undone_vending_is_only_as_good_as_its_signature(
    vendor: TokenVendor, caller: Caller
) -> None:
    """What a host hands out before its commit is good though it was never paid for: no database is asked."""
    token = vendor.vend("ada").token
    give_up(caller)

    assert vendor.validate(token).valid


# Other readers and writers of the same tokens.


@pytest.mark.parametrize(
    ("keys", "key", "algorithm"), [(HS256, SECRET, "HS256"), (ED25519, PUBLIC_PEM, "EdDSA")]
)
def test_a_plain_library_reads_what_is_vended(
    ledger: Ledger, caller: Caller, clock: FrozenClock, keys: SigningKeys, key: Any, algorithm: str
) -> None:
    """PyJWT, given the same secret or the public key, verifies a token with every check it has."""
    clock.set(datetime.now(UTC))
    vended = vendor_of(caller, keys=keys, audience="api").vend("ada", scope=("read",))
    options: Any = {"require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]}

    told = jwt.decode(
        vended.token, key, algorithms=[algorithm], issuer="pluct", audience="api", options=options
    )

    assert told == claims_in(vended.token)
    assert (told["sub"], told["jti"], told["scope"]) == ("ada", vended.token_id, "read")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(vended.token[:-4] + "AAAA", key, algorithms=[algorithm], issuer="pluct", audience="api")


def test_a_plain_library_finds_the_key_in_the_key_set(
    ledger: Ledger, caller: Caller, clock: FrozenClock
) -> None:
    """PyJWT verifies a token by what `jwks` publishes, found by the token's kid."""
    clock.set(datetime.now(UTC))
    vendor = vendor_of(caller, keys=SigningKeys([ED25519, HS256.verify_only()]))
    token = vendor.vend("ada").token

    key = jwt.PyJWKSet.from_dict(vendor.jwks())[jwt.get_unverified_header(token)["kid"]]

    assert jwt.decode(token, key, algorithms=["EdDSA"])["sub"] == "ada"


@pytest.mark.parametrize(
    ("keys", "key", "algorithm", "kid"),
    [(HS256, SECRET, "HS256", KID), (ED25519, ED25519_KEY, "EdDSA", ED_KID)],
    ids=["HS256", "EdDSA"],
)
def test_what_a_plain_library_signs_is_read(
    ledger: Ledger, caller: Caller, keys: SigningKeys, key: Any, algorithm: str, kid: str
) -> None:
    """A token of the same claims that PyJWT signed with the same key is as good, and one without its kid is not."""
    vendor = vendor_of(caller, keys=keys)
    claims = claims_in(vendor.vend("ada").token)

    assert vendor.validate(jwt.encode(claims, key, algorithm, headers={"kid": kid})).valid
    assert vendor.validate(jwt.encode(claims, key, algorithm)).code is TokenCode.MALFORMED
    assert vendor.validate(jwt.encode(claims, key, algorithm, headers={"kid": "k9"})).code == "UNKNOWN_KEY"
    renamed = jwt.encode(claims, key, algorithm, headers={"kid": kid, "typ": "at+jwt"})
    assert vendor.validate(renamed).code is TokenCode.WRONG_TYPE


def test_a_token_that_was_changed_is_refused(vendor: TokenVendor) -> None:
    """No part of a token can be exchanged for that of another one."""
    one, another = vendor.vend("ada").token.split("."), vendor.vend("ada", cost=2).token.split(".")

    assert vendor.validate(".".join((one[0], another[1], one[2]))).code is TokenCode.BAD_SIGNATURE
    assert vendor.validate(".".join((one[0], one[1], another[2]))).code is TokenCode.BAD_SIGNATURE
    unsigned = ".".join(one[:2])
    assert vendor.validate(f"{unsigned}.{hs256(unsigned, OTHER_SECRET)}").code is TokenCode.BAD_SIGNATURE
    assert vendor.validate(f"{unsigned}.{hs256(unsigned)}").valid
