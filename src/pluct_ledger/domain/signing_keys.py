"""Signing keys: what signs and verifies tokens, refused when weak, and never shown.

The cryptographic step is PyJWT's and cryptography's; which keys are fit for it is decided here (RFC 7518,
RFC 8037, RFC 8725).
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import HMACAlgorithm, OKPAlgorithm
from jwt.exceptions import InvalidKeyError

from pluct_ledger.domain.jws import is_kid, to_base64url
from pluct_ledger.errors import InvalidArgument

MIN_SECRET_BYTES: Final = 32
"""The shortest HS256 secret: as long as the hash (RFC 7518, section 3.2)."""

MAX_SECRET_BYTES: Final = 4096
MAX_PEM_BYTES: Final = 16_384
MAX_KEYS: Final = 64

_HMAC = HMACAlgorithm(HMACAlgorithm.SHA256)
_EDDSA = OKPAlgorithm()


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """One key and the one algorithm it is for (RFC 8725, section 3.1).

    No attribute holds the secret: it lives in what `sign` and `verify` close over, where nothing prints or
    pickles it.

    Attributes:
        kid: the name that tokens say it by.
        algorithm: ``"HS256"`` or ``"EdDSA"``, as a token's header says it.
    """

    kid: str
    algorithm: str
    _sign: Callable[[bytes], bytes] | None = field(repr=False)
    _verify: Callable[[bytes, bytes], bool] = field(repr=False)
    _public: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def signs(self) -> bool:
        """Whether it signs, or verifies only."""
        return self._sign is not None

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`; the same message always has the same one (RFC 2104, RFC 8032).

        Raises:
            InvalidArgument: the key verifies only.
        """
        if self._sign is None:
            raise InvalidArgument("keys", f"key {self.kid!r} verifies only")
        return self._sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is this key's for `message`; a wrong length is a plain no."""
        return self._verify(message, signature)

    def jwk(self) -> dict[str, str] | None:
        """Return the public key as a JWK (RFC 7517, RFC 8037), or None: a secret has no public part."""
        if not self._public:
            return None
        return {**dict(self._public), "kid": self.kid, "alg": self.algorithm, "use": "sig"}


