"""The command ``demo``: the main job, end to end, on an embedded SQLite database and a real export."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import URL

from pluct_ledger import migrations
from pluct_ledger.api_key_registry import ApiKeyRegistry
from pluct_ledger.cli.engines import open_engine
from pluct_ledger.cli.importing import show_import
from pluct_ledger.cli.options import Json, terminal_of
from pluct_ledger.cli.reading import entry_sheet, show_verification
from pluct_ledger.cli.sheets import Kind, sheet
from pluct_ledger.cli.terminal import EXIT_BOOKS_WRONG, Terminal
from pluct_ledger.domain.commands import WriteOptions
from pluct_ledger.domain.jws import to_base64url
from pluct_ledger.domain.legacy_balances import judge_balances
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.errors import Corrupted, InsufficientCredit, InvalidArgument
from pluct_ledger.importing import import_d1
from pluct_ledger.importing.balances import read_balances
from pluct_ledger.ledger import Ledger
from pluct_ledger.token_vendor import TokenVendor

_EXPORT: Final = Path("examples", "data", "pluct-d1")
_CHECKOUT: Final = Path(__file__).resolve().parents[3]
_HISTORY: Final = "d1.sqlite"
_BALANCES: Final = "kv-balances.json"
_OLD_KEYS: Final = "test-api-keys.json"

_NEWCOMER: Final = "demo-user"
_GIFT: Final = 3


def demo(
    context: typer.Context,
    export: Annotated[
        Path | None, typer.Option(help="The folder of another export: d1.sqlite and kv-balances.json.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="A new SQLite file to keep; without it all is gone afterwards.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the main job on an SQLite database of its own, and prove that the books balance."""
    terminal = terminal_of(context, as_json)
    folder = _folder(export)
    with _database(keep) as path:
        engine = open_engine(URL.create("sqlite", database=str(path)), creating=True)
        try:
            story = _Story(terminal, Ledger(engine), ApiKeyRegistry(engine), folder)
            story.schema(path, kept=keep is not None)
            seen = story.moving_in()
            user = story.partner(seen)
            story.tokens(user)
            story.books(user)
            balanced = story.proof()
        finally:
            engine.dispose()
    terminal.answer(story.told, lambda: None)
    if not balanced:
        raise typer.Exit(EXIT_BOOKS_WRONG)


def _folder(export: Path | None) -> Path:
    folder = export if export is not None else _EXPORT if _EXPORT.is_dir() else _CHECKOUT / _EXPORT
    for name in (_HISTORY, _BALANCES):
        if not (folder / name).is_file():
            where = folder / name if export is not None else _EXPORT / name
            raise InvalidArgument(
                "export", f"there is no {where}: run it in a checkout, or name a folder by --export"
            )
    return folder


@contextmanager
def _database(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if keep.exists():
            raise InvalidArgument("keep", f"{keep} is there already, and the demo writes to a new file only")
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="pluct-demo-") as folder:
        yield Path(folder) / "demo.db"


