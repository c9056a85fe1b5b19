"""The machine: it does the same to the ledger and to the model, through every door, and compares what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import wraps
from itertools import count
from typing import Any, ClassVar, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from pluct_ledger import Account, EntryNotFound, InvalidArgument, Ledger, Receipt, Refused
from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Transfer
from tests.clock import FrozenClock
from tests.state import drawn, expected
from tests.state.model import AnyCommand, Model, Moving, No, Told

HOSTS: Final = ("session", "connection")
DOORS: Final = ("own", "batch", "borrowed")


@dataclass
class Stage:
    """Where the machines of one run play: each in a book of its own, in the same database.

    Attributes:
        every: after how many steps the log is verified and the rows are made again; always at the end.
        tally: how often each rule ran, and what came of each command through each door.
    """

    engine: Engine
    every: int
    tally: Counter[tuple[str, ...]] = field(default_factory=Counter)
    books: Iterator[int] = field(default_factory=count)


STEPS: Final[list[str]] = []
"""The names of all rules."""


def step(**strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a method a rule that counts how often it ran."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        STEPS.append(function.__name__)

        @wraps(function)
        def counted(self: LedgerMachine, **drawn: Any) -> None:
            self.note("rule", function.__name__)
            function(self, **drawn)

        as_rule: Callable[[Callable[..., None]], Callable[..., None]] = rule(**strategies)
        return as_rule(counted)

    return decorate


class LedgerMachine(RuleBasedStateMachine):
    """A ledger and its model, side by side; each run makes a subclass with its stage."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock()
        self.book = f"book {next(self.stage.books)}"
        self.ledger = Ledger(self.stage.engine, book=self.book, clock=self.clock)
        self.model = Model()
        self.keyed: list[AnyCommand] = []
        self.steps = 0

    @initialize(owners=st.sampled_from((drawn.OWNERS[:2], drawn.OWNERS[:3], drawn.OWNERS[:3], ())))
    def begin(self, owners: Sequence[str]) -> None:
        """Begin with some accounts, so that commands find one more often than not."""
        for owner in owners:
            self.act("own", self.ledger, OpenAccount(owner, initial=60, idempotency_key="begun"))

    # Commands, each in a transaction of its own.

    @step(command=drawn.openings())
    def open_account(self, command: OpenAccount) -> None:
        self.act("own", self.ledger, command)

    @step(command=drawn.issues())
    def grant(self, command: Issue) -> None:
        self.act("own", self.ledger, command)

    @step(command=drawn.spends())
    def spend(self, command: Spend) -> None:
        self.act("own", self.ledger, command)

    @step(command=drawn.transfers())
    def transfer(self, command: Transfer) -> None:
        self.act("own", self.ledger, command)

    @step(command=drawn.adjustments())
    def adjust(self, command: Adjust) -> None:
        self.act("own", self.ledger, command)

    @precondition(lambda self: self.keyed)
    @step(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.act("own", self.ledger, self.draw_repeat(data, self.keyed))

    @precondition(lambda self: self.keyed)
    @step(data=st.data())
    def contradict(self, data: st.DataObject) -> None:
        self.act("own", self.ledger, self.draw_contradiction(data, self.keyed))

    @step(bad=drawn.nonsense)
    def talk_nonsense(self, bad: tuple[Moving, str]) -> None:
        command, argument = bad
        with pytest.raises(InvalidArgument) as caught:
            self.ledger.apply(command)
        assert caught.value.argument == argument

    # Several commands in one transaction, ours or the host's.

    @step(data=st.data(), atomic=st.booleans())
    def batch(self, data: st.DataObject, atomic: bool) -> None:
        self.act_many("batch", self.ledger, self.draw_batch(data), atomic=atomic)

    @step(data=st.data(), host=st.sampled_from(HOSTS), committed=st.booleans())
    def borrow(self, data: st.DataObject, host: str, committed: bool) -> None:
        before = self.model.copy()
        with self.opened(host) as opened:
            ledger = self.ledger.using(opened)
            for _ in range(data.draw(st.integers(1, 4), "parts")):
                self.draw_part(data, opened, ledger)
            assert ledger.balances(drawn.OWNERS) == expected.balances(self.model)
            if committed:
                opened.commit()
        if not committed:
            self.model = before
        self.note("borrow", host, "committed" if committed else "rolled back")

    def draw_part(self, data: st.DataObject, host: Session | Connection, ledger: Ledger) -> None:
        """Do one thing in a host's transaction: a command, a batch, or a savepoint that is kept or not."""
        match data.draw(st.sampled_from(("command", "command", "batch", "savepoint")), "part"):
            case "command":
                self.act("borrowed", ledger, self.draw_command(data))
            case "batch":
                atomic = data.draw(st.booleans(), "atomic")
                self.act_many("borrowed", ledger, self.draw_batch(data), atomic=atomic)
            case "savepoint":
                kept, before = data.draw(st.booleans(), "kept"), self.model.copy()
                savepoint = host.begin_nested()
                self.act("borrowed", ledger, self.draw_command(data))
                if kept:
                    savepoint.commit()
                else:
                    savepoint.rollback()
                    self.model = before
                self.note("savepoint", "kept" if kept else "rolled back")

    # Time.

    @step(micros=st.sampled_from((1, 999_999, 3_600_000_000)))
    def jump(self, micros: int) -> None:
        self.clock.advance(timedelta(microseconds=micros))

    @step(micros=st.sampled_from((1, 5_000_000, 7_200_000_000)))
    def lag(self, micros: int) -> None:
        self.clock.advance(timedelta(microseconds=-micros))

    # Reading.

    @step(owner=st.one_of(st.none(), drawn.owners), limit=st.integers(1, 7), data=st.data())
    def list_entries(self, owner: str | None, limit: int, data: st.DataObject) -> None:
        lines = [line for line in self.model.lines() if owner in (None, line.owner)]
        filters: dict[str, Any] = {}
        filtered = data.draw(st.booleans(), "filtered")
        if lines and filtered:
            one, another = data.draw(st.tuples(st.sampled_from(lines), st.sampled_from(lines)), "two lines")
            filters = {"kinds": [one.kind, "never"], "since": another.at}
            lines = [line for line in lines if line.kind == one.kind and line.at >= another.at]
        page = self.ledger.entries(owner, limit=limit, **filters)
        assert len(page.items) == min(limit, len(lines))
        assert list(page.all()) == expected.newest_first(self.ledger, lines)

    @step(owner=drawn.owners, key=st.sampled_from(drawn.KEYS), beyond=st.integers(0, 2))
    def look_up(self, owner: str, key: str, beyond: int) -> None:
        lines = [line for line in self.model.lines() if line.owner == owner]
        its = {line.key: expected.entry(self.ledger, line) for line in lines}
        assert self.ledger.find(owner, key) == its.get(key)
        entry_id = f"{self.ledger.account_id(owner)}.{len(lines) + beyond}"
        if lines and not beyond:
            assert self.ledger.entry(entry_id) == expected.entry(self.ledger, lines[-1])
        elif beyond:
            with pytest.raises(EntryNotFound) as caught:
                self.ledger.entry(entry_id)
            self.note("refusal", caught.value.code)

    # What holds after every step.

    @invariant()
    def agrees(self) -> None:
        self.steps += 1
        assert self.ledger.balances(drawn.OWNERS) == expected.balances(self.model)
        assert list(self.ledger.accounts()) == expected.accounts(self.ledger, self.model)
        newest = self.ledger.entries(limit=10)
        assert list(newest) == expected.newest_first(self.ledger, self.model.lines())[:10]
        if self.steps % self.stage.every == 0:
            self.balances_the_books()

    def teardown(self) -> None:
        self.stage.tally["steps",] += self.steps
        self.stage.tally["examples",] += 1
        entries = expected.newest_first(self.ledger, self.model.lines())
        assert list(self.ledger.entries(limit=1000).all()) == entries
        self.balances_the_books()

    def balances_the_books(self) -> None:
        """Verify the log, and make every row of this book again from its entries alone."""
        report = self.ledger.verify()
        assert report.findings == ()
        assert (report.ok, report.checked, report.accounts) == (
            True,
            len(self.model.lines()),
            len(self.model.purses),
        )
        expected.assert_rows_follow_from_entries(self.stage.engine, self.book)

    # How a step is taken on both sides.

    def act(self, door: str, ledger: Ledger, command: AnyCommand) -> None:
        """Hand one command to the ledger and to the model, and compare what they answer."""
        outcome: Receipt | Account | Refused
        try:
            outcome = _asked_of(ledger, command)
        except Refused as refused:
            outcome = refused
        try:
            told: Told | No = self.model.do(command, self.clock())
        except No as no:
            told = no
        self.compare(door, command, outcome, told)

    def act_many(self, door: str, ledger: Ledger, commands: Sequence[Moving], *, atomic: bool) -> None:
        """Hand a batch to the ledger and to the model, and compare what they answer."""
        outcomes: Sequence[Receipt | Refused] | Refused
        try:
            outcomes = ledger.apply_many(commands, atomic=atomic)
        except Refused as refused:
            outcomes = refused
        tolds: Sequence[Told | No] | No
        try:
            tolds = self.model.do_many(commands, self.clock(), atomic=atomic)
        except No as no:
            tolds = no
        if isinstance(tolds, No):
            assert isinstance(outcomes, Refused), f"it was done, not refused: {tolds}"
            expected.assert_refused_alike(outcomes, tolds)
            self.note("batch", "undone")
            return
        assert not isinstance(outcomes, Refused), f"it was refused, not done: {outcomes}"
        assert len(outcomes) == len(tolds)
        for command, outcome, told in zip(commands, outcomes, tolds, strict=True):
            self.compare(door, command, outcome, told)
        self.note("batch", "atomic" if atomic else "one by one")

    def compare(
        self, door: str, command: AnyCommand, outcome: Receipt | Account | Refused, told: Told | No
    ) -> None:
        """Compare the ledger's answer with the model's, and count it."""
        if isinstance(told, No):
            assert isinstance(outcome, Refused), f"it was done, not refused: {told}"
            expected.assert_refused_alike(outcome, told)
            self.count(door, command, "refused")
            self.note("refusal", told.code)
            return
        if isinstance(command, OpenAccount):
            assert isinstance(outcome, Account)
            assert outcome.receipt == expected.receipt(self.ledger, told)
            purse = self.model.purses[command.owner]
            assert _without_receipt(outcome) == _without_receipt(expected.account(self.ledger, purse))
        else:
            assert outcome == expected.receipt(self.ledger, told)
        if command.idempotency_key is not None and told.line is not None:
            self.keyed.append(command)
        self.count(door, command, "replayed" if told.replayed else "done")

    def count(self, door: str, command: AnyCommand, what: str) -> None:
        """Count what came of a command."""
        self.note("command", type(command).__name__, what)
        self.note("door", door, what)

    def opened(self, host: str) -> Session | Connection:
        """Open what a host has a transaction on; left without a commit, it is rolled back."""
        return Session(self.stage.engine) if host == "session" else self.stage.engine.connect()

    def note(self, *what: str) -> None:
        """Count."""
        self.stage.tally[what] += 1

    # What is drawn depends on what was done before.

    def draw_command(self, data: st.DataObject) -> Moving:
        """Draw a command that fits into a batch: a new one, or one about a key that was met before."""
        keyed = [one for one in self.keyed if not isinstance(one, OpenAccount)]
        command: Any
        match data.draw(
            st.sampled_from(("new", "repeat", "new", "contradiction") if keyed else ("new",)), "a"
        ):
            case "repeat":
                command = self.draw_repeat(data, keyed)
            case "contradiction":
                command = self.draw_contradiction(data, keyed)
            case _:
                command = data.draw(drawn.commands, "command")
        return command  # type: ignore[no-any-return]  # none of the three draws an OpenAccount from these

    def draw_batch(self, data: st.DataObject) -> list[Moving]:
        return [self.draw_command(data) for _ in range(data.draw(st.integers(1, 5), "size"))]

    def draw_repeat(self, data: st.DataObject, keyed: Sequence[AnyCommand]) -> AnyCommand:
        return data.draw(drawn.repeats(self.draw_one_of(data, keyed)), "repeat")

    def draw_contradiction(self, data: st.DataObject, keyed: Sequence[AnyCommand]) -> AnyCommand:
        return data.draw(drawn.contradictions(self.draw_one_of(data, keyed)), "contradiction")

    def draw_one_of(self, data: st.DataObject, keyed: Sequence[AnyCommand]) -> AnyCommand:
        """Draw one of the commands that were done under a key, of each kind as often."""
        kind = data.draw(st.sampled_from(sorted({type(one).__name__ for one in keyed})), "kind")
        return data.draw(st.sampled_from([one for one in keyed if type(one).__name__ == kind]), "of")


def _asked_of(ledger: Ledger, command: AnyCommand) -> Receipt | Account:
    """Call the method that a command is named after."""
    methods: dict[type, Callable[..., Receipt | Account]] = {
        OpenAccount: ledger.open_account,
        Issue: ledger.grant,
        Spend: ledger.spend,
        Transfer: ledger.transfer,
        Adjust: ledger.adjust,
    }
    return methods[type(command)](**{one.name: getattr(command, one.name) for one in fields(command)})


def _without_receipt(account: Account) -> dict[str, Any]:
    return {one.name: getattr(account, one.name) for one in fields(account) if one.name != "receipt"}
