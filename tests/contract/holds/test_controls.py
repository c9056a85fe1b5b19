"""Controls: overdraft limits, freezing, closing and adjusting; each is an entry, and refusals say which control."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pluct_ledger import (
    AccountClosed,
    AccountFrozen,
    AccountNotEmpty,
    AccountNotFound,
    IdempotencyMismatch,
    InsufficientCredit,
    InvalidArgument,
    Ledger,
    Receipt,
    SigningKeys,
    TokenVendor,
)
from tests.clock import FrozenClock
from tests.contract.callers import Caller
from tests.contract.holds.logs import HOUR, log_of, totals


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger in which ada has 10 and bob an account."""
    ledger.grant("ada", 10)
    ledger.open_account("bob")
    return ledger


CONTROLS: dict[str, Callable[..., Receipt]] = {
    "limit": lambda ledger, owner, **said: ledger.set_overdraft_limit(owner, 5, **said),
    "freeze": lambda ledger, owner, **said: ledger.freeze(owner, **said),
    "unfreeze": lambda ledger, owner, **said: ledger.unfreeze(owner, **said),
    "close": lambda ledger, owner, **said: ledger.close(owner, **said),
}


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_a_control_is_an_entry(ledger: Ledger, control: Callable[..., Receipt]) -> None:
    """Each control moves nothing, stands in the log with its reason, is known by its key, and needs an account."""
    receipt = control(ledger, "bob", idempotency_key="k", reason="by hand", actor="clerk", kind="upkeep")
    entries = ledger.account("bob").entry_count

    again = control(ledger, "bob", idempotency_key="k", kind="upkeep")

    assert (receipt.operation, receipt.kind, receipt.amount, receipt.held_after) == (
        "control",
        "upkeep",
        0,
        0,
    )
    entry = ledger.entry(receipt.entry_id)
    assert (entry.reason, entry.actor, entry.counter) == ("by hand", "clerk", "none")
    assert (again.replayed, again.entry_id, entries) == (True, receipt.entry_id, 1)
    assert ledger.account("bob").entry_count == entries
    with pytest.raises(AccountNotFound):
        control(ledger, "nobody")


def test_controls_under_one_key_are_told_apart(ledger: Ledger) -> None:
    """A key that froze does not unfreeze, close or set a limit, and another limit is a mismatch."""
    ledger.freeze("bob", idempotency_key="k")
    ledger.set_overdraft_limit("bob", 5, idempotency_key="limit")

    repeats: list[tuple[str, Callable[[], object]]] = [
        ("status", lambda: ledger.unfreeze("bob", idempotency_key="k")),
        ("status", lambda: ledger.close("bob", idempotency_key="k")),
        ("overdraft_limit", lambda: ledger.set_overdraft_limit("bob", 6, idempotency_key="limit")),
        ("overdraft_limit", lambda: ledger.set_overdraft_limit("bob", None, idempotency_key="limit")),
    ]
    for field, repeat in repeats:
        with pytest.raises(IdempotencyMismatch) as refused:
            repeat()
        assert refused.value.field == field


def test_an_overdraft_limit_says_how_much_may_be_owed(ledger: Ledger) -> None:
    """Up to the limit is spent, held and sent; beyond it is refused with what is available."""
    ledger.set_overdraft_limit("ada", 5)
    assert (ledger.account("ada").overdraft_limit, totals(ledger, "ada")) == (5, (10, 0, 10))

    ledger.spend("ada", 12)
    uses: list[Callable[[], object]] = [
        lambda: ledger.spend("ada", 4),
        lambda: ledger.authorize("ada", 4, ttl=HOUR),
        lambda: ledger.transfer("ada", "bob", 4),
    ]
    for use in uses:
        with pytest.raises(InsufficientCredit) as refused:
            use()
        assert refused.value.available == -2
    ledger.transfer("ada", "bob", 1)

    assert ledger.spend("ada", 9, up_to=True).amount == -2
    assert totals(ledger, "ada") == (-5, 0, -5)


def test_a_limit_may_be_set_below_what_is_owed(ledger: Ledger) -> None:
    """A lowered limit takes nothing away: it refuses until enough is repaid."""
    ledger.set_overdraft_limit("ada", 5)
    ledger.spend("ada", 15)

    ledger.set_overdraft_limit("ada", 2)
    assert totals(ledger, "ada") == (-5, 0, -5)
    for up_to in (False, True):
        with pytest.raises(InsufficientCredit):
            ledger.spend("ada", 1, up_to=up_to)
    ledger.grant("ada", 3)
    with pytest.raises(InsufficientCredit):
        ledger.spend("ada", 1)
    ledger.grant("ada", 1)

    assert ledger.spend("ada", 1).posted_after == -2
    ledger.set_overdraft_limit("ada", 0)
    with pytest.raises(InsufficientCredit):
        ledger.spend("ada", 1)


