"""The compact form of a signed token (RFC 7515), read strictly: what is not exactly right is malformed.

Bounded before it is read; three parts of base64url in its one spelling; and for a header one JSON
object (RFC 8259) in UTF-8, without duplicate members, of exactly alg, kid and typ. So crit, jku, jwk, x5u,
b64 and whatever may yet be invented are refused by not being known (RFC 8725, sections 3.1 and 3.10).
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final, NoReturn

MAX_TOKEN_CHARS: Final = 8192
"""The longest token that is looked at; no claims of ours give a longer one."""

MAX_HEADER_CHARS: Final = 512

_MAX_DEPTH = 4
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})

_PART = re.compile(r"[A-Za-z0-9_-]+")
_KID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,16}")
_JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class MalformedError(Exception):
    """A text is not exactly right; `check` turns it into a verdict, so that no caller of ours meets it."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A token taken apart; nothing in it is to be believed before `signature` is verified over `signed`."""

    alg: str
    kid: str
    typ: str
    payload: bytes
    signed: bytes
    signature: bytes


def to_base64url(raw: bytes) -> str:
    """Return `raw` in base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def is_kid(kid: object) -> bool:
    """Return whether `kid` can name a key: 1..64 of ``A-Z a-z 0-9 . _ -``, so never a path, URL or query."""
    return type(kid) is str and _KID.fullmatch(kid) is not None


def jws_of(token: object) -> Jws:
    """Take a token apart.

    Raises:
        MalformedError: it is not text of at most 8192 characters, in three parts of base64url, with a
            header of exactly alg, kid and typ, all text, and kid such as can name a key.
    """
    if type(token) is not str or len(token) > MAX_TOKEN_CHARS:
        raise MalformedError("not text of a bounded length")
    parts = token.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER_CHARS:
        raise MalformedError("not three parts with a short header")
    header, payload, signature = map(_from_base64url, parts)
    members = json_object_of(header)
    if members.keys() != _HEADER_MEMBERS:
        raise MalformedError("the header has not exactly the members alg, kid and typ")
    alg, kid, typ = members["alg"], members["kid"], members["typ"]
    if type(alg) is not str or type(typ) is not str or not is_kid(kid):
        raise MalformedError("a member of the header is not of its type")
    return Jws(alg, kid, typ, payload, token.rpartition(".")[0].encode(), signature)


def json_object_of(raw: bytes) -> dict[str, Any]:
    """Return the one JSON object that `raw` is (RFC 8259), in UTF-8 without a byte order mark.

    Raises:
        MalformedError: it is not that; a member stands twice, at any depth; a number is no integer of at most
            16 digits without a sign; it is nested deeper than 4 levels, which is found without recursing.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MalformedError("not UTF-8") from None
    depth = 0
    for character in _JSON_STRING.sub("", text):
        depth += (character in "{[") - (character in "}]")
        if depth > _MAX_DEPTH:
            raise MalformedError("nested too deep")
    try:
        members = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_int=_bounded_int,
            parse_float=_no_such_number,
            parse_constant=_no_such_number,
        )
    except json.JSONDecodeError:
        raise MalformedError("not JSON") from None
    if type(members) is not dict:
        raise MalformedError("not a JSON object")
    return members


def _from_base64url(part: str) -> bytes:
    if _PART.fullmatch(part) is None or len(part) % 4 == 1:
        raise MalformedError("not base64url without padding")
    raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if to_base64url(raw) != part:
        raise MalformedError("unused bits are set")
    return raw


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedError("a member stands twice")
    return members


def _bounded_int(digits: str) -> int:
    if _NUMBER.fullmatch(digits) is None:
        raise MalformedError("a number is negative or has too many digits")
    return int(digits)


def _no_such_number(_text: str) -> NoReturn:
    raise MalformedError("a number is not an integer")
