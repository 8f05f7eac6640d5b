"""A management API on a port of its own, which the environment names as it does for commands."""

import contextlib
import os
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from management import TOKEN, management


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_):
        """Say nothing."""


def bridge(api):
    """Return a WSGI application that hands every request to the API under test."""

    def application(environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        headers = {"authorization": environ["HTTP_AUTHORIZATION"], "content-type": "application/json"}
        answer = api.send(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            raw=environ["wsgi.input"].read(length),
            headers=headers,
            query=environ["QUERY_STRING"],
        )
        start_response(answer.status, [("Content-Length", str(len(answer.content)))])
        return [answer.content]

    return application


@contextlib.contextmanager
def served(folder, monkeypatch, **options):
    """Yield an API over a store in *folder*, which is the working folder; commands talk to it by default."""
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)
    with (
        management(folder, **options) as api,
        make_server("127.0.0.1", 0, bridge(api), handler_class=Quiet) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("RINGBACK_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("RINGBACK_TOKEN", TOKEN)
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
