"""Verification: replay an account's log, and compare each cached number with what the log says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pluct_ledger.domain.accounts import AccountState, account_id_of, empty_account
from pluct_ledger.domain.entries import EntryRecord, Operation, digest_of_record, entry_id_of
from pluct_ledger.domain.idempotency import key_hash_of
from pluct_ledger.domain.positions import (
    GrantKey,
    GrantState,
    HoldState,
    Position,
    ShareRecord,
    fold,
    grants_brought,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One record that contradicts the log.

    Attributes:
        record: the record's address, e.g. ``"entry <id>"`` or ``"account <id>"``.
        field: the column that is wrong, or ``"record"`` for one that is missing, too many or unreadable.
        problem: what is wrong with it, for people.
    """

    record: str
    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `Ledger.verify` found.

    Attributes:
        ok: nothing contradicts the log.
        checked: how many entries were replayed.
        accounts: how many accounts were compared.
        findings: what is wrong; in each account the first wrong record stands first.
    """

    ok: bool
    checked: int
    accounts: int
    findings: tuple[Finding, ...]


_CACHED: Final = (
    "posted",
    "held",
    "seq",
    "last_at",
    "issued",
    "spent",
    "expired",
    "adjusted",
    "moved",
    "overdraft_limit",
    "status",
    "attention",
    "next_due_at",
)


_PLAIN: Final = frozenset(
    {Operation.GRANT, Operation.SPEND, Operation.TRANSFER, Operation.ADJUST, Operation.CONTROL}
)
_CACHED_OF_GRANT: Final = (
    "amount",
    "posted",
    "held",
    "pending",
    "effective_at",
    "expires_at",
    "priority",
    "label",
    "granted_by",
)
_CACHED_OF_HOLD: Final = ("amount", "held", "expires_at", "status")

Log = Iterable[tuple[EntryRecord, Sequence[ShareRecord]]]


def start_of(stored: AccountState) -> Position:
    """Return an account before its first entry; only the names, opening and metadata are taken from the row."""
    return Position(
        empty_account(
            stored.book, stored.owner, stored.asset, opened_at=stored.opened_at, metadata=stored.metadata
        )
    )


def rebuilt(stored: AccountState, log: Log) -> Position:
    """Return the position that its log alone makes of an account."""
    position = start_of(stored)
    for entry, shares in log:
        position = fold(position, entry, shares)
    return position


class Replay:
    """The replay of one account's log, entry by entry."""

    def __init__(self, stored: AccountState, ledger_id: int) -> None:
        self.stored = stored
        self._ledger_id = ledger_id
        self._broken = False
        self.position = start_of(stored)

    @property
    def seq(self) -> int:
        """How far the replay has come."""
        return self.position.account.seq

    def names(self) -> Iterator[Finding]:
        """Check that the row's names are those that its id stands for."""
        stored = self.stored
        if stored.account_id != account_id_of(stored.book, stored.owner, stored.asset):
            yield Finding(self._account(), "account_id", "it is not the id of this book, owner and asset")

    def step(self, entry: EntryRecord, ledger_id: int, shares: Sequence[ShareRecord]) -> Iterator[Finding]:
        """Replay the next entry with its shares, and name what in it contradicts the replay.

        What follows is compared with the totals that this entry states, so that one wrong record is one finding.
        """
        if self._broken:
            return
        record = f"entry {entry.entry_id}"
        before = self.position
        if entry.seq != before.account.seq + 1:
            missing = entry_id_of(entry.account_id, before.account.seq + 1)
            yield Finding(f"entry {missing}", "record", "it is missing from the log")
            before = _resumed(before, entry.posted_after - entry.amount, entry.held_after - entry.hold_amount)
        brought = grants_brought(entry) if shares else frozenset()
        known = [share for share in shares if share.key in before.grants or share.key in brought]
        if len(known) < len(shares):
            yield Finding(f"share of {record}", "record", "it is of a grant that the log does not know")
        try:
            after = fold(before, entry, known)
        except (AttributeError, KeyError, TypeError, ValueError):
            yield Finding(record, "terms", "they and the shares cannot be replayed")
            after = self._without_terms(before, entry)
        yield from self._findings(entry, before, after, ledger_id)
        yield from _share_findings(entry, known)
        self.position = _resumed(after, entry.posted_after, entry.held_after)

    def _findings(
        self, entry: EntryRecord, before: Position, after: Position, ledger_id: int
    ) -> Iterator[Finding]:
        """Compare what an entry states with its replay."""
        record = f"entry {entry.entry_id}"
        if entry.posted_after != after.account.posted:
            problem = f"{entry.posted_after}, but the log says {after.account.posted}"
            yield Finding(record, "posted_after", problem)
        if entry.held_after != after.account.held:
            yield Finding(record, "held_after", f"{entry.held_after}, but the log says {after.account.held}")
        if entry.at < before.account.last_at:
            yield Finding(record, "at", "it lies before the entry that it follows")
        if ledger_id != self._ledger_id:
            yield Finding(record, "ledger_id", "it is not that of the account's book and asset")
        if entry.idempotency_key is not None and entry.key_hash != key_hash_of(entry.idempotency_key):
            yield Finding(record, "key_hash", "it is not that of the idempotency key")
        if entry.digest != digest_of_record(entry):
            yield Finding(record, "digest", "the entry is not the one that was written")

    def _without_terms(self, before: Position, entry: EntryRecord) -> Position:
        """Replay an entry by its numbers alone; where grants or holds hang on its terms, the replay ends here."""
        if entry.operation not in _PLAIN or before.grants or before.holds:
            self._broken = True
            return _resumed(before, entry.posted_after, entry.held_after)
        return fold(before, replace(entry, terms=None), ())

    def cache(
        self,
        newest_seq: int,
        grants: Sequence[GrantState],
        holds: Sequence[HoldState],
        open_grants: Collection[GrantKey],
    ) -> Iterator[Finding]:
        """Compare the rows of the account, its grants and its holds with the whole replay.

        Args:
            newest_seq: the highest seq that the log holds for this account.
            open_grants: those of the grants that their rows call open.
        """
        if self._broken:
            return
        if self.seq < self.stored.seq:
            missing = entry_id_of(self.stored.account_id, self.seq + 1)
            yield Finding(f"entry {missing}", "record", "it is missing from the log")
        if newest_seq > self.stored.seq:
            beyond = entry_id_of(self.stored.account_id, self.stored.seq + 1)
            yield Finding(f"entry {beyond}", "record", f"the account's row ends at seq {self.stored.seq}")
        yield from _differences(self._account(), _CACHED, self.stored, self.position.account)
        stored_grants = {grant.key: grant for grant in grants}
        for key in sorted(stored_grants.keys() | self.position.grants.keys()):
            record = f"grant {entry_id_of(self.stored.account_id, key[0])} part {key[1]}"
            stored, replayed = stored_grants.get(key), self.position.grants.get(key)
            yield from _compared_rows(record, _CACHED_OF_GRANT, stored, replayed)
            if stored is not None and replayed is not None and (key in open_grants) is not replayed.is_open:
                found, expected = ("open", "closed") if key in open_grants else ("closed", "open")
                yield Finding(record, "status", f"{found}, but the log says {expected}")
        stored_holds = {hold.seq: hold for hold in holds}
        for seq in sorted(stored_holds.keys() | self.position.holds.keys()):
            record = f"hold {entry_id_of(self.stored.account_id, seq)}"
            yield from _compared_rows(
                record, _CACHED_OF_HOLD, stored_holds.get(seq), self.position.holds.get(seq)
            )

    def _account(self) -> str:
        return f"account {self.stored.account_id.hex()}"


