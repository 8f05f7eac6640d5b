"""The products that the sandbox has."""

from __future__ import annotations

from ringback.sandbox.xendit.balance import Balance
from ringback.sandbox.xendit.batch_disbursements import BatchDisbursements
from ringback.sandbox.xendit.books import Books
from ringback.sandbox.xendit.callback_urls import CallbackUrls
from ringback.sandbox.xendit.captures import Captures
from ringback.sandbox.xendit.controls import Controls
from ringback.sandbox.xendit.customers import Customers
from ringback.sandbox.xendit.disbursements import Disbursements
from ringback.sandbox.xendit.ewallets import EWallets
from ringback.sandbox.xendit.invoices import Invoices
from ringback.sandbox.xendit.log_api import LogApi
from ringback.sandbox.xendit.pages.checkout import Checkout
from ringback.sandbox.xendit.pages.dashboard import Dashboard
from ringback.sandbox.xendit.paylaters import Paylaters
from ringback.sandbox.xendit.payment_methods import PaymentMethods
from ringback.sandbox.xendit.payment_requests import PaymentRequests
from ringback.sandbox.xendit.payment_sessions import PaymentSessions
from ringback.sandbox.xendit.payment_tokens import PaymentTokens
from ringback.sandbox.xendit.payments_v2 import PaymentsV2
from ringback.sandbox.xendit.payments_v3 import PaymentsV3
from ringback.sandbox.xendit.payouts import Payouts
from ringback.sandbox.xendit.payouts_v3 import PayoutsV3
from ringback.sandbox.xendit.qr_codes import QRCodes
from ringback.sandbox.xendit.recurring_cycles import RecurringCycles
from ringback.sandbox.xendit.recurring_plans import RecurringPlans
from ringback.sandbox.xendit.refunds import Refunds
from ringback.sandbox.xendit.reports import Reports
from ringback.sandbox.xendit.retail_outlets import RetailOutlets
from ringback.sandbox.xendit.settings_api import SettingsApi
from ringback.sandbox.xendit.transactions import Transactions
from ringback.sandbox.xendit.trigger import Triggers
from ringback.sandbox.xendit.virtual_accounts import VirtualAccounts

PRODUCTS = (
    Balance,
    BatchDisbursements,
    Books,
    CallbackUrls,
    Captures,
    Checkout,
    Controls,
    Customers,
    Dashboard,
    Disbursements,
    EWallets,
    Invoices,
    LogApi,
    Paylaters,
    PaymentMethods,
    PaymentRequests,
    PaymentSessions,
    PaymentTokens,
    PaymentsV2,
    PaymentsV3,
    Payouts,
    PayoutsV3,
    QRCodes,
    RecurringCycles,
    RecurringPlans,
    Refunds,
    Reports,
    RetailOutlets,
    SettingsApi,
    Transactions,
    Triggers,
    VirtualAccounts,
)
