"""Explanations: why an entry and a balance are what they are, as values and as text."""

from __future__ import annotations

import pytest

from pluct_ledger import AccountNotFound, EntryNotFound, Explanation, InvalidArgument, Ledger
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.terms.told import SECOND, later, t


def by_grant(explanation: Explanation) -> dict[str | None, tuple[int, int]]:
    """Return an explanation's sources by their grants' labels, None for the pool."""
    return {
        None if source.grant is None else source.grant.label: (source.amount, source.hold_amount)
        for source in explanation.sources
    }


def three_sources(ledger: Ledger) -> None:
    """Give ada 2 of the spring, 3 of the summer, and 10 in the pool."""
    ledger.grant("ada", 2, expires_at=t(10), label="spring", granted_by="ops")
    ledger.grant("ada", 3, expires_at=t(20), label="summer", priority=0)
    ledger.grant("ada", 10)


def test_a_spend_is_explained_by_the_grants_that_paid(ledger: Ledger) -> None:
    """Which grants paid how much, and the pool what is left, with what has come of these grants since."""
    three_sources(ledger)
    spent = ledger.spend("ada", 6, reason="a picture", actor="worker-7", idempotency_key="job-1")

    told = ledger.explain(spent.entry_id)

    assert told.entry == ledger.entry(spent.entry_id)
    assert by_grant(told) == {"spring": (-2, 0), "summer": (-3, 0), None: (-1, 0)}
    assert (told.hold, told.concerns, told.counterpart, told.reversals) == (None, None, None, ())
    (spring, *_) = [source.grant for source in told.sources if source.grant is not None]
    assert (spring.granted_by, spring.posted, spring.amount, spring.expires_at) == ("ops", 0, 2, t(10))
    for said in (
        spent.entry_id,
        "'ada'",
        "spring",
        "summer",
        "'ops'",
        "pool",
        "a picture",
        "worker-7",
        "job-1",
    ):
        assert said in told.text
    assert "2030-01-01 00:00:10Z" in told.text
    assert "None" not in told.text


def test_a_capture_is_explained_by_its_hold_and_its_reversals(ledger: Ledger, clock: FrozenClock) -> None:
    """Which hold it captured, what that came to, and what reversed it since, oldest first."""
    three_sources(ledger)
    hold = ledger.authorize("ada", 6, ttl=9 * SECOND)
    captured = ledger.capture(hold.hold_id, 4)
    first = ledger.reverse(captured.entry_id, 1)
    later(clock, 1)
    second = ledger.reverse(captured.entry_id, 2)

    told = ledger.explain(captured.entry_id)

    assert by_grant(told) == {"spring": (-2, -2), "summer": (-2, -3), None: (0, -1)}
    assert told.hold is not None
    assert (told.hold.hold_id, told.hold.amount, told.hold.held) == (hold.hold_id, 6, 0)
    assert told.hold.status == "captured"
    assert told.concerns == ledger.entry(hold.hold_id)
    assert [entry.entry_id for entry in told.reversals] == [first.entry_id, second.entry_id]
    assert all(each.entry_id in told.text for each in (first, second))
    assert hold.hold_id in told.text
    authorization = ledger.explain(hold.hold_id)
    assert authorization.hold == told.hold
    assert by_grant(authorization) == {"spring": (0, 2), "summer": (0, 3), None: (0, 1)}


def test_a_reversal_is_explained_by_what_it_reversed(ledger: Ledger) -> None:
    """What was reversed, and to which grants it went back."""
    three_sources(ledger)
    spent = ledger.spend("ada", 6)
    reversed_ = ledger.reverse(spent.entry_id, 2)

    told = ledger.explain(reversed_.entry_id)

    assert told.concerns == ledger.entry(spent.entry_id)
    assert by_grant(told) == {None: (1, 0), "summer": (1, 0)}
    assert spent.entry_id in told.text


def test_a_transfer_is_explained_by_its_other_entry(ledger: Ledger) -> None:
    """Both sides of a transfer name each other, and the parts on which credit arrived."""
    three_sources(ledger)
    ledger.open_account("bob")
    paid = ledger.transfer("ada", "bob", 4)
    assert paid.counterpart_entry_id is not None

    source, target = ledger.explain(paid.entry_id), ledger.explain(paid.counterpart_entry_id)

    assert (source.counterpart, target.counterpart) == (target.entry, source.entry)
    assert "'bob'" in source.text
    assert "'ada'" in target.text
    parts = [one.grant for one in target.sources if one.grant is not None]
    assert [(one.part, one.amount, one.expires_at) for one in parts] == [(0, 2, t(10)), (1, 2, t(20))]
    assert paid.counterpart_entry_id in source.text


