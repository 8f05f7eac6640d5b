"""The dashboard's webhook settings: URLs by slot and mode, tests, the token, options, mishaps."""

import gzip

import pytest
from receivers import answering
from sandbox_receivers import BROKEN, invoice, received, tell
from sandboxes import OWNER, playing

from ringback.sandbox.xendit.slot_names import SLOTS

PLACE = "/dashboard/settings"
URL = "http://127.0.0.1:8000/hook"
API = "/sandbox/webhooks"
MISHAPS = ["attempt_time", "delay", "drop", "duplicate", "late_payment", "reorder"]


@pytest.fixture
def play(tmp_path):
    with playing(tmp_path, worker=True) as play:
        yield play


def form(page, name):
    return next(form for form in page.forms if f"/slots/{name}" in form.action)


def press(browser, page, name, button, **typed):
    """Press a button of a slot's form."""
    label = next(label for label in form(page, name).buttons if label.startswith(f"{button} "))
    return browser.press(page, label, **typed)


def slot(play, name="invoice", **headers):
    return play.ok("GET", f"{API}/slots/{name}", **headers)


def test_every_slot_has_its_form(browser):
    """Each slot is there once, in a group, with its provider's name, and with all that can go wrong."""
    page = browser.open(PLACE)
    for name, label in SLOTS.items():
        assert label in page.text
        one = form(page, name)
        assert list(one.buttons) == [f"Test and save {label}", f"Save {label}"]
        boxes = {box for box, _ in one.boxes}
        assert boxes & set(MISHAPS) == set(MISHAPS) - ({"late_payment"} if name != "invoice" else set())
    assert len([one for one in page.forms if "/slots/" in one.action]) == len(SLOTS)
    also = {box for box, _ in form(page, "invoice").boxes} - set(MISHAPS)
    assert also == {"also_expired", "also_late"}


def test_a_url_is_saved(play, browser):
    """Save keeps the URL of this slot and this mode, and says so beside it; an empty one takes it away."""
    page = press(browser, browser.open(PLACE), "ewallet", "Save", url=f"  {URL} ")
    assert page.url == f"{PLACE}?done=saved&slot=ewallet#ewallet"
    assert "The settings are saved." in page.text
    assert slot(play, "ewallet")["url"] == URL
    assert slot(play)["url"] is None
    live = browser.open(f"{PLACE}?mode=live")
    assert dict(form(live, "ewallet").fields)["url"] == ""
    press(browser, live, "ewallet", "Save", url="http://127.0.0.1:8000/live")
    assert slot(play, "ewallet")["url"] == URL
    press(browser, page, "ewallet", "Save", url="")
    assert slot(play, "ewallet")["url"] is None


def test_boxes_of_the_invoice_slot(play, browser):
    """Both "also notify" boxes and every mishap are kept as ticked, with the seconds to hold back."""
    ticked = dict.fromkeys(["also_expired", "also_late", *MISHAPS], True)
    page = press(browser, browser.open(PLACE), "invoice", "Save", url=URL, seconds="90", **ticked)
    saved = slot(play)
    assert (saved["also_expired"], saved["also_late"], saved["delay"]) == (True, True, 90_000)
    assert sorted(saved["mishaps"]) == MISHAPS
    assert all(form(page, "invoice").boxes.values())
    page = press(browser, page, "invoice", "Save", **dict.fromkeys(ticked, False))
    assert (slot(play)["also_expired"], slot(play)["mishaps"]) == (False, [])


def test_also_notify_of_expiry(play, browser):
    """With the box ticked on the page, an invoice that expires is told."""
    press(browser, browser.open(PLACE), "invoice", "Save", also_expired=True)
    made = play.ok("POST", "/v2/invoices", {"external_id": "a", "amount": 10_000})
    play.ok("POST", f"/invoices/{made['id']}/expire!")
    assert [event for event, *_ in play.told()] == ["invoice.expired"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"url": "shop"}, "the URL cannot be used"),
        ({"url": "javascript:alert(1)"}, "the URL cannot be used"),
        ({"url": "http://"}, "the URL cannot be used"),
        ({"url": "https://a" + "b" * 19_000}, "the URL cannot be used"),
        ({"delay": True, "seconds": "soon"}, "a whole number of seconds"),
        ({"delay": True, "seconds": "9999999"}, "is between 0 and"),
        ({"delay": True, "seconds": "9" * 30}, "a whole number of seconds"),
    ],
)
@pytest.mark.parametrize("button", ["Save", "Test and save"])
def test_settings_that_cannot_be(play, browser, typed, said, button):
    """The form says what is wrong beside its field, keeps all that was typed, and saves nothing."""
    page = press(
        browser, browser.open(PLACE), "invoice", button, expect=400, also_late=True, **{"url": URL} | typed
    )
    assert said in page.text
    kept = form(page, "invoice")
    assert dict(kept.fields)["url"] == typed.get("url", URL)
    assert kept.boxes["also_late", "1"]
    assert slot(play)["url"] is None
    assert play.told() == []


def test_strict_urls(play, browser):
    """With the provider's rules for URLs on, the page refuses what they refuse, with the reason."""
    page = browser.press(browser.open(PLACE), "Save options", strict_urls=True)
    assert "The options are saved." in page.text
    assert play.ok("GET", f"{API}/options")["strict_urls"] is True
    refused = press(browser, page, "invoice", "Save", expect=400, url=URL)
    assert "it must begin with https://" in refused.text


