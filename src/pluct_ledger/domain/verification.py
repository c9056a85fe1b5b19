"""Verification: replay an account's log, and compare each cached number with what the log says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from pluct_ledger.domain.accounts import AccountState, account_id_of, empty_account, fold
from pluct_ledger.domain.entries import EntryRecord, digest_of_record, entry_id_of
from pluct_ledger.domain.idempotency import key_hash_of


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


def rebuilt(stored: AccountState, entries: Iterable[EntryRecord]) -> AccountState:
    """Return the account as its entries alone make it; only the names, opening and metadata are taken from the row."""
    state = empty_account(
        stored.book, stored.owner, stored.asset, opened_at=stored.opened_at, metadata=stored.metadata
    )
    for entry in entries:
        state = fold(state, entry)
    return state


class Replay:
    """The replay of one account's log, entry by entry."""

    def __init__(self, stored: AccountState, ledger_id: int) -> None:
        self.stored = stored
        self._ledger_id = ledger_id
        self.state = rebuilt(stored, ())

    def names(self) -> Iterator[Finding]:
        """Check that the row's names are those that its id stands for."""
        stored = self.stored
        if stored.account_id != account_id_of(stored.book, stored.owner, stored.asset):
            yield Finding(self._account(), "account_id", "it is not the id of this book, owner and asset")

    def step(self, entry: EntryRecord, ledger_id: int) -> Iterator[Finding]:
        """Replay the next entry, and name what in it contradicts the replay.

        What follows is compared with the totals that this entry states, so that one wrong record is one finding.
        """
        record = f"entry {entry.entry_id}"
        before = self.state
        if entry.seq != before.seq + 1:
            missing = entry_id_of(entry.account_id, before.seq + 1)
            yield Finding(f"entry {missing}", "record", "it is missing from the log")
            before = replace(
                before, posted=entry.posted_after - entry.amount, held=entry.held_after - entry.hold_amount
            )
        try:
            after = fold(before, entry)
        except (TypeError, ValueError):
            yield Finding(record, "terms", "they are no terms")
            after = fold(before, replace(entry, terms=None))
        if entry.posted_after != after.posted:
            yield Finding(record, "posted_after", f"{entry.posted_after}, but the log says {after.posted}")
        if entry.held_after != after.held:
            yield Finding(record, "held_after", f"{entry.held_after}, but the log says {after.held}")
        if entry.at < before.last_at:
            yield Finding(record, "at", "it lies before the entry that it follows")
        if ledger_id != self._ledger_id:
            yield Finding(record, "ledger_id", "it is not that of the account's book and asset")
        if entry.idempotency_key is not None and entry.key_hash != key_hash_of(entry.idempotency_key):
            yield Finding(record, "key_hash", "it is not that of the idempotency key")
        if entry.digest != digest_of_record(entry):
            yield Finding(record, "digest", "the entry is not the one that was written")
        self.state = replace(after, posted=entry.posted_after, held=entry.held_after)

    def cache(self, newest_seq: int) -> Iterator[Finding]:
        """Compare the account's row with the whole replay.

        Args:
            newest_seq: the highest seq that the log holds for this account.
        """
        if self.state.seq < self.stored.seq:
            missing = entry_id_of(self.stored.account_id, self.state.seq + 1)
            yield Finding(f"entry {missing}", "record", "it is missing from the log")
        if newest_seq > self.stored.seq:
            beyond = entry_id_of(self.stored.account_id, self.stored.seq + 1)
            yield Finding(f"entry {beyond}", "record", f"the account's row ends at seq {self.stored.seq}")
        for field in _CACHED:
            stored, replayed = getattr(self.stored, field), getattr(self.state, field)
            if stored != replayed:
                yield Finding(self._account(), field, f"{stored}, but the log says {replayed}")

    def _account(self) -> str:
        return f"account {self.stored.account_id.hex()}"


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
