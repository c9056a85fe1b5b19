"""Who may: secrets are compared as bytes, in constant time, and what is absent equals nothing."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from examples.fastapi_app.refusals import Refusal
from examples.fastapi_app.shop import ThisCall
from pluct_ledger import ApiKey

# They read their header, if it is there, and tell OpenAPI of it; what it is worth is decided here.
AdminSecret = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
GatewaySecret = Annotated[
    str | None, Depends(APIKeyHeader(name="X-Webhook-Secret", scheme_name="gateway", auto_error=False))
]
PartnerSecret = Annotated[
    str | None, Depends(APIKeyHeader(name="X-API-Key", scheme_name="partner", auto_error=False))
]


async def admin_only(call: ThisCall, given: AdminSecret) -> None:
    """Let in who presents the admin's secret as a Bearer token (RFC 6750, section 2.1)."""
    if given is None or not same(given.credentials, call.shop.settings.admin_secret):
        raise Refusal(401, "Unauthorized", "unauthorized", {"WWW-Authenticate": "Bearer"})


async def gateway_only(call: ThisCall, given: GatewaySecret) -> None:
    """Let in who presents the payment gateway's secret."""
    if given is None or not same(given, call.shop.settings.webhook_secret):
        raise Refusal(401, "Unauthorized", "unauthorized", {"WWW-Authenticate": "X-Webhook-Secret"})


def partner(call: ThisCall, given: PartnerSecret) -> ApiKey:
    """Return the API key that was presented: one that may add credits."""
    if not given:
        raise Refusal(401, "API Key is required", "api_key_required", {"WWW-Authenticate": "X-API-Key"})
    check = call.shop.api_keys.verify(given, scope="credits:add")
    if not check.valid or check.api_key is None:
        raise Refusal(403, "Invalid or revoked API Key", check.code)
    return check.api_key


def same(given: str, secret: SecretStr) -> bool:
    """Return whether the two are equal; a good guess takes as long as a bad one."""
    return hmac.compare_digest(given.encode("latin-1"), secret.get_secret_value().encode())


APartner = Annotated[ApiKey, Depends(partner)]
