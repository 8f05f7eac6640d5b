"""What is Django's own: the guards of a project, its test client and its management command."""

import asyncio
import sys
import types

import pytest
from adapter_doors import HOST, django_project
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import AsyncClient, Client, override_settings
from recording_inbox import RecordingInbox

UNREACHABLE = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/at/all.db"}}


def test_the_clients_guards_do_not_apply():
    """A webhook has neither CSRF token nor session: a project that asks all views for both lets it through."""
    inbox = RecordingInbox()
    with django_project(inbox):
        response = Client(enforce_csrf_checks=True).post(
            "/hooks/xendit", b"{}", "application/json", HTTP_HOST=HOST
        )
    assert response.status_code == 200
    assert inbox.requests[0][1].body == b"{}"


def test_an_asynchronous_client_is_answered():
    """The asynchronous view keeps the same promises."""
    inbox = RecordingInbox()

    async def post():
        client = AsyncClient(enforce_csrf_checks=True)
        return await client.post("/hooks/xendit?a=%20", b"\xff", "application/json")

    with django_project(inbox, asynchronous=True), override_settings(ALLOWED_HOSTS=["testserver"]):
        assert asyncio.run(post()).status_code == 200
    assert inbox.requests[0][1].body == b"\xff"
    assert inbox.requests[0][1].url == "http://testserver/hooks/xendit?a=%20"


def test_a_body_read_before_is_read_again():
    """A middleware that looks at the body takes nothing away from it."""
    inbox = RecordingInbox()
    with django_project(inbox), override_settings(MIDDLEWARE=[f"{__name__}.looking"]):
        Client().post("/hooks/xendit", b'{"a": 1}\r\n', "application/json", HTTP_HOST=HOST)
    assert inbox.requests[0][1].body == b'{"a": 1}\r\n'


def looking(get_response):
    def middleware(request):
        assert request.body
        return get_response(request)

    return middleware


@pytest.mark.parametrize("proxied", [True, False])
def test_the_scheme_is_what_the_project_trusts(proxied):
    """Behind a proxy, ``SECURE_PROXY_SSL_HEADER`` decides whether the sender called by https."""
    inbox = RecordingInbox()
    trusted = ("HTTP_X_FORWARDED_PROTO", "https") if proxied else None
    with django_project(inbox, SECURE_PROXY_SSL_HEADER=trusted):
        Client().post(
            "/hooks/xendit", b"{}", "application/json", HTTP_HOST=HOST, HTTP_X_FORWARDED_PROTO="https"
        )
    assert inbox.requests[0][1].url.startswith("https:" if proxied else "http:")


def test_a_host_not_allowed_is_refused():
    """``ALLOWED_HOSTS`` keeps its say."""
    inbox = RecordingInbox()
    with django_project(inbox):
        response = Client().post("/hooks/xendit", b"{}", "application/json", HTTP_HOST="evil.example")
    assert response.status_code == 400
    assert inbox.requests == []


# --- The worker --------------------------------------------------------------------------------------------


class Working:
    def __init__(self):
        self.ran = 0

    def run_worker(self):
        """Count the call."""
        self.ran += 1


@pytest.fixture
def shop(monkeypatch):
    module = types.ModuleType("shop_webhooks")
    module.inbox, module.other = Working(), "no inbox"
    monkeypatch.setitem(sys.modules, "shop_webhooks", module)
    return module


def test_the_command_runs_the_worker(shop):
    """``manage.py ringback_worker`` runs the worker of the inbox that the settings name."""
    with django_project(RecordingInbox(), RINGBACK_INBOX="shop_webhooks.inbox"):
        call_command("ringback_worker")
    assert shop.inbox.ran == 1


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (None, "set RINGBACK_INBOX"),
        ("nowhere.inbox", "cannot be imported"),
        ("shop_webhooks.missing", "cannot be imported"),
        ("inbox", "cannot be imported"),
        ("shop_webhooks.other", "a str, not an inbox"),
    ],
)
def test_the_command_says_what_is_wrong(shop, named, told):
    """A setting that is missing or names no inbox ends the command with a sentence that says so."""
    with (
        django_project(RecordingInbox(), RINGBACK_INBOX=named),
        pytest.raises(CommandError, match=told),
    ):
        call_command("ringback_worker")
