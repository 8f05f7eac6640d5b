"""Event types as an OpenAPI document tells of them, in ``webhooks`` (3.1) or ``x-webhooks``.

A webhook's key is the event type's name or, where it is none, its operation's ``operationId``. The schema is that of
the operation's body, the first tag that is a name is the group, and ``x-feature-flags`` are the feature flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ringback.drafts import MAX_DESCRIPTION, NAME, EventTypeDraft
from ringback.errors import FieldError, InvalidInput
from ringback.references import References

MAX_EVENT_TYPES = 1_000
MAX_EXAMPLES = 10
SECTIONS = ("webhooks", "x-webhooks")
# All that is looked at.
READ = ("openapi", *SECTIONS, "components")
FLAGS = "x-feature-flags"
# What a webhook is made with, most likely first.
_METHODS = ("post", "put", "patch", "get", "delete", "head", "options", "trace")
_JSON = re.compile(r"(?i)application/([a-z0-9.+-]+\+)?json\b.*")
_EARLIER = re.compile(r"3\.0(\..*)?")

Location = tuple[str | int, ...]


def event_types_of(document: Any, *loc: str) -> tuple[EventTypeDraft, ...]:
    """Return the event types that an OpenAPI document, at *loc* of a request, tells of.

    A draft has one schema at most, whose version says nothing, and no group or flags where the document has none.

    Raises:
        InvalidInput: It is no such document, or something in it cannot be an event type; every webhook at fault is
            named by its path.
    """
    if not isinstance(document, dict):
        raise InvalidInput.at(*loc, msg="an OpenAPI document is an object")
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        raise InvalidInput.at(*loc, "openapi", msg="is missing or not 3.x: that marks an OpenAPI document")
    references = References(document, *loc, earlier=_EARLIER.fullmatch(version) is not None)
    named, faults = _read(document, references, loc)
    if faults:
        raise InvalidInput(*faults)
    if not named:
        raise InvalidInput.at(*loc, msg="there are no webhooks in it: `webhooks` or `x-webhooks` has them")
    return tuple(named.values())


def _read(
    document: Mapping[str, Any], references: References, loc: tuple[str, ...]
) -> tuple[dict[str, EventTypeDraft], list[FieldError]]:
    named: dict[str, EventTypeDraft] = {}
    faults: list[FieldError] = []
    for section, key, item in _items(document, loc):
        try:
            draft = _Webhook(references, section, key).draft(item)
            if draft.name in named:
                raise references.fault(f"the event type {draft.name} is there twice", section, key)
            named[draft.name] = draft
        except InvalidInput as error:
            faults += error.fields
    return named, faults


def _items(document: Mapping[str, Any], loc: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    count = 0
    for section in SECTIONS:
        webhooks = document.get(section, {})
        if not isinstance(webhooks, dict):
            raise InvalidInput.at(*loc, section, msg="is an object, from names to webhooks")
        count += len(webhooks)
        if count > MAX_EVENT_TYPES:
            raise InvalidInput.at(*loc, section, msg=f"has more than {MAX_EVENT_TYPES:,} webhooks")
        yield from ((section, key, item) for key, item in webhooks.items())


class _Webhook:
    """One entry of a section."""

    def __init__(self, references: References, section: str, key: str) -> None:
        self._references = references
        self._at: Location = (section, key)
        self._key = key

    def draft(self, item: Any) -> EventTypeDraft:
        """Return the event type that an entry tells of."""
        item, at = self._references.followed(item, *self._at)
        method = next((one for one in _METHODS if isinstance(item, dict) and one in item), None)
        if method is None:
            raise self._references.fault("has no operation, such as `post`", *at)
        operation, at = self._references.followed(item[method], *at, method)
        if not isinstance(operation, dict):
            raise self._references.fault("an operation is an object", *at)
        schema = self._schema(operation, at)
        draft = EventTypeDraft(
            name=self._name(operation),
            description=_description(self._key, operation, item),
            deprecated=operation.get("deprecated") is True,
            schemas=None if schema is None else {"1": msgspec.Raw(msgspec.json.encode(schema))},
            feature_flags=self._flags(operation, at),
            group_name=_group(operation),
        )
        self._check(draft, at)
        return draft

    def _name(self, operation: Mapping[str, Any]) -> str:
        given = operation.get("operationId")
        return given if not NAME.fullmatch(self._key) and isinstance(given, str) else self._key

    def _schema(self, operation: Mapping[str, Any], at: Location) -> dict[str, Any] | None:
        body, at = self._references.followed(operation.get("requestBody"), *at, "requestBody")
        content = body.get("content") if isinstance(body, dict) else None
        if not isinstance(content, dict):
            return None
        kind = next((one for one in content if _JSON.fullmatch(one)), None)
        media = content.get(kind) if kind else None
        if not isinstance(media, dict) or not isinstance(media.get("schema"), dict):
            return None
        at = (*at, "content", str(kind))
        schema = self._references.schema(media["schema"], *at, "schema")
        examples = list(self._examples(media, at))
        return schema if not examples or "examples" in schema else {**schema, "examples": examples}

    def _examples(self, media: Mapping[str, Any], at: Location) -> Iterator[Any]:
        if "example" in media:
            yield self._references.counted(media["example"], *at, "example")
        named = media.get("examples")
        for key, example in list(named.items())[:MAX_EXAMPLES] if isinstance(named, dict) else ():
            shown, _ = self._references.followed(example, *at, "examples", key)
            if isinstance(shown, dict) and "value" in shown:
                yield self._references.counted(shown["value"], *at, "examples", key)

    def _flags(self, operation: Mapping[str, Any], at: Location) -> tuple[str, ...] | None:
        flags = operation.get(FLAGS)
        if flags is None:
            return None
        if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
            raise self._references.fault("is a list of names", *at, FLAGS)
        return tuple(dict.fromkeys(flags))

    def _check(self, draft: EventTypeDraft, at: Location) -> None:
        """Check *draft*, and tell what is wrong by where it comes from."""
        places: dict[str | int, Location] = {
            "name": self._at,
            "featureFlags": (*at, FLAGS),
            "schemas": (*at, "requestBody"),
        }
        try:
            draft.check()
        except InvalidInput as error:
            raise InvalidInput(
                *(
                    fault
                    for one in error.fields
                    for fault in self._references.fault(
                        one.msg, *places.get(one.loc[1], at), *one.loc[3 if one.loc[1] == "schemas" else 2 :]
                    ).fields
                )
            ) from None


def _description(key: str, *told: Mapping[str, Any]) -> str:
    for one in told:
        for field in ("description", "summary"):
            text = one.get(field)
            if isinstance(text, str) and text.strip():
                return text.strip()[:MAX_DESCRIPTION]
    return key


def _group(operation: Mapping[str, Any]) -> str | None:
    tags = operation.get("tags")
    names = tags if isinstance(tags, list) else []
    return next((one for one in names if isinstance(one, str) and NAME.fullmatch(one)), None)
