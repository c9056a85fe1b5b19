"""`Ledger`: credits that are never double-spent, never lost and always explainable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self, Unpack

from pluct_ledger.desk import Clock, Desk, Hook, utc_now
from pluct_ledger.domain.accounts import Account, account_of, check_asset, check_book
from pluct_ledger.domain.api_keys import ApiKey
from pluct_ledger.domain.arguments import MAX_AMOUNT, check_amount, check_callable, check_items, check_name
from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.commands import (
    Adjust,
    Close,
    Freeze,
    Issue,
    OpenAccount,
    Reverse,
    SetOverdraftLimit,
    Spend,
    Transfer,
    Unfreeze,
    WriteOptions,
)
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.doors import BorrowedDoor, Host, OwnDoor
from pluct_ledger.errors import Refused
from pluct_ledger.holding import Holding
from pluct_ledger.storage.schema import tables_in

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Ledger(Holding):
    """Accounts with credits in the host's own database.

    Immutable, and safe to share between threads and across a fork. Each write is one transaction of its own; `using`
    joins the host's instead. Every write takes the keywords ``idempotency_key, kind, reason, actor, metadata,
    event_at`` (see `commands.Write`). Errors are documented in the order in which they are raised.

    Args:
        engine: the host's SQLAlchemy engine: SQLite, PostgreSQL or MariaDB.
        book: the named ledger in these tables, 1..64 bytes of UTF-8.
        asset: what is counted, 1..64 bytes of UTF-8.
        schema: the PostgreSQL schema that the tables are in; None for the connection's default.
        clock: returns the present instant as an aware datetime.
        max_amount: the largest amount of one command, 1..2^53-1.
        hooks: called after a commit of our own with the receipts that it made.

    Raises:
        InvalidArgument: naming the first argument that is wrong.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        book: str = "default",
        asset: str = "credit",
        schema: str | None = None,
        clock: Clock = utc_now,
        max_amount: int = MAX_AMOUNT,
        hooks: Iterable[Hook] = (),
    ) -> None:
        names = Names(check_book(book), check_asset(asset))
        check_amount(max_amount, most=MAX_AMOUNT, name="max_amount")
        check_callable(clock, "clock")
        told = check_items(hooks, "hooks")
        for hook in told:
            check_callable(hook, "hooks")
        self._tables = tables_in(None if schema is None else check_name(schema, "schema", most_bytes=63))
        super().__init__(Desk(OwnDoor(engine, self._tables), names, clock, max_amount, tuple(told)))

    def using(self, host: Host) -> Self:
        """Return this ledger inside the host's open transaction.

        Nothing is begun, committed, rolled back, flushed or retried on it. A refusal leaves nothing behind and the
        transaction usable. Receipts are provisional until the host commits; hooks are not called. Where several
        commands belong together, one `apply_many` takes its locks in an order that cannot deadlock.

        Args:
            host: a Session, scoped_session or Connection.

        Raises:
            InvalidArgument: it is none of these.
        """
        return self._at(replace(self.desk, door=BorrowedDoor(host, self.desk.door.engine, self._tables)))

    def for_book(self, book: str) -> Self:
        """Return this ledger for another book of the same tables."""
        return self._at(replace(self.desk, names=Names(check_book(book), self.desk.names.asset)))

    def for_asset(self, asset: str) -> Self:
        """Return this ledger for another asset of the same book."""
        return self._at(replace(self.desk, names=Names(self.desk.names.book, check_asset(asset))))

    def open_account(
        self,
        owner: str,
        *,
        initial: int = 0,
        overdraft_limit: int | None = 0,
        **options: Unpack[WriteOptions],
    ) -> Account:
        """Open the owner's account.

        Args:
            initial: credit to begin with, in the asset's smallest unit; 0 writes no entry.
            overdraft_limit: how far below 0 spends may go; None for unlimited.
            options: see `commands.Write`; `metadata` describes the account.

        Returns:
            The account, with the receipt of the entry that it began with, if there was one.

        Raises:
            InvalidArgument, IdempotencyMismatch, AccountExists.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        command = OpenAccount(owner, initial=initial, overdraft_limit=overdraft_limit, **options)
        plan = self._perform([self.desk.intent(command)], atomic=True)
        (receipt,) = plan.outcomes
        assert not isinstance(receipt, Refused)
        (position,) = plan.positions.values()
        return account_of(position.account, receipt)

    def grant(
        self,
        owner: str,
        amount: int,
        *,
        expires_at: datetime | timedelta | None = None,
        effective_at: datetime | None = None,
        priority: int = 0,
        label: str | None = None,
        granted_by: ApiKey | str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Receipt:
        """Give credit to the owner; opens the account if there is none.

        Credit with any term is a grant of its own; without, it goes to the pool, which never expires and is used last
        among what has priority 0. Into debt, a grant repays first.

        Args:
            amount: in the asset's smallest unit.
            expires_at: from this instant on what is left of it is gone; a timedelta counts from when it takes effect.
            effective_at: until this instant it only waits; None for at once.
            priority: the lowest is used first, -32767..32767.
            label: the host's name for it, 1..255 bytes.
            granted_by: who granted it: an API key, or a name of 1..255 bytes, which is a label only.

        Raises:
            InvalidArgument, IdempotencyMismatch, AccountClosed, BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        command = Issue(
            owner,
            amount,
            expires_at=expires_at,
            effective_at=effective_at,
            priority=priority,
            label=label,
            granted_by=granted_by,
            **options,
        )
        return self.apply(command)

    def spend(
        self, owner: str, amount: int, *, up_to: bool = False, **options: Unpack[WriteOptions]
    ) -> Receipt:
        """Take credit from the owner.

        Args:
            amount: in the asset's smallest unit.
            up_to: take as much of `amount` as there is; refused only where there is nothing.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed, AccountFrozen, InsufficientCredit,
            BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Spend(owner, amount, up_to=up_to, **options))

    def transfer(self, source: str, target: str, amount: int, **options: Unpack[WriteOptions]) -> Receipt:
        """Move credit from one owner to another; both have an account.

        Args:
            amount: in the asset's smallest unit.

        Returns:
            The receipt of the source's entry; `counterpart_entry_id` names the target's. The key is the source's.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed, AccountFrozen, InsufficientCredit,
            BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Transfer(source, target, amount, **options))

    def adjust(self, owner: str, signed_amount: int, **options: Unpack[WriteOptions]) -> Receipt:
        """Correct an account, past every limit; needs ``reason=``.

        Args:
            signed_amount: in the asset's smallest unit, not 0; the one signed amount of this API.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed, BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Adjust(owner, signed_amount, **options))

    def reverse(
        self,
        entry_id: str,
        amount: int | None = None,
        *,
        up_to: bool = False,
        expired_grace: timedelta | None = None,
        **options: Unpack[WriteOptions],
    ) -> Receipt:
        """Reverse a spend, capture, transfer or grant, wholly or in part, as often as something is left of it.

        A spend or capture gives credit back to the grants that it came from, last used first; what belongs to a grant
        that is over expires at once. A grant or transfer takes back only what is unspent.

        Args:
            entry_id: the entry; of a transfer, either of its two.
            amount: how much of it; None for all that is left.
            up_to: as much of `amount` as there is; refused only where there is nothing.
            expired_grace: reissues what belongs to a grant that is over, for that long.

        Returns:
            The receipt of the entry in the account that `entry_id` is of; the key is that account's.

        Raises:
            InvalidArgument, EntryNotFound, IdempotencyMismatch, AccountClosed, NotReversible, ReversalExceedsOriginal,
            InsufficientCredit, BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Reverse(entry_id, amount, up_to=up_to, expired_grace=expired_grace, **options))

    def set_overdraft_limit(self, owner: str, limit: int | None, **options: Unpack[WriteOptions]) -> Receipt:
        """Let spends go down to -`limit`; it may be set below what is owed already.

        Args:
            limit: 0..2^53-1; None for unlimited.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(SetOverdraftLimit(owner, limit, **options))

    def freeze(self, owner: str, **options: Unpack[WriteOptions]) -> Receipt:
        """Let no credit be used: refuses spend, authorize, transfer out and vend, and lets all else through.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Freeze(owner, **options))

    def unfreeze(self, owner: str, **options: Unpack[WriteOptions]) -> Receipt:
        """Let credit be used again.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Unfreeze(owner, **options))

    def close(self, owner: str, **options: Unpack[WriteOptions]) -> Receipt:
        """Close an empty account for good: afterwards it answers replays only.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed, AccountNotEmpty.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Close(owner, **options))

    def _at(self, desk: Desk) -> Self:
        other = object.__new__(type(self))
        other._tables = self._tables
        Holding.__init__(other, desk)
        return other
