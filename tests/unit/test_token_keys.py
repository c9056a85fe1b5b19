"""Signing keys: which are taken, which are refused, and that none is ever shown."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import pickle
import random
import traceback
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import OKPAlgorithm

from pluct_ledger.domain import signing_keys
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.errors import InvalidArgument
from tests.unit.token_forge import (
    ED25519,
    ED_KID,
    KID,
    OTHER_SECRET,
    PRIVATE_PEM,
    PUBLIC_PEM,
    SECRET,
    base64url,
)

RFC8037_SEED = urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")


def private_pem(key: Any, encryption: Any = None) -> str:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return pem.decode()


def public_pem(key: Any) -> str:
    pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def refusal_of(make: Callable[[], object]) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as refusal:
        make()
    return refusal.value


WEAK_SECRETS: dict[str, Any] = {
    "None": None,
    "a lone surrogate": SECRET.hex() + "\ud800",
    "a number": 2**255,
    "a bytearray": bytearray(SECRET),
    "empty": "",
    "31 bytes": SECRET[:31],
    "one byte": "x",
    "blank": " " * 64,
    "zeros": bytes(32),
    "too long": bytes(range(256)) * 17,
    "secret, repeated": "secret" * 6,
    "secret, repeated and cut": ("secret" * 6)[:32],
    "changeme, repeated": "changeme" * 4,
    "secret, padded with zeros": "secret".ljust(32, "0"),
    "secret, padded with spaces": "secret".ljust(32),
    "secret, padded with NUL": b"secret".ljust(32, b"\0"),
    "secret, padded with separators": "secret" + "-=" * 20,
    "secret, padded before": "secret".rjust(40, "="),
    "secret, padded with digits": "secret12345678901234567890123456",
    "changeme, padded": "changeme-changeme-please-0000000000",
    "Change Me": "CHANGE_ME_CHANGE_ME_CHANGE_ME_PLEASE!",
    "the old sample of jwt.io": "your-256-bit-secret".ljust(32, "-"),
    "the longer sample of jwt.io": "your-512-bit-secret-your-512-bit-secret-your-512-bit-secret",
    "the sample of jwt.io": "a-string-secret-at-least-256-bits-long",
    "what templates say": "your-super-secret-jwt-key-change-this-in-production",
    "RFC 7515, A.1": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "RFC 7520, 3.5": urlsafe_b64decode("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg="),
    "the key of Java tutorials": "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "its bytes": bytes.fromhex("404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970"),
    "a public PEM": PUBLIC_PEM,
    "a public PEM as bytes": PUBLIC_PEM.encode(),
    "a private PEM": PRIVATE_PEM,
    "half a PEM": PUBLIC_PEM[:70],
    "a PEM after other text": f"key={PUBLIC_PEM}",
    "a public DER": ED25519.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "an SSH key": ED25519.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "a JWK": json.dumps({"kty": "OKP", "crv": "Ed25519", "x": base64url(SECRET)}),
}


@pytest.mark.parametrize("secret", WEAK_SECRETS.values(), ids=WEAK_SECRETS)
def test_a_weak_secret_is_refused(secret: Any) -> None:
    """A secret that is short, guessable, published or another kind of key never becomes a key (RFC 8725, 3.5)."""
    assert refusal_of(lambda: SigningKeys.hs256(secret)).argument == "secret"


def test_random_secrets_are_taken() -> None:
    """Of 2,000 random keys in each usual spelling none is mistaken for a weak one."""
    draw = random.Random(1)
    for _ in range(2_000):
        raw = draw.randbytes(32)
        for secret in (
            raw,
            raw.hex(),
            b64encode(raw).decode(),
            base64url(raw),
            draw.randbytes(16).hex(),
            draw.randbytes(64),
        ):
            assert len(SigningKeys.hs256(secret)) == 1


def test_text_is_its_utf8() -> None:
    """The same secret as text and as bytes is the same key."""
    text = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich"
    assert SigningKeys.hs256(text).signer.sign(b"x") == SigningKeys.hs256(text.encode()).signer.sign(b"x")


WRONG_PEMS: dict[str, Any] = {
    "None": None,
    "a key object": ED25519,
    "empty": "",
    "no PEM": base64url(SECRET),
    "the DER": ED25519.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    "an SSH key": ED25519.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "a private SSH key": ED25519.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    "an encrypted key": private_pem(ED25519, BestAvailableEncryption(b"password")),
    "two keys": PRIVATE_PEM + PUBLIC_PEM,
    "a key twice": PUBLIC_PEM * 2,
    "cut short": PRIVATE_PEM[:60],
    "damaged": PRIVATE_PEM.replace("M", "N", 1),
    "no end": PUBLIC_PEM.replace("-----END PUBLIC KEY-----", ""),
    "megabytes": PUBLIC_PEM + "\n" * 2_000_000,
    "a lone surrogate": PUBLIC_PEM + "\ud800",
    "Ed448": private_pem(ed448.Ed448PrivateKey.generate()),
    "X25519": private_pem(x25519.X25519PrivateKey.generate()),
    "P-256": private_pem(ec.generate_private_key(ec.SECP256R1())),
    "RSA": private_pem(rsa.generate_private_key(65537, 2048)),
    "RSA, public": public_pem(rsa.generate_private_key(65537, 2048).public_key()),
    "RFC 8037, A.1": private_pem(Ed25519PrivateKey.from_private_bytes(RFC8037_SEED)),
    "RFC 8037, A.2": public_pem(Ed25519PrivateKey.from_private_bytes(RFC8037_SEED).public_key()),
    "the seed of zeros": private_pem(Ed25519PrivateKey.from_private_bytes(bytes(32))),
}


@pytest.mark.parametrize("pem", WRONG_PEMS.values(), ids=WRONG_PEMS)
def test_what_is_not_one_ed25519_key_is_refused(pem: Any) -> None:
    """Only one unencrypted Ed25519 key in PEM, which nobody published, becomes a key for EdDSA."""
    assert refusal_of(lambda: SigningKeys.ed25519(pem)).argument == "pem"


@pytest.mark.parametrize("sign", [0, 1])
def test_points_of_small_order_are_refused(sign: int) -> None:
    """A public key under which anyone can make signatures is no key; the list is that of the points themselves."""
    assert len(signing_keys._SMALL_ORDER) == 7
    for y in signing_keys._SMALL_ORDER:
        point = Ed25519PublicKey.from_public_bytes((y | sign << 255).to_bytes(32, "little"))
        assert "small order" in refusal_of(partial(SigningKeys.ed25519, public_pem(point))).problem


@pytest.mark.parametrize("kid", ["", "a b", "../x", "a/b", "é", "k" * 65, "k\n", 7, b"k", SECRET.hex()])
@pytest.mark.parametrize(
    "make",
    [
        lambda kid: SigningKeys.hs256(SECRET.hex(), kid=kid),
        lambda kid: SigningKeys.ed25519(PRIVATE_PEM, kid=kid),
    ],
    ids=["HS256", "EdDSA"],
)
def test_a_kid_is_a_plain_word(make: Callable[[Any], SigningKeys], kid: Any) -> None:
    """A kid is 1..64 of A-Z a-z 0-9 . _ - and never the secret itself."""
    if kid == SECRET.hex() and make(KID).signer.algorithm == "EdDSA":
        return
    assert refusal_of(lambda: make(kid)).argument == "kid"


def test_the_kid_of_an_ed25519_key_is_its_thumbprint() -> None:
    """It is that of RFC 7638 for the public key, so the private and the public key have the same."""
    x = base64url(ED25519.public_key().public_bytes_raw())
    jwk = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    expected = base64url(hashlib.sha256(jwk.encode()).digest())
    assert [key.kid for key in SigningKeys.ed25519(PRIVATE_PEM)] == [expected]
    assert [key.kid for key in SigningKeys.ed25519(PUBLIC_PEM)] == [expected]


def test_the_kid_of_a_secret_is_derived_and_tells_nothing() -> None:
    """The same secret always has the same kid, another one another, and it is no plain hash of the secret."""
    kid = SigningKeys.hs256(SECRET).signer.kid
    assert kid == SigningKeys.hs256(SECRET).signer.kid
    assert kid != SigningKeys.hs256(OTHER_SECRET).signer.kid
    assert len(kid) == 16
    for digest in (hashlib.sha256, hashlib.sha512, hashlib.sha1, hashlib.md5, hashlib.blake2b):
        assert not base64url(digest(SECRET).digest()).startswith(kid)


def test_a_signature_is_the_one_of_the_standard() -> None:
    """EdDSA signs the example of RFC 8037, appendix A.4, to the character."""
    example = signing_keys.SigningKey(
        kid="x",
        algorithm="EdDSA",
        _sign=lambda message: OKPAlgorithm().sign(
            message, Ed25519PrivateKey.from_private_bytes(RFC8037_SEED)
        ),
        _verify=lambda _message, _signature: False,
    )
    assert base64url(example.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


def test_signing_twice_gives_the_same() -> None:
    """Both algorithms are deterministic, which is what lets a retry be answered with the same token."""
    for keys in (SigningKeys.hs256(SECRET), SigningKeys.ed25519(PRIVATE_PEM)):
        assert keys.signer.sign(b"x") == keys.signer.sign(b"x")
        assert keys.signer.verify(b"x", keys.signer.sign(b"x"))
        assert not keys.signer.verify(b"y", keys.signer.sign(b"x"))


def test_keys_join_with_one_signer() -> None:
    """Old keys verify beside the one that signs, each by its own kid."""
    new, old = SigningKeys.hs256(SECRET, kid=KID), SigningKeys.ed25519(PRIVATE_PEM, kid=ED_KID)
    keys = SigningKeys([old.verify_only(), new])
    assert keys.signer.kid == KID
    assert [key.kid for key in keys] == [ED_KID, KID]
    assert keys.get("other") is None
    retired = keys.get(ED_KID)
    assert retired is not None
    assert not retired.signs
    assert retired.verify(b"x", old.signer.sign(b"x"))
    with pytest.raises(InvalidArgument):
        retired.sign(b"x")
    assert SigningKeys([SigningKeys([new]), old.verify_only()]).signer.kid == KID


def test_keys_do_not_join_without_exactly_one_signer() -> None:
    """None, two that sign, none that signs, a kid twice, and what is no key are refused."""
    new, old = SigningKeys.hs256(SECRET), SigningKeys.hs256(OTHER_SECRET)
    wrong: list[Any] = [
        [],
        [new, old],
        [new.verify_only(), old.verify_only()],
        [SigningKeys.ed25519(PUBLIC_PEM)],
        [new, new.verify_only()],
        [SigningKeys.hs256(SECRET, kid="a"), SigningKeys.hs256(OTHER_SECRET, kid="a").verify_only()],
        [SECRET],
        [new.signer],
        new,
        "secret",
        None,
        7,
    ]
    for keys in wrong:
        assert refusal_of(partial(SigningKeys, keys)).argument == "keys"


def test_a_public_key_has_no_signer() -> None:
    """Asking keys that verify only for a signer is refused, not answered with a key that cannot sign."""
    assert refusal_of(lambda: SigningKeys.ed25519(PUBLIC_PEM).signer).argument == "keys"
    assert refusal_of(lambda: SigningKeys.hs256(SECRET).verify_only().signer).argument == "keys"


def test_a_key_set_shows_public_keys_only() -> None:
    """What is published has the public point and nothing of a secret or a private key (RFC 7517, RFC 8037)."""
    keys = SigningKeys(
        [SigningKeys.hs256(SECRET), SigningKeys.ed25519(PRIVATE_PEM, kid=ED_KID).verify_only()]
    )
    x = base64url(ED25519.public_key().public_bytes_raw())
    assert keys.jwks() == {
        "keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": ED_KID, "alg": "EdDSA", "use": "sig"}]
    }
    assert SigningKeys.hs256(SECRET).jwks() == {"keys": []}
    assert keys.signer.jwk() is None


def _spellings(secret: bytes) -> list[str]:
    spelled = [secret.hex(), base64url(secret), b64encode(secret).decode().rstrip("="), repr(secret)[2:-1]]
    return [text[:12] for text in spelled]


def _shown(value: object) -> str:
    return " ".join((repr(value), str(value), format(value), ascii(value)))


def test_a_secret_is_never_printed() -> None:
    """Neither keys nor what they are made of hold a secret where printing, copying or dumping would find it."""
    seed = ED25519.private_bytes_raw()
    for secret, keys in ((SECRET, SigningKeys.hs256(SECRET)), (seed, SigningKeys.ed25519(PRIVATE_PEM))):
        key = keys.signer
        fields = [getattr(key, field.name) for field in dataclasses.fields(key)]
        shown = (
            _shown(keys) + _shown(key) + _shown(fields) + repr(dataclasses.asdict(key)) + repr(keys._by_kid)
        )
        assert not [text for text in _spellings(secret) if text in shown]
        assert key.kid in repr(keys)


def test_keys_do_not_pickle() -> None:
    """A secret does not travel by pickle; a copy of keys is the same keys."""
    keys = SigningKeys.hs256(SECRET)
    with pytest.raises(TypeError, match="do not pickle"):
        pickle.dumps(keys)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(keys.signer)
    assert copy.copy(keys) is keys
    assert copy.deepcopy({"keys": keys})["keys"] is keys


def _told(error: BaseException) -> str:
    """Return what a reporter of errors prints of it: messages, facts, and every local of our frames."""
    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    ours = told[told.index("signing_keys.py") :] if "signing_keys.py" in told else told
    return ours + repr(error) + str(vars(error)) + repr(error.__context__) + repr(error.__cause__)


@pytest.mark.parametrize("secret", WEAK_SECRETS.values(), ids=WEAK_SECRETS)
def test_a_refused_secret_is_not_told(secret: Any) -> None:
    """Neither the message nor any local of our frames holds the secret that was refused."""
    error = refusal_of(lambda: SigningKeys.hs256(secret))
    assert "signing_keys.py" in "".join(traceback.format_exception(error))
    if isinstance(secret, (str, bytes)) and len(secret) > 1:
        assert repr(secret)[1:20] not in _told(error)


@pytest.mark.parametrize(
    "pem", [PRIVATE_PEM + PUBLIC_PEM, PRIVATE_PEM[:60], PRIVATE_PEM.replace("M", "N", 1)]
)
def test_a_refused_private_key_is_not_told(pem: str) -> None:
    """A damaged private key does not appear in the refusal, nor in any error behind it."""
    error = refusal_of(lambda: SigningKeys.ed25519(pem))
    assert error.__context__ is None
    assert pem.splitlines()[1][:16] not in _told(error)
