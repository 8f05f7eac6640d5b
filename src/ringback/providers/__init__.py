"""Providers: who sends webhooks, and what each of them means by one.

``verify`` is what an inbox calls; ``PROVIDERS`` has every profile by name. All of it is pure: nothing is fetched,
no clock is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from hashlib import sha256

from ringback.errors import InvalidInput
from ringback.model import Instant
from ringback.providers import (
    adyen,
    code_hosts,
    discord,
    generic,
    mail,
    meta,
    midtrans,
    payments,
    paypal,
    plaid,
    slack,
    sns,
    standard,
    twilio,
    workplace,
    xendit,
    zoom,
)
from ringback.providers.catalogue import CATALOGUES, CatalogueEntry, catalogue
from ringback.providers.explanation import Explanation, explanation_of
from ringback.providers.profile import Answer, Profile, Received
from ringback.providers.recognition import LONGEST, read
from ringback.signing import Request, Verified

__all__ = [
    "CATALOGUES",
    "PROVIDERS",
    "Answer",
    "CatalogueEntry",
    "Explanation",
    "Profile",
    "Received",
    "answer_challenge",
    "catalogue",
    "explain",
    "provider",
    "recognise",
    "stored_headers",
    "verify",
]

ALWAYS_SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})

PROVIDERS: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        xendit.XENDIT,
        standard.STANDARD_WEBHOOKS,
        standard.SVIX,
        payments.STRIPE,
        code_hosts.GITHUB,
        code_hosts.GITLAB,
        code_hosts.GITLAB_SIGNED,
        code_hosts.BITBUCKET,
        code_hosts.LINEAR,
        payments.SHOPIFY,
        slack.SLACK,
        twilio.TWILIO,
        paypal.PAYPAL,
        payments.SQUARE,
        payments.PADDLE,
        adyen.ADYEN,
        adyen.ADYEN_PLATFORM,
        mail.MAILGUN,
        mail.SENDGRID,
        discord.DISCORD,
        zoom.ZOOM,
        workplace.HUBSPOT,
        workplace.HUBSPOT_V2,
        workplace.HUBSPOT_V1,
        workplace.INTERCOM,
        workplace.TYPEFORM,
        meta.META,
        meta.WHATSAPP,
        sns.SNS,
        midtrans.MIDTRANS,
        payments.DOKU,
        payments.PAYMONGO,
        payments.RAZORPAY,
        payments.PAYSTACK,
        payments.FLUTTERWAVE,
        payments.FLUTTERWAVE_V3,
        plaid.PLAID,
        generic.MESSAGE_SIGNATURES,
        generic.HMAC,
        generic.BASIC,
        generic.API_KEY,
        generic.OUTPOST,
        generic.HOOKDECK,
        generic.CONVOY,
        generic.CONVOY_ADVANCED,
    )
}


def provider(name: str) -> Profile:
    """Return the profile called *name*.

    Raises:
        InvalidInput: There is none; the message lists those there are.
    """
    try:
        return PROVIDERS[name]
    except KeyError:
        known = ", ".join(sorted(PROVIDERS))
        raise InvalidInput.at("provider", msg=f"no provider is called {name!r}; there are {known}") from None


def verify(profile: Profile, secrets: Sequence[str], request: Request, now: Instant) -> Received:
    """Verify *request* and tell what it is about.

    Args:
        profile: Who it should be from.
        secrets: Secrets to accept, all of them alive; see the profile's scheme for their form.
        request: As it came in.
        now: The present instant.

    Raises:
        SignatureInvalid: It does not verify. Nothing else is ever raised.
    """
    return _received(profile, request, profile.scheme.verify(secrets, request, now))


def recognise(profile: Profile, request: Request) -> Received:
    """Tell what *request* is about without verifying it: for what the provider was asked for, or verified before."""
    return _received(profile, request, Verified(event_id=None, event_type=None, sent_at=None, key=0))


def _received(profile: Profile, request: Request, verified: Verified) -> Received:
    recognised = profile.recognise(read(request))
    event_id = recognised.event_id or verified.event_id
    event_type = _kept(recognised.event_type or verified.event_type)
    return Received(
        event_id=_bounded(event_id),
        event_type=event_type,
        sent_at=verified.sent_at,
        key=verified.key,
        dedupe_key=_bounded(recognised.dedupe_key or event_id),
        business_key=_bounded(recognised.business_key),
        is_test=recognised.is_test,
        understood=event_type is not None,
    )


def explain(profile: Profile, secrets: Sequence[str], request: Request, now: Instant) -> Explanation | None:
    """Find out why *request* does not verify: the reason, and hints that a person can act on.

    Returns None when it does verify. No secret, nor any part of one, is ever in an explanation. Finding out takes
    up to a hundred verifications, so it is for a person's question, not for every refusal.
    """
    return explanation_of(profile, secrets, request, now, tuple(PROVIDERS.values()))


def answer_challenge(
    profile: Profile, secrets: Sequence[str], request: Request, now: Instant
) -> Answer | None:
    """Return the answer to a provider that tries the address out, None for an ordinary event.

    Raises:
        SignatureInvalid: It is such a trial, and does not verify.
    """
    return None if profile.challenge is None else profile.challenge(profile.scheme, request, secrets, now)


def stored_headers(profile: Profile, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may be kept: all but those that hold a secret."""
    secret = _secret_names(profile.secret_headers)
    return {name: value for name, value in headers.items() if name.lower() not in secret}


@functools.lru_cache
def _secret_names(secret_headers: tuple[str, ...]) -> frozenset[str]:
    return ALWAYS_SECRET.union(secret_headers)


def _kept(event_type: str | None) -> str | None:
    # A type is shown, searched and matched by name, so one that cannot be written down is not understood.
    fits = event_type is not None and len(event_type) <= LONGEST and event_type.isprintable()
    return event_type if fits else None


def _bounded(text: str | None) -> str | None:
    if text is None or (len(text) <= LONGEST and text.isprintable()):
        return text
    return "sha256:" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
