"""The ways into the public classes: transactions of their own, or the host's session or connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

BORROWED: Final = ("session", "scoped_session", "connection")
DOORWAYS: Final = ("engine", *BORROWED)


class Embeddable(Protocol):
    """A public class that can join the host's transaction."""

    def using(self, host: Session | scoped_session[Session] | Connection) -> Self: ...


T = TypeVar("T", bound=Embeddable)


class Doorway:
    """One way in: all that enter by it share the host's one transaction, or have their own."""

    def __init__(self, host: Session | scoped_session[Session] | Connection | None) -> None:
        self._host = host

    def enter(self, embeddable: T) -> T:
        """Return the public class as it is by this way in."""
        return embeddable if self._host is None else embeddable.using(self._host)


@contextmanager
def doorway_of(name: str, engine: Engine) -> Iterator[Doorway]:
    """Open a way in by its name; what was done by a borrowed one is rolled back at the end."""
    match name:
        case "engine":
            yield Doorway(None)
        case "session":
            with Session(engine) as session:
                yield Doorway(session)
        case "scoped_session":
            sessions = scoped_session(sessionmaker(engine))
            try:
                yield Doorway(sessions)
            finally:
                sessions.remove()
        case "connection":
            with engine.connect() as connection:
                yield Doorway(connection)
