"""Commands as JSON, and settings from the environment."""

from __future__ import annotations

import dataclasses
import json
import pickle
import typing
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine

from pluct_ledger import InvalidArgument, Ledger, commands, models

SECRETS = {
    "ADMIN_SECRET": "0b5fd4c7a8e1923f6d",
    "JWT_SECRET": "d1f0a7c39be84652a1c0ff5e7b9d3824",
    "WEBHOOK_SECRET": "c8e27f60b1da4935ee",
}
COMMANDS = {
    "grant": commands.Issue(
        "ada", 5, kind="bonus", reason="Welcome", actor="admin", expires_at=timedelta(days=30), label="promo"
    ),
    "spend": commands.Spend("ada", 5, up_to=True, idempotency_key="k1", metadata={"a": [1, 2.5, None]}),
    "transfer": commands.Transfer("ada", "bob", 5, event_at=datetime(2030, 1, 1, tzinfo=UTC)),
    "adjust": commands.Adjust("ada", -5, reason="a mistake"),
    "authorize": commands.Authorize("ada", 5, ttl=timedelta(minutes=5)),
    "capture": commands.Capture(f"{'a' * 32}.3", 5, final=True, allow_over=True),
    "void": commands.Void(f"{'a' * 32}.3"),
    "extend": commands.Extend(f"{'a' * 32}.3", ttl=timedelta(hours=1)),
    "reverse": commands.Reverse(f"{'a' * 32}.3", 5, up_to=True, expired_grace=timedelta(days=3)),
    "set_overdraft_limit": commands.SetOverdraftLimit("ada", 50),
    "freeze": commands.Freeze("ada"),
    "unfreeze": commands.Unfreeze("ada"),
    "close": commands.Close("ada"),
}
WRONG_COMMANDS = {
    "nothing": "",
    "no JSON": "spend",
    "a list": "[]",
    "no UTF-8": b'{"operation":"spend","owner":"\xff","amount":1}',
    "UTF-16": '{"operation":"spend","owner":"ada","amount":1}'.encode("utf-16"),
    "no operation": '{"owner":"ada","amount":1}',
    "another operation": '{"operation":"steal","owner":"ada","amount":1}',
    "a member too few": '{"operation":"spend","owner":"ada"}',
    "a member too many": '{"operation":"spend","owner":"ada","amount":1,"amuont":2}',
    "a member twice": '{"operation":"spend","owner":"ada","amount":1,"amount":2}',
    "a fraction": '{"operation":"spend","owner":"ada","amount":1.0}',
    "text for a number": '{"operation":"spend","owner":"ada","amount":"1"}',
    "a truth for a number": '{"operation":"spend","owner":"ada","amount":true}',
    "nothing at all": '{"operation":"spend","owner":"ada","amount":0}',
    "too much": '{"operation":"spend","owner":"ada","amount":9007199254740992}',
    "many digits": '{"operation":"spend","owner":"ada","amount":' + "9" * 5000 + "}",
    "a naive instant": '{"operation":"spend","owner":"ada","amount":1,"event_at":"2030-01-01T00:00:00"}',
    "NaN": '{"operation":"spend","owner":"ada","amount":1,"metadata":{"a":NaN}}',
    "nested too deep": '{"operation":"spend","owner":"ada","amount":1,"metadata":' + '{"a":' * 50_000,
    "no reason": '{"operation":"adjust","owner":"ada","signed_amount":-5}',
}


def as_json(operation: str) -> str:
    """The command as JSON, without what it leaves to the defaults."""
    command = COMMANDS[operation]
    members = {
        name: value for name, value in dataclasses.asdict(command).items() if value not in (None, False, 0)
    }
    return json.dumps({"operation": operation, **members}, default=_as_text)


def _as_text(value: datetime | timedelta) -> str:
    return value.isoformat() if isinstance(value, datetime) else f"PT{value.total_seconds():.0f}S"


@pytest.mark.parametrize("operation", COMMANDS)
def test_json_says_a_command(operation: str) -> None:
    """Each command has one JSON object, which says its operation, and becomes that command again."""
    assert models.command_of(as_json(operation)) == COMMANDS[operation]
    assert models.command_of(as_json(operation).encode()) == COMMANDS[operation]


