"""Vending: what a token costs, what it says, and what is written for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pluct_ledger import Ledger, Receipt, SigningKeys, TokenVendor, VendedToken
from pluct_ledger.storage.unit_of_work import watch_statements
from tests.clock import FrozenClock
from tests.contract.callers import TABLES, Caller
from tests.contract.vending import (
    ED25519,
    HS256,
    VENDED,
    added,
    claims_in,
    everything,
    header_of,
    instant,
    joined,
    vendor_of,
)
from tests.unit.token_forge import ED_KID, KID, PRIVATE_PEM, SECRET

ISSUED = 1_893_456_000  # the beginning of 2030, where the clock stands
LONGEST = timedelta(days=3653)


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada has 10 and bob has 5."""
    ledger.grant("ada", 10)
    ledger.grant("bob", 5)
    return ledger


@pytest.fixture
def vendor(ledger: Ledger, caller: Caller) -> TokenVendor:
    """A vendor as it is made without a word more than is needed."""
    return vendor_of(caller)


@pytest.mark.parametrize(
    ("keys", "header"),
    [
        (HS256, {"alg": "HS256", "kid": KID, "typ": "JWT"}),
        (ED25519, {"alg": "EdDSA", "kid": ED_KID, "typ": "JWT"}),
    ],
    ids=["HS256", "EdDSA"],
)
def test_a_token_takes_its_cost_and_leaves_one_entry_and_one_row(
    ledger: Ledger, caller: Caller, clock: FrozenClock, keys: SigningKeys, header: dict[str, str]
) -> None:
    """A vending writes the entry that pays, the token's row and the account's new numbers, and nothing else."""
    vendor = vendor_of(caller, keys=keys)
    caller.settle()
    before = everything(caller.engine)

    vended = vendor.vend("ada", idempotency_key="k")
    caller.settle()

    claims = {
        "iss": "pluct",
        "sub": "ada",
        "book": "default",
        "iat": ISSUED,
        "nbf": ISSUED,
        "exp": ISSUED + 60,
        "jti": vended.token_id,
        "scope": "",
        "cost": 1,
    }
    assert header_of(vended.token) == header
    assert claims_in(vended.token) == claims
    assert vended == VendedToken(
        token=vended.token,
        token_id=vended.receipt.entry_id,
        owner="ada",
        issued_at=clock(),
        expires_at=clock() + timedelta(seconds=60),
        receipt=_receipt(ledger, "ada", seq=2, amount=-1, posted_after=9, at=clock()),
    )
    after = everything(caller.engine)
    new = added(before, after)
    assert {table: len(rows) for table, rows in new.items()} == dict.fromkeys(VENDED, 1)
    assert {table: len(after[table]) - len(before[table]) for table in VENDED} == {
        "pluct_account": 0,
        "pluct_entry": 1,
        "pluct_token": 1,
    }
    (row,) = new["pluct_token"]
    assert (row["seq"], row["key_id"], row["expires_at"]) == (2, header["kid"], (ISSUED + 60) * 1_000_000)
    entry = ledger.entry(vended.token_id)
    assert (entry.amount, entry.counter, entry.kind, entry.idempotency_key) == (-1, "spent", "spend", "k")
    assert entry.terms == {"vend": True}
    assert vendor.validate(vended.token).valid


def _receipt(
    ledger: Ledger, owner: str, *, seq: int, amount: int, posted_after: int, at: datetime
) -> Receipt:
    account_id = ledger.account_id(owner)
    return Receipt(
        entry_id=f"{account_id}.{seq}",
        account_id=account_id,
        seq=seq,
        book="default",
        asset="credit",
        owner=owner,
        operation="spend",
        kind="spend",
        amount=amount,
        posted_after=posted_after,
        held_after=0,
        available_after=posted_after,
        at=at,
        replayed=False,
    )


