"""Every error that pluct-ledger raises on purpose.

PluctError
├── InvalidArgument (also ValueError)   the call itself is wrong; raised before any SQL
├── Refused                             the call is well-formed, the ledger's state says no; nothing was written
│   ├── AccountNotFound
│   ├── AccountExists
│   ├── IdempotencyMismatch
│   ├── AccountClosed
│   ├── AccountFrozen
│   ├── HoldNotFound
│   ├── HoldClosed
│   ├── CaptureExceedsHold
│   ├── EntryNotFound
│   ├── NotReversible
│   ├── ReversalExceedsOriginal
│   ├── AccountNotEmpty
│   ├── InsufficientCredit
│   ├── BalanceLimitExceeded
│   ├── TokenUnavailable
│   ├── ApiKeyNotFound
│   └── ApiKeyExists
├── Contended                           others were in the way; nothing was written: retry the whole
├── OutcomeUnknown                      COMMIT was sent and no answer came: retry with the same key
├── Corrupted                           a record contradicts the log: stop
└── SchemaMismatch                      the database's tables are not this release's

An error has a stable ``code``, typed facts as attributes, pickles, and carries neither a secret nor an HTTP status.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AccountClosed",
    "AccountExists",
    "AccountFrozen",
    "AccountNotEmpty",
    "AccountNotFound",
    "ApiKeyExists",
    "ApiKeyNotFound",
    "BalanceLimitExceeded",
    "CaptureExceedsHold",
    "Contended",
    "Corrupted",
    "EntryNotFound",
    "HoldClosed",
    "HoldNotFound",
    "IdempotencyMismatch",
    "InsufficientCredit",
    "InvalidArgument",
    "NotReversible",
    "OutcomeUnknown",
    "PluctError",
    "Refused",
    "ReversalExceedsOriginal",
    "SchemaMismatch",
    "TokenUnavailable",
]


class PluctError(Exception):
    """The root of every error that pluct-ledger raises on purpose."""

    code: ClassVar[str] = "pluct_error"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, dict(self.__dict__))

    @property
    def facts(self) -> dict[str, Any]:
        """The error's typed facts by name, for logs and JSON."""
        return {
            name: value for name, value in self.__dict__.items() if not (name == "index" and value is None)
        }


def _restored(kind: type[PluctError], args: tuple[Any, ...], facts: dict[str, Any]) -> PluctError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class InvalidArgument(PluctError, ValueError):
    """An argument is of the wrong type, out of bounds, or not supported; no SQL was sent."""

    code = "invalid_argument"

    def __init__(self, argument: str, problem: str) -> None:
        self.argument = argument
        self.problem = problem
        self.index: int | None = None
        super().__init__(f"{argument}: {problem}")


class Refused(PluctError):
    """The ledger's state does not allow what was asked; nothing was written."""

    code = "refused"

    def __init__(self, message: str) -> None:
        self.index: int | None = None
        super().__init__(message)


class AccountNotFound(Refused):
    """The owner has no account in this book and asset."""

    code = "account_not_found"

    def __init__(self, *, owner: str) -> None:
        self.owner = owner
        super().__init__(f"{owner!r} has no account")


class AccountExists(Refused):
    """The owner has an account in this book and asset already."""

    code = "account_exists"

    def __init__(self, *, owner: str) -> None:
        self.owner = owner
        super().__init__(f"{owner!r} has an account already")


class AccountClosed(Refused):
    """The account is closed, which is final: it answers replays only."""

    code = "account_closed"

    def __init__(self, *, owner: str) -> None:
        self.owner = owner
        super().__init__(f"the account of {owner!r} is closed")


class AccountFrozen(Refused):
    """The account is frozen: credit may come in, none may be used."""

    code = "account_frozen"

    def __init__(self, *, owner: str) -> None:
        self.owner = owner
        super().__init__(f"the account of {owner!r} is frozen")


class InsufficientCredit(Refused):
    """The account's available credit cannot cover the amount."""

    code = "insufficient_credit"

    def __init__(self, *, owner: str, requested: int, available: int) -> None:
        self.owner = owner
        self.requested = requested
        self.available = available
        super().__init__(f"{owner!r} has {available} available, {requested} requested")


class BalanceLimitExceeded(Refused):
    """The entry would carry a balance or a running total beyond what is kept exact everywhere."""

    code = "balance_limit_exceeded"

    def __init__(self, *, owner: str, limit: int) -> None:
        self.owner = owner
        self.limit = limit
        super().__init__(f"the entry would carry the account of {owner!r} beyond {limit}")


