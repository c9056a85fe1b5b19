"""Writes what was judged: accounts, history, adjustments, keys; every batch a transaction, and repeatable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.domain.accounts import account_id_of
from pluct_ledger.domain.arguments import MAX_AMOUNT, MAX_BATCH, instant_of
from pluct_ledger.domain.commands import Adjust, Issue, OpenAccount, Spend, Write
from pluct_ledger.domain.entries import EntryRecord, Receipt
from pluct_ledger.domain.idempotency import key_hash_of
from pluct_ledger.domain.intents import Intent, happened
from pluct_ledger.domain.legacy_balances import (
    CLOSING_KEY,
    CLOSING_KIND,
    End,
    check_balances,
    ends_of,
    judge_balances,
)
from pluct_ledger.domain.legacy_history import SPEND, HistoryRow, judge_history, place
from pluct_ledger.domain.legacy_key_rows import judge_keys
from pluct_ledger.domain.legacy_keys import LegacyKey
from pluct_ledger.domain.repairs import NOTED, SKIPPED, Repair, shown
from pluct_ledger.errors import AccountExists, InvalidArgument, Refused
from pluct_ledger.importing.balances import read_balances
from pluct_ledger.importing.export import opened
from pluct_ledger.importing.report import Adjustment, ImportReport
from pluct_ledger.ledger import Ledger
from pluct_ledger.storage.chunks import in_chunks
from pluct_ledger.storage.entries import recall
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.writes import Outcome, perform

Progress = Callable[[int, int], None]
"""Called with the number of rows and owners done and the number of all."""

BATCH: Final = 2_000
"""How many rows, or owners, go into one transaction."""


def import_d1(
    ledger: Ledger,
    export: Path | str,
    *,
    kv_balances: Path | str | None = None,
    registry: ApiKeyRegistry | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Move the users of the old service in, with their history, balances and API keys.

    The export is read and judged as a whole before anything is written. Then each batch is a transaction of its own (a
    borrowed ledger's are the host's), and all of it can be repeated: what is there already is left as it is, so that an
    import that was interrupted is finished by running it again. The ledger's hooks are not called, and its `max_amount`
    does not apply, since all this happened long ago.

    Args:
        ledger: the book and asset to move into.
        export: an SQLite file or an SQL dump of D1.
        kv_balances: the balances that users saw, a JSON object of ``user:<id>`` to a decimal string; who has a history
            and does not stand there saw 0. Without it the histories stand, but one that ends below 0 is carried to 0.
        registry: where the old API keys go; without it they are left out.
        progress: called with the number of rows and owners done and of all.

    Returns:
        What was written, what was there already, and every place of the export that was repaired or skipped.

    Raises:
        InvalidArgument: a file is missing, damaged or not of its form; nothing was written.
        Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions; run it again.
    """
    balances = (
        None if kv_balances is None else judge_balances(read_balances(_path(kv_balances, "kv_balances")))
    )
    with opened(_path(export, "export")) as source:
        history = judge_history(source.transactions())
        keys, key_repairs = judge_keys(source.api_keys())
    ends = ends_of(history.rows, balances)
    repairs = [
        *source.repairs,
        *history.repairs,
        *(balances.repairs if balances else ()),
        *check_balances(ends, balances),
        *key_repairs,
    ]

    tally = _Tally(repairs, progress, total=len(history.rows) + len(ends))
    tally.advance(0)
    move = _MovingIn(ledger, tally)
    move.history(history.rows)
    move.ends(ends)
    _import_keys(registry, keys, tally)
    return tally.report()


@dataclass(slots=True)
class _Tally:
    """What was done so far."""

    repairs: list[Repair]
    progress: Progress | None
    total: int
    done: int = 0
    accounts_opened: int = 0
    accounts_already_there: int = 0
    entries_written: int = 0
    entries_already_there: int = 0
    adjustments: list[Adjustment] = field(default_factory=list)
    adjustments_already_there: int = 0
    keys_imported: int = 0
    keys_already_there: int = 0

    def advance(self, by: int) -> None:
        self.done += by
        if self.progress is not None:
            self.progress(self.done, self.total)

    def skip(self, source: str, reason: str) -> None:
        self.repairs.append(Repair(source, SKIPPED, reason))

    def report(self) -> ImportReport:
        return ImportReport(
            accounts_opened=self.accounts_opened,
            accounts_already_there=self.accounts_already_there,
            entries_written=self.entries_written,
            entries_already_there=self.entries_already_there,
            adjustments=tuple(self.adjustments),
            adjustments_already_there=self.adjustments_already_there,
            keys_imported=self.keys_imported,
            keys_already_there=self.keys_already_there,
            repairs=tuple(self.repairs),
        )


