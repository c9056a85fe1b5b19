"""Secrets for the command line: from the environment or a file, never from an argument, which every process can see."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.errors import InvalidArgument

JWT_SECRET = "JWT_SECRET"  # noqa: S105 - the name of a variable
API_KEY_PEPPER = "API_KEY_PEPPER"


def read_text(path: Path, name: str) -> str:
    """Return a file's text without the newline at its end; ``-`` is the standard input.

    Raises:
        InvalidArgument: it cannot be read, or is no UTF-8.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "is no UTF-8"
        raise InvalidArgument(name, f"{path}: {reason}") from None
    return text.rstrip("\r\n")


def signing_keys(secret_file: Path | None, key_file: Path | None) -> SigningKeys:
    """Return the keys to sign with: a PEM file's Ed25519 key, a file's secret, or that of ``JWT_SECRET``.

    Raises:
        InvalidArgument: there is none, or it is too weak.
    """
    if key_file is not None:
        return SigningKeys.ed25519(read_text(key_file, "key_file"))
    if secret_file is not None:
        return SigningKeys.hs256(read_text(secret_file, "secret_file"))
    secret = os.environ.get(JWT_SECRET)
    if not secret:
        raise InvalidArgument(
            JWT_SECRET, "set it, or name a file: --secret-file (HS256) or --key-file (Ed25519, PEM)"
        )
    return SigningKeys.hs256(secret)


def pepper(pepper_file: Path | None) -> bytes | None:
    """Return the pepper of API keys, from a file or ``API_KEY_PEPPER``; None for none."""
    if pepper_file is not None:
        return read_text(pepper_file, "pepper_file").encode()
    text = os.environ.get(API_KEY_PEPPER)
    return text.encode() if text else None
