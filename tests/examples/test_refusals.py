"""Every error of the library has its status, and none that nobody expected tells what is inside."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from examples.fastapi_app.refusals import Refusal, refusal_of
from pluct_ledger import errors

REFUSED = [
    errors.AccountNotFound(owner="ada"),
    errors.AccountExists(owner="ada"),
    errors.AccountClosed(owner="ada"),
    errors.AccountFrozen(owner="ada"),
    errors.InsufficientCredit(owner="ada", requested=1, available=0),
    errors.BalanceLimitExceeded(owner="ada", limit=1),
    errors.IdempotencyMismatch(owner="ada", field="amount"),
    errors.EntryNotFound(entry_id="x.1"),
    errors.HoldNotFound(hold_id="x.1"),
    errors.HoldClosed(hold_id="x.1", status="voided"),
    errors.CaptureExceedsHold(hold_id="x.1", requested=2, held=1),
    errors.NotReversible(entry_id="x.1", operation="adjust"),
    errors.ReversalExceedsOriginal(entry_id="x.1", requested=2, reversible=1),
    errors.AccountNotEmpty(owner="ada", posted=1, held=0, pending=0),
    errors.TokenUnavailable(token_id="x.1", key_id="k"),
    errors.ApiKeyNotFound(key_id="k"),
    errors.ApiKeyExists(key_id="k"),
    errors.InvalidArgument("owner", "must not be empty"),
    errors.InvalidArgument("reason", "at most 500 characters"),
]


@pytest.mark.parametrize("error", REFUSED, ids=str)
def test_a_refusal_of_the_library_is_one_over_http(error: errors.PluctError) -> None:
    """What the ledger refuses is the client's to mend: a status from 400 to 499, with the library's code."""
    refusal = refusal_of(error)
    assert 400 <= refusal.status < 500
    assert refusal.code == error.code
    assert refusal.text
    assert "ada" not in refusal.text


def test_no_refusal_of_the_library_is_forgotten() -> None:
    """The cases above are all the refusals that there are."""
    there_are = {name for name in errors.__all__ if issubclass(getattr(errors, name), errors.Refused)}
    assert {type(error).__name__ for error in REFUSED} == (there_are - {"Refused"}) | {"InvalidArgument"}


@pytest.mark.parametrize(
    "error",
    [
        errors.Contended(),
        errors.OutcomeUnknown(keys=("k",)),
        OperationalError("SELECT 1", {}, Exception("secret")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_be_tried_again_says_so(error: Exception) -> None:
    """Contention, an unknown outcome and a database that does not answer are 503 with Retry-After."""
    refusal = refusal_of(error)
    assert refusal.status == 503
    assert refusal.headers == {"Retry-After": "1"}
    assert "secret" not in refusal.text


@pytest.mark.parametrize(
    "error",
    [
        errors.Corrupted(record="account x", problem="secret"),
        errors.SchemaMismatch(expected="secret", found=None),
        RuntimeError("secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_expected_tells_nothing(error: Exception) -> None:
    """Any other error is 500, with a text that is always the same."""
    refusal = refusal_of(error)
    assert (refusal.status, refusal.text, refusal.code) == (500, "Internal server error", "internal_error")


def test_a_refusal_stays_as_it_is() -> None:
    """What the adapter itself refuses is refused in its own words."""
    refusal = Refusal(418, "A teapot", "teapot")
    assert refusal_of(refusal) is refusal
