"""The provider's catalogue: found by name, renewed, changed field by field."""

import json
import random
import re
from datetime import datetime

import msgspec
import pytest
from xendit_tables import faults_of

from ringback.errors import InvalidInput
from ringback.providers import catalogue
from ringback.providers.xendit import business_key, event_type_of, subject_of
from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.catalog import PRODUCTS, by_product, entries, entry_of, product_id, sample_of
from ringback.sandbox.xendit.exact_json import decoded
from ringback.sandbox.xendit.field_kinds import kind_of
from ringback.sandbox.xendit.overrides import overridden, paths_of, read_changes
from ringback.sandbox.xendit.renewal import renewed
from ringback.sandbox.xendit.sandbox import BUSINESS
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of

NOW = 1_772_500_000_123
NAMES = sorted(entries())
TIME = re.compile(r"\d{4}-\d\d-\d\dT\S+")


def fresh(name, seed=1):
    return renewed(sample_of(entry_of(name)), NOW, BUSINESS, random.Random(seed))


def changed(name, *texts):
    """Return a sample with changes as they are typed, and back as JSON."""
    entry = entry_of(name)
    body = sample_of(entry)
    return msgspec.json.encode(overridden(entry, body, read_changes(entry, body, texts))).decode()


def refusal(name, *texts):
    with pytest.raises(Refused) as refused:
        changed(name, *texts)
    assert (refused.value.status, refused.value.code) == (400, "API_VALIDATION_ERROR")
    return refused.value.message


# --- What there is ----------------------------------------------------------------------------------------


def test_every_entry_has_a_name_of_its_own():
    """81 entries of 77 types: the ordinary form has its type's name, and each variant says what it is."""
    assert (len(NAMES), len({entry.event_type for entry in entries().values()})) == (81, 77)
    variants = {"account.verification:resubmission", "ewallet.capture:failed", "invoice.paid:ewallet"}
    assert {name for name in NAMES if ":" in name} == variants | {"qr.payment:2022-07-31"}
    assert {entry.product for entry in entries().values()} == set(PRODUCTS)
    assert sum(map(len, by_product().values())) == 81


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_keeps_to_its_field_table(name):
    """What is shown as a sample, and what is sent, has the fields and kinds that the catalogue states."""
    entry = entry_of(name)
    for body in (sample_of(entry), fresh(name)):
        plain = json.loads(msgspec.json.encode(body))
        assert faults_of(entry.fields, plain) == []
        assert event_type_of(plain) == entry.event_type
        assert product_id(entry.event_type, body)
        kinds = [
            (kind_of(entry.fields[path]), value) for path, value in paths_of(body) if path in entry.fields
        ]
        assert all(kind.fits(value) for kind, value in kinds)
    assert slot_of(entry.event_type) in SLOTS


def test_names_near_a_wrong_one():
    """A name that is none is refused with those that somebody may have meant."""
    with pytest.raises(Refused, match=r"no event invoice\.payed .*: invoice\.paid, ") as refused:
        entry_of("invoice.payed")
    assert (refused.value.status, refused.value.code) == (404, "EVENT_NOT_FOUND_ERROR")
    with pytest.raises(Refused, match="it has 81, such as"):
        entry_of("\N{SNOWMAN}" * 10_000)
    with pytest.raises(InvalidInput, match="there is one of xendit"):
        catalogue("../xendit")


# --- A new event ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_renewed_sample_is_another_event_of_the_same_form(name):
    """Ids and times are new, in the old ones' forms; keys, their order, and all other values are the sample's."""
    old, new = sample_of(entry_of(name)), fresh(name)
    keys = [business_key(entry_of(name).event_type, subject_of(body)) for body in (old, new, fresh(name, 2))]
    assert len(set(keys)) == 3
    assert [path for path, _ in paths_of(old)] == [path for path, _ in paths_of(new)]
    for (path, before), (_, after) in zip(paths_of(old), paths_of(new), strict=True):
        if isinstance(before, str):
            form = re.sub(r"[0-9a-f]", "0", before)
            assert re.sub(r"[0-9a-f]", "0", after) == form, path
        elif not isinstance(before, dict | list):
            assert msgspec.json.encode(before) == msgspec.json.encode(after), path