def test_automatic_retry(play, browser):
    """Switched off on the page, a webhook that fails is not tried again by itself."""
    with received(play, answering(BROKEN)) as receiver:
        page = press(browser, browser.open(PLACE), "invoice", "Save", url=receiver.url)
        browser.press(page, "Save options", automatic_retry=False)
        play.advance(1)
        notice = tell(play, invoice())
        play.deliver()
    assert play.ok("GET", f"{API}/log/{notice}")["transaction"]["next_redelivery"] is None


def test_one_url_for_every_slot(play, browser):
    """One field sets all; a bad one changes none."""
    page = browser.press(browser.open(PLACE), "Set all", url=URL)
    assert "Every slot has this URL now." in page.text
    assert {one["url"] for one in play.ok("GET", f"{API}/slots")["slots"]} == {URL}
    refused = browser.press(page, "Set all", expect=400, url="shop")
    assert "the URL cannot be used" in refused.text
    assert {one["url"] for one in play.ok("GET", f"{API}/slots")["slots"]} == {URL}


# --- Test and save -------------------------------------------------------------------------------------------


def test_test_and_save(play, browser):
    """The sample is sent, the answer shown, and the URL saved."""
    with received(play) as receiver:
        page = press(browser, browser.open(PLACE), "invoice", "Test and save", url=receiver.url)
        assert "Your receiver answered 200" in page.text
        assert "The URL is saved." in page.text
        assert slot(play)["url"] == receiver.url
        assert b"invoice_123124123" in receiver.requests[0].body
    detail = browser.open(page.link("What was sent and answered"))
    assert "made this webhook: it is sent once" in detail.text


@pytest.mark.parametrize(("requires_test", "said"), [(False, "is saved."), (True, "is not saved.")])
def test_a_test_that_fails(play, browser, requires_test, said):
    """The answer is shown with what to do; whether the URL is saved all the same is an option."""
    browser.press(browser.open(PLACE), "Save options", requires_test=requires_test)
    with received(play, answering(BROKEN)) as receiver:
        page = press(browser, browser.open(PLACE), "invoice", "Test and save", url=receiver.url)
        assert "Your receiver answered 500" in page.text
        assert f"The URL {said}" in page.text
        assert "The receiver failed at it." in page.text
        assert (slot(play)["url"] == receiver.url) is not requires_test


def test_a_test_that_nobody_answers(play, browser):
    """A refused connection is named, with what to do."""
    page = press(browser, browser.open(PLACE), "ewallet", "Test and save", url="http://127.0.0.1:1/x")
    assert "Your receiver gave no answer: ECONNREFUSED" in page.text
    assert "Start the receiver, or correct the URL." in page.text


def test_a_test_without_a_url(play, browser):
    """There is nothing to test, and the page says so."""
    page = press(browser, browser.open(PLACE), "invoice", "Test and save", expect=400, url="")
    assert "there is no URL to test" in page.text


# --- The token -----------------------------------------------------------------------------------------------


def shown(page, element):
    """Return the text of the element of that id."""
    return page.source.split(f'id="{element}">')[1].split("<")[0]


def test_the_token_is_rotated_with_overlap(play, browser):
    """A new token is shown beside the old one until it takes over: after the overlap, or at once by a press."""
    page = browser.open(PLACE)
    first = shown(page, "current-token")
    page = browser.press(page, "Make a new token", overlap="3600")
    second = shown(page, "next-token")
    assert "There is a new token. Accept both until the change." in page.text
    assert shown(page, "current-token") == first != second
    play.advance(3_600_000)
    page = browser.open(PLACE)
    assert shown(page, "current-token") == second
    assert "next-token" not in page.source
    page = browser.press(page, "Make a new token", overlap="604800")
    third = shown(page, "next-token")
    page = browser.press(page, "Change to it now")
    assert shown(page, "current-token") == third
    assert "Webhooks carry the new token from now on." in page.text
    assert play.ok("GET", f"{API}/token")["current"] == third


def test_the_token_is_rotated_at_once(browser):
    """Without overlap there is one token all the time."""
    page = browser.press(browser.open(PLACE), "Make a new token", overlap="0")
    assert "Webhooks carry the new token from now on." in page.text
    assert "next-token" not in page.source


@pytest.mark.parametrize("overlap", ["", "soon", "-1", "9" * 12, "99999999"])
def test_an_overlap_that_is_none(play, browser, overlap):
    """It is refused with a page, and the token stays."""
    before = shown(browser.open(PLACE), "current-token")
    browser.press(browser.open(PLACE), "Make a new token", expect=400, overlap=overlap)
    assert shown(browser.open(PLACE), "current-token") == before


def test_each_mode_has_its_token(browser):
    """The live token is another one."""
    live = browser.open(f"{PLACE}?mode=live")
    assert shown(browser.open(PLACE), "current-token") != shown(live, "current-token")


def test_slots_that_are_not_there(play, browser):
    """An unknown slot is a page that says so; unknown words in the address change nothing."""
    answer = play.call("POST", f"{PLACE}/slots/nothing", form={"url": URL}, key=None)
    assert answer.status == 404
    assert "there is no setting nothing" in answer.body.decode().lower()
    page = browser.open(f"{PLACE}?done=nope&slot=nope&tested=nope")
    assert "saved" not in page.text.split("URLs")[0].replace("Save a URL", "")
    assert OWNER.business_id not in page.url


def test_a_large_page_is_sent_compressed_to_who_takes_that(play):
    """The page of all slots is small on its way; who takes nothing compressed gets it as it is."""
    plain = play.call("GET", PLACE)
    packed = play.call("GET", PLACE, headers={"accept-encoding": "gzip, br"})
    assert dict(packed.headers)["content-encoding"] == "gzip"
    assert len(packed.body) < 20_000
    assert gzip.decompress(packed.body) == plain.body
    assert "content-encoding" not in dict(plain.headers)
