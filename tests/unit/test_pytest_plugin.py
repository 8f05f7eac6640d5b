"""The fixtures, in a test run of their own: they are found by themselves and fit together."""

import re
import subprocess
import sys
from pathlib import Path

pytest_plugins = ["pytester"]
DOCS = Path(__file__).parents[2] / "docs" / "how-to"

RECEIVE = """
from ringback.testing import assert_acknowledged, assert_handled, assert_refused, drain, secret_for

def opened(ringback_inbox, handled):
    inbox = ringback_inbox()
    inbox.source("xendit", secrets=[secret_for("xendit")])

    @inbox.on("xendit", "invoice.*", name="fulfil")
    def fulfil(message):
        handled.append(message.data["external_id"])
        if len(handled) == 1:
            raise ValueError("no such order")

    return inbox

def test_an_invoice(ringback_inbox, ringback_request, ringback_clock):
    handled = []
    inbox = opened(ringback_inbox, handled)
    paid = ringback_request("xendit", "invoice.paid", event_id="1001", fields={"external_id": "order-7"})
    for _ in range(2):
        assert_acknowledged(inbox.accept("xendit", paid).result())
    started = ringback_clock.now
    drain(inbox, ringback_clock)
    assert handled == ["order-7", "order-7"]
    assert ringback_clock.now > started
    assert_handled(inbox, "xendit", "1001", "fulfil", attempts=2)

def test_a_forgery(ringback_inbox, ringback_request):
    inbox = opened(ringback_inbox, [])
    forged = ringback_request("xendit", "invoice.paid", secret="not the token")
    assert_refused(inbox.accept("xendit", forged).result(), "token_mismatch", inbox=inbox, source="xendit")

def test_a_restart(ringback_inbox, ringback_request):
    handled = []
    inbox = opened(ringback_inbox, ["a failure before"])
    assert_acknowledged(inbox.accept("xendit", ringback_request("xendit", event_id="1001")).result())
    inbox.close()
    again = opened(ringback_inbox, ["a failure before"])
    drain(again)
    assert_handled(again, "xendit", "1001")
"""

CLOCK = """
import time
from ringback.providers import provider, verify
from ringback.testing import secret_for

def test_requests_are_signed_by_the_frozen_clock(ringback_clock, ringback_request):
    ringback_clock.advance(60)
    request = ringback_request("stripe")
    received = verify(provider("stripe"), [secret_for("stripe")], request, ringback_clock())
    assert received.sent_at == ringback_clock()

def test_another_time_can_be_given(ringback_request):
    request = ringback_request("stripe", now=1_000_000)
    assert "t=1000," in request.headers["stripe-signature"]
"""


def test_an_inbox_and_its_events(pytester):
    """A test receives, forges, retries and restarts with nothing but the fixtures and the kit's assertions."""
    pytester.makepyfile(RECEIVE)
    pytester.runpytest("-q").assert_outcomes(passed=3)


def test_requests_and_clock_agree(pytester):
    """Requests are signed at the frozen clock's time, and at another when it is given."""
    pytester.makepyfile(CLOCK)
    pytester.runpytest("-q").assert_outcomes(passed=2)


def test_the_sandbox_of_the_guide(pytester):
    """The guide's test of a shop against the Xendit sandbox passes as it stands."""
    guide = (DOCS / "rehearse-xendit.md").read_text("utf-8")
    [sample] = re.findall(r"```python\n(import threading.*?)```", guide, re.DOTALL)
    pytester.makepyfile(sample)
    pytester.runpytest("-q").assert_outcomes(passed=1)


def test_a_run_that_uses_no_fixture_pays_nothing(pytester):
    """Where Ringback is merely installed, pytest imports the fixtures' own file and none of what is behind them."""
    pytester.makepyfile(
        "import sys\n"
        "def test_modules():\n"
        "    assert 'ringback.pytest_plugin' in sys.modules\n"
        "    assert not {'ringback.testing', 'ringback.signing', 'cryptography'} & sys.modules.keys()\n"
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_the_kit_does_not_need_pytest():
    """Other test runners use the kit without pytest: importing it does not import that."""
    code = "import sys, ringback.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
