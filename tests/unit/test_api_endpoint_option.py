"""How endpoints are sent to, over HTTP: kept sealed, never shown, changed field by field, and tried in dry runs."""

import base64
import datetime as dt
import json
import re

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from management import faults, management

from ringback.credentials import AuthMethod, Basic, Bearer, ClientCertificate, OAuth
from ringback.model import Endpoint, Transformation

SECRET = "s3cret-of-a-customer"
BASIC = {"kind": "basic", "username": "acme", "password": SECRET}
BEARER = {"kind": "bearer", "token": SECRET}
OAUTH = {"tokenUrl": "https://auth.example.com/token", "clientId": "acme", "clientSecret": SECRET}
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with management(tmp_path_factory.mktemp("options")) as api:
        yield api


@pytest.fixture
def place(api):
    """Return the address of a new endpoint."""
    app = api.application()["id"]
    return f"/app/{app}/endpoint/{api.endpoint(app)['id']}"


def kept(api, place):
    """Return an endpoint as the store has it."""
    _, _, app, _, endpoint = place.split("/")
    return api.store.endpoint(app, endpoint)


def authorization(api, place):
    credentials = kept(api, place).credentials
    return None if credentials is None else credentials.authorization


def key_pem(key):
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def certificate(key, *, begins=-DAY, ends=DAY, usage=None):
    """Return a certificate of *key* as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(NOW + begins).not_valid_after(NOW + ends)
    if usage is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


KEY = ec.generate_private_key(ec.SECP256R1())
IDENTITY = key_pem(KEY) + certificate(KEY, usage=ExtendedKeyUsageOID.CLIENT_AUTH)


# --- Authorization -----------------------------------------------------------------------------------------


def test_one_authorization_at_a_time(api, place):
    """What is put takes the place of what was there, of whatever kind, and can be taken away again."""
    assert api.get(f"{place}/auth").status_code == 404
    for path, body, shown in (
        ("auth", BASIC, {"kind": "basic", "username": "acme"}),
        ("auth", BEARER, {"kind": "bearer", "username": None}),
        ("oauth", OAUTH, {"kind": "oauth2", "username": None}),
        ("auth", BASIC, {"kind": "basic", "username": "acme"}),
    ):
        assert api.put(f"{place}/{path}", body).status_code == 204
        assert api.get(f"{place}/auth").json == shown
    assert api.get(f"{place}/oauth").status_code == 404
    assert api.delete(f"{place}/oauth").status_code == 204
    assert authorization(api, place) == Basic(username="acme", password=SECRET)
    assert api.delete(f"{place}/auth").status_code == 204
    assert api.get(f"{place}/auth").status_code == 404
    assert kept(api, place).credentials is None


def test_no_secret_is_shown(api, place):
    """Whatever is asked of an endpoint, what is secret about how it is sent to is in no answer."""
    api.put(f"{place}/mtls", {"identity": IDENTITY})
    for path, body in (("auth", BASIC), ("auth", BEARER), ("oauth", OAUTH)):
        api.put(f"{place}/{path}", body)
        for shown in ("", "/auth", "/oauth", "/mtls", "/headers", "/transformation"):
            text = api.get(f"{place}{shown}").text
            assert SECRET not in text
            assert "PRIVATE" not in text


def test_absent_is_not_null(api, place):
    """A PATCH changes what it names; a secret that is not named stays, null takes away what may be absent."""
    api.put(f"{place}/oauth", OAUTH | {"scopes": ["a", "b"], "extraParams": {"audience": "x"}})
    assert api.patch(f"{place}/oauth", {"clientId": "other", "scopes": None}).status_code == 204
    assert authorization(api, place) == OAuth(
        token_url=OAUTH["tokenUrl"], client_id="other", client_secret=SECRET, extra_params={"audience": "x"}
    )
    assert api.patch(f"{place}/oauth", {"authMethod": "clientSecretPost"}).status_code == 204
    assert api.get(f"{place}/oauth").json == {
        "tokenUrl": OAUTH["tokenUrl"],
        "clientId": "other",
        "grantType": "clientCredentials",
        "authMethod": AuthMethod.CLIENT_SECRET_POST,
        "scopes": [],
        "extraParams": {"audience": "x"},
    }
    assert faults(api.patch(f"{place}/oauth", {"clientSecret": None})) == [("body", "clientSecret")]
    assert api.patch(f"{place}/auth", {"username": "x"}).status_code == 404
    api.put(f"{place}/auth", BASIC)
    assert api.patch(f"{place}/auth", {"username": "other"}).status_code == 204
    assert authorization(api, place) == Basic(username="other", password=SECRET)
    assert faults(api.patch(f"{place}/auth", {"password": None})) == [("body", "password")]
    assert api.patch(f"{place}/auth", {"kind": "bearer", "token": "t"}).status_code == 204
    assert authorization(api, place) == Bearer(token="t")
    assert api.patch(f"{place}/oauth", {"clientId": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("auth", BASIC | {"username": "a:b"}, "username"),
        ("auth", BASIC | {"password": "a\nb"}, "password"),
        ("auth", BASIC | {"password": "x" * 1025}, "password"),
        ("auth", BASIC | {"token": "x"}, "token"),
        ("auth", {"kind": "basic", "username": "a"}, "password"),
        ("auth", {"kind": "bearer"}, "token"),
        ("auth", BEARER | {"token": "two words"}, "token"),
        ("auth", BEARER | {"token": "a\r\nx: 1"}, "token"),
        ("auth", BEARER | {"token": ""}, "token"),
        ("auth", {"kind": "digest"}, "kind"),
        ("oauth", OAUTH | {"tokenUrl": "ftp://x"}, "tokenUrl"),
        ("oauth", OAUTH | {"tokenUrl": "https://a:b@x.example/"}, "tokenUrl"),
        ("oauth", OAUTH | {"clientSecret": ""}, "clientSecret"),
        ("oauth", OAUTH | {"clientId": "a\0b"}, "clientId"),
        ("oauth", OAUTH | {"grantType": "refreshToken"}, "grantType"),
        ("oauth", OAUTH | {"authMethod": "clientSecretJwt"}, "authMethod"),
        ("oauth", OAUTH | {"scopes": ["a b"]}, "scopes"),
        ("oauth", OAUTH | {"extraParams": {"scope": "x"}}, "extraParams"),
        ("oauth", OAUTH | {"extraParams": {"a b": "x"}}, "extraParams"),
        ("oauth", OAUTH | {"extraParams": {"a": "x" * 1025}}, "extraParams"),
    ],
)
def test_what_cannot_be_sent_is_refused(api, place, path, body, where):
    """Every rule is told at the field that breaks it, and nothing is kept."""
    found = faults(api.put(f"{place}/{path}", body))
    assert [loc[:2] for loc in found] == [("body", where)]
    assert kept(api, place).credentials is None


# --- Certificates ------------------------------------------------------------------------------------------


def test_a_certificate_is_shown_without_its_key(api, place):
    """Whom it names, its digest and when it ends can be seen; whom the receiver is trusted by is changed alone."""
    authority = trustme.CA().cert_pem.bytes().decode()
    assert api.put(f"{place}/mtls", {"identity": IDENTITY, "serverCaCert": authority}).status_code == 204
    shown = api.get(f"{place}/mtls").json
    assert (shown["subject"], shown["serverCaCert"].split()) == ("CN=acme", authority.split())
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", shown["fingerprint"])
    assert dt.datetime.fromisoformat(shown["notAfter"]) == (NOW + DAY).replace(microsecond=0)
    assert api.patch(f"{place}/mtls", {"serverCaCert": None}).status_code == 204
    held = kept(api, place).credentials.certificate
    assert held == ClientCertificate(identity=held.identity)
    assert held.identity.startswith(key_pem(KEY).strip())
    assert api.delete(f"{place}/mtls").status_code == 204
    assert api.get(f"{place}/mtls").status_code == 404
    assert api.patch(f"{place}/mtls", {"serverCaCert": None}).status_code == 404


def test_the_certificate_that_fits_the_key_comes_first(api, place):
    """Whatever the order of what was given, what is shown in TLS begins with the key's own certificate."""
    authority = trustme.CA()
    leaf = authority.issue_cert("acme.example")
    parts = [authority.cert_pem.bytes(), leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()]
    assert api.put(f"{place}/mtls", {"identity": b"".join(parts).decode()}).status_code == 204
    held = x509.load_pem_x509_certificates(kept(api, place).credentials.certificate.identity.encode())
    assert held == x509.load_pem_x509_certificates(parts[1] + parts[0])