class SigningKeys:
    """The keys of a token vendor: exactly one signs, the others verify what they signed before.

    Made by `hs256` or `ed25519` for a single key, and from several of these::

        SigningKeys([SigningKeys.hs256(new), SigningKeys.hs256(old).verify_only()])

    Immutable; neither ``repr`` nor an error ever holds a secret, and it does not pickle.

    Args:
        keys: what to join, 1..64 keys in all, each with a kid of its own.

    Raises:
        InvalidArgument: not SigningKeys; none or too many; a kid twice; not exactly one that signs.
    """

    __slots__ = ("_by_kid",)
    _by_kid: dict[str, SigningKey]

    def __init__(self, keys: Iterable[SigningKeys]) -> None:
        if not isinstance(keys, Iterable):
            raise InvalidArgument("keys", f"SigningKeys are required, not {type(keys).__name__}")
        joined: list[SigningKey] = []
        for part in keys:
            if not isinstance(part, SigningKeys):
                raise InvalidArgument("keys", f"SigningKeys are required, not {type(part).__name__}")
            joined.extend(part)
        if not 1 <= len(joined) <= MAX_KEYS:
            raise InvalidArgument("keys", f"1 to {MAX_KEYS} keys are required, not {len(joined)}")
        self._by_kid = {key.kid: key for key in joined}
        if len(self._by_kid) < len(joined):
            raise InvalidArgument("keys", "two keys have the same kid")
        if (signers := sum(key.signs for key in joined)) != 1:
            raise InvalidArgument("keys", f"exactly one key must sign, not {signers}; see verify_only()")

    @classmethod
    def hs256(cls, secret: str | bytes, *, kid: str | None = None) -> SigningKeys:
        """Return the key for HMAC-SHA-256 under a secret (RFC 7518, section 3.2).

        Args:
            secret: 32..4096 bytes, taken as they are (text as UTF-8), e.g. of ``secrets.token_bytes(32)``.
            kid: its public name; derived from the secret, without telling anything of it, unless said.

        Raises:
            InvalidArgument: `secret` is neither text nor bytes; shorter than 32 bytes or longer than 4096; a
                PEM, SSH, DER or JWK key, which others may know; well-known, or a padded well-known
                words (RFC 8725, section 3.5); `kid` is not 1..64 of ``A-Z a-z 0-9 . _ -``, or it is the
                secret.
        """
        key = _hs256_key(secret, kid)
        del secret  # what reports errors may print the locals of every frame
        if isinstance(key, InvalidArgument):
            raise key
        return cls._of(key)

    @classmethod
    def ed25519(cls, pem: str | bytes, *, kid: str | None = None) -> SigningKeys:
        """Return the key for EdDSA with Ed25519 (RFC 8037, section 3.1).

        Args:
            pem: one unencrypted PKCS #8 private key, or one public key, which then verifies only.
            kid: its public name; the JWK thumbprint (RFC 7638) unless said.

        Raises:
            InvalidArgument: `pem` is neither text nor bytes; not one such PEM key; the key of a published
                example; a point of small order, under which signatures prove nothing; `kid` is not 1..64 of
                ``A-Z a-z 0-9 . _ -``.
        """
        key = _ed25519_key(pem, kid)
        del pem  # what reports errors may print the locals of every frame
        if isinstance(key, InvalidArgument):
            raise key
        return cls._of(key)

    def verify_only(self) -> SigningKeys:
        """Return the same keys, none of which signs any more: for the keys that were replaced."""
        return self._of(*(replace(key, _sign=None) for key in self))

    @property
    def signer(self) -> SigningKey:
        """The one key that signs.

        Raises:
            InvalidArgument: all of them verify only.
        """
        for key in self:
            if key.signs:
                return key
        raise InvalidArgument("keys", "none of the keys signs: they verify only")

    def get(self, kid: str) -> SigningKey | None:
        """Return the key of that name, or None."""
        return self._by_kid.get(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 7517, section 5); symmetric keys are never in it."""
        return {"keys": [jwk for key in self if (jwk := key.jwk()) is not None]}

    def __iter__(self) -> Iterator[SigningKey]:
        return iter(self._by_kid.values())

    def __len__(self) -> int:
        return len(self._by_kid)

    def __repr__(self) -> str:
        return f"SigningKeys({list(self)!r})"

    def __reduce__(self) -> Any:
        raise TypeError("SigningKeys hold secrets and do not pickle; build them anew from the settings")

    def __copy__(self) -> SigningKeys:
        return self

    def __deepcopy__(self, _memo: object) -> SigningKeys:
        return self

    @classmethod
    def _of(cls, *keys: SigningKey) -> SigningKeys:
        made = cls.__new__(cls)
        object.__setattr__(made, "_by_kid", {key.kid: key for key in keys})
        return made


# These return their refusals, for the public methods to raise once no frame holds the secret any more.


def _hs256_key(secret: object, kid: str | None) -> SigningKey | InvalidArgument:
    raw = _bytes_of(secret, "secret")
    if isinstance(raw, InvalidArgument):
        return raw
    if len(raw) < MIN_SECRET_BYTES:
        return InvalidArgument("secret", f"at least {MIN_SECRET_BYTES} bytes (RFC 7518, section 3.2)")
    if len(raw) > MAX_SECRET_BYTES:
        return InvalidArgument("secret", f"at most {MAX_SECRET_BYTES} bytes")
    if _is_other_key(raw):
        return InvalidArgument("secret", "a PEM, SSH, DER or JWK key is no HS256 secret: others may know it")
    if _is_well_known(raw):
        return InvalidArgument("secret", "well-known; use 32 random bytes")
    if kid is None:
        # No token is ever signed over these bytes: what a token signs has a dot in it and no NUL.
        kid = to_base64url(hmac.digest(raw, b"pluct-ledger\0kid\0v1", "sha256")[:12])
    elif not is_kid(kid) or kid.encode() == raw:
        return _no_kid()

    def sign(message: bytes) -> bytes:
        return _HMAC.sign(message, raw)

    def verify(message: bytes, signature: bytes) -> bool:
        return _HMAC.verify(message, raw, signature)

    return SigningKey(kid=kid, algorithm="HS256", _sign=sign, _verify=verify)


def _ed25519_key(pem: object, kid: str | None) -> SigningKey | InvalidArgument:
    raw = _bytes_of(pem, "pem")
    if isinstance(raw, InvalidArgument):
        return raw
    key = _loaded_pem(raw)
    if key is None:
        return InvalidArgument("pem", "must be one Ed25519 key in PEM: PKCS #8 without a password, or public")
    private = key if isinstance(key, Ed25519PrivateKey) else None
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    point = public.public_bytes_raw()
    if point.hex() in _PUBLISHED_POINTS:
        return InvalidArgument("pem", "the key of a published example: everyone can sign with it")
    if int.from_bytes(point, "little") % 2**255 in _SMALL_ORDER:
        return InvalidArgument("pem", "a point of small order: signatures under it prove nothing")
    if kid is not None and not is_kid(kid):
        return _no_kid()
    x = to_base64url(point)
    thumbprint = to_base64url(sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x.encode()).digest())

    def sign(message: bytes) -> bytes:
        if private is None:
            raise InvalidArgument("keys", "the public key verifies only")
        return _EDDSA.sign(message, private)

    def verify(message: bytes, signature: bytes) -> bool:
        return _EDDSA.verify(message, public, signature)

    return SigningKey(
        kid=thumbprint if kid is None else kid,
        algorithm="EdDSA",
        _sign=None if private is None else sign,
        _verify=verify,
        _public=(("kty", "OKP"), ("crv", "Ed25519"), ("x", x)),
    )


def _no_kid() -> InvalidArgument:
    return InvalidArgument("kid", "must be 1 to 64 of A-Z a-z 0-9 . _ - and not the secret")


def _bytes_of(material: object, name: str) -> bytes | InvalidArgument:
    if isinstance(material, bytes):
        return bytes(material)
    if not isinstance(material, str):
        return InvalidArgument(name, f"text or bytes are required, not {type(material).__name__}")
    try:
        return material.encode()
    except UnicodeEncodeError:
        return InvalidArgument(name, "must not hold lone surrogates")


def _loaded_pem(raw: bytes) -> Ed25519PrivateKey | Ed25519PublicKey | None:
    if len(raw) > MAX_PEM_BYTES or raw.count(b"-----BEGIN ") != 1:
        return None
    try:
        public = b"-----BEGIN PUBLIC KEY-----" in raw
        key = load_pem_public_key(raw) if public else load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, (Ed25519PrivateKey, Ed25519PublicKey)) else None


def _is_other_key(raw: bytes) -> bool:
    if b"-----BEGIN" in raw:
        return True
    try:
        _HMAC.prepare_key(raw)
    except InvalidKeyError:
        return True
    return False


def _is_well_known(raw: bytes) -> bool:
    """Published, or what templates write where a secret belongs, repeated or padded; randomness cannot be told."""
    text = raw.decode("latin-1").strip()
    if not text.strip("\0"):
        return True  # blank
    if text.rstrip("=").translate(_TO_URL_SAFE).lower() in _PUBLISHED_SECRETS or raw in _PUBLISHED_BYTES:
        return True
    core = _RUN.sub("", _SEPARATORS.sub("", text.lower())).rstrip("0123456789")
    cut = any((phrase * len(core)).startswith(core) for phrase in _PHRASES)
    return bool(core) and (cut or re.fullmatch(f"(?:{'|'.join(_PHRASES)}|please)+", core) is not None)


_RUN = re.compile(r"(.)\1{3,}", re.DOTALL)
_SEPARATORS = re.compile(r"[\s\0!#$*+,./:;=@_~-]")
_PHRASES: Final = (
    "astringsecretatleast256bitslong",
    "astringsecretatleast512bitslong",
    "changeme",
    "changemeplease",
    "correcthorsebatterystaple",
    "mysecret",
    "mysecretkey",
    "password",
    "replaceme",
    "replacemewithalongrandomstring",
    "secret",
    "secretkey",
    "supersecret",
    "supersecretkey",
    "thisisasecret",
    "your256bitsecret",
    "your384bitsecret",
    "your512bitsecret",
    "yoursecret",
    "yoursecretkey",
    "yoursupersecretkey",
    "yoursupersecretjwtkey",
    "yoursupersecretjwtkeychangethisinproduction",
)

# RFC 7515, appendix A.1; RFC 7520, section 3.5; and the key that most tutorials for Java have copied.
_TO_URL_SAFE: Final = str.maketrans("+/", "-_")
_PUBLISHED: Final = (
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
)
_PUBLISHED_SECRETS: Final = frozenset(secret.lower() for secret in _PUBLISHED)
_PUBLISHED_BYTES: Final = frozenset(
    {
        *(urlsafe_b64decode(secret + "=" * (-len(secret) % 4)) for secret in _PUBLISHED),
        bytes.fromhex(_PUBLISHED[-1]),
    }
)

_PUBLISHED_POINTS: Final = frozenset(
    {
        # RFC 8032, section 7.1 (the first is RFC 8037's too); PyJWT's manual; the seed of zeros
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "ee9e1cd4853a680eb91569fa619f81c9ae5d45b7dde0fe9de1ae87d2ef7e8028",
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
    }
)

# The y coordinates of Ed25519's eight points of small order, with the encodings that are not canonical.
_PRIME: Final = 2**255 - 19
_ORDER_EIGHT: Final = int.from_bytes(
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
)
_SMALL_ORDER: Final = frozenset({0, 1, _PRIME - 1, _PRIME, _PRIME + 1, _ORDER_EIGHT, _PRIME - _ORDER_EIGHT})
