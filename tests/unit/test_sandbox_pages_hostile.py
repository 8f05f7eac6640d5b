"""Whatever text comes from outside, the pages show it as text: nothing runs, nothing breaks, nobody is sent astray."""

import json
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from receivers import answering
from sandbox_receivers import received, tell
from sandboxes import playing

from browser import SITE, Browser, Page
from ringback.sandbox.xendit.notices import Notice

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)><a href='javascript:alert(1)'>",
    "' onfocus='alert(1)' autofocus x='",
    "</title></textarea></pre><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}${7*7}",
    "javascript:alert(1)//",
    "&lt;b&gt;&amp;amp;",
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH JOINER}\N{PILE OF POO}",
    "%0d%0aset-cookie: a=b",
    "\r\nset-cookie: a=b",
    "x" * 255,
]
DASHBOARD = (
    "/dashboard",
    "/dashboard/invoices",
    "/dashboard/webhooks",
    "/dashboard/webhooks/resend",
    "/dashboard/settings",
)
# The forms, and the fields that each has.
FORMS = {
    "/dashboard/invoices": (
        "external_id",
        "amount",
        "currency",
        "minutes",
        "description",
        "payer_email",
        "success_redirect_url",
        "failure_redirect_url",
    ),
    "/dashboard/settings/slots/invoice": ("url", "action", "also_expired", "delay", "seconds", "drop"),
    "/dashboard/settings/all": ("url",),
    "/dashboard/settings/options": ("automatic_retry", "strict_urls", "requires_test"),
    "/dashboard/settings/token": ("overlap", "action"),
    "/web/{invoice}/choose": ("way",),
    "/web/{invoice}/pay": ("way", "outcome"),
    "/web/{charge}/approve": ("channel",),
    "/web/{charge}/decline": (),
}
QUERIES = (
    "status",
    "product",
    "event",
    "since",
    "until",
    "text",
    "after",
    "mode",
    "page",
    "made",
    "done",
    "slot",
    "tested",
    "resent",
    "refused",
    "way",
    "outcome",
)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("sandbox")) as play:
        yield play


@pytest.fixture(scope="module")
def places(play):
    return {"invoice": invoice(play, "order-1")["id"], "charge": charge(play, "order-2")["id"]}


def invoice(play, text):
    draft = {
        "external_id": text,
        "amount": 75_000,
        "description": text,
        "payer_email": "a@b.example",
        "items": [{"name": text, "price": 75_000, "quantity": 1, "category": text}],
        "fees": [{"type": text, "value": 5}],
        "success_redirect_url": f"https://shop.example/{quote(text)}?\"'<b>",
        "failure_redirect_url": f"https://shop.example/{quote(text)}?;url=x",
        "metadata": {text[:40]: text},
    }
    return play.ok("POST", "/v2/invoices", draft)


def charge(play, text):
    draft = {
        "reference_id": text,
        "currency": "IDR",
        "amount": 45_000,
        "checkout_method": "ONE_TIME_PAYMENT",
        "channel_code": "ID_DANA",
        "channel_properties": {"success_redirect_url": "https://shop.example/?\"'<b>"},
        "metadata": {text[:40]: text},
    }
    return play.ok("POST", "/ewallets/charges", draft)


def harmless(page):
    """Check that a page runs and loads nothing but its own, and leads nowhere but to pages."""
    headers = page.headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    for tag, attrs in page.elements:
        assert tag not in {"iframe", "object", "embed", "base", "style", "textarea"}, tag
        assert not [name for name in attrs if name.startswith("on") or name in {"style", "autofocus"}], attrs
        if tag in {"script", "img"}:
            assert attrs["src"].startswith("/assets/")
        for name in {"href", "src", "action", "formaction"} & set(attrs):
            assert attrs[name].startswith(("/", "#")) or urlsplit(attrs[name]).scheme in {"http", "https"}
            assert not attrs[name].startswith("//")
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert len(scripts) == 1
    if page.refresh is not None:
        assert page.refresh.startswith("0;url=https://shop.example/")
    return page


