"""What a request holds that Ringback does not know: refused in strict mode, else left out and named in the answer.

Clients of another version, or of another server, send fields and parameters that do nothing here. That must not keep
them from working, nor may it go unnoticed: the header ``Ringback-Ignored`` lists what was left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

import falcon.asgi

HEADER = "ringback-ignored"
MOST = 50  # names in the header
MOST_CHARACTERS = 64
# RFC 7240, 4.4: how a client says for one request that it would rather be refused.
_PREFERS_STRICT = re.compile(r"(?i)(^|[\s,;])handling\s*=\s*\"?strict\"?\s*($|[,;])")


class Request(falcon.asgi.Request):
    """A request to the API, and what of it was left out: ``body.FIELD`` or ``query.PARAMETER``."""

    strict = False
    ignored: tuple[str, ...] = ()

    def refuses_unknown(self) -> bool:
        """Tell whether what is unknown is refused."""
        return self.strict or prefers_strict(self.get_header("prefer"))

    def ignore(self, names: Iterable[str]) -> None:
        """Note what was left out."""
        self.ignored += tuple(names)


class StrictRequest(Request):
    """A request in which nothing may be unknown."""

    strict = True


class Disclosure:
    """Falcon middleware: names what was left out of a request in its answer."""

    async def process_response(
        self, req: Request, resp: falcon.asgi.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Set the header, where anything was."""
        if req.ignored:
            resp.set_header(*disclosed(req.ignored))


def prefers_strict(preferences: str | None) -> bool:
    """Tell whether a ``Prefer`` header asks for strict handling."""
    return preferences is not None and _PREFERS_STRICT.search(preferences) is not None


def disclosed(names: Sequence[str]) -> tuple[str, str]:
    """Return the header that names what was left out."""
    shown = (quote(name[:MOST_CHARACTERS], safe="._-[]") for name in names[:MOST])
    return HEADER, ", ".join(shown)
