"""The ``[sources.NAME]`` tables of ``ringback.toml``: what they may hold, and what they stand for.

Pure: the file has been read, and the environment is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from ringback.drafts import ForwardDraft
from ringback.errors import ConfigurationError
from ringback.model import CustomAck
from ringback.source_drafts import DeclaredSource, SourceDraft

VARIABLE = "env:"
# Marks what came from the file, so that what is no longer in it can be told.
DECLARED_IN = "declaredIn"
MARK = {DECLARED_IN: "ringback.toml"}
UID_PREFIX = "forward-"
UID_DIGITS = 16


class _Forward(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    url: str
    events: tuple[str, ...] | None = None
    secret: str | None = None
    headers: dict[str, str] = {}


class _Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    secrets: tuple[str, ...]
    provider: str | None = None
    token: str | None = None
    url: str | None = None
    options: dict[str, str] = {}
    ack: CustomAck | None = None
    forward: tuple[str | _Forward, ...] = ()


def read_tables(tables: object, environment: Mapping[str, str], file: str) -> tuple[DeclaredSource, ...]:
    """Read the tables of sources.

    Args:
        tables: What the key ``sources`` of the file is.
        environment: All variables, for values such as ``env:NAME``.
        file: The file's name, for what is said about it.

    Raises:
        ConfigurationError: Something is unknown or of the wrong kind.
    """
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{file}: write sources as tables, such as [sources.xendit]")
    return tuple(
        _declared(name, table, environment, f"{file}: [sources.{name}]") for name, table in tables.items()
    )


def _declared(name: str, table: dict[str, Any], environment: Mapping[str, str], where: str) -> DeclaredSource:
    read = _converted(table, where)
    variables = Variables(environment)
    draft = SourceDraft(
        name=name,
        uid=name,
        provider=read.provider or name,
        secrets=tuple(variables.value(text) for text in read.secrets),
        token=variables.optional(read.token),
        url=read.url,
        options=read.options,
        ack=read.ack,
        metadata=MARK,
    )
    forwards = tuple(_forward(one, variables.value) for one in read.forward)
    urls = [forward.url for forward in forwards]
    if len(set(urls)) != len(urls):
        raise ConfigurationError(
            f"{where}: forward names an address twice; give it once, with all its events"
        )
    return DeclaredSource(where=where, draft=draft, forwards=forwards, missing=tuple(variables.missing))


def _forward(one: str | _Forward, value: Callable[[str], str]) -> ForwardDraft:
    entry = _Forward(url=one) if isinstance(one, str) else one
    return ForwardDraft(
        url=entry.url,
        uid=UID_PREFIX + sha256(entry.url.encode()).hexdigest()[:UID_DIGITS],
        event_types=entry.events,
        secret=None if entry.secret is None else value(entry.secret),
        headers={name: value(text) for name, text in entry.headers.items()},
        metadata=MARK,
    )


class Variables:
    """Values as they are, or of the environment variable that ``env:NAME`` names; notes those that are not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.missing: list[str] = []

    def value(self, text: str) -> str:
        """Return the value that *text* stands for, empty where it is missing."""
        if not text.startswith(VARIABLE):
            return text
        name = text.removeprefix(VARIABLE)
        found = self._environment.get(name, "").strip()
        if not found:
            self.missing.append(name)
        return found

    def optional(self, text: str | None) -> str | None:
        """Return what ``value`` does, None for None and for what is missing."""
        return None if text is None else self.value(text) or None


def _converted(table: dict[str, Any], where: str) -> _Table:
    _check_keys(table, _Table, where)
    _check_keys(table.get("ack"), CustomAck, f"{where} ack")
    forward = table.get("forward")
    for one in forward if isinstance(forward, list) else ():
        _check_keys(one, _Forward, f"{where} forward")
    try:
        return msgspec.convert(table, _Table)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {_sentence(error)}") from None


def _check_keys(table: object, kind: type[msgspec.Struct], where: str) -> None:
    known = kind.__struct_fields__
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            raise ConfigurationError(f"{where}: there is no key {key!r}; there are {', '.join(known)}")


def _sentence(error: msgspec.ValidationError) -> str:
    text, _, path = str(error).partition(" - at `$.")
    reason = text[:1].lower() + text[1:]
    return f"{path.rstrip('`')}: {reason}" if path else reason
