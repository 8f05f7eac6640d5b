"""The pages' own files: style sheet, scripts and icon, each under a name that changes with what is in it."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PLACE = "assets"
# A name is never used again for other content (RFC 8246).
FOREVER = ("cache-control", "public, max-age=31536000, immutable")
DIGITS = 12


class Asset(msgspec.Struct, frozen=True):
    """A file as it is served; ``packed`` is its content compressed with gzip."""

    name: str
    content: bytes
    packed: bytes
    content_type: str

    @property
    def path(self) -> str:
        """Where it is served, below the first page."""
        return f"{PLACE}/{self.name}"


class Assets:
    """All files of a folder, read once.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_file = {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in KINDS}
        self._by_name = {asset.name: asset for asset in self._by_file.values()}

    def path(self, file: str) -> str:
        """Return where a file of the folder is served, below the first page."""
        return self._by_file[file].path

    def named(self, name: str) -> Asset | None:
        """Return the file that is served under a name; None: there is none, or not with this content."""
        return self._by_name.get(name)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:DIGITS]
    packed = gzip.compress(content, mtime=0)
    return Asset(f"{path.stem}-{digest}{path.suffix}", content, packed, KINDS[path.suffix])


ASSETS = Assets()
