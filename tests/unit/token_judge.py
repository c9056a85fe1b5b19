"""The check under test, with settings that suit the forged tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.domain.tokens import Claims, TokenCheck, build_claims, check
from tests.unit.token_forge import ED_KID, KID, NOW, PUBLIC_PEM, SECRET, TOKEN_ID

KEYS = SigningKeys([SigningKeys.hs256(SECRET, kid=KID), SigningKeys.ed25519(PUBLIC_PEM, kid=ED_KID)])


def checked(token: object, **changed: Any) -> TokenCheck:
    """Return the verdict on a token, under these settings but for what is changed."""
    settings: dict[str, Any] = {
        "keys": KEYS,
        "issuer": "pluct",
        "audience": None,
        "book": "default",
        "now": NOW,
    }
    return check(token, **{**settings, **changed})


def built(**changed: Any) -> Claims:
    """Return the claims of a good token, built from these arguments but for what is changed."""
    arguments: dict[str, Any] = {
        "owner": "ada",
        "book": "default",
        "issuer": "pluct",
        "audience": None,
        "scope": ("read", "write"),
        "cost": 1,
        "ttl": timedelta(seconds=60),
        "now": NOW,
        "token_id": TOKEN_ID,
    }
    return build_claims(**{**arguments, **changed})
