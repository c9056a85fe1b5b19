"""A case: one command, the drafts of the accounts that it touches, and the checks that many rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pluct_ledger.domain.accounts import AccountState, Status
from pluct_ledger.domain.drafts import Draft
from pluct_ledger.domain.dues import TooManyDuesError, settle
from pluct_ledger.domain.entries import EntryRecord
from pluct_ledger.domain.intents import Intent
from pluct_ledger.domain.positions import GrantKey, Position
from pluct_ledger.errors import AccountClosed, AccountFrozen, InsufficientCredit

Positions = Mapping[bytes, Position]


@dataclass(frozen=True, slots=True)
class Names:
    """The book and asset in which commands are decided."""

    book: str
    asset: str


@dataclass(frozen=True, slots=True)
class Original:
    """An entry that is to be reversed, and what was given back of it so far.

    Attributes:
        by_source: of its amount, what fell on which grant, and on the pool; all positive.
        reversed: of its amount, what was reversed; positive.
        reversed_by_source: the same, by grant and pool.
    """

    entry: EntryRecord
    by_source: Mapping[GrantKey, int]
    reversed: int
    reversed_by_source: Mapping[GrantKey, int]


Look = Callable[[bytes, int], Original | None]
"""Looks an entry up by account and seq, among what was recorded and what this batch has decided."""


def no_look(_account_id: bytes, _seq: int) -> Original | None:
    """Find nothing: for batches that reverse nothing."""
    return None


@dataclass(slots=True)
class Case:
    """One command under decision.

    Attributes:
        at: the command's instant, in microseconds: the clock's (or history's), never before its accounts' last.
        drafts: by account id; what is due in them is recorded first.
    """

    intent: Intent
    names: Names
    at: int
    look: Look = no_look
    drafts: dict[bytes, Draft] = field(default_factory=dict)

    @property
    def draft(self) -> Draft:
        """The draft of the account that the command's key is scoped to."""
        return self.drafts[self.intent.account_id]

    @property
    def account(self) -> AccountState:
        """That account, after all that was written to its draft."""
        return self.draft.position.account

    @property
    def entry_metadata(self) -> str | None:
        """The metadata of the command's entries."""
        return self.intent.metadata

    def settle(self) -> None:
        """Record what has fallen due in every account of the case.

        Raises:
            TooManyDuesError: that is more than one transaction records.
        """
        for draft in self.drafts.values():
            if not settle(draft, self.at):
                raise TooManyDuesError(draft.position.account.account_id)


def case_of(intent: Intent, positions: Positions, *, names: Names, now: int, look: Look) -> Case:
    """Return the case of a command, with an empty draft for each of its accounts that exist."""
    found = {its_id: positions[its_id] for its_id in intent.account_ids if its_id in positions}
    asked = now if intent.at is None else intent.at
    at = max((asked, *(position.account.last_at for position in found.values())))
    return Case(intent, names, at, look, {its_id: Draft(position) for its_id, position in found.items()})


def check_not_closed(account: AccountState) -> None:
    """Check that an account is not closed.

    Raises:
        AccountClosed
    """
    if account.status is Status.CLOSED:
        raise AccountClosed(owner=account.owner)


def check_may_use(account: AccountState, intent: Intent) -> None:
    """Check that credit of an account may be used; history was used whatever its status is now.

    Raises:
        AccountClosed, AccountFrozen: in this order.
    """
    check_not_closed(account)
    if account.status is Status.FROZEN and intent.limited:
        raise AccountFrozen(owner=account.owner)


def affordable(account: AccountState, amount: int, *, limited: bool = True, up_to: bool = False) -> int:
    """Return the amount that may be taken: all of it, or with `up_to` as much as there is.

    Raises:
        InsufficientCredit: it is not there; with `up_to`, nothing is.
    """
    spendable = account.spendable
    if not limited or spendable is None or spendable >= amount:
        return amount
    if not up_to or spendable <= 0:
        raise InsufficientCredit(owner=account.owner, requested=amount, available=account.available)
    return spendable


def negated(taken: Mapping[GrantKey, int]) -> dict[GrantKey, tuple[int, int]]:
    """Return the parts of an entry that takes these amounts from their sources."""
    return {key: (-amount, 0) for key, amount in taken.items()}


def granted(given: Mapping[GrantKey, int]) -> dict[GrantKey, tuple[int, int]]:
    """Return the parts of an entry that gives these amounts to their sources."""
    return {key: (amount, 0) for key, amount in given.items()}
