"""The endpoints of the contract: parse, call the library, render.

They are plain functions, which run in threads. The ledger commits before it returns a receipt, so no answer tells of
credit that is not there to stay.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from examples.fastapi_app import bodies
from examples.fastapi_app.access import APartner, admin_only, gateway_only
from examples.fastapi_app.bodies import IdempotencyKey, UserInPath, limited
from examples.fastapi_app.documentation import documented
from examples.fastapi_app.rendering import instant, now
from examples.fastapi_app.shop import Call, ThisCall
from pluct_ledger import Account, Entry, Receipt

public = APIRouter()
admin = APIRouter(prefix="/admin", dependencies=[Depends(admin_only)])

KEY_MESSAGE = "API Key created successfully. This is the only time you will see the key. Store it securely."


@public.post(
    "/user/create",
    **documented("success userId initialBalance message", refused=(400, 409, 422), body=bodies.NewUser),
)
def create_user(call: ThisCall, body: bodies.ANewUser, key: IdempotencyKey) -> JSONResponse:
    """Open a user's account."""
    call.shop.ledger.open_account(
        body.user_id,
        initial=body.initial_credits,
        kind="user_creation",
        reason="User account creation",
        idempotency_key=key,
    )
    return call.answer(
        {
            "success": True,
            "userId": body.user_id,
            "initialBalance": body.initial_credits,
            "message": "User created successfully",
        }
    )


@public.get("/user/{userId:path}/balance", **documented("userId balance timestamp", refused=(400,)))
def balance(call: ThisCall, user_id: UserInPath) -> JSONResponse:
    """A user's balance; 0 of one who is not known."""
    known = call.shop.ledger.balances([user_id]).get(user_id)
    available = 0 if known is None else known.available
    return call.answer({"userId": user_id, "balance": available, "timestamp": now()})


@public.get(
    "/user/{userId:path}/transactions",
    **documented("userId transactions count timestamp", refused=(400,)),
)
def user_transactions(
    call: ThisCall,
    user_id: UserInPath,
    limit: Annotated[int, Depends(limited(50, most=100))],
    before: str | None = None,
) -> JSONResponse:
    """A user's entries, newest first."""
    page = call.shop.ledger.entries(user_id, limit=limit, before=before)
    shown = [transaction(call, entry) for entry in page]
    content = {"userId": user_id, "transactions": shown, "count": len(shown), "timestamp": now()}
    return call.page(content, before=page.next)


@public.post("/vend-token", **documented("token", refused=(400, 402, 403, 422), body=bodies.Buyer))
def vend_token(call: ThisCall, body: bodies.ABuyer, key: IdempotencyKey) -> JSONResponse:
    """Sell a token for a user's credit."""
    vended = call.shop.vendor.vend(body.user_id, idempotency_key=key)
    return call.answer(
        {"token": vended.token},
        expiresAt=instant(vended.expires_at),
        balanceAfter=vended.receipt.available_after,
    )


@public.post(
    "/validate-token",
    **documented("valid userId expiresAt reason", refused=(400,), body=bodies.PresentedToken),
)
def validate_token(call: ThisCall, body: bodies.APresentedToken) -> JSONResponse:
    """Tell whether a token is good."""
    check = call.shop.vendor.validate(body.token)
    if check.valid and check.expires_at is not None:
        return call.answer({"valid": True, "userId": check.owner, "expiresAt": instant(check.expires_at)})
    reason = "Token expired" if check.code == "EXPIRED" else "Invalid token signature"
    return call.answer({"valid": False, "reason": reason}, errorCode=check.code)


@public.post(
    "/add-credits",
    dependencies=[Depends(gateway_only)],
    **documented("success newBalance", refused=(400, 401, 422), body=bodies.Credit),
)
def add_credits(call: ThisCall, body: bodies.ACredit, key: IdempotencyKey) -> JSONResponse:
    """Credit that the payment gateway was paid for."""
    receipt = granted(call, body, key, kind="add_webhook", reason="Payment gateway", actor="webhook")
    return call.answer({"success": True, "newBalance": receipt.available_after})


