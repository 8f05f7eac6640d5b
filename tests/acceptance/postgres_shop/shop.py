"""The shop's web process, which receives; a worker handles."""

from payments import inbox

from ringback.adapters.asgi import ASGIAdapter

app = ASGIAdapter(inbox)
