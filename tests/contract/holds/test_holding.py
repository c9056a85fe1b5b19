"""`holding`: credit for a block of work, captured when it succeeds and set free whatever it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator

import pytest
from sqlalchemy import Engine

from pluct_ledger import (
    CaptureExceedsHold,
    HoldClosed,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
)
from tests.clock import FrozenClock
from tests.contract.callers import caller_of
from tests.contract.holds.logs import HOUR, log_of, totals


@pytest.fixture
def ledger(committed: Ledger) -> Iterator[Ledger]:
    """A ledger in transactions of its own, in which ada has 10; at the end of the test its books are in order."""
    committed.grant("ada", 10)
    yield committed
    report = committed.verify()
    assert report.ok, report.findings


class Unforeseen(Exception):
    """What a job raises in these tests."""


def test_a_block_that_succeeds_is_captured(ledger: Ledger) -> None:
    """In the block the credit is held, and at its end all of it is spent."""
    with ledger.holding("ada", 4, ttl=HOUR, kind="job") as held:
        assert totals(ledger, "ada") == (10, 4, 6)
        assert (held.hold_id, held.hold.amount, held.captured) == (ledger.holds("ada")[0].hold_id, 4, None)

    assert held.captured is not None
    assert held.captured.amount == -4
    assert log_of(ledger, "ada", after=1) == [("authorize", 0, 4), ("capture", -4, -4)]


def test_a_block_may_capture_less(ledger: Ledger) -> None:
    """What the block captures itself is all that is spent; the rest is free at once and nothing more happens."""
    with ledger.holding("ada", 4, ttl=HOUR) as held:
        receipt = held.capture(1, kind="tokens", idempotency_key="job-1")
        assert totals(ledger, "ada") == (9, 0, 9)

    assert (receipt.kind, held.captured) == ("tokens", receipt)
    assert log_of(ledger, "ada", after=1) == [("authorize", 0, 4), ("capture", -1, -4)]


@pytest.mark.parametrize(
    "raised",
    [Unforeseen, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError],
)
def test_a_block_that_raises_sets_its_credit_free(ledger: Ledger, raised: type[BaseException]) -> None:
    """Whatever the block raises, nothing stays held, nothing is spent, and it is raised on as it was."""
    error = raised()

    with pytest.raises(raised) as passed_on, ledger.holding("ada", 4, ttl=HOUR):
        raise error

    assert passed_on.value is error
    assert totals(ledger, "ada") == (10, 0, 10)
    assert log_of(ledger, "ada", after=1) == [("authorize", 0, 4), ("void", 0, -4)]


def test_a_generator_that_is_closed_sets_its_credit_free(ledger: Ledger) -> None:
    """A stream that its reader leaves in the middle costs nothing."""

    def stream() -> Generator[int]:
        with ledger.holding("ada", 4, ttl=HOUR):
            yield from range(100)

    words = stream()
    assert next(words) == 0
    assert ledger.balance("ada").held == 4
    words.close()

    assert totals(ledger, "ada") == (10, 0, 10)


def test_a_task_that_is_cancelled_sets_its_credit_free(ledger: Ledger) -> None:
    """A cancelled task's hold is void before its cancellation goes on."""

    async def job(began: asyncio.Event) -> None:
        with ledger.holding("ada", 4, ttl=HOUR):
            began.set()
            await asyncio.Event().wait()

    async def cancel() -> None:
        began = asyncio.Event()
        task = asyncio.create_task(job(began))
        await began.wait()
        assert ledger.balance("ada").held == 4
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert totals(ledger, "ada") == (10, 0, 10)


def test_an_error_after_the_capture_takes_nothing_back(ledger: Ledger) -> None:
    """What was captured stays spent, whatever the block raises afterwards."""
    with pytest.raises(Unforeseen), ledger.holding("ada", 4, ttl=HOUR) as held:  # noqa: PT012 - a block is tested
        held.capture(3)
        raise Unforeseen

    assert log_of(ledger, "ada", after=1) == [("authorize", 0, 4), ("capture", -3, -4)]


def test_a_capture_that_is_refused_sets_the_hold_free(ledger: Ledger) -> None:
    """A block that asks for more than it holds gets nothing, and leaves nothing held."""
    with pytest.raises(CaptureExceedsHold), ledger.holding("ada", 4, ttl=HOUR) as held:
        held.capture(5)

    assert totals(ledger, "ada") == (10, 0, 10)


def test_a_block_never_begins_without_credit(ledger: Ledger) -> None:
    """Where too little is available, the block is not run."""
    began = False

    with pytest.raises(InsufficientCredit), ledger.holding("ada", 11, ttl=HOUR):
        began = True

    assert not began


