"""Sources, what comes in through them and what their handlers do, on top of the scene."""

from __future__ import annotations

from typing import Any

from scene import MANY, Scene

from ringback import ids
from ringback.model import HANDLER_SCHEME, Endpoint, Inbound, Source
from ringback.store import Acceptance, Accepted, Begun, MessageFilter, Page, Work


def new_source(scene: Scene, **fields: Any) -> Source:
    """Return a source that is not stored yet."""
    now = scene.tick()
    usual = {
        "id": scene.id(ids.SOURCE),
        "name": "payments",
        "provider": "xendit",
        "created_at": now,
        "updated_at": now,
    }
    return Source(**usual | fields)


def source(scene: Scene, **fields: Any) -> Source:
    """Store a source."""
    record = new_source(scene, **fields)
    scene.write(scene.store.add_source, record)
    return record


def handler(scene: Scene, owner: Source, name: str = "fulfil", **fields: Any) -> Endpoint:
    """Store an endpoint that stands for a function."""
    url = f"{HANDLER_SCHEME}{owner.name}/{name}"
    return scene.endpoint(owner, **{"url": url, "uid": name, "secrets": ()} | fields)


def webhook(scene: Scene, owner: Source | str, dedupe_key: str | None = None, **fields: Any) -> Acceptance:
    """Return the acceptance of a webhook; *fields* are those of ``Inbound`` or of ``Acceptance``."""
    of_inbound = {name: fields.pop(name) for name in Inbound.__struct_fields__ if name in fields}
    inbound = Inbound(**{"headers": {}, "dedupe_key": dedupe_key} | of_inbound)
    return scene.acceptance(owner, **{"inbound": inbound} | fields)


def receive(scene: Scene, owner: Source, dedupe_key: str | None = None, **fields: Any) -> Accepted:
    """Accept one webhook, which must succeed; *admit* says whether this node has room for it."""
    admit = fields.pop("admit", True)
    (accepted,) = scene.accept(webhook(scene, owner, dedupe_key, **fields), admit=lambda _: admit)
    assert isinstance(accepted, Accepted), accepted
    return accepted


def stored(scene: Scene, owner: Source) -> list[str]:
    """Return the ids of the messages that a source has received."""
    return [one.id for one in scene.store.messages(owner.id, MessageFilter(), Page(limit=MANY))]


def begin(scene: Scene, work: Work, ordering_key: str | None = None) -> Begun:
    """Begin a run of a handler, in a transaction of its own."""
    begun: Begun = scene.write(scene.store.begin, work, ordering_key, scene.now)
    return begun
