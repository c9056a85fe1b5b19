"""What the application says of itself: the parts of its OpenAPI document, and a page for people."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI

from examples.fastapi_app.bodies import Body

AUTHENTICATION = {
    "/admin": "Authorization: Bearer <ADMIN_SECRET>",
    "/add-credits": "X-Webhook-Secret: <WEBHOOK_SECRET>",
    "/v1": "X-API-Key: <a key made by /admin/api-keys/create>",
}

_TYPES = {
    **dict.fromkeys(("success", "valid"), "boolean"),
    **dict.fromkeys(("initialBalance", "balance", "newBalance", "count", "amount", "code"), "integer"),
    **dict.fromkeys(("transaction_count", "total_spent", "current_credits"), "integer"),
    **dict.fromkeys(("transactions", "endpoints", "keys"), "array"),
    "authentication": "object",
}


def documented(
    fields: str, *, refused: tuple[int, ...] = (), body: type[Body] | None = None, listed: bool = False
) -> dict[str, Any]:
    """Return what a route tells OpenAPI: the fields of its answer, its refusals, and the body that it reads."""
    flat = _object(fields)
    if listed:
        flat = {"type": "array", "items": flat}
    envelope = _object("success timestamp")
    envelope["properties"]["data"] = flat
    refusal = _content(_object("error code errorCode"))
    statuses = refused if body is None else (*refused, 413)
    said: dict[str, Any] = {
        "response_model": None,
        "responses": {
            200: _content({"anyOf": [envelope, flat]}),
            **dict.fromkeys(statuses, refusal),
            "default": {"description": "Refused", **refusal},
        },
    }
    if body is not None:
        said["openapi_extra"] = {"requestBody": {"required": True, **_content(body.model_json_schema())}}
    return said


def _object(fields: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": _TYPES.get(name, "string")} for name in fields.split()},
    }


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def endpoints_of(app: FastAPI) -> list[str]:
    """Return method and path of every endpoint."""
    return [f"{method.upper()} {path}" for path, item in app.openapi()["paths"].items() for method in item]


def page_of(app: FastAPI) -> str:
    """Return the page that a browser gets."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{escape(operation['description'])}"
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
    )
    secrets = "".join(f"<tr><td><code>{path}</code><td>{escape(how)}" for path, how in AUTHENTICATION.items())
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(app.title)}</title>"
        f"<h1>{escape(app.title)} {app.version}</h1><p>{escape(app.description)}</p>"
        f"<h2>Endpoints</h2><table>{rows}</table><h2>Secrets</h2><table>{secrets}</table>"
        "<p><a href=openapi.json>OpenAPI</a> <a href=docs>Try it</a></p></html>"
    )
