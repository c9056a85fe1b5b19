"""What reversals need of the past: the entries that they reverse, and what was given back of these so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import or_, select

from pluct_ledger.domain.cases import Original
from pluct_ledger.domain.commands import Reverse
from pluct_ledger.domain.drafts import read_terms
from pluct_ledger.domain.entries import EntryRecord, Operation
from pluct_ledger.domain.intents import Intent, paired
from pluct_ledger.domain.positions import POOL, GrantKey, ShareRecord
from pluct_ledger.domain.reversals import reversed_by_source
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.entries import COLUMNS, record_of
from pluct_ledger.storage.positions import Address, shares_of
from pluct_ledger.storage.unit_of_work import UnitOfWork

_ENTRIES_A_TIME = 200


def pair_reversals(work: UnitOfWork, intents: Sequence[Intent]) -> list[Intent]:
    """Return the intents, with both accounts named where a transfer is to be reversed.

    Entries never change, so they may be read before their account is locked.
    """
    places = [_place(intent) for intent in intents if isinstance(intent.command, Reverse)]
    if not places:
        return list(intents)
    found = _entries_at(work, places)
    resolved = []
    for intent in intents:
        original = found.get(_place(intent)) if isinstance(intent.command, Reverse) else None
        other = None if original is None else original.counter_account_id
        resolved.append(intent if other is None else paired(intent, other))
    return resolved


class Past:
    """The entries that a batch reverses, with their shares and reversals, its own decisions included."""

    def __init__(self) -> None:
        self._entries: dict[Address, EntryRecord] = {}
        self._shares: dict[Address, list[ShareRecord]] = {}
        self._reversals: dict[Address, list[EntryRecord]] = {}

    def grants(self) -> list[tuple[bytes, GrantKey]]:
        """Return the grants that may get credit back, or be taken back, closed ones included."""
        keys = {(share.account_id, share.key) for shares in self._shares.values() for share in shares}
        for address, entry in self._entries.items():
            if entry.operation is Operation.GRANT:
                keys.add((address[0], (entry.seq, 0)))
        return sorted(keys)

    def add(self, entries: Iterable[EntryRecord], shares: Iterable[ShareRecord]) -> None:
        """Take in entries with their shares."""
        for entry in entries:
            address = (entry.account_id, entry.seq)
            self._entries[address] = entry
            if entry.operation is Operation.REVERSE and entry.concerns_seq is not None:
                self._reversals.setdefault((entry.account_id, entry.concerns_seq), []).append(entry)
        for share in shares:
            self._shares.setdefault((share.account_id, share.seq), []).append(share)

    def look(self, account_id: bytes, seq: int) -> Original | None:
        """Return an entry with what was reversed of it, if it was loaded or decided."""
        entry = self._entries.get((account_id, seq))
        if entry is None:
            return None
        given: dict[GrantKey, int] = {}
        total = 0
        for reversal in self._reversals.get((account_id, seq), ()):
            terms = read_terms(reversal.terms)
            total += abs(reversal.amount) or terms.get("unposted", 0)
            for key, part in reversed_by_source(reversal, self._by_source(reversal), terms).items():
                given[key] = given.get(key, 0) + part
        by_source = {key: abs(part) for key, part in self._by_source(entry).items()}
        return Original(entry, by_source, total, given)

    def _by_source(self, entry: EntryRecord) -> dict[GrantKey, int]:
        shares = self._shares.get((entry.account_id, entry.seq), ())
        parts = {share.key: share.amount for share in shares if share.amount}
        rest = entry.amount - sum(parts.values())
        return {**parts, POOL: rest} if rest else parts


def load_past(work: UnitOfWork, intents: Iterable[Intent]) -> Past:
    """Return what the reversals among these commands need, of accounts that are locked."""
    past = Past()
    places = {_place(intent) for intent in intents if isinstance(intent.command, Reverse)}
    if not places:
        return past
    entries = _entries_at(work, sorted(places))
    places |= {
        (entry.counter_account_id, entry.counter_seq)
        for entry in entries.values()
        if entry.counter_account_id is not None and entry.counter_seq is not None
    }
    entries = _entries_at(work, sorted(places))
    reversals = reversals_of(work, sorted(places))
    addresses = [*entries, *((entry.account_id, entry.seq) for entry in reversals)]
    shares = shares_of(work, addresses)
    past.add([*entries.values(), *reversals], (share for found in shares.values() for share in found))
    return past


def _place(intent: Intent) -> Address:
    return (intent.account_id, intent.place or 0)


def _entries_at(work: UnitOfWork, places: Sequence[Address]) -> dict[Address, EntryRecord]:
    entry = work.tables.entry
    found: dict[Address, EntryRecord] = {}
    for chunk in in_chunks(places, _ENTRIES_A_TIME):
        here = or_(*((entry.c.account_id == its_id) & (entry.c.seq == seq) for its_id, seq in chunk))
        statement = select(*(entry.c[name] for name in COLUMNS)).where(here)
        for row in work.execute(work.fresh(statement)):
            record = record_of(row)
            found[record.account_id, record.seq] = record
    return found


def reversals_of(work: UnitOfWork, places: Sequence[Address]) -> list[EntryRecord]:
    """Return the reversals of these entries."""
    entry = work.tables.entry
    found = []
    for chunk in in_chunks(places, _ENTRIES_A_TIME):
        here = or_(*((entry.c.account_id == its_id) & (entry.c.concerns_seq == seq) for its_id, seq in chunk))
        statement = select(*(entry.c[name] for name in COLUMNS)).where(
            here, entry.c.operation == Operation.REVERSE.value
        )
        found += [record_of(row) for row in work.execute(work.fresh(statement))]
    return found
