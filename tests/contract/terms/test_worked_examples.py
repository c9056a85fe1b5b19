"""The worked examples of the design, row for row: what each command writes, on which grants, and when.

G1 is 5 expiring at t10, G2 is 10 that never expire, and the pool is 0.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pluct_ledger import Entry, Hold, Ledger
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.terms.told import G1, G2, SECOND, later, line, log, shares_of, t, two_grants


def counters(ledger: Ledger, owner: str = "ada") -> list[str]:
    """Return the other sides of an owner's entries, oldest first."""
    return [entry.counter for entry in ledger.entries(owner)][::-1]


def entry_at(ledger: Ledger, seq: int, owner: str = "ada") -> Entry:
    """Return the entry of an owner's log with a number."""
    return ledger.entry(f"{ledger.account_id(owner)}.{seq}")


def micros(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return round(instant.timestamp() * 1_000_000)


@pytest.fixture
def held(ledger: Ledger) -> Hold:
    """Of G1 and G2, 8 set aside for 12 seconds."""
    two_grants(ledger)
    return ledger.authorize("ada", 8, ttl=12 * SECOND)


AUTHORIZED = ("authorize", 0, 0, 8, {G1: (0, 5), G2: (0, 3)})


def test_a_grant_effective_later_is_an_entry_of_nothing_and_then_an_activation(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """100 effective at t5, granted at t1: an entry of 0 with its terms, and at t5 a keyless activation of 100."""
    later(clock, 1)
    receipt = ledger.grant("ada", 100, effective_at=t(5), idempotency_key="k")

    assert (receipt.amount, receipt.posted_after, receipt.shares) == (0, 0, ())
    assert log(ledger, "ada") == [("grant", 1, 0, 0, {})]
    assert ledger.entry(receipt.entry_id).terms == {"amount": 100, "effective_at": micros(t(5))}

    later(clock, 7)
    ledger.spend("ada", 30)

    assert log(ledger, "ada") == [
        ("grant", 1, 0, 0, {}),
        ("activate", 5, 100, 0, {G1: (100, 0)}),
        ("spend", 7, -30, 0, {G1: (-30, 0)}),
    ]
    assert counters(ledger) == ["issued", "issued", "spent"]
    activated = entry_at(ledger, 2)
    assert (activated.idempotency_key, activated.concerns_entry_id) == (None, receipt.entry_id)
    assert ledger.find("ada", "k") == ledger.entry(receipt.entry_id)


def test_a_hold_sets_aside_grant_by_grant(ledger: Ledger, held: Hold) -> None:
    """Authorizing 8 sets 5 of G1 and 3 of G2 aside, and posts nothing."""
    assert log(ledger, "ada", after=2) == [AUTHORIZED]
    assert counters(ledger)[2] == "none"
    assert held.receipt is not None
    assert (held.receipt.amount, held.receipt.held_after, held.receipt.available_after) == (0, 8, 7)
    assert shares_of(held.receipt.shares) == {G1: (0, 5), G2: (0, 3)}
    assert entry_at(ledger, 3).terms == {"ttl": 12_000_000}


def test_a_final_capture_frees_the_rest_which_expires_where_its_grant_is_over(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """At t12 a final capture of 3 uses the credit of G1 that was reserved, and the 2 left of it expire at once."""
    two_grants(ledger)
    hold = ledger.authorize("ada", 8, ttl=20 * SECOND)
    later(clock, 12)

    receipt = ledger.capture(hold.hold_id, 3)

    assert log(ledger, "ada", after=2) == [
        AUTHORIZED,
        ("capture", 12, -3, -8, {G1: (-3, -5), G2: (0, -3)}),
        ("expire", 12, -2, 0, {G1: (-2, 0)}),
    ]
    assert counters(ledger)[2:] == ["none", "spent", "expired"]
    assert shares_of(receipt.shares) == {G1: (-3, -5), G2: (0, -3)}
    assert (receipt.posted_after, receipt.held_after) == (12, 0)
    assert entry_at(ledger, 4).concerns_entry_id == hold.hold_id
    assert entry_at(ledger, 5).idempotency_key is None
    assert ledger.balance("ada").posted == 10


@pytest.mark.parametrize("seconds", [12, 13, 1000])
def test_a_hold_that_lapses_gives_back_and_then_expires(
    ledger: Ledger, caller: Caller, held: Hold, seconds: int
) -> None:
    """The hold lapses at t12, whenever that is noticed: a void of 8, and the 5 of G1 expire with it."""
    later(caller.clock, seconds)
    lapsed = [
        AUTHORIZED,
        ("void", 12, 0, -8, {G1: (0, -5), G2: (0, -3)}),
        ("expire", 12, -5, 0, {G1: (-5, 0)}),
    ]
    assert log(ledger, "ada", after=2) == lapsed

    ledger.spend("ada", 1)

    assert log(ledger, "ada", after=2) == [*lapsed, ("spend", seconds, -1, 0, {G2: (-1, 0)})]
    assert counters(ledger)[2:] == ["none", "none", "expired", "spent"]
    assert entry_at(ledger, 4).concerns_entry_id == held.hold_id
    assert [entry_at(ledger, seq).idempotency_key for seq in (4, 5)] == [None, None]


@pytest.mark.parametrize("captured_at", [3, 11])
def test_a_reversal_gives_back_last_used_first_and_what_is_over_expires(
    ledger: Ledger, clock: FrozenClock, held: Hold, captured_at: int
) -> None:
    """Of a capture of 6, 2 are reversed later: 1 to G2, 1 to G1, which is over, so that it expires."""
    later(clock, captured_at)
    captured = ledger.capture(held.hold_id, 6)
    later(clock, 14)

    receipt = ledger.reverse(captured.entry_id, 2)

    assert log(ledger, "ada", after=2) == [
        AUTHORIZED,
        ("capture", captured_at, -6, -8, {G1: (-5, -5), G2: (-1, -3)}),
        ("reverse", 14, 2, 0, {G2: (1, 0), G1: (1, 0)}),
        ("expire", 14, -1, 0, {G1: (-1, 0)}),
    ]
    assert counters(ledger)[2:] == ["none", "spent", "spent", "expired"]
    assert shares_of(receipt.shares) == {G2: (1, 0), G1: (1, 0)}
    assert ledger.entry(receipt.entry_id).concerns_entry_id == captured.entry_id
    assert ledger.balance("ada").posted == 10


def test_a_grant_into_debt_repays_first(ledger: Ledger) -> None:
    """The pool stands at -10 and 30 come on terms: its entry posts 30, and 20 of them are the grant's."""
    ledger.open_account("ada", overdraft_limit=10)
    ledger.spend("ada", 10)

    receipt = ledger.grant("ada", 30, expires_at=t(10))

    assert log(ledger, "ada", after=2) == [("grant", 0, 30, 0, {(3, 0): (20, 0)})]
    assert shares_of(receipt.shares) == {(3, 0): (20, 0)}
    (grant,) = ledger.grants("ada")
    assert (grant.amount, grant.posted, ledger.balance("ada").posted) == (30, 20, 20)


def of_g1_and_the_pool(ledger: Ledger) -> None:
    """Give ada G1, which is 5, and 4 in the pool."""
    ledger.grant("ada", 5, expires_at=t(10))
    ledger.grant("ada", 4)


def test_a_spend_of_a_grant_and_the_pool_has_a_share_of_the_grant_alone(ledger: Ledger) -> None:
    """Of 7 spent from G1 5 and pool 4, the share says that 5 fell on G1; what is left is the pool's."""
    of_g1_and_the_pool(ledger)

    receipt = ledger.spend("ada", 7)

    assert log(ledger, "ada", after=2) == [("spend", 0, -7, 0, {G1: (-5, 0)})]
    assert shares_of(receipt.shares) == {G1: (-5, 0)}
    assert ledger.entry(receipt.entry_id).terms == {}
    assert ledger.grants("ada") == ()


def test_a_transfer_carries_the_terms_along(ledger: Ledger, clock: FrozenClock) -> None:
    """7 of G1 5 and pool 4 arrive as a part of 5 on the terms of G1, and 2 in the pool."""
    of_g1_and_the_pool(ledger)
    ledger.open_account("bob")
    later(clock, 2)

    receipt = ledger.transfer("ada", "bob", 7)

    assert log(ledger, "ada", after=2) == [("transfer", 2, -7, 0, {G1: (-5, 0)})]
    assert log(ledger, "bob") == [("transfer", 2, 7, 0, {(1, 0): (5, 0)})]
    assert receipt.counterpart_entry_id is not None
    arrived = ledger.entry(receipt.counterpart_entry_id)
    assert arrived.terms == {"parts": [{"amount": 5, "expires_at": micros(t(10)), "from": [1, 0]}]}
    assert (arrived.counter, counters(ledger)[-1]) == ("account", "account")
    assert arrived.counterpart_entry_id == receipt.entry_id
    assert arrived.idempotency_key is None
    (part,) = ledger.grants("bob")
    assert (part.amount, part.posted, part.expires_at, part.part) == (5, 5, t(10), 0)

    later(clock, 10)

    assert line(ledger.entries("bob").items[0]) == ("expire", 10, -5, 0, {(1, 0): (-5, 0)})
    assert (ledger.balance("ada").posted, ledger.balance("bob").posted) == (2, 2)


def test_dues_of_one_instant_are_recorded_lapses_first_then_expiries_then_activations(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """What falls due at one instant is recorded hold lapses, expiries, activations, and by seq within each."""
    ledger.grant("ada", 4, effective_at=t(5))
    ledger.grant("ada", 6, expires_at=t(5))
    ledger.grant("ada", 7, expires_at=timedelta(seconds=5))
    ledger.grant("ada", 2)
    ledger.authorize("ada", 8, ttl=5 * SECOND)
    ledger.authorize("ada", 1, ttl=5 * SECOND)
    later(clock, 9)

    ledger.spend("ada", 1)

    # A lapse sets free what belongs to grants that are over, which expires in the next entry.
    assert [(name, at, amount, held) for name, at, amount, held, _ in log(ledger, "ada", after=6)] == [
        ("void", 5, 0, -8),
        ("expire", 5, -12, 0),
        ("void", 5, 0, -1),
        ("expire", 5, -1, 0),
        ("activate", 5, 4, 0),
        ("spend", 9, -1, 0),
    ]
