"""Tokens and API keys, and where their secrets come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import create_engine

from pluct_ledger import ApiKeyRegistry, Ledger, SigningKeys, TokenVendor
from tests.cli.calls import SECRET, Call

pytestmark = pytest.mark.lanes(
    "sqlite", because="the command line has no SQL of its own; test_walk.py goes everywhere"
)

PEPPER = "p9vLw3NcQ7sXk1ZrTm5HbY8jUe2GdF6a"


@pytest.fixture
def private_key() -> Ed25519PrivateKey:
    """A key to sign with that is new in every test."""
    return Ed25519PrivateKey.generate()


@pytest.fixture
def pem(private_key: Ed25519PrivateKey) -> bytes:
    """The private key as a file holds it."""
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def registry_of(url: str, pepper: str | None = None) -> ApiKeyRegistry:
    return ApiKeyRegistry(create_engine(url), pepper=None if pepper is None else pepper.encode())


def test_a_token_is_the_whole_answer(cli: Call, ledger: Ledger, jwt_secret: str) -> None:
    """Vending writes the token alone to the standard output, and what there is to say of it beside."""
    ledger.grant("ada", 5)
    answer = cli("token", "vend", "ada", "--cost", "2", "--ttl", "90", "--scope", "a", "--scope", "b")

    check = TokenVendor(ledger, keys=SigningKeys.hs256(jwt_secret)).validate(
        answer.out.strip(), scope=("a", "b")
    )
    assert check.valid
    assert ledger.balance("ada").available == 3
    assert f"Token {check.token_id}, good until " in answer.err
    assert "3 available to ada" in answer.err
    assert answer.out.strip() not in answer.err


def test_a_repeated_vending_gives_the_same_token(cli: Call, ledger: Ledger, jwt_secret: str) -> None:
    """The same key vends the same token again and takes nothing, and says so."""
    ledger.grant("ada", 5)
    first = cli("token", "vend", "ada", "--idempotency-key", "k")
    again = cli("token", "vend", "ada", "--idempotency-key", "k")
    assert again.out == first.out
    assert "nothing was taken" in again.err
    assert ledger.balance("ada").available == 4


def test_a_vended_token_in_json_has_its_receipt(cli: Call, ledger: Ledger, jwt_secret: str) -> None:
    """JSON tells the token with its receipt."""
    ledger.grant("ada", 5)
    told = cli("token", "vend", "ada", "--reason", "Why", "--json").json
    assert told["owner"] == "ada"
    assert told["token"].count(".") == 2
    assert told["receipt"]["available_after"] == 4
    assert ledger.entry(told["token_id"]).reason == "Why"


def test_a_token_that_cannot_be_paid_is_refused(cli: Call, ledger: Ledger, jwt_secret: str) -> None:
    """Without credit there is no token, and the standard output stays empty."""
    ledger.grant("ada", 1)
    assert cli("token", "vend", "ada", "--cost", "2", code=17).out == ""


@pytest.mark.parametrize("ttl", ["0", "-1", "99999999999", "9" * 30])
def test_a_token_is_good_for_a_time_that_there_is(
    cli: Call, ledger: Ledger, jwt_secret: str, ttl: str
) -> None:
    """A time that is none, or longer than any calendar, is a wrong argument."""
    ledger.grant("ada", 1)
    assert cli("token", "vend", "ada", "--ttl", ttl, "--json", code=2).error["argument"] == "ttl"


@pytest.mark.parametrize("way", ["file", "dash", "nothing"])
def test_a_token_is_read_from_a_file_or_the_standard_input(
    cli: Call, token_file: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A token is validated from a file, or as it comes in, and without any database."""
    monkeypatch.delenv("DATABASE_URL")
    arguments = {"file": [str(token_file)], "dash": ["-"], "nothing": []}[way]
    answer = cli("token", "validate", *arguments, stdin=b"" if way == "file" else token_file.read_bytes())
    assert answer.out.splitlines()[0] == "VALID"
    assert "owner    ada" in answer.out


def test_a_token_is_no_argument(cli: Call, token_file: Path) -> None:
    """A token where a file belongs is refused, and is not repeated."""
    token = token_file.read_text().strip()
    answer = cli("token", "validate", token, code=2)
    assert "every process sees an argument" in answer.err
    assert token not in answer.err
    assert token not in cli("token", "validate", token, "--json", code=2).out


