"""What the registry of API keys sends to the database, and what it leaves alone there."""

from __future__ import annotations

import hmac
import random
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pluct_ledger import api_key_registry
from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.domain.api_keys import ApiKeyCode, KeyForm
from pluct_ledger.errors import ApiKeyExists, InvalidArgument
from pluct_ledger.storage import transactions
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.unit_of_work import UnitOfWork
from tests.clock import FrozenClock
from tests.doorways import BORROWED, doorway_of

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


# What the database sees.


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("description", " "),
        ("scopes", "credits:add"),
        ("expires_at", timedelta(days=1)),
        ("mint_limit", 100),
        ("mint_limit_per_owner", 100),
        ("mint_window", timedelta(days=1)),
        ("metadata", {"ratio": float("nan")}),
    ],
)
def test_what_cannot_be_kept_is_refused_before_any_statement(
    registry: ApiKeyRegistry, sent: list[str], argument: str, value: Any
) -> None:
    """Wrong arguments and terms that are not supported are named, and nothing is sent."""
    with pytest.raises(InvalidArgument) as caught:
        registry.create(**{"description": "Partner A", argument: value})

    assert caught.value.argument == argument
    assert sent == []


def test_a_corrupted_key_never_reaches_the_database(registry: ApiKeyRegistry, sent: list[str]) -> None:
    """Ten thousand corrupted keys and all kinds of garbage are malformed without a statement."""
    secret = registry.create("Partner A").secret
    sent.clear()
    chance = random.Random(3)
    for _ in range(10_000):
        symbols = list(secret)
        for place in chance.sample(range(len(symbols)), chance.randint(1, 3)):
            symbols[place] = chance.choice(ALPHABET.replace(symbols[place], ""))
        assert registry.verify("".join(symbols)).code is ApiKeyCode.MALFORMED
    for garbage in (None, b"", 0, object(), "", "\0", "\ud800", "x" * 1_000_000, [secret], secret + "\n"):
        assert registry.verify(garbage).code is ApiKeyCode.MALFORMED

    assert sent == []


def test_a_hit_and_a_miss_send_the_same_statements(
    engine: Engine, own: ApiKeyRegistry, sent: list[str]
) -> None:
    """One indexed read answers for a known key, a revoked one, an unknown one, and one of another book alike."""
    known, revoked = own.create("Partner A"), own.create("Partner B")
    elsewhere = ApiKeyRegistry(engine, book="other").create("Partner C")
    own.verify(known.secret)
    own.revoke(revoked.api_key.key_id)
    unknown = KeyForm().mint(random.Random(8).randbytes).text
    seen = []
    for secret in (known.secret, revoked.secret, elsewhere.secret, unknown):
        sent.clear()
        own.verify(secret)
        seen.append(list(sent))

    assert all(statements == seen[0] for statements in seen)
    assert len([statement for statement in seen[0] if "SELECT" in statement]) == 1


