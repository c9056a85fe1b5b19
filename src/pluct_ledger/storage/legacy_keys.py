"""Keys of the old service: imported, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pluct_ledger.domain.api_keys import ApiKeyRecord
from pluct_ledger.domain.legacy_keys import LegacyConflict, LegacyImport, contradiction
from pluct_ledger.errors import Contended
from pluct_ledger.storage.api_keys import api_keys_like, insert_api_key
from pluct_ledger.storage.unit_of_work import UnitOfWork


def import_legacy_keys(work: UnitOfWork, wanted: Sequence[ApiKeyRecord]) -> LegacyImport:
    """Insert the keys of which nothing is stored yet, and tell what became of each.

    Raises:
        Contended: another transaction stored such a key, and this one cannot see it.
    """
    here = _Stored(api_keys_like(work, wanted))
    seen = [(record, here.like_or_add(record)) for record in wanted]
    new = sorted((record for record, like in seen if not like), key=lambda record: record.key_id)
    # In the same order whoever imports, so that two imports don't wait for each other.
    inserted = {record.key_id for record in new if insert_api_key(work, record)}

    imported, unchanged, conflicts = [], [], []
    for record, like in seen:
        if not like and record.key_id in inserted:
            imported.append(record.key_id)
        elif problem := contradiction(record, like or _stored_meanwhile(work, record)):
            conflicts.append(LegacyConflict(record.key_id, problem))
        else:
            unchanged.append(record.key_id)
    return LegacyImport(tuple(imported), tuple(unchanged), tuple(conflicts))


def _stored_meanwhile(work: UnitOfWork, record: ApiKeyRecord) -> list[ApiKeyRecord]:
    like = api_keys_like(work, [record])
    if not like:
        raise Contended
    return like


class _Stored:
    """The keys that are stored, by id and by digest."""

    def __init__(self, records: Iterable[ApiKeyRecord]) -> None:
        self._by_id: dict[str, ApiKeyRecord] = {}
        self._by_digest: dict[bytes, ApiKeyRecord] = {}
        for record in records:
            self._add(record)

    def like_or_add(self, record: ApiKeyRecord) -> list[ApiKeyRecord]:
        """Return the keys that share its id or digest; if there is none, this one is there from now on."""
        found = (self._by_id.get(record.key_id), self._by_digest.get(record.digest))
        like = [one for one in found if one is not None]
        if not like:
            self._add(record)
        return like

    def _add(self, record: ApiKeyRecord) -> None:
        self._by_id[record.key_id] = record
        self._by_digest[record.digest] = record
