"""What a payout v3 is asked for with. Source: the API's description on docs.xendit.co."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.exchange import PER_DOLLAR, exchanged
from ringback.sandbox.xendit.fields import Draft, Metadata, Name, Recipients, invalid
from ringback.sandbox.xendit.money import LARGEST

MOST_DOCUMENTS = 20
LEAST = {"IDR": 10_000, "VND": 10_000, "KRW": 1_000}
OTHERS_LEAST = 100  # one unit of what has cents

MinorUnits = Annotated[int, Meta(ge=0, le=100 * LARGEST)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Short = Annotated[str, Meta(min_length=1, max_length=50)]
Relationship = Literal[
    "BRANCH_REPRESENTATIVE_OFFICE",
    "BUSINESS_PARTNER",
    "CHILDREN",
    "CREDITOR",
    "CUSTOMER",
    "DEBTOR",
    "EDUCATION_INSTITUTION",
    "EMPLOYEE",
    "EX_SPOUSE",
    "FRANCHISEE_FRANCHISOR",
    "FRIEND",
    "GOVERNMENT_BODY",
    "GRANDPARENTS",
    "HOLDING_COMPANY",
    "MAID",
    "NON_GOVERNMENT_BODY",
    "OTHER",
    "OWNSELF",
    "PARENTS",
    "RELATIVE",
    "SIBLING",
    "SPOUSE",
    "SUBSIDIARY_COMPANY",
    "SUPPLIER",
]
RoutingType = Literal[
    "SWIFT",
    "IBAN",
    "SORT_CODE",
    "ABA",
    "BSB",
    "WALLET",
    "CLABE",
    "MOBILE_NO",
    "BUSINESS_REG_NO",
    "NATIONAL_ID",
]
SourceOfFund = Literal[
    "INVESTMENT",
    "PERSONAL_SAVINGS",
    "BUSINESS_REVENUE",
    "LEGACY",
    "BUSINESS_ARRANGEMENT",
    "LOAN",
    "SALARY",
    "OTHER",
]
PurposeCode = Literal[
    "ADVERTISING",
    "ADVISORS",
    "BROKER_FEES",
    "CONSTRUCTION",
    "DELIVERY",
    "DONATION",
    "EDUCATION",
    "EXPORT",
    "FAMILY",
    "HOTEL",
    "INSURANCE",
    "LOAN_REPAYMENT",
    "MEDICAL",
    "MUTUAL_FUND",
    "OFFICE",
    "OTHER",
    "REFUND",
    "RESIDENCE_PURCHASE",
    "RESIDENCE_RENT",
    "ROYALTY_FEES",
    "SALARY",
    "SELF",
    "SHARES_INVESTMENT",
    "SHIPMENT",
    "TAX_PAYMENT",
    "TRADES",
    "TRAVEL",
    "UTILITIES",
]


class AccountDetails(Draft, frozen=True):
    """The account that gets the money."""

    currency: Name
    account_country: Country
    account_holder_name: Name
    account_number: Name
    routing_type_1: RoutingType
    routing_value_1: Name
    routing_type_2: Name | None = None
    routing_value_2: Name | None = None
    account_type: Name | None = None


class Party(Draft, frozen=True, kw_only=True):
    """Somebody who sends or gets money; details and address are kept as they came."""

    type: Literal["INDIVIDUAL", "BUSINESS"]
    business_name: Short | None = None
    given_name: Short | None = None
    surname: Short | None = None
    given_name_non_roman: Short | None = None
    surname_non_roman: Short | None = None
    details: Metadata | None = None
    address: Metadata | None = None

    def check(self, role: str) -> None:
        """Check that they have a name.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        if self.type == "BUSINESS" and self.business_name is None:
            raise invalid(f"a {role} that is a BUSINESS needs business_name")
        if self.type == "INDIVIDUAL" and (self.given_name is None or self.surname is None):
            raise invalid(f"a {role} who is an INDIVIDUAL needs given_name and surname")


class Recipient(Party, frozen=True, kw_only=True):
    """Who gets the money."""

    relationship: Relationship
    account_details: AccountDetails


class PayoutDetails(Draft, frozen=True):
    """How much: of what it costs, or of what arrives."""

    quote_id: Name | None = None
    source_currency: Name | None = None
    source_amount: MinorUnits | None = None
    destination_currency: Name | None = None
    destination_amount: MinorUnits | None = None

    def sums(self) -> dict[str, Any]:
        """Return both currencies with their amounts.

        Raises:
            Refused: 404 ``DATA_NOT_FOUND``: it names a quote, of which the sandbox makes none; 400 where it is
                unclear how much, or too little or too much.
        """
        if self.quote_id is not None:
            raise Refused(404, "DATA_NOT_FOUND", f"there is no quote {self.quote_id[:100]}")
        source = _known(self.source_currency, "source_currency")
        destination = _known(self.destination_currency, "destination_currency")
        if (self.source_amount is None) == (self.destination_amount is None):
            raise invalid("payout_details needs either source_amount or destination_amount")
        paid, arriving = self.source_amount, self.destination_amount
        if paid is None:
            paid = exchanged(arriving or 0, destination, source)
        if arriving is None:
            arriving = exchanged(paid, source, destination)
        if arriving < LEAST.get(destination, OTHERS_LEAST):
            raise _wrong(f"the amount that would arrive, {arriving}, is too low")
        if arriving > 100 * LARGEST:
            raise _wrong(f"the amount that would arrive, {arriving}, is too high")
        return {
            "source_currency": source,
            "source_amount": paid,
            "destination_currency": destination,
            "destination_amount": arriving,
        }


class ReceiptNotification(Draft, frozen=True):
    """Who gets a receipt by e-mail; the sandbox sends none."""

    email_to: Recipients
    email_cc: Recipients | None = None
    email_bcc: Recipients | None = None


class PayoutDraft(Draft, frozen=True):
    """A payout to be made."""

    reference_id: Name
    recipient: Recipient
    payout_details: PayoutDetails
    source_of_fund: SourceOfFund
    purpose_code: PurposeCode
    sender: Party | None = None
    description: Annotated[str, Meta(max_length=100)] | None = None
    receipt_notification: ReceiptNotification | None = None
    underlying_documents: Annotated[list[Metadata], Meta(max_length=MOST_DOCUMENTS)] | None = None
    metadata: Metadata | None = None

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        self.recipient.check("recipient")
        if self.sender is not None:
            self.sender.check("sender")


def _known(currency: str | None, name: str) -> str:
    if currency is None:
        raise invalid(f"payout_details needs {name}")
    if currency not in PER_DOLLAR:
        raise _wrong(f"{name} {currency[:20]} is not supported; use {', '.join(PER_DOLLAR)}")
    return currency


def _wrong(message: str) -> Refused:
    return Refused(400, "INVALID_VALUE_ERROR", message, [message])
