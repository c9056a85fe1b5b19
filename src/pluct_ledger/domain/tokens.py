"""Tokens: what they claim, how they are signed, and the strict check of one that comes back.

A token is a JWT (RFC 7519) in the compact form (RFC 7515): a header of exactly alg, kid and typ; claims of
exactly the members of `Claims`; and a signature. Nothing a token says chooses how it is verified (RFC 8725,
section 3.1): its kid picks one of our keys, and that key knows its algorithm. Nothing of the claims is read
before the signature is verified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pluct_ledger.domain.accounts import check_book, check_owner
from pluct_ledger.domain.arguments import MAX_AMOUNT, canonical_json, check_amount, check_name, instant_of
from pluct_ledger.domain.entries import Receipt, parse_entry_id
from pluct_ledger.domain.jws import MalformedError, json_object_of, jws_of, to_base64url
from pluct_ledger.domain.signing_keys import SigningKey, SigningKeys
from pluct_ledger.errors import InvalidArgument

MAX_SCOPE_CHARS: Final = 512
MAX_TTL: Final = timedelta(days=3653)
MAX_LEEWAY: Final = timedelta(hours=1)

_MAX_SECONDS = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that a datetime can say
_SECOND = 1_000_000  # microseconds
_TYPE = "JWT"
_OPTIONAL_CLAIMS = frozenset({"aud"})
_REQUIRED_CLAIMS = frozenset({"book", "cost", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"})

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class TokenCode(StrEnum):
    """The verdict on a token, in order of precedence.

    `check` reads no database, so it never answers those from REVOKED to ACCOUNT_FROZEN: they stand here for
    what does, and nothing answers them yet.
    """

    VALID = "VALID"
    MALFORMED = "MALFORMED"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    WRONG_TYPE = "WRONG_TYPE"
    WRONG_ISSUER = "WRONG_ISSUER"
    WRONG_AUDIENCE = "WRONG_AUDIENCE"
    WRONG_BOOK = "WRONG_BOOK"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    EXHAUSTED = "EXHAUSTED"
    REFUNDED = "REFUNDED"
    UNKNOWN_TOKEN = "UNKNOWN_TOKEN"  # noqa: S105  a verdict, not a secret
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    MISSING_SCOPE = "MISSING_SCOPE"


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """What a check of a token found; it is true exactly if the token is valid.

    Attributes:
        valid: whether `code` is VALID.
        code: the first verdict in the order of `TokenCode` that applies.
        owner, token_id, expires_at, scope: what the token says, told only of one that this issuer signed for
            this audience and book: with VALID, NOT_YET_VALID, EXPIRED and MISSING_SCOPE. `expires_at` is
            without leeway.
        uses_left: None, as `check` counts no uses.
    """

    valid: bool
    code: TokenCode
    owner: str | None = None
    token_id: str | None = None
    expires_at: datetime | None = None
    scope: tuple[str, ...] = ()
    uses_left: int | None = None

    def __bool__(self) -> bool:
        return self.valid


@dataclass(frozen=True, slots=True)
class VendedToken:
    """A token that was paid for.

    Attributes:
        token: the signed text: who holds it may use it, so it is kept out of ``repr``.
        token_id: the id of the entry that paid, which the token carries as ``jti``.
        receipt: that entry; ``receipt.replayed`` tells that the same token was vended before under this key.
    """

    token: str = field(repr=False)
    token_id: str
    owner: str
    issued_at: datetime
    expires_at: datetime
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, named as RFC 7519 names it; it checks itself, so there is none that breaks a rule.

    Attributes:
        iss: the issuer, 1..255 bytes of UTF-8.
        aud: the one audience, likewise, or None.
        sub: the owner whose credit paid.
        book: the book of that owner.
        iat, nbf, exp: whole seconds since 1970-01-01T00:00Z; `nbf` is before `exp`.
        jti: the id of the entry that paid.
        scope: scope tokens (RFC 6749, section 3.3), each once, at most 512 characters in all.
        cost: what was paid, in the asset's smallest unit.

    Raises:
        InvalidArgument: one of them is not so, named as the API names it.
    """

    iss: str
    aud: str | None
    sub: str
    book: str
    iat: int
    nbf: int
    exp: int
    jti: str
    scope: tuple[str, ...]
    cost: int

    def __post_init__(self) -> None:
        check_issuer(self.iss)
        check_audience(self.aud)
        check_owner(self.sub)
        check_book(self.book)
        for name in ("iat", "nbf", "exp"):
            seconds = getattr(self, name)
            if type(seconds) is not int or not 0 <= seconds <= _MAX_SECONDS:
                raise InvalidArgument(name, "whole seconds of the years 1970 to 9999 are required")
        if self.nbf >= self.exp:
            raise InvalidArgument("exp", "must be after nbf")
        parse_entry_id(self.jti, "token_id")
        if type(self.scope) is not tuple:
            raise InvalidArgument("scope", "a tuple is required")
        check_scope(self.scope)
        check_amount(self.cost, most=MAX_AMOUNT, name="cost")

    @property
    def text(self) -> str:
        """The one JSON text of these claims: what is stored, and signed again to give the same token."""
        members: dict[str, Any] = {
            "iss": self.iss,
            "sub": self.sub,
            "book": self.book,
            "iat": self.iat,
            "nbf": self.nbf,
            "exp": self.exp,
            "jti": self.jti,
            "scope": " ".join(self.scope),
            "cost": self.cost,
        }
        return canonical_json(members if self.aud is None else {**members, "aud": self.aud})

    @property
    def issued_at(self) -> datetime:
        """`iat` as an aware datetime."""
        return instant_of(self.iat * _SECOND)

    @property
    def expires_at(self) -> datetime:
        """`exp` as an aware datetime."""
        return instant_of(self.exp * _SECOND)


