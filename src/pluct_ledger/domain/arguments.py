"""What may be handed in: the same verdict on every backend, before any SQL."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from pluct_ledger.errors import InvalidArgument

MAX_AMOUNT: Final = 2**53 - 1
"""The largest amount and balance: the last integer that every JSON reader keeps exact (RFC 8259, section 6)."""

MAX_NAME_BYTES: Final = 255
MAX_BOOK_BYTES: Final = 64
MAX_REASON_CHARS: Final = 500
MAX_ACTOR_CHARS: Final = 255
MAX_METADATA_BYTES: Final = 8192
MAX_METADATA_DEPTH: Final = 32
MAX_SPAN: Final = timedelta(days=36_525)
MAX_PAGE: Final = 1000
MAX_BATCH: Final = 10_000
MAX_KINDS: Final = 100

_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_INSTANT = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def check_amount(amount: object, *, most: int, name: str = "amount") -> int:
    """Return `amount` if it is a true `int` in 1..`most`.

    Raises:
        InvalidArgument: it is a bool, float, Decimal, text, or out of bounds.
    """
    if type(amount) is not int:
        raise InvalidArgument(name, f"an int is required, not {type(amount).__name__}")
    if not 1 <= amount <= most:
        raise InvalidArgument(name, f"must be between 1 and {most}")
    return amount


def check_change(amount: object, *, most: int, name: str = "signed_amount") -> int:
    """Return `amount` if it is a true `int`, not zero, in -`most`..`most`: the one signed amount of the API."""
    if type(amount) is not int:
        raise InvalidArgument(name, f"an int is required, not {type(amount).__name__}")
    if amount == 0 or not -most <= amount <= most:
        raise InvalidArgument(name, f"must not be 0, and must be between -{most} and {most}")
    return amount


def check_text(
    text: object, name: str, *, most_bytes: int | None = None, most_chars: int | None = None
) -> str:
    """Return `text` if every backend can store it as it is: no NUL, no lone surrogates, within its bound."""
    if type(text) is not str:
        raise InvalidArgument(name, f"text is required, not {type(text).__name__}")
    if most_chars is not None and len(text) > most_chars:
        raise InvalidArgument(name, f"at most {most_chars} characters")
    if "\0" in text:
        raise InvalidArgument(name, "must not hold NUL")
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(name, "must not hold lone surrogates") from None
    if most_bytes is not None and len(encoded) > most_bytes:
        raise InvalidArgument(name, f"at most {most_bytes} bytes of UTF-8")
    return text


def check_name(text: object, name: str, *, most_bytes: int = MAX_NAME_BYTES) -> str:
    """Return `text` if it is 1..`most_bytes` bytes of UTF-8; it is never normalised."""
    if text == "":
        raise InvalidArgument(name, "must not be empty")
    return check_text(text, name, most_bytes=most_bytes)


def check_kind(kind: object, name: str = "kind") -> str:
    """Return `kind` if it is of the form ``[a-z][a-z0-9_]{0,63}``."""
    if type(kind) is not str or _KIND.fullmatch(kind) is None:
        raise InvalidArgument(name, "must match [a-z][a-z0-9_]{0,63}")
    return kind


def check_limit(limit: object) -> int:
    """Return `limit` if it is a page size in 1..1000."""
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument("limit", f"must be an int between 1 and {MAX_PAGE}")
    return limit


def check_flag(flag: object, name: str) -> bool:
    """Return `flag` if it is a true bool."""
    if type(flag) is not bool:
        raise InvalidArgument(name, "must be True or False")
    return flag


def check_items(items: object, name: str, *, most: int | None = None) -> list[Any]:
    """Return at most `most` items of something iterable; text, which would be taken letter by letter, is refused."""
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise InvalidArgument(name, f"an iterable of them is required, not {type(items).__name__}")
    listed = list(items if most is None else islice(items, most + 1))
    if most is not None and len(listed) > most:
        raise InvalidArgument(name, f"at most {most}")
    return listed


def check_callable(value: object, name: str) -> None:
    """Check that `value` can be called."""
    if not callable(value):
        raise InvalidArgument(name, f"something to call is required, not {type(value).__name__}")


def micros_of(instant: object, name: str) -> int:
    """Return an aware datetime as microseconds since 1970-01-01T00:00Z."""
    if not isinstance(instant, datetime):
        raise InvalidArgument(name, f"an aware datetime is required, not {type(instant).__name__}")
    if instant.utcoffset() is None:
        raise InvalidArgument(name, "an aware datetime is required, not a naive one")
    micros = (instant - _EPOCH) // _MICROSECOND
    if not _FIRST_INSTANT <= micros <= _LAST_INSTANT:
        raise InvalidArgument(name, "must lie in the years 1 to 9999 UTC")
    return micros


def check_span(span: object, name: str) -> int:
    """Return a timedelta from 1 microsecond to 100 years in microseconds."""
    if not isinstance(span, timedelta):
        raise InvalidArgument(name, f"a timedelta is required, not {type(span).__name__}")
    if not _MICROSECOND <= span <= MAX_SPAN:
        raise InvalidArgument(name, f"must be from 1 microsecond to {MAX_SPAN.days} days")
    return span // _MICROSECOND


def instant_of(micros: int) -> datetime:
    """Return microseconds since 1970-01-01T00:00Z as an aware datetime in UTC."""
    return _EPOCH + micros * _MICROSECOND


def canonical_json(value: object) -> str:
    """Return the one JSON text that this value has in our tables: sorted members, no white space, UTF-8 as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def check_metadata(metadata: object, name: str = "metadata") -> str:
    """Return the canonical JSON text of a JSON-safe, bounded dict.

    Raises:
        InvalidArgument: not a dict with text keys; a value that JSON cannot carry exactly (NaN, an int beyond 2^53-1, a
            tuple, a datetime); deeper than 32 levels; longer than 8192 bytes.
    """
    if type(metadata) is not dict:
        raise InvalidArgument(name, f"a dict is required, not {type(metadata).__name__}")
    _check_json(metadata, name, MAX_METADATA_DEPTH)
    text = canonical_json(metadata)
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidArgument(name, f"at most {MAX_METADATA_BYTES} bytes as JSON")
    return text


