"""`Ledger`: credits that are never double-spent, never lost and always explainable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack

from pluct_ledger.desk import Clock, Desk, Hook, utc_now
from pluct_ledger.domain.accounts import Account, account_of, check_asset, check_book
from pluct_ledger.domain.arguments import (
    MAX_AMOUNT,
    MAX_BATCH,
    check_amount,
    check_callable,
    check_flag,
    check_items,
    check_name,
)
from pluct_ledger.domain.commands import Adjust, Command, Issue, OpenAccount, Spend, Transfer, WriteOptions
from pluct_ledger.domain.decisions import Names
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.domain.intents import Intent
from pluct_ledger.doors import BorrowedDoor, Host, OwnDoor
from pluct_ledger.errors import InvalidArgument, Refused
from pluct_ledger.reading import Reading
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.writes import Plan, perform

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Ledger(Reading):
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
        receipt = _receipt(plan) if plan.outcomes[0] is not None else None
        (state,) = plan.states.values()
        return account_of(state, receipt)

    def grant(
        self,
        owner: str,
        amount: int,
        *,
        expires_at: object = None,
        effective_at: object = None,
        priority: int = 0,
        label: str | None = None,
        granted_by: object = None,
        **options: Unpack[WriteOptions],
    ) -> Receipt:
        """Give credit to the owner; opens the account if there is none.

        Args:
            amount: in the asset's smallest unit.
            expires_at, effective_at, priority, label, granted_by: terms of the grant; not supported yet.

        Raises:
            InvalidArgument, IdempotencyMismatch, AccountClosed, BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        terms: dict[str, Any] = {
            "expires_at": expires_at,
            "effective_at": effective_at,
            "priority": priority,
            "label": label,
            "granted_by": granted_by,
        }
        return self.apply(Issue(owner, amount, **terms, **options))

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

    def apply(self, command: Command) -> Receipt:
        """Do one command.

        Raises:
            InvalidArgument: it is not a command, or an argument of it is wrong.
            Refused: as the method of the same name does.
        """
        _check_public(command)
        return _receipt(self._perform([self.desk.intent(command)], atomic=True))

    def apply_many(self, commands: Iterable[Command], *, atomic: bool = False) -> list[Receipt | Refused]:
        """Do up to 10,000 commands in one transaction; later ones see what earlier ones did.

        Args:
            commands: in the order in which they are to be done.
            atomic: raise the first refusal and do nothing at all.

        Returns:
            For each command, its receipt or its refusal.

        Raises:
            InvalidArgument: a command is wrong (its place is `index`), or there are too many; nothing was done.
            Refused: with `atomic`, the first refusal; its place is `index`.
        """
        check_flag(atomic, "atomic")
        wanted = check_items(commands, "commands", most=MAX_BATCH)
        intents = [self._intent_at(index, command) for index, command in enumerate(wanted)]
        if not intents:
            return []
        outcomes = self._perform(intents, atomic=atomic, numbered=True).outcomes
        return [outcome for outcome in outcomes if outcome is not None]

    def _intent_at(self, index: int, command: object) -> Intent:
        try:
            _check_public(command)
            return self.desk.intent(command)
        except InvalidArgument as error:
            error.index = index
            raise

    def _perform(self, intents: Sequence[Intent], *, atomic: bool, numbered: bool = False) -> Plan:
        def job(work: UnitOfWork) -> Plan:
            now = self.desk.now()
            return perform(work, intents, names=self.desk.names, now=now, atomic=atomic, numbered=numbered)

        keys = tuple(intent.key for intent in intents if intent.key is not None)
        plan = self.desk.door.write(job, keys=keys)
        self.desk.tell(plan.outcomes)
        return plan

    def _at(self, desk: Desk) -> Self:
        other = object.__new__(type(self))
        other._tables = self._tables
        Reading.__init__(other, desk)
        return other


def _check_public(command: object) -> None:
    if not isinstance(command, Command):
        raise InvalidArgument("command", f"{type(command).__name__} is not a command")


def _receipt(plan: Plan) -> Receipt:
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Receipt)
    return outcome