def test_a_hold_that_lapsed_in_the_block_cannot_be_captured(ledger: Ledger, clock: FrozenClock) -> None:
    """Work that outlasts its hold is told so at the end of the block, and nothing is spent."""
    with pytest.raises(HoldClosed) as refused, ledger.holding("ada", 4, ttl=HOUR):
        clock.advance(HOUR)

    assert refused.value.status == "expired"
    assert totals(ledger, "ada") == (10, 0, 10)


def test_a_block_that_raises_after_its_hold_lapsed_raises_its_own_error(
    ledger: Ledger, clock: FrozenClock
) -> None:
    """That a hold is over already does not hide what went wrong."""
    with pytest.raises(Unforeseen), ledger.holding("ada", 4, ttl=HOUR):  # noqa: PT012 - a block is tested
        clock.advance(HOUR)
        raise Unforeseen

    assert totals(ledger, "ada") == (10, 0, 10)


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "succeeds"])
def test_a_hold_that_somebody_else_ended_is_left_alone(ledger: Ledger, fails: bool) -> None:
    """A hold that was voided by its id meanwhile stops a block that succeeds, and not one that fails."""
    expected: type[Exception] = Unforeseen if fails else HoldClosed

    with pytest.raises(expected), ledger.holding("ada", 4, ttl=HOUR) as held:  # noqa: PT012 - a block is tested
        ledger.void(held.hold_id)
        if fails:
            raise Unforeseen

    assert log_of(ledger, "ada", after=1) == [("authorize", 0, 4), ("void", 0, -4)]


def test_what_a_block_captured_in_parts_by_the_id_stays_spent(ledger: Ledger) -> None:
    """Captures by the hold's id that are not final leave the rest to the end of the block."""
    with ledger.holding("ada", 4, ttl=HOUR) as held:
        ledger.capture(held.hold_id, 1, final=False)
    with pytest.raises(Unforeseen), ledger.holding("ada", 4, ttl=HOUR) as held:  # noqa: PT012 - a block is tested
        ledger.capture(held.hold_id, 1, final=False)
        raise Unforeseen

    assert log_of(ledger, "ada", after=2) == [
        ("capture", -1, -1),
        ("capture", -3, -3),
        ("authorize", 0, 4),
        ("capture", -1, -1),
        ("void", 0, -3),
    ]


def test_a_block_is_extended_from_within(ledger: Ledger, clock: FrozenClock) -> None:
    """Long work extends its hold by its id and is captured all the same."""
    with ledger.holding("ada", 4, ttl=HOUR) as held:
        for _ in range(3):
            clock.advance(HOUR / 2)
            ledger.extend(held.hold_id, ttl=HOUR)

    assert totals(ledger, "ada") == (6, 0, 6)


def test_a_key_lets_one_block_through(ledger: Ledger) -> None:
    """A block under a known key finds its hold over at its end, and a key of other arguments never begins."""
    with ledger.holding("ada", 4, ttl=HOUR, idempotency_key="job"):
        pass
    with pytest.raises(HoldClosed), ledger.holding("ada", 4, ttl=HOUR, idempotency_key="job"):
        pass
    with pytest.raises(IdempotencyMismatch), ledger.holding("ada", 5, ttl=HOUR, idempotency_key="job"):
        pass

    assert totals(ledger, "ada") == (6, 0, 6)


def test_blocks_nest(ledger: Ledger) -> None:
    """Each block has a hold of its own, and the inner one's failure is none of the outer one's."""
    with ledger.holding("ada", 6, ttl=HOUR):
        with pytest.raises(Unforeseen), ledger.holding("ada", 4, ttl=HOUR):  # noqa: PT012 - a block is tested
            assert ledger.balance("ada").available == 0
            raise Unforeseen
        assert ledger.balance("ada").available == 4

    assert totals(ledger, "ada") == (4, 0, 4)


@pytest.mark.parametrize("name", ["session", "connection"])
def test_a_hosts_transaction_is_refused(
    ledger: Ledger, engine: Engine, clock: FrozenClock, name: str
) -> None:
    """Inside the host's transaction a rollback takes the hold along: `holding` refuses before anything is sent."""
    with caller_of(name, engine, clock) as host:
        with pytest.raises(InvalidArgument), host.ledger().holding("ada", 4, ttl=HOUR):
            pass
        host.settle()

    assert totals(ledger, "ada") == (10, 0, 10)
    assert ledger.account("ada").entry_count == 1
