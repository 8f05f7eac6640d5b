"""Pages about applications and their endpoints: what they show, what their forms do, and to whom."""

from urllib.parse import urljoin

import pytest

from ringback.observe import Audited
from ringback.server.pages import endpoints, slices

HOSTILE = "<script>alert(1)</script>"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def reader(place):
    """Somebody who may only look."""
    guest = place[1]()
    guest.login(place[0].key("read"))
    return guest


def listed(page):
    """Return the rows of a page's only table, without that of the keys."""
    end = next((index for index, row in enumerate(page.rows) if row[0] == "Key"), len(page.rows))
    return page.rows[1:end]


def made(api, **fields):
    """Make an application and an endpoint; return the address of the endpoint's page."""
    app = api.application()["id"]
    return f"/applications/{app}/endpoints/{api.endpoint(app, **fields)['id']}"


def test_an_empty_list_says_what_comes_next(operator):
    """Where there is no application yet, the page says what one is and leads to the form."""
    page = operator.open("/applications")
    assert "No applications yet" in page.headings
    form = operator.follow(page, "Make the first one")
    there = operator.press(form, "Make the application", name="Acme", uid="acme", metadata="plan: gold")
    assert "Acme" in there.headings
    assert "gold" in there.text
    assert listed(operator.open("/applications"))[0][:2] == ["Acme", "acme"]


def test_an_application_is_found_by_its_uid_or_said_not_to_be_there(api, operator):
    """What is looked for is opened at once; where it is not, the list says so and can be used."""
    api.application(name="Acme", uid="acme")
    assert "Acme" in operator.open("/applications?find=acme").headings
    missed = operator.open(f"/applications?find={HOSTILE}")
    assert "There is no application with the id or uid" in missed.text
    assert HOSTILE not in missed.source


def test_what_is_wrong_with_a_form_stands_at_its_field(api, operator):
    """Nothing that was typed is lost, and nothing is made."""
    form = operator.open("/applications/new")
    again = operator.press(
        form, "Make the application", name="", uid="a b", throttleRate="many", metadata="x", expect=400
    )
    assert "write NAME: VALUE on each line" in again.text
    again = operator.press(
        again, "Make the application", metadata="", name="", uid="a b", throttleRate="many", expect=400
    )
    assert "messages per second" in again.text
    assert dict(again.button("Make the application")[0].fields)["uid"] == "a b"
    assert api.get("/app").json["data"] == []


def test_settings_of_an_application_are_changed(api, operator):
    """What a form does not touch stays; a uid that is taken is a conflict, said so."""
    api.application(name="Other", uid="taken")
    app = api.application(name="Acme", uid="acme", rateLimit=5)["id"]
    form = operator.open(f"/applications/{app}/edit")
    again = operator.press(form, "Save", uid="taken", expect=409)
    assert "taken" in again.text
    operator.press(again, "Save", uid="acme-2")
    assert (api.get(f"/app/{app}").json["uid"], api.get(f"/app/{app}").json["throttleRate"]) == ("acme-2", 5)


def test_an_application_is_deleted_only_when_that_is_confirmed(api, operator):
    """The first press asks and says what it means; the second does it."""
    app = api.application(name="Acme")["id"]
    asked = operator.press(operator.open(f"/applications/{app}"), "Delete the application")
    assert "what waits is cancelled" in asked.text
    assert api.get(f"/app/{app}").status_code == 200
    operator.press(asked, "Delete the application")
    assert api.get(f"/app/{app}").status_code == 404


def test_an_endpoint_is_made_and_its_settings_are_changed(api, operator):
    """Filters, headers, rate and schedule go to and fro as they were typed; secret headers are kept behind dots."""
    app = api.application()["id"]
    form = operator.open(f"/applications/{app}/endpoints/new")
    wrong = operator.press(form, "Add the endpoint", url="ftp://x", retrySchedule="soon", expect=400)
    assert "is not a duration" in wrong.text
    typed = {"url": "https://acme.example/hooks", "eventTypes": "invoice.paid, invoice.expired"}
    more = {
        "headers": "Authorization: Bearer x\nX-Tenant: acme",
        "retrySchedule": "5s, 2m",
        "throttleRate": "7",
    }
    for name in ("invoice.paid", "invoice.expired"):
        api.event_type(name)
    page = operator.follow(operator.press(form, "Add the endpoint", **typed, **more), "To the endpoint")
    endpoint = api.get(f"/app/{app}/endpoint").json["data"][0]
    assert endpoint["filterTypes"] == ["invoice.paid", "invoice.expired"]
    assert (endpoint["throttleRate"], endpoint["retrySchedule"]) == (7, [5, 120])
    assert "after 5 seconds, 2 minutes" in page.text
    form = operator.follow(page, "Settings")
    assert "Bearer x" not in form.source
    operator.press(form, "Save", description="The order service", ordered=True)
    stored = api.committer.read(lambda store: store.endpoint(app, endpoint["id"])).result()
    assert stored.headers == {"Authorization": "Bearer x", "X-Tenant": "acme"}
    assert (stored.description, stored.throttle_rate, stored.ordered) == ("The order service", 7, True)
    assert stored.event_types == ("invoice.expired", "invoice.paid")


