"""The desk at which commands are handed in: what the public classes share of a ledger's names, clock and door.

Internal to the package: hosts use `Ledger`, which hands its desk to whoever must write in the same transaction.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from pluct_ledger.domain.arguments import micros_of
from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.entries import Receipt
from pluct_ledger.domain.idempotency import key_hash_of
from pluct_ledger.domain.intents import Intent, intent_of, keyed
from pluct_ledger.doors import Door

Clock = Callable[[], datetime]


Hook = Callable[[tuple[Receipt, ...]], None]
"""Called after a commit of our own with the receipts that it made; not for replays, not in borrowed transactions."""

_log: Final = logging.getLogger("pluct_ledger")


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """A book and asset behind a door.

    Attributes:
        door: where transactions come from: our own, or the host's.
        clock: returns the present instant as an aware datetime.
        max_amount: the largest amount of one command.
        hooks: called after each commit of our own.
    """

    door: Door
    names: Names
    clock: Clock
    max_amount: int
    hooks: tuple[Hook, ...] = ()

    def now(self) -> int:
        """Return the clock's instant in microseconds.

        Raises:
            InvalidArgument: the clock returned a naive datetime.
        """
        return micros_of(self.clock(), "clock")

    def intent(self, command: object) -> Intent:
        """Check a command; in our own transactions one without a key is given one, so that it can be run again safely.

        Raises:
            InvalidArgument: naming the first argument that is wrong.
        """
        intent = intent_of(
            command, book=self.names.book, asset=self.names.asset, max_amount=self.max_amount, salt=_salt
        )
        if intent.key is not None:
            return keyed(intent, intent.key, key_hash_of(intent.key), made=False)
        if self.door.own:
            key = uuid4().hex
            return keyed(intent, key, key_hash_of(key), made=True)
        return intent

    def tell(self, outcomes: Iterable[object]) -> None:
        """Tell the hooks what a transaction of our own has committed; what they do cannot undo it."""
        if not (self.door.own and self.hooks):
            return
        receipts = tuple(made for made in outcomes if isinstance(made, Receipt) and not made.replayed)
        for hook in self.hooks if receipts else ():
            try:
                hook(receipts)
            except Exception:  # noqa: BLE001 - the commit stands, and the caller is owed its receipt
                _log.exception("a hook failed after a commit")


def _salt() -> bytes:
    return os.urandom(16)
