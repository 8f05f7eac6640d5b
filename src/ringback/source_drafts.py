"""What callers ask for when they make or change a source, and the rules it must obey."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ringback import ids
from ringback.drafts import (
    MAX_NAME,
    Draft,
    ForwardDraft,
    Problems,
    caught,
    metadata_problems,
    text_problems,
    uid_problems,
)
from ringback.errors import FieldError
from ringback.model import CustomAck, Source
from ringback.providers import provider
from ringback.target import parse_target

MAX_SECRETS = 20
MAX_SECRET = 8_192
MAX_OPTIONS = 50
MAX_ACK_BODY = 4_096
MAX_CONTENT_TYPE = 256
SUCCESS = range(200, 300)
WITHOUT_BODY = frozenset({204, 205})

_TOKEN = re.compile(r"[0-9A-Za-z_-]{16,256}")


class SourceDraft(Draft):
    """A source to create or to replace another with.

    ``secrets`` of None keeps those there are. ``token`` of None keeps the one there is, and has one made for a new
    source. The rest is as in ``model.Source``.
    """

    name: str
    provider: str
    uid: str | None = None
    secrets: tuple[str, ...] | None = None
    token: str | None = None
    url: str | None = None
    options: dict[str, str] = msgspec.field(default_factory=dict)
    ack: CustomAck | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    alias: str | None = None

    def __repr__(self) -> str:
        return f"SourceDraft(name={self.name!r}, provider={self.provider!r})"

    def _problems(self) -> Problems:
        yield from text_problems("name", self.name, 1, MAX_NAME)
        yield from uid_problems("uid", self.uid, ids.SOURCE)
        yield from caught(provider, self.provider)
        yield from _secret_problems(self.secrets)
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            yield FieldError(
                ("body", "token"), "is 16 to 256 characters of a-z, A-Z, 0-9, underscore and hyphen"
            )
        if self.url is not None:
            yield from caught(parse_target, self.url)
        if len(self.options) > MAX_OPTIONS:
            yield FieldError(("body", "options"), f"has at most {MAX_OPTIONS} entries")
        yield from _ack_problems(self.ack)
        yield from metadata_problems(self.metadata)


class DeclaredSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source as ``ringback.toml`` has it.

    ``where`` says where that is, for people. ``missing`` are the environment variables that it refers to and that are
    not set: nobody needs them but the server.
    """

    where: str
    draft: SourceDraft
    forwards: tuple[ForwardDraft, ...] = ()
    missing: tuple[str, ...] = ()


def source_draft(record: Source) -> SourceDraft:
    """Return the draft that would make *record*, without its secrets and its token."""
    return SourceDraft(
        name=record.name,
        provider=record.provider,
        uid=record.uid,
        url=record.url,
        options=record.options,
        ack=record.ack,
        metadata=record.metadata,
        alias=record.alias,
    )


def _secret_problems(secrets: Sequence[str] | None) -> Problems:
    if secrets is None:
        return
    if not 1 <= len(secrets) <= MAX_SECRETS:
        yield FieldError(
            ("body", "secrets"), f"has 1 to {MAX_SECRETS} entries: without one, anybody could send"
        )
    for index, secret in enumerate(secrets):
        if not 1 <= len(secret) <= MAX_SECRET:
            yield FieldError(("body", "secrets", index), f"has 1 to {MAX_SECRET} characters")


def _ack_problems(ack: CustomAck | None) -> Problems:
    if ack is None:
        return
    if ack.status not in SUCCESS:
        yield FieldError(("body", "ack", "status"), "an acknowledgement is 200 to 299")
    if len(ack.body) > MAX_ACK_BODY:
        yield FieldError(("body", "ack", "body"), f"has at most {MAX_ACK_BODY} characters")
    if ack.body and ack.status in WITHOUT_BODY:
        yield FieldError(("body", "ack", "body"), f"a {ack.status} has none (RFC 9110, 15.3)")
    kind = ack.content_type
    if kind is not None and not (
        1 <= len(kind) <= MAX_CONTENT_TYPE and kind.isascii() and kind.isprintable()
    ):
        yield FieldError(("body", "ack", "contentType"), "is a media type, such as text/plain")