@pytest.mark.parametrize("text", WRONG_COMMANDS.values(), ids=WRONG_COMMANDS.keys())
def test_what_says_no_command_is_refused(text: str | bytes) -> None:
    """Anything else is refused as an argument, and the refusal repeats no value."""
    with pytest.raises(InvalidArgument) as caught:
        models.command_of(text)
    assert caught.value.argument == "command"
    assert "ada" not in str(caught.value)


def test_every_command_has_its_model() -> None:
    """The models are those of the commands that a ledger applies, with the same fields."""
    (union, _) = typing.get_args(models.Command)
    made = {model._makes: model for model in typing.get_args(union)}
    assert set(made) == set(typing.get_args(commands.Command))
    for command, model in made.items():
        assert issubclass(model, BaseModel)
        fields = {field.name for field in dataclasses.fields(command)}
        assert set(model.model_fields) - {"operation"} == fields


def test_the_schema_tells_operations_apart() -> None:
    """The JSON Schema of commands names each operation, and which member tells them apart."""
    schema = models.COMMANDS.json_schema()
    assert schema["discriminator"]["propertyName"] == "operation"
    assert set(schema["discriminator"]["mapping"]) == set(COMMANDS)
    assert all(
        part["additionalProperties"] is False for part in schema["$defs"].values() if "properties" in part
    )


@pytest.mark.lanes("sqlite", because="what JSON says is the same command on every database")
def test_a_ledger_takes_what_json_says(engine: Engine) -> None:
    """A batch that came as JSON is applied like any other."""
    ledger = Ledger(engine)
    batch = [
        '{"operation":"grant","owner":"ada","amount":5}',
        '{"operation":"spend","owner":"ada","amount":2}',
    ]
    ledger.apply_many([models.command_of(line) for line in batch], atomic=True)
    assert ledger.balance("ada").available == 3


def test_settings_have_defaults() -> None:
    """Only the secrets are required, and an empty variable counts as missing."""
    settings = models.Settings.from_environment({**SECRETS, "PLUCT_BOOK": "", "PATH": "elsewhere"})
    assert (settings.dialect, settings.token_cost, settings.token_ttl) == ("envelope", 1, 60)
    assert (settings.max_amount, settings.book) == (10_000, "default")
    assert settings.signing_keys.signer.algorithm == "HS256"


def test_settings_tell_no_secret() -> None:
    """Neither secrets nor the database's address are shown by what prints settings."""
    settings = models.Settings.from_environment({**SECRETS, "DATABASE_URL": "postgresql://u:geheim@h/d"})
    shown = f"{settings} {settings!r} {settings.model_dump_json()} {settings.model_dump()!r}"
    assert not any(secret in shown for secret in (*SECRETS.values(), "geheim"))
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - of our own making


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("secret", [None, "", "short", "your-super-secret-key"])
def test_a_secret_is_one_or_refused(name: str, secret: str | None) -> None:
    """A secret that is missing, empty, short or well-known is refused by its name, and its value is not repeated."""
    others = {other: given for other, given in SECRETS.items() if other != name}
    with pytest.raises(InvalidArgument) as caught:
        models.Settings.from_environment(others if secret is None else {**others, name: secret})
    assert name in str(caught.value)
    assert not secret or secret not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "secret",
    [
        "your-admin-secret-here", "YOUR_SUPER_SECRET_KEY", "change-this-secret", "changeMeInProduction",
        "replace-me-with-a-secret", "correct horse battery staple", "0123456789abcdef", "supersecretpassword",
    ],
)  # fmt: skip
def test_a_well_known_secret_is_refused(secret: str) -> None:
    """What templates and tutorials write where a secret belongs is known to everybody."""
    with pytest.raises(InvalidArgument, match="well-known"):
        models.Settings.from_environment({**SECRETS, "ADMIN_SECRET": secret})


@pytest.mark.parametrize(
    "secret",
    ["línea-de-secreto-larga", "a secret\nof two lines", " spaces around it ", "tab\tinside a secret"],
)
def test_a_secret_that_no_header_carries_is_refused(secret: str) -> None:
    """A secret that could never be presented is refused at once."""
    with pytest.raises(InvalidArgument, match="visible ASCII"):
        models.Settings.from_environment({**SECRETS, "WEBHOOK_SECRET": secret})


def test_a_public_key_signs_nothing() -> None:
    """A key that only verifies is no JWT_SECRET."""
    pem = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
    with pytest.raises(InvalidArgument, match="JWT_SECRET: none of the keys signs"):
        models.Settings.from_environment({**SECRETS, "JWT_SECRET": pem})
