"""The revisions in order, and the way from one to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from alembic.operations import Operations

from pluct_ledger.errors import InvalidArgument
from pluct_ledger.migrations import versions

HEAD: Final = "head"
BASE: Final = "base"

Step = Callable[[Operations, str | None], None]


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its id, the one before it, and the ways up and down."""

    id: str
    after: str | None
    upgrade: Step
    downgrade: Step


@lru_cache(maxsize=1)
def revisions() -> tuple[Revision, ...]:
    """Return all revisions of this release, oldest first."""
    found = []
    for name in sorted(module.name for module in iter_modules(versions.__path__)):
        module = import_module(f"{versions.__name__}.{name}")
        found.append(Revision(module.revision, module.down_revision, module.upgrade, module.downgrade))
    assert [revision.after for revision in found] == [None, *(revision.id for revision in found[:-1])]
    return tuple(found)


def head() -> str:
    """Return the id of the newest revision of this release."""
    return revisions()[-1].id


def known(version: str | None) -> bool:
    """Tell whether this release has a way to and from a version; None stands for no tables."""
    return version is None or any(revision.id == version for revision in revisions())


def resolve(argument: str, version: object) -> str | None:
    """Return the id that a caller means by a version; None where it means no tables.

    Args:
        argument: the name of the argument, for the error.
        version: "head", "base" or the id of a revision.

    Raises:
        InvalidArgument: this release has no such revision.
    """
    if version == HEAD:
        return head()
    if version == BASE:
        return None
    if not isinstance(version, str) or not known(version):
        ids = ", ".join(revision.id for revision in revisions())
        raise InvalidArgument(
            argument, f"{version!r} is no revision of this release: base, {ids} and head are"
        )
    return version


def above(low: str | None, high: str | None) -> tuple[Revision, ...]:
    """Return the revisions above `low` up to `high`, oldest first; none where `high` is not above `low`."""
    return tuple(
        revision for revision in revisions() if (low or "") < revision.id and revision.id <= (high or "")
    )
