"""How an endpoint is sent to, beside its address and its signature: with which credentials, and what of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ringback.changes import check_not_handler, patched
from ringback.credentials import (
    NO_CREDENTIALS,
    Authorization,
    Basic,
    Bearer,
    ClientCertificate,
    Credentials,
    OAuth,
)
from ringback.errors import InvalidInput, NotFound
from ringback.model import Endpoint, Instant, Transformation
from ringback.option_drafts import AuthDraft, OAuthDraft, TransformationDraft
from ringback.store import Pending
from ringback.store.commit import Committer
from ringback.target import parse_target


class DeliveryOptions:
    """Changes how endpoints are sent to; made by ``Outbox.options``.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
    """

    def __init__(self, committer: Committer, clock: Callable[[], Instant]) -> None:
        self._committer = committer
        self._clock = clock

    # --- Authorization ------------------------------------------------------------------------------------

    def authorize(self, application: str, ref: str, draft: AuthDraft | OAuthDraft) -> Pending[Endpoint]:
        """Have an endpoint's requests carry an authorization, in place of one that they may carry."""
        draft.check()
        return self._change(application, ref, lambda old: _with_authorization(old, draft.authorization()))

    def change_authorization(
        self, application: str, ref: str, changes: Mapping[str, Any]
    ) -> Pending[Endpoint]:
        """Change the fields of an ``AuthDraft`` named in *changes*; raises ``NotFound`` where there is no such."""

        def renew(old: Endpoint) -> Endpoint:
            draft = _auth_draft(authorization_of(old))
            if changes.get("kind", draft.kind) != draft.kind:
                draft = AuthDraft(kind=changes["kind"])
            return _with_authorization(old, patched(draft, changes).authorization())

        return self._change(application, ref, renew)

    def change_oauth(self, application: str, ref: str, changes: Mapping[str, Any]) -> Pending[Endpoint]:
        """Change the fields of an ``OAuthDraft`` named in *changes*; raises ``NotFound`` where there is no such."""

        def renew(old: Endpoint) -> Endpoint:
            draft = _oauth_draft(oauth_of(old))
            return _with_authorization(old, patched(draft, changes).authorization())

        return self._change(application, ref, renew)

    def withdraw_authorization(self, application: str, ref: str, *, oauth: bool = False) -> Pending[Endpoint]:
        """Have requests carry no authorization any more; where *oauth* is said, only if it is of that kind."""

        def renew(old: Endpoint) -> Endpoint:
            held = (old.credentials or NO_CREDENTIALS).authorization
            return old if oauth and not isinstance(held, OAuth) else _with_authorization(old, None)

        return self._change(application, ref, renew)

    # --- Certificates -------------------------------------------------------------------------------------

    def certify(self, application: str, ref: str, certificate: ClientCertificate) -> Pending[Endpoint]:
        """Have an endpoint's requests show what ``checked_certificate`` made, in place of what they may show."""
        return self._change(application, ref, lambda old: _with_certificate(old, certificate))

    def change_certificate(
        self, application: str, ref: str, changes: Mapping[str, str | None]
    ) -> Pending[Endpoint]:
        """Change what ``checked_certificate`` made of; raises ``NotFound`` where there is no certificate."""
        return self._change(
            application,
            ref,
            lambda old: _with_certificate(old, msgspec.structs.replace(certificate_of(old), **changes)),
        )

    def withdraw_certificate(self, application: str, ref: str) -> Pending[Endpoint]:
        """Have requests show no certificate any more."""
        return self._change(application, ref, lambda old: _with_certificate(old, None))

    # --- Transformations ----------------------------------------------------------------------------------

    def change_transformation(
        self, application: str, ref: str, changes: Mapping[str, Any]
    ) -> Pending[Endpoint]:
        """Change the fields of a ``TransformationDraft`` named in *changes*; without code, nothing is enabled."""
        now = self._clock()
        known = {name: value for name, value in changes.items() if name != "enabled" or value is not None}
        if "code" in known and known["code"] is None:
            known = {"enabled": False, **known}
        # What is no expression is refused here, and not by the one thread that writes.
        TransformationDraft(code=known.get("code")).check()

        def renew(old: Endpoint) -> Endpoint:
            held = old.transformation or Transformation()
            draft = TransformationDraft(code=held.code, enabled=held.enabled, variables=held.variables)
            changed = patched(draft, known)
            made = Transformation(
                code=changed.code,
                enabled=bool(changed.enabled),
                variables=changed.variables or {},
                updated_at=now,
            )
            return msgspec.structs.replace(old, transformation=made)

        return self._change(application, ref, renew)

    def _change(
        self, application: str, ref: str, change: Callable[[Endpoint], Endpoint]
    ) -> Pending[Endpoint]:
        now = self._clock()

        def renew(old: Endpoint) -> Endpoint:
            check_not_handler(old)
            return msgspec.structs.replace(change(old), updated_at=now)

        return self._committer.write(
            lambda store: store.change_endpoint(store.application(application).id, ref, renew)
        )


def authorization_of(endpoint: Endpoint) -> Authorization:
    """Return what an endpoint's requests carry; raises ``NotFound`` where that is nothing."""
    held = (endpoint.credentials or NO_CREDENTIALS).authorization
    if held is None:
        raise NotFound("the requests to this endpoint carry no authorization")
    return held


def oauth_of(endpoint: Endpoint) -> OAuth:
    """Return the OAuth2 client of an endpoint; raises ``NotFound`` where it has none."""
    held = (endpoint.credentials or NO_CREDENTIALS).authorization
    if not isinstance(held, OAuth):
        raise NotFound("this endpoint has no OAuth2 client")
    return held


def certificate_of(endpoint: Endpoint) -> ClientCertificate:
    """Return the client certificate of an endpoint; raises ``NotFound`` where it has none."""
    held = (endpoint.credentials or NO_CREDENTIALS).certificate
    if held is None:
        raise NotFound("this endpoint has no client certificate")
    return held


def _with_authorization(old: Endpoint, authorization: Authorization | None) -> Endpoint:
    held = old.credentials or NO_CREDENTIALS
    return _with(old, msgspec.structs.replace(held, authorization=authorization))


def _with_certificate(old: Endpoint, certificate: ClientCertificate | None) -> Endpoint:
    if certificate is not None and parse_target(old.url).scheme != "https":
        raise InvalidInput.at(
            "body",
            "identity",
            msg="is shown in TLS alone, and the endpoint's URL does not begin with https://",
        )
    held = old.credentials or NO_CREDENTIALS
    return _with(old, msgspec.structs.replace(held, certificate=certificate))


def _with(old: Endpoint, credentials: Credentials) -> Endpoint:
    return msgspec.structs.replace(old, credentials=None if credentials == NO_CREDENTIALS else credentials)


def _auth_draft(held: Authorization) -> AuthDraft:
    if isinstance(held, Basic):
        return AuthDraft(kind="basic", username=held.username, password=held.password)
    if isinstance(held, Bearer):
        return AuthDraft(kind="bearer", token=held.token)
    raise NotFound("this endpoint's authorization is an OAuth2 client, which has an address of its own")


def _oauth_draft(held: OAuth) -> OAuthDraft:
    return OAuthDraft(
        client_id=held.client_id,
        client_secret=held.client_secret,
        token_url=held.token_url,
        auth_method=held.auth_method,
        scopes=held.scopes,
        extra_params=held.extra_params,
    )
