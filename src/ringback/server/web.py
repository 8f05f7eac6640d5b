"""The HTTP server that carries the API: uvicorn, on a socket of ours, without signal handlers of its own."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, cast

import uvicorn

from ringback.config import Address
from ringback.server.express import ExpressProtocol, Lane

BACKLOG = 2_048
IDLE_SECONDS = 75
FINISH_SECONDS = 3


class CannotListen(OSError):  # noqa: N818 - named for what is the matter
    """An address cannot be listened on; ``address`` says which."""

    def __init__(self, error: OSError, address: Address) -> None:
        super().__init__(error.errno, error.strerror)
        self.address = address


class Web:
    """Serves an ASGI application on an address.

    Args:
        app: The application.
        express: Answers without the application where it can.
        address: Where to listen; port 0 takes a free one.

    Raises:
        CannotListen: Another program listens there, or it is not this machine's.
    """

    def __init__(self, app: Any, express: Lane, address: Address) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=cast("type[asyncio.Protocol]", partial(ExpressProtocol, express)),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=True,
                backlog=BACKLOG,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=FINISH_SECONDS,
            )
        )
        self._socket = _listening(address)
        self._ticking: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and port listened on."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Begin to answer."""
        # The steps of uvicorn's own `serve`, but for its signal handlers: signals are the process's.
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])
        self._ticking = asyncio.create_task(self._server.main_loop())

    async def stop(self) -> None:
        """Take no new connections, finish the requests under way within three seconds, close."""
        self._server.should_exit = True
        if self._ticking is not None:
            await self._ticking
            await self._server.shutdown(sockets=[self._socket])
        self._socket.close()


def _listening(address: Address) -> socket.socket:
    try:
        return _opened(address)
    except OSError as error:
        raise CannotListen(error, address) from None


def _opened(address: Address) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(place)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened
