"""What clients send: read within bounds and parsed strictly, so that nothing wrong gets any further."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, NoReturn, TypeVar

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel

from examples.fastapi_app.refusals import USER_ID_REQUIRED, Refusal

MAX_BODY_BYTES = 64 * 1024
MAX_USER_ID_BYTES = 255  # what a ledger takes as an owner

_USER_ID = re.compile(r"""[^'"\\;\0\ud800-\udfff]{1,100}""")
_KEY = re.compile(r"[!-~]([ -~]{0,248}[!-~])?")


def check_user_id(user_id: str) -> str:
    """Return `user_id` if it is 1..100 characters, not blank, none of them a quote, a backslash or a semicolon."""
    fits = _USER_ID.fullmatch(user_id) is not None and user_id.strip() != ""
    if not fits or len(user_id.encode()) > MAX_USER_ID_BYTES:
        raise ValueError(USER_ID_REQUIRED)
    return user_id


def check_amount(amount: int, info: ValidationInfo) -> int:
    """Return `amount` if it is not above the setting."""
    if info.context is not None and amount > info.context["most"]:
        raise ValueError("too much")
    return amount


UserId = Annotated[str, AfterValidator(check_user_id)]
KeyHeader = Annotated[str | None, Header(description="A name for this request: a repeat changes nothing.")]
Limit = Annotated[str | None, Query(description="A whole number from 1; one that is too large is clamped.")]
Amount = Annotated[int, Field(ge=1), AfterValidator(check_amount)]


class Body(BaseModel):
    """A JSON object; members that it does not name are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)
    refusals: ClassVar[dict[str, str]] = {
        "userId": USER_ID_REQUIRED,
        "amount": "Valid amount between 1 and {most} is required",
        "initialCredits": "Valid initial credits between 0 and {most} are required",
        "reason": "Valid reason is required",
        "token": "Valid token is required",
        "description": "Description is required",
    }


class Buyer(Body):
    """Of ``/vend-token``."""

    user_id: UserId


class NewUser(Body):
    """Of ``/user/create``."""

    user_id: UserId
    initial_credits: Annotated[int, Field(ge=0), AfterValidator(check_amount)] = 0


class Credit(Body):
    """Of ``/add-credits``."""

    user_id: UserId
    amount: Amount


class ExplainedCredit(Credit):
    """Of ``/admin/credits/add``."""

    reason: str = ""


class PartnerCredit(ExplainedCredit):
    """Of ``/v1/credits/add``."""

    refusals: ClassVar[dict[str, str]] = {
        **Body.refusals,
        **dict.fromkeys(("userId", "amount"), "Invalid userId or amount"),
    }


class PresentedToken(Body):
    """Of ``/validate-token``."""

    token: str = Field(min_length=1)


class NewApiKey(Body):
    """Of ``/admin/api-keys/create``."""

    description: str = Field(pattern=r"\S")


AnyBody = TypeVar("AnyBody", bound=Body)


def read(model: type[AnyBody]) -> Callable[[Request], Awaitable[AnyBody]]:
    """Return the dependency that reads the request's body as `model`."""

    async def body(request: Request) -> AnyBody:
        most = request.app.state.shop.settings.max_amount
        members = members_of(await bytes_of(request))
        try:
            return model.model_validate(members, context={"most": most})
        except ValidationError as wrong:
            first = str(wrong.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise Refusal(400, model.refusals[first].format(most=most), "invalid_argument")

    return body


async def bytes_of(request: Request) -> bytes:
    """Return the body; no more of it is read than the limit, however long it was said to be."""
    body = bytearray()
    too_large = int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES
    if not too_large:
        async for chunk in request.stream():
            body += chunk
            if too_large := len(body) > MAX_BODY_BYTES:
                break
    if too_large:
        raise Refusal(413, f"A body of at most {MAX_BODY_BYTES} bytes is required", "body_too_large")
    return bytes(body)


def members_of(body: bytes) -> dict[str, Any]:
    """Return the members of the JSON object (RFC 8259) that `body` is; one that is null counts as absent."""
    try:
        members = json.loads(
            body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_such_number
        )
    except (ValueError, RecursionError):
        members = None
    if type(members) is not dict:
        raise Refusal(400, "A JSON object in UTF-8 is required", "malformed_body")
    return {name: value for name, value in members.items() if value is not None}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_such_number(_text: str) -> NoReturn:
    raise ValueError("NaN and infinities are not JSON")


async def user_in_path(user_id: Annotated[str, Path(alias="userId")]) -> str:
    """Return the user whom the path names."""
    try:
        return check_user_id(user_id)
    except ValueError:
        raise Refusal(400, USER_ID_REQUIRED, "invalid_argument") from None


async def idempotency_key(
    idempotency_key: KeyHeader = None, x_client_request_id: KeyHeader = None
) -> str | None:
    """Return the client's name for its request; ``http:`` keeps it apart from those that others make."""
    given = x_client_request_id if idempotency_key is None else idempotency_key
    if given is None:
        return None
    if _KEY.fullmatch(given) is None:
        raise Refusal(400, "An idempotency key is 1 to 250 characters of ASCII", "invalid_argument")
    return f"http:{given}"


def limited(default: int, *, most: int) -> Callable[..., Awaitable[int]]:
    """Return the dependency that reads ``?limit=``: a whole number from 1, clamped to `most`."""

    async def limit_of(limit: Limit = None) -> int:
        if limit is None:
            return default
        if not (limit.isascii() and limit.isdigit() and limit.strip("0")):
            raise Refusal(400, "limit must be a whole number from 1", "invalid_argument")
        return most if len(limit) > 9 else min(int(limit), most)

    return limit_of


UserInPath = Annotated[str, Depends(user_in_path)]
IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]
ABuyer = Annotated[Buyer, Depends(read(Buyer))]
ANewUser = Annotated[NewUser, Depends(read(NewUser))]
ACredit = Annotated[Credit, Depends(read(Credit))]
AnExplainedCredit = Annotated[ExplainedCredit, Depends(read(ExplainedCredit))]
APartnerCredit = Annotated[PartnerCredit, Depends(read(PartnerCredit))]
APresentedToken = Annotated[PresentedToken, Depends(read(PresentedToken))]
ANewApiKey = Annotated[NewApiKey, Depends(read(NewApiKey))]
