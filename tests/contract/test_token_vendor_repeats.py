"""Repeats: one key vends one token, which is signed again and never stored."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pluct_ledger import (
    IdempotencyMismatch,
    Ledger,
    SigningKeys,
    TokenCode,
    TokenUnavailable,
    TokenVendor,
    VendedToken,
)
from pluct_ledger.domain.accounts import Status
from pluct_ledger.errors import Contended
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.vending import ED25519, HS256, OTHER, everything, give_up, joined, vendor_of
from tests.unit.token_forge import KID

Use = Callable[[Ledger, str], object]


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada and bob have 10 each."""
    ledger.grant("ada", 10)
    ledger.grant("bob", 10)
    return ledger


@pytest.fixture
def vendor(ledger: Ledger, caller: Caller) -> TokenVendor:
    """A vendor as it is made without a word more than is needed."""
    return vendor_of(caller)


def repeated(first: VendedToken) -> VendedToken:
    """Return what a repeat of this vending answers."""
    return replace(first, receipt=replace(first.receipt, replayed=True))


@pytest.mark.parametrize("keys", [HS256, ED25519], ids=["HS256", "EdDSA"])
@pytest.mark.parametrize("years", [0, 100])
def test_a_repeat_returns_the_same_token_and_charges_nothing(
    ledger: Ledger, caller: Caller, clock: FrozenClock, keys: SigningKeys, years: int
) -> None:
    """The same key with the same arguments returns the same token, even one long expired, and writes nothing."""
    vendor = vendor_of(caller, keys=keys)
    first = vendor.vend("ada", cost=3, scope=("b", "a"), idempotency_key="k")
    ledger.spend("ada", 1)
    caller.settle()
    before = everything(caller.engine)
    clock.advance(timedelta(days=365 * years))

    again = vendor.vend("ada", cost=3, scope=("b", "a"), idempotency_key="k")

    assert not first.receipt.replayed
    assert again == repeated(first)
    caller.settle()
    assert everything(caller.engine) == before
    assert vendor.validate(again.token).code is (TokenCode.EXPIRED if years else TokenCode.VALID)


@pytest.mark.parametrize("keys", [HS256, ED25519], ids=["HS256", "EdDSA"])
def test_a_token_is_stored_nowhere(ledger: Ledger, caller: Caller, tmp_path: Path, keys: SigningKeys) -> None:
    """Neither a token nor its signature is in any row of any table, nor in any file of an embedded database."""
    vendor = vendor_of(caller, keys=keys)
    vended = vendor.vend("ada", scope=("read",), idempotency_key="k")
    vendor.vend("ada", scope=("read",), idempotency_key="k")
    caller.settle()

    stored = repr(everything(caller.engine)).encode()
    stored += b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert vended.token_id.encode() in stored  # what is stored is seen here
    head, body, signature = vended.token.split(".")
    raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    for secret in (head, body, signature, signature[:12], raw.hex()[:16], repr(raw[:8])[2:-1]):
        assert secret.encode() not in stored
    assert raw[:8] not in stored


def test_a_repeat_needs_no_credit(vendor: TokenVendor) -> None:
    """A token that took the last credit is given again to who asks for it again."""
    first = vendor.vend("ada", cost=10, idempotency_key="k")

    assert vendor.vend("ada", cost=10, idempotency_key="k") == repeated(first)


@pytest.mark.parametrize("status", [Status.FROZEN, Status.CLOSED])
def test_a_repeat_needs_no_open_account(caller: Caller, status: Status) -> None:
    """A token that was paid for is given again by an account that is frozen or closed meanwhile."""
    caller.ledger().grant("ada", 1)
    vendor = vendor_of(caller)
    first = vendor.vend("ada", idempotency_key="k")
    caller.set_status("ada", status)

    assert vendor.vend("ada", idempotency_key="k") == repeated(first)


def test_a_repeat_may_tell_it_differently(vendor: TokenVendor, caller: Caller) -> None:
    """Reason, actor, metadata and the world's time are no part of what is asked for, and stay as first told."""
    first = vendor.vend("ada", idempotency_key="k", reason="one", metadata={"attempt": 1})
    caller.settle()
    before = everything(caller.engine)

    again = vendor.vend(
        "ada",
        idempotency_key="k",
        reason="two",
        actor="another",
        metadata={"attempt": 2},
        event_at=datetime(2031, 1, 1, tzinfo=UTC),
    )

    assert again == repeated(first)
    caller.settle()
    assert everything(caller.engine) == before