def test_what_belongs_together_stays_together():
    """One id stays one id, the account's id is the sandbox's, and the merchant's own numbers stay."""
    split, code = fresh("split.payment"), fresh("payment.capture")
    assert (split["business_id"], split["data"]["destination_account_id"]) == (BUSINESS, BUSINESS)
    assert split["data"]["source_account_id"] != BUSINESS
    assert code["data"]["business_id"] == BUSINESS
    assert code["data"]["reference_id"] == "order-1201"
    cycle = fresh("recurring.cycle.created")
    assert cycle["data"]["plan_id"].startswith("repl_")


@pytest.mark.parametrize("name", NAMES)
def test_the_newest_time_is_the_present(name):
    """Nothing has happened later than now, the last thing has happened now, and intervals are the sample's."""
    body = fresh(name)
    past = [
        datetime.fromisoformat(value).timestamp()
        for path, value in paths_of(body)
        if isinstance(value, str)
        and TIME.fullmatch(value)
        and path.rpartition(".")[2]
        in {"created", "updated", "paid_at", "updated_at", "transaction_timestamp"}
    ]
    assert not past or NOW / 1_000 - 1 < max(past) <= NOW / 1_000


def test_times_keep_their_digits_and_zone():
    """A time is written as the sample's is: none, three or five digits of a second, in the zone it was in."""
    assert fresh("direct_debit.payment")["timestamp"] == "2026-03-03T09:06:40+0800"
    wallet = fresh("ewallet.capture")
    assert (wallet["created"], wallet["data"]["updated"]) == (
        "2026-03-03T01:06:40.123Z",
        "2026-03-03T01:06:40.12300Z",
    )
    assert fresh("account.activated")["created"] == "2026-03-03T01:06:40Z"