def test_no_limit_lets_everything_through(ledger: Ledger) -> None:
    """With None for a limit whatever is asked for may be owed."""
    ledger.set_overdraft_limit("ada", None)

    assert ledger.spend("ada", 1_000_000).posted_after == 10 - 1_000_000
    assert ledger.spend("ada", 7, up_to=True).amount == -7
    assert ledger.account("ada").overdraft_limit is None


@pytest.mark.parametrize("limit", [-1, 2**53, 1.5, True, "5"])
def test_a_limit_is_an_amount_or_none(ledger: Ledger, caller: Caller, limit: object) -> None:
    """Anything but 0 to 2^53-1 or None is a wrong argument."""
    before = caller.rows()

    with pytest.raises(InvalidArgument):
        ledger.set_overdraft_limit("ada", limit)  # type: ignore[arg-type]  # what a host may hand in all the same

    assert caller.rows() == before


def test_a_frozen_account_refuses_every_use(ledger: Ledger, caller: Caller) -> None:
    """Spend, authorize, transfer out and vend are refused while frozen, however much there is."""
    vendor = TokenVendor(ledger, keys=SigningKeys.hs256(b"k" * 32))
    ledger.freeze("ada")
    before = caller.rows()

    uses: list[Callable[[], object]] = [
        lambda: ledger.spend("ada", 1),
        lambda: ledger.spend("ada", 1, up_to=True),
        lambda: ledger.authorize("ada", 1, ttl=HOUR),
        lambda: ledger.transfer("ada", "bob", 1),
        lambda: vendor.vend("ada"),
    ]
    for use in uses:
        with pytest.raises(AccountFrozen) as refused:
            use()
        assert refused.value.owner == "ada"
    assert caller.rows() == before
    assert ledger.account("ada").status == "frozen"


def test_a_frozen_account_lets_all_else_through(ledger: Ledger, clock: FrozenClock) -> None:
    """Credit comes in, and captures, voids, extensions, reversals, adjustments, controls and dues go on."""
    spent = ledger.spend("ada", 2)
    sent = ledger.transfer("ada", "bob", 2)
    ledger.grant("bob", 5)
    captured, voided, lapsed = (ledger.authorize("ada", 1, ttl=HOUR).hold_id for _ in range(3))
    ledger.freeze("ada")

    granted = ledger.grant("ada", 4, expires_at=clock() + HOUR)
    ledger.grant("ada", 3, effective_at=clock() + HOUR)
    ledger.transfer("bob", "ada", 1)
    ledger.capture(captured, 2, allow_over=True)
    ledger.void(voided)
    ledger.extend(lapsed, ttl=HOUR)
    ledger.reverse(spent.entry_id)
    ledger.reverse(sent.entry_id)
    ledger.reverse(granted.entry_id, 1)
    ledger.adjust("ada", -1, reason="charged back")
    ledger.set_overdraft_limit("ada", 1)
    clock.advance(HOUR)

    # 10 as reversals restored it, and 4 granted, 1 received, 2 captured, 1 taken back, 1 adjusted, 1 expired, 3 begun.
    before = ledger.balance("ada")
    assert (before.posted, before.held) == (13, 0)
    ledger.freeze("ada")
    assert [line[0] for line in log_of(ledger, "ada")][-4:] == ["void", "expire", "activate", "control"]
    assert (ledger.balance("ada"), ledger.account("ada").status) == (before, "frozen")


def test_a_frozen_target_gives_back_what_it_received(ledger: Ledger) -> None:
    """A transfer to an account that is frozen since is reversed all the same."""
    sent = ledger.transfer("ada", "bob", 4)
    ledger.freeze("bob")

    ledger.reverse(sent.entry_id)

    assert (totals(ledger, "ada"), totals(ledger, "bob")) == ((10, 0, 10), (0, 0, 0))


def test_an_unfrozen_account_is_as_before(ledger: Ledger) -> None:
    """After unfreezing everything is used again; both controls may be repeated without a key."""
    for _ in range(2):
        ledger.freeze("ada")
    for _ in range(2):
        ledger.unfreeze("ada")

    assert ledger.spend("ada", 10).posted_after == 0
    assert (ledger.account("ada").status, ledger.account("ada").entry_count) == ("open", 6)


FILLED: list[tuple[Callable[[Ledger, FrozenClock], object], tuple[int, int, int]]] = [
    (lambda ledger, _clock: ledger.grant("bob", 1), (1, 0, 0)),
    (lambda ledger, _clock: (ledger.set_overdraft_limit("bob", 5), ledger.spend("bob", 1)), (-1, 0, 0)),
    (lambda ledger, _clock: (ledger.grant("bob", 2), ledger.authorize("bob", 1, ttl=HOUR)), (2, 1, 0)),
    (
        lambda ledger, _clock: (ledger.set_overdraft_limit("bob", 5), ledger.authorize("bob", 1, ttl=HOUR)),
        (0, 1, 0),
    ),
    (lambda ledger, clock: ledger.grant("bob", 3, effective_at=clock() + HOUR), (0, 0, 3)),
]


