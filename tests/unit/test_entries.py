"""Entries: their ids, and digests that stand for all that was written."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluct_ledger.domain.entries import (
    Counter,
    EntryRecord,
    Operation,
    digest_of_record,
    entry_id_of,
    parse_entry_id,
    remark_of,
)
from pluct_ledger.errors import InvalidArgument

RECORD = EntryRecord(
    account_id=bytes(range(16)),
    seq=7,
    operation=Operation.TRANSFER,
    kind="gift",
    amount=-5,
    hold_amount=0,
    posted_after=12,
    held_after=0,
    counter=Counter.ACCOUNT,
    counter_account_id=bytes(range(16, 32)),
    counter_seq=3,
    concerns_seq=None,
    terms='{"a":1}',
    idempotency_key="k",
    key_hash=b"\x01" * 16,
    reason="thanks",
    actor="ada",
    metadata='{"b":2}',
    salt=b"\x02" * 16,
    digest=b"",
    event_at=1_000_000,
    at=2_000_000,
)
# The place in the log and what follows from it are the replay's to prove; the key's text is proved by its hash.
OUTSIDE = {"seq", "posted_after", "held_after", "counter_seq", "idempotency_key", "digest", "at"}
OTHERS: dict[str, list[Any]] = {
    "account_id": [bytes(16)],
    "operation": [Operation.SPEND],
    "kind": ["gifts", None],
    "amount": [5, -4],
    "hold_amount": [1],
    "counter": [Counter.SPENT],
    "counter_account_id": [bytes(16), None],
    "concerns_seq": [0, 1],
    "terms": ['{"a":2}', None],
    "key_hash": [bytes(16), None],
    "reason": ["thank", "", None],
    "actor": ["bob", "", None],
    "metadata": ['{"b":3}', None],
    "salt": [bytes(16), None],
    "event_at": [0, 1_000_001, None],
}


def test_a_digest_is_the_same_for_ever() -> None:
    """The digest of an entry is pinned: logs that were written are proved by it."""
    assert digest_of_record(RECORD).hex() == "874b2df83a6839b539ae23c872936e15"
    bare = replace(
        RECORD, kind=None, terms=None, key_hash=None, reason=None, actor=None, metadata=None, salt=None
    )
    assert digest_of_record(bare).hex() == "c4bdb5f9214cfc93048eee018a7e57e7"


def test_a_digest_stands_for_every_field_that_the_writer_knew() -> None:
    """A change of any field that was known before the database answered changes the digest, and no other does."""
    assert OTHERS.keys() | OUTSIDE == {field.name for field in fields(EntryRecord)}
    digests = {digest_of_record(RECORD)}
    changes = [(name, value) for name, values in OTHERS.items() for value in values]
    for name, value in changes:
        digests.add(digest_of_record(replace(RECORD, **{name: value})))
    assert len(digests) == len(changes) + 1
    moved = replace(RECORD, seq=8, posted_after=0, held_after=1, counter_seq=4, idempotency_key=None, at=0)
    assert digest_of_record(moved) == digest_of_record(RECORD)


@given(*(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3) for _ in range(3)))
def test_remarks_are_told_apart(reason: str | None, actor: str | None, metadata: str | None) -> None:
    """What was said where cannot be shifted: only the same three texts under the same salt have the same hash."""
    salt = b"\x05" * 16
    remark = remark_of(salt, reason, actor, metadata)

    assert len(remark) == 16
    for others in ((actor, reason, metadata), (reason, metadata, actor), (None, reason, actor)):
        assert (remark_of(salt, *others) == remark) == (others == (reason, actor, metadata))
    assert remark_of(b"\x06" * 16, reason, actor, metadata) != remark
    assert remark_of(None, reason, actor, metadata) == b""


@given(st.binary(min_size=16, max_size=16), st.integers(1, 10**18 - 1))
def test_an_entry_id_is_the_address_of_its_entry(account_id: bytes, seq: int) -> None:
    """An entry's id is read back as the account's id and the number."""
    assert parse_entry_id(entry_id_of(account_id, seq)) == (account_id, seq)


@given(st.text(st.sampled_from("0123456789abcdefAF. -+\n"), max_size=40))
def test_what_is_no_entry_id_is_refused(text: str) -> None:
    """Text is an entry id only as the ledger writes it: one spelling for one entry."""
    if re.fullmatch(r"[0-9a-f]{32}[.][1-9][0-9]{0,17}", text, re.ASCII):
        assert entry_id_of(*parse_entry_id(text)) == text
    else:
        with pytest.raises(InvalidArgument, match="entry_id"):
            parse_entry_id(text)


@pytest.mark.parametrize(
    "wrong", [f"{'0' * 32}.0", f"{'0' * 32}.01", f"{'A' * 32}.1", f"{'0' * 32}.1 ", None, 5]
)
def test_other_spellings_of_an_entry_id_are_refused(wrong: object) -> None:
    """Leading zeros, capitals and blanks make no entry id."""
    with pytest.raises(InvalidArgument):
        parse_entry_id(wrong)


def test_words_are_the_names_in_small_letters() -> None:
    """Operations and counters are told by small words, and their stored numbers are pinned."""
    assert {operation.word: int(operation) for operation in Operation} == {
        "grant": 1,
        "activate": 2,
        "spend": 3,
        "authorize": 4,
        "capture": 5,
        "void": 6,
        "expire": 7,
        "transfer": 8,
        "reverse": 9,
        "adjust": 10,
        "control": 11,
    }
    assert {counter.word: int(counter) for counter in Counter} == {
        "none": 0,
        "issued": 1,
        "spent": 2,
        "expired": 3,
        "adjusted": 4,
        "account": 5,
    }


def test_a_pair_is_named_by_its_id() -> None:
    """An entry of a transfer names its counterpart, and another names none."""
    assert RECORD.entry_id == "000102030405060708090a0b0c0d0e0f.7"
    assert RECORD.counterpart_entry_id == "101112131415161718191a1b1c1d1e1f.3"
    assert replace(RECORD, counter_account_id=None, counter_seq=None).counterpart_entry_id is None
