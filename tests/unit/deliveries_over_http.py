"""What tests of the HTTP destination have in common: requests, a destination that may reach loopback, answers."""

from __future__ import annotations

import contextlib
from ipaddress import ip_network

from receivers import receiving

from ringback.destinations import Request
from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.model import Outcome

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
OPEN = HttpSettings(allow=LOOPBACK)
SHORT = 300
LONG = 10_000


def request_to(url: str, *, body: bytes = b'{"a": 1}', deadline: int = LONG, **headers: str) -> Request:
    fields = {"content-type": "application/json", "user-agent": "Ringback", **headers}
    return Request(url, tuple(fields.items()), body, deadline)


@contextlib.asynccontextmanager
async def delivering(settings: HttpSettings = OPEN, **seams):
    destination = HttpDestination(settings, **seams)
    try:
        yield destination
    finally:
        await destination.aclose()


async def outcome_of(script, *, deadline: int = LONG, body: bytes = b"{}") -> Outcome:
    async with receiving(script) as receiver, delivering() as destination:
        return await destination.send(request_to(receiver.url, body=body, deadline=deadline))


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
