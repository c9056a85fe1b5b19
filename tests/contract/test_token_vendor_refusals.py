"""Refusals of a vending: which comes first where several are due, and that each leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from pluct_ledger import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    PluctError,
    SigningKeys,
    TokenUnavailable,
    TokenVendor,
)
from pluct_ledger.domain.accounts import Status
from tests.clock import FrozenClock
from tests.contract.callers import Caller, counted_statements
from tests.contract.vending import ED25519, HS256, OTHER, everything, vendor_of
from tests.unit.token_forge import ED_KID, PUBLIC_PEM

FROZEN, CLOSED = Status.FROZEN, Status.CLOSED


@pytest.fixture
def ledger(caller: Caller) -> Ledger:
    """A ledger in which ada has 10 but for the token that the key "k" paid for, and bob has nothing."""
    ledger = caller.ledger()
    ledger.grant("ada", 10)
    ledger.open_account("bob")
    return ledger


@pytest.fixture
def vendor(ledger: Ledger, caller: Caller) -> TokenVendor:
    """A vendor with keys that signed no token yet."""
    vendor_of(caller, keys=OTHER).vend("ada", idempotency_key="k")
    return vendor_of(caller)


ORDER: dict[str, tuple[dict[str, Status], dict[str, Any], type[PluctError], dict[str, Any]]] = {
    "InvalidArgument before AccountNotFound": (
        {},
        {"owner": "nobody", "cost": 0},
        InvalidArgument,
        {"argument": "cost"},
    ),
    "AccountNotFound": ({}, {"owner": "nobody"}, AccountNotFound, {"owner": "nobody"}),
    "IdempotencyMismatch before TokenUnavailable": (
        {},
        {"cost": 2, "idempotency_key": "k"},
        IdempotencyMismatch,
        {"owner": "ada", "field": "amount"},
    ),
    "IdempotencyMismatch before AccountClosed": (
        {"ada": CLOSED},
        {"scope": ("a",), "idempotency_key": "k"},
        IdempotencyMismatch,
        {"owner": "ada", "field": "scope"},
    ),
    "IdempotencyMismatch before InsufficientCredit": (
        {},
        {"cost": 100, "idempotency_key": "k"},
        IdempotencyMismatch,
        {"owner": "ada"},
    ),
    "TokenUnavailable before AccountClosed": (
        {"ada": CLOSED},
        {"idempotency_key": "k"},
        TokenUnavailable,
        {"key_id": "k2"},
    ),
    "TokenUnavailable before AccountFrozen": (
        {"ada": FROZEN},
        {"idempotency_key": "k"},
        TokenUnavailable,
        {"key_id": "k2"},
    ),
    "AccountClosed before InsufficientCredit": (
        {"bob": CLOSED},
        {"owner": "bob"},
        AccountClosed,
        {"owner": "bob"},
    ),
    "AccountFrozen before InsufficientCredit": (
        {"bob": FROZEN},
        {"owner": "bob"},
        AccountFrozen,
        {"owner": "bob"},
    ),
    "AccountClosed": ({"ada": CLOSED}, {}, AccountClosed, {"owner": "ada"}),
    "AccountFrozen": ({"ada": FROZEN}, {}, AccountFrozen, {"owner": "ada"}),
    "InsufficientCredit": (
        {},
        {"cost": 10},
        InsufficientCredit,
        {"owner": "ada", "requested": 10, "available": 9},
    ),
    "InsufficientCredit of nothing": (
        {},
        {"owner": "bob"},
        InsufficientCredit,
        {"owner": "bob", "requested": 1, "available": 0},
    ),
}


@pytest.mark.parametrize(("statuses", "asked", "refusal", "facts"), ORDER.values(), ids=ORDER)
def test_refusals_come_in_their_order(
    vendor: TokenVendor,
    ledger: Ledger,
    caller: Caller,
    statuses: dict[str, Status],
    asked: dict[str, Any],
    refusal: type[PluctError],
    facts: dict[str, Any],
) -> None:
    """Where two refusals are due the one documented first is raised, it changes nothing, and the host goes on."""
    for owner, status in statuses.items():
        caller.set_status(owner, status)
    caller.settle()
    before = everything(caller.engine)

    with pytest.raises(refusal) as refused:
        vendor.vend(**{"owner": "ada", **asked})

    assert type(refused.value) is refusal
    assert {name: getattr(refused.value, name) for name in facts} == facts
    assert getattr(refused.value, "index", None) is None
    caller.settle()
    assert everything(caller.engine) == before


def test_a_refusal_leaves_the_transaction_usable(vendor: TokenVendor, ledger: Ledger, caller: Caller) -> None:
    """What is done after a refusal in the same transaction is committed with what was done before it."""
    ledger.grant("ada", 1)
    with pytest.raises(InsufficientCredit):
        vendor.vend("ada", cost=100, idempotency_key="again")
    vended = vendor.vend("ada", cost=10, idempotency_key="again")
    caller.settle()

    assert not vended.receipt.replayed
    assert Ledger(caller.engine).balance("ada").posted == 0
    assert Ledger(caller.engine).verify().ok


# What is wrong with a call is found before any SQL.

LONG = "a" * 256
BAD_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no cost": ({"cost": 0}, "cost"),
    "a negative cost": ({"cost": -1}, "cost"),
    "a bool for a cost": ({"cost": True}, "cost"),
    "a float for a cost": ({"cost": 1.0}, "cost"),
    "a Decimal for a cost": ({"cost": Decimal(1)}, "cost"),
    "text for a cost": ({"cost": "1"}, "cost"),
    "a cost above the ledger's bound": ({"cost": 101}, "cost"),
    "no time to live": ({"ttl": timedelta(0)}, "ttl"),
    "a negative time to live": ({"ttl": timedelta(seconds=-1)}, "ttl"),
    "a fraction of a second": ({"ttl": timedelta(seconds=1, microseconds=1)}, "ttl"),
    "a number for a time to live": ({"ttl": 60}, "ttl"),
    "more than ten years": ({"ttl": timedelta(days=3654)}, "ttl"),
    "text for a scope": ({"scope": "read"}, "scope"),
    "a set for a scope": ({"scope": {"read"}}, "scope"),
    "None for a scope": ({"scope": None}, "scope"),
    "a scope with a space": ({"scope": ("a b",)}, "scope"),
    "an empty scope": ({"scope": ("",)}, "scope"),
    "a scope twice": ({"scope": ("a", "a")}, "scope"),
    "a scope too long": ({"scope": ("a" * 513,)}, "scope"),
    "a number in a scope": ({"scope": (1,)}, "scope"),
    "uses": ({"uses": 1}, "uses"),
    "no uses": ({"uses": 0}, "uses"),
    "claims": ({"claims": {"plan": "pro"}}, "claims"),
    "empty claims": ({"claims": {}}, "claims"),
    "no owner": ({"owner": ""}, "owner"),
    "None for an owner": ({"owner": None}, "owner"),
    "bytes for an owner": ({"owner": b"ada"}, "owner"),
    "an owner too long": ({"owner": LONG}, "owner"),
    "NUL in an owner": ({"owner": "a\0"}, "owner"),
    "a lone surrogate in an owner": ({"owner": "\ud800"}, "owner"),
    "an empty key": ({"idempotency_key": ""}, "idempotency_key"),
    "a key too long": ({"idempotency_key": LONG}, "idempotency_key"),
    "a number for a key": ({"idempotency_key": 7}, "idempotency_key"),
    "a kind that is none": ({"kind": "Token"}, "kind"),
    "a reason too long": ({"reason": "a" * 501}, "reason"),
    "an actor too long": ({"actor": LONG}, "actor"),
    "NaN in metadata": ({"metadata": {"a": float("nan")}}, "metadata"),
    "a naive datetime": ({"event_at": datetime(2030, 1, 1)}, "event_at"),  # noqa: DTZ001 - naive on purpose
}


@pytest.mark.parametrize(("asked", "argument"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_what_is_wrong_with_a_vending_is_found_before_any_sql(
    caller: Caller, asked: dict[str, Any], argument: str
) -> None:
    """An argument of the wrong type or out of bounds is refused by its name, and no statement is sent."""
    vendor = TokenVendor(caller.ledger(max_amount=100), keys=HS256)

    with counted_statements(caller.engine) as sent, pytest.raises(InvalidArgument) as refused:
        vendor.vend(**{"owner": "ada", **asked})

    assert refused.value.argument == argument
    assert sent == []


def test_the_largest_cost_is_the_ledgers_largest_amount(caller: Caller) -> None:
    """A token may cost as much as one command of the ledger may move, and no more."""
    ledger = caller.ledger(max_amount=100)
    ledger.grant("ada", 100)

    assert TokenVendor(ledger, keys=HS256).vend("ada", cost=100).receipt.posted_after == 0


@pytest.mark.parametrize(
    ("signing", "verifying"),
    [(ED25519, SigningKeys.ed25519(PUBLIC_PEM, kid=ED_KID)), (HS256, HS256.verify_only())],
    ids=["public", "retired"],
)
def test_a_vendor_that_only_verifies_sells_nothing(
    caller: Caller, signing: SigningKeys, verifying: SigningKeys
) -> None:
    """Without a key that signs, a vending is refused before any SQL, and tokens are checked all the same."""
    caller.ledger().grant("ada", 1)
    token = vendor_of(caller, keys=signing).vend("ada").token
    vendor = vendor_of(caller, keys=verifying)

    with counted_statements(caller.engine) as sent, pytest.raises(InvalidArgument) as refused:
        vendor.vend("nobody")

    assert refused.value.argument == "keys"
    assert sent == []
    assert vendor.validate(token).valid


BAD_TERMS: dict[str, tuple[dict[str, Any], str]] = {
    "no keys": ({"keys": None}, "keys"),
    "a secret for keys": ({"keys": "secret"}, "keys"),
    "a list of keys": ({"keys": [HS256]}, "keys"),
    "an empty issuer": ({"issuer": ""}, "issuer"),
    "None for an issuer": ({"issuer": None}, "issuer"),
    "an issuer too long": ({"issuer": LONG}, "issuer"),
    "an empty audience": ({"audience": ""}, "audience"),
    "several audiences": ({"audience": ["a", "b"]}, "audience"),
    "no time to live": ({"ttl": timedelta(0)}, "ttl"),
    "None for a time to live": ({"ttl": None}, "ttl"),
    "a number for a time to live": ({"ttl": 60}, "ttl"),
    "no cost": ({"cost": 0}, "cost"),
    "a bool for a cost": ({"cost": True}, "cost"),
    "a cost above the ledger's bound": ({"cost": 101}, "cost"),
    "a negative leeway": ({"leeway": timedelta(seconds=-1)}, "leeway"),
    "a number for a leeway": ({"leeway": 5}, "leeway"),
    "a leeway too large": ({"leeway": timedelta(hours=2)}, "leeway"),
}


@pytest.mark.parametrize(("terms", "argument"), BAD_TERMS.values(), ids=BAD_TERMS)
def test_a_vendor_is_not_made_on_bad_terms(engine: Engine, terms: dict[str, Any], argument: str) -> None:
    """What is wrong with a vendor is said when it is made, by the name of the argument."""
    with pytest.raises(InvalidArgument) as refused:
        TokenVendor(Ledger(engine, max_amount=100), **{"keys": HS256, **terms})

    assert refused.value.argument == argument


@pytest.mark.parametrize("nothing", [None, "sqlite://", HS256], ids=["None", "an address", "keys"])
def test_a_vendor_needs_a_ledger(nothing: Any) -> None:
    """What is no ledger is refused when the vendor is made."""
    with pytest.raises(InvalidArgument) as refused:
        TokenVendor(nothing, keys=HS256)

    assert refused.value.argument == "ledger"


def test_a_vendor_joins_only_what_is_a_transaction(caller: Caller) -> None:
    """A vendor is lent to a session or connection, and to nothing else."""
    with pytest.raises(InvalidArgument) as refused:
        vendor_of(caller).using(caller.engine)  # type: ignore[arg-type]  # what is refused here

    assert refused.value.argument == "using"


CLOCKS: dict[str, Callable[[], Any]] = {
    "naive": lambda: datetime(2030, 1, 1),  # noqa: DTZ001 - naive on purpose
    "a number": lambda: 1_893_456_000,
    "before 1970": lambda: datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    "at the end of the calendar": lambda: datetime(9999, 12, 31, 23, 59, 30, tzinfo=UTC),
}


@pytest.mark.parametrize("clock_of_the_host", CLOCKS.values(), ids=CLOCKS)
def test_a_clock_that_no_token_can_be_dated_by_costs_nothing(
    caller: Caller, clock: FrozenClock, clock_of_the_host: Callable[[], Any]
) -> None:
    """Where the clock tells no instant that a token can carry, the vending is refused and nothing is written."""
    caller.ledger().grant("ada", 10)
    caller.settle()
    before = everything(caller.engine)

    with pytest.raises(InvalidArgument):
        TokenVendor(caller.ledger(clock=clock_of_the_host), keys=HS256).vend("ada")

    caller.settle()
    assert everything(caller.engine) == before
    assert vendor_of(caller).vend("ada").receipt.available_after == 9