def check_issuer(issuer: object) -> str:
    """Return `issuer` if it is 1..255 bytes of UTF-8."""
    return check_name(issuer, "issuer")


def check_audience(audience: object) -> str | None:
    """Return `audience` if it is None or 1..255 bytes of UTF-8."""
    return None if audience is None else check_name(audience, "audience")


def check_scope(scope: object) -> tuple[str, ...]:
    """Return `scope` as a tuple if it is a tuple or list of distinct scope tokens (RFC 6749, section 3.3).

    Raises:
        InvalidArgument: another type (text too: its characters are no scopes); an element that is no scope
            token; one twice; more than 512 characters in all, with a space between two.
    """
    if type(scope) is not tuple and type(scope) is not list:
        raise InvalidArgument("scope", f"a tuple or list of text is required, not {type(scope).__name__}")
    for token in scope:
        if type(token) is not str or _SCOPE.fullmatch(token) is None:
            raise InvalidArgument("scope", "each is visible ASCII without space, quote or backslash")
    if len(set(scope)) < len(scope):
        raise InvalidArgument("scope", "one stands in it twice")
    if len(" ".join(scope)) > MAX_SCOPE_CHARS:
        raise InvalidArgument("scope", f"at most {MAX_SCOPE_CHARS} characters in all")
    return tuple(scope)


def check_ttl(ttl: object) -> timedelta:
    """Return `ttl` if it is a timedelta of whole seconds, from 1 second to 3653 days."""
    if not isinstance(ttl, timedelta):
        raise InvalidArgument("ttl", f"a timedelta is required, not {type(ttl).__name__}")
    if ttl.microseconds or not timedelta(seconds=1) <= ttl <= MAX_TTL:
        raise InvalidArgument("ttl", f"whole seconds are required, from 1 second to {MAX_TTL.days} days")
    return ttl


def check_leeway(leeway: object) -> timedelta:
    """Return `leeway` if it is a timedelta from 0 to 1 hour."""
    if not isinstance(leeway, timedelta):
        raise InvalidArgument("leeway", f"a timedelta is required, not {type(leeway).__name__}")
    if not timedelta(0) <= leeway <= MAX_LEEWAY:
        raise InvalidArgument("leeway", "must be from 0 to 1 hour")
    return leeway


def build_claims(
    *,
    owner: str,
    book: str,
    issuer: str,
    audience: str | None,
    scope: tuple[str, ...],
    cost: int,
    ttl: timedelta,
    now: int,
    token_id: str,
) -> Claims:
    """Return the claims of a token that is vended now.

    A token counts whole seconds and begins with the second in which it was vended, so one of 60 s is good for
    more than 59 s and at most 60 s from the instant of vending.

    Args:
        scope: scope tokens, in the order in which the token is to say them.
        cost: what is paid, in the asset's smallest unit.
        ttl: how long it is good: whole seconds, 1 second to 3653 days.
        now: microseconds since 1970-01-01T00:00Z.
        token_id: the id of the entry that pays.

    Raises:
        InvalidArgument: `ttl`, then any other in the order of `Claims`.
    """
    lifetime = check_ttl(ttl) // timedelta(seconds=1)
    begins = now // _SECOND
    return Claims(
        iss=issuer,
        aud=audience,
        sub=owner,
        book=book,
        iat=begins,
        nbf=begins,
        exp=begins + lifetime,
        jti=token_id,
        scope=scope,
        cost=cost,
    )


