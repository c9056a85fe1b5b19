"""pluct-ledger: an embeddable credit ledger over the host's own SQLAlchemy engine.

`Ledger` keeps accounts with credits, `TokenVendor` sells signed tokens for them, `ApiKeyRegistry` knows the partners
who may add some. `commands` holds what `Ledger.apply` takes, `migrations` creates the tables, `sqlite` prepares an
SQLite engine.
"""

from pluct_ledger import commands, errors
from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.domain.accounts import Account, Balance
from pluct_ledger.domain.api_keys import ApiKey, ApiKeyCheck, ApiKeyCode, CreatedApiKey
from pluct_ledger.domain.entries import Entry, Receipt, Share
from pluct_ledger.domain.explanations import BalanceExplanation, Explanation
from pluct_ledger.domain.grants import Grant
from pluct_ledger.domain.holds import Hold
from pluct_ledger.domain.pages import Page
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.domain.statements import Statement
from pluct_ledger.domain.tokens import TokenCheck, TokenCode, VendedToken
from pluct_ledger.domain.verification import Finding, VerifyReport
from pluct_ledger.errors import (
    AccountClosed,
    AccountExists,
    AccountFrozen,
    AccountNotEmpty,
    AccountNotFound,
    ApiKeyExists,
    ApiKeyNotFound,
    BalanceLimitExceeded,
    CaptureExceedsHold,
    Contended,
    Corrupted,
    EntryNotFound,
    HoldClosed,
    HoldNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    NotReversible,
    OutcomeUnknown,
    PluctError,
    Refused,
    ReversalExceedsOriginal,
    SchemaMismatch,
    TokenUnavailable,
)
from pluct_ledger.ledger import Ledger
from pluct_ledger.token_vendor import TokenVendor

__all__ = [
    "Account",
    "AccountClosed",
    "AccountExists",
    "AccountFrozen",
    "AccountNotEmpty",
    "AccountNotFound",
    "ApiKey",
    "ApiKeyCheck",
    "ApiKeyCode",
    "ApiKeyExists",
    "ApiKeyNotFound",
    "ApiKeyRegistry",
    "Balance",
    "BalanceExplanation",
    "BalanceLimitExceeded",
    "CaptureExceedsHold",
    "Contended",
    "Corrupted",
    "CreatedApiKey",
    "Entry",
    "EntryNotFound",
    "Explanation",
    "Finding",
    "Grant",
    "Hold",
    "HoldClosed",
    "HoldNotFound",
    "IdempotencyMismatch",
    "InsufficientCredit",
    "InvalidArgument",
    "Ledger",
    "NotReversible",
    "OutcomeUnknown",
    "Page",
    "PluctError",
    "Receipt",
    "Refused",
    "ReversalExceedsOriginal",
    "SchemaMismatch",
    "Share",
    "SigningKeys",
    "Statement",
    "TokenCheck",
    "TokenCode",
    "TokenUnavailable",
    "TokenVendor",
    "VendedToken",
    "VerifyReport",
    "commands",
    "errors",
]

__version__ = "0.1.0"