@public.post(
    "/v1/credits/add",
    **documented("success newBalance", refused=(400, 401, 403, 422), body=bodies.PartnerCredit),
)
def add_partner_credits(
    call: ThisCall, partner: APartner, body: bodies.APartnerCredit, key: IdempotencyKey
) -> JSONResponse:
    """Credit from a partner."""
    reason, actor = body.reason or "API key credit addition", f"api_key:{partner.key_id}"
    receipt = granted(call, body, key, kind="api_add", reason=reason, actor=actor)
    return call.answer({"success": True, "newBalance": receipt.available_after})


@admin.post(
    "/credits/add",
    **documented("success newBalance message", refused=(400, 401, 422), body=bodies.ExplainedCredit),
)
def add_admin_credits(call: ThisCall, body: bodies.AnExplainedCredit, key: IdempotencyKey) -> JSONResponse:
    """Credit by hand."""
    reason = body.reason or "Manual credit addition by admin"
    receipt = granted(call, body, key, kind="admin_add", reason=reason, actor="admin")
    message = f"Manually added {body.amount} credits to {body.user_id}"
    return call.answer({"success": True, "newBalance": receipt.available_after, "message": message})


@admin.get(
    "/users",
    **documented("user_id transaction_count total_spent current_credits", refused=(400, 401), listed=True),
)
def users(
    call: ThisCall, limit: Annotated[int, Depends(limited(1000, most=1000))], after: str | None = None
) -> JSONResponse:
    """The users who have entries, by name."""
    shown: list[Account] = []
    for _ in range(20):  # so many pages of accounts without entries are passed over in one request
        page = call.shop.ledger.accounts(limit=limit - len(shown), after=after)
        shown += [account for account in page if account.entry_count]
        after = page.next
        if after is None or len(shown) == limit:
            break
    content = [
        {
            "user_id": account.owner,
            "transaction_count": account.entry_count,
            "total_spent": account.spent,
            "current_credits": account.available,
        }
        for account in shown
    ]
    return call.page(content, after=after)


@admin.get(
    "/transactions",
    **documented("id user_id type amount timestamp reason", refused=(400, 401), listed=True),
)
def transactions(
    call: ThisCall, limit: Annotated[int, Depends(limited(100, most=1000))], before: str | None = None
) -> JSONResponse:
    """Everybody's entries, newest first."""
    page = call.shop.ledger.entries(limit=limit, before=before)
    return call.page([transaction(call, entry) for entry in page], before=page.next)


@admin.post("/api-keys/create", **documented("message apiKey id", refused=(400, 401), body=bodies.NewApiKey))
def create_api_key(call: ThisCall, body: bodies.ANewApiKey) -> JSONResponse:
    """Make a partner's key; its secret is shown this once."""
    created = call.shop.api_keys.create(body.description)
    return call.answer({"message": KEY_MESSAGE, "apiKey": created.secret, "id": created.api_key.key_id})


@admin.get("/api-keys", **documented("id description created_at status", refused=(400, 401), listed=True))
def api_keys(
    call: ThisCall, limit: Annotated[int, Depends(limited(1000, most=1000))], after: str | None = None
) -> JSONResponse:
    """The partners' keys, newest first."""
    page = call.shop.api_keys.page(limit=limit, after=after)
    content = [
        call.shop.dialect.fields(
            {
                "id": key.key_id,
                "description": key.description,
                "created_at": instant(key.created_at),
                "status": key.status,
            },
            last_used_at=None if key.last_used_at is None else instant(key.last_used_at),
        )
        for key in page
    ]
    return call.page(content, after=page.next)


@admin.post("/api-keys/{key_id}/revoke", **documented("message", refused=(401, 404)))
def revoke_api_key(call: ThisCall, key_id: str) -> JSONResponse:
    """Revoke a partner's key, for good."""
    call.shop.api_keys.revoke(key_id)
    return call.answer({"message": "API key revoked successfully"})


def granted(call: Call, body: bodies.Credit, key: str | None, **named: Any) -> Receipt:
    """Grant what the body asks for; a repeat under the same key returns the first receipt."""
    return call.shop.ledger.grant(body.user_id, body.amount, idempotency_key=key, **named)


def transaction(call: Call, entry: Entry) -> dict[str, Any]:
    """Return an entry as clients know it: its magnitude, and in the envelope the signed change."""
    contract = {
        "id": entry.entry_id,
        "user_id": entry.owner,
        "type": entry.kind,
        "amount": abs(entry.amount),
        "timestamp": instant(entry.at),
        "reason": entry.reason or "",
    }
    return call.shop.dialect.fields(contract, change=entry.amount)
