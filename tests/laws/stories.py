"""Stories: commands of all kinds with time between them, told to ledgers; and what can be seen of these afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from pluct_ledger import Ledger, Receipt, Refused
from pluct_ledger.domain.commands import Issue, OpenAccount
from tests.clock import FrozenClock
from tests.terms_state import drawn
from tests.terms_state.drawn import OWNERS, Wish
from tests.terms_state.rules import AnyCommand, Model, micros
from tests.terms_state.saying import No

Scene = tuple[int, Sequence[Wish]]
"""How many microseconds pass, and what is wished for then."""

_books: Final = count()

_forward: Final = st.sampled_from((0, 0, 1, 1_000_000, 2_500_000, 6_000_000))
_anywhere: Final = st.one_of(_forward, st.sampled_from((-1, -2_000_000)))
_wishes: Final = st.lists(drawn.wishes, min_size=1, max_size=5)

forward_stories: Final = st.lists(st.tuples(_forward, _wishes), min_size=1, max_size=8)
"""Stories in which time only goes on."""

stories: Final = st.lists(st.tuples(_anywhere, _wishes), min_size=1, max_size=8)
"""Stories in which clocks lag now and then."""


class Teller:
    """A ledger with a book of its own, to which a story is told; a model beside it tells which ids there are."""

    def __init__(self, engine: Engine) -> None:
        self.clock = FrozenClock(drawn.START)
        self.engine = engine
        self.book = f"law {next(_books)}"
        self.ledger = Ledger(engine, book=self.book, clock=self.clock)
        self.model = Model(self.ledger.account_id)
        for command in (
            OpenAccount("ada", initial=9, overdraft_limit=4),
            Issue("ada", 10, expires_at=timedelta(seconds=3)),
            Issue("bob", 12, expires_at=timedelta(seconds=6), priority=1),
        ):
            self.do(command)

    def passes(self, span: int) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(microseconds=span))

    def tell(self, story: Sequence[Scene]) -> None:
        """Tell a whole story, command by command."""
        for span, wishes in story:
            self.passes(span)
            for wish in wishes:
                self.do(wish.made(self.model))

    def do(self, command: AnyCommand) -> object:
        """Do a command; return its outcome, which refusals are too."""
        self.try_out([command])
        try:
            if isinstance(command, OpenAccount):
                limit = command.overdraft_limit
                found = self.ledger.open_account(
                    command.owner,
                    initial=command.initial,
                    overdraft_limit=limit,
                    idempotency_key=command.idempotency_key,
                )
                return self.said(found.receipt)
            return self.said(self.ledger.apply(command))
        except Refused as refused:
            return self.said(refused)

    def meant(self, wishes: Iterable[Wish]) -> list[Any]:
        """Return the commands that wishes come to when each sees what those before it did."""
        before, commands = self.model.snapshot(), []
        for wish in wishes:
            if wish.kind is not OpenAccount:
                commands.append(wish.made(self.model))
                self.try_out(commands[-1:])
        self.model.purses = before
        return commands

    def try_out(self, commands: Iterable[AnyCommand]) -> None:
        """Let the model know of commands."""
        for command in commands:
            try:
                self.model.do(command, micros(self.clock()))
            except No:
                continue

    # What is seen, without what differs from book to book.

    def said(self, outcome: Receipt | Refused | None) -> object:
        """Return an outcome as it reads in any book."""
        if isinstance(outcome, Refused):
            facts = {name: fact for name, fact in outcome.facts.items() if name != "index"}
            return outcome.code, self.anywhere(sorted(facts.items()))
        return self.anywhere(outcome)

    def owners(self) -> list[str]:
        """Return who has an account."""
        return [account.owner for account in self.ledger.accounts()]

    def view(self) -> list[str]:
        """Return everything that can be read of the book."""
        seen: list[object] = [self.ledger.balances(OWNERS), list(self.ledger.accounts())]
        seen.append(self.in_order())
        for owner in self.owners():
            seen += [self.ledger.grants(owner), self.ledger.holds(owner)]
            seen.append(self.ledger.statement(owner, drawn.START, drawn.START + timedelta(hours=1)))
            seen += [self.ledger.balance(owner, at=self.clock() + timedelta(seconds=n)) for n in (-2, 0, 4)]
        return [self.anywhere(one) for one in seen]

    def in_order(self) -> list[object]:
        """Return each owner's log, newest first."""
        return [(owner, list(self.ledger.entries(owner, limit=1000))) for owner in self.owners()]

    def anywhere(self, value: object) -> str:
        """Return a value as text, with owners for account ids and without the book."""
        text = repr(value).replace(self.book, "book")
        for owner in OWNERS:
            text = text.replace(self.ledger.account_id(owner), owner)
        return text


def hold_for_all(
    lane: str, strategy: st.SearchStrategy[Any], law: Callable[[Any], None], *, most: int = 100
) -> None:
    """Check a law on many examples: on SQLite 100, or as many as are said, and 12 elsewhere; more when soaking."""
    profile = settings.default
    assert profile is not None
    examples = (most if lane == "sqlite" else 12) * profile.max_examples // 50
    checked = settings(
        max_examples=examples,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow],
    )

    @checked
    @given(strategy)
    def checks(drawn_example: Any) -> None:
        law(drawn_example)

    checks()
