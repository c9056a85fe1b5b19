"""API keys when many do the same at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from threading import Barrier
from typing import TypeVar

from sqlalchemy import Engine

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.domain.api_keys import ApiKey, ApiKeyCode
from pluct_ledger.domain.legacy_keys import LegacyKey
from tests.clock import FrozenClock

T = TypeVar("T")
THREADS = 8


def at_once(job: Callable[[int], T]) -> list[T]:
    """Run `job` with the numbers 0..7, all let loose at the same moment."""
    gate = Barrier(THREADS)

    def run(number: int) -> T:
        gate.wait()
        return job(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_of_revocations_at_once_one_stands(engine: Engine) -> None:
    """Whoever revokes at the same time is told the same instant and reason: that of the one who was first."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    registries = [
        ApiKeyRegistry(engine, clock=FrozenClock(start + timedelta(seconds=number)))
        for number in range(THREADS)
    ]
    for _ in range(5):
        created = registries[0].create("Partner A")

        revoked = at_once(partial(_revoke, registries, created.api_key.key_id))

        assert len(set(map(repr, revoked))) == 1
        assert revoked[0].revoked_at == start + timedelta(seconds=int(revoked[0].revoked_reason or ""))
        assert registries[0].verify(created.secret).code is ApiKeyCode.REVOKED


def _revoke(registries: list[ApiKeyRegistry], key_id: str, number: int) -> ApiKey:
    return registries[number].revoke(key_id, reason=str(number))


def test_of_imports_at_once_each_key_is_imported_once(engine: Engine, clock: FrozenClock) -> None:
    """The same export imported by eight at once is there once, and no one finds a contradiction."""
    registry = ApiKeyRegistry(engine, clock=clock)
    keys = [
        LegacyKey(
            key_id=f"old-{number}",
            key_hash=sha256(b"%d" % number).hexdigest(),
            description="Partner",
            created_at=clock(),
        )
        for number in range(20)
    ]

    reports = at_once(lambda number: registry.import_legacy(keys if number % 2 else keys[::-1]))

    assert not any(report.conflicts for report in reports)
    assert all(len(report.imported) + len(report.unchanged) == len(keys) for report in reports)
    assert {key.key_id for key in registry.page()} == {key.key_id for key in keys}


def test_uses_at_once_are_recorded_once(engine: Engine, clock: FrozenClock) -> None:
    """Eight who verify a key at the same moment all find it valid, and its use is recorded."""
    registry = ApiKeyRegistry(engine, clock=clock)
    created = registry.create("Partner A")

    checks = at_once(lambda _number: registry.verify(created.secret))

    assert all(check.valid for check in checks)
    assert registry.get(created.api_key.key_id).last_used_at == clock()


def test_keys_made_at_once_are_all_kept(engine: Engine) -> None:
    """Eight who each make ten keys have eighty keys that verify."""
    registry = ApiKeyRegistry(engine)

    made = [key for keys in at_once(lambda _: [registry.create("key") for _ in range(10)]) for key in keys]

    assert len({key.api_key.key_id for key in made}) == 80
    assert all(registry.verify(key.secret).valid for key in made)
