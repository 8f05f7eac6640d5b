"""The worker heeds how endpoints are to be sent to: what fails unsent is retried, what is null is called off."""

from line import HOUR, Line, played

from ringback.drafts import EndpointDraft
from ringback.model import DeliveryState, OutcomeKind
from ringback.observe import CircuitChanged
from ringback.option_drafts import AuthDraft
from ringback.pacing import BREAKER_MINIMUM
from ringback.policy import RetrySchedule, Step

SOON = RetrySchedule((HOUR, HOUR), jitter=0.0)


async def transforming(line, application, endpoint, code):
    """Have an endpoint's messages transformed, and wait until the worker has heeded it."""
    await line.outbox.options.change_transformation(application, endpoint.id, {"code": code, "enabled": True})
    await line.rounds()


@played
async def test_a_failing_transformation_is_tried_again_and_then_mended(store_url):
    """A failure is an attempt that sent nothing; what waits is sent when the expression has been put right."""
    async with Line(store_url, schedule=SOON) as line:
        application, endpoint = await line.stage()
        await transforming(line, application, endpoint, "sum(payload.n)")
        (message,) = await line.publish(application)
        (attempt,) = await line.finished(1)
        assert (attempt.outcome.kind, line.steps()) == (OutcomeKind.TRANSFORMATION, [Step.RETRY])
        assert b"sum() takes" in attempt.outcome.body
        await transforming(line, application, endpoint, "{n: payload.n}")
        line.clock.advance(HOUR)
        await line.finished(2)
        assert [arrival.request.body for arrival in line.receivers.arrivals] == [b'{"n":1}']
        await line.in_state(application, [message], DeliveryState.SUCCEEDED)


@played
async def test_null_calls_a_delivery_off(store_url):
    """Null is the end of it: cancelled with the reason kept, no attempt made, no failure of the endpoint."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        await transforming(line, application, endpoint, "payload.wanted && payload")
        (message,) = await line.publish(application)
        await line.in_state(application, [message], DeliveryState.CANCELLED)
        assert (await line.delivery(application, message)).reason == "transformed_to_null"
        assert (await line.attempts(application, message), line.receivers.arrivals) == ([], [])
        after = await line.outbox.read(lambda store: store.endpoint(application, endpoint.id))
        assert after.failing_since is None


@played
async def test_an_expression_that_fails_opens_no_circuit(store_url):
    """However many messages an expression fails at, those that it can do something with are not held up."""
    async with Line(store_url, schedule=SOON) as line:
        application, endpoint = await line.stage()
        await transforming(line, application, endpoint, "sum(payload.n)")
        await line.publish(application, 2 * BREAKER_MINIMUM)
        await line.finished(2 * BREAKER_MINIMUM)
        assert line.seen(CircuitChanged) == []


@played
async def test_credentials_are_heeded_from_one_attempt_to_the_next(store_url):
    """What is changed of credentials holds for the next attempt, and a change of the endpoint leaves them alone."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage(uid="main")
        options = line.outbox.options
        await options.authorize(application, "main", AuthDraft(kind="bearer", token="t0ken"))
        await line.outbox.put_endpoint(application, "main", EndpointDraft(url=endpoint.url, uid="main"))
        await line.outbox.change_endpoint(application, "main", {"description": "other"})
        await line.rounds()
        await line.publish(application)
        await line.arrived("hook", 1)
        await options.withdraw_authorization(application, "main")
        await line.rounds()
        await line.publish(application)
        await line.arrived("hook", 2)
        shown = [arrival.headers.get("authorization") for arrival in line.receivers.arrivals]
        assert shown == ["Bearer t0ken", None]
