"""The public class for API keys: made, verified, listed, revoked, imported."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Self

from pluct_ledger.desk import Clock, utc_now
from pluct_ledger.domain.accounts import check_book
from pluct_ledger.domain.api_keys import (
    DEFAULT_SCOPES,
    ApiKey,
    ApiKeyCheck,
    ApiKeyCode,
    ApiKeyRecord,
    CreatedApiKey,
    KeyForm,
    KeyHash,
    KeyStatus,
    KeyText,
    api_key_of,
    check_description,
    check_key_id,
    check_scope,
    check_scopes,
    cursor_of,
    judge,
    parse_cursor,
    touch_due,
)
from pluct_ledger.domain.arguments import (
    MAX_BATCH,
    MAX_REASON_CHARS,
    canonical_json,
    check_limit,
    check_metadata,
    check_text,
    micros_of,
)
from pluct_ledger.domain.legacy_keys import LegacyImport, LegacyKey, record_of_legacy
from pluct_ledger.domain.pages import Page
from pluct_ledger.doors import BorrowedDoor, Door, Host, OwnDoor
from pluct_ledger.errors import ApiKeyExists, ApiKeyNotFound, InvalidArgument
from pluct_ledger.storage.api_keys import (
    insert_api_key,
    page_of_api_keys,
    read_api_key,
    read_api_key_by_digest,
    revoke_api_key,
    touch_api_key,
)
from pluct_ledger.storage.legacy_keys import import_legacy_keys
from pluct_ledger.storage.schema import tables_in
from pluct_ledger.storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["ApiKeyRegistry"]


class ApiKeyRegistry:
    """The API keys of one book: long-lived secrets, shown once, that may do what their scopes say.

    Immutable, and safe to share between threads and across a fork. Nothing is cached: a revocation holds from the
    next call.

    Args:
        engine: the host's SQLAlchemy engine.
        book: the book that the keys belong to; another book's keys are unknown here.
        schema: the PostgreSQL schema of our tables; None is the connection's default.
        pepper: at least 32 bytes that the database does not know; new keys are then stored as HMAC-SHA-256 under
            it, while those stored before as plain SHA-256 still verify. Keys stored under another pepper do not.
        prefix: the first word of a key, 1..16 of ``[a-z0-9]``.
        environment: the second word of a key, likewise; a key of another environment is malformed here.
        clock: returns the present instant as an aware datetime.

    Raises:
        InvalidArgument: one of these is not as above.
    """

    __slots__ = ("_book", "_clock", "_door", "_form", "_hash", "_tables")

    def __init__(
        self,
        engine: Engine,
        *,
        book: str = "default",
        schema: str | None = None,
        pepper: bytes | None = None,
        prefix: str = "pluct",
        environment: str = "live",
        clock: Clock = utc_now,
    ) -> None:
        self._book = check_book(book)
        self._form = KeyForm(prefix, environment)
        self._hash = KeyHash(pepper)
        self._clock = clock
        self._tables = tables_in(schema)
        self._door: Door = OwnDoor(engine, self._tables)

    def __repr__(self) -> str:
        return f"ApiKeyRegistry(book={self._book!r})"

    def using(self, host: Host) -> Self:
        """Return a registry that works inside the host's open transaction, and lives and dies with it.

        There `verify` records no use: the row's lock would be held until the host commits. It also sees what the
        host's transaction sees: under REPEATABLE READ (MariaDB's default) a revocation by others holds from the
        host's next transaction.

        Args:
            host: a Session, scoped_session or Connection of SQLAlchemy's.

        Raises:
            InvalidArgument: it is none of these.
        """
        bound = copy(self)
        bound._door = BorrowedDoor(host, self._door.engine, self._tables)  # noqa: SLF001 - a copy of ourselves
        return bound

    def create(
        self,
        description: str,
        *,
        scopes: tuple[str, ...] | list[str] = DEFAULT_SCOPES,
        expires_at: datetime | timedelta | None = None,
        mint_limit: int | None = None,
        mint_limit_per_owner: int | None = None,
        mint_window: timedelta | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> CreatedApiKey:
        """Make a key and return its secret, which nothing can tell a second time.

        Args:
            description: what it is for, 1..500 characters, not blank.
            scopes: what it may do, at most 32 different words like ``credits:add``.
            expires_at: not supported; must be None.
            mint_limit: not supported; must be None.
            mint_limit_per_owner: not supported; must be None.
            mint_window: not supported; must be None.
            metadata: a JSON-safe dict, up to 8192 bytes as JSON.

        Returns:
            The secret and the key; in a borrowed transaction they are provisional until the host commits.

        Raises:
            InvalidArgument: one of these is not as above.
            ApiKeyExists: the source of randomness gave the same key before.
            Contended: others were in the way; nothing was written.
        """
        _refuse_terms(
            expires_at=expires_at,
            mint_limit=mint_limit,
            mint_limit_per_owner=mint_limit_per_owner,
            mint_window=mint_window,
        )
        key = self._form.mint(token_bytes)
        record = ApiKeyRecord(
            key_id=check_key_id(key.key_id),
            book=self._book,
            digest=self._hash.digest(key),
            pepper_id=self._hash.pepper_id,
            legacy=False,
            description=check_description(description),
            scopes=canonical_json(check_scopes(scopes)),
            status=KeyStatus.ACTIVE,
            created_at=self._now(),
            last_used_at=None,
            revoked_at=None,
            revoked_reason=None,
            metadata=None if metadata is None else check_metadata(metadata),
        )
        if not self._door.write(lambda work: insert_api_key(work, record)):
            raise ApiKeyExists(key_id=record.key_id)
        return CreatedApiKey(secret=key.text, api_key=api_key_of(record))

    def verify(self, secret: object, *, scope: str | None = None) -> ApiKeyCheck:
        """Tell what a presented secret is worth, whatever it is: a bad one is a verdict, never an error.

        What is not even of the form of a key is answered without the database. Otherwise it is one indexed read,
        and the same work whether there is such a key or not. A use is recorded at most once a minute, in a
        transaction of its own; if that fails, the answer stands. A borrowed registry records no use.

        Args:
            secret: the whole key, as it was presented.
            scope: what it must be allowed to do, matched exactly; None asks for nothing.

        Returns:
            The verdict: in order of precedence MALFORMED, UNKNOWN_KEY (also one of another book), REVOKED,
            MISSING_SCOPE, VALID. From REVOKED on it tells the key, as it stood before this use.

        Raises:
            InvalidArgument: `scope` is not a scope.
        """
        if scope is not None:
            check_scope(scope)
        key = self._form.read(secret)
        if key is None:
            return ApiKeyCheck(valid=False, code=ApiKeyCode.MALFORMED)

        found = self._door.read(lambda work: self._read(work, key))
        record = found if found is not None and found.book == self._book else None
        if not self._hash.fits(key, record) or record is None:
            return ApiKeyCheck(valid=False, code=ApiKeyCode.UNKNOWN_KEY)

        check = judge(record, scope)
        if check.valid and self._door.own and touch_due(record, now := self._now()):
            touch_api_key(self._door.engine, self._tables, record.key_id, now=now)
        return check

    def get(self, key_id: str) -> ApiKey:
        """Return the key with this id.

        Raises:
            InvalidArgument: `key_id` cannot be one, as a whole key cannot.
            ApiKeyNotFound: the book has no such key.
        """
        wanted = check_key_id(key_id)
        record = self._door.read(lambda work: read_api_key(work, wanted))
        if record is None or record.book != self._book:
            raise ApiKeyNotFound(key_id=wanted)
        return api_key_of(record)

    def page(self, *, limit: int = 50, after: str | None = None) -> Page[ApiKey]:
        """Return keys of the book, newest first.

        Args:
            limit: how many at most, 1..1000.
            after: the ``next`` of the page before; None for the first.

        Raises:
            InvalidArgument: one of these is not as above.
        """
        count = check_limit(limit)
        place = None if after is None else parse_cursor(after)
        records = self._door.read(
            lambda work: page_of_api_keys(work, self._book, limit=count + 1, after=place)
        )
        shown = records[:count]
        more = cursor_of(shown[-1]) if len(records) > count else None
        page = Page(tuple(api_key_of(record) for record in shown), more)
        return page.turned_by(lambda cursor: self.page(limit=count, after=cursor))

    def revoke(self, key_id: str, *, reason: str | None = None) -> ApiKey:
        """Revoke a key, for good; one that is revoked already stays as it is, with its first instant and reason.

        Args:
            key_id: the key's public id.
            reason: text for people, up to 500 characters.

        Returns:
            The key as it is then.

        Raises:
            InvalidArgument: `key_id` cannot be one, or `reason` is not storable text.
            ApiKeyNotFound: the book has no such key.
            Contended: others were in the way; nothing was written.
        """
        wanted = check_key_id(key_id)
        if reason is not None:
            check_text(reason, "reason", most_chars=MAX_REASON_CHARS)
        now = self._now()
        record = self._door.write(
            lambda work: revoke_api_key(work, wanted, self._book, now=now, reason=reason)
        )
        if record is None:
            raise ApiKeyNotFound(key_id=wanted)
        return api_key_of(record)

    def import_legacy(self, keys: Iterable[LegacyKey]) -> LegacyImport:
        """Import keys of the old service by their hashes, so that they keep working; repeated, it changes nothing.

        Args:
            keys: at most 10,000; of two that contradict each other the first stands.

        Returns:
            The ids of those imported, of those that were here already, and of those that contradict what is here,
            each with the reason; of these nothing is changed.

        Raises:
            InvalidArgument: one of `keys` is not a LegacyKey, or there are too many.
            Contended: others were in the way; in our own transaction nothing was written.
        """
        wanted = [record_of_legacy(_legacy_key(key), self._book) for key in keys]
        if len(wanted) > MAX_BATCH:
            raise InvalidArgument("keys", f"at most {MAX_BATCH}")
        return self._door.write(lambda work: import_legacy_keys(work, wanted))

    def _read(self, work: UnitOfWork, key: KeyText) -> ApiKeyRecord | None:
        if key.key_id is None:
            return read_api_key_by_digest(work, self._hash.legacy_digest(key))
        return read_api_key(work, key.key_id)

    def _now(self) -> int:
        return micros_of(self._clock(), "clock")


def _refuse_terms(**terms: object) -> None:
    for name, value in terms.items():
        if value is not None:
            raise InvalidArgument(name, "expiry and budgets of keys are not supported yet")


def _legacy_key(key: object) -> LegacyKey:
    if not isinstance(key, LegacyKey):
        raise InvalidArgument("keys", f"each must be a LegacyKey, not {type(key).__name__}")
    return key