@pytest.fixture
def ends(engine: Engine) -> Iterator[Counter[str]]:
    """Counts how transactions of `engine` begin and end; a test may clear it."""
    counted: Counter[str] = Counter()
    names = ("begin", "commit", "rollback", "savepoint", "release_savepoint", "rollback_savepoint")

    def counting(name: str) -> Any:
        return lambda *_: counted.update([name])

    listeners = [(name, counting(name)) for name in names]
    for name, listener in listeners:
        event.listen(engine, name, listener)
    yield counted
    for name, listener in listeners:
        event.remove(engine, name, listener)


def test_a_vending_is_one_transaction(vendor: TokenVendor, caller: Caller, ends: Counter[str]) -> None:
    """In a transaction of its own a vending begins and commits once; in the host's it neither begins nor ends any."""
    vendor.vend("ada")  # the host's transaction is open from here on
    ends.clear()
    vendor.vend("ada")

    assert ends == (Counter(begin=1, commit=1) if caller.own else Counter())


def test_a_vending_writes_three_rows_in_three_statements(vendor: TokenVendor) -> None:
    """The account's row, the entry and the token's row are each written by one statement, in this order."""
    writes: list[str] = []

    def note(_connection: object, statement: object) -> None:
        words = str(statement).replace("INSERT INTO", "INSERT").split()
        if words[0] in {"INSERT", "UPDATE", "DELETE"}:
            writes.append(" ".join(words[:2]))

    with watch_statements(note):
        vendor.vend("ada", idempotency_key="k")

    assert writes[-3:] == ["UPDATE pluct_account", "INSERT pluct_entry", "INSERT pluct_token"]
    # SQLite takes its write lock by an update that changes nothing.
    assert set(writes[:-3]) <= {"UPDATE pluct_account"}


def test_a_vendor_has_its_own_terms(ledger: Ledger, caller: Caller, clock: FrozenClock) -> None:
    """Issuer, audience, cost and time to live are the vendor's unless a vending says otherwise."""
    vendor = vendor_of(caller, issuer="shop", audience="api", ttl=timedelta(minutes=5), cost=2)

    one = vendor.vend("ada")
    assert one.receipt.amount == -2
    assert one.expires_at - one.issued_at == timedelta(minutes=5)
    said = claims_in(one.token)
    assert (said["iss"], said["aud"], said["cost"], said["exp"] - said["iat"]) == ("shop", "api", 2, 300)

    another = vendor.vend("ada", cost=7, ttl=timedelta(seconds=1), scope=["render:hd", "read"])
    assert another.receipt.amount == -7
    assert another.expires_at == clock() + timedelta(seconds=1)
    said = claims_in(another.token)
    assert (said["cost"], said["exp"] - said["iat"], said["scope"]) == (7, 1, "render:hd read")
    assert ledger.entry(another.token_id).terms == {"vend": True, "ttl": 1, "scope": "render:hd read"}
    assert vendor.validate(another.token, scope=("read",)).scope == ("render:hd", "read")
    assert ledger.balance("ada").posted == 1


def test_a_vending_is_remarked_upon_like_any_write(vendor: TokenVendor, ledger: Ledger) -> None:
    """Kind, reason, actor, metadata and the world's time stand in the entry that pays, and not in the token."""
    event_at = datetime(2029, 12, 31, tzinfo=UTC)
    vended = vendor.vend(
        "ada",
        kind="api_token",
        reason="a request",
        actor="gateway",
        metadata={"path": "/render"},
        event_at=event_at,
    )

    entry = ledger.entry(vended.token_id)
    assert (entry.kind, entry.operation) == ("api_token", "spend")
    assert (entry.reason, entry.actor, entry.metadata) == ("a request", "gateway", {"path": "/render"})
    assert entry.event_at == event_at
    assert claims_in(vended.token).keys() == {
        *("iss", "sub", "book", "iat", "nbf", "exp", "jti", "scope", "cost")
    }


def test_each_token_is_another(vendor: TokenVendor, ledger: Ledger) -> None:
    """Without a key every call vends and charges anew, to the last credit and in the same second."""
    tokens = [vendor.vend("ada") for _ in range(10)]

    assert len({vended.token for vended in tokens}) == 10
    assert [vended.receipt.seq for vended in tokens] == list(range(2, 12))
    assert [vended.receipt.available_after for vended in tokens] == list(range(9, -1, -1))
    assert not any(vended.receipt.replayed for vended in tokens)
    assert ledger.account("ada").spent == 10


