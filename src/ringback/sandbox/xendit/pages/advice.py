"""What to do about a webhook that a receiver did not take: by the error or the status that the log shows.

Source: help.xendit.co on common event errors, and what Ringback's own sender does.
"""

from __future__ import annotations

from http import HTTPStatus

from ringback.sandbox.xendit.log_rows import Try

_CERTIFICATE = "A client that does not know the certificate's issuer cannot trust it: serve the whole chain."
_LATE = "The receiver did not answer in time. Answer first, and work afterwards."
_UNKNOWN_HOST = "The host could not be looked up. See that the name in the URL is spelt right."
_ERRORS = {
    "ECONNREFUSED": "Nothing listens there. Start the receiver, or correct the URL.",
    "ECONNRESET": "The receiver hung up before it had answered. It may have processed the webhook all the same.",
    "ECONNABORTED": _LATE,
    "ETIMEDOUT": _LATE,
    "EHOSTUNREACH": "There is no way to that address from here. See that the host is up.",
    "EACCES": "Webhooks do not go to that network. Start the sandbox with --allow to let them.",
    "EAI_AGAIN": _UNKNOWN_HOST,
    "ENOTFOUND": _UNKNOWN_HOST,
    "CERT_HAS_EXPIRED": "The certificate has expired. Renew it.",
    "CERT_NOT_YET_VALID": "The certificate is not valid yet. See that the clocks are right.",
    "DEPTH_ZERO_SELF_SIGNED_CERT": _CERTIFICATE,
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE": _CERTIFICATE,
    "ERR_TLS_CERT_ALTNAME_INVALID": "The certificate is for another host than the one in the URL.",
    "EPROTO": "No TLS could be agreed on. See that the port speaks HTTPS.",
    "HPE_INVALID_CONSTANT": "What answers there does not speak HTTP.",
    "HPE_HEADER_OVERFLOW": "The headers of the answer were too large.",
}
_REFUSED = "The receiver refused it. See that it knows the token, and that no CSRF check or firewall stands before it."
_STATUSES = {
    HTTPStatus.UNAUTHORIZED: _REFUSED,
    HTTPStatus.FORBIDDEN: _REFUSED,
    419: _REFUSED,
    HTTPStatus.NOT_FOUND: "There is nothing at this path, or no such order: acknowledge what you do not know, too.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path takes no POST.",
    HTTPStatus.GONE: "The receiver says that it has gone for good. Correct the URL.",
}


def advice(one: Try) -> str | None:
    """Return what to do about an attempt; None where it succeeded."""
    if one.error is not None:
        return _ERRORS.get(one.error)
    if one.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if one.status < HTTPStatus.BAD_REQUEST:
        return "Redirects are not followed. Set the URL that this one leads to."
    if one.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _STATUSES.get(one.status, "The receiver would not take it. Its log says why.")
    return "The receiver failed at it. Its log says why."
