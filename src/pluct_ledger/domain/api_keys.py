"""API keys: how they look, what is kept of them, and what a presented one is worth."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Any, Final
from zlib import crc32

from pluct_ledger.domain.arguments import check_text, instant_of
from pluct_ledger.errors import InvalidArgument

ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 32
CHECK_LENGTH: Final = 6

DEFAULT_SCOPES: Final = ("credits:add",)
MAX_SCOPES: Final = 32
MAX_DESCRIPTION_CHARS: Final = 500
MIN_PEPPER_BYTES: Final = 32

TOUCH_EVERY: Final = 60_000_000
"""How many microseconds must lie between two records of a key's use."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FAIR_BYTES: Final = 256 - 256 % len(_ALPHABET)
_MOST_DRAWS: Final = 100

_BODY = re.compile(r"([0-9A-Za-z]{12})_[0-9A-Za-z]{32}([0-9A-Za-z]{6})")
_LEGACY = re.compile(r"pluct_api_[0-9a-f]{32}")
_PREFIX = re.compile(r"[a-z0-9]{1,16}")
_SCOPE = re.compile(r"[a-z][a-z0-9-]{0,31}(:[a-z0-9][a-z0-9-]{0,31}){0,3}")

# Without the underscore: a whole key, handed in where an id belongs, is refused and repeated by no message.
_KEY_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9A-Za-z-]{1,64})")


class KeyStatus(IntEnum):
    """What a key may be used for; the numbers are stored."""

    ACTIVE = 0
    REVOKED = 1

    @property
    def word(self) -> str:
        """The status as the API says it, e.g. ``"active"``."""
        return self.name.lower()


class ApiKeyCode(StrEnum):
    """What `verify` found, in order of precedence; a key of another book is an unknown one."""

    MALFORMED = "MALFORMED"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    REVOKED = "REVOKED"
    MISSING_SCOPE = "MISSING_SCOPE"
    VALID = "VALID"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as the API shows it: never its secret, never what is stored of it.

    Attributes:
        key_id: the public part, which logs show; of an imported key the id that it had before.
        status: ``"active"`` or ``"revoked"``.
        last_used_at: when it was last found valid, exact to the minute; None if never.
        revoked_at: when it was revoked; None also for a key that was imported as revoked.
        legacy: whether it was imported from the old service.
    """

    key_id: str
    book: str
    description: str
    scopes: tuple[str, ...]
    status: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None
    legacy: bool
    metadata: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key and its secret, which nothing can tell a second time."""

    secret: str = field(repr=False)
    api_key: ApiKey