@dataclass(slots=True)
class _Story:
    """The demo as it goes on; `told` is what JSON will say of it."""

    terminal: Terminal
    ledger: Ledger
    registry: ApiKeyRegistry
    export: Path
    told: dict[str, Any] = field(default_factory=dict)
    steps: int = 0

    def schema(self, path: Path, *, kept: bool) -> None:
        self._begin("The tables")
        ran = migrations.upgrade(self.ledger.desk.door.engine)
        where = str(path) if kept else "an SQLite file that is gone afterwards (--keep FILE keeps one)"
        self._say(f"Migrated to revision {ran[-1]} in {where}.")
        self.told["upgraded"] = list(ran)

    def moving_in(self) -> Mapping[str, int]:
        """Import the export, and return the balances that its users saw."""
        self._begin("Moving in from the old service")
        started = time.monotonic()
        with self.terminal.progress("Importing", stays=True) as progress:
            report = import_d1(
                self.ledger,
                self.export / _HISTORY,
                kv_balances=self.export / _BALANCES,
                registry=self.registry,
                progress=progress,
            )
        took = time.monotonic() - started
        self._say(
            f"{report.entries_written} entries of {report.accounts_opened} users in {took:.1f} seconds."
        )
        self._say("")
        if not self.terminal.as_json:
            show_import(self.terminal, self.ledger, report)
        self.told["import"] = report

        seen = judge_balances(read_balances(self.export / _BALANCES)).seen
        found = self.ledger.balances(seen)
        self._must(
            all(owner in found and found[owner].posted == seen[owner] for owner in seen),
            "every user has the balance that they saw in the old service",
        )
        self._say(f"All {len(seen)} users have the balance that they saw in the old service.")
        self._old_keys()
        return seen

    def partner(self, seen: Mapping[str, int]) -> str:
        """Let a partner add credit, and return the user who got it."""
        self._begin("A partner adds credit")
        created = self.registry.create("Demo partner")
        key_id = created.api_key.key_id
        self._say(f"The partner gets API key {key_id}; its secret is shown once, and stored as a hash.")
        self._must(
            self.registry.verify(created.secret, scope="credits:add").valid, "the partner's key verifies"
        )
        nearly_dry = (owner for owner in seen if 1 <= seen[owner] <= 5)
        user = min(nearly_dry, key=lambda owner: (seen[owner], not owner.isascii(), owner), default=_NEWCOMER)
        options: WriteOptions = {
            "kind": "api_add",
            "reason": "Order 1001",
            "actor": f"api_key:{key_id}",
            "idempotency_key": "order-1001",
        }
        first = self.ledger.grant(user, _GIFT, **options)
        self._say(f"With it, the partner adds {_GIFT} for {user}: {first.available_after} available.")
        again = self.ledger.grant(user, _GIFT, **options)
        self._must(
            again.replayed
            and again.entry_id == first.entry_id
            and self.ledger.balance(user).available == first.available_after,
            "a repeated request moves nothing",
        )
        self._say(f"The same request comes again: nothing moves, {first.available_after} available.")
        self.told["partner"] = {"key_id": key_id, "granted": first, "repeated": again}
        return user

    def tokens(self, user: str) -> None:
        self._begin("Tokens that cost credit")
        vendor = TokenVendor(self.ledger, keys=SigningKeys.hs256(secrets.token_bytes(32)))
        rows: list[tuple[str, str, int]] = []
        token = ""
        while True:
            try:
                vended = vendor.vend(user)
            except InsufficientCredit as refusal:
                ran_dry = refusal
                break
            token = vended.token
            check = vendor.validate(token)
            self._must(check.valid and check.owner == user, "a vended token is valid")
            rows.append((vended.token_id, check.code, vended.receipt.available_after))
        if not self.terminal.as_json:
            columns = [("token", Kind.EXACT), ("verdict", Kind.EXACT), ("left", Kind.NUMBER)]
            self.terminal.show(sheet(columns, rows))
        self._say(f"{user} has run dry: {ran_dry.requested} requested, {ran_dry.available} available.")
        forged = vendor.validate(_with_another_owner(token))
        self._must(not forged.valid, "a forged token is refused")
        self._say(f"A token in which the owner was changed is refused: {forged.code}.")
        self.told["tokens"] = {"owner": user, "vended": len(rows), "ran_dry": ran_dry.facts, "forged": forged}

    def books(self, user: str) -> None:
        self._begin("The books")
        accounts = sorted(self.ledger.accounts(limit=1000).all(), key=lambda one: (-one.posted, one.owner))
        shown = [*accounts[:7], self.ledger.account(user)]
        names = ("posted", "issued", "spent", "adjusted", "entries")
        rows = [
            (one.owner, one.posted, one.issued, one.spent, one.adjusted, one.entry_count) for one in shown
        ]
        entries = self.ledger.entries(limit=8).items
        if not self.terminal.as_json:
            self._say(f"The largest of {len(accounts)} balances, and that of {user}:")
            self.terminal.show(sheet([("owner", Kind.TEXT), *((name, Kind.NUMBER) for name in names)], rows))
            self._say("")
            self._say("The last entries:")
            self.terminal.show(entry_sheet(entries))
        self.told["accounts"], self.told["entries"] = shown, entries

    def proof(self) -> bool:
        """Verify the books, and return whether they balance."""
        self._begin("The proof")
        with self.terminal.progress("Verifying", stays=True) as progress:
            report = self.ledger.verify(progress=progress)
        if not self.terminal.as_json:
            show_verification(self.terminal, report)
        self.told["verified"] = report
        return report.ok

    def _old_keys(self) -> None:
        file = self.export / _OLD_KEYS
        if not file.is_file():
            return
        checks = [self.registry.verify(secret) for secret in json.loads(file.read_text(encoding="utf-8"))]
        known = [
            (check.api_key.description, str(check.code)) for check in checks if check.api_key is not None
        ]
        self._must(len(known) == len(checks), "every old API key is known")
        self._say(f"Old API keys answer as before: {', '.join(f'{name} {code}' for name, code in known)}.")
        self.told["old_keys"] = dict(known)

    def _begin(self, title: str) -> None:
        self.steps += 1
        if not self.terminal.as_json:
            if self.steps > 1:
                self.terminal.say("")
            self.terminal.say(f"{self.steps}. {title}", "bold cyan")

    def _say(self, text: str) -> None:
        if not self.terminal.as_json:
            self.terminal.say(text)

    def _must(self, holds: bool, what: str) -> None:
        """End the demo where something that it claims does not hold."""
        if not holds:
            raise Corrupted(record="demo", problem=f"this does not hold: {what}")


def _with_another_owner(token: str) -> str:
    """Return the token as somebody would forge it: for another owner, under the old signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    forged = json.dumps({**claims, "sub": "mallory"}, separators=(",", ":"))
    return ".".join((header, to_base64url(forged.encode()), signature))
