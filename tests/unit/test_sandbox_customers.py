"""Customers of the sandbox."""

import pytest
from sandboxes import playing

from xendit_requests import OTHERS

DRAFT = {
    "reference_id": "customer-1",
    "type": "INDIVIDUAL",
    "individual_detail": {"given_names": "Siti", "surname": "Aminah", "nationality": "ID"},
    "email": "siti@example.com",
    "mobile_number": "+628123456789",
    "addresses": [{"country": "ID", "street_line1": "Jl. Menteng 1", "city": "Jakarta", "is_primary": True}],
    "identity_accounts": [
        {"type": "EWALLET", "company": "OVO", "country": "ID", "properties": {"account_number": "1"}}
    ],
    "kyc_documents": [{"country": "ID", "type": "IDENTITY_CARD", "document_number": "317"}],
    "metadata": {"branch": "menteng"},
}
MISSING = (404, "DATA_NOT_FOUND")
TAKEN = (400, "DUPLICATE_END_CUSTOMER_ERROR")


def test_made_and_found(play):
    """A customer is shown as it was described, found by its id and by its reference_id."""
    made = play.ok("POST", "/customers", DRAFT)
    assert made["id"].startswith("cust-")
    assert {name: made[name] for name in ("reference_id", "type", "individual_detail", "metadata")} == {
        name: DRAFT[name] for name in ("reference_id", "type", "individual_detail", "metadata")
    }
    assert made["addresses"][0].items() >= DRAFT["addresses"][0].items()
    assert made["identity_accounts"][0].items() >= DRAFT["identity_accounts"][0].items()
    assert made["kyc_documents"][0].items() >= DRAFT["kyc_documents"][0].items()
    assert play.ok("GET", f"/customers/{made['id']}") == made
    found = play.ok("GET", "/customers", query={"reference_id": "customer-1"})
    assert found == {"data": [made], "has_more": False}
    assert play.ok("GET", "/customers", query={"reference_id": "customer-2"})["data"] == []


def test_little_is_enough(play):
    """A reference_id makes a customer; what was not said is null, or an empty list."""
    made = play.ok("POST", "/customers", {"reference_id": "a"})
    assert (made["type"], made["individual_detail"], made["addresses"]) == ("INDIVIDUAL", None, [])


def test_addresses_by_their_older_names(play):
    """country_code, line_1 and line_2 say the same as the names that are shown."""
    old = {"country_code": "ID", "line_1": "Jl. Menteng 1", "line_2": "RT 3"}
    (address,) = play.ok("POST", "/customers", {"reference_id": "a", "addresses": [old]})["addresses"]
    assert (address["country"], address["street_line1"], address["street_line2"]) == (
        "ID",
        "Jl. Menteng 1",
        "RT 3",
    )


def test_changes(play):
    """A change keeps what it does not name."""
    made = play.ok("POST", "/customers", DRAFT)
    path = f"/customers/{made['id']}"
    play.advance(1_000)
    changed = play.ok("PATCH", path, {"email": "new@example.com", "status": "INACTIVE", "addresses": []})
    assert changed == made | {
        "email": "new@example.com",
        "status": "INACTIVE",
        "addresses": [],
        "updated": "2026-03-02T12:00:01.000Z",
    }
    assert play.ok("GET", path) == changed


def test_a_reference_is_taken_once(play):
    """A second customer cannot have it, made or changed; each business has its own."""
    made = play.ok("POST", "/customers", DRAFT)
    other = play.ok("POST", "/customers", {"reference_id": "customer-2"})
    assert play.refused("POST", "/customers", DRAFT) == TAKEN
    assert play.refused("PATCH", f"/customers/{other['id']}", {"reference_id": "customer-1"}) == TAKEN
    same = play.ok("PATCH", f"/customers/{made['id']}", {"reference_id": "customer-1"})
    assert same["reference_id"] == "customer-1"
    elsewhere = play.ok("POST", "/customers", DRAFT, headers=OTHERS)
    assert play.refused("GET", f"/customers/{elsewhere['id']}") == MISSING
    assert play.refused("PATCH", f"/customers/{made['id']}", {}, headers=OTHERS) == MISSING


@pytest.mark.parametrize(
    "change",
    [
        {"reference_id": None},
        {"reference_id": "a" * 256},
        {"type": "ROBOT"},
        {"individual_detail": {"gender": "UNSURE"}},
        {"addresses": {}},
        {"addresses": [{"country": "Indonesia"}]},
        {"description": "a" * 1_001},
    ],
)
def test_what_cannot_be_a_customer(play, change):
    """Each fault is 400 API_VALIDATION_ERROR, and so is a search for nobody in particular."""
    assert play.refused("POST", "/customers", DRAFT | change) == (400, "API_VALIDATION_ERROR")
    assert play.refused("GET", "/customers") == (400, "API_VALIDATION_ERROR")


def test_customers_outlive_the_process(tmp_path):
    """A restart forgets nobody."""
    with playing(tmp_path) as play:
        made = play.ok("POST", "/customers", DRAFT)
    with playing(tmp_path, seed=8) as play:
        assert play.ok("GET", f"/customers/{made['id']}") == made
