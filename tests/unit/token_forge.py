"""Makes tokens, good and bad, without any code of the library's: what its tests are judged by."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SECRET: Final = bytes.fromhex("8d1f6a02c47be95310aa97e4d82b63f5071cbe49a6d035fb7e128c94e0395ad7")
OTHER_SECRET: Final = bytes.fromhex("f1e60b7793d24c58aa0d3be1926c47508e3fd92164b87ac50d97e3140bc26f8a")
ED25519: Final = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key for these tests").digest())
PRIVATE_PEM: Final = ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC_PEM: Final = (
    ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)

KID: Final = "k1"
ED_KID: Final = "ed1"
TOKEN_ID: Final = "00112233445566778899aabbccddeeff.7"
ISSUED: Final = 1_750_000_000
NOW: Final = ISSUED * 1_000_000 + 1

HEADER: Final[dict[str, Any]] = {"alg": "HS256", "typ": "JWT", "kid": KID}
CLAIMS: Final[dict[str, Any]] = {
    "iss": "pluct",
    "sub": "ada",
    "book": "default",
    "iat": ISSUED,
    "nbf": ISSUED,
    "exp": ISSUED + 60,
    "jti": TOKEN_ID,
    "scope": "read write",
    "cost": 1,
}


def base64url(raw: bytes) -> str:
    """Return `raw` in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def as_bytes(part: object) -> bytes:
    """Return bytes as they are, text in UTF-8, and anything else as JSON."""
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode()


def hs256(signed: str, secret: bytes = SECRET) -> str:
    """Return the signature part for HMAC-SHA-256."""
    return base64url(hmac.digest(secret, signed.encode("utf-8", "surrogatepass"), "sha256"))


def forged(header: object = HEADER, claims: object = CLAIMS, *, secret: bytes = SECRET) -> str:
    """Return a well-signed token of whatever the two parts are: objects, JSON text or bytes."""
    return sealed(f"{base64url(as_bytes(header))}.{base64url(as_bytes(claims))}", secret=secret)


def sealed(signed: str, *, secret: bytes = SECRET) -> str:
    """Return a token of two encoded parts and the signature that they call for."""
    return f"{signed}.{hs256(signed, secret)}"


def header_with(**members: object) -> dict[str, Any]:
    """Return a good header with these members changed or added."""
    return {**HEADER, **members}


def claims_with(**members: object) -> dict[str, Any]:
    """Return good claims with these members changed or added."""
    return {**CLAIMS, **members}


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    """Return `members` without one of them."""
    return {key: value for key, value in members.items() if key != name}
