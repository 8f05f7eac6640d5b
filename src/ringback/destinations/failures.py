"""Why no answer came: operating-system, resolver and TLS errors as outcomes.

The details are stable words that customers see; none of them holds an address.
"""

from __future__ import annotations

import errno
import socket
import ssl

from ringback.model import OutcomeKind


class DeliveryFailed(Exception):  # noqa: N818 - named for what happened; caught where the outcome is made
    """The attempt ended before an answer; carries the outcome's kind and detail."""

    def __init__(self, kind: OutcomeKind, detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind}: {detail}")


_NAME_ERRORS = {
    socket.EAI_NONAME: "not_found",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "no_address",
    getattr(socket, "EAI_ADDRFAMILY", socket.EAI_NONAME): "no_address",
}

_CONNECT_ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.EAFNOSUPPORT: "unreachable",
    errno.ETIMEDOUT: "timed_out",
    errno.EMFILE: "out_of_sockets",
    errno.ENFILE: "out_of_sockets",
    errno.ENOBUFS: "out_of_sockets",
}

# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h); Python names none of them.
_CERTIFICATE_ERRORS = {
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    2: "unknown_issuer",
    19: "unknown_issuer",  # a self-signed root, at the end of a chain, that nobody told us to trust
    20: "unknown_issuer",
    21: "unknown_issuer",
    62: "hostname_mismatch",
    64: "hostname_mismatch",  # the same for a URL with an IP address
}

_PROTOCOL_REASONS = frozenset(
    {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW"}
)


CERTIFICATE_REFUSED = "client_certificate_refused"
# What a receiver says of the certificate that it was shown, or was not (RFC 8446, 6.2).
_ABOUT_OURS = (
    *("ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_CERTIFICATE_REVOKED"),
    *("ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_UNKNOWN", "ALERT_UNKNOWN_CA", "ALERT_ACCESS_DENIED"),
    *("ALERT_CERTIFICATE_REQUIRED", "ALERT_DECRYPT_ERROR"),
)


def name_failure(error: OSError | UnicodeError) -> DeliveryFailed:
    """Return the failure for a name that did not resolve: ``not_found``, ``no_address`` or ``failure``."""
    if isinstance(error, socket.gaierror):
        return DeliveryFailed(OutcomeKind.DNS, _NAME_ERRORS.get(error.errno or 0, "failure"))
    return DeliveryFailed(OutcomeKind.DNS, "not_found" if isinstance(error, UnicodeError) else "failure")


def connect_failure(error: OSError) -> DeliveryFailed:
    """Return the failure for a connection not made: ``refused``, ``unreachable``, ``timed_out`` and so on."""
    detail = (
        "timed_out" if isinstance(error, TimeoutError) else _CONNECT_ERRORS.get(error.errno or 0, "failure")
    )
    return DeliveryFailed(OutcomeKind.CONNECT, detail)


def tls_failure(error: OSError) -> DeliveryFailed:
    """Return the failure for a handshake not completed, by the certificate's fault if it is at fault."""
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = _CERTIFICATE_ERRORS.get(error.verify_code, "handshake")
    elif isinstance(error, ssl.SSLError) and error.reason in _PROTOCOL_REASONS:
        detail = "protocol_version"
    elif isinstance(error, ssl.SSLError) and (error.reason or "").endswith(_ABOUT_OURS):
        detail = CERTIFICATE_REFUSED
    else:
        detail = "handshake"
    return DeliveryFailed(OutcomeKind.TLS, detail)
