"""Decisions: what a command does to accounts that are known, without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger.domain.accounts import AccountState, Status, account_id_of, empty_account
from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Transfer
from pluct_ledger.domain.decisions import Decision, Names, check_accounts, decide, receipt_of
from pluct_ledger.domain.entries import Counter, digest_of_record
from pluct_ledger.domain.idempotency import key_hash_of
from pluct_ledger.domain.intents import Intent, happened, intent_of, keyed
from pluct_ledger.domain.positions import Position, fold
from pluct_ledger.errors import (
    AccountClosed,
    AccountNotFound,
    BalanceLimitExceeded,
    InsufficientCredit,
    InvalidArgument,
    PluctError,
)

NAMES = Names("default", "credit")
MOST = 2**53 - 1
SALT = b"\x09" * 16


def account(owner: str, **values: Any) -> AccountState:
    """Return an account at instant 100, whose posted was issued."""
    state = empty_account("default", owner, "credit", opened_at=100)
    return replace(state, **{"issued": values.get("posted", 0), **values})


def intent(command: Any) -> Intent:
    """Return the checked command."""
    return intent_of(command, book="default", asset="credit", max_amount=MOST, salt=lambda: SALT)


def positions_of(*accounts: AccountState) -> dict[bytes, Position]:
    """Return these accounts as a batch knows them."""
    return {state.account_id: Position(state) for state in accounts}


def decided(command: Any, *accounts: AccountState, now: int = 200) -> Decision:
    """Decide a command upon these accounts."""
    wanted = command if isinstance(command, Intent) else intent(command)
    known = positions_of(*accounts)
    check_accounts(wanted, known, NAMES)
    return decide(wanted, known, names=NAMES, now=now)


def account_after(command: Any, *accounts: AccountState) -> AccountState:
    """Return the account that a command is keyed on, as it is afterwards."""
    return decided(command, *accounts).positions[0].account


COMMANDS = st.one_of(
    st.builds(Issue, st.sampled_from(["ada", "bob"]), st.integers(1, 30)),
    st.builds(Spend, st.sampled_from(["ada", "bob"]), st.integers(1, 30), up_to=st.booleans()),
    st.builds(Transfer, st.just("ada"), st.just("bob"), st.integers(1, 30)),
    st.builds(Transfer, st.just("bob"), st.just("ada"), st.integers(1, 30)),
    st.builds(Adjust, st.just("ada"), st.integers(-30, 30).filter(bool), reason=st.just("x")),
)


def may_take(command: Any, known: dict[bytes, Position]) -> bool:
    """Tell whether there is enough for a spend or a transfer."""
    if not isinstance(command, Spend | Transfer):
        return True
    owner = command.owner if isinstance(command, Spend) else command.source
    spendable = known[account_id_of("default", owner, "credit")].account.spendable
    least = 1 if isinstance(command, Spend) and command.up_to else command.amount
    return spendable is None or spendable >= least


@given(
    commands=st.lists(st.tuples(COMMANDS, st.integers(0, 999)), max_size=12),
    limit=st.none() | st.integers(0, 20),
)
def test_every_decision_keeps_the_books(commands: list[tuple[Any, int]], limit: int | None) -> None:
    """Whatever is decided, entries fold into the states, pairs cancel out, instants go on and limits hold."""
    known = positions_of(account("ada", overdraft_limit=limit), account("bob"))
    for command, now in commands:
        if not may_take(command, known):
            with pytest.raises(InsufficientCredit):
                decide(intent(command), known, names=NAMES, now=now)
            continue
        decision = decide(intent(command), known, names=NAMES, now=now)
        for entry, position in zip(decision.entries, decision.positions, strict=True):
            before, after = known[entry.account_id].account, position.account
            assert position == fold(known[entry.account_id], entry, ())
            assert (entry.posted_after, entry.seq) == (after.posted, before.seq + 1)
            assert entry.at >= max(before.last_at, now)
            assert entry.digest == digest_of_record(entry)
            if entry.amount < 0 and not isinstance(command, Adjust):
                assert after.overdraft_limit is None or after.available >= -after.overdraft_limit
        if isinstance(command, Transfer):
            assert sum(entry.amount for entry in decision.entries) == 0
            assert decision.entries[0].at == decision.entries[1].at
        assert decision.keyed is decision.entries[0]
        owner = decision.positions[0].account.owner
        assert decision.receipt == receipt_of(decision.entries[0], owner=owner, names=NAMES)
        known.update((position.account.account_id, position) for position in decision.positions)
    assert sum(position.account.moved for position in known.values()) == 0


def test_deciding_changes_nothing() -> None:
    """The accounts that a command is decided upon stay as they were."""
    ada, bob = account("ada", posted=10), account("bob")
    copies = replace(ada), replace(bob)

    decided(Transfer("ada", "bob", 4), ada, bob)

    assert (ada, bob) == copies


def test_the_source_is_missed_before_the_target() -> None:
    """Where both accounts of a transfer are missing, the source is named."""
    for accounts, missing in (((), "ada"), ((account("bob"),), "ada"), ((account("ada"),), "bob")):
        with pytest.raises(AccountNotFound) as refused:
            decided(Transfer("ada", "bob", 1), *accounts)
        assert refused.value.owner == missing


def test_only_grants_and_openings_do_without_an_account() -> None:
    """A grant decides upon an empty account where there is none, and so does an opening."""
    granted = account_after(Issue("ada", 5))
    opened = account_after(OpenAccount("ada"))

    assert (granted.posted, granted.seq, granted.opened_at) == (5, 1, 200)
    assert (opened.posted, opened.seq, opened.opened_at) == (0, 0, 200)


def test_history_happened_whatever_the_limits_say() -> None:
    """A historic spend passes the limits of credit and of frozen accounts, at its own instant, and not a closed one."""
    spend = happened(intent(Spend("ada", 50)), at=150)

    decision = decided(spend, account("ada", posted=10, status=Status.FROZEN))

    assert (decision.positions[0].account.posted, decision.entries[0].at) == (-40, 150)
    assert decided(happened(intent(Spend("ada", 5)), at=50), account("ada", posted=10)).entries[0].at == 100
    with pytest.raises(AccountClosed):
        decided(spend, account("ada", posted=10, status=Status.CLOSED))


def test_a_key_that_was_made_is_kept_as_a_hash_only() -> None:
    """A key that the caller gave stands in the entry, and one that was made for him only as its hash."""
    ada = account("ada", posted=10)
    for made in (False, True):
        wanted = keyed(intent(Spend("ada", 1)), "k", key_hash_of("k"), made=made)
        (entry,) = decided(wanted, ada).entries
        assert entry.idempotency_key == (None if made else "k")
        assert entry.key_hash == key_hash_of("k")


def test_a_pair_has_its_key_and_terms_at_the_source_only() -> None:
    """The target's entry of a transfer has the remarks, and neither the key nor the terms."""
    wanted = keyed(intent(Transfer("ada", "bob", 1, reason="r")), "k", key_hash_of("k"), made=False)
    paid, received = decided(wanted, account("ada", posted=1), account("bob")).entries

    assert (paid.key_hash, received.key_hash) == (key_hash_of("k"), None)
    assert (paid.reason, received.reason) == ("r", "r")
    assert (paid.counter_account_id, paid.counter_seq) == (received.account_id, received.seq)
    assert (received.counter_account_id, received.counter_seq) == (paid.account_id, paid.seq)