def encrypted():
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    text = KEY.private_bytes(encoding, form, serialization.BestAvailableEncryption(b"x")).decode()
    return text + certificate(KEY)


def small():
    key = rsa.generate_private_key(65537, 1024)
    return key_pem(key) + certificate(key)


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        ("", "0 keys"),
        (key_pem(KEY), "no certificate"),
        (certificate(KEY), "0 keys"),
        (key_pem(KEY) * 2 + certificate(KEY), "2 keys"),
        (key_pem(KEY) + certificate(ec.generate_private_key(ec.SECP256R1())), "none of the certificates"),
        (key_pem(KEY) + certificate(KEY, begins=-2 * DAY, ends=-DAY), "ended at"),
        (key_pem(KEY) + certificate(KEY, begins=DAY, ends=2 * DAY), "begins only"),
        (key_pem(KEY) + certificate(KEY, usage=ExtendedKeyUsageOID.SERVER_AUTH), "clientAuth"),
        (encrypted(), "encrypted"),
        (small(), "2,048 bits"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (key_pem(KEY) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read"),
    ],
)
def test_a_certificate_that_would_not_do(api, place, identity, says):
    """What no receiver would take is refused when it is given, with why."""
    result = api.put(f"{place}/mtls", {"identity": identity})
    assert faults(result) == [("body", "identity")]
    assert says in result.text
    assert kept(api, place).credentials is None


