"""A host that forks: run as a program, so that the tests' own process with its threads never is.

It spends with one ledger in itself and in children that were forked with it, all at once, and prints as JSON the seqs
that each of them was given.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from sqlalchemy import Engine, create_engine

from pluct_ledger import Ledger, sqlite

CHILDREN = 3
SPENDS = 25


def main(url: str, configured: str) -> None:
    """Spend in the parent and its children."""
    engine = create_engine(url)
    if configured == "configured":
        sqlite.configure(engine)
    ledger = Ledger(engine)
    ledger.grant("ada", 1_000)
    warm(engine)

    children = [forked(lambda: spent(ledger)) for _ in range(CHILDREN)]
    seqs = [spent(ledger), *(finished(*child) for child in children)]

    report = ledger.verify()
    print(json.dumps({"seqs": seqs, "balance": ledger.balance("ada").posted, "ok": report.ok}))  # noqa: T201 - its answer


def warm(engine: Engine) -> None:
    """Leave connections in the pool, which a child must not share with its parent."""
    with engine.connect(), engine.connect():
        pass


def spent(ledger: Ledger) -> list[int]:
    """Spend, and return the seqs."""
    return [ledger.spend("ada", 1).seq for _ in range(SPENDS)]


def forked(job: Callable[[], list[int]]) -> tuple[int, int]:
    """Do a job in a child; returns its pid, and a pipe that its answer comes through."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.write(writing, json.dumps(job()).encode())
        code = 0
    finally:
        os._exit(code)


def finished(pid: int, reading: int) -> list[int]:
    """Wait for a child, and return its answer."""
    with os.fdopen(reading) as pipe:
        answer: list[int] = json.loads(pipe.read() or "[]")
    assert os.waitpid(pid, 0)[1] == 0, "a child failed"
    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