def test_a_hit_and_a_miss_compare_as_often(
    engine: Engine, own: ApiKeyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One constant-time comparison of digests is made for a known key, an unknown one and one of another book."""
    secrets = [
        own.create("Partner A").secret,
        ApiKeyRegistry(engine, book="other").create("Partner B").secret,
        KeyForm().mint(random.Random(8).randbytes).text,
        "pluct_api_" + "0" * 32,
    ]
    compare, compared = hmac.compare_digest, []

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one) == len(other) == 32)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for number, secret in enumerate(secrets, 1):
        own.verify(secret)
        assert compared == [True] * number


def test_the_database_never_sees_a_secret(own: ApiKeyRegistry, engine: Engine) -> None:
    """No column of the table holds the secret part of a key."""
    created = own.create("Partner A", metadata={"a": 1})
    own.verify(created.secret)

    with engine.connect() as connection:
        rows = connection.execute(select(tables_in().api_key)).all()
    assert len(rows) == 1
    assert created.secret[24:56] not in str(rows[0])


def test_an_id_that_was_given_out_before_is_not_given_again(
    registry: ApiKeyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When randomness repeats itself, the first key stands, the second is refused, and the host may go on."""
    fills = iter([b"\1", b"\2"])
    monkeypatch.setattr(api_key_registry, "token_bytes", lambda count: bytes(12) + next(fills) * (count - 12))
    first = registry.create("first")

    with pytest.raises(ApiKeyExists) as caught:
        registry.create("second")
    assert caught.value.key_id == first.api_key.key_id
    monkeypatch.undo()
    assert registry.verify(first.secret).valid
    assert registry.verify(registry.create("third").secret).valid


# The record of use.


def test_a_use_is_recorded_once_a_minute(own: ApiKeyRegistry, clock: FrozenClock, sent: list[str]) -> None:
    """The first use is recorded; within a minute a verify is one read and no write; then it is recorded again."""
    created = own.create("Partner A")

    def used() -> object:
        return own.get(created.api_key.key_id).last_used_at

    own.verify(created.secret)
    assert used() == (first := clock())
    clock.advance(timedelta(microseconds=59_999_999))
    sent.clear()
    own.verify(created.secret)
    assert not any("UPDATE" in statement for statement in sent)
    assert used() == first
    clock.advance(timedelta(microseconds=1))
    own.verify(created.secret)
    assert used() == clock()
    clock.advance(timedelta(days=-1))
    own.verify(created.secret)
    assert used() == first + timedelta(minutes=1)


def test_only_a_valid_use_is_recorded(own: ApiKeyRegistry) -> None:
    """A missing scope, a revoked key and a wrong secret leave no trace of use."""
    created = own.create("Partner A")

    own.verify(created.secret, scope="tokens:vend")
    own.revoke(created.api_key.key_id)
    own.verify(created.secret)

    assert own.get(created.api_key.key_id).last_used_at is None


@pytest.mark.parametrize("name", BORROWED)
def test_a_borrowed_verify_writes_nothing(
    own: ApiKeyRegistry, engine: Engine, sent: list[str], name: str
) -> None:
    """In the host's transaction a verify is one read: no lock on the key's row outlives it."""
    created = own.create("Partner A")
    with doorway_of(name, engine) as doorway:
        borrowed = doorway.enter(own)
        borrowed.verify(created.secret)
        sent.clear()

        assert borrowed.verify(created.secret).valid
        assert len(sent) == 1
        assert "UPDATE" not in sent[0]
    assert own.get(created.api_key.key_id).last_used_at is None


def test_a_use_is_recorded_on_an_engine_as_it_comes(own: ApiKeyRegistry, raw_engine: Engine) -> None:
    """On an engine that nobody configured keys are made, used, recorded and revoked just as well."""
    registry = ApiKeyRegistry(raw_engine)
    created = registry.create("Partner A")

    assert registry.verify(created.secret).valid
    assert own.get(created.api_key.key_id).last_used_at is not None
    registry.revoke(created.api_key.key_id)
    assert registry.verify(created.secret).code is ApiKeyCode.REVOKED


@pytest.mark.lanes(
    "sqlite", because="only SQLite's patience belongs to the connection and is changed for a moment"
)
def test_recording_a_use_leaves_the_connection_as_patient_as_before(
    own: ApiKeyRegistry, engine: Engine
) -> None:
    """After a use was recorded, a writer on the same connection waits for its turn as long as before."""
    created = own.create("Partner A")
    with engine.connect() as connection:
        before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    own.verify(created.secret)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == before > 0


READ_ONLY = {
    "sqlite": "PRAGMA query_only = 1",
    "postgres": "SET default_transaction_read_only = on",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


def test_a_database_that_takes_no_writes_still_verifies(
    lane: str, own: ApiKeyRegistry, raw_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a use cannot be recorded, on a replica, say, the key is as valid, and the log tells its id only."""
    created = own.create("Partner A")

    def make_read_only(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(READ_ONLY[lane])
        cursor.close()
        connection.commit()

    event.listen(raw_engine, "connect", make_read_only)

    for _ in range(2):
        assert ApiKeyRegistry(raw_engine).verify(created.secret).valid
    assert created.api_key.key_id in caplog.text
    assert created.secret[24:] not in caplog.text


def test_a_verify_waits_for_no_one_who_holds_the_row(own: ApiKeyRegistry, engine: Engine) -> None:
    """While a host's open transaction holds the key's row, a verify answers at once and records nothing."""
    created = own.create("Partner A")
    with Session(engine) as session:
        own.using(session).revoke(created.api_key.key_id)
        started = monotonic()

        assert own.verify(created.secret).valid
        assert monotonic() - started < 2, "every database waits longer than that for a lock"
        assert own.get(created.api_key.key_id).last_used_at is None

    assert own.verify(created.secret).valid
    assert own.get(created.api_key.key_id).last_used_at is not None


# The host's transaction.


def test_a_key_lives_and_dies_with_the_hosts_transaction(own: ApiKeyRegistry, engine: Engine) -> None:
    """A key made or revoked in the host's transaction is so for others once the host commits, or never."""
    with Session(engine) as session:
        lost = own.using(session).create("lost")
        session.rollback()
    assert own.verify(lost.secret).code is ApiKeyCode.UNKNOWN_KEY

    with Session(engine) as session:
        kept = own.using(session).create("kept")
        session.commit()
    assert own.verify(kept.secret).valid

    with Session(engine) as session:
        own.using(session).revoke(kept.api_key.key_id)
        session.rollback()
    assert own.verify(kept.secret).valid


@pytest.mark.lanes(
    "mariadb", "postgres", because="SQLite has one writer, so a snapshot cannot be left behind"
)
def test_a_revocation_that_a_snapshot_hides_still_stands(own: ApiKeyRegistry, engine: Engine) -> None:
    """A host's transaction that began before another revoked the key returns that revocation, not its own."""
    created = own.create("Partner A")
    with Session(engine) as session:
        inside = own.using(session)
        assert inside.get(created.api_key.key_id).status == "active"
        own.revoke(created.api_key.key_id, reason="first")

        assert inside.revoke(created.api_key.key_id, reason="second").revoked_reason == "first"
        session.commit()
    assert own.get(created.api_key.key_id).revoked_reason == "first"


def test_a_commit_without_an_answer_makes_one_key(
    own: ApiKeyRegistry, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the connection is lost after COMMIT, creating runs again, finds its own key and returns it."""
    commits = []

    def commit(work: UnitOfWork) -> None:
        work.connection.commit()
        commits.append(work)
        if len(commits) == 1:
            raise OperationalError("COMMIT", None, Exception("lost"), connection_invalidated=True)

    monkeypatch.setattr(transactions, "commit_own", commit)
    created = own.create("Partner A")
    monkeypatch.undo()

    assert len(commits) == 2
    assert list(own.page()) == [created.api_key]
    assert own.verify(created.secret).valid


def test_using_takes_a_session_or_a_connection(own: ApiKeyRegistry, engine: Engine) -> None:
    """Anything else handed to using is an InvalidArgument."""
    for wrong in (engine, None, own):
        with pytest.raises(InvalidArgument):
            own.using(wrong)  # type: ignore[arg-type]  # the point of the test