def test_a_repeat_is_known_to_every_vendor_of_the_ledger(vendor: TokenVendor, caller: Caller) -> None:
    """A vendor that is configured otherwise gives the token as it was vended: its terms are those of the first time."""
    first = vendor.vend("ada", idempotency_key="k")
    caller.settle()

    another = TokenVendor(
        Ledger(caller.engine, clock=caller.clock),
        keys=HS256,
        issuer="shop",
        audience="api",
        ttl=timedelta(hours=1),
        leeway=timedelta(seconds=5),
    )

    assert another.vend("ada", idempotency_key="k") == repeated(first)
    with pytest.raises(IdempotencyMismatch) as refused:
        TokenVendor(Ledger(caller.engine), keys=HS256, cost=2).vend("ada", idempotency_key="k")
    assert refused.value.field == "amount"


# Rotation of the keys that sign.


def test_a_repeat_is_signed_with_the_key_of_the_first_time(ledger: Ledger, caller: Caller) -> None:
    """While the key that signed a token can sign, a repeat gives that token, whatever keys stand beside it."""
    first = vendor_of(caller).vend("ada", idempotency_key="k")

    for keys in (
        SigningKeys([HS256, OTHER.verify_only()]),
        SigningKeys([ED25519.verify_only(), HS256, OTHER.verify_only()]),
    ):
        assert vendor_of(caller, keys=keys).vend("ada", idempotency_key="k") == repeated(first)


@pytest.mark.parametrize(
    "keys",
    [OTHER, ED25519, SigningKeys([OTHER, HS256.verify_only()]), SigningKeys([ED25519, HS256.verify_only()])],
    ids=["gone", "gone, another algorithm", "verifies only", "verifies only, another algorithm"],
)
def test_a_token_whose_key_cannot_sign_any_more_is_unavailable(
    ledger: Ledger, caller: Caller, keys: SigningKeys
) -> None:
    """Without the key of the first time a repeat is refused, names token and key, and charges nothing."""
    first = vendor_of(caller).vend("ada", idempotency_key="k")
    caller.settle()
    before = everything(caller.engine)
    rotated = vendor_of(caller, keys=keys)

    with pytest.raises(TokenUnavailable) as refused:
        rotated.vend("ada", idempotency_key="k")

    assert (refused.value.token_id, refused.value.key_id) == (first.token_id, KID)
    assert first.token not in repr(refused.value.facts)
    # The refusal leaves the host's transaction usable, and a new intent gets a token of the new key.
    assert rotated.vend("ada", idempotency_key="another").receipt.available_after == 8
    caller.settle()
    after = everything(caller.engine)
    assert len(after["pluct_token"]) == len(before["pluct_token"]) + 1
    assert vendor_of(caller).vend("ada", idempotency_key="k") == repeated(first)


def test_a_token_outlives_the_rotation_of_its_key(ledger: Ledger, caller: Caller) -> None:
    """What an old key signed is valid as long as that key verifies, and unknown once it is gone."""
    old = vendor_of(caller).vend("ada")

    assert vendor_of(caller, keys=SigningKeys([ED25519, HS256.verify_only()])).validate(old.token).valid
    assert vendor_of(caller, keys=ED25519).validate(old.token).code is TokenCode.UNKNOWN_KEY


# One key, one intent.

MISMATCHES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"cost": 2}, "amount"),
    ({"cost": 2}, {}, "amount"),
    ({}, {"cost": 2, "ttl": timedelta(seconds=9), "scope": ("a",)}, "amount"),
    ({}, {"kind": "token", "cost": 2}, "kind"),
    ({}, {"scope": ("a",)}, "scope"),
    ({"scope": ("a",)}, {}, "scope"),
    ({"scope": ("a", "b")}, {"scope": ("a",)}, "scope"),
    ({"scope": ("a", "b")}, {"scope": ("b", "a")}, "scope"),
    ({"scope": ("a",)}, {"scope": ("A",)}, "scope"),
    ({"scope": ("a",)}, {"scope": ("b",), "ttl": timedelta(seconds=9)}, "scope"),
    ({}, {"ttl": timedelta(seconds=9)}, "ttl"),
    ({"ttl": timedelta(seconds=9)}, {}, "ttl"),
    ({"ttl": timedelta(seconds=9)}, {"ttl": timedelta(seconds=10)}, "ttl"),
    # A time to live that is said is asked for, though it is the vendor's own.
    ({}, {"ttl": timedelta(seconds=60)}, "ttl"),
]