def _check_json(value: object, name: str, levels: int) -> None:
    if levels == 0:
        raise InvalidArgument(name, f"at most {MAX_METADATA_DEPTH} levels deep")
    check = _JSON_CHECKS.get(type(value))
    if check is None:
        raise InvalidArgument(name, f"{type(value).__name__} is not JSON")
    check(value, name, levels)


def _check_json_object(value: dict[object, object], name: str, levels: int) -> None:
    for key, member in value.items():
        check_text(key, name)
        _check_json(member, name, levels - 1)


def _check_json_array(value: list[object], name: str, levels: int) -> None:
    for item in value:
        _check_json(item, name, levels - 1)


def _check_json_int(value: int, name: str, _levels: int) -> None:
    if abs(value) > MAX_AMOUNT:
        raise InvalidArgument(name, f"an int beyond {MAX_AMOUNT} is not kept exact by JSON readers")


def _check_json_float(value: float, name: str, _levels: int) -> None:
    if not math.isfinite(value):
        raise InvalidArgument(name, "NaN and infinities are not JSON")


def _check_json_text(value: str, name: str, _levels: int) -> None:
    check_text(value, name)


def _accept(_value: object, _name: str, _levels: int) -> None:
    return None


_JSON_CHECKS: Final[dict[type, Callable[[Any, str, int], None]]] = {
    dict: _check_json_object,
    list: _check_json_array,
    int: _check_json_int,
    float: _check_json_float,
    str: _check_json_text,
    bool: _accept,
    type(None): _accept,
}