def test_an_overdraft_pays_for_tokens(vendor: TokenVendor, ledger: Ledger) -> None:
    """A token may be paid for out of an overdraft, as any spend."""
    ledger.open_account("eve", overdraft_limit=3)

    assert vendor.vend("eve", cost=3).receipt.available_after == -3


def test_what_fell_due_is_recorded_before_the_token_is_paid(
    vendor: TokenVendor, ledger: Ledger, clock: FrozenClock
) -> None:
    """Credit that expired meanwhile pays for no token, and the token is named after the entry that paid."""
    ledger.grant("ada", 3, expires_at=clock() + timedelta(seconds=10))
    assert vendor.vend("ada", idempotency_key="k1").receipt.available_after == 12
    clock.advance(timedelta(seconds=10))

    vended = vendor.vend("ada", cost=10, idempotency_key="k2")

    spend, expiry, *_ = ledger.entries("ada")
    assert (spend.operation, expiry.operation) == ("spend", "expire")
    assert vended.token_id == spend.entry_id == claims_in(vended.token)["jti"]
    assert vended.receipt.available_after == 0
    assert vendor.vend("ada", cost=10, idempotency_key="k2").token == vended.token


def test_a_token_knows_its_book_and_is_paid_in_its_asset(ledger: Ledger, caller: Caller) -> None:
    """A vendor sells for the book and asset of its ledger, and charges no other account of the same owner."""
    seats = caller.ledger(book="shop", asset="seat")
    seats.grant("ada", 4)
    vendor = joined(TokenVendor(seats, keys=HS256, cost=3), caller)

    vended = vendor.vend("ada")

    assert claims_in(vended.token)["book"] == "shop"
    assert (vended.receipt.book, vended.receipt.asset) == ("shop", "seat")
    assert vended.token_id == f"{seats.account_id('ada')}.2"
    assert seats.balance("ada").posted == 1
    assert ledger.balance("ada").posted == 10


@pytest.mark.parametrize(
    "owner", ["Zoë 🦉", ' "\\/', "'; --", "a" * 255, "\x01\x1f\x7f", "é", "e\u0301", "\u2028", "Ω" * 127]
)
def test_an_owner_is_named_as_the_host_names_it(ledger: Ledger, caller: Caller, owner: str) -> None:
    """A token says its owner to the byte, whatever characters the name is of."""
    ledger.grant(owner, 1)
    vendor = vendor_of(caller)

    vended = vendor.vend(owner, idempotency_key="k")

    assert vended.owner == claims_in(vended.token)["sub"] == owner
    assert vendor.validate(vended.token).owner == owner
    assert vendor.vend(owner, idempotency_key="k").token == vended.token


@pytest.mark.parametrize(
    "keys",
    [SigningKeys.hs256(SECRET, kid="k" * 64), SigningKeys.ed25519(PRIVATE_PEM, kid="k" * 64)],
    ids=["HS256", "EdDSA"],
)
def test_the_longest_token_is_vended_stored_and_valid(caller: Caller, keys: SigningKeys) -> None:
    """Where every name is of the greatest length, and of characters that JSON writes with six, a token is good."""
    worst, book = "\x01" * 255, "\x01" * 64
    most = 2**53 - 1
    ledger = caller.ledger(book=book)
    ledger.grant(worst, most)
    vendor = joined(
        TokenVendor(
            Ledger(caller.engine, clock=caller.clock, book=book),
            keys=keys,
            issuer=worst,
            audience=worst,
            ttl=LONGEST,
            cost=most,
        ),
        caller,
    )

    vended = vendor.vend(worst, scope=("s" * 512,), idempotency_key=worst)

    assert 7_000 < len(vended.token) <= 8192
    assert vendor.validate(vended.token, scope=("s" * 512,)).valid
    assert vendor.vend(worst, scope=("s" * 512,), idempotency_key=worst).token == vended.token


