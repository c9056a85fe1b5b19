"""The faults of the service that this library replaces, each by name, and each absent on every database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import NoReturn, TypeVar

import pytest
from sqlalchemy import Engine

from pluct_ledger import (
    ApiKeyRegistry,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    SigningKeys,
    TokenVendor,
    VendedToken,
)
from pluct_ledger.domain.tokens import TokenCode
from tests.clock import FrozenClock
from tests.concurrency.crowd import at_once

T = TypeVar("T")
SECRET = bytes.fromhex("8d1f6a02c47be95310aa97e4d82b63f5071cbe49a6d035fb7e128c94e0395ad7")
KEYS = SigningKeys.hs256(SECRET)


@pytest.fixture
def ledger(engine: Engine, clock: FrozenClock) -> Ledger:
    """A ledger in which ada has 10."""
    ledger = Ledger(engine, clock=clock)
    ledger.grant("ada", 10)
    return ledger


@pytest.fixture
def vendor(ledger: Ledger) -> TokenVendor:
    """A vendor whose tokens cost 1 and are good for a minute."""
    return TokenVendor(ledger, keys=KEYS)


def refused_or_done(job: Callable[[], T]) -> T | InsufficientCredit:
    """Do a job, and return the want of credit that it met."""
    try:
        return job()
    except InsufficientCredit as refusal:
        return refusal


def test_concurrent_vends_give_no_token_for_free(vendor: TokenVendor, ledger: Ledger) -> None:
    """Fifty vends at once on a balance of ten give ten tokens, each of them good and paid for, and no more."""
    vending = partial(refused_or_done, partial(vendor.vend, "ada"))

    outcomes = at_once([vending] * 50)

    tokens = [one for one in outcomes if isinstance(one, VendedToken)]
    assert len(tokens) == 10
    assert len({token.token for token in tokens}) == 10
    assert all(vendor.validate(token.token).valid for token in tokens)
    paid = {entry.entry_id for entry in ledger.entries("ada", kinds=["spend"])}
    assert {token.token_id for token in tokens} == paid
    assert ledger.balance("ada").posted == 0
    assert ledger.verify().ok


def test_concurrent_spends_lose_no_update(ledger: Ledger) -> None:
    """Of spends and grants at once each one shows in the balance."""
    jobs = [partial(ledger.spend, "ada", 1), partial(ledger.grant, "ada", 2)] * 10

    receipts = at_once(jobs)

    assert ledger.balance("ada").posted == 10 + sum(receipt.amount for receipt in receipts) == 20
    assert sorted(receipt.seq for receipt in receipts) == list(range(2, 22))
    assert ledger.verify().ok


def test_a_failed_signing_costs_nothing(vendor: TokenVendor, ledger: Ledger) -> None:
    """A token that cannot be signed is not paid for."""

    def fail(_message: bytes) -> NoReturn:
        raise OSError("the signer does not answer")

    broken = SigningKeys._of(replace(KEYS.signer, _sign=fail))

    with pytest.raises(OSError, match="does not answer"):
        TokenVendor(ledger, keys=broken).vend("ada")

    assert ledger.balance("ada").posted == 10
    assert ledger.account("ada").entry_count == 1
    assert vendor.vend("ada").receipt.seq == 2


def test_nothing_is_had_at_balance_zero(vendor: TokenVendor, ledger: Ledger) -> None:
    """With nothing left neither a vend nor a spend succeeds, and neither leaves an entry."""
    ledger.spend("ada", 10)

    for ask in (
        partial(vendor.vend, "ada"),
        partial(ledger.spend, "ada", 1),
        partial(ledger.spend, "ada", 1, up_to=True),
    ):
        with pytest.raises(InsufficientCredit) as refused:
            ask()
        assert refused.value.available == 0

    assert (ledger.balance("ada").posted, ledger.account("ada").entry_count) == (0, 2)


def test_a_request_id_of_one_user_never_answers_another(vendor: TokenVendor, ledger: Ledger) -> None:
    """Two users who send the same request id get a token each, for their own credit, and the same one again."""
    ledger.grant("bob", 10)

    hers, his = (vendor.vend(owner, idempotency_key="request-1") for owner in ("ada", "bob"))

    assert [vendor.validate(token.token).owner for token in (hers, his)] == ["ada", "bob"]
    assert hers.token != his.token
    assert (hers.receipt.replayed, his.receipt.replayed) == (False, False)
    again = vendor.vend("bob", idempotency_key="request-1")
    assert (again.token, again.receipt.replayed) == (his.token, True)
    assert {owner: ledger.balance(owner).posted for owner in ("ada", "bob")} == {"ada": 9, "bob": 9}


def test_a_request_id_of_one_user_never_answers_another_at_once(vendor: TokenVendor, ledger: Ledger) -> None:
    """Users who send the same request id at the same moment, twice each, get a token each and pay for it once."""
    owners = [f"user {number}" for number in range(8)]
    for owner in owners:
        ledger.grant(owner, 1)

    vended = at_once([partial(vendor.vend, owner, idempotency_key="request-1") for owner in owners * 2])

    assert len({token.token for token in vended}) == len(owners)
    for owner, token in zip(owners * 2, vended, strict=True):
        assert (token.owner, vendor.validate(token.token).owner) == (owner, owner)
    assert {ledger.balance(owner).posted for owner in owners} == {0}


def test_an_expired_token_is_called_expired(vendor: TokenVendor, clock: FrozenClock) -> None:
    """A well-signed token is good until the moment it expires, then EXPIRED, and a tampered one is a BAD_SIGNATURE."""
    token, other = vendor.vend("ada").token, vendor.vend("ada").token
    tampered = token.rpartition(".")[0] + "." + other.rpartition(".")[2]

    clock.advance(timedelta(seconds=60) - timedelta(microseconds=1))
    assert vendor.validate(token).code is TokenCode.VALID
    clock.advance(timedelta(microseconds=1))
    assert vendor.validate(token).code is TokenCode.EXPIRED
    assert vendor.validate(tampered).code is TokenCode.BAD_SIGNATURE


@pytest.mark.parametrize("unset", ["", None, "undefined"], ids=["empty", "none", "undefined"])
def test_an_unset_secret_opens_no_door(unset: str | None) -> None:
    """A secret that is not set, or what programs make of one that is not, is no signing key."""
    with pytest.raises(InvalidArgument):
        SigningKeys.hs256(unset)  # type: ignore[arg-type]  # what a program without its settings hands in


def test_an_absent_api_key_is_nobodys(engine: Engine, clock: FrozenClock) -> None:
    """No key, an empty one, and what clients make of a missing one, verify as no key of anybody."""
    registry = ApiKeyRegistry(engine, clock=clock)
    created = registry.create("a partner")

    for absent in (None, "", " ", "undefined", "null", "None"):
        assert not registry.verify(absent).valid
        assert registry.verify(absent).api_key is None
    assert registry.verify(created.secret).valid
