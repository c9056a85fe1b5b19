"""What the application is made of, and what every request sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Engine, create_engine

from examples.fastapi_app.rendering import DIALECTS, Flat, link_to_next
from pluct_ledger import ApiKeyRegistry, Ledger, TokenVendor, migrations, sqlite
from pluct_ledger.models import Settings


@dataclass(frozen=True, slots=True)
class Shop:
    """The library's classes over one database, once for the whole application."""

    settings: Settings
    engine: Engine
    ledger: Ledger
    vendor: TokenVendor
    api_keys: ApiKeyRegistry
    dialect: Flat


def open_shop(settings: Settings) -> Shop:
    """Open the database, bring its tables up to date, and put the library over it."""
    url = settings.database_url.get_secret_value()
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        sqlite.configure(engine)
    migrations.upgrade(engine)
    ledger = Ledger(engine, book=settings.book)
    ttl = timedelta(seconds=settings.token_ttl)
    return Shop(
        settings=settings,
        engine=engine,
        ledger=ledger,
        vendor=TokenVendor(ledger, keys=settings.signing_keys, ttl=ttl, cost=settings.token_cost),
        api_keys=ApiKeyRegistry(engine, book=settings.book),
        dialect=DIALECTS[settings.dialect],
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One request at the shop."""

    request: Request
    shop: Shop

    def answer(self, contract: dict[str, Any], **extras: Any) -> JSONResponse:
        """Answer with the fields of the contract; the envelope has `extras` beside them."""
        return JSONResponse(self.shop.dialect.success(self.shop.dialect.fields(contract, **extras)))

    def page(self, content: Any, **following: str | None) -> JSONResponse:
        """Answer with a page of a list; `following` is the parameter and the cursor of the next."""
        ((parameter, cursor),) = following.items()
        link = link_to_next(self.request, parameter, cursor)
        return JSONResponse(self.shop.dialect.success(content), headers=link)


async def call_of(request: Request) -> Call:
    """Return the request and the shop that it came to."""
    return Call(request, request.app.state.shop)


ThisCall = Annotated[Call, Depends(call_of)]
