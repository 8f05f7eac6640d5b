"""The live view: what comes in with two times of its own, why what failed did, resend, and the first steps."""

import asyncio
import json
import secrets

import pytest
from management import TOKEN, made
from visitors import visiting

from ringback import ids
from ringback.intake import NOT_STORED
from ringback.model import Endpoint, EndpointState, Source
from ringback.observe import Observer, WebhookReceived
from ringback.server.pages.live import Live
from ringback.server.pages.recent import Recent

CALLBACK = "callback-token-of-the-source"
EVIL = "</script><img src=x onerror=alert(1)>\"'"
DASH = "\N{EN DASH}"


@pytest.fixture
def place(tmp_path):
    with visiting(tmp_path) as place:
        yield place


@pytest.fixture
def api(place):
    return place[0]


@pytest.fixture
def guest(place):
    guest = place[1]()
    guest.login()
    return guest


def source(api, **fields):
    """Make a source of Xendit's; return it, with the path of its address."""
    return made(
        api.send(
            "POST",
            "/ingest/api/v1/source",
            {"name": "Payments", "uid": "xendit", "type": "xendit", "config": {"secrets": [CALLBACK]}}
            | fields,
        )
    )
