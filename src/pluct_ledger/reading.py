"""The reading half of `Ledger`: accounts, balances, entries, and the proof that they agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Final

from pluct_ledger.desk import Desk
from pluct_ledger.domain.accounts import (
    Account,
    AccountState,
    Balance,
    account_id_of,
    account_of,
    check_owner,
    ledger_id_of,
)
from pluct_ledger.domain.arguments import (
    MAX_KINDS,
    check_callable,
    check_items,
    check_kind,
    check_limit,
    check_name,
    micros_of,
)
from pluct_ledger.domain.decisions import Names
from pluct_ledger.domain.entries import Entry, parse_entry_id
from pluct_ledger.domain.idempotency import key_hash_of
from pluct_ledger.domain.pages import Page
from pluct_ledger.domain.verification import Finding, VerifyReport
from pluct_ledger.errors import AccountNotFound, EntryNotFound, InvalidArgument
from pluct_ledger.storage.accounts import page_of_accounts, read_accounts
from pluct_ledger.storage.entries import (
    Cursor,
    Filter,
    entries_of_account,
    entries_of_book,
    entry_of,
    find_entry,
    read_entry,
)
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.verification import (
    Row,
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


class Reading:
    """What a ledger can be asked; nothing here writes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def account_id(self, owner: str) -> str:
        """Return the id that the owner's account has, or would have: 32 hex digits.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8.
        """
        return self._id_of(owner).hex()

    def account(self, owner: str) -> Account:
        """Return the owner's account.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8.
            AccountNotFound: the owner has no account in this book and asset.
        """
        return account_of(self._state_of(owner))

    def accounts(self, *, limit: int = 50, after: str | None = None) -> Page[Account]:
        """Return a page of accounts, in the order of their owners' UTF-8 bytes.

        Args:
            limit: 1..1000.
            after: the `next` of the page before.
        """
        check_limit(limit)
        if after is not None:
            check_name(after, "after")
        names = self.desk.names
        states = self.desk.door.read(
            lambda work: page_of_accounts(work, names.book, names.asset, limit=limit + 1, after=after)
        )
        shown = states[:limit]
        following = shown[-1].owner if len(states) > limit else None
        page = Page(tuple(account_of(state) for state in shown), following)
        return page.turned_by(lambda cursor: self.accounts(limit=limit, after=cursor))

    def balance(self, owner: str) -> Balance:
        """Return what the owner has now.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8.
            AccountNotFound: the owner has no account in this book and asset.
        """
        return _balance_of(self._state_of(owner))

    def balances(self, owners: Iterable[str]) -> dict[str, Balance]:
        """Return what each of these owners has now, from one statement; who has no account is not in it.

        Raises:
            InvalidArgument: `owners` is no iterable of names, or one is not 1..255 bytes of UTF-8.
        """
        by_id = {self._id_of(owner): owner for owner in check_items(owners, "owners")}
        states = self.desk.door.read(lambda work: read_accounts(work, by_id))
        return {owner: _balance_of(states[its_id]) for its_id, owner in by_id.items() if its_id in states}

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

        def look(work: UnitOfWork) -> Entry | None:
            state = read_accounts(work, [account_id]).get(account_id)
            record = read_entry(work, account_id, seq)
            if state is None or record is None or (state.book, state.asset) != self._book_and_asset:
                return None
            return entry_of(record, owner=state.owner, names=self.desk.names)

        found = self.desk.door.read(look)
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
        record = self.desk.door.read(lambda work: find_entry(work, account_id, key_hash))
        return None if record is None else entry_of(record, owner=owner, names=self.desk.names)

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
            self._state_of(owner)
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
            after = batch[-1][0]
        findings.extend(door.read(lambda work: list(orphans(work, names, owner))))
        if owner is None and (moved := door.read(lambda work: moved_in_all(work, names))) != 0:
            problem = f"all transfers together move {moved}, and must move 0"
            findings.append(Finding(f"book {names.book} asset {names.asset}", "moved", problem))
        return VerifyReport(not findings, checked, accounts, tuple(findings))

    @property
    def _book_and_asset(self) -> tuple[str, str]:
        return self.desk.names.book, self.desk.names.asset

    def _id_of(self, owner: str) -> bytes:
        return account_id_of(self.desk.names.book, check_owner(owner), self.desk.names.asset)

    def _state_of(self, owner: str) -> AccountState:
        account_id = self._id_of(owner)
        state = self.desk.door.read(lambda work: read_accounts(work, [account_id]).get(account_id))
        if state is None:
            raise AccountNotFound(owner=owner)
        return state

    def _entries_of_owner(self, owner: str, limit: int, before: str | None, wanted: Filter) -> Page[Entry]:
        if before is not None and (type(before) is not str or _SEQ.fullmatch(before) is None):
            raise InvalidArgument("before", "is no cursor of this list")
        account_id, seq = self._id_of(owner), None if before is None else int(before)
        records = self.desk.door.read(
            lambda work: entries_of_account(work, account_id, limit=limit + 1, before=seq, wanted=wanted)
        )
        shown = records[:limit]
        following = str(shown[-1].seq) if len(records) > limit else None
        return Page(
            tuple(entry_of(record, owner=owner, names=self.desk.names) for record in shown), following
        )

    def _entries_of_book(self, limit: int, before: str | None, wanted: Filter) -> Page[Entry]:
        cursor = None if before is None else _cursor_of(before)
        ledger_id = ledger_id_of(*self._book_and_asset)
        found = self.desk.door.read(
            lambda work: entries_of_book(work, ledger_id, limit=limit + 1, before=cursor, wanted=wanted)
        )
        shown = found[:limit]
        last = shown[-1][0] if len(found) > limit else None
        following = None if last is None else f"{last.at}.{last.account_id.hex()}.{last.seq}"
        return Page(
            tuple(entry_of(record, owner=owner, names=self.desk.names) for record, owner in shown), following
        )


def _kinds_of(kinds: Iterable[str]) -> Iterable[str]:
    return (check_kind(kind, "kinds") for kind in check_items(kinds, "kinds", most=MAX_KINDS))


def _replayed(work: UnitOfWork, *, names: Names, batch: list[Row]) -> list[Finding | int]:
    return list(verify_accounts(work, names, batch))


def _balance_of(state: AccountState) -> Balance:
    return Balance(posted=state.posted, held=state.held, available=state.available)


def _cursor_of(text: str) -> Cursor:
    match = _CURSOR.fullmatch(text) if type(text) is str else None
    if match is None:
        raise InvalidArgument("before", "is no cursor of this list")
    return Cursor(int(match[1]), bytes.fromhex(match[2]), int(match[3]))
