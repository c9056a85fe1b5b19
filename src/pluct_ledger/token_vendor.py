"""`TokenVendor`: signed tokens that cost credits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, Unpack

from pluct_ledger.desk import Desk
from pluct_ledger.domain.arguments import check_amount
from pluct_ledger.domain.commands import Vend, WriteOptions
from pluct_ledger.domain.entries import Receipt, parse_entry_id
from pluct_ledger.domain.intents import Intent
from pluct_ledger.domain.signing_keys import SigningKeys
from pluct_ledger.domain.tokens import (
    Claims,
    TokenCheck,
    VendedToken,
    build_claims,
    check,
    check_audience,
    check_issuer,
    check_leeway,
    check_scope,
    check_ttl,
    claims_of,
    sign,
)
from pluct_ledger.errors import Corrupted, InvalidArgument, TokenUnavailable
from pluct_ledger.storage.tokens import TokenRow, insert_token, read_token
from pluct_ledger.storage.unit_of_work import UnitOfWork
from pluct_ledger.storage.writes import decide_all, record

if TYPE_CHECKING:
    from pluct_ledger.doors import Host
    from pluct_ledger.ledger import Ledger

_SECOND = timedelta(seconds=1)


class TokenVendor:
    """Sells signed tokens (JWT) for the credit of a ledger, and checks those that come back.

    Immutable, and safe to share between threads.

    Args:
        ledger: whose credit pays; its book is named in every token.
        keys: signs with the one active key, verifies with all.
        issuer: the ``iss`` of every token.
        audience: the ``aud`` of every token; None for none.
        ttl: how long a token is good, whole seconds.
        cost: what a token costs, in the asset's smallest unit, at least 1.
        leeway: how far the clocks of vendor and validator may differ.

    Raises:
        InvalidArgument: naming the first argument that is wrong.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        keys: SigningKeys,
        issuer: str = "pluct",
        audience: str | None = None,
        ttl: timedelta = timedelta(seconds=60),
        cost: int = 1,
        leeway: timedelta = timedelta(0),
    ) -> None:
        if not isinstance(getattr(ledger, "desk", None), Desk):
            raise InvalidArgument("ledger", f"a Ledger is required, not {type(ledger).__name__}")
        if not isinstance(keys, SigningKeys):
            raise InvalidArgument("keys", f"SigningKeys are required, not {type(keys).__name__}")
        self._ledger = ledger
        self._keys = keys
        self._issuer = check_issuer(issuer)
        self._audience = check_audience(audience)
        self._ttl = check_ttl(ttl)
        self._cost = check_amount(cost, most=ledger.desk.max_amount, name="cost")
        self._leeway = check_leeway(leeway)

    def using(self, host: Host) -> Self:
        """Return this vendor inside the host's open transaction, as `Ledger.using` does.

        A token that was vended there is good for nothing unless the host commits, and must not be handed out before.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._ledger = self._ledger.using(host)
        return other

    def vend(
        self,
        owner: str,
        *,
        cost: int | None = None,
        ttl: timedelta | None = None,
        scope: Sequence[str] = (),
        uses: int | None = None,
        claims: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> VendedToken:
        """Sign a token and take what it costs, in one transaction: neither is there without the other.

        The token is signed before anything is written, so a signing that fails costs nothing. It is not stored: a
        repeat under the same key signs the stored claims again, which gives the same token.

        Args:
            cost: what this token costs, in the asset's smallest unit; the vendor's unless said.
            ttl: how long it is good, whole seconds; the vendor's unless said.
            scope: what it allows (RFC 6749, section 3.3).
            uses, claims: not supported yet.
            options: see `commands.Write`.

        Raises:
            InvalidArgument, AccountNotFound, IdempotencyMismatch, TokenUnavailable, AccountClosed, AccountFrozen,
            InsufficientCredit.
            Contended, OutcomeUnknown, SchemaMismatch: see the page on transactions.
            Corrupted: the row of the token that this key vended is not what was paid for.
        """
        if uses is not None or claims is not None:
            raise InvalidArgument("uses" if uses is not None else "claims", "is not supported yet")
        wanted = check_scope(tuple(scope) if isinstance(scope, list) else scope)
        lifetime = self._ttl if ttl is None else check_ttl(ttl)
        signer = self._keys.signer  # a vendor that can only verify is told so before anything is written
        desk = self._ledger.desk
        command = Vend(
            owner,
            self._cost if cost is None else cost,
            ttl=None if ttl is None else lifetime // _SECOND,
            scope=" ".join(wanted),
            **options,
        )
        intent = desk.intent(command)

        def job(work: UnitOfWork) -> VendedToken:
            now = desk.now()
            plan = decide_all(work, [intent], names=desk.names, now=now, atomic=True)
            (receipt,) = plan.outcomes
            assert isinstance(receipt, Receipt)
            if not plan.entries:
                return self._vended_before(work, command, receipt)

            promised = build_claims(
                owner=owner,
                book=desk.names.book,
                issuer=self._issuer,
                audience=self._audience,
                scope=wanted,
                cost=intent.asked,
                ttl=lifetime,
                now=desk.now(),  # read again: the wait for the account is not taken off the token's life
                token_id=receipt.entry_id,
            )
            token = sign(promised, signer)
            # From here on there are no refusals, only writes.
            record(work, plan)
            insert_token(work, _row(intent, receipt, promised, signer.kid))
            return _vended(token, promised, receipt)

        vended = desk.door.write(job, keys=() if intent.key is None else (intent.key,))
        desk.tell([vended.receipt])
        return vended

    def validate(self, token: object, *, scope: Sequence[str] = (), stateful: bool = False) -> TokenCheck:
        """Tell whether a token is good, by its signature and claims alone: no database is read.

        Args:
            token: whatever came in; nothing that is no good token raises.
            scope: what the token has to allow: all of it.
            stateful: not supported yet.

        Returns:
            The verdict; `code` is the first of `TokenCode` that applies.

        Raises:
            InvalidArgument: `scope` is not of scope tokens, or `stateful` was asked for.
        """
        if stateful is not False:
            raise InvalidArgument("stateful", "is not supported yet")
        desk = self._ledger.desk
        return check(
            token,
            keys=self._keys,
            issuer=self._issuer,
            audience=self._audience,
            book=desk.names.book,
            scope=check_scope(scope),
            leeway=self._leeway,
            now=desk.now(),
        )

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 7517); a secret that signs HS256 is never in it."""
        return self._keys.jwks()

    def _vended_before(self, work: UnitOfWork, command: Vend, receipt: Receipt) -> VendedToken:
        """Return the token that this key vended the first time, signed again from its claims."""
        row = read_token(work, *parse_entry_id(receipt.entry_id))
        if row is None:
            raise Corrupted(record=f"token {receipt.entry_id}", problem="its row is missing")
        key = self._keys.get(row.key_id)
        if key is None or not key.signs:
            raise TokenUnavailable(token_id=receipt.entry_id, key_id=row.key_id)
        promised = _paid_claims(row, command, receipt)
        return _vended(sign(promised, key), promised, receipt)