# --- Other values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("invoice.paid", "amount=75000", '"amount":75000,'),
        ("invoice.paid", "amount=75000.00", '"amount":75000.00,'),
        ("invoice.paid", f"amount={'9' * 40}", f'"amount":{"9" * 40},'),
        ("invoice.paid", "external_id=1001", '"external_id":"1001"'),
        ("invoice.paid", 'external_id="a=b"', '"external_id":"a=b"'),
        ("invoice.paid", 'external_id="a', '"external_id":"\\"a"'),
        ("invoice.paid", "external_id=null", '"external_id":"null"'),
        ("invoice.paid", "payer_email=null", '"payer_email":null'),
        ("invoice.paid", 'payer_email="null"', '"payer_email":"null"'),
        ("invoice.paid", "is_high=true", '"is_high":true'),
        ("invoice.paid", "items[0].price=1", '"price":1,'),
        ("invoice.paid", "items.0.price=1", '"price":1,'),
        ("invoice.paid", "items.1.name=Cup", '"quantity":2},{"name":"Cup"}]'),
        ("invoice.paid", "items=[]", '"items":[]'),
        ("invoice.paid", "ewallet_type=OVO", '"ewallet_type":"OVO"}'),
        ("invoice.paid", "payment_details.source=GOPAY", '"payment_details":{"source":"GOPAY"}}'),
        ("invoice.paid", 'fees=[{"type":"a","value":1.50}]', '"fees":[{"type":"a","value":1.50}]}'),
        ("payment.capture", "data.captures.0.capture_amount=5", '"capture_amount":5,'),
        ("payment.capture", "data.metadata.shop.floor=2", '"metadata":{"shop":{"floor":2}}'),
        ("payment.capture", "data.metadata.shop=Menteng 5", '"metadata":{"shop":"Menteng 5"}'),
        ("qr.payment", "qr_code.type=STATIC", '"type":"STATIC"'),
        ("invoice.paid", "description=x\u0000\u202e\U0001f600", '"description":"x\\u0000\u202e\U0001f600"'),
    ],
)
def test_a_field_is_set(name, text, written):
    """What is typed becomes what the field may be; a number keeps its form, a new field comes last."""
    body = changed(name, text)
    assert written in body
    kept, new = [path for path, _ in paths_of(sample_of(entry_of(name)))], json.loads(body)
    assert [key for key in new if key in kept] == [path for path in kept if "." not in path]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("invoice.paid", "amuont=1", "invoice.paid has no field amuont; near to it: amount"),
        ("payment.capture", "amount=1", "near to it: data.request_amount"),
        ("payment.capture", "capture_amount=1", "near to it: data.captures.0.capture_amount"),
        ("invoice.paid", "ewalet_type=OVO", "near to it: ewallet_type"),
        ("invoice.paid", "items.0.colour=red", "has no field items.0.colour"),
        ("invoice.paid", "payment_details.colour=red", "has no field payment_details.colour"),
        ("invoice.paid", "status.x=1", "has no field status.x"),
        ("invoice.paid", "☃=1", "it has id, items, "),
        ("invoice.paid", "amount=much", "amount must be a number"),
        ("invoice.paid", "amount=NaN", "amount must be a number"),
        ("invoice.paid", 'amount="1"', "amount must be a number"),
        ("invoice.paid", "amount=null", "amount must be a number"),
        ("invoice.paid", "is_high=yes", "is_high must be true or false or null"),
        ("invoice.paid", "items={}", "items must be an array or null"),
        ("invoice.paid", "items.0.price=x", "items.0.price must be a number or null"),
        ("invoice.paid", "items.7.price=1", "7 is no place in a list of 1"),
        ("invoice.paid", "items.²=1", "has no field items.²"),
        ("v3_payout.failed", "data.source_amount=1.5", "data.source_amount must be a whole number or null"),
        ("qr.payment", "qr_code.type=ROUND", "qr_code.type must be one of DYNAMIC, STATIC"),
        ("report.failed", "format=PDF", "format must be CSV"),
        ("invoice.paid", "amount", "PATH=VALUE"),
        ("invoice.paid", "=1", "PATH=VALUE"),
        ("invoice.paid", "items..price=1", "is no path"),
        ("invoice.paid", ".=1", "is no path"),
        ("invoice.paid", "a" * 501 + "=1", "at most 500 characters"),
        ("payment.capture", "data.metadata" + ".a" * 20 + "=1", "at most 20 parts"),
        ("payment.capture", "data.metadata=" + "[" * 100_000, "data.metadata must be an object or null"),
        ("invoice.paid", "external_id=\udcff", "not UTF-8"),
        ("invoice.paid", "\udcff=1", "not UTF-8"),
        ("invoice.paid", "\x1b[2J=1", "?[2J"),
    ],
)
def test_a_field_that_cannot_be_set(name, text, words):
    """A path that leads nowhere is refused with those near to it, a value of another kind with the kind."""
    message = refusal(name, text)
    assert words in message
    assert len(message) < 3_000
    assert "\x1b" not in message


def test_too_many_changes():
    """Nobody sets more fields than a body has."""
    texts = [f"data.metadata.a{number}=1" for number in range(202)]
    assert "at most 200" in refusal("payment.capture", *texts)


def test_samples_are_copies():
    """Whoever changes a sample changes only theirs."""
    sample_of(entry_of("invoice.paid"))["items"].clear()
    assert sample_of(entry_of("invoice.paid"))["items"]


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "NaN", "-Infinity", "[" * 100_000, '"\\ud800"', b"\xff", "01"]
)
def test_json_that_is_none(text):
    """What another program could not read is never taken for JSON."""
    with pytest.raises(ValueError, match=r"."):
        decoded(text)