def test_certificates_are_for_tls_alone(api):
    """An endpoint that is reached over plain HTTP cannot have one; and authorities must be certificates."""
    app = api.application()["id"]
    plain = api.endpoint(app, url="http://example.com/")["id"]
    place = f"/app/{app}/endpoint/{plain}"
    assert faults(api.put(f"{place}/mtls", {"identity": IDENTITY})) == [("body", "identity")]
    body = {"identity": IDENTITY, "serverCaCert": "x"}
    assert faults(api.put(f"{place}/mtls", body)) == [("body", "serverCaCert")]


# --- Transformations ---------------------------------------------------------------------------------------


def test_a_transformation_is_set_and_changed(api, place):
    """Code, variables and whether it is used are changed each by itself; nothing is there at first."""
    path = f"{place}/transformation"
    assert api.get(path).json == {"code": None, "enabled": False, "variables": {}, "updatedAt": None}
    assert faults(api.patch(path, {"enabled": True})) == [("body", "enabled")]
    assert api.patch(path, {"code": "payload.a", "enabled": True}).status_code == 204
    assert api.patch(path, {"variables": {"team": "ops"}, "enabled": None}).status_code == 204
    shown = api.get(path).json
    assert (shown["code"], shown["enabled"], shown["variables"]) == ("payload.a", True, {"team": "ops"})
    assert dt.datetime.fromisoformat(shown["updatedAt"]) > NOW
    assert api.patch(path, {"code": None, "variables": None}).status_code == 204
    assert api.get(path).json | {"updatedAt": 0} == {
        "code": None,
        "enabled": False,
        "variables": {},
        "updatedAt": 0,
    }


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"code": "payload."}, "code"),
        ({"code": ""}, "code"),
        ({"code": "nothing(@)"}, "code"),
        ({"code": "length(@, @)"}, "code"),
        ({"code": "(" * 5000}, "code"),
        ({"code": "x" * 10_001}, "code"),
        ({"code": "`NaN`"}, "code"),
        ({"variables": {"a b": "x"}}, "variables"),
        ({"variables": {"a": "x" * 1025}}, "variables"),
        ({"variables": {f"a{n}": "x" for n in range(51)}}, "variables"),
    ],
)
def test_what_is_no_transformation_is_refused(api, place, fields, where):
    """What could never be evaluated is refused when it is set, with why."""
    found = faults(api.patch(f"{place}/transformation", fields))
    assert [loc[:2] for loc in found] == [("body", where)]
    assert kept(api, place).transformation is None


def test_simulating(api, place):
    """An expression is tried on a message with the endpoint's variables; nothing is kept, and a fault is told."""
    api.patch(f"{place}/transformation", {"variables": {"team": "ops"}})
    path = f"{place}/transformation/simulate"
    body = {"code": "{t: variables.team, n: payload.n, e: eventType}", "eventType": "a.b", "channels": ["x"]}
    raw = (json.dumps(body)[:-1] + ', "payload": {"n": 1.50}}').encode()
    made = api.post(path, raw=raw, headers={"content-type": "application/json"}).json
    assert made == {
        "method": "POST",
        "url": "https://example.com/hook",
        "payload": '{"t":"ops","n":1.50,"e":"a.b"}',
        "canceled": False,
    }
    tried = {"eventType": "a.b", "payload": {"n": 1}}
    made = api.post(path, tried | {"code": "payload.x"}).json
    assert (made["payload"], made["canceled"]) == ("null", True)
    result = api.post(path, tried | {"code": "sum(payload)"})
    assert faults(result) == [("body", "code")]
    assert "sum() takes array-number" in result.text
    assert kept(api, place).transformation == Transformation(
        variables={"team": "ops"}, updated_at=kept(api, place).transformation.updated_at
    )


# --- Dry runs ----------------------------------------------------------------------------------------------


def dry_run(api, place, **fields):
    """Return what would become of a message."""
    body = {"eventType": "invoice.paid", "payload": {"id": "inv_1"}} | fields
    result = api.post(f"{place}/dry-run", body)
    assert result.status_code == 200, result.text
    return result.json


