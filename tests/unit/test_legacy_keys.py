"""Keys of the old service: what may be imported, and what contradicts it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from pluct_ledger.domain.api_keys import KeyForm, KeyHash, KeyStatus
from pluct_ledger.domain.legacy_keys import LegacyKey, contradiction, record_of_legacy
from pluct_ledger.errors import InvalidArgument

SECRET = "pluct_api_" + "0123456789abcdef" * 2
FIELDS: dict[str, Any] = {
    "key_id": "d479a1ef-68d8-4785-a080-aa4a4f619d7b",
    "key_hash": sha256(SECRET.encode()).hexdigest(),
    "description": "Partner A",
    "created_at": datetime(2029, 1, 1, tzinfo=UTC),
}


def test_an_imported_row_fits_the_old_key() -> None:
    """The row made of an imported hash is found by the old key's digest and fits it, pepper or not."""
    key = KeyForm().read(SECRET)
    record = record_of_legacy(LegacyKey(**FIELDS), "default")

    assert key is not None
    for keyed in (KeyHash(), KeyHash(b"p" * 32)):
        assert keyed.legacy_digest(key) == record.digest
        assert keyed.fits(key, record)
    assert (record.legacy, record.status, record.scopes) == (True, KeyStatus.ACTIVE, '["credits:add"]')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key_id", ""),
        ("key_id", SECRET),
        ("key_hash", FIELDS["key_hash"].upper()),
        ("key_hash", FIELDS["key_hash"][:-1]),
        ("key_hash", bytes(32)),
        ("description", None),
        ("description", "a" * 501),
        ("created_at", datetime(2029, 1, 1)),  # noqa: DTZ001  # a naive one is the point
        ("created_at", "2029-01-01T00:00:00Z"),
        ("status", "Active"),
        ("status", []),
        ("scopes", "credits:add"),
    ],
)
def test_a_row_that_is_no_key_is_refused_by_field(field: str, value: object) -> None:
    """An old key is checked when it is made, and the refusal names the field."""
    with pytest.raises(InvalidArgument) as caught:
        LegacyKey(**{**FIELDS, field: value})

    assert caught.value.argument == field


def test_an_old_key_does_not_show_its_hash() -> None:
    """The repr of an old key leaves its hash out."""
    assert FIELDS["key_hash"] not in repr(LegacyKey(**FIELDS))


def test_a_second_import_finds_nothing_to_do() -> None:
    """The row itself contradicts nothing, nor does a use or a revocation since."""
    wanted = record_of_legacy(LegacyKey(**FIELDS), "default")
    since = replace(wanted, last_used_at=7, status=KeyStatus.REVOKED, revoked_at=8, revoked_reason="leaked")

    assert contradiction(wanted, [wanted]) is None
    assert contradiction(wanted, [since]) is None
    assert contradiction(since, [since]) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"digest": bytes(32)}, "another hash"),
        ({"key_id": "other"}, "'other'"),
        ({"book": "elsewhere"}, "another book"),
        ({"legacy": False}, "another legacy"),
        ({"description": "Partner B"}, "another description"),
        ({"created_at": 1}, "another created_at"),
    ],
)
def test_a_row_that_says_otherwise_is_a_contradiction(change: dict[str, Any], problem: str) -> None:
    """A row with the same id or hash that differs in a fact is named as what contradicts."""
    wanted = record_of_legacy(LegacyKey(**FIELDS), "default")

    assert problem in (contradiction(wanted, [replace(wanted, **change)]) or "")


def test_a_revocation_that_did_not_arrive_is_a_contradiction() -> None:
    """A key that is revoked in the old service and active here is reported, for someone to revoke it."""
    active = record_of_legacy(LegacyKey(**FIELDS), "default")
    revoked = record_of_legacy(LegacyKey(**FIELDS, status="revoked"), "default")

    assert "revoked" in (contradiction(revoked, [active]) or "")
