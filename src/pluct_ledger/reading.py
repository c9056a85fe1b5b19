"""Accounts, balances, grants and holds as they are now, with all that is due though no job has recorded it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from pluct_ledger.desk import Desk
from pluct_ledger.domain.accounts import (
    Account,
    AccountState,
    Balance,
    account_id_of,
    account_of,
    check_owner,
)
from pluct_ledger.domain.arguments import check_items, check_limit, check_name, instant_of, micros_of
from pluct_ledger.domain.drafts import Draft
from pluct_ledger.domain.dues import settle
from pluct_ledger.domain.entries import Operation
from pluct_ledger.domain.grants import Grant, grant_of
from pluct_ledger.domain.holds import Hold, hold_of
from pluct_ledger.domain.pages import Page
from pluct_ledger.domain.positions import HoldStatus, Position
from pluct_ledger.domain.verification import rebuilt
from pluct_ledger.errors import AccountNotFound
from pluct_ledger.storage.accounts import page_of_accounts
from pluct_ledger.storage.entries import seq_at
from pluct_ledger.storage.positions import holds_past_due, read_positions
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.verification import prefix_of

T = TypeVar("T")

FOREVER: Final = 2**63 - 1
"""An instant, in microseconds, after all others."""


class Reading:
    """What a ledger can be asked of the present; nothing here writes.

    Every answer counts in what has fallen due, exactly as the next write would record it.
    """

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
        return account_of(self._settled(owner).position.account)

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

        def read(work: UnitOfWork) -> list[AccountState]:
            states = page_of_accounts(work, names.book, names.asset, limit=limit + 1, after=after)
            now = self.desk.now()
            waiting = [state.account_id for state in states if _is_due(state, now)]
            drafts = _drafts(read_positions(work, waiting), now) if waiting else {}
            return [
                drafts[state.account_id].position.account if state.account_id in drafts else state
                for state in states
            ]

        states = self.desk.door.read(read)
        shown = states[:limit]
        following = shown[-1].owner if len(states) > limit else None
        page = Page(tuple(account_of(state) for state in shown), following)
        return page.turned_by(lambda cursor: self.accounts(limit=limit, after=cursor))

    def balance(self, owner: str, *, at: datetime | None = None) -> Balance:
        """Return what the owner has now, had at an instant, or will have at one if nothing is used until then.

        Args:
            at: an aware datetime, past or future; None for now. Before the account's first entry all is 0.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8, or `at` is no aware datetime.
            AccountNotFound: the owner has no account in this book and asset.
        """
        instant = None if at is None else micros_of(at, "at")
        account_id = self._id_of(check_owner(owner))
        draft = self._read_one(owner, lambda work, position: self._as_of(work, account_id, position, instant))
        return balance_of(draft.position)

    def balances(self, owners: Iterable[str]) -> dict[str, Balance]:
        """Return what each of these owners has now; who has no account is not in it.

        Raises:
            InvalidArgument: `owners` is no iterable of names, or one is not 1..255 bytes of UTF-8.
        """
        by_id = {self._id_of(owner): owner for owner in check_items(owners, "owners")}
        positions = self.desk.door.read(lambda work: read_positions(work, by_id))
        drafts = _drafts(positions, self.desk.now())
        return {
            owner: balance_of(drafts[its_id].position) for its_id, owner in by_id.items() if its_id in drafts
        }

    def grants(self, owner: str) -> tuple[Grant, ...]:
        """Return the owner's open grants in the order of use, those to come included.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8.
            AccountNotFound: the owner has no account in this book and asset.
        """
        position = self._settled(owner).position
        opened = sorted(
            (grant for grant in position.grants.values() if grant.is_open), key=lambda one: one.order
        )
        return tuple(grant_of(grant, account_id=position.account.account_id, owner=owner) for grant in opened)

    def holds(self, owner: str) -> tuple[Hold, ...]:
        """Return the owner's open holds, oldest first.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8.
            AccountNotFound: the owner has no account in this book and asset.
        """
        position = self._settled(owner).position
        opened = [hold for _, hold in sorted(position.holds.items()) if hold.status is HoldStatus.OPEN]
        return tuple(hold_of(hold, account_id=position.account.account_id, owner=owner) for hold in opened)

    def orphan_holds(self, *, limit: int = 50) -> tuple[Hold, ...]:
        """Return holds of this book and asset that are past due and that nothing has recorded as dead yet.

        They hold nothing any more; each tells of a job that neither captured nor voided.

        Args:
            limit: 1..1000.
        """
        check_limit(limit)
        names, now = self.desk.names, self.desk.now()
        found = self.desk.door.read(
            lambda work: holds_past_due(work, names.book, names.asset, now=now, limit=limit)
        )
        return tuple(hold_of(hold, account_id=account_id, owner=owner) for account_id, owner, hold in found)

    @property
    def _book_and_asset(self) -> tuple[str, str]:
        return self.desk.names.book, self.desk.names.asset

    def _id_of(self, owner: str) -> bytes:
        return account_id_of(self.desk.names.book, check_owner(owner), self.desk.names.asset)

    def _settled(self, owner: str) -> Draft:
        """Return the owner's account with all that is due by now."""
        return self._read_one(owner, lambda _work, position: settled(position, self.desk.now()))

    def _read_one(self, owner: str, job: Callable[[UnitOfWork, Position], T]) -> T:
        """Run `job` on the owner's account.

        Raises:
            AccountNotFound: there is none.
        """
        account_id = self._id_of(owner)

        def read(work: UnitOfWork) -> T:
            position = read_positions(work, [account_id]).get(account_id)
            if position is None:
                raise AccountNotFound(owner=owner)
            return job(work, position)

        return self.desk.door.read(read)

    def _as_of(self, work: UnitOfWork, account_id: bytes, position: Position, instant: int | None) -> Draft:
        """Return the account as it was or will be at an instant (microseconds), None for now.

        A moment is a prefix of the log, since `at` never decreases along it: what lies after the last entry is the
        present position with what falls due until then.
        """
        now = max(self.desk.now(), position.account.last_at)
        if instant is None:
            return settled(position, now)
        if instant >= position.account.last_at:
            return settled(position, instant)
        upto = seq_at(work, account_id, instant, newest=position.account.seq)
        return Draft(rebuilt(position.account, prefix_of(work, account_id, upto)))


def settled(position: Position, until: int) -> Draft:
    """Return a position with all that falls due until an instant (microseconds)."""
    draft = Draft(position)
    settle(draft, max(until, position.account.last_at), most=None)
    return draft


def _drafts(positions: Mapping[bytes, Position], now: int) -> dict[bytes, Draft]:
    return {its_id: settled(position, now) for its_id, position in positions.items()}


def _is_due(state: AccountState, now: int) -> bool:
    return state.next_due_at is not None and state.next_due_at <= max(now, state.last_at)


def balance_of(position: Position) -> Balance:
    """Return a position's numbers, and what of it will lapse if nothing is used: time is run to its end."""
    account = position.account
    expiring: dict[int, int] = {}
    for entry in settled(position, FOREVER).entries:
        if entry.operation is Operation.EXPIRE:
            expiring[entry.at] = expiring.get(entry.at, 0) - entry.amount
    return Balance(
        posted=account.posted,
        held=account.held,
        available=account.available,
        expiring=tuple((instant_of(at), amount) for at, amount in sorted(expiring.items())),
    )
