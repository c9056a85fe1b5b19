"""Tampered rows: what stands in a token's row is signed again only where it is what was paid for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from pluct_ledger import Corrupted, Ledger, TokenUnavailable, TokenVendor, VendedToken
from tests.contract.callers import TABLES, Caller
from tests.contract.vending import everything, vendor_of

TOKEN = TABLES.token
ASKED: dict[str, Any] = {"cost": 2, "scope": ("a", "b"), "idempotency_key": "k"}


@pytest.fixture
def vendor(ledger: Ledger, caller: Caller) -> TokenVendor:
    """A vendor to ada, who has 10, and to bob."""
    ledger.grant("ada", 10)
    ledger.grant("bob", 10)
    return vendor_of(caller)


def text_with(**changed: Any) -> Callable[[dict[str, Any]], str]:
    """Return what writes claims in their canonical form, with these members changed."""
    return lambda claims: _canonical({**claims, **changed})


def _canonical(claims: dict[str, Any]) -> str:
    return json.dumps(claims, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


OTHER_CLAIMS: dict[str, Callable[[dict[str, Any]], str]] = {
    "empty": lambda _: "",
    "not JSON": lambda _: "claims",
    "not an object": lambda _: "[]",
    "not canonical": json.dumps,
    "a space after": lambda claims: _canonical(claims) + " ",
    "a claim gone": lambda claims: _canonical({k: v for k, v in claims.items() if k != "nbf"}),
    "a claim more": text_with(admin=True),
    "another owner": text_with(sub="bob"),
    "another book": text_with(book="shop"),
    "another id": lambda claims: _canonical({**claims, "jti": claims["jti"][:-1] + "9"}),
    "another scope": text_with(scope="a b admin"),
    "less scope": text_with(scope="a"),
    "no scope": text_with(scope=""),
    "a higher cost": text_with(cost=200),
    "a longer life": lambda claims: _canonical({**claims, "exp": claims["exp"] + 1}),
    "a life without end": text_with(exp=253_402_300_799),
    "a later beginning": lambda claims: _canonical({**claims, "nbf": claims["nbf"] + 1}),
    "an end before its beginning": text_with(exp=1),
}


def claims_text_of(caller: Caller) -> str:
    """Return the claims as they are stored of the one token there is."""
    caller.settle()
    with caller.engine.connect() as connection:
        return str(connection.execute(select(TOKEN.c.claims)).scalar_one())


@pytest.mark.parametrize("change", OTHER_CLAIMS.values(), ids=OTHER_CLAIMS)
def test_claims_that_were_changed_are_not_signed(
    vendor: TokenVendor, ledger: Ledger, caller: Caller, change: Callable[[dict[str, Any]], str]
) -> None:
    """A row whose claims are not what the entry paid for is corrupted by name, and nothing is charged or signed."""
    first = vendor.vend("ada", **ASKED)
    original = claims_text_of(caller)
    caller.tamper(update(TOKEN).values(claims=change(json.loads(original))))
    before = everything(caller.engine)

    with pytest.raises(Corrupted) as refused:
        vendor.vend("ada", **ASKED)

    assert refused.value.record == f"token {first.token_id}"
    caller.settle()
    assert everything(caller.engine) == before
    caller.tamper(update(TOKEN).values(claims=original))
    assert vendor.vend("ada", **ASKED).token == first.token


@pytest.mark.parametrize("seconds", [-1, 1])
def test_a_time_to_live_that_was_asked_for_is_kept(vendor: TokenVendor, caller: Caller, seconds: int) -> None:
    """Where the time to live is part of what was asked for, no row makes a token live longer or shorter."""
    asked = {**ASKED, "ttl": timedelta(seconds=30)}
    vendor.vend("ada", **asked)
    claims = json.loads(claims_text_of(caller))
    exp = claims["exp"] + seconds
    caller.tamper(update(TOKEN).values(claims=_canonical({**claims, "exp": exp}), expires_at=exp * 1_000_000))

    with pytest.raises(Corrupted):
        vendor.vend("ada", **asked)


@pytest.mark.parametrize("micros", [-1, 1, 10**15])
def test_an_expiry_that_was_changed_is_found(vendor: TokenVendor, caller: Caller, micros: int) -> None:
    """A row whose expiry is not that of its claims is corrupted."""
    vendor.vend("ada", **ASKED)
    caller.tamper(update(TOKEN).values(expires_at=TOKEN.c.expires_at + micros))

    with pytest.raises(Corrupted):
        vendor.vend("ada", **ASKED)


def test_a_row_that_is_gone_is_found(vendor: TokenVendor, caller: Caller) -> None:
    """A token that was paid for and whose row is gone is corrupted, not vended a second time."""
    first = vendor.vend("ada", **ASKED)
    caller.tamper(delete(TOKEN))
    before = everything(caller.engine)

    with pytest.raises(Corrupted) as refused:
        vendor.vend("ada", **ASKED)

    assert (refused.value.record, refused.value.problem) == (f"token {first.token_id}", "its row is missing")
    caller.settle()
    assert everything(caller.engine) == before


def test_the_row_of_another_token_is_no_help(vendor: TokenVendor, caller: Caller) -> None:
    """A row that was exchanged for that of another token of the same owner, cost and scope is corrupted."""
    vendor.vend("ada", **ASKED)
    claims = claims_text_of(caller)
    second = vendor.vend("ada", **{**ASKED, "idempotency_key": "k2"})
    caller.tamper(update(TOKEN).where(TOKEN.c.seq == second.receipt.seq).values(claims=claims))

    with pytest.raises(Corrupted) as refused:
        vendor.vend("ada", **{**ASKED, "idempotency_key": "k2"})

    assert refused.value.record == f"token {second.token_id}"


def test_a_key_that_never_was_signs_nothing(vendor: TokenVendor, caller: Caller) -> None:
    """A row that names a key which nobody has is answered as a token whose key is gone."""
    vendor.vend("ada", **ASKED)
    caller.tamper(update(TOKEN).values(key_id="../k1"))

    with pytest.raises(TokenUnavailable) as refused:
        vendor.vend("ada", **ASKED)

    assert refused.value.key_id == "../k1"


def test_corruption_stays_with_its_token(vendor: TokenVendor, ledger: Ledger, caller: Caller) -> None:
    """After a corrupted row the host's transaction goes on, and other keys and owners are served."""
    vendor.vend("ada", **ASKED)
    caller.settle()
    caller.tamper(update(TOKEN).values(claims="{}"))

    with pytest.raises(Corrupted):
        vendor.vend("ada", **ASKED)
    others: list[VendedToken] = [vendor.vend("ada"), vendor.vend("bob", idempotency_key="k")]
    caller.settle()

    assert all(vendor.validate(vended.token).valid for vended in others)
    assert [Ledger(caller.engine).balance(owner).posted for owner in ("ada", "bob")] == [7, 9]
