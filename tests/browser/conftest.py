"""A browser, the sites that it visits, and whoever walks through a server's pages."""

import contextlib
import re
from types import SimpleNamespace

import pytest
from running import ANYWHERE, receiving, running
from running_site import folder, shop
from scripts.chromium import absence, found, is_required
from server_site import SETTINGS, address, signed_in
from sites import SITES
from visits import started, visiting


@pytest.fixture(scope="module")
def browser():
    """A running browser. Its driver keeps the thread's event loop, so it ends before other tests want one."""
    if not found():
        (pytest.fail if is_required() else pytest.skip)(f"NO BROWSER: {absence()}")
    with started() as browser:
        yield browser


@pytest.fixture(scope="session")
def site():
    """Return what gives a site by name: each runs once, with its data, for all tests that only look at it."""
    running = {}
    with contextlib.ExitStack() as stack:

        def named(name):
            if name not in running:
                running[name] = stack.enter_context(SITES[name]())
            return running[name]

        yield named


@pytest.fixture
def visit(browser):
    """Return what visits a site; what a page must never do fails the test."""
    with contextlib.ExitStack() as stack:
        yield lambda address, **how: stack.enter_context(visiting(browser, address, **how))


@pytest.fixture(scope="session")
def place():
    """A server to walk through, its API, and the shop that it delivers to."""
    with (
        folder() as data,
        receiving(shop) as receiver,
        running("serve", "--listen", ANYWHERE, folder=data, **SETTINGS, breaker_rest="2s") as node,
        node.api() as api,
    ):
        api.post("/event-type", {"name": "invoice.paid", "description": "An invoice was paid"})
        yield SimpleNamespace(
            node=node, api=api, shop=receiver, url=address(node), cookies=signed_in(node.port)
        )


@pytest.fixture
def name(request):
    """What is called after the test: nobody else has it."""
    return re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def application(place, name):
    """An application of the test's own, by its name."""
    place.api.post("/app", {"uid": name, "name": name})
    return name


@pytest.fixture
def stranger(request, visit, place):
    """Somebody who has not signed in."""
    return request.param(visit(place.url, screen=request.param.screen))


@pytest.fixture
def hand(request, visit, place):
    """An operator who has signed in."""
    way = request.param
    return way(visit(place.url, screen=way.screen, scripts=way.scripts, cookies=place.cookies))
