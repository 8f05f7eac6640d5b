"""Fixtures that pytest finds by itself wherever Ringback is installed.

They are ``ringback_clock``, ``ringback_request``, ``ringback_inbox`` and ``ringback_xendit``.

    def test_a_paid_invoice_is_fulfilled(ringback_inbox, ringback_request):
        inbox = ringback_inbox()
        inbox.source("xendit", secrets=[secret_for("xendit")])
        inbox.on("xendit", "invoice.paid", name="fulfil")(fulfil)
        assert_acknowledged(inbox.accept("xendit", ringback_request("xendit", "invoice.paid")).result())
        drain(inbox)

Nothing else in Ringback imports pytest, and Ringback is only imported once a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ringback.inbox import Inbox
    from ringback.signing import Request
    from ringback.testing import FrozenClock
    from ringback.testing.sandboxes import XenditSandbox


@pytest.fixture
def ringback_clock() -> FrozenClock:
    """A clock that stands at noon on 2 March 2026 (UTC) until the test moves it."""
    from ringback.testing import FrozenClock  # noqa: PLC0415 - see above

    return FrozenClock()


@pytest.fixture
def ringback_request(ringback_clock: FrozenClock) -> Callable[..., Request]:
    """``signed_request``, signed at what ``ringback_clock`` says is the present."""
    from ringback.testing import signed_request  # noqa: PLC0415 - see above

    def request(provider: Any, event_type: str | None = None, **parts: Any) -> Request:
        return signed_request(provider, event_type, **{"now": ringback_clock, **parts})

    return request


@pytest.fixture
def ringback_inbox(ringback_clock: FrozenClock, tmp_path: Path) -> Iterator[Callable[..., Inbox]]:
    """Return an inbox in the test's own folder, by ``ringback_clock``, closed after the test.

    Called again, it is another inbox on the same store, as after a restart. Options are those of ``Inbox``.
    """
    from ringback.testing import inbox_at  # noqa: PLC0415 - see above

    with ExitStack() as opened:

        def inbox(**options: Any) -> Inbox:
            made = inbox_at(tmp_path, **{"clock": ringback_clock, **options})
            return opened.enter_context(closing(made))

        yield inbox


@pytest.fixture
def ringback_xendit(ringback_clock: FrozenClock, tmp_path: Path) -> Iterator[XenditSandbox]:
    """A Xendit sandbox on loopback, by ``ringback_clock``: for it, time only passes in its ``advance``."""
    from ringback.testing.sandboxes import XenditSandbox  # noqa: PLC0415 - see above

    with XenditSandbox(tmp_path, clock=ringback_clock) as sandbox:
        yield sandbox
