"""What the machine draws: commands, of which those about a hold or an entry are told later which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from pluct_ledger.domain import commands as c
from tests.terms_state.rules import AnyCommand, Model

OWNERS: Final = ("ada", "bob", "cy")
START: Final = datetime(2030, 1, 1, tzinfo=UTC)
NOBODY: Final = "0" * 32

owners: Final = st.sampled_from(OWNERS)
amounts: Final = st.integers(1, 12)
spans: Final = st.sampled_from([timedelta(seconds=n) for n in (1, 2, 3, 5, 9)])
moments: Final = st.integers(-1, 25).map(lambda n: START + timedelta(seconds=n))
_keys: Final = st.sampled_from((None, None, "k1", "k2", "k3"))
_ends: Final = st.one_of(st.none(), spans, moments)
_priorities: Final = st.sampled_from((0, 0, 0, -1, 2))


_NO_PICK: Final = st.just(0)


@dataclass(frozen=True)
class Wish:
    """A command to be; `pick` chooses the hold or entry that it is about among those there are by then."""

    kind: type
    arguments: dict[str, Any]
    pick: int = 0

    def made(self, model: Model) -> AnyCommand:
        """Return the command."""
        arguments = dict(self.arguments)
        if self.kind is c.Reverse:
            arguments["entry_id"] = self._place(model, self._entries(model))
        elif self.kind in {c.Capture, c.Void, c.Extend}:
            arguments["hold_id"] = self._place(model, self._holds(model))
        command: AnyCommand = self.kind(**arguments)
        return command

    def _place(self, model: Model, places: list[tuple[str, int]]) -> str:
        if not places:
            return f"{NOBODY}.1"
        owner, seq = places[self.pick % len(places)]
        return f"{model.ids(owner)}.{seq}"

    def _holds(self, model: Model) -> list[tuple[str, int]]:
        """Return open holds, mostly; now and then any, or what is none."""
        every = [(purse.owner, seq) for purse in model.purses.values() for seq in purse.reserves]
        opened = [place for place in every if model.purses[place[0]].reserves[place[1]].status == "open"]
        if self.pick % 8 == 7:
            return [(owner, 1) for owner in model.purses]
        return opened if opened and self.pick % 5 else every

    def _entries(self, model: Model) -> list[tuple[str, int]]:
        """Return what can be reversed, newest first, mostly; now and then anything, or what is not there yet."""
        lines = [(one, purse.owner) for purse in model.purses.values() for one in purse.log]
        lines.sort(key=lambda one: (one[0].at, one[0].seq), reverse=True)
        if self.pick % 8 == 7:
            return [(owner, purse.next_seq) for owner, purse in model.purses.items()]
        if self.pick % 8 < 6:
            lines = [one for one in lines if one[0].operation in ("spend", "capture", "grant", "transfer")]
        return [(owner, line.seq) for line, owner in lines]


def _wish(kind: type, pick: st.SearchStrategy[int] = _NO_PICK, **arguments: Any) -> st.SearchStrategy[Wish]:
    arguments["idempotency_key"] = _keys
    return st.builds(Wish, st.just(kind), st.fixed_dictionaries(arguments), pick)


_picks: Final = st.integers(0, 39)
_flags: Final = st.booleans()

WISHES: Final[dict[str, st.SearchStrategy[Wish]]] = {
    "open_account": _wish(
        c.OpenAccount,
        owner=owners,
        initial=st.integers(0, 9),
        overdraft_limit=st.sampled_from((0, 0, 6, None)),
    ),
    "grant": _wish(c.Issue, owner=owners, amount=amounts, expires_at=_ends, priority=_priorities),
    "grant_later": _wish(
        c.Issue,
        owner=owners,
        amount=amounts,
        effective_at=st.integers(2, 20).map(lambda n: START + timedelta(seconds=n)),
        expires_at=st.one_of(st.none(), spans),
        label=st.sampled_from((None, "promotion")),
        granted_by=st.sampled_from((None, "support")),
    ),
    "spend": _wish(c.Spend, owner=owners, amount=amounts, up_to=_flags),
    "transfer": st.permutations(OWNERS).flatmap(
        lambda two: _wish(c.Transfer, source=st.just(two[0]), target=st.just(two[1]), amount=amounts)
    ),
    "adjust": _wish(
        c.Adjust,
        owner=owners,
        signed_amount=st.integers(-8, 7).map(lambda n: n if n < 0 else n + 1),
        reason=st.just("counted again"),
    ),
    "authorize": _wish(
        c.Authorize, owner=st.sampled_from(("ada", "ada", "bob", "cy")), amount=amounts, ttl=spans
    ),
    "capture": _wish(
        c.Capture, _picks, amount=st.one_of(st.none(), amounts), final=_flags, allow_over=_flags
    ),
    "void": _wish(c.Void, _picks),
    "extend": _wish(c.Extend, _picks, ttl=spans),
    "reverse": _wish(
        c.Reverse,
        _picks,
        amount=st.one_of(st.none(), amounts),
        up_to=_flags,
        expired_grace=st.one_of(st.none(), spans),
    ),
    "set_overdraft_limit": _wish(c.SetOverdraftLimit, owner=owners, limit=st.sampled_from((0, 3, 10, None))),
    "freeze": _wish(c.Freeze, owner=st.sampled_from(("bob", "bob", "ada"))),
    "unfreeze": _wish(c.Unfreeze, owner=owners),
    "close": _wish(c.Close, owner=st.sampled_from(("cy", "cy", "ada"))),
}
"""By rule: what it wishes for."""

# In batches mostly what moves credit.
wishes: Final = st.one_of(*WISHES.values(), WISHES["reverse"], WISHES["capture"], WISHES["spend"])
