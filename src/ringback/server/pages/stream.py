"""The stream that a tab reads while it is looked at."""

from __future__ import annotations

from http import HTTPStatus

from ringback.design.rendering import HEADERS
from ringback.server.pages.behind import Behind
from ringback.server.pages.live import CONTENT_TYPE, Reader, TooMany
from ringback.server.pages.page import Answer, Page, Stream, Visit


class Streams:
    """Opens streams.

    Args:
        behind: Says what happens.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def open(self, visit: Visit) -> Answer:
        """Answer with a stream, or where there are too many with 503: the page then looks by itself."""
        session = visit.who
        reader = Reader(session.id, session.application_id)

        async def still() -> bool:
            return await self._behind.sessions.lasts(session)

        try:
            # Some proxies would keep back what comes, to send more at once.
            return Stream(
                parts=self._behind.live.stream(reader, still),
                content_type=CONTENT_TYPE,
                headers=(*HEADERS, ("x-accel-buffering", "no")),
            )
        except TooMany:
            return Page(status=HTTPStatus.SERVICE_UNAVAILABLE, headers=(*HEADERS, ("retry-after", "5")))
