"""Customers: whom a merchant's payments, payment methods and plans belong to.

Source: the fields, paths and error codes are those of xendit-python 7. That a ``reference_id`` is taken once is told by
the code for a second one; that a change to another's is refused alike follows from it. A list is of all customers with
one ``reference_id``, so it has one at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read
from ringback.sandbox.xendit.fields import Draft, Metadata, Name, Text, invalid
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.sandbox import Sandbox

CUSTOMER = "customer"
MISSING = "DATA_NOT_FOUND"
TAKEN = "DUPLICATE_END_CUSTOMER_ERROR"

Country = Annotated[str, Meta(min_length=2, max_length=2)]
# What the API shows of each part of these lists; what was not given is null.
_ADDRESS = (
    *("id", "category", "country", "province_state", "city", "suburb", "postal_code"),
    *("street_line1", "street_line2", "status", "is_primary"),
)
_ACCOUNT = ("id", "type", "company", "description", "country", "properties")
_DOCUMENT = (
    *("country", "type", "sub_type", "document_name", "document_number", "expires_at", "holder_name"),
    "document_images",
)


class Employment(Draft, frozen=True):
    """Where a person works."""

    employer_name: Name | None = None
    nature_of_business: Name | None = None
    role_description: Name | None = None


class IndividualDetail(Draft, frozen=True):
    """Of a person."""

    given_names: Name | None = None
    given_names_non_roman: Name | None = None
    middle_name: Name | None = None
    surname: Name | None = None
    surname_non_roman: Name | None = None
    mother_maiden_name: Name | None = None
    gender: Literal["MALE", "FEMALE", "OTHER"] | None = None
    date_of_birth: Annotated[str, Meta(max_length=30)] | None = None
    nationality: Country | None = None
    place_of_birth: Name | None = None
    employment: Employment | None = None


class BusinessDetail(Draft, frozen=True):
    """Of a business."""

    business_name: Name | None = None
    business_type: (
        Literal[
            "CORPORATION",
            "SOLE_PROPRIETOR",
            "PARTNERSHIP",
            "COOPERATIVE",
            "TRUST",
            "NON_PROFIT",
            "GOVERNMENT",
        ]
        | None
    ) = None
    date_of_registration: Annotated[str, Meta(max_length=10)] | None = None
    nature_of_business: Name | None = None
    business_domicile: Country | None = None


class Address(Draft, frozen=True):
    """Where a customer can be found; a request may use the older names of three fields."""

    category: Name | None = None
    country: Country | None = None
    country_code: Country | None = None
    province_state: Name | None = None
    city: Name | None = None
    suburb: Name | None = None
    postal_code: Name | None = None
    street_line1: Name | None = None
    street_line2: Name | None = None
    line_1: Name | None = None
    line_2: Name | None = None
    status: Literal["ACTIVE", "DELETED"] | None = None
    is_primary: bool | None = None


class Account(Draft, frozen=True):
    """An account that a customer has somewhere."""

    type: Literal["BANK_ACCOUNT", "EWALLET", "CREDIT_CARD", "PAY_LATER", "OTC", "QR_CODE"] | None = None
    company: Annotated[str, Meta(max_length=100)] | None = None
    description: Name | None = None
    country: Country | None = None
    properties: Metadata | None = None


class Document(Draft, frozen=True):
    """A document that says who a customer is."""

    country: Country | None = None
    type: Name | None = None
    sub_type: Name | None = None
    document_name: Name | None = None
    document_number: Name | None = None
    expires_at: Name | None = None
    holder_name: Name | None = None
    document_images: Annotated[list[Name], Meta(max_length=100)] | None = None


class CustomerUpdate(Draft, frozen=True):
    """What is to change of a customer; also all that can be said of one."""

    reference_id: Name | None = None
    individual_detail: IndividualDetail | None = None
    business_detail: BusinessDetail | None = None
    description: Text | None = None
    email: Name | None = None
    mobile_number: Name | None = None
    phone_number: Name | None = None
    metadata: Metadata | None = None
    addresses: Annotated[list[Address], Meta(max_length=50)] | None = None
    identity_accounts: Annotated[list[Account], Meta(max_length=50)] | None = None
    kyc_documents: Annotated[list[Document], Meta(max_length=50)] | None = None
    status: Literal["ACTIVE", "INACTIVE", "PENDING", "BLOCKED", "DELETED"] | None = None


class CustomerDraft(CustomerUpdate, frozen=True):
    """A customer to be made."""

    type: Literal["INDIVIDUAL", "BUSINESS"] = "INDIVIDUAL"
    client_name: Name | None = None


class Customers:
    """Customers.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/customers", self.create),
            Route("GET", "/customers", self.find),
            Route("GET", "/customers/{id}", self.get),
            Route("PATCH", "/customers/{id}", self.update),
        )

    async def create(self, call: Call) -> Answer:
        """Make a customer."""
        draft = read(call, CustomerDraft)
        if draft.reference_id is None:
            raise invalid("a customer needs a reference_id")
        self._check_free(call.owner, draft.reference_id)
        body = self._new(draft)
        change = self._sandbox.change()
        change.add(CUSTOMER, body["id"], call.owner, body)
        await self._sandbox.commit(change)
        return Answer(body)

    async def get(self, call: Call) -> Answer:
        """Show a customer."""
        return Answer(asked_for(self._sandbox.ledger, call, CUSTOMER, MISSING).body)

    async def find(self, call: Call) -> Answer:
        """Show the customer with a ``reference_id``, in a list."""
        reference_id = call.one("reference_id")
        if reference_id is None:
            raise invalid("customers are found by their reference_id, which is missing")
        found = self._sandbox.ledger.entries(CUSTOMER, call.owner, reference_id=reference_id)
        return Answer({"data": [entry.body for entry in found], "has_more": False})

    async def update(self, call: Call) -> Answer:
        """Change a customer; what a call leaves out stays."""
        draft = read(call, CustomerUpdate)
        entry = asked_for(self._sandbox.ledger, call, CUSTOMER, MISSING)
        if draft.reference_id not in {None, entry.body["reference_id"]}:
            self._check_free(call.owner, draft.reference_id or "")
        changed = draft.given() | self._lists(draft)
        change = self._sandbox.change()
        updated = change.update(entry, updated=self._sandbox.stamp(), **changed)
        await self._sandbox.commit(change)
        return Answer(updated.body)

    def payer(
        self, change: Change, owner: Owner, named: str | None, described: CustomerDraft | None
    ) -> str | None:
        """Return the id of the customer whom a call names or else describes; None where it does neither.

        Args:
            change: What a customer becomes a part of who is described and not known yet.
            owner: Whose customer.
            named: The id that the call names, which need not be known.
            described: Who the customer is; whoever has that ``reference_id`` already stays as he or she is.
        """
        if named is not None or described is None:
            return named
        known = self._sandbox.ledger.entries(CUSTOMER, owner, reference_id=described.reference_id)
        if known:
            return known[0].id
        body = self._new(described)
        return change.add(CUSTOMER, body["id"], owner, body).id

    def known(self, owner: Owner, customer_id: str | None) -> Entry | None:
        """Return the customer that somebody names, if anybody.

        Raises:
            Refused: 400 ``CUSTOMER_NOT_FOUND_ERROR``: there is none of that id.
        """
        if customer_id is None:
            return None
        entry = self._sandbox.ledger.get(CUSTOMER, customer_id, owner)
        if entry is None:
            raise Refused(400, "CUSTOMER_NOT_FOUND_ERROR", f"there is no customer {customer_id[:100]}")
        return entry

    def _check_free(self, owner: Owner, reference_id: str) -> None:
        if self._sandbox.ledger.entries(CUSTOMER, owner, reference_id=reference_id):
            message = f"there is a customer with the reference_id {reference_id} already"
            raise Refused(400, TAKEN, message)

    def _new(self, draft: CustomerDraft) -> dict[str, Any]:
        now = self._sandbox.stamp()
        given = draft.given()
        given.pop("client_name", None)
        body: dict[str, Any] = {
            "id": f"cust-{self._sandbox.new_uuid()}",
            "type": draft.type,
            "reference_id": draft.reference_id,
            "individual_detail": None,
            "business_detail": None,
            "description": None,
            "email": None,
            "mobile_number": None,
            "phone_number": None,
            "addresses": [],
            "identity_accounts": [],
            "kyc_documents": [],
            "metadata": None,
            "status": "ACTIVE",
            "created": now,
            "updated": now,
        }
        return body | given | self._lists(draft)

    def _lists(self, draft: CustomerUpdate) -> dict[str, Any]:
        lists: dict[str, Any] = {}
        if draft.addresses is not None:
            lists["addresses"] = [self._address(address) for address in draft.addresses]
        if draft.identity_accounts is not None:
            lists["identity_accounts"] = [
                _shown(_ACCOUNT, {"id": f"ida-{self._sandbox.new_uuid()}"} | account.given())
                for account in draft.identity_accounts
            ]
        if draft.kyc_documents is not None:
            lists["kyc_documents"] = [_shown(_DOCUMENT, document.given()) for document in draft.kyc_documents]
        return lists

    def _address(self, address: Address) -> dict[str, Any]:
        newer = {
            "id": f"adr-{self._sandbox.new_uuid()}",
            "country": address.country_code,
            "street_line1": address.line_1,
            "street_line2": address.line_2,
            "status": "ACTIVE",
            "is_primary": False,
        }
        return _shown(_ADDRESS, newer | address.given())


def _shown(fields: Sequence[str], given: dict[str, Any]) -> dict[str, Any]:
    return {name: given.get(name) for name in fields}
