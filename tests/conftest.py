"""What every test can ask for: a lane (a real database), engines to it, and a clock that stands still.

A test that takes `lane`, or anything made from it, runs once on each of SQLite, PostgreSQL and MariaDB.
`@pytest.mark.lanes("postgres", because="...")` keeps it to some of them, and `pytest -m postgres` picks one.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine

from tests.clock import FrozenClock
from tests.lanes import LANES, LaneUnavailable
from tests.lanes.databases import Lane, open_lane
from tests.lanes.schema import configure
from tests.lanes.servers import adopt_orphans, stop_servers
from tests.lanes.slots import Slot

settings.register_profile("dev", deadline=None, print_blob=True, max_examples=50)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile(
    "soak", settings.get_profile("dev"), max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("PLUCT_HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

UNAVAILABLE = "this lane cannot run: "
SLOT = pytest.StashKey[Slot]()


# The run: a slot for its servers, and what is said at its end.


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    slot = config.stash[SLOT] = Slot.acquire()
    stop_servers(slot.path)
    adopt_orphans()
    # Asked to end, a run still stops its servers, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if slot := config.stash.get(SLOT, None):
        stop_servers(slot.path)
        slot.release()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker of pytest-xdist in which slot the run keeps its servers."""
    slot = node.config.stash[SLOT]  # type: ignore[attr-defined]  # pytest-xdist does not ship its node's type
    node.workerinput["slot"] = str(slot.path)  # type: ignore[attr-defined]  # as above


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        # What a test has to say about its run: it records a property of this name.
        if summary := dict(report.user_properties).get("summary"):
            terminalreporter.line(str(summary))
    missed: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if UNAVAILABLE in report.longreprtext:
            missed[report.longreprtext.split(UNAVAILABLE, 1)[1].rstrip("')")] += 1
    if missed:
        terminalreporter.section("LANES THAT DID NOT RUN", sep="!", red=True, bold=True)
        for reason, count in sorted(missed.items()):
            terminalreporter.line(f"{count} tests did not run: {reason}", red=True, bold=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lane" not in metafunc.fixturenames:
        return
    chosen = LANES
    if mark := metafunc.definition.get_closest_marker("lanes"):
        if not mark.kwargs.get("because"):
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: the mark `lanes` needs because='...'")
        chosen = mark.args
    metafunc.parametrize("lane", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in chosen])


# The lanes of this worker.


@pytest.fixture(scope="session")
def lanes(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Lane]]:
    """Finds a lane by its name; what cannot run is tried only once."""
    worker = getattr(pytestconfig, "workerinput", None)
    slot = Path(worker["slot"]) if worker else pytestconfig.stash[SLOT].path
    found: dict[str, Lane | LaneUnavailable] = {}

    def find(name: str) -> Lane:
        if name not in found:
            try:
                found[name] = open_lane(name, slot, tmp_path_factory.mktemp(name))
            except LaneUnavailable as reason:
                found[name] = reason
        if isinstance(lane := found[name], LaneUnavailable):
            message = f"{UNAVAILABLE}{name}: {lane}"
            if os.environ.get("CI", "").lower() in ("", "0", "false"):
                pytest.skip(message)
            pytest.fail(message, pytrace=False)
        return lane

    yield find
    for lane in found.values():
        if isinstance(lane, Lane):
            lane.shut()


@pytest.fixture
def here(lane: str, lanes: Callable[[str], Lane]) -> Lane:
    """The database of the test's lane, as this worker sees it."""
    return lanes(lane)


@pytest.fixture
def engine(here: Lane, tmp_path: Path) -> Iterator[Engine]:
    """An engine to a database with our schema and no rows, set up as the documentation tells hosts to."""
    engine = here.open(tmp_path)
    yield engine
    here.close(engine)


@pytest.fixture
def wipe(here: Lane, engine: Engine) -> Callable[[], None]:
    """Empties the database of `engine` in the middle of a test, as between two examples of one property."""
    return lambda: here.wipe(engine)


@pytest.fixture
def raw_engine(here: Lane, engine: Engine) -> Iterator[Engine]:
    """A second engine to the database of `engine`, just as `create_engine` gives it to a host."""
    raw = here.engine(engine.url)
    yield raw
    raw.dispose()


@pytest.fixture
def database_url(engine: Engine) -> str:
    """The address of the database of `engine`, password and all, for other processes."""
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def fresh_database(here: Lane, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Makes new, wholly empty databases, which are gone after the test."""
    engines: list[Engine] = []

    def make() -> Engine:
        engine = create_engine(here.create(tmp_path))
        engines.append(configure(engine) if here.name == "sqlite" else engine)
        return engine

    yield make
    for engine in engines:
        engine.dispose()
        here.drop(engine.url)


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands at the beginning of 2030 until the test moves it."""
    return FrozenClock()
