"""Azure Functions, Python v2 model: ``register(app, inbox)`` and ``register_drain(app, inbox)`` in function_app.py.

``/api/hooks/xendit`` is then for the source ``xendit``. The HTTP function needs no function key, which would have to
stand in the provider's URL: the inbox verifies. The worker is a timer trigger. The host re-escapes the URL's path and
joins repeated headers by a bare comma; the store has to outlive the instance.
"""

from __future__ import annotations

from ringback.adapters import Door, Drain, joined, missing, source_name
from ringback.signing import Request

try:
    import azure.functions as func
except ModuleNotFoundError as error:
    raise missing("azure-functions", "azure") from error

EVERY_TEN_SECONDS = "*/10 * * * * *"
SECONDS = 240.0


def register(app: func.FunctionApp, inbox: Door, route: str = "hooks/{source}") -> None:
    """Add the HTTP function ``ringback_intake`` to *app*, for all methods; *route* ends with the source."""

    @app.function_name("ringback_intake")
    @app.route(route=route, auth_level=func.AuthLevel.ANONYMOUS)
    async def receive(req: func.HttpRequest) -> func.HttpResponse:
        body = req.get_body()
        if len(body) > inbox.max_body:
            reply = inbox.too_large()
        else:
            path = req.url.partition("?")[0]
            arrived = Request(req.method, req.url, joined(req.headers.items()), body)
            reply = await inbox.accept(source_name(path), arrived)
        return func.HttpResponse(reply.body, status_code=reply.status, headers=joined(reply.headers))


def register_drain(
    app: func.FunctionApp, inbox: Drain, schedule: str = EVERY_TEN_SECONDS, seconds: float = SECONDS
) -> None:
    """Add the timer function ``ringback_drain`` to *app*: it handles what is due, for at most *seconds* a time.

    *schedule* is an NCRONTAB expression of six fields; *seconds* should be less than the application's
    ``functionTimeout``, which is 300 s unless configured.
    """

    @app.function_name("ringback_drain")
    @app.timer_trigger(arg_name="timer", schedule=schedule)
    def work(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's binding
        inbox.drain(seconds)
