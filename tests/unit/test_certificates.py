"""The doctor tells of client certificates before they end."""

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from management import management

from ringback.certificates import certified, examine_certificates
from ringback.cli import run
from ringback.outbox import system_clock
from ringback.policy import DAY

KEY = ec.generate_private_key(ec.SECP256R1())


def identity(days):
    """Return a key with a certificate that ends in so many days."""
    now, name = dt.datetime.now(dt.UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
    made = x509.CertificateBuilder(name, name, KEY.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=days))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key = KEY.private_bytes(pem, form, serialization.NoEncryption())
    return (key + made.sign(KEY, hashes.SHA256()).public_bytes(pem)).decode()


@pytest.fixture
def folder(tmp_path):
    """Leave a store with endpoints whose certificates end in 10 and in 30 days, and one without."""
    with management(tmp_path) as api:
        app = api.application()["id"]
        for uid, days in (("soon", 10), ("later", 30)):
            api.endpoint(app, uid=uid)
            assert api.put(f"/app/{app}/endpoint/{uid}/mtls", {"identity": identity(days)}).status_code == 204
        api.put(f"/app/{app}/endpoint/{api.endpoint(app)['id']}/auth", {"kind": "bearer", "token": "t"})
        api.found = certified(api.store)
        yield tmp_path, api


def test_what_ends_is_told_in_time(folder):
    """What has ended or ends within two weeks is a warning, the first to end first; until then all is well."""
    _, api = folder
    assert [one.uid for one in api.found] == ["soon", "later"]

    def told(days):
        return [
            (one.verdict.value, one.about, one.what.split(" at ")[0])
            for one in examine_certificates(api.found, system_clock() + days * DAY)
        ]

    assert told(-10) == [("ok", "certificates", "2 endpoints with one, of which the first ends")]
    assert told(0) == [("warning", "endpoint soon", "its client certificate ends")]
    assert told(20) == [
        ("warning", "endpoint soon", "its client certificate ended"),
        ("warning", "endpoint later", "its client certificate ends"),
    ]
    assert list(examine_certificates((), 0)) == []


def test_the_doctor_tells(folder, capsys, monkeypatch):
    """``ringback doctor`` names the endpoint and says what to do."""
    path, _ = folder
    monkeypatch.setenv("RINGBACK_MAIN_KEY", base64.b64encode(bytes(32)).decode())
    assert run(["doctor", "--json", "--store", f"sqlite:///{path / 'ringback.db'}"]) == 0
    (found,) = [one for one in json.loads(capsys.readouterr().out) if one["about"] == "endpoint soon"]
    assert found["verdict"] == "warning"
    assert "/mtls" in found["advice"]