@pytest.mark.parametrize(
    ("fill", "facts"), FILLED, ids=["credit", "debt", "hold", "owed hold", "grant to come"]
)
def test_only_an_empty_account_is_closed(
    ledger: Ledger,
    caller: Caller,
    clock: FrozenClock,
    fill: Callable[[Ledger, FrozenClock], object],
    facts: tuple[int, int, int],
) -> None:
    """Credit, debt, a hold or a grant to come keeps an account open, and the refusal tells which."""
    fill(ledger, clock)
    before = caller.rows()

    with pytest.raises(AccountNotEmpty) as refused:
        ledger.close("bob")

    assert (refused.value.owner, refused.value.posted, refused.value.held, refused.value.pending) == (
        "bob",
        *facts,
    )
    assert caller.rows() == before


def test_what_time_has_emptied_is_closed(ledger: Ledger, clock: FrozenClock) -> None:
    """A hold that lapsed and a grant that expired keep nothing open, though nothing recorded them."""
    ledger.grant("bob", 3, expires_at=clock() + HOUR)
    ledger.authorize("bob", 3, ttl=2 * HOUR)
    clock.advance(2 * HOUR)

    ledger.close("bob")

    assert [line[0] for line in log_of(ledger, "bob")] == ["grant", "authorize", "void", "expire", "control"]


@pytest.mark.parametrize("status", ["open", "frozen"])
def test_a_closed_account_takes_nothing_ever_after(ledger: Ledger, caller: Caller, status: str) -> None:
    """Every write is refused on a closed account, as source, as target and by id; closing is final."""
    spent = ledger.spend("ada", 10)
    ledger.grant("bob", 1)
    sent = ledger.transfer("bob", "ada", 1)
    ledger.spend("ada", 1)
    if status == "frozen":
        ledger.freeze("ada")
    ledger.close("ada")
    before = caller.rows()

    writes: list[Callable[[], object]] = [
        lambda: ledger.grant("ada", 1),
        lambda: ledger.spend("ada", 1),
        lambda: ledger.authorize("ada", 1, ttl=HOUR),
        lambda: ledger.transfer("ada", "bob", 1),
        lambda: ledger.transfer("bob", "ada", 1),
        lambda: ledger.adjust("ada", 1, reason="x"),
        lambda: ledger.reverse(spent.entry_id),
        lambda: ledger.reverse(sent.entry_id, up_to=True),
        lambda: ledger.reverse(str(sent.counterpart_entry_id), up_to=True),
        lambda: ledger.capture(spent.entry_id),
        lambda: ledger.void(spent.entry_id),
        lambda: ledger.extend(spent.entry_id, ttl=HOUR),
        lambda: ledger.set_overdraft_limit("ada", 1),
        lambda: ledger.freeze("ada"),
        lambda: ledger.unfreeze("ada"),
        lambda: ledger.close("ada"),
    ]
    for write in writes:
        with pytest.raises(AccountClosed) as refused:
            write()
        assert refused.value.owner == "ada"
    assert caller.rows() == before
    assert ledger.account("ada").status == "closed"


def test_a_closed_account_answers_replays(ledger: Ledger) -> None:
    """What was done before is still answered under its key, and closing under its own."""
    spent = ledger.spend("ada", 10, idempotency_key="spend")
    closed = ledger.close("ada", idempotency_key="close")

    assert ledger.spend("ada", 10, idempotency_key="spend").entry_id == spent.entry_id
    assert ledger.close("ada", idempotency_key="close").entry_id == closed.entry_id
    with pytest.raises(IdempotencyMismatch):
        ledger.spend("ada", 9, idempotency_key="spend")


def test_an_adjustment_ignores_limits_and_uses_in_order(ledger: Ledger, clock: FrozenClock) -> None:
    """Down past zero or up, with a reason; what is taken is taken in the order of use, what is held stays held."""
    ledger.grant("ada", 5, expires_at=clock() + HOUR)
    ledger.authorize("ada", 7, ttl=HOUR)

    receipt = ledger.adjust("ada", -20, reason="charged back")

    assert (receipt.operation, receipt.posted_after, receipt.available_after) == ("adjust", -5, -12)
    assert ledger.account("ada").adjusted == -20
    assert ledger.adjust("ada", 12, reason="found").available_after == 0
    for reason in ("", "  ", None):
        with pytest.raises(InvalidArgument):
            ledger.adjust("ada", 1, reason=reason)


def test_a_grant_beside_a_debt_keeps_an_account_open(ledger: Ledger, clock: FrozenClock) -> None:
    """An account whose grant and debt come to 0 cannot be closed: the grant would expire and leave the debt."""
    ledger.open_account("eve", overdraft_limit=5)
    ledger.grant("eve", 5, expires_at=clock() + HOUR)
    first = ledger.spend("eve", 5)
    ledger.spend("eve", 5)
    ledger.reverse(first.entry_id)
    assert ledger.balance("eve").posted == 0

    with pytest.raises(AccountNotEmpty):
        ledger.close("eve")
