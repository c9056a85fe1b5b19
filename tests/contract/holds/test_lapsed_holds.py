"""Holds past their end: dead to the microsecond, though nothing has recorded it; and repeats of what concerns holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pluct_ledger import HoldClosed, HoldNotFound, IdempotencyMismatch, InsufficientCredit, Ledger
from pluct_ledger.commands import Authorize, Capture, Extend, Spend, Void
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.holds.logs import HOUR, INSTANT, log_of, totals

USES: list[Callable[[Ledger, str], object]] = [
    lambda ledger, hold_id: ledger.capture(hold_id),
    lambda ledger, hold_id: ledger.capture(hold_id, 1, final=False),
    lambda ledger, hold_id: ledger.capture(hold_id, 9, allow_over=True),
    lambda ledger, hold_id: ledger.void(hold_id),
    lambda ledger, hold_id: ledger.extend(hold_id, ttl=HOUR),
]
IDS = ["capture", "capture a part", "capture above", "void", "extend"]


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada has 10."""
    ledger.grant("ada", 10)
    return ledger


@pytest.mark.parametrize("use", USES, ids=IDS)
def test_a_hold_lives_until_the_last_instant_before_its_end(
    ledger: Ledger, clock: FrozenClock, use: Callable[[Ledger, str], object]
) -> None:
    """A microsecond before its end, a hold can be captured, voided and extended."""
    hold = ledger.authorize("ada", 4, ttl=HOUR)
    clock.advance(HOUR - INSTANT)

    assert ledger.balance("ada").held == 4
    use(ledger, hold.hold_id)


@pytest.mark.parametrize("use", USES, ids=IDS)
def test_a_hold_is_dead_at_its_end_though_nothing_recorded_it(
    ledger: Ledger, caller: Caller, clock: FrozenClock, use: Callable[[Ledger, str], object]
) -> None:
    """At its end a hold holds nothing and is refused as expired; the refusal records nothing."""
    hold = ledger.authorize("ada", 4, ttl=HOUR)
    clock.advance(HOUR)
    before = caller.rows()

    assert totals(ledger, "ada") == (10, 0, 10)
    assert ledger.holds("ada") == ()
    with pytest.raises(HoldClosed) as refused:
        use(ledger, hold.hold_id)

    assert (refused.value.hold_id, refused.value.status) == (hold.hold_id, "expired")
    assert caller.rows() == before


def test_the_next_write_records_the_lapse_at_its_own_instant(ledger: Ledger, clock: FrozenClock) -> None:
    """A write after the end finds the credit free and records first that the hold lapsed, when it did."""
    hold = ledger.authorize("ada", 10, ttl=HOUR)
    ended = clock() + HOUR
    clock.advance(3 * HOUR)

    receipt = ledger.spend("ada", 10)

    assert log_of(ledger, "ada", after=2) == [("void", 0, -10), ("spend", -10, 0)]
    lapse = ledger.entry(f"{ledger.account_id('ada')}.3")
    assert (lapse.at, lapse.concerns_entry_id, lapse.idempotency_key) == (ended, hold.hold_id, None)
    assert receipt.at == clock()
    with pytest.raises(HoldClosed) as refused:
        ledger.void(hold.hold_id)
    assert refused.value.status == "expired"


def test_what_lapses_of_an_expired_grant_expires_with_it(ledger: Ledger, clock: FrozenClock) -> None:
    """A lapse gives credit of a grant that is over to nobody, at the instant of the lapse."""
    ledger.grant("ada", 5, expires_at=clock() + HOUR)
    ledger.authorize("ada", 8, ttl=2 * HOUR)
    clock.advance(2 * HOUR - INSTANT)
    assert totals(ledger, "ada") == (15, 8, 7)
    clock.advance(INSTANT)

    assert totals(ledger, "ada") == (10, 0, 10)
    ledger.spend("ada", 1)

    assert log_of(ledger, "ada", after=3) == [("void", 0, -8), ("expire", -5, 0), ("spend", -1, 0)]


def test_a_batch_finds_a_hold_dead_as_single_commands_do(ledger: Ledger, clock: FrozenClock) -> None:
    """Within one batch a lapsed hold is refused and what it held is spent."""
    hold = ledger.authorize("ada", 10, ttl=HOUR)
    clock.advance(HOUR)

    outcomes = ledger.apply_many([Capture(hold.hold_id), Spend("ada", 10), Spend("ada", 1)])

    assert [type(outcome).__name__ for outcome in outcomes] == ["HoldClosed", "Receipt", "InsufficientCredit"]
    assert isinstance(outcomes[2], InsufficientCredit)
    assert outcomes[2].available == 0


