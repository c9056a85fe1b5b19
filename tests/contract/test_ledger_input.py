"""Input: the same verdict on every database before any statement, and every text comes back as it went in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from pluct_ledger import InvalidArgument, Ledger
from tests.clock import FrozenClock
from tests.contract.callers import Caller, counted_statements

MOST = 2**53 - 1


class Three(IntEnum):
    """A number in disguise."""

    THREE = 3


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


BAD_AMOUNTS = [0, -1, True, False, 1.0, Decimal(1), "1", b"1", None, Three.THREE, MOST + 1, 2**63, 2**64, [1]]
BAD_CHANGES = [0, False, True, 1.0, "1", None, MOST + 1, -MOST - 1, 2**64]
BAD_NAMES = ["", None, 5, b"ada", ["a"], "a\0", "\0", "\ud800", "a\udfff", "a" * 256, "é" * 128, "😀" * 64]
BAD_BOOKS = ["", None, 5, b"a", "a\0", "\ud800", "a" * 65, "é" * 33]
BAD_KINDS = ["", "A", "aB", "1a", "_a", "a-b", "a b", "a\n", "é", "a" * 65, 5, b"a", ["a"]]
NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 - that it is naive is the point
BAD_INSTANTS = [NAIVE, date(2030, 1, 1), "2030-01-01T00:00:00Z", 0, 1.5, timedelta(1)]
BAD_FLAGS = [None, 0, 1, "yes", b""]
BAD_LIMITS = [0, -1, 1001, True, 1.0, "5", None, 10**30]
BAD_OVERDRAFTS = [-1, True, False, 1.0, "1", MOST + 1]
BAD_REASONS = [5, b"x", "x" * 501, "😀" * 501, "a\0b", "\ud800", ["x"]]
BAD_ACTORS = [5, b"x", "x" * 256, "a\0b", "\udfff"]
BAD_METADATA: list[object] = [
    [],
    "x",
    5,
    True,
    OrderedDict(a=1),
    {1: "a"},
    {None: "a"},
    {("a",): 1},
    {"a": float("nan")},
    {"a": [float("inf")]},
    {"a": {"b": float("-inf")}},
    {"a": (1,)},
    {"a": {1}},
    {"a": b"x"},
    {"a": Decimal(1)},
    {"a": datetime(2030, 1, 1, tzinfo=UTC)},
    {"a": Three.THREE},
    {"a": MOST + 1},
    {"a": [-MOST - 1]},
    {"a": "x\0"},
    {"a\0": 1},
    {"a": "\ud800"},
    {"\udfff": 1},
    {"a": nested(32)},
    {"a": "x" * 8_185},
    {"a": "é" * 4_093},
]
OPTIONS: dict[str, list[Any]] = {
    "idempotency_key": [bad for bad in BAD_NAMES if bad is not None],
    "kind": BAD_KINDS,
    "reason": BAD_REASONS,
    "actor": BAD_ACTORS,
    "metadata": BAD_METADATA,
    "event_at": BAD_INSTANTS,
}
Case = tuple[str, object, Callable[[], object]]


def writes_of(
    ledger: Ledger,
) -> dict[str, tuple[Callable[..., object], dict[str, Any], dict[str, list[Any]]]]:
    """Every write by name, with good arguments, and what is bad for each beside the options of all writes."""
    terms: dict[str, list[Any]] = {
        "expires_at": [datetime(2040, 1, 1), timedelta(0), timedelta(days=-1), timedelta(days=40_000), 5],  # noqa: DTZ001 - naive on purpose
        "effective_at": [datetime(2040, 1, 1), timedelta(days=1), "now"],  # noqa: DTZ001 - naive on purpose
        "priority": [32_768, -32_768, True, None, 0.0, "0"],
        "label": [bad for bad in BAD_NAMES if bad is not None],
        "granted_by": [5, "", b"partner"],
    }
    return {
        "open_account": (
            ledger.open_account,
            {"owner": "ada"},
            {
                "owner": BAD_NAMES,
                "initial": [bad for bad in BAD_AMOUNTS if type(bad) is not int or bad != 0],
                "overdraft_limit": BAD_OVERDRAFTS,
            },
        ),
        "grant": (
            ledger.grant,
            {"owner": "ada", "amount": 1},
            {"owner": BAD_NAMES, "amount": BAD_AMOUNTS, **terms},
        ),
        "spend": (
            ledger.spend,
            {"owner": "ada", "amount": 1},
            {"owner": BAD_NAMES, "amount": BAD_AMOUNTS, "up_to": BAD_FLAGS},
        ),
        "transfer": (
            ledger.transfer,
            {"source": "ada", "target": "bob", "amount": 1},
            {"source": BAD_NAMES, "target": [*BAD_NAMES, "ada"], "amount": BAD_AMOUNTS},
        ),
        "adjust": (
            ledger.adjust,
            {"owner": "ada", "signed_amount": 1, "reason": "x"},
            {"owner": BAD_NAMES, "signed_amount": BAD_CHANGES, "reason": [None, "", " ", "\n\t"]},
        ),
    }


def bad_writes(ledger: Ledger) -> Iterator[Case]:
    for write, good, bad in writes_of(ledger).values():
        for argument in (*bad, *OPTIONS):
            for value in (*bad.get(argument, ()), *OPTIONS.get(argument, ())):
                yield argument, value, lambda w=write, g=good, a=argument, v=value: w(**{**g, a: v})  # type: ignore[misc]  # a lambda with defaults has no type of its own


def bad_reads(ledger: Ledger) -> Iterator[Case]:
    an_id = "0" * 32
    bad: list[tuple[Callable[..., object], dict[str, Any], str, list[Any]]] = [
        (ledger.account_id, {}, "owner", BAD_NAMES),
        (ledger.account, {}, "owner", BAD_NAMES),
        (ledger.balance, {}, "owner", BAD_NAMES),
        (ledger.balances, {}, "owners", ["ada", b"ada", None, 5]),
        (ledger.accounts, {}, "limit", BAD_LIMITS),
        (ledger.accounts, {}, "after", [bad for bad in BAD_NAMES if bad is not None]),
        (ledger.entries, {}, "owner", [bad for bad in BAD_NAMES if bad is not None]),
        (ledger.entries, {}, "limit", BAD_LIMITS),
        (ledger.entries, {}, "before", ["", "1", f"1.{an_id}", f"1.{an_id}.0", f"1.{an_id}.1 ", 5, b"1"]),
        (ledger.entries, {}, "before", [f"{'1' * 19}.{an_id}.1", f"1.{an_id}.{'1' * 19}", f"1.{'G' * 32}.1"]),
        (
            ledger.entries,
            {"owner": "ada"},
            "before",
            ["", "0", "-1", "x", "01", "1.0", "1\n", "\uff11", "1" * 19],
        ),
        (ledger.entries, {"owner": "ada"}, "before", [5, b"1", True, f"1.{an_id}.1"]),
        (ledger.entries, {}, "since", BAD_INSTANTS),
        (ledger.entries, {}, "until", BAD_INSTANTS),
        (ledger.entries, {}, "kinds", ["spend", b"spend", 5, True, *([bad] for bad in BAD_KINDS)]),
        (ledger.entries, {}, "kinds", [[f"k{number}" for number in range(101)]]),
        (ledger.entry, {}, "entry_id", ["", None, 5, "x", an_id, f"{an_id}.0", f"{an_id}.01", f"{an_id}.-1"]),
        (
            ledger.entry,
            {},
            "entry_id",
            [f"{an_id}.1\n", f"{'A' * 32}.1", f"{an_id[1:]}.1", f"{an_id}.{'1' * 19}"],
        ),
        (ledger.find, {"idempotency_key": "k"}, "owner", BAD_NAMES),
        (ledger.find, {"owner": "ada"}, "idempotency_key", BAD_NAMES),
        (ledger.verify, {}, "owner", [bad for bad in BAD_NAMES if bad is not None]),
        (ledger.verify, {}, "progress", [5, "x"]),
        (ledger.apply_many, {}, "commands", ["spend", b"", None, 5]),
        (ledger.apply_many, {"commands": []}, "atomic", BAD_FLAGS),
        (ledger.for_book, {}, "book", BAD_BOOKS),
        (ledger.for_asset, {}, "asset", BAD_BOOKS),
        (ledger.using, {}, "host", [None, "x", ledger, ledger.desk.door.engine]),
    ]
    for call, good, argument, values in bad:
        for value in values:
            yield argument, value, lambda c=call, g=good, a=argument, v=value: c(**{**g, a: v})  # type: ignore[misc]  # a lambda with defaults has no type of its own


def wrong_verdicts(cases: Iterator[Case]) -> list[str]:
    """Say of which cases the verdict was not that this argument is invalid."""
    wrong = []
    for argument, value, call in cases:
        shown = f"{argument}={value!r:.60}"
        try:
            call()
        except InvalidArgument as refused:
            # `using` and the items of `owners` are named for what they are.
            if refused.argument not in {argument, {"host": "using"}.get(argument)}:
                wrong.append(f"{shown}: {refused.argument} was named")
        except Exception as error:  # noqa: BLE001 - whatever else is raised is the wrong verdict
            wrong.append(f"{shown}: {error!r:.200}")
        else:
            wrong.append(f"{shown}: was accepted")
    return wrong


@pytest.mark.parametrize("cases", [bad_writes, bad_reads])
def test_a_bad_argument_is_named_before_any_statement(
    ledger: Ledger, caller: Caller, cases: Callable[[Ledger], Iterator[Case]]
) -> None:
    """Whatever is wrong with an argument is told by its name, and the database is not asked."""
    checkouts: list[object] = []
    event.listen(caller.engine, "checkout", lambda *arguments: checkouts.append(arguments))

    with counted_statements(caller.engine) as sent:
        wrong = wrong_verdicts(cases(ledger))

    assert not wrong, "\n".join(wrong)
    assert (sent, checkouts) == ([], [])


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("engine", [None, "sqlite://", 5]),
        ("book", BAD_BOOKS),
        ("asset", BAD_BOOKS),
        ("schema", ["", 5, "a\0", "a" * 64]),
        ("clock", [None, 5, "now"]),
        ("max_amount", BAD_AMOUNTS),
        ("hooks", [None, 5, "x", [5], ["x"]]),
    ],
)
def test_a_ledger_is_not_made_of_bad_arguments(argument: str, values: list[Any]) -> None:
    """What a ledger is made of is checked when it is made."""
    engine = create_engine("sqlite://")

    assert not wrong_verdicts(
        (argument, value, lambda value=value: Ledger(**{"engine": engine, argument: value}))  # type: ignore[misc]  # as above
        for value in values
    )


def test_a_clock_without_a_zone_is_refused(caller: Caller) -> None:
    """A clock that tells naive instants makes a write an invalid argument that names it, and nothing is left."""
    ledger = caller.ledger(clock=lambda: NAIVE)
    before = caller.rows()

    with pytest.raises(InvalidArgument) as refused:
        ledger.grant("ada", 1)

    assert refused.value.argument == "clock"
    assert caller.rows() == before


TEXTS = [
    "a",
    "A",
    "a ",
    " a",
    "a\t",
    "a\n",
    "a\u00a0",
    "ä",
    "a\u0308",
    "å",
    "\u212b",
    "ß",
    "ss",
    "ﬁ",
    "fi",
    "\u0131",
    "i",
    "İ",
    "😀",
    "😁",
    "👨\u200d👩\u200d👧",
    "שלום",
    "\u202eabc",
    "مرحبا",
    "%",
    "_",
    "%s",
    "%(a)s",
    ":a",
    "?",
    "'",
    '"',
    "''",
    "\\",
    "\\\\",
    "\\'",
    "`",
    "; DROP TABLE pluct_entry; --",
    "\x01",
    "\x7f",
    "\ufeff",
    "\ufffd",
    "\uffff",
    "\U0010ffff",
    "null",
    "None",
    "0",
    "00",
    "x" * 255,
    "x" * 254 + "y",
    "é" * 127 + "x",
    "😀" * 63 + "abc",
]


def test_every_owner_is_a_person_of_his_own(ledger: Ledger, committed: Ledger, caller: Caller) -> None:
    """Owners that differ in one byte have different accounts, and each is called as he was named."""
    for number, owner in enumerate(TEXTS, start=1):
        assert ledger.grant(owner, number).seq == 1
    caller.settle()

    assert [account.owner for account in committed.accounts(limit=1000)] == sorted(TEXTS, key=str.encode)
    assert {owner: balance.posted for owner, balance in committed.balances(TEXTS).items()} == {
        owner: number for number, owner in enumerate(TEXTS, start=1)
    }
    assert [entry.owner for owner in TEXTS for entry in committed.entries(owner)] == TEXTS
    walked = [account.owner for account in committed.accounts(limit=3).all()]
    assert walked == sorted(TEXTS, key=str.encode)


def test_every_text_comes_back_as_it_went_in(ledger: Ledger, committed: Ledger, caller: Caller) -> None:
    """Keys, reasons, actors and metadata are never normalised, trimmed or cut, on whatever database."""
    for text in TEXTS:
        ledger.grant(
            "ada",
            1,
            idempotency_key=text,
            reason=text,
            actor=text[:255],
            metadata={text: [text], "a": {"b": text}},
        )
    caller.settle()

    for entry, text in zip(committed.entries("ada", limit=1000), reversed(TEXTS), strict=True):
        assert (entry.idempotency_key, entry.reason, entry.actor) == (text, text, text)
        assert entry.metadata == {text: [text], "a": {"b": text}}
        assert committed.find("ada", text) == entry


def test_books_and_assets_are_told_apart_byte_by_byte(ledger: Ledger) -> None:
    """Books and assets that differ in one byte are different ledgers, and neither begins where another ends."""
    names = [text for text in TEXTS if len(text.encode()) <= 64]
    for number, name in enumerate(names, start=1):
        ledger.for_book(name).grant("ada", number)
        ledger.for_asset(name).grant("ada", number)

    for number, name in enumerate(names, start=1):
        for apart in (ledger.for_book(name), ledger.for_asset(name)):
            assert [account.posted for account in apart.accounts()] == [number]
            assert [entry.amount for entry in apart.entries()] == [number]
    assert ledger.for_book("ab").account_id("c") != ledger.for_book("a").account_id("bc")


def test_the_largest_texts_are_kept_whole(ledger: Ledger, committed: Ledger, caller: Caller) -> None:
    """Reason, actor, kind and metadata are kept to their bounds, counted in characters or in bytes of JSON."""
    metadata = {"a": "é" * 4_092}
    largest = {"reason": "😀" * 500, "actor": "😀" * 255, "kind": "k" * 64, "metadata": metadata}

    receipt = ledger.grant("ada", 1, **largest)  # type: ignore[arg-type]  # a dict of options of several types
    deep = ledger.grant("ada", 1, metadata=nested(32))
    caller.settle()

    entry = committed.entry(receipt.entry_id)
    assert {name: getattr(entry, name) for name in largest} == largest
    assert committed.entry(deep.entry_id).metadata == nested(32)


def test_metadata_keeps_its_numbers(ledger: Ledger) -> None:
    """Numbers in metadata come back with their type and to the last digit."""
    metadata: dict[str, Any] = {
        "ints": [0, -1, MOST, -MOST],
        "floats": [0.0, -0.0, 0.1, 1e300, -5e-324, 1.0],
        "flags": [True, False, None],
    }

    entry = ledger.entry(ledger.grant("ada", 1, metadata=metadata).entry_id)

    assert repr(entry.metadata) == repr(dict(sorted(metadata.items())))


def test_metadata_is_kept_as_it_was_handed_in(ledger: Ledger) -> None:
    """What becomes of a dict after the call does not change what was written."""
    metadata: dict[str, Any] = {"lines": [1]}
    receipt = ledger.grant("ada", 1, metadata=metadata)
    metadata["lines"].append(2)

    assert ledger.entry(receipt.entry_id).metadata == {"lines": [1]}


@pytest.mark.parametrize(
    "instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=["first", "last"]
)
def test_instants_reach_from_the_first_to_the_last(ledger: Ledger, instant: datetime) -> None:
    """The world's time may be any instant of the years 1 to 9999."""
    assert ledger.entry(ledger.grant("ada", 1, event_at=instant).entry_id).event_at == instant


def test_a_bad_argument_leaves_the_hosts_session_alone(engine: Engine, clock: FrozenClock) -> None:
    """An invalid argument does not even begin the transaction of the host's session."""
    with Session(engine) as session:
        with pytest.raises(InvalidArgument):
            Ledger(engine, clock=clock).using(session).spend("ada", 0)
        assert not session.in_transaction()
