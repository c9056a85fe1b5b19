"""What clients see: answers and refusals in two dialects."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse

from examples.fastapi_app.refusals import Refusal

PROBLEM = "application/problem+json"


class Flat:
    """What the deployed worker answers, so that its clients run unchanged."""

    insufficient = 403

    def fields(self, contract: dict[str, Any], **extras: Any) -> dict[str, Any]:
        """Return the fields of the contract; the envelope has `extras` beside them."""
        return contract

    def success(self, content: Any) -> Any:
        """Return the body of a success."""
        return content

    def refusal(self, request: Request, refusal: Refusal) -> JSONResponse:
        """Return the answer that a refusal is."""
        return JSONResponse({"error": refusal.text}, self._status(refusal), refusal.headers)

    def _status(self, refusal: Refusal) -> int:
        return self.insufficient if refusal.status == 402 else refusal.status


class Envelope(Flat):
    """The published contract."""

    insufficient = 402

    def fields(self, contract: dict[str, Any], **extras: Any) -> dict[str, Any]:
        """Return the fields of the contract, and `extras`."""
        return {**contract, **extras}

    def success(self, content: Any) -> Any:
        """Return the body of a success, in which ``success`` stands outside of ``data``."""
        if isinstance(content, dict):
            content = {name: value for name, value in content.items() if name != "success"}
        return {"success": True, "data": content, "timestamp": now()}

    def refusal(self, request: Request, refusal: Refusal) -> JSONResponse:
        """Return the answer that a refusal is: the contract's members and those of RFC 9457."""
        status = self._status(refusal)
        content = {
            "error": refusal.text,
            "code": status,
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": refusal.text,
            "errorCode": refusal.code,
        }
        media_type = PROBLEM if PROBLEM in request.headers.get("accept", "") else None
        return JSONResponse(content, status, refusal.headers, media_type)


DIALECTS = {"envelope": Envelope(), "flat": Flat()}


def instant(at: datetime) -> str:
    """Return an instant as ISO 8601 in UTC, with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """Return the present instant likewise."""
    return instant(datetime.now(UTC))


def link_to_next(request: Request, parameter: str, cursor: str | None) -> dict[str, str]:
    """Return the header that leads on from a page of a list (RFC 8288); none at its end."""
    if cursor is None:
        return {}
    query = urlencode({**request.query_params, parameter: cursor})
    return {"Link": f'<?{query}>; rel="next"'}
