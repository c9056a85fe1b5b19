"""Accounts: ids that follow from names, and the fold that replays a log."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger.domain.accounts import (
    AccountState,
    Status,
    account_id_of,
    account_of,
    empty_account,
    fold_account,
    ledger_id_of,
)
from pluct_ledger.domain.entries import Counter, EntryRecord, Operation
from pluct_ledger.domain.idempotency import key_hash_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
EMPTY = empty_account("default", "ada", "credit", opened_at=5)


def entry(seq: int, counter: Counter, amount: int, *, hold: int = 0, terms: str | None = None) -> EntryRecord:
    """Return an entry of which only what the fold looks at is right."""
    return EntryRecord(
        account_id=EMPTY.account_id,
        seq=seq,
        operation=Operation.ADJUST,
        kind=None,
        amount=amount,
        hold_amount=hold,
        posted_after=0,
        held_after=0,
        counter=counter,
        counter_account_id=None,
        counter_seq=None,
        concerns_seq=None,
        terms=terms,
        idempotency_key=None,
        key_hash=None,
        reason=None,
        actor=None,
        metadata=None,
        salt=None,
        digest=b"",
        event_at=None,
        at=seq * 10,
    )


def folded(state: AccountState, record: EntryRecord) -> AccountState:
    """Return the account after an entry with its terms."""
    return fold_account(state, record, {} if record.terms is None else json.loads(record.terms))


def test_ids_are_the_same_for_ever() -> None:
    """Ids are pinned: rows that were written are found by them."""
    assert account_id_of("default", "ada", "credit").hex() == "9adefcfb6429db7d158b73f518633c00"
    assert account_id_of("tenant é", "😀", "seat").hex() == "292d9876281f23de038caba7fb34c70f"
    assert ledger_id_of("default", "credit") == -8929271746110687792
    assert key_hash_of("k").hex() == "52f2bba5383e205d6456cc3b8b9a9237"


@given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
def test_names_do_not_run_into_one_another(one: tuple[str, str, str], another: tuple[str, str, str]) -> None:
    """Different books, owners and assets have different ids, also where their names together read the same."""
    assert (account_id_of(*one) == account_id_of(*another)) == (one == another)
    shifted = (one[0] + one[1][:1], one[1][1:], one[2])
    assert (account_id_of(*one) == account_id_of(*shifted)) == (one == shifted)
    assert -(2**63) <= ledger_id_of(one[0], one[2]) < 2**63
    assert (ledger_id_of(one[0], one[2]) == ledger_id_of(one[0] + one[2], "")) == (one[2] == "")


@pytest.mark.parametrize(
    ("counter", "total", "sign"),
    [
        (Counter.ISSUED, "issued", 1),
        (Counter.SPENT, "spent", -1),
        (Counter.EXPIRED, "expired", -1),
        (Counter.ADJUSTED, "adjusted", 1),
        (Counter.ACCOUNT, "moved", 1),
    ],
)
@pytest.mark.parametrize("amount", [7, -7])
def test_an_entry_moves_posted_and_the_total_of_its_other_side(
    counter: Counter, total: str, sign: int, amount: int
) -> None:
    """Each counter has its running total, and spent and expired count what left the account."""
    state = folded(EMPTY, entry(1, counter, amount))

    changed: dict[str, Any] = {"posted": amount, "seq": 1, "last_at": 10, total: sign * amount}
    assert state == replace(EMPTY, **changed)


def test_an_entry_without_another_side_moves_no_total() -> None:
    """A control entry counts, and moves nothing but what it holds."""
    assert folded(EMPTY, entry(1, Counter.NONE, 0, hold=3)) == replace(EMPTY, held=3, seq=1, last_at=10)


@pytest.mark.parametrize(
    ("terms", "limit"), [('{"overdraft_limit":5}', 5), ('{"overdraft_limit":null}', None)]
)
def test_an_overdraft_limit_is_replayed_from_its_entry(terms: str, limit: int | None) -> None:
    """The terms of an entry set the overdraft limit, and other terms leave it."""
    state = folded(EMPTY, entry(1, Counter.NONE, 0, terms=terms))

    assert state.overdraft_limit == limit
    assert folded(state, entry(2, Counter.ISSUED, 1, terms='{"opened":true}')).overdraft_limit == limit


@given(
    st.lists(
        st.tuples(st.sampled_from([each for each in Counter if each is not Counter.NONE]), st.integers(-9, 9))
    )
)
def test_posted_is_always_what_the_totals_come_to(log: list[tuple[Counter, int]]) -> None:
    """After any log, posted = issued - spent - expired + adjusted + moved, and is the sum of the amounts."""
    state = EMPTY
    for seq, (counter, amount) in enumerate(log, start=1):
        state = folded(state, entry(seq, counter, amount))

    assert state.posted == state.issued - state.spent - state.expired + state.adjusted + state.moved
    assert state.posted == sum(amount for _, amount in log)
    assert state.seq == len(log)


@pytest.mark.parametrize("status", list(Status))
def test_a_status_is_replayed_from_its_entry(status: Status) -> None:
    """The terms of an entry set the status of the account."""
    frozen = replace(EMPTY, status=Status.FROZEN)

    assert folded(frozen, entry(1, Counter.NONE, 0, terms=f'{{"status":"{status.word}"}}')).status is status
    assert folded(frozen, entry(1, Counter.ISSUED, 1)).status is Status.FROZEN


def test_the_fold_changes_nothing() -> None:
    """Replaying an entry makes a new state and leaves the one before as it was."""
    before = replace(EMPTY)
    folded(EMPTY, entry(1, Counter.ISSUED, 5))

    assert before == EMPTY


@pytest.mark.parametrize(
    ("limit", "posted", "held", "available", "spendable"),
    [(0, 10, 4, 6, 6), (5, 10, 4, 6, 11), (None, 10, 4, 6, None), (5, -3, 0, -3, 2), (0, -3, 0, -3, -3)],
)
def test_what_may_be_spent_is_what_is_available_and_the_overdraft(
    limit: int | None, posted: int, held: int, available: int, spendable: int | None
) -> None:
    """Available is posted less held, and a spend may go below by the overdraft limit."""
    state = replace(EMPTY, posted=posted, held=held, overdraft_limit=limit)

    assert (state.available, state.spendable) == (available, spendable)


@pytest.mark.parametrize("status", list(Status))
def test_an_account_is_shown_as_its_row_says(status: Status) -> None:
    """What the API shows of an account is its row, with words and instants for numbers."""
    state: AccountState = replace(
        EMPTY, posted=3, issued=3, held=1, seq=2, last_at=1_000_000, status=status, metadata='{"a":[1]}'
    )
    account = account_of(state)

    assert (account.account_id, account.owner, account.status) == (state.account_id.hex(), "ada", status.word)
    assert (account.posted, account.held, account.available, account.entry_count) == (3, 1, 2, 2)
    assert account.metadata == {"a": [1]}
    assert account.last_at is not None
    assert (account.opened_at.microsecond, account.last_at.second) == (5, 1)
    assert account_of(EMPTY).last_at is None
    assert [each.word for each in Status] == ["open", "frozen", "closed"]
