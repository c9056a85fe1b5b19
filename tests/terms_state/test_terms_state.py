"""Credit on terms and a model of it, driven by the same commands on every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from pluct_ledger.domain.commands import Command
from tests.state.test_state import refusals, report
from tests.terms_state.drawn import WISHES
from tests.terms_state.machine import HOSTS, OTHER_RULES, Stage, TermsMachine

# Refusals that no rule of the machine can meet, and why.
OUT_OF_REACH: Final = {
    "balance_limit_exceeded": "amounts here are small; the machine in tests/state meets it",
    "token_unavailable": "it is the vendor's",
    "api_key_not_found": "it is the registry's",
    "api_key_exists": "it is the registry's",
}
COMMANDS: Final = tuple(kind.__name__ for kind in get_args(Command))


def expected_hits() -> set[tuple[str, ...]]:
    """Return what a long run is to have done at least once."""
    return {
        *(("rule", name) for name in (*WISHES, *OTHER_RULES)),
        *(("refusal", code) for code in refusals() - OUT_OF_REACH.keys()),
        *(("command", command, "done") for command in COMMANDS),
        *(("borrow", host, end) for host in HOSTS for end in ("committed", "rolled back")),
        *(("batch", how) for how in ("atomic", "one by one", "undone")),
    }


def never_done(tally: Counter[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return what a run has not done though it is to."""
    return sorted(expected_hits() - tally.keys())


def test_credit_on_terms_agrees_with_the_model(
    lane: str,
    engine: Engine,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is asked, whenever, the ledger's answers, numbers and log are those of the model."""
    # What fails is to be told before the run is ended for taking too long; Hypothesis has no setting for this.
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 40, raising=False)
    profile = settings.default
    assert profile is not None
    examples, steps, every = (500, 50, 50) if lane == "sqlite" else (60, 40, 40)
    examples = examples * profile.max_examples // 50

    class Machine(TermsMachine):
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
    record_property("summary", report(f"{lane}, credit on terms", tally))
    if lane == "sqlite":
        never = never_done(tally)
        assert not never, f"in {examples} examples the machine never did {never}"