def _resumed(position: Position, posted: int, held: int) -> Position:
    return Position(replace(position.account, posted=posted, held=held), position.grants, position.holds)


def _share_findings(entry: EntryRecord, shares: Sequence[ShareRecord]) -> Iterator[Finding]:
    """Check that the shares of an entry lie within it: none the other way, and together not more."""
    for name in ("amount", "hold_amount"):
        whole = getattr(entry, name)
        parts = [getattr(share, name) for share in shares]
        if any(part * whole < 0 for part in parts) or abs(sum(parts)) > abs(whole):
            yield Finding(f"entry {entry.entry_id}", "shares", f"their {name} exceeds the entry's {whole}")


def _compared_rows(record: str, fields: Sequence[str], stored: object, replayed: object) -> Iterator[Finding]:
    if stored is None or replayed is None:
        problem = "its row is missing" if stored is None else "the log knows nothing of it"
        yield Finding(record, "record", problem)
    else:
        yield from _differences(record, fields, stored, replayed)


def _differences(record: str, fields: Sequence[str], stored: object, replayed: object) -> Iterator[Finding]:
    for field in fields:
        found, expected = getattr(stored, field), getattr(replayed, field)
        if found != expected:
            yield Finding(record, field, f"{found}, but the log says {expected}")


def pair_findings(entry: EntryRecord, other: EntryRecord | None) -> Iterator[Finding]:
    """Check that a transfer's entry and its counterpart name each other and cancel out."""
    record = f"entry {entry.entry_id}"
    if other is None:
        yield Finding(
            f"entry {entry.counterpart_entry_id}", "record", f"it is missing; {record} is its counterpart"
        )
    elif (other.counter_account_id, other.counter_seq) != (entry.account_id, entry.seq):
        yield Finding(record, "counter_seq", f"its counterpart {other.entry_id} does not name it")
    elif other.amount != -entry.amount:
        yield Finding(record, "amount", f"its counterpart {other.entry_id} moved {other.amount}")
