"""Statements and explanations: what happened to an account, and why its numbers are what they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pluct_ledger.domain.accounts import account_of
from pluct_ledger.domain.arguments import instant_of, micros_of
from pluct_ledger.domain.entries import Entry, parse_entry_id
from pluct_ledger.domain.explanations import (
    BalanceExplanation,
    Explanation,
    Source,
    balance_text,
    entry_text,
)
from pluct_ledger.domain.grants import Grant, grant_of
from pluct_ledger.domain.holds import Hold, hold_of
from pluct_ledger.domain.positions import HoldStatus, Position
from pluct_ledger.domain.statements import Statement, statement_of
from pluct_ledger.errors import Contended, EntryNotFound, InvalidArgument
from pluct_ledger.history import History
from pluct_ledger.reading import balance_of, settled
from pluct_ledger.storage.positions import read_positions
from pluct_ledger.storage.unit_of_work import UnitOfWork

_LAST: Final = 5
_PAGE: Final = 1000
_LOOKS: Final = 100


class Explaining(History):
    """A ledger that gives account of itself."""

    def statement(self, owner: str, start: datetime, end: datetime) -> Statement:
        """Return what an account did from `start` on and before `end`.

        Args:
            start: an aware datetime.
            end: an aware datetime after it; what lies after now is not foretold.

        Raises:
            InvalidArgument: an argument is wrong, or `end` is not after `start`.
            AccountNotFound: the owner has no account in this book and asset.
            Contended: others wrote to the account all the while.
        """
        first, over = micros_of(start, "start"), micros_of(end, "end")
        if over <= first:
            raise InvalidArgument("end", "must be after start")
        account = self.account(owner)
        for _ in range(_LOOKS):
            # Where the clock lags, the present is that of the newest entry.
            newest = account.opened_at if account.last_at is None else account.last_at
            now = max(self.desk.now(), micros_of(newest, "last_at"))
            opening = self.balance(owner, at=instant_of(first - 1))
            closing = self.balance(owner, at=instant_of(max(first - 1, min(over - 1, now))))
            entries = tuple(self.entries(owner, limit=_PAGE, since=start, until=end).all())[::-1]
            # Others may have written between these reads; then they are read again.
            again = self.account(owner)
            if again.entry_count == account.entry_count:
                break
            account = again
        else:
            raise Contended("an account did not stand still while its statement was made; ask again")
        return statement_of(
            owner=owner,
            book=self.desk.names.book,
            asset=self.desk.names.asset,
            start=start,
            end=end,
            opening=opening,
            entries=entries,
            closing=closing,
        )

    def explain(self, entry_id: str) -> Explanation:
        """Tell why an entry is what it is: which grants it fell on, which hold, what it acts on, what reversed it.

        Raises:
            InvalidArgument: `entry_id` is not of the form ``<account id in hex>.<seq>``.
            EntryNotFound: there is none in this book and asset.
        """
        account_id, seq = parse_entry_id(entry_id)

        def read(work: UnitOfWork) -> Explanation | None:
            entry = self._entry_at(work, account_id, seq)
            if entry is None:
                return None
            position = self._whole_position(work, account_id)
            sources = _sources(entry, position)
            hold = _hold(entry, position)
            concerns = self._linked(work, entry.concerns_entry_id)
            counterpart = self._linked(work, entry.counterpart_entry_id)
            reversals = self._reversals(work, account_id, seq)
            text = entry_text(
                entry,
                sources=sources,
                hold=hold,
                concerns=concerns,
                counterpart=counterpart,
                reversals=reversals,
            )
            return Explanation(entry, tuple(sources), hold, concerns, counterpart, tuple(reversals), text)

        found = self.desk.door.read(read)
        if found is None:
            raise EntryNotFound(entry_id=entry_id)
        return found

    def explain_balance(self, owner: str, at: datetime | None = None) -> BalanceExplanation:
        """Tell why a balance is this number: what it came from, what is held, what expires when, what changed last.

        Args:
            at: an aware datetime, past or future; None for now.

        Raises:
            InvalidArgument: `owner` is not 1..255 bytes of UTF-8, or `at` is no aware datetime.
            AccountNotFound: the owner has no account in this book and asset.
        """
        instant = None if at is None else micros_of(at, "at")
        account_id = self._id_of(owner)
        position = self._read_one(
            owner, lambda work, now: self._as_of(work, account_id, now, instant).position
        )
        # Where the clock lags, the present is that of the newest entry.
        now = max(self.desk.now(), position.account.last_at)
        shown = instant_of(now if instant is None else instant)
        until = None if instant is None else instant_of(instant + 1)
        # What others have written since belongs to no balance that is explained here.
        newest = str(position.account.seq + 1)
        last = self.entries(owner, limit=_LAST, before=newest, until=until).items
        account, balance = account_of(position.account), balance_of(position)
        open_grants = sorted(
            (one for one in position.grants.values() if one.is_open), key=lambda one: one.order
        )
        grants = tuple(grant_of(grant, account_id=account_id, owner=owner) for grant in open_grants)
        holds = tuple(
            hold_of(hold, account_id=account_id, owner=owner)
            for _, hold in sorted(position.holds.items())
            if hold.status is HoldStatus.OPEN
        )
        text = balance_text(shown, account, balance, grants=grants, holds=holds, last=last)
        return BalanceExplanation(shown, account, balance, grants, holds, last, text)

    def _whole_position(self, work: UnitOfWork, account_id: bytes) -> Position:
        """Return an account with all its grants and holds, closed ones included, and what is due."""
        position = read_positions(work, [account_id], closed=True)[account_id]
        return settled(position, self.desk.now()).position

    def _linked(self, work: UnitOfWork, entry_id: str | None) -> Entry | None:
        return None if entry_id is None else self._entry_at(work, *parse_entry_id(entry_id))


def _sources(entry: Entry, position: Position) -> list[Source]:
    sources = []
    for share in entry.shares:
        _, seq = parse_entry_id(share.grant_id)
        grant = _grant(position, (seq, share.part))
        sources.append(Source(grant, share.amount, share.hold_amount))
    rest = entry.amount - sum(share.amount for share in entry.shares)
    rest_held = entry.hold_amount - sum(share.hold_amount for share in entry.shares)
    if rest or rest_held:
        sources.append(Source(None, rest, rest_held))
    return sources


def _grant(position: Position, key: tuple[int, int]) -> Grant | None:
    state = position.grants.get(key)
    account = position.account
    return None if state is None else grant_of(state, account_id=account.account_id, owner=account.owner)


def _hold(entry: Entry, position: Position) -> Hold | None:
    """Return the hold that an entry is about."""
    seqs: Sequence[int] = [entry.seq]
    if entry.concerns_entry_id is not None:
        seqs = [parse_entry_id(entry.concerns_entry_id)[1]]
    account = position.account
    for seq in seqs:
        if (state := position.holds.get(seq)) is not None:
            return hold_of(state, account_id=account.account_id, owner=account.owner)
    return None
