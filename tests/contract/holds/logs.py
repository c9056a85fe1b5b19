"""How the tests of credit on terms look at a log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from pluct_ledger import Ledger, Receipt, Share

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)

Line = tuple[str, int, int]
Parts = dict[tuple[int, int], tuple[int, int]]


def log_of(ledger: Ledger, owner: str, *, after: int = 0) -> list[Line]:
    """Return operation, amount and hold_amount of an owner's entries above a seq, oldest first."""
    entries = sorted(ledger.entries(owner).all(), key=lambda entry: entry.seq)
    return [(entry.operation, entry.amount, entry.hold_amount) for entry in entries if entry.seq > after]


def parts_of(shares: Iterable[Share]) -> Parts:
    """Return the two numbers of shares by the grant's seq and part."""
    return {
        (int(share.grant_id.split(".")[1]), share.part): (share.amount, share.hold_amount) for share in shares
    }


def given_to(receipt: Receipt) -> dict[tuple[int, int], int]:
    """Return how much of an entry fell on which grant, without its sign."""
    return {key: abs(amount) for key, (amount, _) in parts_of(receipt.shares).items()}


def totals(ledger: Ledger, owner: str) -> tuple[int, int, int]:
    """Return posted, held and available."""
    balance = ledger.balance(owner)
    return balance.posted, balance.held, balance.available


def lasting(ledger: Ledger, *owners: str) -> int:
    """Return the credit of these owners that never expires; debts count against it."""
    ending = sum(
        grant.posted for owner in owners for grant in ledger.grants(owner) if grant.expires_at is not None
    )
    return sum(ledger.balance(owner).posted for owner in owners) - ending
