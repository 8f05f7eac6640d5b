"""Adyen: payment notifications, signed item by item, and platform webhooks, signed as a whole.

Sources: the HMAC validator of Adyen's Python library; docs.adyen.com, "Verify HMAC signatures". Every item of a
notification is verified, where the library's own helper looks at the first only.
"""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import EachId, EachType, Field, Joined, Recogniser
from ringback.signing import Encoding, Hmac, ItemHmac, SecretForm

_ITEMS = "notificationItems"
_ITEM = "NotificationRequestItem."
_KEY = (Field(f"{_ITEM}pspReference"), Field(f"{_ITEM}eventCode"), Field(f"{_ITEM}success"))

ADYEN = Profile(
    name="adyen",
    title="Adyen payments",
    configured_with="the HMAC key, in hex",
    scheme=ItemHmac(),
    recognise=Recogniser(
        event_type=EachType(_ITEMS, Field(f"{_ITEM}eventCode")),
        dedupe_key=EachId(_ITEMS, Joined(_KEY, by=":")),
    ),
    uncovered=(
        "Adyen's signature covers eight fields of each item (references, account, amount, event code, success) and no "
        "time: use nothing else, such as the reason or other additional data, without asking Adyen."
    ),
)
ADYEN_PLATFORM = Profile(
    name="adyen-platform",
    title="Adyen platform",
    configured_with="the HMAC key, in hex",
    scheme=Hmac(header="hmacsignature", encoding=Encoding.BASE64, secret_form=SecretForm.HEX),
    recognise=Recogniser(event_type=Field("type")),
    uncovered="Adyen signs the body only, and no id for de-duplication is known: handlers must bear repeats.",
)