def test_a_token_lives_from_the_moment_it_is_signed(
    vendor: TokenVendor, caller: Caller, clock: FrozenClock
) -> None:
    """However long a vending waits for the account, a token lives its whole time from when it is handed out."""
    asked_at = clock()

    def wait(_connection: object, statement: object) -> None:
        if clock() == asked_at and "FROM pluct_account" in str(statement):
            clock.advance(timedelta(seconds=45))

    with watch_statements(wait):
        vended = vendor.vend("ada", idempotency_key="k")

    assert vended.issued_at == clock() == asked_at + timedelta(seconds=45)
    assert vended.expires_at == clock() + timedelta(seconds=60)
    assert vendor.vend("ada", idempotency_key="k").token == vended.token


def test_a_clock_that_lags_behind_the_log_still_dates_the_token(
    vendor: TokenVendor, clock: FrozenClock
) -> None:
    """A token begins when its vendor's clock says, though the entry that pays is dated as late as the one before it."""
    last = clock()
    clock.advance(-timedelta(minutes=5))

    vended = vendor.vend("ada")

    assert vended.receipt.at == last
    assert vended.issued_at == clock() == instant(ISSUED - 300)
    assert vendor.validate(vended.token).valid


def test_hooks_are_told_of_a_vending_that_was_committed(caller: Caller) -> None:
    """After a commit of our own the hooks are told the receipt that paid, and never of a repeat or a borrowed write."""
    told: list[tuple[Receipt, ...]] = []
    caller.ledger().grant("ada", 10)
    vendor = joined(
        TokenVendor(Ledger(caller.engine, clock=caller.clock, hooks=[told.append]), keys=HS256), caller
    )

    vended = vendor.vend("ada", idempotency_key="k")
    vendor.vend("ada", idempotency_key="k")
    caller.settle()

    assert told == ([(vended.receipt,)] if caller.own else [])


def test_using_leaves_the_vendor_itself_alone(engine: Engine, clock: FrozenClock) -> None:
    """A vendor lent to a host's transaction sells on the same terms there, and goes on selling in its own."""
    ledger = Ledger(engine, clock=clock)
    ledger.grant("ada", 10)
    vendor = TokenVendor(ledger, keys=HS256, issuer="shop", audience="api", cost=2, ttl=timedelta(seconds=9))

    with engine.connect() as host:
        lent = vendor.using(host).vend("ada")
        host.rollback()
    own = vendor.vend("ada")

    assert lent.token == own.token  # the first was never paid for, so that its number was free
    assert claims_in(lent.token) == claims_in(own.token)
    assert ledger.balance("ada").posted == 8


def test_a_key_set_publishes_what_verifies(caller: Caller) -> None:
    """The key set of a vendor has each public key that it verifies with, and no secret."""
    keys = SigningKeys([HS256, ED25519.verify_only()])

    published = vendor_of(caller, keys=keys).jwks()["keys"]

    assert [(key["kid"], key["kty"], key["alg"]) for key in published] == [(ED_KID, "OKP", "EdDSA")]
    assert not any("k" in key or "d" in key for key in published)
    assert vendor_of(caller).jwks() == {"keys": []}


def test_the_row_of_a_token_holds_its_claims(vendor: TokenVendor, caller: Caller) -> None:
    """What is stored of a token is what it claims, in one canonical text, and the name of the key that signed it."""
    vended = vendor.vend("ada", scope=("b", "a"))
    caller.settle()

    with caller.engine.connect() as connection:
        (row,) = connection.execute(TABLES.token.select())
    assert row.account_id.hex() == vended.receipt.account_id
    assert (row.seq, row.key_id) == (vended.receipt.seq, KID)
    assert row.claims == (
        f'{{"book":"default","cost":1,"exp":{ISSUED + 60},"iat":{ISSUED},"iss":"pluct",'
        f'"jti":"{vended.token_id}","nbf":{ISSUED},"scope":"b a","sub":"ada"}}'
    )
