"""API keys of the old service as an export has them: rows judged, repaired or skipped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pluct_ledger.domain.api_keys import MAX_DESCRIPTION_CHARS, KeyStatus
from pluct_ledger.domain.arguments import instant_of
from pluct_ledger.domain.legacy_keys import LegacyKey
from pluct_ledger.domain.repairs import REPAIRED, SKIPPED, Repair, read_instant, shown, storable
from pluct_ledger.errors import InvalidArgument


class SourceKey(NamedTuple):
    """A row of ``api_keys`` as it stands in the export: nothing is known of its values."""

    number: int
    id: object
    key_hash: object
    description: object
    created_at: object
    status: object


def judge_keys(source: Iterable[SourceKey]) -> tuple[list[LegacyKey], list[Repair]]:
    """Judge every row: take it as it is, repair it, or skip it. A key that is not plainly active stays shut."""
    keys: list[LegacyKey] = []
    repairs: list[Repair] = []
    for row in source:
        remarks: list[str] = []
        try:
            keys.append(_judged(row, remarks))
        except InvalidArgument as error:
            # The argument alone: a hash belongs in no report.
            repairs.append(Repair(_place(row), SKIPPED, f"{error.argument}: {error.problem}"))
            continue
        if remarks:
            repairs.append(Repair(_place(row), REPAIRED, "; ".join(remarks)))
    return keys, repairs


def _place(row: SourceKey) -> str:
    return f"api_keys row {row.number}"


def _judged(row: SourceKey, remarks: list[str]) -> LegacyKey:
    created_at = read_instant(row.created_at, "created_at", remarks)
    if created_at is None:
        created_at = 0
        remarks.append(f"created_at {shown(row.created_at)} cannot be read: taken as 1970-01-01")
    return LegacyKey(
        key_id=row.id,  # type: ignore[arg-type]  # LegacyKey checks it
        key_hash=row.key_hash,  # type: ignore[arg-type]  # LegacyKey checks it
        description=_description_of(row.description, remarks),
        created_at=instant_of(created_at),
        status=_status_of(row.status, remarks),
    )


def _description_of(value: object, remarks: list[str]) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        remarks.append(f"description {shown(value)} is not text: left out")
        return ""
    return storable(str(value), "description", MAX_DESCRIPTION_CHARS, remarks)


def _status_of(value: object, remarks: list[str]) -> str:
    if value in (KeyStatus.ACTIVE.word, KeyStatus.REVOKED.word):
        return str(value)
    remarks.append(f"status {shown(value)} is not active: taken as revoked")
    return KeyStatus.REVOKED.word
