"""Holds: credit set aside while a job runs, then captured or set free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Unpack

from pluct_ledger.domain.commands import Authorize, Capture, Extend, Void, WriteOptions
from pluct_ledger.domain.entries import Receipt, parse_entry_id
from pluct_ledger.domain.holds import Hold, hold_of
from pluct_ledger.errors import Corrupted, HoldClosed, InvalidArgument
from pluct_ledger.reading import settled
from pluct_ledger.writing import Writing


class HeldCredit:
    """Credit that `Holding.holding` has set aside for the block in which it runs."""

    def __init__(self, ledger: Holding, hold: Hold) -> None:
        self._ledger = ledger
        self.hold = hold
        self.captured: Receipt | None = None

    @property
    def hold_id(self) -> str:
        """The hold's id."""
        return self.hold.hold_id

    def capture(self, amount: int | None = None, **options: Unpack[WriteOptions]) -> Receipt:
        """Spend `amount` of what is held, or all of it, and set the rest free.

        Raises:
            InvalidArgument, HoldClosed, CaptureExceedsHold.
        """
        self.captured = self._ledger.capture(self.hold_id, amount, **options)
        return self.captured


class Holding(Writing):
    """A ledger that sets credit aside."""

    def authorize(self, owner: str, amount: int, *, ttl: timedelta, **options: Unpack[WriteOptions]) -> Hold:
        """Set credit aside, in the order of use, to be captured or voided; a hold protects its credit from expiry.

        Args:
            amount: in the asset's smallest unit.
            ttl: how long the hold lives; at its end it is dead, whether anything has recorded that or not.

        Returns:
            The hold, with the receipt of the entry that authorized it.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, AccountClosed, AccountFrozen, InsufficientCredit,
            BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self._held_by(Authorize(owner, amount, ttl=ttl, **options))

    def capture(
        self,
        hold_id: str,
        amount: int | None = None,
        *,
        final: bool = True,
        allow_over: bool = False,
        **options: Unpack[WriteOptions],
    ) -> Receipt:
        """Spend what a hold set aside, first reserved first.

        Args:
            amount: how much; None for all that is held.
            final: set the rest of the hold free; without it, more captures may follow.
            allow_over: take what is above the hold from the available credit.

        Raises:
            InvalidArgument, HoldNotFound, IdempotencyMismatch, AccountClosed, HoldClosed, CaptureExceedsHold,
            InsufficientCredit, BalanceLimitExceeded.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Capture(hold_id, amount, final=final, allow_over=allow_over, **options))

    def void(self, hold_id: str, **options: Unpack[WriteOptions]) -> Receipt:
        """Set free what a hold set aside; what belongs to a grant that expired meanwhile expires now.

        Raises:
            InvalidArgument, HoldNotFound, IdempotencyMismatch, AccountClosed, HoldClosed.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self.apply(Void(hold_id, **options))

    def extend(self, hold_id: str, *, ttl: timedelta, **options: Unpack[WriteOptions]) -> Hold:
        """Let a hold live for `ttl` from now on.

        Raises:
            InvalidArgument, HoldNotFound, IdempotencyMismatch, AccountClosed, HoldClosed.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
        """
        return self._held_by(Extend(hold_id, ttl=ttl, **options))

    @contextmanager
    def holding(
        self, owner: str, amount: int, *, ttl: timedelta, **options: Unpack[WriteOptions]
    ) -> Iterator[HeldCredit]:
        """Set credit aside for a block of work: captured when it succeeds, set free when it raises, whatever it raises.

        A process that dies in the block leaves a hold that ends by itself after `ttl`. Own transactions only.

        Args:
            ttl: longer than the work can take; a hold that has ended when the work is done is refused to be captured.

        Yields:
            What is held; its `capture(amount)` spends less than all of it.

        Raises:
            InvalidArgument: this ledger is inside the host's transaction, or an argument is wrong.
            Refused: as `authorize` does; at the end of the block, HoldClosed if the hold has ended.
        """
        if not self.desk.door.own:
            raise InvalidArgument("holding", "needs transactions of our own: authorize and capture instead")
        held = HeldCredit(self, self.authorize(owner, amount, ttl=ttl, **options))
        try:
            yield held
        except BaseException:
            self._let_go(held)
            raise
        if held.captured is None:
            held.capture()

    def _let_go(self, held: HeldCredit) -> None:
        if held.captured is not None:
            return
        try:
            self.void(held.hold_id)
        except HoldClosed:
            return  # it ended by itself, or was captured by its id: nothing is held any more

    def _held_by(self, command: Authorize | Extend) -> Hold:
        """Do a command, and return the hold that it is about as it is after it: in a repeat, as it is by now."""
        plan = self._perform([self.desk.intent(command)], atomic=True)
        (receipt,) = plan.outcomes
        assert isinstance(receipt, Receipt)
        hold_id = command.hold_id if isinstance(command, Extend) else receipt.entry_id
        account_id, seq = parse_entry_id(hold_id, "hold_id")
        hold = settled(plan.positions[account_id], self.desk.now()).position.holds.get(seq)
        if hold is None:
            raise Corrupted(record=f"hold {hold_id}", problem="its row is missing")
        return hold_of(hold, account_id=account_id, owner=receipt.owner, receipt=receipt)
