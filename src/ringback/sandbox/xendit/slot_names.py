"""The slots of the settings page: what each is called, and which events go to it."""

from __future__ import annotations

# What the settings page calls each slot. These can be set by `POST /callback_urls/{type}`, too.
SETTABLE = {
    "invoice": "Payment links and invoices",
    "fva_status": "Fixed virtual accounts created",
    "fva_paid": "Fixed virtual accounts paid",
    "ro_fpc_paid": "Retail outlets paid",
    "regional_ro_paid": "Retail outlets paid (Philippines)",
    "ewallet": "E-wallet payment status",
    "payment_method": "Direct debit payment methods expiring",
    "payment_method_v2": "Payment methods v2",
    "direct_debit": "Direct debit payments",
    "qr_code": "QR codes paid and refunded",
    "recurring": "Recurring",
    "disbursement": "Disbursements sent",
    "ph_disbursement": "Disbursements sent (Philippines)",
    "batch_disbursement": "Batch disbursements sent",
    "payout": "Payouts v2",
    "report": "Reports",
    "payment_succeeded": "Payment requests v2: succeeded",
    "payment_awaiting_capture": "Payment requests v2: awaiting capture",
    "payment_pending": "Payment requests v2: pending",
    "payment_failed": "Payment requests v2: failed",
    "capture_succeeded": "Captures: succeeded",
    "capture_failed": "Captures: failed",
    "payment_request_completed": "Payment requests completed",
}
SLOTS = SETTABLE | {
    "paylater": "Paylater payment status",
    "cards": "Cards: authentication, tokenization, refunds",
    "refunds": "Refunds",
    "payments_v3": "Payment requests v3: payment status",
    "payment_tokens": "Payment tokens v3",
    "payment_session": "Payment sessions",
    "payouts_v3": "Payouts v3",
    "cross_border_payouts": "Cross-border payouts",
    "xenplatform": "xenPlatform",
    "disputes": "Disputes",
    "bill_payments": "Bill payments",
}
# The longest beginning of an event type decides.
_SLOTS_OF_EVENTS = {
    "invoice.": "invoice",
    "fva.created": "fva_status",
    "fva.paid": "fva_paid",
    "fpc.": "ro_fpc_paid",
    "ewallet.": "ewallet",
    "direct_debit.": "direct_debit",
    "payment_method.expiry.": "payment_method",
    "payment_method.": "payment_method_v2",
    "qr.": "qr_code",
    "paylater.": "paylater",
    "credit_card": "cards",
    "disbursement.": "disbursement",
    "batch_disbursement.": "batch_disbursement",
    "report.": "report",
    "payment.succeeded": "payment_succeeded",
    "payment.failed": "payment_failed",
    "payment.pending": "payment_pending",
    "payment.awaiting_capture": "payment_awaiting_capture",
    "capture.succeeded": "capture_succeeded",
    "capture.failed": "capture_failed",
    "refund.": "refunds",
    "payment.": "payments_v3",
    "payment_request.": "payments_v3",
    "payment_token.": "payment_tokens",
    "payment_session.": "payment_session",
    "recurring.": "recurring",
    "payout.": "payout",
    "v3_payout.": "payouts_v3",
    "remittance_payout.": "cross_border_payouts",
    "account": "xenplatform",
    "split.": "xenplatform",
    "dispute.": "disputes",
    "bill_payment.": "bill_payments",
}


def slot_of(event: str) -> str:
    """Return the slot whose URL gets an event of the catalogue."""
    fitting = [beginning for beginning in _SLOTS_OF_EVENTS if event.startswith(beginning)]
    return _SLOTS_OF_EVENTS[max(fitting, key=len)]
