"""The log as it is read: entries, statements, explanations, and the proof that it agrees with every cached number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from pluct_ledger.domain.accounts import check_owner, ledger_id_of
from pluct_ledger.domain.arguments import (
    MAX_KINDS,
    check_callable,
    check_items,
    check_kind,
    check_limit,
    check_name,
    micros_of,
)
from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.drafts import Draft
from pluct_ledger.domain.entries import Entry, EntryRecord, parse_entry_id
from pluct_ledger.domain.idempotency import key_hash_of
from pluct_ledger.domain.pages import Page
from pluct_ledger.domain.positions import ShareRecord
from pluct_ledger.domain.verification import Finding, VerifyReport
from pluct_ledger.errors import EntryNotFound, InvalidArgument
from pluct_ledger.reading import Reading, settled
from pluct_ledger.storage.accounts import accounts_due, read_accounts
from pluct_ledger.storage.entries import (
    Cursor,
    Filter,
    Owned,
    entries_of_account,
    entries_of_book,
    entry_of,
    find_entry,
    read_entry,
)
from pluct_ledger.storage.originals import reversals_of
from pluct_ledger.storage.positions import read_positions, shares_of
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.verification import (
    Stored,
    accounts_to_verify,
    count_entries,
    moved_in_all,
    orphans,
    verify_accounts,
)

Progress = Callable[[int, int], None]
"""Called with the number of entries done and the number of all."""

_SEQ: Final = re.compile(r"[1-9][0-9]{0,17}")
_CURSOR: Final = re.compile(r"(-?[0-9]{1,18})\.([0-9a-f]{32})\.([1-9][0-9]{0,17})")


class History(Reading):
    """What a ledger can be asked of the past; nothing here writes.

    Lists show what has fallen due as the entries that the next write will record.
    """

    def entries(
        self,
        owner: str | None = None,
        *,
        limit: int = 50,
        before: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Iterable[str] | None = None,
    ) -> Page[Entry]:
        """Return a page of entries, newest first: of one owner, or of the whole book and asset.

        Args:
            owner: whose; None for all. An owner without an account has no entries.
            limit: 1..1000.
            before: the `next` of the page before.
            since: entries at or after this instant only.
            until: entries before this instant only.
            kinds: entries of these kinds only, at most 100.

        Raises:
            InvalidArgument: an argument is out of bounds, or `before` is no cursor of such a list.
        """
        check_limit(limit)
        wanted = Filter(
            None if since is None else micros_of(since, "since"),
            None if until is None else micros_of(until, "until"),
            None if kinds is None else frozenset(_kinds_of(kinds)),
        )
        page = (
            self._entries_of_book(limit, before, wanted)
            if owner is None
            else self._entries_of_owner(check_owner(owner), limit, before, wanted)
        )
        return page.turned_by(
            lambda cursor: self.entries(
                owner, limit=limit, before=cursor, since=since, until=until, kinds=wanted.kinds
            )
        )

    def entry(self, entry_id: str) -> Entry:
        """Return one entry.

        Raises:
            InvalidArgument: `entry_id` is not of the form ``<account id in hex>.<seq>``.
            EntryNotFound: there is none in this book and asset.
        """
        account_id, seq = parse_entry_id(entry_id)
        found = self.desk.door.read(lambda work: self._entry_at(work, account_id, seq))
        if found is None:
            raise EntryNotFound(entry_id=entry_id)
        return found

    def find(self, owner: str, idempotency_key: str) -> Entry | None:
        """Return the entry that an idempotency key made in the owner's account, or None.

        Raises:
            InvalidArgument: `owner` or `idempotency_key` is not 1..255 bytes of UTF-8.
        """
        account_id = self._id_of(owner)
        key_hash = key_hash_of(check_name(idempotency_key, "idempotency_key"))

        def read(work: UnitOfWork) -> Entry | None:
            record = find_entry(work, account_id, key_hash)
            return None if record is None else self._shown(work, [Owned(record, owner)])[0]

        return self.desk.door.read(read)

    def verify(self, owner: str | None = None, *, progress: Progress | None = None) -> VerifyReport:
        """Replay the log, and compare every cached number with it; safe while others write.

        Args:
            owner: whose account; None for the whole book and asset.
            progress: called with the number of entries done and of all, as the replay goes on.

        Returns:
            The findings, of each account the first wrong record first. What only a seal could vouch for is not found: a
            log whose newest entries and row were changed together, or an account that was removed whole.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8.
            AccountNotFound: the owner has no account in this book and asset, and the log knows of none.
        """
        names, door = self.desk.names, self.desk.door
        if progress is not None:
            check_callable(progress, "progress")
        if owner is not None:
            check_owner(owner)
        total = door.read(lambda work: count_entries(work, names, owner))
        if owner is not None and total == 0:
            self.account(owner)
        findings: list[Finding] = []
        checked = accounts = 0
        after: bytes | None = None
        while batch := door.read(partial(accounts_to_verify, names=names, owner=owner, after=after)):
            steps = door.read(partial(_replayed, names=names, batch=batch))
            findings.extend(step for step in steps if isinstance(step, Finding))
            checked += sum(step for step in steps if isinstance(step, int))
            if progress is not None:
                progress(checked, max(total, checked))
            accounts += len(batch)
            after = batch[-1].account_id
        findings.extend(door.read(lambda work: list(orphans(work, names, owner))))
        if owner is None and (moved := door.read(lambda work: moved_in_all(work, names))) != 0:
            problem = f"all transfers together move {moved}, and must move 0"
            findings.append(Finding(f"book {names.book} asset {names.asset}", "moved", problem))
        return VerifyReport(not findings, checked, accounts, tuple(findings))

    def _entry_at(self, work: UnitOfWork, account_id: bytes, seq: int) -> Entry | None:
        position = read_positions(work, [account_id]).get(account_id)
        if position is None or (position.account.book, position.account.asset) != self._book_and_asset:
            return None
        draft = settled(position, self.desk.now())
        due = [entry for entry in draft.entries if entry.seq == seq]
        record = due[0] if due else read_entry(work, account_id, seq)
        if record is None:
            return None
        return self._shown(work, [Owned(record, position.account.owner)], draft.shares)[0]

    def _reversals(self, work: UnitOfWork, account_id: bytes, seq: int) -> list[Entry]:
        owner = read_accounts(work, [account_id])[account_id].owner
        found = reversals_of(work, [(account_id, seq)])
        return self._shown(work, [Owned(entry, owner) for entry in sorted(found, key=lambda one: one.seq)])

    def _entries_of_owner(self, owner: str, limit: int, before: str | None, wanted: Filter) -> Page[Entry]:
        if before is not None and (type(before) is not str or _SEQ.fullmatch(before) is None):
            raise InvalidArgument("before", "is no cursor of this list")
        account_id, cursor = self._id_of(owner), None if before is None else int(before)

        def read(work: UnitOfWork) -> list[Entry]:
            position = read_positions(work, [account_id]).get(account_id)
            if position is None:
                return []
            draft = settled(position, self.desk.now())
            due = [
                entry
                for entry in reversed(draft.entries)
                if wanted.takes(entry) and (cursor is None or entry.seq < cursor)
            ][: limit + 1]
            below = min(position.account.seq + 1, cursor or position.account.seq + 1)
            stored = entries_of_account(
                work, account_id, limit=limit + 1 - len(due), before=below, wanted=wanted
            )
            return self._shown(work, [Owned(entry, owner) for entry in (*due, *stored)], draft.shares)

        found = self.desk.door.read(read)
        shown = found[:limit]
        return Page(tuple(shown), str(shown[-1].seq) if len(found) > limit else None)

    def _entries_of_book(self, limit: int, before: str | None, wanted: Filter) -> Page[Entry]:
        cursor = None if before is None else _cursor_of(before)

        def read(work: UnitOfWork) -> list[tuple[EntryRecord, Entry]]:
            drafts = self._due_in_book(work)
            due = [
                Owned(entry, draft.position.account.owner)
                for draft in drafts
                for entry in draft.entries
                if wanted.takes(entry) and (cursor is None or cursor.precedes(entry))
            ]
            stored = entries_of_book(
                work, ledger_id_of(*self._book_and_asset), limit=limit + 1, before=cursor, wanted=wanted
            )
            # What another process recorded while this was read stands in both.
            merged = {(one.entry.account_id, one.entry.seq): one for one in (*due, *stored)}
            newest = sorted(merged.values(), key=lambda one: one.entry.newest_first)[: limit + 1]
            shares = [share for draft in drafts for share in draft.shares]
            shown = self._shown(work, newest, shares)
            return [(one.entry, entry) for one, entry in zip(newest, shown, strict=True)]

        found = self.desk.door.read(read)
        shown = found[:limit]
        last = shown[-1][0] if len(found) > limit else None
        following = None if last is None else f"{last.at}.{last.account_id.hex()}.{last.seq}"
        return Page(tuple(entry for _, entry in shown), following)

    def _due_in_book(self, work: UnitOfWork) -> list[Draft]:
        """Return the accounts of this book and asset in which something has fallen due, with it recorded."""
        now = self.desk.now()
        waiting = accounts_due(work, now=now, book_and_asset=self._book_and_asset)
        return [settled(position, now) for position in read_positions(work, waiting).values()]

    def _shown(
        self, work: UnitOfWork, found: Sequence[Owned], due_shares: Sequence[ShareRecord] = ()
    ) -> list[Entry]:
        """Return entries with their shares as the API shows them."""
        shares = shares_of(work, [(one.entry.account_id, one.entry.seq) for one in found])
        for share in due_shares:
            known = shares.setdefault((share.account_id, share.seq), [])
            if share not in known:
                known.append(share)
        return [
            entry_of(
                one.entry,
                owner=one.owner,
                names=self.desk.names,
                shares=shares.get((one.entry.account_id, one.entry.seq), ()),
            )
            for one in found
        ]


def _kinds_of(kinds: Iterable[str]) -> Iterable[str]:
    return (check_kind(kind, "kinds") for kind in check_items(kinds, "kinds", most=MAX_KINDS))


def _replayed(work: UnitOfWork, *, names: Names, batch: list[Stored]) -> list[Finding | int]:
    return list(verify_accounts(work, names, batch))


def _cursor_of(text: str) -> Cursor:
    match = _CURSOR.fullmatch(text) if type(text) is str else None
    if match is None:
        raise InvalidArgument("before", "is no cursor of this list")
    return Cursor(int(match[1]), bytes.fromhex(match[2]), int(match[3]))
