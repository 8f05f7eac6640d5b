"""Asks before something is done that cannot be undone, or that many notice."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked.

    Args:
        title: What would be done, such as ``Delete the endpoint``.
        question: The question, with the name of what it is about.
        points: What it means, a sentence each.
        action: Where the form goes, as ``Visit.link`` returns it.
        button: What its button says: a verb.
        back: Where to go instead.
        tone: ``bad`` for what cannot be undone.
        hidden: What the form sends besides.
    """

    title: str
    question: str
    action: str
    button: str
    back: str
    points: tuple[str, ...] = ()
    tone: str = ""
    hidden: Mapping[str, str] = {}


def confirm(visit: Visit, question: Question) -> Page:
    """Return the page that asks."""
    return page(visit, "confirm.html", msgspec.structs.asdict(question))