def test_a_dry_run_shows_what_would_be_sent(api, place):
    """The body is what the transformation makes, the headers are complete, and what is secret in them is masked."""
    api.put(f"{place}/headers", {"headers": {"x-tenant": "acme", "x-api-key": SECRET}})
    api.put(f"{place}/auth", BASIC)
    api.patch(f"{place}/transformation", {"code": "{text: payload.id}", "enabled": True})
    made = dry_run(api, place)
    assert (made["delivered"], made["reason"], made["detail"]) == (True, None, None)
    request = made["request"]
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert (request["method"], request["body"]) == ("POST", '{"text":"inv_1"}')
    assert headers["content-type"] == "application/json"
    assert (headers["x-tenant"], headers["x-api-key"]) == ("acme", "********")
    assert (headers["authorization"], headers["webhook-signature"]) == ("Basic ********", "v1,********")
    assert headers["webhook-id"].startswith("msg_")
    assert SECRET not in json.dumps(made)
    assert base64.b64encode(f"acme:{SECRET}".encode()).decode() not in json.dumps(made)
    api.put(f"{place}/oauth", OAUTH)
    assert dry_run(api, place)["request"]["headers"]["Authorization"] == "Bearer ********"
    assert api.get(f"{place}/msg").json["data"] == []


def test_a_dry_run_tells_why_not(api):
    """Filters, states, failing transformations and those that make null each have their reason."""
    app = api.application()["id"]
    api.event_type("invoice.paid")
    endpoint = api.endpoint(app, eventTypes=["invoice.paid"], channels=["north"])["id"]
    place = f"/app/{app}/endpoint/{endpoint}"

    def reason(**fields):
        made = dry_run(api, place, **({"channels": ["north"]} | fields))
        assert (made["request"] is None) is (made["reason"] not in {None, "paused"})
        return made["reason"]

    assert reason() is None
    assert reason(eventType="other") == "event_type"
    assert reason(channels=["south"]) == "channel"
    assert reason(channels=None) == "channel"
    api.patch(f"{place}/transformation", {"code": "payload.wanted", "enabled": True})
    assert reason() == "transformed_to_null"
    assert reason(payload={"wanted": [1]}) is None
    api.patch(f"{place}/transformation", {"code": "sum(payload)"})
    assert reason() == "transformation"
    api.patch(f"{place}/transformation", {"enabled": False})
    api.post(f"{place}/pause")
    assert reason() == "paused"
    api.patch(place, {"disabled": True})
    assert reason() == "disabled"


def test_a_password_in_the_address_is_masked(api):
    """An endpoint whose URL has a password is shown without it, and what that becomes is masked, too."""
    app = api.application()["id"]
    endpoint = api.endpoint(app, url=f"https://acme:{SECRET}@example.com/hook")["id"]
    made = dry_run(api, f"/app/{app}/endpoint/{endpoint}")
    assert made["request"]["url"] == "https://acme:********@example.com/hook"
    assert made["request"]["headers"]["Authorization"] == "Basic ********"


def test_sources_and_operators_have_all_of_it(api):
    """What is forwarded and what operators are told is shown, transformed and tried as anything else is."""
    body = {"name": "In", "type": "xendit", "config": {"secret": "the callback token"}}
    source = api.send("POST", "/ingest/api/v1/source", body).json["id"]
    owners = (f"/ingest/api/v1/source/{source}", "/api/v1/operational-webhook")
    for owner in owners:
        made = api.send("POST", f"{owner}/endpoint", {"url": "https://example.com/hook"}).json["id"]
        place = f"{owner}/endpoint/{made}"
        assert api.send("PUT", f"{place}/auth", BASIC).status_code == 204
        assert api.send("GET", f"{place}/auth").json["kind"] == "basic"
        assert (
            api.send("PATCH", f"{place}/transformation", {"code": "payload", "enabled": True}).status_code
            == 204
        )
        shown = api.send("POST", f"{place}/dry-run", {"eventType": "any thing", "payload": [1]}).json
        assert shown["request"]["body"] == "[1]"


def test_handlers_are_no_places_to_send_to(api):
    """What a program declares has no options that could be changed from outside."""
    app = api.application()["id"]
    record = Endpoint(
        id="ep_" + "1" * 27,
        application_id=app,
        url="handler:orders.paid",
        created_at=0,
        updated_at=0,
        secrets=(),
    )
    api.committer.write(lambda store: store.add(record)).result()
    place = f"/app/{app}/endpoint/{record.id}"
    for path, body in (("auth", BASIC), ("oauth", OAUTH), ("mtls", {"identity": IDENTITY})):
        assert api.put(f"{place}/{path}", body).status_code in {409, 422}
    assert api.patch(f"{place}/transformation", {"code": "payload"}).status_code == 409
    assert dry_run(api, place)["reason"] == "handler"
