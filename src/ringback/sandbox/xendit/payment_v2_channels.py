"""The channels of the Payments API, version 2: which there are for each type of payment method, and in which currency.

Sources: the codes are those that xendit-python 7 lists; where a channel is at home is public knowledge of banks, shops
and wallets. Which of them take money in which currency beyond that is not documented.
"""

from __future__ import annotations

from ringback.sandbox.xendit.calls import Refused

VIRTUAL_ACCOUNT, OVER_THE_COUNTER, QR_CODE = "VIRTUAL_ACCOUNT", "OVER_THE_COUNTER", "QR_CODE"
EWALLET, DIRECT_DEBIT, CARD = "EWALLET", "DIRECT_DEBIT", "CARD"
TYPES = (CARD, DIRECT_DEBIT, EWALLET, OVER_THE_COUNTER, QR_CODE, VIRTUAL_ACCOUNT)
# What is shown to a payer, who then pays elsewhere; the other types are asked for money.
SHOWN = frozenset({VIRTUAL_ACCOUNT, OVER_THE_COUNTER, QR_CODE})
NOT_SUPPORTED = "CHANNEL_CODE_NOT_SUPPORTED_ERROR"
# Malaysian banks behind one scheme; most take businesses' accounts, too.
_FPX = (
    *("AFFIN", "AGRO", "ALLIANCE", "AMBANK", "BOC", "BSN", "CIMB", "HLB", "HSBC", "ISLAM", "KFH", "MAYB2E"),
    *("MAYB2U", "MUAMALAT", "OCBC", "PUBLIC", "RAKYAT", "RHB", "SCH", "UOB"),
)
_FPX_BUSINESS = (
    *("AFFIN", "AGRO", "ALLIANCE", "AMBANK", "BNP", "CIMB", "CITIBANK", "DEUTSCHE", "HLB", "HSBC", "ISLAM"),
    *("KFH", "MAYB2E", "MUAMALAT", "OCBC", "PUBLIC", "RAKYAT", "RHB", "SCH", "UOB"),
)
_ONLINE_BANKING = (
    *("BDO", "BOC", "BPI", "CHINABANK", "INSTAPAY", "LANDBANK", "MAYBANK", "METROBANK", "PESONET", "PNB"),
    *("PSBANK", "RCBC", "ROBINSONS_BANK", "SECURITY_BANK", "UNIONBANK"),
)
CHANNELS: dict[str, dict[str, tuple[str, ...]]] = {
    VIRTUAL_ACCOUNT: {
        "IDR": (
            *("BCA", "BJB", "BNI", "BRI", "MANDIRI", "PERMATA", "BSI", "CIMB", "SAHABAT_SAMPOERNA"),
            *("ARTAJASA", "BNC", "HANA", "MUAMALAT"),
        ),
        "VND": ("PV", "VIETCAPITAL", "WOORI", "MSB", "VPB", "BIDV"),
        "THB": ("STANDARD_CHARTERED",),
        "MYR": ("AMBANK", "UOB"),
        "PHP": ("BANK_TRANSFER",),
    },
    OVER_THE_COUNTER: {
        "IDR": ("ALFAMART", "INDOMARET"),
        "PHP": (
            *("7ELEVEN", "7ELEVEN_CLIQQ", "CEBUANA", "CVM", "ECPAY", "ECPAY_DRAGONLOAN", "ECPAY_SCHOOL"),
            *("LBC", "MLHUILLIER", "PALAWAN", "RD_PAWNSHOP", "ROBINSONS_BILLS", "SM_BILLS", "USSC"),
        ),
    },
    QR_CODE: {
        "IDR": ("QRIS", "DANA", "LINKAJA", "XENDIT"),
        "PHP": ("QRPH", "RCBC"),
        "THB": ("PROMPTPAY",),
    },
    EWALLET: {
        "IDR": (*("DANA", "OVO", "LINKAJA", "SHOPEEPAY", "ASTRAPAY", "JENIUSPAY", "NEXCASH", "SAKUKU"),),
        "PHP": ("GCASH", "GRABPAY", "PAYMAYA", "SHOPEEPAY"),
        "VND": ("APPOTA", "MOMO", "SHOPEEPAY", "VIETTELPAY", "VNPTWALLET", "ZALOPAY"),
        "THB": ("LINEPAY", "SHOPEEPAY", "TRUEMONEY", "WECHATPAY"),
        "MYR": ("ALIPAY", "GRABPAY", "SHOPEEPAY", "TOUCHNGO", "WECHATPAY"),
    },
    DIRECT_DEBIT: {
        "IDR": ("BRI", "MANDIRI", "BCA_KLIKPAY", "BCA_ONEKLIK", "BNI_AUTOPAY", "CIMBNIAGA"),
        "PHP": (
            *("BPI", "BPI_RECURRING", "BDO", "BDO_EPAY", "CHINABANK", "MTB", "RCBC"),
            *("UBP", "UBP_DEBIT_PULL", "UBP_EADA"),
            *(f"{bank}_ONLINE_BANKING" for bank in _ONLINE_BANKING),
        ),
        "THB": ("BAY", "BBL", "KTB", "SCB", "BAY_MB", "BBL_MB", "KBANK_MB", "KTB_MB", "SCB_MB"),
        "MYR": (
            *(f"{bank}_FPX" for bank in _FPX),
            *(f"{bank}_FPX_BUSINESS" for bank in _FPX_BUSINESS),
        ),
    },
    CARD: dict.fromkeys(("IDR", "PHP", "THB", "VND", "MYR", "USD"), ()),
}
# Banks to whose page or app a payer is sent.
_REDIRECTING = ("_FPX", "_FPX_BUSINESS", "_ONLINE_BANKING", "_MB", "_EPAY")


def currency_of(kind: str, channel_code: str, currency: str | None) -> str:
    """Return the currency of a channel: the one asked for, or without one the first that has this channel.

    Args:
        kind: The type of the payment method.
        channel_code: The channel's code.
        currency: The one asked for; None: any.

    Raises:
        Refused: 400 ``CHANNEL_CODE_NOT_SUPPORTED_ERROR``: there is no such channel, or not in that currency.
    """
    known = CHANNELS[kind]
    wanted = known if currency is None else {currency: known.get(currency, ())}
    found = next((name for name, channels in wanted.items() if channel_code in channels), None)
    if found is None:
        where = "" if currency is None else f" in {currency}"
        codes = ", ".join(code for channels in wanted.values() for code in channels) or "none"
        message = f"{kind} has no channel {channel_code[:50]}{where}; there are: {codes}"
        raise Refused(400, NOT_SUPPORTED, message)
    return found


def redirects(channel_code: str) -> bool:
    """Tell whether a bank sends the payer to its own page instead of asking for a code."""
    return channel_code == "BCA_KLIKPAY" or channel_code.endswith(_REDIRECTING)
