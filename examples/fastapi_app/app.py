"""The published HTTP contract over pluct-ledger, as a FastAPI application.

    uvicorn examples.fastapi_app.app:create_app --factory

Settings come from the environment; `docs/guides/http.md` tells of them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from examples.fastapi_app import routes
from examples.fastapi_app.documentation import AUTHENTICATION, documented, endpoints_of, page_of
from examples.fastapi_app.refusals import REFUSED, refusal_of
from examples.fastapi_app.rendering import Flat, now
from examples.fastapi_app.shop import ThisCall, open_shop
from pluct_ledger import __version__
from pluct_ledger.errors import PluctError
from pluct_ledger.models import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application, and its tables in the database.

    Args:
        settings: read from the environment unless given.

    Raises:
        SystemExit: it cannot start; the message says why, and tells no secret.
    """
    try:
        shop = open_shop(Settings.from_environment(os.environ) if settings is None else settings)
    except (PluctError, SQLAlchemyError, ModuleNotFoundError, ValueError) as error:
        raise SystemExit(f"The application cannot start: {_why(error)}.") from None
    app = FastAPI(
        title="Pluct Business Engine",
        version=__version__,
        description="Credits, and tokens that cost credits.",
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.shop = shop
    app.include_router(routes.public)
    app.include_router(routes.admin)
    app.get("/", **documented("message version description endpoints authentication"))(welcome)
    app.get("/health", **documented("status timestamp version endpoints", refused=(503,)))(health)
    app.get("/.well-known/jwks.json", **documented("keys"))(jwks)
    for kind in REFUSED:
        app.add_exception_handler(kind, refuse)
    return app


def welcome(call: ThisCall) -> Response:
    """What this is; a page for browsers."""
    app: FastAPI = call.request.app
    if "text/html" in call.request.headers.get("accept", ""):
        return HTMLResponse(page_of(app))
    return call.answer(
        {
            "message": app.title,
            "version": app.version,
            "description": app.description,
            "endpoints": endpoints_of(app),
            "authentication": AUTHENTICATION,
        }
    )


def health(call: ThisCall) -> JSONResponse:
    """Whether the database answers; the same in both dialects."""
    try:
        call.shop.ledger.accounts(limit=1)
        status = "healthy"
    except (SQLAlchemyError, PluctError):
        status = "unhealthy"
    endpoints = endpoints_of(call.request.app)
    content = {"status": status, "timestamp": now(), "version": __version__, "endpoints": endpoints}
    return JSONResponse(content, 200 if status == "healthy" else 503)


def jwks(call: ThisCall) -> JSONResponse:
    """The public keys of the tokens (RFC 7517); a secret has none."""
    return JSONResponse(call.shop.vendor.jwks())


async def refuse(request: Request, error: Exception) -> Response:
    """Say no in the dialect, whatever went wrong."""
    dialect: Flat = request.app.state.shop.dialect
    return dialect.refusal(request, refusal_of(error))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.shop.engine.dispose()


def _why(error: Exception) -> str:
    if isinstance(error, PluctError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"DATABASE_URL needs the package {error.name}"
    if isinstance(error, DBAPIError):
        return f"DATABASE_URL: {error.orig}"
    return "DATABASE_URL is no URL of a database that SQLAlchemy knows"
