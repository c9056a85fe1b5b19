"""Laws of the log: nothing is made or lost in it, and everything follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import strategies as st
from sqlalchemy import Engine

from pluct_ledger import Refused
from pluct_ledger.domain.commands import Issue
from tests.laws.stories import Scene, Teller, forward_stories, hold_for_all, stories
from tests.terms_state import drawn, seen


def test_credit_is_conserved(lane: str, engine: Engine) -> None:
    """What is posted in all accounts is what was issued and adjusted less what was spent and expired."""

    def law(story: Sequence[Scene]) -> None:
        teller = Teller(engine)
        teller.tell(story)
        accounts = list(teller.ledger.accounts())
        posted = sum(one.posted for one in accounts)
        assert posted == sum(one.issued - one.spent - one.expired + one.adjusted for one in accounts)
        assert sum(one.moved for one in accounts) == 0
        sides: Counter[str] = Counter()
        for entry in teller.ledger.entries(limit=1000).all():
            sides[entry.counter] += entry.amount
        assert sides["account"] == sides["none"] == 0
        assert posted == sides.total()
        assert sides["issued"] == sum(one.issued for one in accounts)

    hold_for_all(lane, stories, law)


def test_every_row_follows_from_entries_and_shares(lane: str, engine: Engine) -> None:
    """The rows of accounts, grants and holds are what the fold over their entries and shares makes."""

    def law(story: Sequence[Scene]) -> None:
        teller = Teller(engine)
        teller.tell(story)
        assert teller.ledger.verify().findings == ()
        seen.assert_rows_follow(engine, teller.book)

    hold_for_all(lane, stories, law)


def test_shares_never_exceed_their_entry(lane: str, engine: Engine) -> None:
    """The shares of an entry go its way, and together are never more than it."""

    def law(story: Sequence[Scene]) -> None:
        teller = Teller(engine)
        teller.tell(story)
        for entry in teller.ledger.entries(limit=1000).all():
            for whole, parts in (
                (entry.amount, [share.amount for share in entry.shares]),
                (entry.hold_amount, [share.hold_amount for share in entry.shares]),
            ):
                assert all(part * whole >= 0 for part in parts)
                assert abs(sum(parts)) <= abs(whole)

    hold_for_all(lane, stories, law)


def test_a_later_look_at_a_moment_sees_what_was_seen_then(lane: str, engine: Engine) -> None:
    """The balance as of a past instant is what was read at that instant, what was to expire included."""

    def law(story: Sequence[Scene]) -> None:
        teller = Teller(engine)
        then = {}
        for scene in story:
            teller.tell([scene])
            then[teller.clock()] = teller.ledger.balances(drawn.OWNERS)
        for moment, balances in then.items():
            assert {owner: teller.ledger.balance(owner, at=moment) for owner in balances} == balances

    hold_for_all(lane, forward_stories, law)


def test_credit_is_used_in_its_order(lane: str, engine: Engine) -> None:
    """A spend takes from no source while one before it, by priority, end and age, has anything left."""

    def law(drawn_example: tuple[Sequence[Scene], int]) -> None:
        story, amount = drawn_example
        teller = Teller(engine)
        teller.ledger.grant("ada", 5, expires_at=timedelta(seconds=20))
        teller.do(Issue("ada", 3, priority=-1))
        teller.tell(story)
        before = {(one.grant_id, one.part): one for one in teller.ledger.grants("ada")}
        try:
            receipt = teller.ledger.spend("ada", amount)
        except Refused:
            return
        taken = {(share.grant_id, share.part): -share.amount for share in receipt.shares}
        from_pool = amount - sum(taken.values())
        in_turn = [(key, one) for key, one in before.items() if one.posted > one.held]
        left_before = False
        for key, one in in_turn:
            if one.priority > 0 and from_pool:
                continue
            assert not (left_before and taken.get(key))
            left_before = left_before or taken.get(key, 0) < one.posted - one.held
        usable_first = [key for key, one in in_turn if one.priority < 0 or one.priority == 0]
        if from_pool:
            assert all(taken.get(key, 0) == before[key].posted - before[key].held for key in usable_first)

    hold_for_all(lane, st.tuples(stories, st.integers(1, 25)), law)
