"""The commands that `Ledger.apply` and `Ledger.apply_many` take."""

from pluct_ledger.domain.commands import Adjust, Command, Issue, Spend, Transfer

__all__ = ["Adjust", "Command", "Issue", "Spend", "Transfer"]
