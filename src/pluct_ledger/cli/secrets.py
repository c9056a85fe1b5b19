"""Secrets for the command line: from the environment or a file, never from an argument, which every process can see."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from pluct_ledger.cli.terminal import Terminal
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.errors import InvalidArgument

JWT_SECRET: Final = "JWT_SECRET"  # noqa: S105 - the name of a variable
API_KEY_PEPPER: Final = "API_KEY_PEPPER"

_STANDARD_INPUT: Final = Path("-")
_MAX_BYTES: Final = 65_536
_PEM: Final = b"-----BEGIN "
_JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


def signing_keys(secret_file: Path | None, key_file: Path | None) -> SigningKeys:
    """Return the key that tokens are signed with.

    Args:
        secret_file: holds the secret of HS256.
        key_file: holds an Ed25519 key in PEM. Without either, ``JWT_SECRET`` holds the one or the other.

    Raises:
        InvalidArgument: there is none, there are two, or it is too weak.
    """
    if secret_file is not None and key_file is not None:
        raise InvalidArgument("key_file", "name one file: a secret or a key")
    if key_file is not None:
        return SigningKeys.ed25519(_secret(key_file, "key_file"))
    if secret_file is not None:
        return SigningKeys.hs256(_secret(secret_file, "secret_file"))
    secret = os.environ.get(JWT_SECRET)
    if not secret:
        raise InvalidArgument(
            JWT_SECRET, "set it, or name a file: --secret-file (HS256) or --key-file (Ed25519, PEM)"
        )
    raw = os.fsencode(secret)
    return SigningKeys.ed25519(raw) if raw.startswith(_PEM) else SigningKeys.hs256(raw)


def pepper(pepper_file: Path | None) -> bytes | None:
    """Return the pepper of API keys, from a file or ``API_KEY_PEPPER``; None for none."""
    if pepper_file is not None:
        return _secret(pepper_file, "pepper_file")
    text = os.environ.get(API_KEY_PEPPER)
    return os.fsencode(text) if text else None


def read_token(file: Path | None, terminal: Terminal) -> str:
    """Return the token that a file holds, or that comes in on the standard input.

    Raises:
        InvalidArgument: the file cannot be read, or the argument is a token and no file.
    """
    if file is None and sys.stdin.isatty():
        terminal.note("Paste the token, then press Ctrl-D.")
    if file is not None and _JWT.fullmatch(str(file)):
        raise InvalidArgument(
            "file", "a token is read from a file or the standard input: every process sees an argument"
        )
    return _read(file or _STANDARD_INPUT, "file").decode("utf-8", "replace").strip()


def _secret(path: Path, name: str) -> bytes:
    """Return what a file holds, without the line break at the end of a text."""
    content = _read(path, name)
    if len(content) > _MAX_BYTES:
        raise InvalidArgument(name, f"holds more than {_MAX_BYTES} bytes")
    try:
        return content.decode().rstrip("\r\n").encode()
    except UnicodeDecodeError:
        return content  # bytes as they were drawn: what looks like a line break is one of them


def _read(path: Path, name: str) -> bytes:
    """Return what a file holds, or a byte more than is allowed of it; ``-`` is the standard input."""
    try:
        if path == _STANDARD_INPUT:
            return sys.stdin.buffer.read(_MAX_BYTES + 1)
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        # The path is not repeated: it may be the secret itself, given in the wrong place.
        raise InvalidArgument(name, f"cannot be read: {error.strerror}") from None