def test_a_hold_is_born_and_ends_in_one_batch(ledger: Ledger) -> None:
    """A later command of a batch can name the hold that an earlier one made."""
    hold_id = f"{ledger.account_id('ada')}.2"

    ledger.apply_many(
        [
            Authorize("ada", 6, ttl=HOUR),
            Capture(hold_id, 1, final=False),
            Extend(hold_id, ttl=2 * HOUR),
            Void(hold_id),
        ],
        atomic=True,
    )

    assert log_of(ledger, "ada", after=1) == [
        ("authorize", 0, 6),
        ("capture", -1, -1),
        ("control", 0, 0),
        ("void", 0, -5),
    ]


def test_orphans_are_holds_whose_end_nothing_recorded(
    ledger: Ledger, caller: Caller, clock: FrozenClock
) -> None:
    """`orphan_holds` lists what is past due in this book and asset, the longest dead first."""
    ledger.grant("bob", 5)
    ledger.for_book("other").grant("ada", 5)
    later = ledger.authorize("ada", 1, ttl=2 * HOUR)
    sooner = ledger.authorize("bob", 2, ttl=HOUR)
    ledger.authorize("ada", 3, ttl=3 * HOUR)
    ledger.void(ledger.authorize("ada", 1, ttl=HOUR).hold_id)
    ledger.for_book("other").authorize("ada", 4, ttl=HOUR)
    clock.advance(HOUR - INSTANT)
    assert ledger.orphan_holds() == ()
    clock.advance(HOUR + INSTANT)

    found = ledger.orphan_holds()

    assert [(hold.hold_id, hold.owner) for hold in found] == [(sooner.hold_id, "bob"), (later.hold_id, "ada")]
    assert [hold.hold_id for hold in ledger.orphan_holds(limit=1)] == [sooner.hold_id]
    assert ledger.for_asset("other").orphan_holds() == ()
    ledger.spend("bob", 1)
    assert [hold.hold_id for hold in ledger.orphan_holds()] == [later.hold_id]


def test_a_repeated_authorization_answers_the_same_hold(ledger: Ledger, clock: FrozenClock) -> None:
    """The same key holds credit once, and the answer tells the hold as it is now."""
    first = ledger.authorize("ada", 6, ttl=HOUR, idempotency_key="job")
    clock.advance(HOUR / 2)
    ledger.capture(first.hold_id, 1, final=False)

    again = ledger.authorize("ada", 6, ttl=HOUR, idempotency_key="job")

    assert again.receipt is not None
    assert (again.hold_id, again.held, again.status) == (first.hold_id, 5, "open")
    assert (again.receipt.replayed, again.expires_at) == (True, first.expires_at)
    assert totals(ledger, "ada") == (9, 5, 4)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda ledger, hold_id, _clock: ledger.capture(hold_id), "captured"),
        (lambda ledger, hold_id, _clock: ledger.void(hold_id), "voided"),
        (lambda _ledger, _hold_id, clock: clock.advance(HOUR), "expired"),
    ],
    ids=["captured", "voided", "expired"],
)
def test_a_repeated_authorization_tells_how_the_hold_ended(
    ledger: Ledger, clock: FrozenClock, end: Callable[[Ledger, str, FrozenClock], object], status: str
) -> None:
    """Whoever repeats an authorization whose hold is over is told so, though nothing has recorded a lapse."""
    first = ledger.authorize("ada", 6, ttl=HOUR, idempotency_key="job")
    end(ledger, first.hold_id, clock)

    again = ledger.authorize("ada", 6, ttl=HOUR, idempotency_key="job")

    assert (again.hold_id, again.amount, again.held, again.status) == (first.hold_id, 6, 0, status)


