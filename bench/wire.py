"""The few bytes of HTTP/1.1 that the publisher and the receiver look at, and what they leave on record.

Both are meant to cost next to nothing, so that what is measured is the server between them. They only ever
talk to Ringback and to each other, whose messages all have a content-length or no body.
"""

from __future__ import annotations

import socket
from array import array
from pathlib import Path

import msgspec

ID_LENGTH = 31  # msg_ and 27 characters
LOOPBACK = "127.0.0.1"

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"ength: "  # of Content-Length and content-length alike; no other header they use ends so
_DELIVERED_ID = b"\r\nwebhook-id: "
_ACCEPTED_ID = b'{"id":"'


def message_end(data: bytes, start: int = 0) -> int:
    """Return where the HTTP message that begins at *start* ends, 0 if it is not whole yet."""
    head_end = data.find(_HEAD_END, start)
    if head_end < 0:
        return 0
    length_at = data.find(_LENGTH, start, head_end)
    end = head_end + len(_HEAD_END)
    if length_at >= 0:
        length_at += len(_LENGTH)
        end += int(data[length_at : data.index(b"\r", length_at)])
    return end if end <= len(data) else 0


def delivered_id(data: bytes, start: int = 0) -> bytes:
    """Return the message id in the delivery that begins at *start*."""
    at = data.index(_DELIVERED_ID, start) + len(_DELIVERED_ID)
    return data[at : at + ID_LENGTH]


def accepted_id(answer: bytes) -> bytes:
    """Return the message id in a 202 answer."""
    at = answer.index(_ACCEPTED_ID) + len(_ACCEPTED_ID)
    return answer[at : at + ID_LENGTH]


def request(path: str, port: int, headers: dict[str, str], body: bytes) -> bytes:
    """Return the bytes of a POST to loopback."""
    lines = [f"POST {path} HTTP/1.1", f"host: {LOOPBACK}:{port}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


class Record(msgspec.Struct, frozen=True):
    """What one process saw, as columns: a row per answer (publisher) or per delivery (receiver).

    ``ids`` are message ids end to end; ``begun`` and ``ended`` are packed doubles, seconds of the monotonic
    clock, which all processes share; ``kinds`` are packed 16-bit numbers saying which of the requests it was.
    A receiver has only ``ids`` and ``ended``. ``refused`` counts answers that were not the one hoped for,
    ``refusal`` is the start of the first of them, ``unanswered`` counts requests that got no answer at all.
    """

    ids: bytes
    ended: bytes
    begun: bytes = b""
    kinds: bytes = b""
    refused: int = 0
    refusal: str = ""
    unanswered: int = 0

    def save(self, file: Path) -> None:
        """Write it to *file*."""
        file.write_bytes(msgspec.msgpack.encode(self))

    def names(self) -> list[bytes]:
        """Return the message ids."""
        return [self.ids[at : at + ID_LENGTH] for at in range(0, len(self.ids), ID_LENGTH)]


def load_record(file: Path) -> Record:
    """Read what ``Record.save`` wrote."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Record)


def times(packed: bytes) -> array[float]:
    """Return packed doubles as numbers."""
    return array("d", packed)


def kinds(packed: bytes) -> array[int]:
    """Return packed 16-bit numbers as numbers."""
    return array("H", packed)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