def test_what_time_alone_did_is_explained_before_it_is_recorded(ledger: Ledger, caller: Caller) -> None:
    """An expiry that fell due is explained by its grant, whether it is recorded or not."""
    three_sources(ledger)
    later(caller.clock, 15)
    before = caller.rows()

    told = ledger.explain(f"{ledger.account_id('ada')}.4")

    assert (told.entry.operation, told.entry.at) == ("expire", t(10))
    assert by_grant(told) == {"spring": (-2, 0)}
    assert told.concerns == ledger.entry(f"{ledger.account_id('ada')}.1")
    assert caller.rows() == before
    ledger.spend("ada", 1)
    assert ledger.explain(told.entry.entry_id) == told


def test_only_an_entry_of_this_book_and_asset_is_explained(ledger: Ledger) -> None:
    """An id that is of no entry here is not found, and one that is none is an invalid argument."""
    other = ledger.for_book("shop").grant("ada", 1)
    ledger.grant("ada", 1)
    for entry_id in (other.entry_id, f"{ledger.account_id('ada')}.2", f"{ledger.account_id('nobody')}.1"):
        with pytest.raises(EntryNotFound) as refused:
            ledger.explain(entry_id)
        assert refused.value.entry_id == entry_id
    with pytest.raises(InvalidArgument):
        ledger.explain("1")


def test_a_balance_is_explained_by_what_it_came_from(ledger: Ledger, clock: FrozenClock) -> None:
    """Posted by where it came from, the open grants in the order of use, the holds, and the last changes."""
    three_sources(ledger)
    ledger.spend("ada", 1, kind="picture", reason="a cat")
    hold = ledger.authorize("ada", 2, ttl=30 * SECOND)
    later(clock, 1)
    ledger.set_overdraft_limit("ada", 7)
    ledger.freeze("ada")

    told = ledger.explain_balance("ada")

    assert told.at == t(1)
    assert (told.account, told.balance) == (ledger.account("ada"), ledger.balance("ada"))
    assert (told.grants, told.holds) == (ledger.grants("ada"), ledger.holds("ada"))
    assert told.last == ledger.entries("ada", limit=5).items
    for said in ("12 available", "14 posted", "2 held", "spring", "summer", hold.hold_id, "frozen", "a cat"):
        assert said in told.text
    assert "overdrawn by 7" in told.text
    assert "picture" in told.text
    assert "None" not in told.text


def test_a_balance_of_another_moment_is_explained_as_of_then(ledger: Ledger, clock: FrozenClock) -> None:
    """Past and future moments are explained by what was and will be: grants, holds and changes of that moment."""
    three_sources(ledger)
    later(clock, 5)
    ledger.authorize("ada", 15, ttl=9 * SECOND)

    past, future = ledger.explain_balance("ada", t(3)), ledger.explain_balance("ada", t(15))

    assert (past.at, past.balance) == (t(3), ledger.balance("ada", at=t(3)))
    assert [grant.posted for grant in past.grants] == [2, 3]
    assert (past.holds, len(past.last), past.account.entry_count) == ((), 3, 3)
    assert (future.at, future.balance) == (t(15), ledger.balance("ada", at=t(15)))
    assert [grant.label for grant in future.grants] == ["summer"]
    assert (future.balance.posted, future.balance.held, future.holds) == (13, 0, ())
    assert "2030-01-01 00:00:15Z" in future.text


def test_an_empty_balance_can_be_explained(ledger: Ledger) -> None:
    """An account without entries has a balance of nothing, which came from nothing; who has none is not found."""
    ledger.open_account("ada")

    told = ledger.explain_balance("ada")

    assert (told.balance.posted, told.grants, told.holds, told.last) == (0, (), (), ())
    assert told.text
    with pytest.raises(AccountNotFound):
        ledger.explain_balance("nobody")
    with pytest.raises(InvalidArgument):
        ledger.explain_balance("ada", t(1).replace(tzinfo=None))


def test_a_present_balance_is_never_told_as_of_before_its_newest_entry(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """Where the clock lags, what is explained is the present of the account, and it says so."""
    later(clock, 9)
    ledger.grant("ada", 5)
    later(clock, 1)

    told = ledger.explain_balance("ada")

    assert (told.at, told.balance.posted) == (t(9), 5)
    assert told.text.startswith("At 2030-01-01 00:00:09Z")
