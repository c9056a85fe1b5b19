"""Moving in: the users, history, balances and API keys of the old service.

Everything is read and judged before the first row is written; `report` says what became of it.
"""

from pluct_ledger.domain.repairs import Repair
from pluct_ledger.importing.moving_in import import_d1
from pluct_ledger.importing.report import Adjustment, ImportReport

__all__ = ["Adjustment", "ImportReport", "Repair", "import_d1"]
