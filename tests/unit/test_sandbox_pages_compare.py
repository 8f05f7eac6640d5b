"""The dashboard's page that compares polling with webhooks: its form, a real run, and what it shows."""

import asyncio
import json
import sys

import pytest
from sandboxes import playing

from browser import Browser
from ringback.sandbox.xendit.compare.results import read
from ringback.sandbox.xendit.compare.table import HEADING, notes, rows, story

PLACE = "/dashboard/compare"
FEW = {"invoices": "6", "outage": "30", "seed": "3"}
FILES = (f"{PLACE}/chart.svg", f"{PLACE}/numbers.json")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A play in which a comparison was started with the form, and has ended; with the page that came first."""
    with playing(tmp_path_factory.mktemp("compared")) as play:
        started = Browser(play).press(Browser(play).open(PLACE), "Play it", **FEW)
        until_done(play)
        yield play, started


def state(play):
    return play.call("GET", f"{PLACE}/state", key=None).body["state"]


def until_done(play):
    """Let the run go on to its end, as a page that is open does: it looks now and then."""
    while state(play):
        play.run(asyncio.sleep(0.05))


def test_before_the_first_run(play, browser):
    """The page is in the menu and has a form with a sensible hour in it; there is no result, and so no file of one."""
    page = browser.open(PLACE)
    assert page.link("Compare") == PLACE
    assert dict(page.forms[-1].fields) == {"invoices": "500", "outage": "6", "seed": "1"}
    assert (page.rows, page.refresh, state(play)) == ([], None, "")
    for file in FILES:
        browser.open(file, expect=404)


def test_a_run_from_the_form_to_the_numbers(compared):
    """It runs beside the sandbox, the page follows it without scripts too, and then shows what the files hold."""
    play, started = compared
    assert started.headings[-1].startswith("It runs: ")
    assert (started.refresh, started.data("watch"), started.data("state")) == ("3", f"{PLACE}/state", "0")
    page = Browser(play).open(PLACE)
    answer = play.call("GET", FILES[1], key=None)
    measured = read(answer.body)
    assert page.rows == [list(HEADING), *([*row.cells()] for row in rows(measured))]
    for words in (story(measured), *notes(measured)):
        assert words in page.text
    assert dict(page.forms[-1].fields) == FEW
    assert page.refresh is None
    assert all(way["missed"] == 0 for way in json.loads(answer.body)["ways"] if way["name"] != "webhook")


def test_the_chart_on_the_page_and_as_a_file(compared):
    """On the page it has no styles, which the policy forbids; as a file it has, and may do nothing but that."""
    play, _ = compared
    page = Browser(play).open(PLACE)
    assert ("svg", "img") in [(name, attrs.get("role")) for name, attrs in page.elements]
    assert not [name for name, attrs in page.elements if name == "style" or "style" in attrs]
    file = play.call("GET", FILES[0], key=None)
    assert file.content_type == "image/svg+xml"
    assert b"prefers-color-scheme" in file.body
    policy = [value for name, value in file.headers if name == "content-security-policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_one_at_a_time_and_an_end_to_it(play, browser):
    """A second run is refused while one is under way; a cancelled one leaves no result."""
    form = browser.open(PLACE)
    started = browser.press(form, "Play it", invoices="2000")
    refused = browser.press(form, "Play it", expect=409)
    assert "runs already" in refused.text
    page = browser.press(started, "Cancel")
    assert (page.headings[-1], page.rows, state(play)) == ("Play it", [], "")
    assert browser.press(form, "Play it", **FEW).headings[-1].startswith("It runs: ")
    browser.press(browser.open(PLACE), "Cancel")


def test_cancelling_nothing(browser):
    """Cancelling what has ended by itself changes nothing."""
    page = browser.press(browser.open(PLACE), "Play it", **FEW)
    browser.press(page, "Cancel")
    assert browser.press(page, "Cancel").status == 200


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"invoices": "2001"}, "1 to 2,000 invoices, not 2,001"),
        ({"invoices": "0"}, "1 to 2,000 invoices"),
        ({"invoices": "many"}, "invoices is a whole number"),
        ({"outage": "31"}, "30 minutes at most"),
        ({"outage": "-1"}, "outage is a whole number"),
        ({"seed": "1" * 10}, "seed is a whole number"),
        ({"seed": "<b>"}, "seed is a whole number"),
        ({"seed": "٣"}, "seed is a whole number"),
    ],
)
def test_what_cannot_be_played(play, browser, typed, said):
    """The page says what is wrong and keeps what was typed; nothing runs."""
    page = browser.press(browser.open(PLACE), "Play it", expect=400, **typed)
    assert said in page.text
    assert dict(page.forms[-1].fields).items() >= typed.items()
    assert state(play) == ""


def test_a_run_that_cannot_be(play, browser, monkeypatch):
    """Where the process cannot be started, the page says why, and the next run is another chance."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    browser.press(browser.open(PLACE), "Play it", **FEW)
    until_done(play)
    page = browser.open(PLACE)
    assert "The comparison failed:" in page.text
    assert "No such file" in page.text
    monkeypatch.undo()
    again = browser.press(page, "Play it", **FEW)
    assert again.headings[-1].startswith("It runs: ")
    assert "failed" not in browser.press(again, "Cancel").text
