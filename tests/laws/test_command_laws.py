"""Laws of commands: together or one by one, with or without maintenance, taken and given back."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from sqlalchemy import Engine

from pluct_ledger import Refused, maintenance
from tests.laws.stories import Scene, Teller, forward_stories, hold_for_all, stories

spans = st.sampled_from((0, 1, 2_000_000, 9_000_000))


def test_a_batch_is_its_commands_in_sequence(lane: str, engine: Engine) -> None:
    """Commands together have the outcomes, refusals included, and leave the book that they do one by one."""

    def law(story: Sequence[Scene]) -> None:
        single, together = Teller(engine), Teller(engine)
        for span, wishes in story:
            single.passes(span)
            together.passes(span)
            one_by_one = [single.do(command) for command in single.meant(wishes)]
            commands = together.meant(wishes)
            at_once = [together.said(outcome) for outcome in together.ledger.apply_many(commands)]
            together.try_out(commands)
            assert at_once == one_by_one
        assert single.view() == together.view()

    hold_for_all(lane, stories, law, most=30)


def test_an_atomic_batch_is_done_whole_or_leaves_nothing(lane: str, engine: Engine) -> None:
    """With `atomic`, one refusal leaves the book as it was; without any, all is done as one by one."""

    def law(story: Sequence[Scene]) -> None:
        single, together = Teller(engine), Teller(engine)
        for span, wishes in story:
            single.passes(span)
            together.passes(span)
            commands, before = together.meant(wishes), together.view()
            try:
                at_once = [together.said(one) for one in together.ledger.apply_many(commands, atomic=True)]
            except Refused:
                assert together.view() == before
                continue
            together.try_out(commands)
            assert at_once == [single.do(command) for command in single.meant(wishes)]
        assert single.view() == together.view()

    hold_for_all(lane, stories, law, most=30)


def test_nothing_depends_on_when_dues_are_recorded(lane: str, engine: Engine) -> None:
    """With maintenance at any instants or with none, every outcome is the same, and everything that is read."""

    def law(drawn_example: tuple[Sequence[Scene], Sequence[bool]]) -> None:
        story, swept = drawn_example
        told = []
        for sweeps in (False, True):
            teller = Teller(engine)
            outcomes: list[str] = []
            for index, (span, wishes) in enumerate(story):
                teller.passes(span)
                if sweeps and swept[index % len(swept)]:
                    maintenance.run(engine, now=teller.clock(), limit=10_000)
                outcomes += teller.view()
                outcomes += [str(teller.do(wish.made(teller.model))) for wish in wishes]
            teller.passes(30_000_000)
            told.append([*outcomes, teller.view()])
        assert told[0] == told[1]

    hold_for_all(
        lane, st.tuples(forward_stories, st.lists(st.booleans(), min_size=1, max_size=4)), law, most=30
    )


def test_a_reversed_spend_restores_what_has_not_expired(lane: str, engine: Engine) -> None:
    """Reversing a spend gives back all of it, less what belongs to grants that are over by then."""

    def law(drawn_example: tuple[Sequence[Scene], int, int]) -> None:
        story, amount, span = drawn_example
        teller = Teller(engine)
        teller.tell(story)
        before = teller.ledger.balance("ada")
        ends = {(one.grant_id, one.part): one.expires_at for one in teller.ledger.grants("ada")}
        try:
            spent = teller.ledger.spend("ada", amount)
        except Refused:
            return
        teller.passes(span)
        later = teller.ledger.balance("ada")
        if teller.ledger.account("ada").status == "closed":
            return
        ended = sum(
            -share.amount
            for share in spent.shares
            if (end := ends[share.grant_id, share.part]) is not None and end <= max(teller.clock(), spent.at)
        )
        given = teller.ledger.reverse(spent.entry_id)
        after = teller.ledger.balance("ada")
        assert given.amount == amount
        assert after.available == later.available + amount - ended
        if span == 0:
            assert (after, ended) == (before, 0)

    hold_for_all(lane, st.tuples(stories, st.integers(1, 12), spans), law)