def test_saving_settings_loses_nothing(api, operator):
    """What the form shows and nobody touches stays as it is: no retries, and metadata in any shape."""
    metadata = {"a: b": "c", "lines": "one\ntwo: three", " ": ""}
    app = api.application(metadata=metadata)["id"]
    told = {"retrySchedule": [], "metadata": metadata, "description": "For\npeople"}
    endpoint = api.endpoint(app, **told)["id"]
    operator.press(operator.open(f"/applications/{app}/edit"), "Save", name="Renamed")
    form = operator.open(f"/applications/{app}/endpoints/{endpoint}/edit")
    operator.press(form, "Save", throttleRate="7")
    assert api.get(f"/app/{app}").json["metadata"] == metadata
    stored = api.get(f"/app/{app}/endpoint/{endpoint}").json
    assert {name: stored[name] for name in told} == told
    assert stored["throttleRate"] == 7


def test_an_endpoint_page_tells_what_changed_and_how_it_fails(api, operator):
    """After a success and failures: both sides of the change, the failures grouped, a summary to pass on."""
    address = made(api, url=f"https://acme.example/{'x' * 120}?q=<b>")
    app = address.split("/")[2]
    for number, status in enumerate((200, 503, 503, 500)):
        api.message(app)
        api.attempt(status, later=100 * number)
    page = operator.open(address)
    assert "The last success" in page.text
    rows = {row[0]: row for row in page.rows}
    assert rows["Refused by the receiver: 503"][1] == "2"
    assert rows["The first failure after it"][2] == "Refused by the receiver: 503"
    assert "25 %" in page.text
    assert r"| Refused by the receiver: 503 | 2 |" in page.text
    assert "<b>" not in page.source


def test_an_endpoint_that_has_failed_for_long_tells_what_changed_all_the_same(api, operator, monkeypatch):
    """However many attempts failed since, the last success is named, and compared with the failure after it."""
    monkeypatch.setattr(endpoints, "LATEST", 3)
    address = made(api)
    app = address.split("/")[2]
    for number, status in enumerate((503, 200, 418, 503, 503, 503, 503)):
        api.message(app)
        api.attempt(status, f"answer {number}".encode(), later=100 * number)
    page = operator.open(address)
    rows = {row[0]: row for row in page.rows}
    assert rows["The first failure after it"][2] == "Refused by the receiver: 418"
    assert rows["The last success"][2].endswith("200")
    assert "Of its latest 3 attempts; there may be earlier ones." in page.text
    assert "It worked, and fails now." in operator.open(f"{address}/start").text
    page = operator.follow(page, "Compare the two")
    assert {("-gone", "answer 1"), ("+new", "answer 2")} <= {tuple(row) for row in page.rows}
    files = [
        operator.send("GET", urljoin(page.url, href)).content for _, href in page.links if "answer" in href
    ]
    assert files == [b"answer 1", b"answer 2"]
    assert operator.follow(page, "compare what these say").headings[0] == "Two messages"


@pytest.mark.parametrize(
    ("tail", "empty"),
    [
        ("attempts?went=well", "No attempt is like that so far"),
        ("messages?type=first.one", "No message is like that so far"),
        ("messages?standing=succeeded", "No message is like that so far"),
    ],
)
def test_a_look_goes_only_so_far_and_leads_on(api, operator, monkeypatch, tail, empty):
    """What few are like is looked for among the latest; from there one goes further back, and back again."""
    for module in (endpoints, slices):
        monkeypatch.setattr(module, "LOOK", 2)
    address = made(api)
    app = address.split("/")[2]
    for number, status in enumerate((200, 503, 503, 503, 503)):
        api.message(app, eventType="first.one" if status == 200 else "invoice.paid")
        api.attempt(status, later=100 * number)
    page = operator.open(f"{address}/{tail}")
    assert empty in page.headings
    assert "Looked through 2 for these." in page.text
    page = operator.follow(operator.follow(page, "Look further back"), "Look further back")
    assert len(page.rows) == 2
    assert "Looked through" not in page.text
    assert empty in operator.follow(page, "Newer").headings


def test_an_endpoint_that_never_worked_says_that_none_is_on_record(api, operator, monkeypatch):
    """Where nothing ever succeeded, nothing changed either."""
    monkeypatch.setattr(endpoints, "LATEST", 1)
    address = made(api)
    for _ in range(3):
        api.message(address.split("/")[2])
        api.attempt(503)
    page = operator.open(address)
    assert "none on record" in page.text
    assert "What changed" not in page.headings


def test_an_endpoint_that_got_nothing_says_how_to_try_it(api, operator):
    """An empty page is no dead end: the example that it offers is sent, and is on record."""
    address = made(api)
    page = operator.open(address)
    assert "Nothing has been sent to it yet" in page.text
    after = operator.press(page, "Send it")
    assert "is queued" in after.text
    app, endpoint = address.split("/")[2::2]
    assert [one["eventType"] for one in api.get(f"/app/{app}/msg").json["data"]] == ["svix.ping"]
    api.attempt(204)
    page = operator.open(address)
    assert ["Delivered", "204"] in [row[2:4] for row in listed(page)]
    assert endpoint in page.text