def _row(intent: Intent, receipt: Receipt, claims: Claims, key_id: str) -> TokenRow:
    return TokenRow(intent.account_id, receipt.seq, key_id, claims.text, _expiry(claims))


def _expiry(claims: Claims) -> int:
    """Return `exp` as our tables keep instants, in microseconds."""
    return claims.exp * 1_000_000


def _paid_claims(row: TokenRow, command: Vend, receipt: Receipt) -> Claims:
    """Return a row's claims, if they are what the paying entry stands for: nothing else is ever signed again.

    Issuer and audience are taken as they stand, and so is a time to live that was the vendor's: they may have been
    configured otherwise since.
    """
    record = f"token {receipt.entry_id}"
    try:
        claims = claims_of(row.claims)
    except InvalidArgument as wrong:
        raise Corrupted(record=record, problem=f"its claims are no claims: {wrong}") from None
    lifetime = claims.exp - claims.iat if command.ttl is None else command.ttl
    said = (claims.jti, claims.sub, claims.book, claims.cost, " ".join(claims.scope), claims.nbf, claims.exp)
    paid = (
        receipt.entry_id,
        receipt.owner,
        receipt.book,
        command.cost,
        command.scope,
        claims.iat,
        claims.iat + lifetime,
    )
    if said != paid or row.expires_at != _expiry(claims):
        raise Corrupted(record=record, problem="its claims are not what was paid for")
    return claims


def _vended(token: str, claims: Claims, receipt: Receipt) -> VendedToken:
    return VendedToken(
        token=token,
        token_id=receipt.entry_id,
        owner=claims.sub,
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        receipt=receipt,
    )
