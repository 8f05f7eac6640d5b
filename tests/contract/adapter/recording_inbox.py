"""An inbox that notes what it is asked and answers as it was told: adapters are tested without a store."""

import asyncio

from ringback.entrance import Reply

NOT_FOUND = Reply(404, b'{"code":"not_found"}', (("content-type", "application/json"),))
TOO_LARGE = Reply(413, b'{"code":"payload_too_large"}', (("content-type", "application/json"),))
BUSY = Reply(503, b'{"code":"unavailable"}', (("content-type", "application/json"), ("retry-after", "7")))
CUSTOM = Reply(202, b"[accepted]\xff\x00", (("content-type", "application/x-ack"), ("x-ack", "a b")))
REPLIES = {
    "xendit": Reply(),
    "quiet": Reply(204),
    "busy": BUSY,
    "custom": CUSTOM,
}


class Ready:
    """A reply that is there."""

    def __init__(self, reply):
        self.reply = reply

    def __await__(self):
        return self.reply
        yield

    def result(self):
        """Return it."""
        return self.reply


class RecordingInbox:
    def __init__(self, max_body=1024 * 1024):
        self.max_body = max_body
        self.requests = []

    def accept(self, source, request):
        """Note the request, and reply as the source's name says."""
        self.requests.append((source, request))
        return Ready(REPLIES.get(source, NOT_FOUND))

    def too_large(self):
        """Return the answer to a body above the limit."""
        return TOO_LARGE


class HoldingInbox(RecordingInbox):
    """Replies to nobody before *expected* requests have come."""

    def __init__(self, expected):
        super().__init__()
        self.expected = expected
        self.all_here = asyncio.Event()

    def accept(self, source, request):
        """Note the request, and reply with the others."""
        super().accept(source, request)
        if len(self.requests) == self.expected:
            self.all_here.set()
        return asyncio.ensure_future(self.hold(source))

    async def hold(self, source):
        """Reply once all are here."""
        await self.all_here.wait()
        return REPLIES[source]
