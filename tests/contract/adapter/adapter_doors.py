"""The public door of each framework: one request goes in as its platform would bring it, one answer comes out."""

import asyncio
import base64
import contextlib
import http.client
import io
import socket
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote
from wsgiref.simple_server import WSGIRequestHandler, make_server

import azure.functions
import django
import flask
import uvicorn
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import include, path
from fastapi import FastAPI

from ringback.adapters.asgi import ASGIAdapter
from ringback.adapters.aws_lambda import lambda_intake
from ringback.adapters.azure_functions import register
from ringback.adapters.flask import blueprint
from ringback.adapters.google_cloud import google_intake
from ringback.adapters.wsgi import WSGIAdapter

HOST = "hooks.example.com"
PART = 40_000


@dataclass(frozen=True)
class Sent:
    """A request as its sender wrote it; *target* is what follows the mount."""

    method: str = "POST"
    target: str = "/xendit"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"{}"

    def all_headers(self):
        """Return the headers with those that every client adds."""
        return (("Host", HOST), *self.headers, ("Content-Length", str(len(self.body))))


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name):
        """Return a header's value, empty if there is none."""
        return ", ".join(value for known, value in self.headers if known.lower() == name)


@dataclass(frozen=True)
class Door:
    """How to get to an adapter.

    *opened* takes an inbox and is a context with a function from ``Sent`` to ``Answer``; *origin* is where the
    adapter is mounted; *comma* is what this way puts between repeated headers.
    """

    name: str
    opened: Callable[..., Any]
    origin: str = f"http://{HOST}/hooks"
    comma: str = ", "
    options: dict = field(default_factory=dict)

    def open(self, inbox):
        """Return the context for one inbox."""
        return self.opened(inbox, **self.options)

    def __str__(self):
        return self.name


# --- ASGI --------------------------------------------------------------------------------------------------


async def call_asgi(app, sent, mount="/hooks", events=None):
    """Call an ASGI application with the messages a server would send it, the body in parts."""
    whole = mount + sent.target
    raw_path, _, query = whole.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.all_headers()],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
    }
    parts = [sent.body[start : start + PART] for start in range(0, len(sent.body), PART)] or [b""]
    events = events or [{"type": "http.request", "body": part, "more_body": True} for part in parts] + [
        {"type": "http.request", "body": b"", "more_body": False}
    ]
    coming, answered = iter(events), []

    async def receive():
        for event in coming:
            return event
        return await asyncio.get_running_loop().create_future()

    async def send(event):
        answered.append(event)

    await app(scope, receive, send)
    if not answered:
        return None
    headers = [(name.decode(), value.decode()) for name, value in answered[0]["headers"]]
    return Answer(answered[0]["status"], headers, b"".join(event.get("body", b"") for event in answered[1:]))


@contextlib.contextmanager
def asgi(inbox):
    yield lambda sent: asyncio.run(call_asgi(ASGIAdapter(inbox), sent))


def mounted(inbox):
    app = FastAPI()
    app.mount("/hooks", ASGIAdapter(inbox))
    return app


@contextlib.contextmanager
def fastapi(inbox):
    yield lambda sent: asyncio.run(call_asgi(mounted(inbox), sent))


