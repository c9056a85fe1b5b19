"""The ledger and a model of it, driven by the same commands on every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from pluct_ledger import Refused
from tests.state.machine import DOORS, HOSTS, STEPS, LedgerMachine, Stage

# Refusals that no rule of the machine can meet, and why.
OUT_OF_REACH: Final = {
    **dict.fromkeys(
        ("account_closed", "account_frozen", "account_not_empty", "hold_not_found", "hold_closed"),
        "the machine in tests/terms_state meets it",
    ),
    **dict.fromkeys(
        ("capture_exceeds_hold", "not_reversible", "reversal_exceeds_original"),
        "the machine in tests/terms_state meets it",
    ),
    "token_unavailable": "it is the vendor's",
    "api_key_not_found": "it is the registry's",
    "api_key_exists": "it is the registry's",
}
COMMANDS: Final = ("OpenAccount", "Issue", "Spend", "Transfer", "Adjust")
COMES_OF_IT: Final = ("done", "replayed", "refused")


def refusals() -> set[str]:
    """Return the code of every refusal that there is."""
    found, open_ = set(), [Refused]
    while open_:
        kind = open_.pop()
        open_.extend(kind.__subclasses__())
        found |= {kind.code} if kind is not Refused else set()
    return found


def expected_hits() -> set[tuple[str, ...]]:
    """Return what a long run is to have done at least once."""
    return {
        *(("rule", name) for name in STEPS),
        *(("refusal", code) for code in refusals() - OUT_OF_REACH.keys()),
        *(("command", command, what) for command in COMMANDS for what in COMES_OF_IT),
        *(("door", door, what) for door in DOORS for what in COMES_OF_IT),
        *(("borrow", host, end) for host in HOSTS for end in ("committed", "rolled back")),
        *(("savepoint", end) for end in ("kept", "rolled back")),
        *(("batch", how) for how in ("atomic", "one by one", "undone")),
    }


def report(lane: str, tally: Counter[tuple[str, ...]]) -> str:
    """Return the tally as a few lines of text."""
    groups: dict[str, list[str]] = {}
    for (group, *what), times in sorted(tally.items()):
        if what:
            groups.setdefault(group, []).append(f"{' '.join(what)} {times}")
    head = f"state machine on {lane}: {tally['examples',]} examples, {tally['steps',]} steps"
    return "\n".join([head, *(f"  {group}: {', '.join(counts)}" for group, counts in groups.items())])


def test_the_ledger_agrees_with_the_model(
    lane: str,
    engine: Engine,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is asked by whichever door, the ledger's answers, accounts and log are those of the model."""
    # What fails is to be told before the run is ended for taking too long; Hypothesis has no setting for this.
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 40, raising=False)
    profile = settings.default
    assert profile is not None
    examples, steps, every = (300, 30, 1) if lane == "sqlite" else (100, 30, 5)
    examples = examples * profile.max_examples // 50

    class Machine(LedgerMachine):
        stage = Stage(engine, every)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

    tally = Machine.stage.tally
    record_property("summary", report(lane, tally))
    if lane == "sqlite":
        never = expected_hits() - tally.keys()
        assert not never, f"in {examples} examples the machine never did {sorted(never)}"
