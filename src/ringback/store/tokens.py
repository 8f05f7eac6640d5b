"""What the store promises about tokens: of programs, of an application's people, and of browsers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ringback.model import Instant
from ringback.store.values import Page, Token


class TokenVerbs(Protocol):
    """The verbs about tokens."""

    def add_token(self, token: Token) -> None:
        """Keep a token's digest."""
        ...

    def tokens(self, page: Page | None = None) -> list[Token]:
        """Return a page of the tokens, or all of them, in the order of their ids.

        Those that let people in are left out: into an application's portal, or a browser.
        """
        ...

    def tokens_of(self, digests: Collection[bytes]) -> list[Token]:
        """Return those tokens that have one of these digests."""
        ...

    def portal_tokens(self, application_id: str, now: Instant, page: Page) -> list[Token]:
        """Return a page of what lets people into an application's portal and has not ended, in the order of the ids.

        Tokens, links that nobody has used, and sessions of browsers, but no tokens of pollers.
        """
        ...

    def portal_token(self, application_id: str, token_id: str, now: Instant) -> Token:
        """Return one of these; raises ``NotFound``."""
        ...

    def use_token(self, token_id: str, now: Instant) -> None:
        """Remember that a token, if it is still there, was used."""
        ...

    def expire_tokens(self, application_id: str, sessions: Collection[str] | None, at: Instant) -> None:
        """Have the tokens of an application's portal end by then, or only those of some *sessions*.

        So do those for pollers that were made with them.
        """
        ...

    def forget_tokens(self, application_id: str | None, now: Instant) -> None:
        """Forget what let people in to an application's portal, or (None) to all of it, and has ended."""
        ...

    def remove_token(self, token_id: str) -> None:
        """Forget a token, and the sessions that browsers began with it; raises ``NotFound``."""
        ...
