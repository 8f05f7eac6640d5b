"""Why a transformation makes nothing of a message."""

from __future__ import annotations


class TransformationFailed(Exception):  # noqa: N818 - named for what happened; caught where the outcome is made
    """An expression, or what it was asked to work on, is at fault; carries a stable word and a sentence for people.

    The words are ``too_long``, ``syntax``, ``too_deep``, ``not_json``, ``too_large``, ``too_many_steps``, ``failed``.
    """

    def __init__(self, detail: str, why: str) -> None:
        self.detail = detail
        self.why = why
        super().__init__(f"{detail}: {why}")
