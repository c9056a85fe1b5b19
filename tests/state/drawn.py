"""What the machine draws: commands as hosts hand them in, good, repeated, contradicting and nonsensical."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Transfer
from tests.state.model import MOST, AnyCommand, Moving, payer_of

# Names that differ for us and are one name for a careless collation.
OWNERS: Final = ("ada", "ADA", "ada ", "ad\u00e1")
KEYS: Final = ("k1", "K1", "k1 ", "k2", "k\u00e9", "k3", "k4", "k5")

owners: Final = st.sampled_from(OWNERS)
# Mostly so little that an account runs dry, now and then so much that a balance meets its limit.
amounts: Final = st.integers(1, 30).map(lambda n: MOST if n >= 29 else n)
changes: Final = st.builds(lambda amount, sign: amount * sign, amounts, st.sampled_from((1, -1)))
limits: Final = st.sampled_from((0, 0, 0, 7, None))
moments: Final = st.integers(-10_000_000, 10_000_000).map(
    lambda micros: datetime(2029, 12, 31, tzinfo=UTC) + timedelta(microseconds=micros)
)

_texts: Final = st.sampled_from(("", "for the road", "\u2603 \U0001f4b8", "a\nb\tc"))
_remarks: Final[dict[str, st.SearchStrategy[Any]]] = {
    "reason": _texts,
    "actor": _texts,
    "metadata": st.sampled_from(({}, {"a": [1, 2.5, None]}, {"\u00e9": {"b": "\u2603"}})),
    "event_at": moments,
}
_options: Final = st.one_of(
    st.fixed_dictionaries({"idempotency_key": st.sampled_from(KEYS)}),
    st.fixed_dictionaries(
        {},
        optional={
            "idempotency_key": st.sampled_from(KEYS),
            "kind": st.sampled_from(("spend", "grant", "pack")),
            **_remarks,
        },
    ),
)


@st.composite
def openings(draw: st.DrawFn) -> OpenAccount:
    """Draw an opening of an account."""
    initial = draw(st.one_of(st.just(0), amounts))
    return OpenAccount(draw(owners), initial=initial, overdraft_limit=draw(limits), **draw(_options))


@st.composite
def issues(draw: st.DrawFn) -> Issue:
    """Draw a grant."""
    return Issue(draw(owners), draw(amounts), **draw(_options))


@st.composite
def spends(draw: st.DrawFn) -> Spend:
    """Draw a spend."""
    return Spend(draw(owners), draw(amounts), up_to=draw(st.booleans()), **draw(_options))


@st.composite
def transfers(draw: st.DrawFn) -> Transfer:
    """Draw a transfer between two owners."""
    source = draw(owners)
    target = draw(st.sampled_from([owner for owner in OWNERS if owner != source]))
    return Transfer(source, target, draw(amounts), **draw(_options))


@st.composite
def adjustments(draw: st.DrawFn) -> Adjust:
    """Draw a correction, which has to have a reason."""
    options = {**draw(_options), "reason": draw(st.sampled_from(("miscounted", "\u2603")))}
    return Adjust(draw(owners), draw(changes), **options)


commands: Final[st.SearchStrategy[Moving]] = st.one_of(issues(), spends(), transfers(), adjustments())


@st.composite
def repeats(draw: st.DrawFn, command: AnyCommand) -> AnyCommand:
    """Draw the same intent told anew: the same but for what no repeat has to say again."""
    remarks = draw(st.fixed_dictionaries({}, optional=_remarks))
    if isinstance(command, Adjust):
        remarks["reason"] = remarks.get("reason") or "told anew"
    return replace(command, **remarks)


@st.composite
def contradictions(draw: st.DrawFn, command: AnyCommand) -> AnyCommand:
    """Draw another intent under the same key."""
    options: dict[str, Any] = {"idempotency_key": command.idempotency_key, "kind": command.kind}
    options["reason"] = "contradicts"
    payer = payer_of(command)
    others: list[AnyCommand] = [
        replace(command, kind="other"),
        Issue(payer, draw(amounts), **options),
        Spend(payer, draw(amounts), up_to=draw(st.booleans()), **options),
        Adjust(payer, draw(changes), **options),
        Transfer(payer, next(owner for owner in OWNERS if owner != payer), draw(amounts), **options),
    ]
    if isinstance(command, Spend):
        others.append(replace(command, up_to=not command.up_to))
    if isinstance(command, OpenAccount):
        others.append(replace(command, overdraft_limit=draw(limits)))
    return draw(st.sampled_from(others))


nonsense: Final[st.SearchStrategy[tuple[Moving, str]]] = st.sampled_from(
    (
        (Issue("ada", 0), "amount"),
        (Issue("ada", amount=True), "amount"),
        (Issue("ada", MOST + 1), "amount"),
        (Issue("ada", 1, idempotency_key=""), "idempotency_key"),
        (Issue("ada", 1, metadata={"a": float("nan")}), "metadata"),
        (Spend("", 1), "owner"),
        (Spend("ada\0", 1), "owner"),
        (Spend("ada", -1), "amount"),
        (Spend("ada", 1, kind="No"), "kind"),
        (Spend("ada", 1, event_at=datetime(2030, 1, 1)), "event_at"),  # noqa: DTZ001 - naive, which is refused
        (Transfer("ada", "ada", 1), "target"),
        (Transfer("ada", "\ud800", 1), "target"),
        (Adjust("ada", 0, reason="none"), "signed_amount"),
        (Adjust("ada", 5), "reason"),
    )
)
"""Commands that cannot be meant, with the argument that says so."""
