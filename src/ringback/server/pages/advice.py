"""What to do about an attempt that failed, for whoever runs the receiver."""

from __future__ import annotations

from http import HTTPStatus

from ringback.model import Outcome, OutcomeKind

_BY_DETAIL = {
    (OutcomeKind.DNS, "not_found"): (
        "The host name is not known. Check how it is spelt. A new name takes a while to be known everywhere."
    ),
    (
        OutcomeKind.DNS,
        "no_address",
    ): "The host name is there, but has no address: it needs an A or AAAA record.",
    (OutcomeKind.CONNECT, "refused"): (
        "Nothing listens at that host and port. Is the server running, and open to the internet?"
    ),
    (OutcomeKind.CONNECT, "timed_out"): (
        "The host does not answer at that port. Most often a firewall drops what comes in."
    ),
    (OutcomeKind.CONNECT, "unreachable"): "There is no way to that address from here.",
    (OutcomeKind.TLS, "expired"): "The certificate has expired. Renew it.",
    (
        OutcomeKind.TLS,
        "not_yet_valid",
    ): "The certificate is not valid yet. Check the clock of whoever made it.",
    (OutcomeKind.TLS, "self_signed"): "The certificate is signed by itself. Use one from a public authority.",
    (OutcomeKind.TLS, "unknown_issuer"): (
        "The certificate's chain does not lead to an authority that is known. Most often the intermediate "
        "certificate is missing: have the server send the whole chain."
    ),
    (OutcomeKind.TLS, "hostname_mismatch"): (
        "The certificate is for another host name. It must name the one in the URL."
    ),
    (
        OutcomeKind.TLS,
        "protocol_version",
    ): "The server speaks only old versions of TLS. Allow TLS 1.2 or 1.3.",
    (OutcomeKind.TLS, "client_certificate_refused"): (
        "The server did not accept the client certificate. Check which authorities it trusts for that."
    ),
}
_BY_KIND = {
    OutcomeKind.BLOCKED_ADDRESS: (
        "The host name leads to a private address, where nothing is sent to. Use one that is reached from the "
        "internet."
    ),
    OutcomeKind.DNS: "The host name could not be looked up. Try again in a moment.",
    OutcomeKind.CONNECT: "No connection could be made.",
    OutcomeKind.TLS: "The TLS handshake failed. Does that port speak HTTPS at all?",
    OutcomeKind.TIMEOUT: "It took too long to answer. Acknowledge first, and do the work afterwards.",
    OutcomeKind.RESET: "The server closed the connection before its answer was whole. Its log may say why.",
    OutcomeKind.BAD_RESPONSE: "What answered is not an HTTP server. Check the port and the scheme.",
    OutcomeKind.AUTHORIZATION: "The token endpoint gave no token, so nothing was sent. Check its settings.",
    OutcomeKind.TRANSFORMATION: "The endpoint's transformation made nothing to send of it. Mend the transformation.",
    OutcomeKind.TOO_LARGE: "The headers of the answer are too large.",
}
_BY_STATUS = {
    HTTPStatus.UNAUTHORIZED: (
        "The receiver wants credentials. Webhooks are proven by their signature: let this address in without "
        "a login."
    ),
    HTTPStatus.FORBIDDEN: (
        "The receiver refused. Most often it is protection against forgery (CSRF) or a firewall: exempt this "
        "address."
    ),
    HTTPStatus.NOT_FOUND: "There is nothing at that path. Check the end of the URL.",
    HTTPStatus.METHOD_NOT_ALLOWED: "That path does not take POST.",
    HTTPStatus.GONE: "The receiver says that this is gone for good. Nothing more is sent after that.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The receiver does not take bodies of that size.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The receiver does not take application/json.",
    HTTPStatus.TOO_MANY_REQUESTS: "The receiver asks for fewer requests. Set a rate for the endpoint.",
}
CLASS = 100
_BY_CLASS = {
    3: "The receiver sends elsewhere, and that is not followed. Use the address that it leads to.",
    4: "The receiver refused what was sent. Most often its check of the signature fails, or it expects another body.",
    5: "The receiver failed while it worked on it. Its log says why.",
}


def advice(outcome: Outcome) -> str:
    """Return what to do about an outcome; empty where there is nothing to do or to say."""
    if outcome.ok:
        return ""
    if outcome.kind is OutcomeKind.REFUSED:
        by_status = _BY_STATUS.get(HTTPStatus(outcome.status)) if outcome.status in _KNOWN else None
        return by_status or _BY_CLASS.get(outcome.status // CLASS, "")
    return _BY_DETAIL.get((outcome.kind, outcome.detail)) or _BY_KIND.get(outcome.kind, "")


_KNOWN = frozenset(map(int, HTTPStatus))
