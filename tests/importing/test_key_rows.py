"""API keys of the old service move in by their hashes, whatever else stands in their rows."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from pluct_ledger import ApiKeyRegistry, Ledger
from pluct_ledger.importing import import_d1
from tests.importing.exports import write_file

SECRET = "pluct_api_" + "0123456789abcdef" * 2
HASH = sha256(SECRET.encode()).hexdigest()
CREATED = "2024-01-01T00:00:00.000Z"


def hash_of(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()


def test_a_key_that_is_not_plainly_active_stays_shut(
    ledger: Ledger, registry: ApiKeyRegistry, tmp_path: Path
) -> None:
    """The old service let in only what was ``active`` to the letter, and so does the import."""
    keys = [("1", HASH, "Partner", CREATED, "Active"), ("2", hash_of(2), "Other", CREATED, None)]
    report = import_d1(ledger, write_file(tmp_path / "d1.sqlite", (), keys), registry=registry)

    assert registry.verify(SECRET).code == "REVOKED"
    assert [one.reason for one in report.repairs] == [
        "status 'Active' is not active: taken as revoked",
        "status None is not active: taken as revoked",
    ]


def test_rows_of_keys_are_mended_where_they_can_be(
    ledger: Ledger, registry: ApiKeyRegistry, tmp_path: Path
) -> None:
    """A missing or overlong description and an unreadable instant cost no partner the key."""
    keys = [
        ("1", HASH, None, CREATED, "active"),
        ("2", hash_of(2), "d" * 501, "2024-01-01 00:00:00", "active"),
        ("3", hash_of(3), b"\0", "?", "active"),
    ]
    report = import_d1(ledger, write_file(tmp_path / "d1.sqlite", (), keys), registry=registry)
    found = {key.key_id: (key.description, key.created_at.year, key.status) for key in registry.page()}

    assert found == {"1": ("", 2024, "active"), "2": ("d" * 500, 2024, "active"), "3": ("", 1970, "active")}
    assert [(one.source, one.what) for one in report.repairs] == [
        ("api_keys row 2", "repaired"),
        ("api_keys row 3", "repaired"),
    ]
    assert registry.verify(SECRET).valid


def test_rows_that_are_no_keys_are_skipped(ledger: Ledger, registry: ApiKeyRegistry, tmp_path: Path) -> None:
    """A row without a usable id or hash is skipped, and no report shows a hash."""
    keys = [
        (None, HASH, "no id", CREATED, "active"),
        ("1", HASH.upper(), "no hash", CREATED, "active"),
        ("2", None, "no hash", CREATED, "active"),
        ("3", HASH, "good", CREATED, "active"),
        ("4", HASH, "the same hash", CREATED, "active"),
        ("3", hash_of(3), "the same id", CREATED, "active"),
    ]
    report = import_d1(ledger, write_file(tmp_path / "d1.sqlite", (), keys), registry=registry)

    assert [key.key_id for key in registry.page()] == ["3"]
    assert [(one.source, one.what) for one in report.repairs] == [
        ("api_keys row 1", "skipped"),
        ("api_keys row 2", "skipped"),
        ("api_keys row 3", "skipped"),
        ("API key 4", "skipped"),
        ("API key 3", "skipped"),
    ]
    assert HASH not in str(report).lower()


def test_without_a_registry_keys_are_left_out(ledger: Ledger, tmp_path: Path) -> None:
    """An import that was given no registry says how many keys it left out."""
    export = write_file(tmp_path / "d1.sqlite", (), [("1", HASH, "Partner", CREATED, "active")])
    report = import_d1(ledger, export)

    assert [one.reason for one in report.repairs] == ["1 keys were left out: no registry was given"]
    assert not report.changed
