"""The reference pages of the API and the metrics say what the code says, no less and no more."""

import re
from pathlib import Path

import msgspec
import pytest
from falcon.inspect import inspect_routes

import ringback
from ringback import errors
from ringback.api_keys import ApiKeys
from ringback.canary import Canary
from ringback.errors import RingbackError
from ringback.model import OutcomeKind, SkipReason
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.server import wire
from ringback.server.app import create_app
from ringback.server.auth import Tokens
from ringback.server.metrics import Metrics
from ringback.server.openapi import document
from ringback.server.routes import routes as table
from ringback.sessions import Sessions
from ringback.sources import Sources

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
API = (REFERENCE / "api.md").read_text(encoding="utf-8")
METRICS = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
SHAPES = [
    shape
    for shape in wire.Shape.__subclasses__()
    if shape.__name__.endswith("Out") and shape is not wire.SkippedOut
]


def routes():
    outbox = Outbox(None)  # the routes are looked at, none is called
    app = create_app(
        outbox=outbox,
        sources=Sources(None),
        tokens=Tokens(ApiKeys(None), None),
        sessions=Sessions(None, b""),
        metrics=Metrics(Observer()),
        observer=Observer(),
        readiness=lambda: None,
        canary=Canary(None, None, 1, clock=None, monotonic=None, entropy=None).send,
        max_body=1,
    )
    found = {
        f"{method.method} {route.path}"
        for route in inspect_routes(app)
        for method in route.methods
        if not method.internal
    }
    headed = {f"HEAD {route.removeprefix('GET ')}" for route in found if route.startswith("GET ")}
    assert headed <= found
    # Each is answered as its GET is, which the rules say once for all; a few are operations of their own.
    return found - (headed - {f"{route.method.upper()} {route.path}" for route in table()})


def section(title):
    """Return the text under a heading of the API's page."""
    match = re.search(rf"^### {re.escape(title)}$(.*?)(?=^##|\Z)", API, re.MULTILINE | re.DOTALL)
    assert match, f"docs/reference/api.md has no section {title}"
    return match[1]


def test_document():
    """The OpenAPI document holds every route, and every operation in it has a route."""
    described = document(table())["paths"]
    assert {
        f"{method.upper()} {path}" for path, methods in described.items() for method in methods
    } == routes()


def test_routes():
    """Every route has a section of its own, and every such section a route."""
    documented = re.findall(r"^### `([A-Z]+ /\S+)`$", API, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == routes()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_fields(shape):
    """Every field of what is answered is in the table of its shape, in the same order."""
    documented = re.findall(r"^\| `(\w+)`", section(shape.__name__), re.MULTILINE)
    assert documented == [field.encode_name for field in msgspec.structs.fields(shape)]


def test_values():
    """Every outcome of an attempt and every reason for skipping an endpoint is named."""
    assert all(f"`{kind}`" in section("MessageAttemptOut") for kind in OutcomeKind)
    assert all(
        f"`{reason}`" in section("`GET /api/v1/app/{app}/msg/{msg}/endpoint`") for reason in SkipReason
    )


def test_errors():
    """Each error that a caller can be answered with is in the table, by its status and code; nothing else is."""
    rows = re.findall(r"^\| (\d{3}) \| ((?:`[^`]+`(?:, )?)+) \|", API, re.MULTILINE)
    told = {(int(status), code) for status, codes in rows for code in re.findall(r"`([^`]+)`", codes)}
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, RingbackError)]
    # A 422 has no code but the faults; what a person has to put right at the server is a 500 like any other.
    answered = {(kind.status, kind.code) for kind in kinds if kind.status not in {422, 500}}
    assert told == answered | {(500, "internal_error")}


def test_kinds_of_faults():
    """Each type that a fault in a 422 can have is named."""
    source = Path(ringback.__file__).parent
    found = {
        kind
        for file in source.rglob("*.py")
        for kind in re.findall(r"value_error\.[a-z]+", file.read_text("utf-8"))
    }
    assert {kind for kind in found if f"`{kind}`" not in API} == set()


def test_metrics():
    """Every metric is in a table with its type and labels, and every row of those is a metric."""
    documented = {
        name: (kind.split(",")[0], tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(r"^\| `(\w+)` \| ([^|]+?) \| ([^|]*)\|", METRICS, re.MULTILINE)
    }
    families = Metrics(Observer()).families
    exposed = {family.name: (family.kind, tuple(set(family.labels) - {"le"})) for family in families}
    assert {name: (kind, set(labels)) for name, (kind, labels) in documented.items()} == {
        name: (kind, set(labels)) for name, (kind, labels) in exposed.items()
    }
