"""Whatever strangers write, wherever they can, is text on every page: it runs, loads and breaks nothing."""

from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hostile_texts import FAULTS, HOSTILE, TOLD, answer, look, look_at_each, look_through, taken
from running import ADMIN_TOKEN, ANYWHERE, receiving, running
from running_site import folder
from sandbox_process import sandbox
from server_site import SETTINGS, address, signed_in
from visits import PHONE


def test_there_are_enough():
    """There are a hundred different ones and more."""
    assert len(set(HOSTILE)) == len(HOSTILE) >= 100


@pytest.fixture(scope="module")
def server():
    """A server in which every text is the name of an application, describes its endpoint, is published and answered."""
    settings = SETTINGS | {"retry_schedule": "none"}
    with (
        folder() as place,
        receiving(answer) as receiver,
        running("serve", "--listen", ANYWHERE, folder=place, **settings) as node,
        node.api() as api,
    ):
        places = [published(api, receiver.url, number, text) for number, text in enumerate(HOSTILE)]
        receiver.until(lambda: len(receiver.ledger) >= len(HOSTILE))
        for one in places:
            while not api.get(f"/app/{one['app']}/attempt/msg/{one['msg']}")["data"]:
                pass
        yield SimpleNamespace(url=address(node), places=places, cookies=signed_in(node.port, ADMIN_TOKEN))


def published(api, url, number, text):
    """Write a text into everything there is about an application; return what its parts are called."""
    uid, event, place = f"app-{number}", f"event.{number}", f"{url}/{number}"
    some, few, told = text[:200], text[:40], quote(text, errors="replace")[:1_500]
    more = {"uid": uid, "metadata": {"text": some, few: "x"}}
    names = [{"name": text}, {"name": some}, {"name": uid}]
    application = taken(api, "/app", *(one | more for one in names), *(one | {"uid": uid} for one in names))
    more = {"description": text[:4_000], "metadata": {few: some}}
    places = [{"url": f"{place}?{one}"} for one in (text, told)]
    places = [one | headers for one in places for headers in ({"headers": {"x-text": text}}, {})]
    endpoint = taken(api, f"/app/{uid}/endpoint", *(one | more for one in places), *places, {"url": place})
    kind = {"name": event, "description": event}
    taken(api, "/event-type", kind | {"description": text}, kind | {"description": some}, kind)
    body = {"eventType": event, "payload": {"text": text, text: [text, {text: text}]}}
    names = [{"eventId": some, "tags": [some[:100]]}, {"eventId": some}, {"tags": [some[:100]]}, {}]
    plain = {"eventType": event, "payload": {"text": "x"}}
    message = taken(api, f"/app/{uid}/msg", *(body | one for one in names), plain)
    return {"app": application["id"], "ep": endpoint["id"], "msg": message["id"]}


def test_what_would_be_noticed(server, visit):
    """A page that let such a text through would be noticed, and so would what runs."""
    visitor = visit(server.url, screen=PHONE)
    visitor.expect_fault("a hostile text ran|against the policy|on the console|asked elsewhere")
    page = visitor.open("/login")
    page.evaluate(
        "text => { document.querySelector('main').innerHTML = text; }", "<img src='x:' onerror='canary(1)'>"
    )
    page.evaluate("canary(1)")
    assert len(page.evaluate(FAULTS)) == 2
    assert any("a hostile text ran" in fault for fault in visitor.faults)
    assert any("against the policy" in fault for fault in visitor.faults)