@contextlib.contextmanager
def listening(app):
    """Serve an ASGI application on a loopback socket; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join()


def over_http(address, mount, sent):
    connection = http.client.HTTPConnection(*address[:2], timeout=30)
    with contextlib.closing(connection):
        connection.putrequest(sent.method, mount + sent.target, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.all_headers():
            connection.putheader(name, value)
        with contextlib.suppress(ConnectionError):  # a server may refuse a body before it has all come
            connection.endheaders(sent.body)
        with connection.getresponse() as response:
            return Answer(response.status, response.getheaders(), response.read())


@contextlib.contextmanager
def uvicorn_server(inbox):
    with listening(mounted(inbox)) as address:
        yield lambda sent: over_http(address, "/hooks", sent)


# --- WSGI --------------------------------------------------------------------------------------------------


def environ_of(sent, mount="/hooks", **more):
    """Return what a WSGI server such as gunicorn would make of a request."""
    raw_path, _, query = sent.target.partition("?")
    environ = {
        "REQUEST_METHOD": sent.method,
        "SCRIPT_NAME": mount,
        "PATH_INFO": unquote(raw_path, "latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": mount + sent.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(sent.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in sent.all_headers():
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return {key: value for key, value in {**environ, **more}.items() if value is not None}


def call_wsgi(app, environ):
    started = []

    def start_response(status, headers, exc_info=None):
        started.extend((status, headers))

    result = app(environ, start_response)
    body = b"".join(result)
    if hasattr(result, "close"):
        result.close()
    return Answer(int(started[0].split()[0]), started[1], body)


@contextlib.contextmanager
def wsgi(inbox):
    yield lambda sent: call_wsgi(WSGIAdapter(inbox), environ_of(sent))


class WithTarget(WSGIRequestHandler):
    """Tells the raw target, as servers for production do, and keeps quiet."""

    def get_environ(self):
        """Add what ``wsgiref`` leaves out."""
        return {**super().get_environ(), "RAW_URI": self.path}

    def log_message(self, *args):
        """Say nothing."""


@contextlib.contextmanager
def wsgiref_server(inbox):
    with make_server("127.0.0.1", 0, WSGIAdapter(inbox), handler_class=WithTarget) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield lambda sent: over_http(server.server_address, "/hooks", sent)
        finally:
            server.shutdown()
            thread.join()


# --- Django ------------------------------------------------------------------------------------------------

if not settings.configured:
    settings.configure(SECRET_KEY="for tests only")
    django.setup()

DJANGO = {
    "ALLOWED_HOSTS": [HOST],
    "DEBUG": False,
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
    "INSTALLED_APPS": [
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "ringback.adapters.django",
    ],
    # A project that guards all its views.
    "MIDDLEWARE": [
        "django.middleware.common.CommonMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ],
}


@contextlib.contextmanager
def django_project(inbox, asynchronous=False, **more):
    """Set up a project whose URLconf includes the inbox's."""
    from ringback.adapters.django import urls  # noqa: PLC0415 - needs Django's settings

    urlconf = types.ModuleType("urlconf")
    urlconf.urlpatterns = [path("hooks/", include(urls(inbox, asynchronous=asynchronous)))]
    with override_settings(**DJANGO, ROOT_URLCONF=urlconf, **more):
        yield


@contextlib.contextmanager
def django_wsgi(inbox):
    with django_project(inbox):
        handler = WSGIHandler()
        yield lambda sent: call_wsgi(
            handler, environ_of(sent, SCRIPT_NAME="", PATH_INFO="/hooks" + sent.target.partition("?")[0])
        )


@contextlib.contextmanager
def django_asgi(inbox):
    with django_project(inbox, asynchronous=True):
        yield lambda sent: asyncio.run(call_asgi(ASGIHandler(), sent))


# --- Flask and Google Cloud --------------------------------------------------------------------------------


def flask_app(inbox):
    app = flask.Flask("shop")
    app.register_blueprint(blueprint(inbox), url_prefix="/hooks")
    return app


@contextlib.contextmanager
def flask_client(inbox):
    client = flask_app(inbox).test_client()

    def send(sent):
        response = client.open(
            f"/hooks{sent.target}",
            base_url=f"http://{HOST}",
            method=sent.method,
            headers=sent.headers,
            data=sent.body,
        )
        return Answer(response.status_code, list(response.headers), response.data)

    yield send


@contextlib.contextmanager
def google(inbox):
    function = google_intake(inbox)
    app = flask.Flask("function")

    def send(sent):
        request = flask.Request(environ_of(sent, HTTP_X_FORWARDED_PROTO="https"))
        with app.app_context():
            response = function(request)
        return Answer(response.status_code, list(response.headers), response.get_data())

    yield send


# --- AWS Lambda --------------------------------------------------------------------------------------------


