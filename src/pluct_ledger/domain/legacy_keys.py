"""Keys of the old service: imported by their hashes, so that they keep working."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pluct_ledger.domain.api_keys import (
    DEFAULT_SCOPES,
    MAX_DESCRIPTION_CHARS,
    ApiKeyRecord,
    KeyStatus,
    check_key_id,
    check_scopes,
)
from pluct_ledger.domain.arguments import canonical_json, check_text, micros_of
from pluct_ledger.errors import InvalidArgument

_HASH = re.compile(r"[0-9a-f]{64}")
_STATUS_OF: Final = {status.word: status for status in KeyStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyKey:
    """A key of the old service, to be imported by its hash.

    Args:
        key_id: the id it had, 1..64 of ``[0-9A-Za-z-]``.
        key_hash: SHA-256 of the whole key, 64 lower-case hex digits.
        description: what it is for, at most 500 characters; may be empty.
        created_at: when it was made, an aware datetime.
        status: ``"active"`` or ``"revoked"``.
        scopes: what it may do.

    Raises:
        InvalidArgument: a field is not as above.
    """

    key_id: str
    key_hash: str = field(repr=False)
    description: str
    created_at: datetime
    status: str = "active"
    scopes: tuple[str, ...] = DEFAULT_SCOPES

    def __post_init__(self) -> None:
        check_key_id(self.key_id)
        if type(self.key_hash) is not str or _HASH.fullmatch(self.key_hash) is None:
            raise InvalidArgument("key_hash", "64 lower-case hex digits are required")
        check_text(self.description, "description", most_chars=MAX_DESCRIPTION_CHARS)
        micros_of(self.created_at, "created_at")
        if type(self.status) is not str or self.status not in _STATUS_OF:
            raise InvalidArgument("status", "must be active or revoked")
        check_scopes(self.scopes)


@dataclass(frozen=True, slots=True)
class LegacyConflict:
    """A key that was not imported, since what is here already contradicts it."""

    key_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class LegacyImport:
    """What an import did, by key id: a second run of the same finds all of them unchanged."""

    imported: tuple[str, ...]
    unchanged: tuple[str, ...]
    conflicts: tuple[LegacyConflict, ...]


def record_of_legacy(key: LegacyKey, book: str) -> ApiKeyRecord:
    """Return the row that an imported key is to have."""
    return ApiKeyRecord(
        key_id=key.key_id,
        book=book,
        digest=bytes.fromhex(key.key_hash),
        pepper_id=None,
        legacy=True,
        description=key.description,
        scopes=canonical_json(key.scopes),
        status=_STATUS_OF[key.status],
        created_at=micros_of(key.created_at, "created_at"),
        last_used_at=None,
        revoked_at=None,
        revoked_reason=None,
        metadata=None,
    )


def contradiction(wanted: ApiKeyRecord, present: Collection[ApiKeyRecord]) -> str | None:
    """Return how the rows that share the id or hash of `wanted` contradict it, or None: it is there.

    What happened to a key since it was imported is no contradiction: a second run finds nothing to do.
    """
    for record in present:
        if record.key_id != wanted.key_id:
            return f"its hash is stored as {record.key_id!r}"
        if not hmac.compare_digest(record.digest, wanted.digest):
            return "another hash is stored under its id"
        for name in ("book", "legacy", "description", "created_at"):
            if getattr(record, name) != getattr(wanted, name):
                return f"another {name} is stored"
        if wanted.status is KeyStatus.REVOKED and record.status is KeyStatus.ACTIVE:
            return "it is revoked there and active here"
    return None
