"""Flask 3.1 and later: ``app.register_blueprint(blueprint(inbox), url_prefix="/hooks")``.

``/hooks/xendit`` is then for the source ``xendit``. If the application uses Flask-WTF's ``CSRFProtect``, exempt the
blueprint from it. Like any WSGI application, Flask does not see the space after the comma between repeated headers.
"""

from __future__ import annotations

from ringback.adapters import Door, missing, source_name, wsgi
from ringback.entrance import Reply

try:
    import flask
except ModuleNotFoundError as error:
    raise missing("Flask 3.1", "flask") from error

# Flask takes only the methods it is told; what becomes of them is the inbox's to say.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def blueprint(inbox: Door, name: str = "ringback") -> flask.Blueprint:
    """Return the blueprint to register.

    Args:
        inbox: Who answers.
        name: The blueprint's name, to be another one where two inboxes live in one application.
    """
    hooks = flask.Blueprint(name, __name__)

    def receive(below: str) -> flask.Response:
        return answer(inbox, source_name(below), flask.request, flask.request.scheme)

    hooks.add_url_rule("/<path:below>", view_func=receive, methods=METHODS, provide_automatic_options=False)
    return hooks


def answer(inbox: Door, source: str, request: flask.Request, scheme: str) -> flask.Response:
    """Hand *request*, sent by *scheme*, to *inbox*. Flask answers a client that leaves half way by itself."""
    if (request.content_length or 0) > inbox.max_body:
        return _response(inbox.too_large())
    # Werkzeug ends a body without a length at this bound in silence: only one byte more shows that it did.
    request.max_content_length = inbox.max_body + 1
    body = request.get_data()
    if len(body) > inbox.max_body:
        return _response(inbox.too_large())
    origin = wsgi.origin_of(request.environ, scheme)
    return _response(inbox.accept(source, wsgi.request_of(request.environ, origin, body)).result())


def _response(reply: Reply) -> flask.Response:
    response = flask.Response(reply.body, reply.status, list(reply.headers))
    if not any(name.lower() == "content-type" for name, _ in reply.headers):
        del response.headers["content-type"]
    return response
