"""A host that forks: run as a program, so that the tests' own process with its threads never is.

Parent and children spend with the one ledger that the parent made, all at once; then the parent closes all that it has
open, and all of them spend again. It prints as JSON the seqs that each of them was given.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass

from sqlalchemy import Engine, create_engine, event, text

from pluct_ledger import Ledger, sqlite

CHILDREN = 3
SPENDS = 20


@dataclass(frozen=True)
class Child:
    """A forked child, and the pipes to it: it spends, answers, waits for a word, spends again and answers."""

    pid: int
    answers: int
    words: int

    def answer(self) -> list[int]:
        """Return what the child was given."""
        answer: list[int] = json.loads(os.read(self.answers, 65_536))
        return answer

    def go_on(self) -> None:
        """Let the child spend again."""
        os.write(self.words, b"!")

    def end(self) -> None:
        """Wait for its end."""
        assert os.waitpid(self.pid, 0)[1] == 0, "a child failed"


def main(url: str, configured: str) -> None:
    """Spend in the parent and its children."""
    engine = create_engine(url)
    if configured == "configured":
        sqlite.configure(engine)
    ledger = Ledger(engine)
    # What stays in the pool is what a child must not share with its parent.
    with engine.connect(), engine.connect():
        pass
    ledger.grant("ada", 1_000)

    children = [forked(ledger) for _ in range(CHILDREN)]
    try:
        seqs = spent_with(children, ledger, engine)
    except BaseException:
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
        raise
    print(json.dumps(seqs))  # noqa: T201 - its answer


def spent_with(children: list[Child], ledger: Ledger, engine: Engine) -> list[int]:
    """Spend beside the children, close everything, and spend again; returns the seqs of all."""
    lost: list[object] = []
    event.listen(engine, "invalidate", lambda *what: lost.append(what))
    seqs = spent(ledger)
    for child in children:
        seqs += child.answer()
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    assert not lost, "the children closed connections of their parent"

    engine.dispose()
    for child in children:
        child.go_on()
    seqs += spent(ledger)
    for child in children:
        seqs += child.answer()
        child.end()
    engine.dispose()
    return seqs


def spent(ledger: Ledger) -> list[int]:
    """Spend, and return the seqs."""
    return [ledger.spend("ada", 1).seq for _ in range(SPENDS)]


def forked(ledger: Ledger) -> Child:
    """Fork a child that spends twice."""
    answers, answering = os.pipe()
    listening, words = os.pipe()
    if pid := os.fork():
        os.close(answering)
        os.close(listening)
        return Child(pid, answers, words)
    code = 1
    try:
        os.write(answering, json.dumps(spent(ledger)).encode())
        os.read(listening, 1)
        os.write(answering, json.dumps(spent(ledger)).encode())
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
