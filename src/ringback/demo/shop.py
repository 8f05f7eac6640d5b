"""Runs the example shop: the FastAPI application of examples/fastapi_shop, and the worker with its handlers.

The shop's own code is not written twice: a checkout has it among the examples, a wheel beside this file.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ringback.config import Address
from ringback.errors import ConfigurationError
from ringback.inbox import Inbox
from ringback.server.express import Lane
from ringback.server.web import Web

NAME = "fastapi_shop"
PLACES = (
    Path(__file__).parent / NAME,
    Path(__file__).parent.parent.parent.parent / "examples" / NAME,
)
HOOK = "/hooks/xendit"
# The shop's own database, which is the store as well: what the shop receives and what is published are in one place.
DATABASE = "shop.db"
# What the shop is made of that Ringback itself does not need.
PACKAGES = ("fastapi", "xendit", "dateutil")


class ShopOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop is told in its environment.

    Args:
        database: Its SQLite file.
        api_url: Where Xendit's API is.
        api_key: The key to it.
        callback_token: What webhooks have to carry.
        settings: Ringback's, for its inbox, as variables.
    """

    database: Path
    api_url: str
    api_key: str
    callback_token: str
    settings: Mapping[str, str] = {}

    def environment(self) -> dict[str, str]:
        """Return the variables."""
        return {
            "SHOP_DATABASE": str(self.database.resolve()),
            "XENDIT_API_URL": self.api_url,
            "XENDIT_API_KEY": self.api_key,
            "XENDIT_CALLBACK_TOKEN": self.callback_token,
            **self.settings,
        }


class Shop:
    """The shop, on an address of its own; one in a process.

    Args:
        listen: Where. The port is taken at once, so that others can be told of it before the shop is open.
    """

    def __init__(self, listen: Address) -> None:
        self._app: Any = None
        self._inbox: Inbox | None = None
        self._web = Web(self._serve, Lane(), listen)
        self._stopping = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://{Address(*self._web.address)}"

    @property
    def inbox(self) -> Inbox:
        """Receives its webhooks; there once ``load`` has returned."""
        if self._inbox is None:
            raise RuntimeError("the shop has not been loaded")
        return self._inbox

    def load(self, options: ShopOptions) -> None:
        """Import the application, as ``uvicorn`` and ``ringback worker`` do."""
        os.environ.update(options.environment())
        sys.path.insert(0, str(folder()))
        self._app = importlib.import_module("shop").app
        self._inbox = importlib.import_module("payments").inbox

    async def start(self) -> None:
        """Begin to answer and to handle."""
        self._working = asyncio.create_task(self.inbox.work(self._stopping))
        await self._web.start()

    async def stop(self) -> None:
        """Finish what is under way."""
        await self._web.stop()
        self._stopping.set()
        if self._working is not None:
            await self._working
        if self._inbox is not None:
            self._inbox.close()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def folder() -> Path:
    """Return where the shop's code is."""
    return next(place for place in PLACES if place.is_dir())


def check_packages() -> None:
    """Make sure that all is installed that the shop needs.

    Raises:
        ConfigurationError: Something is not; it says what to install.
    """
    missing = [name for name in PACKAGES if not is_installed(name)]
    if missing:
        raise ConfigurationError(
            f"the shop of `ringback dev` needs {', '.join(missing)}, which this Python does not have: "
            "pip install 'ringback[demo]'"
        )


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it is marked as one that cannot be
        return False
