"""The bare ASGI application that intake is held against: it answers 200 and does nothing else.

Run as ``python -m bench.bare PORT``. Same server, same event loop, same settings as Ringback's.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from bench.wire import LOOPBACK

Send = Callable[[dict[str, Any]], Awaitable[None]]
ANSWER = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
END = {"type": "http.response.body", "body": b""}


async def answer(
    _scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send
) -> None:
    """Read the request and answer 200."""
    while (await receive()).get("more_body"):
        pass
    await send(ANSWER)
    await send(END)


if __name__ == "__main__":
    uvicorn.run(
        answer,
        host=LOOPBACK,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="error",
    )