PAGES = {
    "application": "/applications/{app}",
    "endpoint": "/applications/{app}/endpoints/{ep}",
    "message": "/messages/{app}/{msg}",
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_about_one(server, visit, name):
    """On the pages about an application, an endpoint and a message that strangers have written."""
    visitor = visit(server.url, screen=PHONE, cookies=server.cookies)
    assert look_at_each(visitor, PAGES[name], server.places, HOSTILE) == []


def test_forms(server, visit):
    """In the fields of forms, where they can be changed: one form for every other text, another for the others."""
    visitor = visit(server.url, screen=PHONE, cookies=server.cookies)
    paths = (PAGES["application"] + "/edit", PAGES["endpoint"] + "/edit")
    places = enumerate(server.places)
    assert [
        fault for number, place in places for fault in look(visitor, paths[number % 2].format(**place))
    ] == []


def test_lists(server, visit):
    """On the lists, to their end, and on the first page."""
    visitor = visit(server.url, screen=PHONE, cookies=server.cookies)
    assert look(visitor, "/") == []
    assert [
        fault
        for path in ("/messages", "/applications", "/event-types")
        for fault in look_through(visitor, path)
    ] == []


@pytest.mark.parametrize(
    "path", ["/messages?text={}&tag={}&type={}&application={}", "/applications?find={}", "/login?next={}"]
)
def test_addresses(server, visit, path):
    """In the address of a page that shows again what was asked for."""
    visitor = visit(server.url, screen=PHONE, cookies=() if "login" in path else server.cookies)
    visitor.expect_fault("status of 4")
    assert [fault for told in TOLD for fault in look(visitor, path.replace("{}", told))] == []


# --- The sandbox ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box():
    """A sandbox in which every text is about an invoice, is sent as a webhook, and is what a receiver answers."""
    with folder() as place, receiving(answer) as receiver, sandbox(place) as box:
        yield SimpleNamespace(url=box.url, invoices=invoices(box), webhooks=webhooks(box, receiver.url))


def invoices(box):
    """Make an invoice with each text; return the ids."""
    made = []
    for number, text in enumerate(HOSTILE):
        some = text[:200]
        full = {
            "external_id": some,
            "description": text[:900],
            "items": [{"name": some, "price": 75_000, "quantity": 1}],
            "fees": [{"type": some[:50], "value": 5}],
            "customer": {"given_names": some, "surname": some},
            "metadata": {some[:40]: some},
        }
        drafts = [
            full,
            {"external_id": some},
            {"external_id": f"order-{number}", "description": some},
            {"external_id": f"order-{number}"},
        ]
        answers = (box.ask("POST", "/v2/invoices", {"amount": 75_000} | draft) for draft in drafts)
        made.append(next(body["id"] for status, body in answers if status == 200))
    return made


def webhooks(box, url):
    """Send each text as a webhook; return what the log calls them."""
    sent = []
    for number, text in enumerate(HOSTILE):
        place = f"{url}/{number}"
        body = {
            "id": "x",
            "external_id": text[:5_000],
            "description": text[:5_000],
            "metadata": {text[:99]: [text[:99]]},
        }
        drafts = [
            {"body": body, "url": f"{place}?{text[:1_000]}"},
            {"body": body, "url": place},
            {"url": place},
        ]
        answers = (
            box.ask("POST", "/sandbox/events/invoice.paid", {"wait": True} | draft) for draft in drafts
        )
        sent.append(next(body["id"] for status, body in answers if status == 200))
    return sent


@pytest.mark.parametrize(("path", "of"), [("/web/{}", "invoices"), ("/dashboard/webhooks/{}", "webhooks")])
def test_pages_of_the_sandbox(box, visit, path, of):
    """To a payer, and to whoever looks what was sent and answered."""
    visitor = visit(box.url, screen=PHONE)
    assert [fault for place in getattr(box, of) for fault in look(visitor, path.format(place))] == []


def test_lists_of_the_sandbox(box, visit):
    """On the sandbox's lists, and in their addresses."""
    visitor = visit(box.url, screen=PHONE)
    visitor.expect_fault("status of 4")
    faults = look(visitor, "/dashboard")
    for path in ("/dashboard/invoices", "/dashboard/webhooks"):
        faults += look_through(visitor, path)
    for told in TOLD:
        faults += look(visitor, f"/dashboard/webhooks?text={told}&product={told}&event={told}&since={told}")
    assert faults == []
