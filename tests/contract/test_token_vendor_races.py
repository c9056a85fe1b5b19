"""Races: many who vend at the same moment are charged as often as they get a token, and never beyond the credit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pluct_ledger import (
    Contended,
    IdempotencyMismatch,
    InsufficientCredit,
    Ledger,
    SigningKeys,
    TokenVendor,
    VendedToken,
)
from tests.clock import FrozenClock
from tests.contract.callers import TABLES
from tests.contract.vending import ED25519, HS256

T = TypeVar("T")
Vend = Callable[..., VendedToken]


def at_once(threads: int, job: Callable[[int], T]) -> list[T]:
    """Run `job` with the numbers from 0, each in a thread of its own, all let loose at the same moment."""
    gate = Barrier(threads)

    def run(number: int) -> T:
        gate.wait()
        return job(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


@pytest.fixture
def ledger(engine: Engine, clock: FrozenClock) -> Ledger:
    """A ledger in which ada has 10."""
    ledger = Ledger(engine, clock=clock)
    ledger.grant("ada", 10)
    return ledger


def in_a_session(engine: Engine, vendor: TokenVendor) -> Vend:
    """Return what vends in a transaction of a host's, which begins the whole again when it is told to."""

    def vend(owner: str, **asked: object) -> VendedToken:
        while True:
            with Session(engine) as session:
                try:
                    vended = vendor.using(session).vend(owner, **asked)  # type: ignore[arg-type]  # handed on
                    session.commit()
                except Contended:
                    continue
                return vended

    return vend


@pytest.fixture(params=["engine", "session"])
def vend(request: pytest.FixtureRequest, engine: Engine, ledger: Ledger) -> Vend:
    """What vends, in its own transactions or in a host's."""
    vendor = TokenVendor(ledger, keys=HS256)
    return vendor.vend if request.param == "engine" else in_a_session(engine, vendor)


def vended_ids(engine: Engine) -> list[str]:
    """Return the ids of all tokens that have a row."""
    with engine.connect() as connection:
        return sorted(
            f"{row.account_id.hex()}.{row.seq}" for row in connection.execute(TABLES.token.select())
        )


def paid_ids(ledger: Ledger) -> list[str]:
    """Return the ids of ada's entries that took credit."""
    return sorted(entry.entry_id for entry in ledger.entries("ada", limit=100) if entry.amount < 0)


def test_one_key_at_once_is_one_token(engine: Engine, ledger: Ledger, vend: Vend) -> None:
    """Sixteen who ask under one key at the same moment all get the same token, and it is paid for once."""
    for key in ("k1", "k2", "k3"):
        vended = at_once(16, lambda _: vend("ada", idempotency_key=key))  # noqa: B023 - done before the next key

        assert len({one.token for one in vended}) == 1
        assert [one.receipt.replayed for one in vended].count(False) == 1
    assert ledger.balance("ada").posted == 7
    assert len(paid_ids(ledger)) == 3
    assert vended_ids(engine) == paid_ids(ledger)
    assert ledger.verify().ok


@pytest.mark.parametrize("keys", [HS256, ED25519], ids=["HS256", "EdDSA"])
def test_thirty_at_once_get_the_ten_tokens_there_is_credit_for(
    engine: Engine, ledger: Ledger, keys: SigningKeys
) -> None:
    """Of thirty who vend at the same moment on a balance of ten, exactly ten get a token, each one of its own."""
    vendor = TokenVendor(ledger, keys=keys)

    def job(_number: int) -> VendedToken | None:
        try:
            return vendor.vend("ada")
        except InsufficientCredit:
            return None

    vended = [one for one in at_once(30, job) if one is not None]

    assert len(vended) == len({one.token for one in vended}) == 10
    assert sorted(one.receipt.available_after for one in vended) == list(range(10))
    assert ledger.balance("ada").posted == 0
    assert vended_ids(engine) == paid_ids(ledger) == sorted(one.token_id for one in vended)
    assert all(vendor.validate(one.token).valid for one in vended)
    assert ledger.verify().ok


def test_hosts_at_once_get_the_ten_tokens_there_is_credit_for(engine: Engine, ledger: Ledger) -> None:
    """Of hosts that vend at the same moment, each in a transaction of its own, exactly ten get a token."""
    vend = in_a_session(engine, TokenVendor(ledger, keys=HS256))

    def job(_number: int) -> str | None:
        try:
            return vend("ada").token_id
        except InsufficientCredit:
            return None

    vended = sorted(token_id for token_id in at_once(15, job) if token_id is not None)

    assert len(vended) == 10
    assert vended_ids(engine) == paid_ids(ledger) == vended
    assert ledger.balance("ada").posted == 0


def test_a_token_and_a_spend_race_for_one_key(engine: Engine, ledger: Ledger, vend: Vend) -> None:
    """Of vendings and spends under one key at the same moment those of one kind succeed and the others are refused."""

    def job(number: int) -> str:
        try:
            if number % 2:
                return vend("ada", idempotency_key="k").token_id
            return ledger.spend("ada", 1, idempotency_key="k").entry_id
        except IdempotencyMismatch as refused:
            return refused.field

    answers = at_once(12, job)

    assert sorted(answers)[6:] == ["vend"] * 6
    assert set(answers) == {"vend", *paid_ids(ledger)}
    assert ledger.balance("ada").posted == 9
    assert vended_ids(engine) in ([], paid_ids(ledger))
