"""A browser, and the sites that it visits."""

import contextlib

import pytest
from scripts.chromium import absence, found, is_required
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