@dataclass(frozen=True, slots=True)
class ApiKeyCheck:
    """What a presented secret is worth.

    Attributes:
        valid: whether it may be let in; the same as ``code is ApiKeyCode.VALID``.
        code: why, or why not.
        api_key: the key that it is the secret of; None if there is none.
    """

    valid: bool
    code: ApiKeyCode
    api_key: ApiKey | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key's row; instants are microseconds since 1970-01-01T00:00Z, scopes and metadata JSON texts."""

    key_id: str
    book: str
    digest: bytes = field(repr=False)
    pepper_id: str | None
    legacy: bool
    description: str
    scopes: str
    status: KeyStatus
    created_at: int
    last_used_at: int | None
    revoked_at: int | None
    revoked_reason: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class KeyText:
    """The text of a well-formed key: what a host presents.

    Attributes:
        text: the whole key, which is the secret.
        key_id: its public part; None in a legacy key, which has none.
    """

    text: str = field(repr=False)
    key_id: str | None


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How the keys of one deployment look: ``<prefix>_<environment>_<id>_<secret><check>``.

    Args:
        prefix: 1..16 of ``[a-z0-9]``, the product.
        environment: 1..16 of ``[a-z0-9]``; a key of another environment is malformed here.
    """

    prefix: str = "pluct"
    environment: str = "live"

    def __post_init__(self) -> None:
        for name in ("prefix", "environment"):
            value: object = getattr(self, name)
            if type(value) is not str or _PREFIX.fullmatch(value) is None:
                raise InvalidArgument(name, "must match [a-z0-9]{1,16}")

    def mint(self, draw: Callable[[int], bytes]) -> KeyText:
        """Return a new key; `draw` returns so many bytes of cryptographic randomness."""
        symbols = random_base62(ID_LENGTH + SECRET_LENGTH, draw)
        key_id = symbols[:ID_LENGTH]
        head = f"{self.prefix}_{self.environment}_{key_id}_{symbols[ID_LENGTH:]}"
        return KeyText(text=head + _check_of(head), key_id=key_id)

    def read(self, presented: object) -> KeyText | None:
        """Return the key that `presented` spells, or None: whatever it is, it is never an exception."""
        if type(presented) is not str:
            return None
        if _LEGACY.fullmatch(presented) is not None:
            return KeyText(text=presented, key_id=None)

        start = f"{self.prefix}_{self.environment}_"
        if not presented.startswith(start):
            return None
        body = _BODY.fullmatch(presented, len(start))
        if body is None or body[2] != _check_of(presented[:-CHECK_LENGTH]):
            return None
        return KeyText(text=presented, key_id=body[1])


class KeyHash:
    """The one place where a key becomes what is stored of it: SHA-256, or HMAC-SHA-256 under a pepper.

    Args:
        pepper: None, or at least 32 bytes that the database does not know.
    """

    __slots__ = ("_pepper", "pepper_id")

    pepper_id: str | None
    """The public name of the pepper, kept beside each digest made under it; None without one."""

    def __init__(self, pepper: object = None) -> None:
        if pepper is not None and (type(pepper) is not bytes or len(pepper) < MIN_PEPPER_BYTES):
            raise InvalidArgument("pepper", f"at least {MIN_PEPPER_BYTES} bytes are required")
        self._pepper = pepper
        self.pepper_id = None if pepper is None else sha256(b"pluct-pepper-v1" + pepper).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"KeyHash(pepper_id={self.pepper_id!r})"

    def digest(self, key: KeyText) -> bytes:
        """Return the 32 bytes that are stored of a new key."""
        return self._digests(key)[self.pepper_id]

    def legacy_digest(self, key: KeyText) -> bytes:
        """Return the 32 bytes by which an imported key is found: the old service knew no pepper."""
        return self._digests(key)[None]

    def fits(self, key: KeyText, record: ApiKeyRecord | None) -> bool:
        """Return whether `record` is of this very key: the same work whether there is one or not.

        A record whose pepper is not the one configured fits no key.
        """
        stored = _NO_DIGEST if record is None else record.digest
        pepper_id = self.pepper_id if record is None else record.pepper_id
        return hmac.compare_digest(self._digests(key).get(pepper_id, _OTHER_PEPPER), stored)

    def _digests(self, key: KeyText) -> dict[str | None, bytes]:
        encoded = key.text.encode()
        digests: dict[str | None, bytes] = {None: sha256(encoded).digest()}
        if self._pepper is not None:
            digests[self.pepper_id] = hmac.digest(self._pepper, encoded, sha256)
        return digests


_NO_DIGEST: Final = bytes(32)
_OTHER_PEPPER: Final = bytes([255] * 32)


def random_base62(length: int, draw: Callable[[int], bytes]) -> str:
    """Return `length` symbols, each as likely as any other: bytes that would favour some are drawn again."""
    symbols = ""
    for _ in range(_MOST_DRAWS):
        fair = [byte for byte in draw(length) if byte < _FAIR_BYTES]
        symbols += "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in fair)
        if len(symbols) >= length:
            return symbols[:length]
    raise RuntimeError("the source of randomness gives no usable bytes")


def _check_of(head: str) -> str:
    rest = crc32(head.encode())
    symbols = ""
    for _ in range(CHECK_LENGTH):
        rest, symbol = divmod(rest, len(_ALPHABET))
        symbols = _ALPHABET[symbol] + symbols
    return symbols


def check_key_id(key_id: object) -> str:
    """Return `key_id` if it has the form of one; the message of the refusal does not repeat it."""
    if type(key_id) is not str or _KEY_ID.fullmatch(key_id) is None:
        raise InvalidArgument("key_id", "must match [0-9A-Za-z-]{1,64}")
    return key_id


def check_description(description: object) -> str:
    """Return `description` if it is 1..500 characters, not all of them white space."""
    text = check_text(description, "description", most_chars=MAX_DESCRIPTION_CHARS)
    if not text.strip():
        raise InvalidArgument("description", "must not be blank")
    return text


def check_scope(scope: object, name: str = "scope") -> str:
    """Return `scope` if it is 1..4 words of ``[a-z0-9-]`` joined by colons, e.g. ``"credits:add"``."""
    if type(scope) is not str or _SCOPE.fullmatch(scope) is None:
        raise InvalidArgument(name, "must be words of [a-z0-9-] joined by colons, like credits:add")
    return scope


def check_scopes(scopes: object) -> tuple[str, ...]:
    """Return `scopes` as a tuple if they are at most 32 different scopes, in a tuple or a list."""
    if not isinstance(scopes, (tuple, list)):
        raise InvalidArgument("scopes", f"a tuple or list is required, not {type(scopes).__name__}")
    if len(scopes) > MAX_SCOPES:
        raise InvalidArgument("scopes", f"at most {MAX_SCOPES}")
    checked = tuple(check_scope(scope, "scopes") for scope in scopes)
    if len(set(checked)) < len(checked):
        raise InvalidArgument("scopes", "must not repeat")
    return checked


def judge(record: ApiKeyRecord, scope: str | None) -> ApiKeyCheck:
    """Return what the key of `record` is worth for `scope`, after its secret was found to fit."""
    api_key = api_key_of(record)
    if record.status is not KeyStatus.ACTIVE:
        return ApiKeyCheck(valid=False, code=ApiKeyCode.REVOKED, api_key=api_key)
    if scope is not None and scope not in api_key.scopes:
        return ApiKeyCheck(valid=False, code=ApiKeyCode.MISSING_SCOPE, api_key=api_key)
    return ApiKeyCheck(valid=True, code=ApiKeyCode.VALID, api_key=api_key)


def touch_due(record: ApiKeyRecord, now: int) -> bool:
    """Return whether a use at `now` (microseconds) is to be recorded: the last record is a minute old."""
    return record.last_used_at is None or record.last_used_at <= now - TOUCH_EVERY


def api_key_of(record: ApiKeyRecord) -> ApiKey:
    """Return what the API shows of a key's row."""
    return ApiKey(
        key_id=record.key_id,
        book=record.book,
        description=record.description,
        scopes=tuple(json.loads(record.scopes)),
        status=record.status.word,
        created_at=instant_of(record.created_at),
        last_used_at=None if record.last_used_at is None else instant_of(record.last_used_at),
        revoked_at=None if record.revoked_at is None else instant_of(record.revoked_at),
        revoked_reason=record.revoked_reason,
        legacy=record.legacy,
        metadata=None if record.metadata is None else json.loads(record.metadata),
    )


def cursor_of(record: ApiKeyRecord) -> str:
    """Return the place of a key in the list, newest first, from which a page goes on."""
    return f"{record.created_at}.{record.key_id}"


def parse_cursor(after: object) -> tuple[int, str]:
    """Return the instant (microseconds) and the key id that a cursor stands for.

    Raises:
        InvalidArgument: it is not the ``next`` of a page.
    """
    match = _CURSOR.fullmatch(after) if type(after) is str else None
    if match is None:
        raise InvalidArgument("after", "must be the `next` of a page")
    return int(match[1]), match[2]
