"""The page of an endpoint's credentials: written and removed by its forms, told for the log, and never shown."""

import pytest
from test_api_endpoint_option import IDENTITY, KEY, certificate, key_pem
from visitors import enter, source, visiting

from ringback.credentials import AuthMethod, Basic, Bearer, OAuth
from ringback.observe import Audited, Deed

MOST = 60_000
SECRET = "s3cret-of-a-customer"
HOSTILE = "<script>alert('it')</script>"
TOKEN_URL = "https://auth.example.com/token"
CLIENT = {"tokenUrl": TOKEN_URL, "clientId": "acme", "clientSecret": SECRET}
CHANGED, REMOVED = Deed.CREDENTIALS_CHANGED, Deed.CREDENTIALS_REMOVED
AUTHORITY = certificate(KEY)


class Endpoint:
    """An application's endpoint, with what is told for the log of its credentials."""

    def __init__(self, api, **fields):
        self.api, self.app, self.told = api, api.application()["id"], []
        self.id = api.endpoint(self.app, **fields)["id"]
        self.page = f"/applications/{self.app}/endpoints/{self.id}"
        self.path = f"{self.page}/credentials"
        api.observer.subscribe(Audited, self._tell)

    def _tell(self, event):
        if event.endpoint_id == self.id:
            self.told.append((event.deed, event.who))

    @property
    def kept(self):
        """What its requests show, as the store has it: an authorization and a certificate."""
        held = self.api.store.endpoint(self.app, self.id).credentials
        return (None, None) if held is None else (held.authorization, held.certificate)

    def put(self, path, body):
        """Set something over the API, and forget that it was told."""
        assert self.api.put(f"/app/{self.app}/endpoint/{self.id}/{path}", body).status_code == 204
        self.told.clear()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One server for all: each test has an endpoint of its own."""
    with visiting(tmp_path_factory.mktemp("credentials")) as place:
        yield place


@pytest.fixture(scope="module")
def api(place):
    return place[0]


@pytest.fixture(scope="module")
def operator(place):
    guest = place[1]()
    guest.login()
    return guest


@pytest.fixture
def endpoint(api):
    return Endpoint(api)


def fields(page, button):
    """Return what stands in the form of a button."""
    return dict(page.button(button)[0].fields)


def wrong(page):
    """Return which fields have a fault."""
    return {attrs["name"] for _, attrs in page.elements if "aria-invalid" in attrs}


WRITTEN = {
    "basic": (
        "Save the password",
        {"username": "acme", "password": SECRET},
        Basic(username="acme", password=SECRET),
        "a name and a password (Basic) Name acme",
    ),
    "basic, of a name alone": (
        "Save the password",
        {"username": "key-of-acme"},
        Basic(username="key-of-acme", password=""),
        "a name and a password (Basic) Name key-of-acme",
    ),
    "bearer": ("Save the token", {"token": SECRET}, Bearer(token=SECRET), "a token (Bearer)"),
    "oauth2": (
        "Save the client",
        CLIENT | {"authMethod": "clientSecretPost", "scopes": "a  b a", "extraParams": "audience: shop"},
        OAuth(
            token_url=TOKEN_URL,
            client_id="acme",
            client_secret=SECRET,
            auth_method=AuthMethod.CLIENT_SECRET_POST,
            scopes=("a", "b"),
            extra_params={"audience": "shop"},
        ),
        f"tokens of an OAuth2 server Token URL {TOKEN_URL} Client acme",
    ),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_an_authorization_is_written_and_never_shown(operator, endpoint, written):
    """The page says what there is without its secret; who wrote it is told for the log."""
    button, typed, kept, told = written
    page = operator.follow(operator.follow(operator.open(endpoint.page), "Settings"), "Credentials")
    assert "the requests carry no header Authorization" in page.text
    page = operator.press(page, button, **typed)
    assert endpoint.kept == (kept, None)
    assert told in page.text
    assert endpoint.told == [(CHANGED, "admin")]
    for shown in (page, operator.open(endpoint.page)):
        assert SECRET not in shown.source
    assert "an authorization, shown with every request" in operator.open(endpoint.page).text


def test_a_secret_that_is_left_empty_stays(operator, endpoint):
    """What is not secret can be changed by whoever does not know the secret any more; another kind takes its place."""
    endpoint.put("auth", {"kind": "basic", "username": "acme", "password": SECRET})
    page = operator.press(operator.open(endpoint.path), "Save the password", username="other")
    assert endpoint.kept[0] == Basic(username="other", password=SECRET)
    page = operator.press(page, "Save the client", **CLIENT)
    page = operator.press(page, "Save the client", clientId="other", scopes="a")
    assert endpoint.kept[0] == OAuth(
        token_url=TOKEN_URL, client_id="other", client_secret=SECRET, scopes=("a",)
    )
    operator.press(page, "Save the token", token="t0ken")
    assert endpoint.kept[0] == Bearer(token="t0ken")


FAULTS = [
    ("Save the password", {"username": "a:b", "password": SECRET}, "username", "has no colon"),
    ("Save the password", {"password": SECRET}, "username", "is needed for the kind basic"),
    ("Save the token", {}, "token", "is needed for the kind bearer"),
    ("Save the token", {"token": f"{SECRET} {SECRET}"}, "token", "characters of ASCII without spaces"),
    ("Save the client", CLIENT | {"tokenUrl": "nowhere"}, "tokenUrl", "must start with http"),
    ("Save the client", CLIENT | {"clientSecret": ""}, "clientSecret", "has 1 to 1,024 characters"),
    ("Save the client", CLIENT | {"scopes": 'a "b"'}, "scopes", "is one word of ASCII"),
    (
        "Save the client",
        CLIENT | {"extraParams": "scope: x"},
        "extraParams",
        "which no other field stands for",
    ),
    ("Save the client", CLIENT | {"extraParams": "no colon"}, "extraParams", "write NAME: VALUE"),
    ("Save the certificate", {}, "identity", "is needed"),
    ("Save the certificate", {"identity": f"{SECRET} is no PEM"}, "identity", "private key"),
    ("Save the certificate", {"identity": IDENTITY, "serverCaCert": "none"}, "serverCaCert", "certificate"),
]


def test_what_is_wrong_stands_at_its_field(operator, endpoint):
    """In the API's words; what is not secret need not be typed again, and nothing is changed or told."""
    endpoint.put("auth", {"kind": "bearer", "token": "t0ken"})
    form = operator.open(endpoint.path)
    for button, typed, field, told in FAULTS:
        page = operator.press(form, button, expect=400, **typed)
        assert told in page.text, (button, typed)
        assert wrong(page) == {field}
        assert SECRET not in page.source
        assert "PRIVATE KEY-" not in page.source
        public = {name: text for name, text in typed.items() if SECRET not in text and name != "identity"}
        assert {name: fields(page, button)[name] for name in public} == public
    assert endpoint.kept == (Bearer(token="t0ken"), None)
    assert endpoint.told == []


