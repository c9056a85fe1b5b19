"""Token rows: what was vended, so that a retry can be answered with the same token."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select

from pluct_ledger.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A vended token: the entry that paid for it, the key that signed it, and its claims; never the token itself."""

    account_id: bytes
    seq: int
    key_id: str
    claims: str
    expires_at: int


def insert_token(work: UnitOfWork, row: TokenRow) -> None:
    """Record a token whose paying entry was just recorded."""
    work.execute(
        insert(work.tables.token),
        {
            "account_id": row.account_id,
            "seq": row.seq,
            "key_id": row.key_id,
            "claims": row.claims,
            "expires_at": row.expires_at,
        },
    )


def read_token(work: UnitOfWork, account_id: bytes, seq: int) -> TokenRow | None:
    """Return the token that an entry of a locked account paid for."""
    token = work.tables.token
    statement = select(
        token.c.account_id, token.c.seq, token.c.key_id, token.c.claims, token.c.expires_at
    ).where(token.c.account_id == account_id, token.c.seq == seq)
    found = work.execute(work.fresh(statement)).first()
    if found is None:
        return None
    return TokenRow(found.account_id, found.seq, found.key_id, found.claims, found.expires_at)
