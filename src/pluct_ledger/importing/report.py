"""What an import did."""

from __future__ import annotations

from dataclasses import dataclass

from pluct_ledger.domain.repairs import Repair


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The entry that closed the difference between an owner's history and balance.

    Attributes:
        amount: the signed change, in the asset's smallest unit.
        reason: as it stands on the entry.
    """

    owner: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What one run of an import did; what it found done already is counted apart.

    Attributes:
        adjustments: those that this run made.
        repairs: every place of the export that was repaired, skipped or worth a note, with the reason.
    """

    accounts_opened: int
    accounts_already_there: int
    entries_written: int
    entries_already_there: int
    adjustments: tuple[Adjustment, ...]
    adjustments_already_there: int
    keys_imported: int
    keys_already_there: int
    repairs: tuple[Repair, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was written at all."""
        return bool(self.accounts_opened or self.entries_written or self.adjustments or self.keys_imported)
