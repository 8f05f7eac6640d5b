"""Code hosts and issue trackers: GitHub, GitLab, Bitbucket, Linear.

Sources: GitHub's "Validating webhook deliveries"; GitLab's "Webhooks" (secret token and signing token); Atlassian's
"Manage webhooks"; Linear's webhook page as its SDK implements it.
"""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import Either, Field, Header, Joined, Recogniser, equals
from ringback.signing import Hmac, SharedToken, StandardWebhooks

_GITHUB_EVENT = Header("x-github-event")
_GITLAB_EVENT = Header("x-gitlab-event")

GITHUB = Profile(
    name="github",
    title="GitHub",
    configured_with="the secret of the webhook",
    scheme=Hmac(header="x-hub-signature-256", prefix="sha256="),
    recognise=Recogniser(
        event_id=Header("x-github-delivery"),
        event_type=Joined((_GITHUB_EVENT, Field("action"))),
        is_test=equals(_GITHUB_EVENT, "ping"),
    ),
    uncovered="GitHub signs the body only: its event name, delivery id and time are not covered.",
)
GITLAB = Profile(
    name="gitlab",
    title="GitLab (secret token)",
    configured_with="the secret token of the webhook",
    scheme=SharedToken(header="x-gitlab-token"),
    recognise=Recogniser(
        event_id=Either((Header("idempotency-key"), Header("webhook-id"))), event_type=_GITLAB_EVENT
    ),
    uncovered=(
        "GitLab's secret token signs nothing, so whoever learns it can make up any event: prefer a signing token "
        "(the provider gitlab-signed)."
    ),
    secret_headers=("x-gitlab-token",),
)
GITLAB_SIGNED = Profile(
    name="gitlab-signed",
    title="GitLab (signing token)",
    configured_with="the whsec_ signing token of the webhook",
    scheme=StandardWebhooks(),
    # The id is the signed webhook-id, which GitLab also sends as Idempotency-Key, unsigned.
    recognise=Recogniser(event_type=_GITLAB_EVENT),
    secret_headers=("x-gitlab-token",),
)
BITBUCKET = Profile(
    name="bitbucket",
    title="Bitbucket",
    configured_with="the secret of the webhook",
    scheme=Hmac(header="x-hub-signature", prefix="sha256="),
    recognise=Recogniser(event_id=Header("x-request-uuid"), event_type=Header("x-event-key")),
    uncovered="Bitbucket signs the body only: its event key, request id and time are not covered.",
)
LINEAR = Profile(
    name="linear",
    title="Linear",
    scheme=Hmac(header="linear-signature"),
    recognise=Recogniser(
        event_id=Header("linear-delivery"),
        event_type=Joined((Either((Header("linear-event"), Field("type"))), Field("action"))),
    ),
    uncovered=(
        "Linear's time stands in the body and is not checked, since its retries come up to six hours later: "
        "de-duplication is what stops a replay."
    ),
)
