"""Keys of the old service on every database: imported by hash, and working as before."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.domain.api_keys import ApiKeyCode
from pluct_ledger.domain.legacy_keys import LegacyImport, LegacyKey
from pluct_ledger.errors import InvalidArgument
from tests.clock import FrozenClock

EXPORT = Path(__file__).parents[3] / "examples" / "data" / "pluct-d1"
SECRET = "pluct_api_" + "0123456789abcdef" * 2
OTHER_SECRET = "pluct_api_" + "fedcba9876543210" * 2


def legacy_key(key_id: str = "old-1", secret: str = SECRET) -> LegacyKey:
    """A key of the old service, as its export tells it."""
    return LegacyKey(
        key_id=key_id,
        key_hash=sha256(secret.encode()).hexdigest(),
        description="Partner A",
        created_at=datetime(2028, 5, 1, 12, 30, 0, 466_000, tzinfo=UTC),
    )


def exported_keys() -> list[LegacyKey]:
    """All keys of the real export."""
    with closing(sqlite3.connect(f"file:{EXPORT / 'd1.sqlite'}?mode=ro", uri=True)) as export:
        rows = export.execute("SELECT id, key_hash, description, created_at, status FROM api_keys").fetchall()
    return [
        LegacyKey(
            key_id=row[0],
            key_hash=row[1],
            description=row[2],
            created_at=datetime.fromisoformat(row[3]),
            status=row[4],
        )
        for row in rows
    ]


def test_the_keys_of_the_real_export_work_as_before(own: ApiKeyRegistry) -> None:
    """Of the exported secrets the two active ones verify, and the revoked one is revoked, under their old ids."""
    keys = exported_keys()
    secrets = json.loads((EXPORT / "test-api-keys.json").read_text())

    assert own.import_legacy(keys).imported == tuple(key.key_id for key in keys)

    checks = [own.verify(secret, scope="credits:add") for secret in secrets]
    assert [check.code for check in checks] == [ApiKeyCode.VALID, ApiKeyCode.VALID, ApiKeyCode.REVOKED]
    by_hash = {key.key_hash: key for key in keys}
    for secret, check in zip(secrets, checks, strict=True):
        key = by_hash[sha256(secret.encode()).hexdigest()]
        assert check.api_key is not None
        assert (check.api_key.key_id, check.api_key.description) == (key.key_id, key.description)
        assert (check.api_key.created_at, check.api_key.legacy) == (key.created_at, True)
    assert {key.key_id for key in own.page()} == {key.key_id for key in keys}


def test_an_imported_key_verifies(registry: ApiKeyRegistry) -> None:
    """An old key verifies by its hash, and is revoked like any other."""
    registry.import_legacy([legacy_key()])

    assert registry.verify(SECRET, scope="credits:add").valid
    assert registry.verify(OTHER_SECRET).code is ApiKeyCode.UNKNOWN_KEY
    registry.revoke("old-1", reason="moved on")
    assert registry.verify(SECRET).code is ApiKeyCode.REVOKED


def test_old_keys_need_no_pepper(own: ApiKeyRegistry, engine: Engine) -> None:
    """A registry with a pepper imports and verifies old keys by their plain hash."""
    peppered = ApiKeyRegistry(engine, pepper=bytes(32))
    peppered.import_legacy([legacy_key()])

    assert peppered.verify(SECRET).valid
    assert own.verify(SECRET).valid


def test_the_use_of_an_old_key_is_recorded(own: ApiKeyRegistry, clock: FrozenClock) -> None:
    """An old key's use is recorded under its old id."""
    own.import_legacy([legacy_key()])
    own.verify(SECRET)

    assert own.get("old-1").last_used_at == clock()


def test_a_second_import_changes_nothing(registry: ApiKeyRegistry, clock: FrozenClock) -> None:
    """Imported again, all keys are unchanged, also one that was used and revoked meanwhile."""
    keys = [legacy_key(), replace(legacy_key("old-2", OTHER_SECRET), status="revoked")]
    first = registry.import_legacy(keys)
    registry.verify(SECRET)
    registry.revoke("old-1", reason="leaked")
    before = list(registry.page())
    clock.advance(timedelta(days=1))

    assert first == LegacyImport(imported=("old-1", "old-2"), unchanged=(), conflicts=())
    assert registry.import_legacy(keys) == LegacyImport(
        imported=(), unchanged=("old-1", "old-2"), conflicts=()
    )
    assert list(registry.page()) == before


def test_a_key_imported_as_revoked_has_no_instant_of_revocation(registry: ApiKeyRegistry) -> None:
    """The old service did not keep when it revoked; revoking again does not make it up."""
    registry.import_legacy([replace(legacy_key(), status="revoked")])

    assert registry.revoke("old-1", reason="again").revoked_at is None
    assert registry.verify(SECRET).code is ApiKeyCode.REVOKED


def test_what_contradicts_is_reported_and_left(registry: ApiKeyRegistry) -> None:
    """A known id with another hash, a known hash under another id: each is named, what is stored stays."""
    registry.import_legacy([legacy_key()])
    before = registry.get("old-1")

    report = registry.import_legacy(
        [legacy_key("old-1", OTHER_SECRET), legacy_key("old-2"), legacy_key("old-3", "pluct_api_" + "1" * 32)]
    )

    assert report.imported == ("old-3",)
    assert [(conflict.key_id, "hash" in conflict.problem) for conflict in report.conflicts] == [
        ("old-1", True),
        ("old-2", True),
    ]
    assert registry.get("old-1") == before
    assert registry.verify(OTHER_SECRET).code is ApiKeyCode.UNKNOWN_KEY


def test_of_rows_that_contradict_each_other_the_first_stands(registry: ApiKeyRegistry) -> None:
    """Within one import too, a repeat is unchanged and a contradiction is reported."""
    report = registry.import_legacy([legacy_key(), legacy_key(), legacy_key("old-1", OTHER_SECRET)])

    assert (report.imported, report.unchanged) == (("old-1",), ("old-1",))
    assert [conflict.key_id for conflict in report.conflicts] == ["old-1"]


def test_a_key_of_another_book_is_a_contradiction(engine: Engine, own: ApiKeyRegistry) -> None:
    """A hash belongs to one book: a second book cannot take it over, and does not know it."""
    own.import_legacy([legacy_key()])
    other = ApiKeyRegistry(engine, book="other")

    assert [conflict.problem for conflict in other.import_legacy([legacy_key()]).conflicts] == [
        "another book is stored"
    ]
    assert other.verify(SECRET).code is ApiKeyCode.UNKNOWN_KEY
    assert own.verify(SECRET).valid


def test_what_is_no_old_key_is_refused_before_any_is_imported(own: ApiKeyRegistry) -> None:
    """A stranger among the keys is an InvalidArgument, and none of them is imported."""
    with pytest.raises(InvalidArgument):
        own.import_legacy([legacy_key(), "pluct_api"])  # type: ignore[list-item]  # the point of the test

    assert list(own.page()) == []
    assert own.import_legacy([]) == LegacyImport((), (), ())
