"""What is the serverless platforms' own: answers in kind, and workers that a schedule starts."""

import json
from types import SimpleNamespace

import azure.functions
import flask
import pytest
from adapter_doors import Sent, load_balancer, load_balancer_many, payload_1, payload_2
from recording_inbox import RecordingInbox

from ringback.adapters.aws_lambda import lambda_drain, lambda_intake
from ringback.adapters.azure_functions import register, register_drain
from ringback.adapters.google_cloud import google_drain
from ringback.inbox import Drained


class Draining:
    def __init__(self):
        self.seconds = []

    def drain(self, seconds=None):
        """Note the time given."""
        self.seconds.append(seconds)
        return Drained(succeeded=3, failed=1, more=True)


COUNTS = {"succeeded": 3, "failed": 1, "more": True}

# --- AWS Lambda --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (payload_1, {"multiValueHeaders"}),
        (payload_2, {"headers"}),
        (load_balancer, {"headers", "statusDescription"}),
        (load_balancer_many, {"multiValueHeaders", "statusDescription"}),
    ],
)
def test_lambda_answers_in_kind(event, keys):
    """The answer has the shape of the event, and is what JSON can carry."""
    result = lambda_intake(RecordingInbox())(event(Sent(target="/busy")), None)
    assert set(result) == keys | {"statusCode", "body", "isBase64Encoded"}
    assert json.loads(json.dumps(result)) == result
    assert result.get("statusDescription", "503 Service Unavailable") == "503 Service Unavailable"


def test_lambda_keeps_what_is_escaped():
    """A path that arrives escaped is not escaped twice; one that arrives decoded is escaped."""
    inbox = RecordingInbox()
    for path in ("/hooks/a%20b/xendit", "/hooks/a b/xendit"):
        lambda_intake(inbox)({**payload_2(Sent()), "rawPath": path}, None)
    assert {request.url for _, request in inbox.requests} == {"https://hooks.example.com/hooks/a%20b/xendit"}


def test_lambda_knows_its_host_without_the_header():
    """An event without a Host header has the domain of its context in the URL."""
    inbox = RecordingInbox()
    lambda_intake(inbox)({**payload_2(Sent()), "headers": {}}, None)
    assert inbox.requests[0][1].url == "https://hooks.example.com/hooks/xendit"


@pytest.mark.parametrize(
    ("left", "seconds", "worked"), [(60_000, None, 58), (60_000, 10, 10), (5_000, 10, 3), (500, None, 0)]
)
def test_lambda_stops_before_its_deadline(left, seconds, worked):
    """A scheduled worker has what Lambda leaves it, less a reserve, and never more than it was told."""
    inbox = Draining()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: left)
    assert lambda_drain(inbox, seconds=seconds)({}, context) == COUNTS
    assert inbox.seconds == [worked]


# --- Azure -------------------------------------------------------------------------------------------------


def test_azure_has_an_open_http_function():
    """The HTTP function asks for no key and is for every method; its route has the source."""
    app = azure.functions.FunctionApp()
    register(app, RecordingInbox(), route="in/{source}")
    [function] = app.get_functions()
    trigger = function.get_trigger().get_dict_repr()
    assert function.get_function_name() == "ringback_intake"
    assert (trigger["route"], trigger["authLevel"]) == ("in/{source}", azure.functions.AuthLevel.ANONYMOUS)
    assert not trigger.get("methods")


def test_azure_drains_by_a_timer():
    """The timer function handles what is due, for a bounded time."""
    inbox, app = Draining(), azure.functions.FunctionApp()
    register(app, RecordingInbox())
    register_drain(app, inbox, schedule="0 * * * * *", seconds=30)
    _, function = app.get_functions()
    assert function.get_function_name() == "ringback_drain"
    assert function.get_trigger().get_dict_repr()["schedule"] == "0 * * * * *"
    function.get_user_function()(None)
    assert inbox.seconds == [30]


# --- Google Cloud ------------------------------------------------------------------------------------------


def test_google_drains_by_a_call():
    """The scheduler's call handles what is due and is answered with the counts."""
    inbox = Draining()
    with flask.Flask("function").test_request_context(method="POST"):
        assert google_drain(inbox, seconds=20)(flask.request) == COUNTS
    assert inbox.seconds == [20]