def test_a_key_stands_for_one_vending(
    vendor: TokenVendor, ledger: Ledger, caller: Caller, subtests: pytest.Subtests
) -> None:
    """Another cost, time to live, scope or kind under a known key is refused, names the field, and changes nothing."""
    ledger.grant("ada", 100)
    for number, (asked, then, field) in enumerate(MISMATCHES):
        with subtests.test(asked=asked, then=then):
            vendor.vend("ada", idempotency_key=f"k{number}", **asked)
            caller.settle()
            before = everything(caller.engine)

            with pytest.raises(IdempotencyMismatch) as refused:
                vendor.vend("ada", idempotency_key=f"k{number}", **then)

            assert (refused.value.owner, refused.value.field) == ("ada", field)
            caller.settle()
            assert everything(caller.engine) == before


def test_what_is_said_in_other_words_is_the_same(vendor: TokenVendor) -> None:
    """A list is a scope like a tuple, the vendor's own cost is its cost, and the kind of a spend is "spend"."""
    first = vendor.vend("ada", scope=("a", "b"), idempotency_key="k")

    assert vendor.vend("ada", cost=1, scope=["a", "b"], kind="spend", idempotency_key="k") == repeated(first)


OTHER_USES: dict[str, tuple[Use, str]] = {
    "spend": (lambda ledger, key: ledger.spend("ada", 1, idempotency_key=key), "vend"),
    "spend up to": (lambda ledger, key: ledger.spend("ada", 1, up_to=True, idempotency_key=key), "up_to"),
    "grant": (lambda ledger, key: ledger.grant("ada", 1, idempotency_key=key), "operation"),
    "adjust": (lambda ledger, key: ledger.adjust("ada", -1, reason="x", idempotency_key=key), "operation"),
    "transfer": (lambda ledger, key: ledger.transfer("ada", "bob", 1, idempotency_key=key), "operation"),
}


@pytest.mark.parametrize(("use", "field"), OTHER_USES.values(), ids=OTHER_USES)
def test_ledger_and_vendor_share_one_space_of_keys(
    vendor: TokenVendor, ledger: Ledger, caller: Caller, use: Use, field: str
) -> None:
    """A key that paid for a token moves no other credit, and a key that moved credit vends no token."""
    vendor.vend("ada", idempotency_key="vended")
    use(ledger, "used")
    caller.settle()
    before = everything(caller.engine)

    with pytest.raises(IdempotencyMismatch) as refused_to_use:
        use(ledger, "vended")
    with pytest.raises(IdempotencyMismatch) as refused_to_vend:
        vendor.vend("ada", idempotency_key="used")

    for refused in (refused_to_use.value, refused_to_vend.value):
        assert (refused.owner, refused.field) == ("ada", field)
    caller.settle()
    assert everything(caller.engine) == before


def test_a_key_belongs_to_one_account(vendor: TokenVendor, ledger: Ledger, caller: Caller) -> None:
    """The same key of another owner, book or asset vends a token of its own, and a repeat gives each its own."""
    vendings = [(vendor, "ada"), (vendor, "bob")]
    for other in (caller.ledger(book="shop"), caller.ledger(asset="seat")):
        other.grant("ada", 1)
        vendings.append((joined(TokenVendor(other, keys=HS256), caller), "ada"))

    tokens = [seller.vend(owner, idempotency_key="k") for seller, owner in vendings]

    assert len({vended.token for vended in tokens}) == len({vended.token_id for vended in tokens}) == 4
    assert not any(vended.receipt.replayed for vended in tokens)
    assert [vended.owner for vended in tokens] == ["ada", "bob", "ada", "ada"]
    for (seller, owner), vended in zip(vendings, tokens, strict=True):
        assert seller.vend(owner, idempotency_key="k") == repeated(vended)


def test_a_token_that_was_vended_meanwhile_is_the_one(
    ledger: Ledger, caller: Caller, committed: Ledger
) -> None:
    """A host whose transaction began before another vended under its key gets that token or is told to retry."""
    caller.settle()
    caller.ledger().balance("ada")  # where the host's transaction has a snapshot, it is from here
    if not caller.own and caller.engine.dialect.name == "sqlite":
        caller.settle()  # there the host's open transaction would keep the other's waiting

    first = TokenVendor(committed, keys=HS256).vend("ada", idempotency_key="k")
    try:
        again = vendor_of(caller).vend("ada", idempotency_key="k")
    except Contended:
        assert not caller.own
        give_up(caller)
        again = vendor_of(caller).vend("ada", idempotency_key="k")

    assert again == repeated(first)
    caller.settle()
    assert committed.account("ada").spent == 1