def claims_of(text: str) -> Claims:
    """Return the claims whose `Claims.text` is `text`.

    Raises:
        InvalidArgument: it is no such text, to the character.
    """
    try:
        claims = _claims_in(json_object_of(text.encode("utf-8", "surrogatepass")))
    except MalformedError as malformed:
        raise InvalidArgument("claims", str(malformed)) from None
    if claims.text != text:
        raise InvalidArgument("claims", "not in the canonical form")
    return claims


def sign(claims: Claims, key: SigningKey) -> str:
    """Return the token: equal claims under the same key always give the same one.

    Raises:
        InvalidArgument: the key verifies only.
    """
    header = canonical_json({"alg": key.algorithm, "kid": key.kid, "typ": _TYPE})
    signed = f"{to_base64url(header.encode())}.{to_base64url(claims.text.encode())}"
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def check(
    token: object,
    *,
    keys: SigningKeys,
    issuer: str,
    audience: str | None,
    book: str,
    scope: tuple[str, ...] = (),
    leeway: timedelta = timedelta(0),
    now: int,
) -> TokenCheck:
    """Return what is to be thought of a token; it raises for none, whatever object it is.

    In this order: MALFORMED for the compact form and the header (see `jws_of`); UNKNOWN_KEY; BAD_SIGNATURE,
    also if alg is not the key's algorithm; WRONG_TYPE (typ is not ``JWT``); MALFORMED for the claims, which
    are not read before; WRONG_ISSUER; WRONG_AUDIENCE, also if the token has one and we have none (RFC 7519,
    section 4.1.3); WRONG_BOOK; NOT_YET_VALID; EXPIRED; MISSING_SCOPE.

    Args:
        scope: what the token has to allow: all of it.
        leeway: how far the signer's clock may be off: it is good while nbf - leeway <= now < exp + leeway.
        now: microseconds since 1970-01-01T00:00Z.

    Raises:
        InvalidArgument: `scope` is not of scope tokens.
    """
    wanted = check_scope(scope)
    try:
        jws = jws_of(token)
    except MalformedError:
        return TokenCheck(valid=False, code=TokenCode.MALFORMED)
    key = keys.get(jws.kid)
    if key is None:
        return TokenCheck(valid=False, code=TokenCode.UNKNOWN_KEY)
    if jws.alg != key.algorithm or not key.verify(jws.signed, jws.signature):
        return TokenCheck(valid=False, code=TokenCode.BAD_SIGNATURE)
    if jws.typ != _TYPE:
        return TokenCheck(valid=False, code=TokenCode.WRONG_TYPE)
    try:
        claims = _claims_in(json_object_of(jws.payload))
    except MalformedError:
        return TokenCheck(valid=False, code=TokenCode.MALFORMED)
    if foreign := _foreign(claims, issuer, audience, book):
        return TokenCheck(valid=False, code=foreign)
    code = _verdict(claims, wanted, leeway, now)
    return TokenCheck(
        valid=code is TokenCode.VALID,
        code=code,
        owner=claims.sub,
        token_id=claims.jti,
        expires_at=claims.expires_at,
        scope=claims.scope,
    )


def _foreign(claims: Claims, issuer: str, audience: str | None, book: str) -> TokenCode | None:
    if claims.iss != issuer:
        return TokenCode.WRONG_ISSUER
    if claims.aud != audience:
        return TokenCode.WRONG_AUDIENCE
    return TokenCode.WRONG_BOOK if claims.book != book else None


def _verdict(claims: Claims, wanted: tuple[str, ...], leeway: timedelta, now: int) -> TokenCode:
    slack = leeway // timedelta(microseconds=1)
    if now < claims.nbf * _SECOND - slack:
        return TokenCode.NOT_YET_VALID
    if now >= claims.exp * _SECOND + slack:
        return TokenCode.EXPIRED
    return TokenCode.VALID if set(wanted) <= set(claims.scope) else TokenCode.MISSING_SCOPE


def _claims_in(members: dict[str, Any]) -> Claims:
    if members.keys() - _OPTIONAL_CLAIMS != _REQUIRED_CLAIMS:
        raise MalformedError("not exactly the known claims")
    scope = members["scope"]
    if type(scope) is not str or ("aud" in members and members["aud"] is None):
        raise MalformedError("a claim is not of its type")
    try:
        return Claims(**{"aud": None, **members, "scope": tuple(scope.split(" ")) if scope else ()})
    except InvalidArgument as invalid:
        raise MalformedError(str(invalid)) from None