def test_a_salt_is_kept_where_there_is_something_to_hide() -> None:
    """Entries with a reason, an actor or metadata are salted, and plain ones are not."""
    ada = account("ada", posted=10)
    for command in (Spend("ada", 1, reason="r"), Spend("ada", 1, actor=""), Spend("ada", 1, metadata={})):
        assert decided(command, ada).entries[0].salt == SALT
    assert decided(Spend("ada", 1), ada).entries[0].salt is None


@pytest.mark.parametrize(
    ("command", "values"),
    [
        (Issue("ada", 2), {"posted": MOST - 1}),
        (Adjust("ada", 2, reason="x"), {"posted": MOST - 1}),
        (Adjust("ada", -2, reason="x"), {"posted": 1 - MOST}),
        (Spend("ada", 2), {"posted": 1 - MOST, "overdraft_limit": None}),
        (Issue("ada", 2), {"issued": 2**61 - 2}),
        (Spend("ada", 2), {"posted": 2, "spent": 2**61 - 2}),
        (Adjust("ada", 2, reason="x"), {"adjusted": 2**61 - 2}),
        (Adjust("ada", -2, reason="x"), {"adjusted": 2 - 2**61}),
    ],
)
def test_no_number_leaves_its_bounds(command: Any, values: dict[str, int | None]) -> None:
    """A balance beyond 2^53 - 1 and a running total beyond 2^61 - 1 are refused, and one less is taken."""
    ada = account("ada", **values)

    with pytest.raises(BalanceLimitExceeded):
        decided(command, ada)
    amount = (
        {"amount": 1} if not isinstance(command, Adjust) else {"signed_amount": command.signed_amount // 2}
    )
    assert account_after(replace(command, **amount), ada).seq == 1


def test_running_totals_add_up_within_64_bits() -> None:
    """Five totals at their bounds, with whatever signs, add up to a signed 64-bit number in the order of the check."""
    most = 2**61 - 1
    for issued, spent, expired, adjusted, moved in ((most, 0, 0, most, most), (0, most, most, -most, -most)):
        sums = [issued, issued - spent, issued - spent - expired]
        sums += [sums[-1] + adjusted, sums[-1] + adjusted + moved]
        assert all(-(2**63) <= each < 2**63 for each in sums)


def test_the_first_wrong_argument_is_named() -> None:
    """Arguments are checked in order: the owner, the amount, how it is spent, then what is said of it."""
    wrong: dict[str, Any] = {"owner": "", "amount": 0, "up_to": 1, "kind": "", "reason": 5}
    good: dict[str, Any] = {"owner": "ada", "amount": 1, "up_to": False, "kind": None, "reason": None}
    named = []
    for name in wrong:
        with pytest.raises(InvalidArgument) as refused:
            intent(Spend(**wrong))
        named.append(refused.value.argument)
        wrong[name] = good[name]
    assert named == list(good)


def test_what_is_no_command_is_none() -> None:
    """Only the commands themselves are taken, not what looks like one."""

    class Lookalike(Spend):
        """A spend of somebody else's."""

    for wrong in (None, "spend", Lookalike("ada", 1)):
        with pytest.raises(PluctError, match="not a command"):
            intent(wrong)


def test_the_counter_tells_the_other_side() -> None:
    """Grants are issued, spends spent, adjustments adjusted, and transfers are with an account."""
    ada, bob = account("ada", posted=10), account("bob")
    counters = [
        decided(command, ada, bob).entries[0].counter
        for command in (
            Issue("ada", 1),
            Spend("ada", 1),
            Adjust("ada", 1, reason="x"),
            Transfer("ada", "bob", 1),
        )
    ]

    assert counters == [Counter.ISSUED, Counter.SPENT, Counter.ADJUSTED, Counter.ACCOUNT]
    assert decided(OpenAccount("eve", overdraft_limit=5)).entries[0].counter is Counter.NONE
    assert decided(OpenAccount("eve", initial=5)).entries[0].counter is Counter.ISSUED
    assert decided(OpenAccount("eve")).entries == ()
    assert account_id_of("default", "eve", "credit") == account_after(OpenAccount("eve")).account_id
