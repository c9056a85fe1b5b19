"""One server for each dialect, which all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.examples.serving import Site, open_site

DIALECTS = ("envelope", "flat")


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """The servers of this worker by dialect: each is started when a test first asks for it, with an SQLite file."""
    with ExitStack() as stack:

        class Started(dict[str, Site]):
            def __missing__(self, dialect: str) -> Site:
                folder = tmp_path_factory.mktemp(dialect)
                self[dialect] = stack.enter_context(open_site(folder, dialect))
                return self[dialect]

        yield Started()


@pytest.fixture(params=DIALECTS)
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    """A running server, once in each dialect."""
    return sites[request.param]
