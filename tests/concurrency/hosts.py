"""Hosts that write with the ledger in a transaction of theirs, and run it again when others were in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pluct_ledger import Contended, Ledger

T = TypeVar("T")
KINDS: Final = ("session", "connection")
ATTEMPTS: Final = 500


class ChangedItsMind(Exception):
    """The host rolls back what went well."""


@dataclass
class Host:
    """A host of one kind on an engine; each of its jobs is one transaction.

    Attributes:
        contended: how often others were in the way.
    """

    engine: Engine
    kind: str
    contended: int = 0
    _ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.engine)

    def transact(self, job: Callable[[Ledger], T]) -> T:
        """Run a job and commit it; as a whole again where the ledger, or the commit, says that others were in the way.

        Only `Contended` may come out of the ledger: a database's own error fails the test, but for that of the host's
        COMMIT, which is the host's to deal with.
        """
        for attempt in count(1):
            try:
                with self._opened() as opened:
                    result = job(self._ledger.using(opened))
                    if self._committed(opened):
                        return result
            except Contended:
                if attempt == ATTEMPTS:
                    raise
            self.contended += 1
        raise AssertionError

    def change_its_mind(self, job: Callable[[Ledger], object]) -> None:
        """Run a job, and roll it back."""

        def regretted(ledger: Ledger) -> None:
            job(ledger)
            raise ChangedItsMind

        try:
            self.transact(regretted)
        except ChangedItsMind:
            return

    def _opened(self) -> Session | Connection:
        return Session(self.engine) if self.kind == "session" else self.engine.connect()

    @staticmethod
    def _committed(opened: Session | Connection) -> bool:
        try:
            opened.commit()
        except OperationalError:
            return False
        return True
