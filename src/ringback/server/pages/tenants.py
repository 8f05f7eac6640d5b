"""Which application an address names: never a source nor the operators, who own endpoints and messages as one."""

from __future__ import annotations

from ringback import ids
from ringback.errors import NotFound
from ringback.model import Application
from ringback.store import Store


def tenant(store: Store, ref: str) -> Application:
    """Return an application by its id or uid.

    Raises:
        NotFound: There is none, or it is a source's or the operators'.
    """
    application = store.application(ref)
    if ids.is_id(ids.SOURCE, application.id) or application.id == ids.OPERATOR:
        raise NotFound(f"there is no application {ref}")
    return application
