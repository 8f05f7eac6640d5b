"""What tests ask of the sandbox in more than one place."""

OTHER_BUSINESS = "0123456789abcdef01234567"
# A call with this header is about another business.
OTHERS = {"for-user-id": OTHER_BUSINESS}
URLS = {"success_return_url": "https://shop.example/ok"}

# Payment methods of the v2 API.
ACCOUNT = {
    "type": "VIRTUAL_ACCOUNT",
    "reusability": "ONE_TIME_USE",
    "virtual_account": {"channel_code": "BCA", "channel_properties": {"customer_name": "SITI AMINAH"}},
}
COUNTER = {
    "type": "OVER_THE_COUNTER",
    "reusability": "ONE_TIME_USE",
    "over_the_counter": {"channel_code": "ALFAMART", "channel_properties": {"customer_name": "BUDI"}},
}
CODE = {"type": "QR_CODE", "reusability": "ONE_TIME_USE", "qr_code": {"channel_code": "QRIS"}}
WALLET = {
    "type": "EWALLET",
    "reusability": "ONE_TIME_USE",
    "ewallet": {"channel_code": "DANA", "channel_properties": URLS},
}

# Payment requests of either version, to be paid with a wallet.
REQUEST_V2 = {"reference_id": "order-2", "currency": "IDR", "amount": 150_000, "payment_method": WALLET}
REQUEST_V3 = {
    "reference_id": "order-3",
    "type": "PAY",
    "country": "ID",
    "currency": "IDR",
    "request_amount": 150_000,
    "channel_code": "DANA",
    "channel_properties": URLS,
}
