"""Vendors for the contract suite: their keys, and what their vending leaves in the database."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import pytest
from sqlalchemy import Engine, inspect, text

from pluct_ledger import Ledger, SigningKeys, TokenVendor
from pluct_ledger.domain.signing_keys import SigningKey
from tests.contract.callers import Caller
from tests.unit.token_forge import ED_KID, KID, OTHER_SECRET, PRIVATE_PEM, SECRET

HS256: Final = SigningKeys.hs256(SECRET, kid=KID)
ED25519: Final = SigningKeys.ed25519(PRIVATE_PEM, kid=ED_KID)
OTHER: Final = SigningKeys.hs256(OTHER_SECRET, kid="k2")

VENDED: Final = {"pluct_account", "pluct_entry", "pluct_token"}
"""The tables that a vending writes to."""

own_only = pytest.mark.parametrize("caller", ["engine"], indirect=True)
"""Keeps a test to vendors in transactions of their own."""

borrowed_only = pytest.mark.parametrize("caller", ["session", "connection"], indirect=True)
"""Keeps a test to vendors in a host's transaction."""

Everything = dict[str, list[dict[str, Any]]]


def vendor_of(caller: Caller, **options: Any) -> TokenVendor:
    """Return a vendor that is called this way."""
    return joined(
        TokenVendor(Ledger(caller.engine, clock=caller.clock), **{"keys": HS256, **options}), caller
    )


def joined(vendor: TokenVendor, caller: Caller) -> TokenVendor:
    """Return a vendor inside the caller's transaction, if it has one."""
    return vendor if caller._host is None else vendor.using(caller._host)


def give_up(caller: Caller) -> None:
    """Roll the host's transaction back, as a host does after an error; own transactions need nothing."""
    if caller._host is not None:
        caller._host.rollback()


def everything(engine: Engine) -> Everything:
    """Return every row of every table in the database, whosever it is."""
    with engine.connect() as connection:
        quoted = connection.dialect.identifier_preparer.quote
        return {
            table: sorted(
                (dict(row) for row in connection.execute(text(f"SELECT * FROM {quoted(table)}")).mappings()),
                key=repr,
            )
            for table in sorted(inspect(connection).get_table_names())
        }


def added(before: Everything, after: Everything) -> Everything:
    """Return the rows that are there now and were not before, in the tables that have such."""
    new = {table: [row for row in after[table] if row not in before[table]] for table in after}
    return {table: rows for table, rows in new.items() if rows}


def header_of(token: str) -> Any:
    """Return what a token's header says, without any code of the library's."""
    return _part(token, 0)


def claims_in(token: str) -> Any:
    """Return what a token claims, without any code of the library's."""
    return _part(token, 1)


def _part(token: str, number: int) -> Any:
    part = token.split(".")[number]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def instant(seconds: int) -> datetime:
    """Return the instant so many seconds after the beginning of 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def broken(error: BaseException) -> SigningKeys:
    """Return keys whose signer fails, as one does that is kept in a device which does not answer."""

    def sign(_message: bytes) -> NoReturn:
        raise error

    return SigningKeys._of(
        SigningKey(kid=KID, algorithm="HS256", _sign=sign, _verify=lambda _message, _signature: False)
    )
