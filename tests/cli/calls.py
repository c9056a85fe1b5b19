"""Calling the command line: in this process, in one of its own, and on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "examples" / "data" / "pluct-d1"

SECRET = "d1jW5xJvM0bHq9RkT3yUe7aNc2LpZs8f"
SMALL_EXPORT = """
CREATE TABLE transactions (id TEXT PRIMARY KEY, user_id TEXT, type TEXT, amount INTEGER, timestamp TEXT, reason TEXT);
CREATE TABLE api_keys (id TEXT PRIMARY KEY, key_hash TEXT, description TEXT, created_at TEXT, status TEXT);
INSERT INTO transactions VALUES
  ('t1', 'racer', 'user_creation', 10, '2024-01-01T09:00:00.000Z', 'User account creation'),
  ('t2', 'racer', 'spend', 1, '2024-01-01T09:00:01.000Z', ''),
  ('t3', 'Zoë 日本', 'admin_add', 90, '2024-01-01T09:00:02.000Z', 'Manual credit addition by admin');
"""
COMMAND = [sys.executable, "-c", "from pluct_ledger.cli import main; main()"]

# What a terminal is told beside text: colours, cursor movements, titles.
CONTROL = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")


@dataclass(frozen=True)
class Answer:
    """What a call printed, and the number that it ended with."""

    code: int
    out: str
    err: str

    @property
    def seen(self) -> str:
        """What a person sees of it on a terminal."""
        return CONTROL.sub("", self.out)

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return self.json["error"]


class Call(Protocol):
    """Runs the command line with these arguments, and checks what it exits with."""

    def __call__(self, *arguments: str, code: int = 0, stdin: str | bytes = b"") -> Answer: ...


def run_apart(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: bytes = b"",
    command: Sequence[str] = COMMAND,
) -> Answer:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())


@dataclass
class Screen:
    """A process on a terminal of its own."""

    process: subprocess.Popen[bytes]
    side: int
    raw: bytes = b""

    def read_until(self, text: str) -> None:
        """Read until this text was shown."""
        while text.encode() not in self.raw and self._read():
            pass
        assert text.encode() in self.raw

    def end(self) -> str:
        """Read to the end, and return what a person sees then: what was written over is gone."""
        while self._read():
            pass
        self.process.wait(60)
        os.close(self.side)
        lines = CONTROL.sub("", self.raw.decode()).replace("\r\n", "\n").split("\n")
        return "\n".join(line.rpartition("\r")[2] for line in lines)

    def _read(self) -> bool:
        # Linux answers the end of a terminal with an error.
        with contextlib.suppress(OSError):
            got = os.read(self.side, 65536)
            self.raw += got
            return bool(got)
        return False


def on_terminal(
    arguments: Sequence[str], environment: Mapping[str, str], *, width: int = 80, height: int = 50
) -> Screen:
    """Start the command line on a terminal of this size."""
    side, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**inherited, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return Screen(process, side)