def test_a_certificate_is_written_and_its_key_never_shown(operator, endpoint):
    """Whom it names and when it ends is shown; whom to trust is changed without it, and back again."""
    page = operator.press(
        operator.open(endpoint.path), "Save the certificate", identity=IDENTITY, serverCaCert=AUTHORITY
    )
    assert "CN=acme" in page.text
    assert "authorities of its own alone" in page.text
    identity = endpoint.kept[1].identity
    assert AUTHORITY.split()[2] not in page.source
    page = operator.press(page, "Save the certificate", usual="yes")
    assert "the usual authorities" in page.text
    assert (endpoint.kept[1].identity, endpoint.kept[1].server_ca) == (identity, None)
    assert "PRIVATE KEY-" not in page.source
    operator.press(page, "Save the token", token="t0ken")
    assert "an authorization and a client certificate" in operator.open(endpoint.page).text
    assert endpoint.told == [(CHANGED, "admin")] * 3


def test_a_certificate_needs_tls(api, operator):
    """At an address without TLS nobody would see it: the form says so."""
    plain = Endpoint(api, url="http://example.com/hook")
    page = operator.press(operator.open(plain.path), "Save the certificate", identity=IDENTITY, expect=400)
    assert "is shown in TLS alone" in page.text
    assert wrong(page) == {"identity"}
    assert plain.kept == (None, None)


def test_what_there_is_is_removed_when_that_is_confirmed(operator, endpoint):
    """The one of the two that is asked about goes, the other stays; each is told for the log."""
    endpoint.put("auth", {"kind": "bearer", "token": "t0ken"})
    endpoint.put("mtls", {"identity": IDENTITY})
    asked = operator.press(operator.open(endpoint.path), "Remove the authorization")
    assert "refuses what is sent from then on" in asked.text
    assert endpoint.kept[0] == Bearer(token="t0ken")
    page = operator.press(asked, "Remove it")
    assert endpoint.kept[0] is None
    assert endpoint.kept[1] is not None
    assert "Remove the authorization" not in page.text
    operator.press(operator.press(page, "Remove the certificate"), "Remove it")
    assert endpoint.kept == (None, None)
    assert endpoint.told == [(REMOVED, "admin")] * 2