def encoded(sent):
    try:
        return {"body": sent.body.decode() or None, "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(sent.body).decode(), "isBase64Encoded": True}


def single(pairs, comma=","):
    whole = {}
    for name, value in pairs:
        whole[name] = f"{whole[name]}{comma}{value}" if name in whole else value
    return whole


def multiple(pairs):
    whole = {}
    for name, value in pairs:
        whole.setdefault(name, []).append(value)
    return whole


def payload_2(sent):
    """API Gateway, payload 2.0, and function URLs."""
    route, _, query = f"/hooks{sent.target}".partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": route,
        "rawQueryString": query,
        "headers": single((name.lower(), value) for name, value in sent.all_headers()),
        "requestContext": {
            "domainName": HOST,
            "stage": "$default",
            "http": {"method": sent.method, "path": route, "sourceIp": "192.0.2.1"},
        },
        **encoded(sent),
    }


def payload_1(sent):
    """API Gateway, payload 1.0: the query is decoded, the stage only in the context's path."""
    route, _, query = sent.target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    return {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": route,
        "httpMethod": sent.method,
        "headers": dict(sent.all_headers()),
        "multiValueHeaders": multiple(sent.all_headers()),
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": multiple(pairs) or None,
        "requestContext": {
            "domainName": HOST,
            "path": f"/hooks{route}",
            "stage": "hooks",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        **encoded(sent),
    }


def load_balancer(sent, many=False):
    """An Application Load Balancer's target: the query is undecoded."""
    route, _, query = f"/hooks{sent.target}".partition("?")
    pairs = [part.split("=", 1) for part in query.split("&") if part]
    headers = [(name.lower(), value) for name, value in sent.all_headers()] + [("x-forwarded-proto", "https")]
    several = {
        "multiValueHeaders": multiple(headers),
        "multiValueQueryStringParameters": multiple(pairs),
    }
    one = {"headers": single(headers), "queryStringParameters": dict(pairs)}
    return {
        "requestContext": {
            "elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:region:1:targetgroup/t/1"}
        },
        "httpMethod": sent.method,
        "path": route,
        **(several if many else one),
        **encoded(sent),
    }


def load_balancer_many(sent):
    return load_balancer(sent, many=True)


def answered(result):
    body = result["body"].encode()
    one = {name: [value] for name, value in result.get("headers", {}).items()}
    many = result.get("multiValueHeaders", one)
    return Answer(
        result["statusCode"],
        [(name, value) for name, values in many.items() for value in values],
        base64.b64decode(body) if result["isBase64Encoded"] else body,
    )


@contextlib.contextmanager
def aws_lambda(inbox, event):
    yield lambda sent: answered(lambda_intake(inbox)(event(sent), None))


# --- Azure -------------------------------------------------------------------------------------------------


async def call_azure(inbox, sent):
    app = azure.functions.FunctionApp()
    register(app, inbox)
    function = app.get_functions()[0].get_user_function()
    request = azure.functions.HttpRequest(
        sent.method,
        f"https://{HOST}/api/hooks{sent.target}",
        headers=single(sent.all_headers()),
        route_params={"source": "xendit"},
        body=sent.body,
    )
    response = await function(request)
    return Answer(response.status_code, list(response.headers.items()), response.get_body())


@contextlib.contextmanager
def azure_function(inbox):
    yield lambda sent: asyncio.run(call_azure(inbox, sent))


SECURE = f"https://{HOST}/hooks"
DOORS = [
    Door("asgi", asgi),
    Door("fastapi", fastapi),
    Door("uvicorn", uvicorn_server),
    Door("wsgi", wsgi, comma=","),
    Door("wsgiref", wsgiref_server, comma=","),
    Door("django", django_wsgi, comma=","),
    Door("django-async", django_asgi),
    Door("flask", flask_client),
    Door("google", google, origin=SECURE, comma=","),
    Door("payload-1", aws_lambda, origin=SECURE, options={"event": payload_1}),
    Door("payload-2", aws_lambda, origin=SECURE, comma=",", options={"event": payload_2}),
    Door("balancer", aws_lambda, origin=SECURE, comma=",", options={"event": load_balancer}),
    Door("balancer-many", aws_lambda, origin=SECURE, options={"event": load_balancer_many}),
    Door("azure", azure_function, origin=f"https://{HOST}/api/hooks", comma=","),
]


async def call_django(inbox, sent):
    return await call_asgi(ASGIHandler(), sent)


async def call_adapter(inbox, sent):
    return await call_asgi(ASGIAdapter(inbox), sent)
