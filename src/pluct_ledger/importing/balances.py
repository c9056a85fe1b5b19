"""Reads the balances of the old service: the KV namespace as one JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NoReturn

from pluct_ledger.errors import InvalidArgument

_ARGUMENT: Final = "kv_balances"


def read_balances(path: Path) -> dict[str, Any]:
    """Return the members of the JSON object in a file.

    Raises:
        InvalidArgument: there is no such file, it is no JSON object, or a member stands in it twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidArgument(_ARGUMENT, f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(_ARGUMENT, f"{path} is not UTF-8") from error
    try:
        members = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except InvalidArgument:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(_ARGUMENT, f"{path} is not JSON: {error}") from error
    if not isinstance(members, dict):
        raise InvalidArgument(_ARGUMENT, f"{path} holds no JSON object")
    return members


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidArgument(_ARGUMENT, f"the member {name!r} stands there twice")
        members[name] = value
    return members


def _refuse_constant(word: str) -> NoReturn:
    raise InvalidArgument(_ARGUMENT, f"{word} is not JSON")
