"""The pages' own files: style sheet, script and icon, each under a name that changes with what is in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# A name is never used again for other content (RFC 8246).
FOREVER = ("cache-control", "public, max-age=31536000, immutable")
DIGITS = 12


class Asset(msgspec.Struct, frozen=True):
    """A file as it is served."""

    name: str
    content: bytes
    content_type: str

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"/assets/{self.name}"


class Assets:
    """All files of a folder, read once.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_file = {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in KINDS}
        self._by_name = {asset.name: asset for asset in self._by_file.values()}

    def url(self, file: str) -> str:
        """Return where a file of the folder is served."""
        return self._by_file[file].url

    def route(self) -> Route:
        """Return what serves them."""
        return Route("GET", "/assets/{name}", self.get, open=True)

    async def get(self, call: Call) -> Answer:
        """Answer with a file.

        Raises:
            Refused: 404: it is not there, or no longer with this content.
        """
        asset = self._by_name.get(call.path["name"])
        if asset is None:
            raise Refused(404, "NOT_FOUND", "there is no such file; reload the page that named it")
        headers = (FOREVER, ("x-content-type-options", "nosniff"))
        return Answer(asset.content, content_type=asset.content_type, headers=headers)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:DIGITS]
    return Asset(f"{path.stem}-{digest}{path.suffix}", content, KINDS[path.suffix])
