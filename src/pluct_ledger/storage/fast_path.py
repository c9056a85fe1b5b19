"""The one place where a command may be done in a single statement, without the four beats.

A fast path locks, checks and records at once, and may act only where it can do exactly one thing or nothing. Whenever
it does nothing, the four beats run and find out why. No backend has one yet: every command takes the four beats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pluct_ledger.domain.cases import Names
from pluct_ledger.domain.intents import Intent
from pluct_ledger.storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from pluct_ledger.storage.writes import Plan


def in_one_statement(work: UnitOfWork, intent: Intent, *, names: Names, now: int) -> Plan | None:  # noqa: ARG001 - no backend uses them yet
    """Do a common command in one guarded statement, or return None having done nothing."""
    return None