def test_what_no_form_can_hold_stays_as_it_is(operator, endpoint):
    """The page stays light, says so, and the rest can be changed all the same."""
    much = {"scopes": ["&" * 254 + str(number) for number in range(50)]}
    much["extraParams"] = {f"name-{number}": "'" * 1_000 for number in range(20)}
    endpoint.put("oauth", CLIENT | much)
    page = operator.open(endpoint.path)
    assert len(page.source) < MOST
    assert "scopes are too many to be changed here" in page.text
    page = operator.press(page, "Save the client", tokenUrl="nowhere", expect=400)
    assert len(page.source) < MOST
    operator.press(page, "Save the client", tokenUrl=TOKEN_URL, clientId="other")
    kept = endpoint.kept[0]
    assert (kept.client_id, kept.client_secret) == ("other", SECRET)
    assert (list(kept.scopes), kept.extra_params) == (much["scopes"], much["extraParams"])


def test_what_is_shown_is_text(operator, endpoint):
    """Names that somebody gave are no part of the page's own text, whether they are kept or refused."""
    client = CLIENT | {"clientId": HOSTILE, "extraParams": f"audience: {HOSTILE}"}
    page = operator.press(operator.open(endpoint.path), "Save the client", **client)
    assert HOSTILE in page.text
    again = operator.press(page, "Save the client", tokenUrl=HOSTILE, expect=400)
    named = operator.press(page, "Save the password", username=HOSTILE, password=HOSTILE)
    for one in (page, again, named):
        assert "<script>alert" not in one.source


def test_it_is_there_for_whom_it_is_for(place, api, endpoint):
    """Who may only look sees no form, and what is sent all the same is refused; a customer writes their own."""
    reader = place[1]()
    reader.login(api.key("read"))
    reader.open(endpoint.path, expect=403)
    csrf = reader.open(endpoint.page).csrf
    sent = {"csrf": csrf, "kind": "bearer", "token": SECRET}
    assert reader.send("POST", endpoint.path, sent).status_code == 403
    gone = {"csrf": csrf, "what": "authorization", "sure": "yes"}
    assert reader.send("POST", f"{endpoint.path}/remove", gone).status_code == 403
    path = f"/portal/endpoints/{endpoint.id}/credentials"
    onlooker, _ = enter(place, endpoint.app, capabilities=["ViewBase", "ManageTransformations"])
    onlooker.open(path, expect=403)
    assert endpoint.kept == (None, None)
    assert endpoint.told == []
    customer, _ = enter(place, endpoint.app, sessionId="shift-1")
    customer.press(customer.open(path), "Save the token", token=SECRET)
    assert endpoint.kept[0] == Bearer(token=SECRET)
    assert endpoint.told == [(CHANGED, "portal:shift-1")]


def test_what_is_none_of_these_is_not_there(api, operator, endpoint):
    """A handler is sent no requests; and there are no other kinds."""
    kept = source(api, "fulfil")
    operator.open(f"/applications/{kept.id}/endpoints/fulfil/credentials", expect=404)
    csrf = operator.open(endpoint.path).csrf
    for tail, form in (("", {"kind": "other"}), ("/remove", {"what": "other", "sure": "yes"})):
        sent = operator.send("POST", f"{endpoint.path}{tail}", {"csrf": csrf, **form})
        assert sent.status_code == 404


def test_programs_are_told_of_alike(api, endpoint):
    """Each change over the API is told for the log as well; what is refused did not happen."""
    path = f"/app/{endpoint.app}/endpoint/{endpoint.id}"
    client = {"tokenUrl": TOKEN_URL, "clientId": "acme", "clientSecret": SECRET}
    for method, tail, body, deed in (
        (api.put, "auth", {"kind": "bearer", "token": "t"}, CHANGED),
        (api.patch, "auth", {"token": "u"}, CHANGED),
        (api.put, "oauth", client, CHANGED),
        (api.patch, "oauth", {"clientId": "other"}, CHANGED),
        (api.put, "mtls", {"identity": key_pem(KEY) + AUTHORITY}, CHANGED),
        (api.patch, "mtls", {"serverCaCert": None}, CHANGED),
    ):
        assert method(f"{path}/{tail}", body).status_code == 204
        assert endpoint.told.pop() == (deed, "admin")
    for tail in ("mtls", "oauth", "auth"):
        assert api.delete(f"{path}/{tail}").status_code == 204
        assert endpoint.told.pop() == (REMOVED, "admin")
    assert api.put(f"{path}/auth", {"kind": "bearer"}).status_code == 422
    assert endpoint.told == []