def test_an_authorization_repeated_after_the_hosts_first_look_is_found(
    ledger: Ledger, caller: Caller, committed: Ledger
) -> None:
    """A hold that another made after the host's transaction began is answered to a repeat all the same."""
    caller.settle()
    assert ledger.balance("ada").held == 0
    if caller.engine.dialect.name == "sqlite":
        caller.settle()  # there a transaction that has read may not write once others have
    first = committed.authorize("ada", 6, ttl=HOUR, idempotency_key="job")

    again = ledger.authorize("ada", 6, ttl=HOUR, idempotency_key="job")

    assert again.receipt is not None
    assert (again.hold_id, again.held, again.receipt.replayed) == (first.hold_id, 6, True)


def test_repeats_of_what_ends_a_hold_answer_the_first_receipt(ledger: Ledger, clock: FrozenClock) -> None:
    """Captures, voids and extensions under a known key move nothing, and stay known when the hold is over."""
    one, other = (ledger.authorize("ada", 5, ttl=HOUR).hold_id for _ in range(2))
    steps: list[Callable[[], object]] = [
        lambda: ledger.extend(one, ttl=HOUR, idempotency_key="extend").receipt,
        lambda: ledger.capture(one, 2, final=False, idempotency_key="part"),
        lambda: ledger.capture(one, idempotency_key="rest"),
        lambda: ledger.void(other, idempotency_key="void"),
    ]
    first = [step() for step in steps]
    entries = ledger.account("ada").entry_count
    clock.advance(2 * HOUR)

    again = [step() for step in steps]

    assert [getattr(receipt, "replayed", None) for receipt in again] == [True] * 4
    assert [getattr(receipt, "entry_id", None) for receipt in again] == [
        getattr(receipt, "entry_id", None) for receipt in first
    ]
    assert ledger.account("ada").entry_count == entries


def mismatches(ledger: Ledger, one: str, other: str) -> list[tuple[str, Callable[[], object]]]:
    """Return what asks for something else under keys of this test, and the field that differs."""
    return [
        ("hold_id", lambda: ledger.capture(other, 2, idempotency_key="k")),
        ("amount", lambda: ledger.capture(one, 1, idempotency_key="k")),
        ("amount", lambda: ledger.capture(one, idempotency_key="k")),
        ("final", lambda: ledger.capture(one, 2, final=False, idempotency_key="k")),
        ("allow_over", lambda: ledger.capture(one, 2, allow_over=True, idempotency_key="k")),
        ("kind", lambda: ledger.capture(one, 2, kind="job", idempotency_key="k")),
        ("operation", lambda: ledger.void(one, idempotency_key="k")),
        ("operation", lambda: ledger.extend(one, ttl=HOUR, idempotency_key="k")),
        ("operation", lambda: ledger.spend("ada", 2, idempotency_key="k")),
        ("amount", lambda: ledger.authorize("ada", 4, ttl=HOUR, idempotency_key="hold")),
        (
            "ttl",
            lambda: ledger.authorize("ada", 5, ttl=HOUR + INSTANT, idempotency_key="hold"),
        ),
        ("ttl", lambda: ledger.extend(one, ttl=HOUR, idempotency_key="longer")),
        ("hold_id", lambda: ledger.extend(other, ttl=2 * HOUR, idempotency_key="longer")),
        ("hold_id", lambda: ledger.freeze("ada", idempotency_key="longer")),
    ]


def test_a_key_that_asks_for_something_else_is_refused(
    ledger: Ledger, caller: Caller, subtests: pytest.Subtests
) -> None:
    """A key is known by the hold, the amount and every term that was asked for; the refusal names what differs."""
    one = ledger.authorize("ada", 5, ttl=HOUR, idempotency_key="hold").hold_id
    other = ledger.authorize("ada", 3, ttl=HOUR).hold_id
    ledger.extend(one, ttl=2 * HOUR, idempotency_key="longer")
    ledger.capture(one, 2, idempotency_key="k")
    before = caller.rows()

    for number, (field, repeat) in enumerate(mismatches(ledger, one, other)):
        with subtests.test(number=number, field=field):
            with pytest.raises(IdempotencyMismatch) as refused:
                repeat()
            assert (refused.value.owner, refused.value.field) == ("ada", field)
    assert caller.rows() == before


def test_anothers_hold_stays_unknown_at_any_time(ledger: Ledger, clock: FrozenClock) -> None:
    """Another book is never told that a hold lapsed: it is told that there is none."""
    hold_id = ledger.authorize("ada", 5, ttl=HOUR).hold_id
    clock.advance(HOUR)

    with pytest.raises(HoldNotFound):
        ledger.for_book("other").void(hold_id)
