"""Django 5.2 and later: ``path("hooks/", include(urls(inbox)))`` in the URLconf.

``/hooks/xendit`` is then for the source ``xendit``. With ``"ringback.adapters.django"`` among ``INSTALLED_APPS`` and
``RINGBACK_INBOX = "shop.webhooks.inbox"`` in the settings, ``manage.py ringback_worker`` runs the handlers.

Webhooks carry no session, so the views need neither a CSRF token nor a login, and they run outside
``ATOMIC_REQUESTS``: the inbox commits by itself before it answers. ``DATA_UPLOAD_MAX_MEMORY_SIZE`` does not apply,
``inbox.max_body`` does. Under ASGI, Django has received the whole body before any view is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ringback.adapters import Door, joined, missing, refused, source_name, with_query

try:
    from django.contrib.auth.decorators import login_not_required
    from django.db import connections, transaction
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern, path
    from django.views.decorators.csrf import csrf_exempt
except ModuleNotFoundError as error:
    raise missing("Django 5.2", "django") from error

from ringback.adapters import asgi, wsgi
from ringback.entrance import Reply
from ringback.errors import RingbackError
from ringback.signing import Request

View = Callable[..., Any]


def urls(inbox: Door, *, asynchronous: bool = False) -> list[URLPattern]:
    """Return the URL patterns to include.

    Args:
        inbox: Who answers.
        asynchronous: Wait for the commit without holding a thread; for a project served by ASGI.
    """
    view: View = _asynchronous_view(inbox) if asynchronous else _view(inbox)
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return [path("<path:below>", csrf_exempt(login_not_required(view)))]


def _view(inbox: Door) -> Callable[[HttpRequest, str], HttpResponse]:
    def receive(request: HttpRequest, below: str) -> HttpResponse:
        try:
            arrived = _arrived(request, inbox.max_body)
        except RingbackError as error:
            return _response(refused(inbox, error))
        return _response(inbox.accept(source_name(below), arrived).result())

    return receive


def _asynchronous_view(inbox: Door) -> Callable[[HttpRequest, str], Awaitable[HttpResponse]]:
    async def receive(request: HttpRequest, below: str) -> HttpResponse:
        try:
            arrived = _arrived(request, inbox.max_body)
        except RingbackError as error:
            return _response(refused(inbox, error))
        return _response(await inbox.accept(source_name(below), arrived))

    return receive


def _arrived(request: HttpRequest, limit: int) -> Request:
    origin = f"{request.scheme}://{request.get_host()}"
    scope = getattr(request, "scope", None)
    if scope is None:
        return wsgi.request_of(request.META, origin, wsgi.read_body(request.META, _stream(request), limit))
    # The body has been received: its end is the end of the file that Django keeps it in.
    body = wsgi.read_body({**request.META, "wsgi.input_terminated": True}, request, limit)
    target = with_query(asgi.path_of(scope), request.META["QUERY_STRING"])
    return Request(scope["method"], origin + target, asgi.headers_of(scope), body)


def _stream(request: HttpRequest) -> wsgi.Readable:
    # Django takes a body without a length, which is a chunked one, for empty.
    stream: wsgi.Readable = request if request.META.get("CONTENT_LENGTH") else request.META["wsgi.input"]
    return stream


def _response(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status, headers=joined(reply.headers))
    if not any(name.lower() == "content-type" for name, _ in reply.headers):
        del response.headers["content-type"]
    return response
