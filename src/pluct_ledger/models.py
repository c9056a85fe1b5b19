"""Pydantic at the edges: settings that come from the environment, and commands that come as JSON.

Nothing on the write path uses them. Each model of a command becomes the command of the same name in
`pluct_ledger.commands`; the rules are checked there and in the ledger, once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, NoReturn, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from pluct_ledger import commands
from pluct_ledger.domain.arguments import (
    MAX_ACTOR_CHARS,
    MAX_AMOUNT,
    MAX_NAME_BYTES,
    MAX_REASON_CHARS,
    MAX_SPAN,
)
from pluct_ledger.domain.asks import MAX_PRIORITY
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.domain.tokens import MAX_TTL
from pluct_ledger.errors import InvalidArgument

__all__ = [
    "COMMANDS",
    "Adjust",
    "Authorize",
    "Capture",
    "Close",
    "Command",
    "Extend",
    "Freeze",
    "Issue",
    "Reverse",
    "SetOverdraftLimit",
    "Settings",
    "Spend",
    "Transfer",
    "Unfreeze",
    "Void",
    "command_of",
]

MIN_SECRET_CHARS: Final = 16
"""The shortest secret that may stand in a header."""

_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_NOT_A_WORD = re.compile(r"[^a-z0-9]")
_WELL_KNOWN: Final = re.compile(
    r"""
    0123456789abcdef | 1234567890123456(7890)? | abcdefghijklmnop(qrstuvwxyz)? | correcthorsebatterystaple
    | (change|replace)(me|this)(to|with)?a?(secret|password|key|inproduction)
    | (your|my)(super)?(admin|webhook)?(secret|password)(key|token)?(goes)?(here)?
    | thisis(a|not|nota)(secret|password)(key)? | supersecret(admin|webhook)?(password|key|secret)
    """,
    re.VERBOSE,
)


def _header_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if len(text) < MIN_SECRET_CHARS:
        raise PydanticCustomError("short", f"needs at least {MIN_SECRET_CHARS} characters")
    if _HEADER_VALUE.fullmatch(text) is None:
        raise PydanticCustomError("unfit", "must be visible ASCII, as it travels in a header")
    if _WELL_KNOWN.fullmatch(_NOT_A_WORD.sub("", text.lower())):
        raise PydanticCustomError("well_known", "is well-known; draw a random one")
    return secret


def _signing_secret(secret: SecretStr) -> SecretStr:
    try:
        _ = _keys_of(secret).signer
    except InvalidArgument as invalid:
        raise PydanticCustomError("unfit", "{problem}", {"problem": invalid.problem}) from None
    return secret


def _keys_of(secret: SecretStr) -> SigningKeys:
    text = secret.get_secret_value()
    return SigningKeys.ed25519(text) if text.startswith("-----BEGIN ") else SigningKeys.hs256(text)


HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]


class Settings(BaseModel):
    """What an HTTP adapter is told by its environment; each field is named there by its alias.

    Attributes:
        admin_secret: the Bearer secret of ``/admin``, at least 16 characters.
        jwt_secret: signs tokens: at least 32 bytes (HS256), or an Ed25519 private key in PEM (EdDSA).
        webhook_secret: the secret of the payment gateway, at least 16 characters.
        database_url: an SQLAlchemy URL; kept as a secret, since it may hold a password.
        dialect: ``envelope`` or ``flat``, see the guide on HTTP.
        token_cost: what a token costs, in the asset's smallest unit.
        token_ttl: how long a token is good, in seconds.
        max_amount: the largest amount that a request may add.
        book: the book that is served.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    admin_secret: HeaderSecret = Field(alias="ADMIN_SECRET")
    jwt_secret: SigningSecret = Field(alias="JWT_SECRET")
    webhook_secret: HeaderSecret = Field(alias="WEBHOOK_SECRET")
    database_url: SecretStr = Field(alias="DATABASE_URL", default=SecretStr("sqlite:///pluct-ledger.db"))
    dialect: Literal["envelope", "flat"] = Field(alias="PLUCT_DIALECT", default="envelope")
    token_cost: int = Field(alias="PLUCT_TOKEN_COST", default=1, ge=1, le=MAX_AMOUNT)
    token_ttl: int = Field(alias="PLUCT_TOKEN_TTL", default=60, ge=1, le=MAX_TTL // timedelta(seconds=1))
    max_amount: int = Field(alias="PLUCT_MAX_AMOUNT", default=10_000, ge=1, le=MAX_AMOUNT)
    book: str = Field(alias="PLUCT_BOOK", default="default")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; a variable that is empty counts as missing.

        Raises:
            InvalidArgument: naming every variable that is wrong, and no value.
        """
        names = (str(field.alias) for field in cls.model_fields.values())
        try:
            return cls.model_validate({name: environ[name] for name in names if environ.get(name)})
        except ValidationError as wrong:
            raise InvalidArgument("settings", _problems_of(wrong)) from None

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys that `jwt_secret` stands for."""
        return _keys_of(self.jwt_secret)


class _Write(BaseModel):
    """What every write takes; see `commands.Write`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)
    _makes: ClassVar[type[commands.Command]]

    idempotency_key: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_BYTES)
    kind: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,63}$")
    reason: str | None = Field(default=None, max_length=MAX_REASON_CHARS)
    actor: str | None = Field(default=None, max_length=MAX_ACTOR_CHARS)
    metadata: dict[str, JsonValue] | None = None
    event_at: AwareDatetime | None = None

    def command(self) -> commands.Command:
        """Return the command that `Ledger.apply` takes."""
        members = {name: getattr(self, name) for name in type(self).model_fields if name != "operation"}
        return self._makes(**members)


Owner = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES, description="1..255 bytes of UTF-8")]
Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT, description="in the asset's smallest unit")]


Span = Annotated[timedelta, Field(gt=timedelta(0), le=MAX_SPAN, description="ISO 8601, e.g. P30D")]
EntryId = Annotated[str, Field(pattern="^[0-9a-f]{32}\\.[1-9][0-9]{0,17}$", description="<account id>.<seq>")]


class Issue(_Write):
    """Grant credit to the owner; opens the account if there is none."""

    _makes = commands.Issue
    operation: Literal["grant"]
    owner: Owner
    amount: Amount
    expires_at: AwareDatetime | Span | None = None
    effective_at: AwareDatetime | None = None
    priority: int = Field(default=0, ge=-MAX_PRIORITY, le=MAX_PRIORITY)
    label: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_BYTES)
    granted_by: str | None = Field(default=None, min_length=1, max_length=MAX_NAME_BYTES)


class Spend(_Write):
    """Take credit from the owner; with `up_to`, as much of `amount` as there is."""

    _makes = commands.Spend
    operation: Literal["spend"]
    owner: Owner
    amount: Amount
    up_to: bool = False


class Transfer(_Write):
    """Move credit from one owner's account to another's."""

    _makes = commands.Transfer
    operation: Literal["transfer"]
    source: Owner
    target: Owner
    amount: Amount


class Adjust(_Write):
    """Correct an account by a signed amount, past every limit; `reason` is mandatory."""

    _makes = commands.Adjust
    operation: Literal["adjust"]
    owner: Owner
    signed_amount: int = Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT, description="not 0")
    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARS)


class Authorize(_Write):
    """Set credit of the owner aside for `ttl`, to be captured or voided."""

    _makes = commands.Authorize
    operation: Literal["authorize"]
    owner: Owner
    amount: Amount
    ttl: Span


class Capture(_Write):
    """Spend what a hold set aside: all of it, or `amount`; with `final`, the rest of the hold is set free."""

    _makes = commands.Capture
    operation: Literal["capture"]
    hold_id: EntryId
    amount: Amount | None = None
    final: bool = True
    allow_over: bool = False


class Void(_Write):
    """Set free what a hold set aside."""

    _makes = commands.Void
    operation: Literal["void"]
    hold_id: EntryId


class Extend(_Write):
    """Let a hold live for `ttl` from now on."""

    _makes = commands.Extend
    operation: Literal["extend"]
    hold_id: EntryId
    ttl: Span


class Reverse(_Write):
    """Reverse a spend, capture, transfer or grant: all that is left of it, or `amount`."""

    _makes = commands.Reverse
    operation: Literal["reverse"]
    entry_id: EntryId
    amount: Amount | None = None
    up_to: bool = False
    expired_grace: Span | None = None


class SetOverdraftLimit(_Write):
    """Let spends go down to -`limit`; null is unlimited."""

    _makes = commands.SetOverdraftLimit
    operation: Literal["set_overdraft_limit"]
    owner: Owner
    limit: Annotated[int, Field(ge=0, le=MAX_AMOUNT)] | None


class Freeze(_Write):
    """Let credit come in, but none be used."""

    _makes = commands.Freeze
    operation: Literal["freeze"]
    owner: Owner


class Unfreeze(_Write):
    """Let credit of a frozen account be used again."""

    _makes = commands.Unfreeze
    operation: Literal["unfreeze"]
    owner: Owner


class Close(_Write):
    """Close an empty account for good."""

    _makes = commands.Close
    operation: Literal["close"]
    owner: Owner


Command = Annotated[
    Issue
    | Spend
    | Authorize
    | Capture
    | Void
    | Extend
    | Transfer
    | Reverse
    | Adjust
    | SetOverdraftLimit
    | Freeze
    | Unfreeze
    | Close,
    Field(discriminator="operation"),
]
"""A command as JSON: the member ``operation`` says which."""

COMMANDS: Final[TypeAdapter[Command]] = TypeAdapter(Command)
"""Validates and dumps a command as JSON; ``COMMANDS.json_schema()`` is its JSON Schema."""


def command_of(text: str | bytes) -> commands.Command:
    """Return the command that a JSON text says, e.g. one line of a batch.

    Raises:
        InvalidArgument: it is not one JSON object in UTF-8; a member stands twice, is unknown, missing or of the
            wrong type; a number is NaN or infinite.
    """
    try:
        # What pydantic's reader lets pass: the same member twice, and NaN.
        json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_such_number)
        return COMMANDS.validate_json(text).command()
    except ValidationError as wrong:
        raise InvalidArgument("command", _problems_of(wrong)) from None
    except (ValueError, RecursionError):
        raise InvalidArgument("command", "must be one JSON object, no member of which stands twice") from None


def _problems_of(wrong: ValidationError) -> str:
    problems = []
    for error in wrong.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part) for part in error["loc"] if part not in _OPERATIONS)
        if error["type"] == "missing":
            problems.append(f"{place} is required")
        else:
            problems.append(f"{place}: {error['msg']}" if place else error["msg"])
    return "; ".join(problems)


_OPERATIONS: Final = frozenset(
    {
        "grant",
        "spend",
        "authorize",
        "capture",
        "void",
        "extend",
        "transfer",
        "reverse",
        "adjust",
        "set_overdraft_limit",
        "freeze",
        "unfreeze",
        "close",
    }
)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_such_number(_text: str) -> NoReturn:
    raise ValueError("NaN and infinities are not JSON")