def test_a_token_that_is_not_good_exits_with_its_number(cli: Call, token_file: Path) -> None:
    """A verdict other than VALID exits with 40, and is the answer for people and for programs."""
    token = token_file.read_text().strip()
    assert cli("token", "validate", stdin=token + "x", code=40).out == "BAD_SIGNATURE\n"
    told = cli("token", "validate", "--json", "--scope", "admin", stdin=token, code=40).json
    assert (told["valid"], told["code"], told["owner"]) == (False, "MISSING_SCOPE", "ada")
    for anything in (b"", b"\xff\xfe", b"not a token", b"a.b.c", b"x" * 100_000):
        assert cli("token", "validate", stdin=anything, code=40).out == "MALFORMED\n"


def test_issuer_and_audience_and_book_are_compared(cli: Call, ledger: Ledger, jwt_secret: str) -> None:
    """A token is good for the issuer, audience and book that it was vended with."""
    ledger.grant("ada", 5)
    token = cli("token", "vend", "ada", "--issuer", "shop", "--audience", "door").out
    cli("token", "validate", "--issuer", "shop", "--audience", "door", stdin=token)
    assert cli("token", "validate", "--audience", "door", stdin=token, code=40).out == "WRONG_ISSUER\n"
    assert cli("token", "validate", "--issuer", "shop", stdin=token, code=40).out == "WRONG_AUDIENCE\n"
    other = cli(
        "--book", "b", "token", "validate", "--issuer", "shop", "--audience", "door", stdin=token, code=40
    )
    assert other.out == "WRONG_BOOK\n"


