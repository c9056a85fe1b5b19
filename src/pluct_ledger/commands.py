"""The commands that `Ledger.apply` and `Ledger.apply_many` take."""

from pluct_ledger.domain.commands import (
    Adjust,
    Authorize,
    Capture,
    Close,
    Command,
    Extend,
    Freeze,
    Issue,
    Reverse,
    SetOverdraftLimit,
    Spend,
    Transfer,
    Unfreeze,
    Void,
)

__all__ = [
    "Adjust",
    "Authorize",
    "Capture",
    "Close",
    "Command",
    "Extend",
    "Freeze",
    "Issue",
    "Reverse",
    "SetOverdraftLimit",
    "Spend",
    "Transfer",
    "Unfreeze",
    "Void",
]
