"""A slot is the directory in which one test run keeps its servers; the next run reuses what is in it.

Two runs at the same time never share a slot, so that neither can see or stop the other's servers.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

CACHE = Path(__file__).resolve().parents[2] / ".cache"


class Slot:
    """The directory of this test run, held by a lock that dies with its process."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def acquire(cls, root: Path | None = None) -> Slot:
        root = root or lanes_root()
        number = 0
        while True:
            lock = (root / f"slot-{number}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                number += 1
                continue
            path = root / f"slot-{number}"
            path.mkdir(exist_ok=True)
            path.chmod(0o711)
            return cls(path, lock)

    def release(self) -> None:
        self._lock.close()


def lanes_root() -> Path:
    """Where the slots are: `.cache/lanes`, which for root is a link to a directory that other users can reach.

    PostgreSQL refuses to run as root, and the user it runs as may have no way into the checkout.
    """
    CACHE.mkdir(exist_ok=True)
    root = CACHE / "lanes"
    with locked(CACHE / "lanes.lock"):
        if os.geteuid() == 0 and not root.exists():
            root.unlink(missing_ok=True)
            target = Path(tempfile.mkdtemp(prefix="pluct-ledger-lanes-"))
            target.chmod(0o711)
            root.symlink_to(target)
        root.mkdir(exist_ok=True)
    return root.resolve()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this name against every other process."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