def test_a_key_file_signs_and_its_public_part_validates(
    cli: Call, ledger: Ledger, private_key: Ed25519PrivateKey, pem: bytes, tmp_path: Path
) -> None:
    """An Ed25519 key signs; its public half validates, and vends nothing."""
    ledger.grant("ada", 5)
    ours, theirs = tmp_path / "private.pem", tmp_path / "public.pem"
    ours.write_bytes(pem)
    theirs.write_bytes(private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    token = cli("token", "vend", "ada", "--key-file", str(ours)).out
    assert cli("token", "validate", "--key-file", str(theirs), stdin=token).out.startswith("VALID\n")
    cli("token", "vend", "ada", "--key-file", str(theirs), code=2)
    assert ledger.balance("ada").available == 4


def test_the_variable_holds_a_secret_or_a_key(
    cli: Call, ledger: Ledger, pem: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JWT_SECRET may hold an Ed25519 key in PEM as well, as the settings of an HTTP adapter may."""
    ledger.grant("ada", 5)
    file = tmp_path / "key.pem"
    file.write_bytes(pem)
    monkeypatch.setenv("JWT_SECRET", pem.decode())
    token = cli("token", "vend", "ada").out
    cli("token", "validate", "--key-file", str(file), stdin=token)


def test_a_secret_file_holds_text_or_bytes(
    cli: Call, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line break at the end of a text is no part of the secret, while every one of some bytes is."""
    ledger.grant("ada", 5)
    text, raw = tmp_path / "text", tmp_path / "raw"
    text.write_text(SECRET + "\n")
    drawn = bytes(range(200, 231)) + b"\xff\n"
    raw.write_bytes(drawn)

    monkeypatch.setenv("JWT_SECRET", SECRET)
    cli("token", "validate", stdin=cli("token", "vend", "ada", "--secret-file", str(text)).out)
    token = cli("token", "vend", "ada", "--secret-file", str(raw)).out.strip()
    assert TokenVendor(ledger, keys=SigningKeys.hs256(drawn)).validate(token).valid


@pytest.mark.parametrize(
    "content", [b"short", b"", b"changeme" * 5, b"x" * 70_000], ids=["short", "empty", "weak", "long"]
)
@pytest.mark.parametrize("place", ["JWT_SECRET", "--secret-file", "--key-file"])
def test_a_bad_secret_is_refused_and_not_repeated(
    cli: Call, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, place: str
) -> None:
    """A secret that is too weak, or no key at all, takes nothing, exits with 2, and is in no message."""
    ledger.grant("ada", 1)
    file = tmp_path / "secret"
    file.write_bytes(content)
    monkeypatch.setenv("JWT_SECRET", content.decode() if place == "JWT_SECRET" else "")
    arguments = [] if place == "JWT_SECRET" else [place, str(file)]
    answer = cli("token", "vend", "ada", *arguments, code=2)
    assert not content or content == b"short" or content.decode() not in answer.err
    assert ledger.balance("ada").available == 1


def test_a_secret_is_named_once(cli: Call, tmp_path: Path) -> None:
    """Without a secret, or with two, the call is wrong, and the ways to give one are told."""
    cli("grant", "ada", "1")
    told = cli("token", "vend", "ada", code=2).err
    assert "--secret-file" in told
    assert "--key-file" in told
    cli("token", "vend", "ada", "--secret-file", "a", "--key-file", "b", code=2)


def test_a_secret_in_place_of_its_file_is_not_repeated(cli: Call) -> None:
    """Who gives a secret where its file belongs does not find it in the message."""
    cli("grant", "ada", "1")
    for arguments in (
        ["token", "vend", "ada", "--secret-file", SECRET],
        ["token", "vend", "ada", "--key-file", SECRET],
        ["token", "validate", "--secret-file", SECRET],
        ["key", "create", "Partner", "--pepper-file", SECRET],
    ):
        assert SECRET not in cli(*arguments, code=2).err
        assert SECRET not in cli(*arguments, "--json", code=2).out


def test_an_api_key_is_shown_once(cli: Call, database_url: str) -> None:
    """Creating a key writes its secret alone to the standard output; no list and no JSON tells it again."""
    created = cli("key", "create", "Partner A", "--scope", "credits:add", "--scope", "credits:read")
    secret = created.out.strip()
    check = registry_of(database_url).verify(secret, scope="credits:read")
    assert check.valid
    assert check.api_key is not None
    assert check.api_key.key_id in created.err

    for arguments in (["key", "list"], ["key", "list", "--json"], ["key", "revoke", check.api_key.key_id]):
        answer = cli(*arguments)
        assert check.api_key.key_id in answer.out
        assert secret not in answer.out + answer.err
    assert not registry_of(database_url).verify(secret).valid


def test_a_key_may_have_another_form(cli: Call, database_url: str) -> None:
    """The words that a key begins with are those that its host's registry knows."""
    secret = cli("key", "create", "Partner A", "--prefix", "acme", "--environment", "test").out.strip()
    registry = ApiKeyRegistry(create_engine(database_url), prefix="acme", environment="test")
    assert registry.verify(secret).valid


@pytest.mark.parametrize("place", ["API_KEY_PEPPER", "--pepper-file"])
def test_a_pepper_hides_keys_from_the_database(
    cli: Call, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A key made under a pepper verifies under it alone; lists and revocations need none."""
    file = tmp_path / "pepper"
    file.write_text(PEPPER + "\n")
    monkeypatch.setenv("API_KEY_PEPPER", PEPPER if place == "API_KEY_PEPPER" else "")
    secret = cli("key", "create", "P", *([] if place == "API_KEY_PEPPER" else [place, str(file)])).out.strip()
    assert registry_of(database_url, PEPPER).verify(secret).valid
    assert not registry_of(database_url).verify(secret).valid

    monkeypatch.setenv("API_KEY_PEPPER", "short")
    assert "short" not in cli("key", "create", "P", code=2).err
    key_id = cli("key", "list", "--json").json["items"][0]["key_id"]
    assert cli("key", "revoke", key_id, "--reason", "Lost", "--json").json["revoked_reason"] == "Lost"


def test_a_whole_key_in_place_of_its_id_is_not_repeated(cli: Call) -> None:
    """Who revokes by the secret is told what an id looks like, and does not find the secret in the message."""
    secret = cli("key", "create", "Partner A").out.strip()
    answer = cli("key", "revoke", secret, code=2)
    assert secret not in answer.err


def test_keys_are_listed_page_by_page(cli: Call) -> None:
    """Newer keys come first, and the cursor leads to the older ones."""
    for name in ("one", "two", "three"):
        cli("key", "create", name)
    first = cli("key", "list", "--limit", "2", "--json").json
    assert [key["description"] for key in first["items"]] == ["three", "two"]
    rest = cli("key", "list", "--after", first["next"])
    assert "one" in rest.out
    assert "three" not in rest.out
    assert f"--after {first['next']}" in cli("key", "list", "--limit", "2").err