class _MovingIn:
    """One import on its way into a ledger."""

    def __init__(self, ledger: Ledger, tally: _Tally) -> None:
        self._desk = replace(ledger.desk, max_amount=MAX_AMOUNT)
        self._tally = tally

    def history(self, rows: Sequence[HistoryRow]) -> None:
        """Write rows, which are in order, each owner's account opened with the first of them."""
        self._note_the_future(rows)
        met: set[str] = set()
        for batch in in_chunks(rows, BATCH):
            asked: list[tuple[HistoryRow | None, Intent]] = []
            for row in batch:
                if row.owner not in met:
                    met.add(row.owner)
                    asked.append((None, happened(self._desk.intent(OpenAccount(row.owner)), row.at)))
                asked.append((row, happened(self._desk.intent(_command_of(row)), row.at)))
            outcomes = self._perform([intent for _, intent in asked])
            for (what, _), outcome in zip(asked, outcomes, strict=True):
                if what is None:
                    self._count_account(outcome)
                else:
                    self._count_entry(what, outcome)
            self._tally.advance(len(batch))

    def ends(self, ends: Sequence[End]) -> None:
        """Open the accounts that have no history, and close every difference that no earlier import closed."""
        for batch in in_chunks(ends, BATCH):
            self._perform_openings([end for end in batch if not end.has_history])
            closed = self._closed_before(batch)
            self._adjust([end for end in batch if end.difference and end.owner not in closed])
            for end in batch:
                if end.owner in closed:
                    self._count_closed(end, closed[end.owner].amount)
            self._tally.advance(len(batch))

    def _perform_openings(self, ends: Sequence[End]) -> None:
        for outcome in self._perform([self._desk.intent(OpenAccount(end.owner)) for end in ends]):
            self._count_account(outcome)

    def _adjust(self, ends: Sequence[End]) -> None:
        asked: list[tuple[End, Intent]] = []
        for end in ends:
            command = Adjust(
                end.owner,
                end.difference,
                kind=CLOSING_KIND,
                reason=end.reason,
                idempotency_key=CLOSING_KEY,
            )
            try:
                asked.append((end, self._desk.intent(command)))
            except InvalidArgument as error:
                self._tally.skip(_balance_of(end), str(error))
        for (end, _), outcome in zip(asked, self._perform([intent for _, intent in asked]), strict=True):
            if isinstance(outcome, Refused):
                self._tally.skip(_balance_of(end), str(outcome))
            elif outcome is not None and not outcome.replayed:
                self._tally.adjustments.append(Adjustment(end.owner, end.difference, end.reason))
            else:
                self._tally.adjustments_already_there += 1

    def _closed_before(self, ends: Sequence[End]) -> dict[str, EntryRecord]:
        """Return the closing entries that earlier imports made, by owner."""
        names, key_hash = self._desk.names, key_hash_of(CLOSING_KEY)
        keys = {end.owner: (account_id_of(names.book, end.owner, names.asset), key_hash) for end in ends}
        found = self._desk.door.read(lambda work: recall(work, list(keys.values())))
        return {owner: found[key] for owner, key in keys.items() if key in found}

    def _perform(self, intents: Sequence[Intent]) -> list[Outcome]:
        if not intents:
            return []

        def job(work: UnitOfWork) -> list[Outcome]:
            plan = perform(work, intents, names=self._desk.names, now=self._desk.now(), atomic=False)
            return plan.outcomes

        return self._desk.door.write(
            job, keys=tuple(intent.key for intent in intents if intent.key is not None)
        )

    def _count_account(self, outcome: Outcome) -> None:
        if outcome is None:
            self._tally.accounts_opened += 1
        elif isinstance(outcome, AccountExists):
            self._tally.accounts_already_there += 1

    def _count_entry(self, row: HistoryRow, outcome: Outcome) -> None:
        if isinstance(outcome, Receipt) and not outcome.replayed:
            self._tally.entries_written += 1
        elif isinstance(outcome, Receipt):
            self._tally.entries_already_there += 1
        else:
            self._tally.skip(place(row.number), str(outcome))

    def _count_closed(self, end: End, amount: int) -> None:
        if end.difference == amount:
            self._tally.adjustments_already_there += 1
            return
        reason = (
            f"an earlier import closed a difference of {amount}, and this export asks for {end.difference}: "
            "an account is closed once; adjust it by hand if this export is right"
        )
        self._tally.skip(_balance_of(end), reason)

    def _note_the_future(self, rows: Sequence[HistoryRow]) -> None:
        now = self._desk.now()
        count = sum(row.at > now for row in rows)
        if count:
            newest = instant_of(rows[-1].at).isoformat()
            reason = f"{count} rows lie after the clock's present, the newest at {newest}: later entries follow them"
            self._tally.repairs.append(Repair("transactions", NOTED, reason))


def _command_of(row: HistoryRow) -> Write:
    event_at = None if row.event_at is None else instant_of(row.event_at)
    if row.kind == SPEND:
        return Spend(row.owner, -row.amount, reason=row.reason, idempotency_key=row.key, event_at=event_at)
    return Issue(
        row.owner, row.amount, kind=row.kind, reason=row.reason, idempotency_key=row.key, event_at=event_at
    )


def _path(value: object, argument: str) -> Path:
    if not isinstance(value, str | Path):
        raise InvalidArgument(argument, f"a path is required, not {type(value).__name__}")
    return Path(value)


def _balance_of(end: End) -> str:
    return f"balance of {shown(end.owner)}"


def _import_keys(registry: ApiKeyRegistry | None, keys: Sequence[LegacyKey], tally: _Tally) -> None:
    if registry is None:
        if keys:
            tally.skip("api_keys", f"{len(keys)} keys were left out: no registry was given")
        return
    for batch in in_chunks(keys, MAX_BATCH):
        done = registry.import_legacy(batch)
        tally.keys_imported += len(done.imported)
        tally.keys_already_there += len(done.unchanged)
        for conflict in done.conflicts:
            tally.skip(f"API key {conflict.key_id}", conflict.problem)
