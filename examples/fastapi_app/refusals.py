"""Every way to say no: what a request lacks, and what each error of the library comes to over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError  # noqa: A004 - SQLAlchemy's name
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pluct_ledger import errors

USER_ID_REQUIRED = "Valid user ID is required"
NO_SUCH_KEY = "API key not found"


class Refusal(Exception):
    """A request is refused: a status, a text for people, a code for programs."""

    def __init__(self, status: int, text: str, code: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.code, self.headers = status, text, code, headers


STATUSES: dict[type[Exception], tuple[int, str]] = {
    errors.InvalidArgument: (400, ""),  # its own message
    errors.InsufficientCredit: (402, "Insufficient credits"),
    errors.AccountNotFound: (402, "Insufficient credits"),  # only vending needs an account that is there
    errors.AccountFrozen: (403, "The account is frozen"),
    errors.AccountClosed: (403, "The account is closed"),
    errors.ApiKeyNotFound: (404, NO_SUCH_KEY),
    errors.AccountExists: (409, "User already exists"),
    errors.TokenUnavailable: (409, "The token of this idempotency key cannot be given again"),
    errors.Refused: (409, "Refused"),
    errors.IdempotencyMismatch: (422, "This idempotency key was used for another request"),
    errors.Contended: (503, "Too many requests at once; try again"),
    errors.OutcomeUnknown: (503, "The outcome is unknown; try again with the same idempotency key"),
}
"""What is in no line of it is our own fault: 500."""

ARGUMENTS = {"owner": (400, USER_ID_REQUIRED), "key_id": (404, NO_SUCH_KEY)}
UNAVAILABLE = (OperationalError, InterfaceError, TimeoutError)
REFUSED: tuple[type[Exception], ...] = (
    Refusal,
    *STATUSES,
    HTTPException,
    ClientDisconnect,
    *UNAVAILABLE,
    Exception,
)

_log = logging.getLogger(__name__)


def refusal_of(error: Exception) -> Refusal:
    """Return what an error comes to; of one that nobody expected, nothing is told."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return Refusal(error.status_code, str(error.detail), code, error.headers)
    if isinstance(error, ClientDisconnect):
        return Refusal(400, "The request was cut off", "cut_off")
    if isinstance(error, UNAVAILABLE):
        _log.error("the database does not answer", exc_info=error)
        return Refusal(503, "The database does not answer; try again", "unavailable", {"Retry-After": "1"})
    if isinstance(error, errors.PluctError):
        for kind in type(error).__mro__:
            if kind in STATUSES:
                return _known(error, *STATUSES[kind])
    # The server closes the connection after an error that nobody expected; so that clients know.
    return Refusal(500, "Internal server error", "internal_error", {"Connection": "close"})


def _known(error: errors.PluctError, status: int, text: str) -> Refusal:
    if isinstance(error, errors.InvalidArgument):
        status, text = ARGUMENTS.get(error.argument, (status, str(error)))
    return Refusal(status, text, error.code, {"Retry-After": "1"} if status == 503 else None)
