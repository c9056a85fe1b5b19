"""The machine: it does the same to the ledger and to the model, through every door, and compares what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pluct_ledger import Ledger, Receipt, Refused, maintenance
from pluct_ledger.domain.commands import Authorize, Issue, OpenAccount
from pluct_ledger.domain.entries import Share
from tests.clock import FrozenClock
from tests.terms_state import drawn, seen
from tests.terms_state.drawn import OWNERS, WISHES, Wish
from tests.terms_state.purse import Line
from tests.terms_state.rules import AnyCommand, Model, Told, micros
from tests.terms_state.saying import No

HOSTS: Final = ("session", "connection")
ABOUT_HOLDS: Final = ("capture", "void", "extend")
OTHER_RULES: Final = ("repeat", "contradict", "batch", "borrow", "jump", "lag", "maintain", "look_at")


@dataclass
class Stage:
    """Where the machines of one run play: each in a book of its own, in the same database.

    Attributes:
        every: after how many steps the log is verified and the rows are made again; always at the end.
        tally: how often each rule ran, and what came of each command.
    """

    engine: Engine
    every: int
    tally: Counter[tuple[str, ...]] = field(default_factory=Counter)
    books: Iterator[int] = field(default_factory=count)


class TermsMachine(RuleBasedStateMachine):
    """A ledger and its model, side by side; each run makes a subclass with its stage."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock(drawn.START)
        self.book = f"terms {next(self.stage.books)}"
        self.ledger = Ledger(self.stage.engine, book=self.book, clock=self.clock)
        self.model = Model(self.ledger.account_id)
        self.keyed: list[AnyCommand] = []
        self.steps = 0
        self.met: set[str] = set()

    @initialize(terms=drawn.spans, cy=st.booleans())
    def begin(self, terms: timedelta, cy: bool) -> None:
        """Begin with some credit, part of it on terms, so that commands find some more often than not."""
        self.act(self.ledger, OpenAccount("ada", initial=15, overdraft_limit=4))
        self.act(self.ledger, Issue("ada", 10, expires_at=terms))
        self.act(self.ledger, Issue("bob", 12, expires_at=terms * 2, priority=1))
        if cy:
            self.act(self.ledger, OpenAccount("cy", overdraft_limit=5))
            self.act(self.ledger, Authorize("ada", 12, ttl=timedelta(seconds=4)))

    @precondition(lambda self: self.keyed)
    @rule(pick=st.integers(0, 20))
    def repeat(self, pick: int) -> None:
        """Do again what was done under a key."""
        self.note("rule", "repeat")
        self.act(self.ledger, self.keyed[-1 - pick % len(self.keyed)])

    @precondition(lambda self: self.keyed)
    @rule(pick=st.integers(0, 20), wish=drawn.wishes)
    def contradict(self, pick: int, wish: Wish) -> None:
        """Ask for something else under a key that was used, in that account or another."""
        self.note("rule", "contradict")
        key = self.keyed[-1 - pick % len(self.keyed)].idempotency_key
        self.act(self.ledger, replace(wish.made(self.model), idempotency_key=key))

    @rule(wishes=st.lists(drawn.wishes, min_size=1, max_size=6), atomic=st.booleans())
    def batch(self, wishes: Sequence[Wish], atomic: bool) -> None:
        """Do several commands at once; those about a hold or entry may be about one of this very batch."""
        self.note("rule", "batch")
        self.act_many(self.ledger, wishes, atomic=atomic)

    @rule(
        parts=st.lists(st.lists(drawn.wishes, min_size=1, max_size=3), min_size=1, max_size=3),
        host=st.sampled_from(HOSTS),
        committed=st.booleans(),
    )
    def borrow(self, parts: Sequence[Sequence[Wish]], host: str, committed: bool) -> None:
        """Do several commands in a transaction of the host's, which is committed or rolled back."""
        self.note("rule", "borrow")
        before, keyed = self.model.snapshot(), list(self.keyed)
        with Session(self.stage.engine) if host == "session" else self.stage.engine.connect() as opened:
            ledger = self.ledger.using(opened)
            for wishes in parts:
                if len(wishes) == 1:
                    self.act(ledger, wishes[0].made(self.model))
                else:
                    self.act_many(ledger, wishes, atomic=False)
            assert ledger.balances(OWNERS) == seen.balances(self.model, self.now)
            if committed:
                opened.commit()
        if not committed:
            self.model.purses, self.keyed = before, keyed
        self.note("borrow", host, "committed" if committed else "rolled back")

    @rule(span=st.sampled_from((1, 1_000_000, 1_000_000, 2_500_000, 7_000_000)))
    def jump(self, span: int) -> None:
        """Let time pass."""
        self.note("rule", "jump")
        self.clock.advance(timedelta(microseconds=span))
        self.met |= set(self.model.purses)

    @rule(span=st.sampled_from((1, 1_500_000, 4_000_000)))
    def lag(self, span: int) -> None:
        """Let the clock go back, as that of another machine may be."""
        self.note("rule", "lag")
        self.clock.advance(-timedelta(microseconds=span))

    @rule()
    def maintain(self) -> None:
        """Record what is due before anybody asks."""
        self.note("rule", "maintain")
        done = maintenance.run(
            self.stage.engine, now=self.clock(), limit=10_000, budget=timedelta(seconds=60)
        )
        assert done.done
        self.model.maintain(self.now)
        self.met |= set(self.model.purses)

    @rule(owner=drawn.owners, moment=drawn.moments)
    def look_at(self, owner: str, moment: Any) -> None:
        """Ask for the balance of any moment."""
        self.note("rule", "look_at")
        if owner in self.model.purses:
            found = self.ledger.balance(owner, at=moment)
            expected = seen.posted_and_held_at(self.model.purses[owner], micros(moment))
            assert (found.posted, found.held) == expected

    # What holds after every step.

    @invariant()
    def agrees(self) -> None:
        """Compare all balances, and every fourth step everything that the accounts show that were met."""
        self.steps += 1
        assert self.ledger.balances(OWNERS) == seen.balances(self.model, self.now)
        if self.steps % 4 == 0:
            for owner in sorted(self.met & self.model.purses.keys()):
                self.compare_account(owner, newest=12)
            self.met = set()
        if self.steps % self.stage.every == 0:
            self.balances_the_books()

    def teardown(self) -> None:
        self.stage.tally["steps",] += self.steps
        self.stage.tally["examples",] += 1
        for owner in self.model.purses:
            self.compare_account(owner, newest=1000)
        self.balances_the_books()

    def compare_account(self, owner: str, newest: int) -> None:
        """Compare an account, its newest entries, its grants and its holds."""
        purse = self.model.purses[owner].at(self.now)
        account_id = self.ledger.account_id(owner)
        assert seen.account(self.ledger.account(owner)) == seen.account_of(purse)
        lines = [seen.line(one, account_id, self.ledger.account_id) for one in reversed(purse.log[-newest:])]
        assert [seen.entry(one) for one in self.ledger.entries(owner, limit=newest)] == lines
        assert self.ledger.grants(owner) == seen.grants(purse, account_id)
        assert self.ledger.holds(owner) == seen.holds(purse, account_id)

    def balances_the_books(self) -> None:
        """Verify the log, and make every row of this book again from entries and shares alone."""
        report = self.ledger.verify()
        assert report.findings == ()
        assert report.checked == sum(len(purse.log) for purse in self.model.purses.values())
        seen.assert_rows_follow(self.stage.engine, self.book)

    # How a step is taken on both sides.

    @property
    def now(self) -> int:
        """The clock's instant in microseconds."""
        return micros(self.clock())

    def act(self, ledger: Ledger, command: AnyCommand) -> None:
        """Hand one command to the ledger and to the model, and compare what they answer."""
        try:
            if isinstance(command, OpenAccount):
                arguments = {"initial": command.initial, "overdraft_limit": command.overdraft_limit}
                key = command.idempotency_key
                outcome = ledger.open_account(command.owner, **arguments, idempotency_key=key).receipt  # type: ignore[arg-type]  # they are this method's own
            else:
                outcome = ledger.apply(command)
        except Refused as refused:
            self.refused(command, refused, self.tried(command))
            return
        self.compare(command, outcome, self.tried(command))

    def act_many(self, ledger: Ledger, wishes: Sequence[Wish], *, atomic: bool) -> None:
        """Hand a batch to the ledger and to the model, and compare what they answer."""
        commands: list[Any] = []
        before = self.model.snapshot()
        for wish in wishes:
            if wish.kind is not OpenAccount:
                commands.append(wish.made(self.model))
                self.tried(commands[-1])
        self.model.purses = before
        tolds: Sequence[Told | No] | No
        try:
            tolds = self.model.do_many(commands, self.now, atomic=atomic)
        except No as no:
            tolds = no
        try:
            outcomes = ledger.apply_many(commands, atomic=atomic)
        except Refused as refused:
            self.refused(commands[refused.index or 0], refused, tolds)
            self.note("batch", "undone")
            return
        assert not isinstance(tolds, No), f"it was done, not refused: {tolds}"
        for command, outcome, told in zip(commands, outcomes, tolds, strict=True):
            if isinstance(outcome, Refused):
                self.refused(command, outcome, told)
            else:
                self.compare(command, outcome, told)
        self.note("batch", "atomic" if atomic else "one by one")

    def tried(self, command: AnyCommand) -> Told | No:
        """Do a command to the model."""
        try:
            return self.model.do(command, self.now)
        except No as no:
            return no

    def refused(self, command: AnyCommand, refused: Refused, told: object) -> None:
        """Compare a refusal with the model's, and count it."""
        assert isinstance(told, No), f"{command} was refused, not done: {refused}"
        facts = {name: fact for name, fact in refused.facts.items() if name != "field"}
        assert (refused.code, facts) == (told.code, told.facts)
        self.note("refusal", told.code)
        self.note("command", type(command).__name__, "refused")

    def compare(self, command: AnyCommand, receipt: Receipt | None, told: Told | No) -> None:
        """Compare a receipt with the model's line, and count it."""
        assert not isinstance(told, No), f"{command} was done, not refused: {told}"
        owner, line, replayed = told
        if line is None:
            assert receipt is None
            return
        assert receipt is not None
        assert (receipt.owner, receipt.seq, receipt.replayed) == (owner, line.seq, replayed)
        totals = (line.amount, line.posted_after, line.held_after, line.posted_after - line.held_after)
        said = (receipt.amount, receipt.posted_after, receipt.held_after, receipt.available_after)
        assert (receipt.operation, *said, micros(receipt.at)) == (line.operation, *totals, line.at)
        assert seen.shares(receipt.shares) == seen.shares(_shares(line, receipt.account_id))
        self.met |= {owner} | ({line.pair[0]} if line.pair else set())
        if command.idempotency_key is not None:
            self.keyed.append(command)
        self.note("command", type(command).__name__, "replayed" if replayed else "done")

    def note(self, *what: str) -> None:
        """Count."""
        self.stage.tally[what] += 1


def _shares(line: Line, account_id: str) -> tuple[Share, ...]:
    return tuple(
        Share(grant_id=f"{account_id}.{seq}", part=part, amount=amount, hold_amount=held)
        for (seq, part), (amount, held) in line.parts.items()
    )


def _rule_of(name: str, wish: st.SearchStrategy[Wish]) -> Callable[..., None]:
    def wished(self: TermsMachine, wish: Wish) -> None:
        self.note("rule", name)
        self.act(self.ledger, wish.made(self.model))

    wished.__name__ = wished.__qualname__ = name
    as_rule: Callable[[Callable[..., None]], Callable[..., None]] = rule(wish=wish)
    if name in ABOUT_HOLDS:
        # Now and then there is none: a hold that has lapsed is met as well, and batches name what is not there.
        held: Callable[[Callable[..., None]], Callable[..., None]] = precondition(
            lambda self: any(one.reserves for one in self.model.purses.values())
        )
        return held(as_rule(wished))
    return as_rule(wished)


for _name, _strategy in WISHES.items():
    setattr(TermsMachine, _name, _rule_of(_name, _strategy))