class IdempotencyMismatch(Refused):
    """The idempotency key was used before in this account for a different command."""

    code = "idempotency_mismatch"

    def __init__(self, *, owner: str, field: str) -> None:
        self.owner = owner
        self.field = field
        super().__init__(f"this idempotency key stands for another command of {owner!r}: {field} differs")


class AccountNotEmpty(Refused):
    """An account that is to be closed still has credit, a hold, or a grant to come."""

    code = "account_not_empty"

    def __init__(self, *, owner: str, posted: int, held: int, pending: int) -> None:
        self.owner = owner
        self.posted = posted
        self.held = held
        self.pending = pending
        super().__init__(f"the account of {owner!r} has {posted} posted, {held} held and {pending} to come")


class HoldNotFound(Refused):
    """No hold of this book and asset has that id."""

    code = "hold_not_found"

    def __init__(self, *, hold_id: str) -> None:
        self.hold_id = hold_id
        super().__init__(f"no hold {hold_id}")


class HoldClosed(Refused):
    """The hold was captured, voided, or has expired."""

    code = "hold_closed"

    def __init__(self, *, hold_id: str, status: str) -> None:
        self.hold_id = hold_id
        self.status = status
        super().__init__(f"hold {hold_id} is {status}")


class CaptureExceedsHold(Refused):
    """More is to be captured than the hold has set aside."""

    code = "capture_exceeds_hold"

    def __init__(self, *, hold_id: str, requested: int, held: int) -> None:
        self.hold_id = hold_id
        self.requested = requested
        self.held = held
        super().__init__(f"hold {hold_id} has {held}, {requested} requested")


class NotReversible(Refused):
    """Entries of that operation cannot be reversed."""

    code = "not_reversible"

    def __init__(self, *, entry_id: str, operation: str) -> None:
        self.entry_id = entry_id
        self.operation = operation
        super().__init__(f"entry {entry_id} is of the operation {operation}, which cannot be reversed")


class ReversalExceedsOriginal(Refused):
    """More is to be reversed than is left of the original entry."""

    code = "reversal_exceeds_original"

    def __init__(self, *, entry_id: str, requested: int, reversible: int) -> None:
        self.entry_id = entry_id
        self.requested = requested
        self.reversible = reversible
        super().__init__(f"of entry {entry_id}, {reversible} can be reversed, {requested} requested")


class EntryNotFound(Refused):
    """No entry of this book and asset has that id."""

    code = "entry_not_found"

    def __init__(self, *, entry_id: str) -> None:
        self.entry_id = entry_id
        super().__init__(f"no entry {entry_id}")


class TokenUnavailable(Refused):
    """The token was vended before under this key, and the key that signed it is gone."""

    code = "token_unavailable"

    def __init__(self, *, token_id: str, key_id: str) -> None:
        self.token_id = token_id
        self.key_id = key_id
        super().__init__(f"token {token_id} was signed with key {key_id!r}, which is not configured any more")


class ApiKeyNotFound(Refused):
    """No API key of this book has that id."""

    code = "api_key_not_found"

    def __init__(self, *, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"no API key {key_id!r}")


class ApiKeyExists(Refused):
    """Another API key has that id or that hash already."""

    code = "api_key_exists"

    def __init__(self, *, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"an API key like {key_id!r} exists already")


class Contended(PluctError):
    """Other transactions were in the way and the budget of retries is spent; nothing was written: retry the whole."""

    code = "contended"

    def __init__(
        self, message: str = "other transactions were in the way; retry the whole transaction"
    ) -> None:
        super().__init__(message)


class OutcomeUnknown(PluctError):
    """COMMIT was sent, no answer came, and running it again could not find out; retry with ``key``."""

    code = "outcome_unknown"

    def __init__(self, *, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.key = keys[0] if keys else None
        super().__init__("the connection was lost around COMMIT; retry with the same idempotency key")


class Corrupted(PluctError):
    """A record contradicts the log or its own name; stop and look."""

    code = "corrupted"

    def __init__(self, *, record: str, problem: str) -> None:
        self.record = record
        self.problem = problem
        super().__init__(f"{record}: {problem}")


class SchemaMismatch(PluctError):
    """The tables in the database are not those of this release; run the migrations."""

    code = "schema_mismatch"

    def __init__(self, *, expected: str, found: str | None) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"schema version {expected} expected, {found or 'none'} found; run the migrations")