def written(text):
    """Return a text as it reads on a page: with single spaces."""
    return " ".join(text.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_invoices(play, browser, text):
    """In every field of an invoice, on every page that shows it, in every state it can be in."""
    made = invoice(play, text)
    path = f"/web/{made['id']}"
    page = harmless(browser.open(path))
    assert page.text.count(written(text)) >= 4
    assert harmless(browser.open(f"/dashboard/invoices?made={made['id']}&text={quote(text)}")).rows[1:]
    failed = browser.press(browser.press(page, "DANA"), "Simulate a failed payment")
    assert harmless(failed).refresh == f"0;url={made['failure_redirect_url']}"
    paid = harmless(browser.press(browser.press(page, "BCA"), "Simulate payment"))
    assert paid.refresh == f"0;url={made['success_redirect_url']}"
    webhooks = harmless(browser.open(f"/dashboard/webhooks?text={made['id']}"))
    # Whether it has a URL depends on what other tests have set.
    detail = harmless(browser.open(webhooks.link(webhooks.rows[1][0])))
    assert json.dumps(text, ensure_ascii=False) in detail.text or written(text) != text


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_charges(play, browser, text):
    """In a charge, before and after its payer has answered."""
    path = f"/web/{charge(play, text)['id']}"
    page = harmless(browser.open(path))
    assert written(text) in page.text
    harmless(browser.press(page, "Approve"))


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_webhooks(play, browser, text):
    """In the names that a log is made of, and in the body that is sent."""
    notice = Notice(
        event="invoice.paid", product=text, product_id=text, body={text: [text, {text: None}], "id": 1}
    )
    place = tell(play, notice)
    for path in ("/dashboard", "/dashboard/webhooks", f"/dashboard/webhooks/{place}"):
        harmless(browser.open(path))
    narrowed = browser.open(f"/dashboard/webhooks/resend?text={quote(text)}")
    done = (
        harmless(browser.press(narrowed, "Resend 1 webhook")) if "1 webhook fits" in narrowed.text else None
    )
    assert done is None or "queued to be sent again" in done.text


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_in_addresses_and_forms(play, browser, text):
    """In the query of every page, in an id, and typed into every form."""
    told = quote(text)
    for path in DASHBOARD:
        answer = play.call("GET", path, query=dict.fromkeys(QUERIES, text), key=None)
        harmless(Page(path, answer))
        assert answer.status in {200, 400, 404}
    for path in (f"/web/{told}", f"/dashboard/webhooks/{told}", f"/dashboard/{told}"):
        if quote(text, safe="") == told:
            harmless(browser.open(path, expect=404))
    page = browser.press(
        browser.open("/dashboard/invoices"), "Create invoice", expect=400, description=text, amount=text
    )
    assert dict(harmless(page).forms[-1].fields)["description"] == text.strip()
    settings_page = browser.open("/dashboard/settings")
    refused = browser.press(settings_page, "Set all", expect=400, url=text)
    assert ("url", text.strip()) in [pair for form in harmless(refused).forms for pair in form.fields]


def test_answers_of_receivers(tmp_path):
    """The body of an answer is text, too, whatever bytes it has."""
    body = b"\xff\xfe\x00<script>alert(1)</script></pre></details>" * 4
    answer = b"HTTP/1.1 500 <b>\r\nX-A: <script>\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with playing(tmp_path, worker=True) as play, received(play, answering(answer)) as receiver:
        play.ok(
            "PUT", "/sandbox/webhooks/slots/invoice", {"url": f"{receiver.url}?<script>alert(1)</script>"}
        )
        play.advance(1)
        place = tell(play, Notice(event="invoice.paid", product="Invoice", product_id="a", body={}))
        play.deliver()
        page = harmless(Browser(play).open(f"/dashboard/webhooks/{place}"))
        assert "<script>alert(1)</script></pre></details>" in page.text
        harmless(Browser(play).open("/dashboard/settings"))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/web/x",
        "https:evil",
        "http://",
        "file:///x",
    ],
)
def test_redirects_lead_to_web_pages_only(play, url):
    """The API takes no redirect URL that is none of http and https with a host."""
    for body in ({"success_redirect_url": url}, {"failure_redirect_url": url}):
        refused = play.refused("POST", "/v2/invoices", {"external_id": "a", "amount": 10_000} | body)
        assert refused == (400, "API_VALIDATION_ERROR")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "host": "127.0.0.1:8700"},
        {"origin": "null", "host": "127.0.0.1:8700"},
    ],
)
def test_forms_of_other_sites(play, places, headers):
    """Another site's page can press no button here."""
    before = play.ok("GET", "/sandbox/webhooks/slots")
    for path in FORMS:
        refused = play.refused(
            "POST",
            path.format(**places),
            form={"url": SITE, "way": "EWALLET/DANA"},
            headers=headers,
            key=None,
        )
        assert refused == (403, "REQUEST_FORBIDDEN_ERROR")
    assert play.ok("GET", f"/v2/invoices/{places['invoice']}")["status"] == "PENDING"
    assert play.ok("GET", "/sandbox/webhooks/slots") == before


TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [*HOSTILE, "", "1", "-1", "1e308", "nan", "9" * 400, "IDR", "test", "switch", "a" * 20_001]
    ),
)


@pytest.mark.parametrize("path", FORMS)
@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_form_surprises_it(play, places, path, data):
    """Rubbish in any field of a form is a page that takes or refuses it: never a 500."""
    fields = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(FORMS[path], TEXTS)))
    fields = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    if fields.get("action") == "test":
        fields["action"] = "save"  # a test is waited for, and here nothing delivers
    answer = play.call("POST", path.format(**places), form=fields, key=None)
    assert answer.status < 500, answer
    if answer.status == 303:
        assert dict(answer.headers)["location"].startswith(("/web/", "/dashboard"))
    else:
        harmless(Page(path, answer))


@pytest.mark.parametrize("path", [*DASHBOARD, "/web/{invoice}", "/web/{charge}"])
@given(query=st.dictionaries(st.sampled_from(QUERIES), TEXTS))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_address_surprises_it(play, places, path, query):
    """Nor does any query."""
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    answer = play.call("GET", path.format(**places), query=query, key=None)
    assert answer.status < 500, answer
    harmless(Page(path, answer))
