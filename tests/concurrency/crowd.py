"""Crowds: many who do something to one ledger at the same moment, as threads of this process or as processes.

A script is what one of them does, one step after the other; a step is a command, or a list of commands as one batch.
What comes of a step is what the ledger answered: a receipt, an account or a refusal, or a list of these for a batch.
Whatever else is raised, a database's own error above all, fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.synchronize import Barrier as ProcessBarrier
from threading import Barrier
from typing import Final, TypeVar

from sqlalchemy import Engine, create_engine, make_url

from pluct_ledger import Account, Ledger, Receipt, Refused, sqlite
from pluct_ledger.domain.commands import Command, OpenAccount

T = TypeVar("T")
Step = Command | OpenAccount | Sequence[Command]
Script = Sequence[Step]
Outcome = Receipt | Account | Refused

THREADS: Final = 8
PROCESSES: Final = 4
PATIENCE: Final = 60
"""Seconds until the others at the gate are given up, so that one that died does not hang the rest."""


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run jobs in a thread each, all let loose at the same moment; raises what the first of them raised."""
    gate = Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        gate.wait(PATIENCE)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


class Threads:
    """A crowd of threads, who share some engines."""

    size = THREADS

    def __init__(self, *engines: Engine) -> None:
        self._ledgers = [Ledger(engine) for engine in engines]

    def play(self, scripts: Sequence[Script]) -> list[Outcome]:
        """Play scripts at once, one a thread, and return what came of all steps."""
        jobs = [
            _playing(self._ledgers[number % len(self._ledgers)], script)
            for number, script in enumerate(scripts)
        ]
        return _flat(at_once(jobs))


class Processes:
    """A crowd of processes, who each make an engine of their own."""

    size = PROCESSES

    def __init__(self, pool: ProcessPoolExecutor, url: str) -> None:
        self._pool = pool
        self._url = url

    def play(self, scripts: Sequence[Script]) -> list[Outcome]:
        """Play scripts at once, one a process, and return what came of all steps."""
        assert len(scripts) == PROCESSES, "the gate opens when each process has a script"
        return _flat(self._pool.map(_played, [self._url] * len(scripts), range(len(scripts)), scripts))


_gates: Final[list[ProcessBarrier]] = []
"""In a process of the crowd: the gate that opens when all of them stand before it."""


def stand_before(gate: ProcessBarrier) -> None:
    """Begin as a process of the crowd."""
    _gates.append(gate)


def _played(url: str, number: int, script: Script) -> list[Outcome]:
    engine = create_engine(url)
    # On SQLite every other one is a host that never heard of our configuration.
    if make_url(url).get_backend_name() == "sqlite" and number % 2 == 0:
        sqlite.configure(engine)
    try:
        playing = _playing(Ledger(engine), script)
        _gates[0].wait(PATIENCE)
        return playing()
    finally:
        engine.dispose()


def _playing(ledger: Ledger, script: Script) -> Callable[[], list[Outcome]]:
    return lambda: _flat(_done(ledger, step) for step in script)


def _done(ledger: Ledger, step: Step) -> Sequence[Outcome]:
    try:
        if isinstance(step, Command):
            return [ledger.apply(step)]
        if isinstance(step, OpenAccount):
            return [ledger.open_account(step.owner, initial=step.initial)]
        return ledger.apply_many(step)
    except Refused as refusal:
        return [refusal]


def _flat(many: Iterable[Iterable[T]]) -> list[T]:
    return [one for some in many for one in some]
