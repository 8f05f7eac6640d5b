"""A request's bytes: the head that never changes is prepared once per URL and set of header names."""

from __future__ import annotations

from ringback.destinations import Request
from ringback.destinations.failures import DeliveryFailed
from ringback.errors import InvalidInput
from ringback.model import OutcomeKind
from ringback.target import Target, is_header_name, parse_target

MAX_ENVELOPES = 4_096
# The destination writes these itself; a second one would make two requests out of one (RFC 9112, 11.2).
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class Envelope:
    """Everything about a request but its header values and its body."""

    __slots__ = ("_lines", "_template", "target")

    def __init__(self, target: Target, names: tuple[str, ...], *, through_proxy: str | None = None) -> None:
        """Prepare the head for *target* with headers called *names*.

        *through_proxy* asks for the absolute form of the request line (RFC 9112, 3.2.2), and is the proxy's
        own credentials, which may be empty.
        """
        self.target = target
        lines = _head_lines(target, names, through_proxy)
        self._template = "\r\n".join(lines) + "\r\n\r\n"
        self._lines = len(lines) + 1

    def seal(self, values: list[str], body: bytes) -> bytes:
        """Return the finished head for these header values and this body.

        Raises:
            DeliveryFailed: A value would end its line and begin another, or is not ASCII.
        """
        head = self._template % (*values, len(body))
        if head.count("\n") != self._lines or head.count("\r") != self._lines or "\0" in head:
            raise DeliveryFailed(OutcomeKind.BLOCKED_ADDRESS, "invalid_header")
        try:
            return head.encode("ascii")
        except UnicodeEncodeError:
            raise DeliveryFailed(OutcomeKind.BLOCKED_ADDRESS, "invalid_header") from None


class Envelopes:
    """Makes envelopes and keeps the most recent few thousand."""

    def __init__(self, proxy: Target | None = None) -> None:
        """Address requests to the HTTP proxy *proxy*, if there is one."""
        self._proxy = proxy
        self._envelopes: dict[tuple[str, tuple[str, ...]], Envelope] = {}

    def seal(self, request: Request) -> tuple[Target, bytes]:
        """Return where *request* goes, and the head to send there.

        Raises:
            DeliveryFailed: The URL or a header is not acceptable.
        """
        names = tuple([name for name, _ in request.headers])
        envelope = self._envelopes.get((request.url, names)) or self._prepare(request.url, names)
        return envelope.target, envelope.seal([value for _, value in request.headers], request.body)

    def _prepare(self, url: str, names: tuple[str, ...]) -> Envelope:
        try:
            target = parse_target(url)
        except InvalidInput:
            raise DeliveryFailed(OutcomeKind.BLOCKED_ADDRESS, "invalid_url") from None
        if not all(is_header_name(name) and name.lower() not in _OWN_HEADERS for name in names):
            raise DeliveryFailed(OutcomeKind.BLOCKED_ADDRESS, "invalid_header")
        absolute = self._proxy is not None and target.scheme == "http"
        proxy = (self._proxy.authorization or "") if self._proxy is not None and absolute else None
        if len(self._envelopes) >= MAX_ENVELOPES:
            del self._envelopes[next(iter(self._envelopes))]
        envelope = self._envelopes[url, names] = Envelope(target, names, through_proxy=proxy)
        return envelope


def _head_lines(target: Target, names: tuple[str, ...], through_proxy: str | None) -> list[str]:
    """Return the lines of a request's head, with a % field for each header value and for the length."""
    given = {name.lower() for name in names}
    path = target.path if through_proxy is None else f"http://{target.authority}{target.path}"
    constant = [f"POST {path} HTTP/1.1", f"Host: {target.authority}"]
    if "accept" not in given:
        constant.append("Accept: */*")
    if "accept-encoding" not in given:
        constant.append("Accept-Encoding: identity")
    if target.authorization and "authorization" not in given:
        constant.append(f"Authorization: {target.authorization}")
    if through_proxy:
        constant.append(f"Proxy-Authorization: {through_proxy}")
    escaped = [line.replace("%", "%%") for line in constant]
    return [*escaped, *(f"{name.replace('%', '%%')}: %s" for name in names), "Content-Length: %d"]