def test_an_endpoint_is_paused_resumed_disabled_and_enabled(api, operator):
    """Each step says what it means, and only the one that loses something asks first."""
    address = made(api)
    app, endpoint = address.split("/")[2::2]

    def state():
        return api.committer.read(lambda store: store.endpoint(app, endpoint)).result().state

    paused = operator.press(operator.open(address), "Pause")
    assert (state(), "Nothing is lost" in paused.text) == ("paused", True)
    operator.press(paused, "Resume")
    asked = operator.press(operator.open(address), "Disable")
    assert (state(), "pause it instead" in asked.text) == ("enabled", True)
    disabled = operator.press(asked, "Disable the endpoint")
    assert (state(), "Disabled." in disabled.text) == ("disabled", True)
    operator.press(disabled, "Enable")
    assert state() == "enabled"


def test_a_secret_is_shown_on_a_press_only_and_that_is_told(api, operator):
    """The page does not hold it until asked; whoever asked is told to the log; a new one signs with the old."""
    address = made(api, secret=SECRET)
    shown = []
    api.observer.subscribe(Audited, shown.append)
    page = operator.open(f"{address}/secret")
    assert SECRET not in page.source
    assert not shown
    assert SECRET in operator.press(page, "Show it").text
    assert shown[0].endpoint_id == address.rsplit("/", 1)[1]
    wrong = operator.press(page, "Make a new secret", key="whsec_short", expect=400)
    assert "whsec_" in wrong.text
    rotated = operator.press(page, "Make a new secret", grace="3600")
    assert "Still signing along" in rotated.text
    assert SECRET not in operator.press(rotated, "Show it").source


def test_lists_of_an_endpoint_are_filtered_and_say_when_nothing_fits(api, operator):
    """Its attempts and messages, by how they went; a filter that hides everything can be cleared."""
    address = made(api)
    app = address.split("/")[2]
    for status in (200, 500):
        api.message(app)
        api.attempt(status)
    assert sorted(row[3] for row in listed(operator.open(f"{address}/attempts"))) == ["200", "500"]
    assert [row[3] for row in listed(operator.open(f"{address}/attempts?went=well"))] == ["200"]
    assert [row[3] for row in listed(operator.open(f"{address}/attempts?class=500"))] == ["500"]
    assert "No attempt is like that" in operator.open(f"{address}/attempts?class=300").headings
    assert sorted(row[3] for row in listed(operator.open(f"{address}/messages"))) == [
        "Delivered",
        "Under way",
    ]
    assert [row[3] for row in listed(operator.open(f"{address}/messages?standing=succeeded"))] == [
        "Delivered"
    ]
    none = operator.open(f"{address}/messages?type=no.such&standing=failed")
    assert "No message is like that" in none.headings
    assert len(listed(operator.follow(none, "Clear the filter"))) == 2


def test_an_endpoint_is_deleted_only_when_that_is_confirmed(api, operator):
    """The first press asks."""
    address = made(api)
    asked = operator.press(operator.open(address), "Delete the endpoint")
    operator.press(asked, "Delete the endpoint")
    assert operator.open(address, expect=404).status == 404


def test_who_may_only_look_sees_no_form_and_changes_nothing(api, operator, reader):
    """A session for reading gets the pages without their forms; a form sent all the same is refused."""
    address = made(api)
    app = address.split("/")[2]
    for path in (
        "/applications",
        f"/applications/{app}",
        address,
        f"{address}/attempts",
        f"{address}/messages",
    ):
        page = reader.open(path)
        posting = [form.action for form in page.forms if form.method == "POST"]
        assert all(action.endswith(("look", "logout")) for action in posting), path
    for path in (f"{address}/edit", f"{address}/secret", "/applications/new"):
        reader.open(path, expect=403)
    token = next(value for name, value in reader.open(address).forms[0].fields if name == "csrf")
    for path, form in ((f"{address}/state", {"step": "pause"}), (f"{address}/delete", {"sure": "yes"})):
        assert reader.send("POST", path, {"csrf": token, **form}).status_code == 403
    assert "Enabled" in operator.open(address).text


def test_names_from_outside_are_text(api, operator):
    """A name, a description and a URL that hold markup are shown as they are written."""
    app = api.application(name=HOSTILE)["id"]
    api.endpoint(app, url="https://a.example/?<script>", description=HOSTILE, metadata={"k": HOSTILE})
    page = operator.open(f"/applications/{app}")
    assert HOSTILE in page.text
    assert HOSTILE not in page.source


def test_browsers_keep_no_secret_that_is_typed(api, operator):
    """Where a secret is typed, the browser offers nothing and remembers nothing, and no spelling is looked up."""
    for path, name in ((f"{made(api)}/secret", "key"), ("/sources/new", "secrets")):
        fields = [attrs for tag, attrs in operator.open(path).elements if tag in {"input", "textarea"}]
        (field,) = [attrs for attrs in fields if attrs.get("name") == name]
        assert (field.get("autocomplete"), field.get("spellcheck")) == ("off", "false"), path
