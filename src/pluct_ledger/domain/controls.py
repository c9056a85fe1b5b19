"""Controls: overdraft limit, freeze, unfreeze, close; each is an entry."""

from __future__ import annotations

from pluct_ledger.domain.cases import Case, check_not_closed
from pluct_ledger.domain.entries import EntryRecord, Operation
from pluct_ledger.errors import AccountNotEmpty


def decide_control(case: Case) -> EntryRecord:
    """Write a control; its terms say what changes.

    Raises:
        AccountClosed
    """
    check_not_closed(case.account)
    case.settle()
    return _controlled(case)


def decide_close(case: Case) -> EntryRecord:
    """Close an account for good.

    Raises:
        AccountClosed, AccountNotEmpty: in this order.
    """
    check_not_closed(case.account)
    case.settle()
    account = case.account
    grants = case.draft.position.grants.values()
    to_come = sum(grant.pending for grant in grants)
    # A grant beside a debt of the same size comes to 0 as well, but only until it expires.
    if account.posted or account.held or to_come or any(grant.posted for grant in grants):
        raise AccountNotEmpty(owner=account.owner, posted=account.posted, held=account.held, pending=to_come)
    return _controlled(case)


def _controlled(case: Case) -> EntryRecord:
    intent = case.intent
    return case.draft.write(
        Operation.CONTROL, at=case.at, terms=intent.terms, intent=intent, metadata=case.entry_metadata
    )
