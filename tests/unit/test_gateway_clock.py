"""How long the gateway trusts what it knows, by a clock that may be set back."""

import asyncio

import msgspec
from management import management

from ringback import ids
from ringback.gateway import Gateway
from ringback.intake import Intake
from ringback.model import Source
from ringback.observe import Observer
from ringback.policy import HOUR
from ringback.testing import secret_for, signed_request

XENDIT, TOKEN = "xendit", "token-of-the-source"
NOW = 1_760_000_000_000
SOURCE = Source(
    id=ids.new_id(ids.SOURCE, NOW, bytes(ids.ENTROPY_BYTES)),
    name=XENDIT,
    provider=XENDIT,
    secrets=(secret_for(XENDIT),),
    token=TOKEN,
    created_at=0,
    updated_at=0,
)


def renewed(source):
    return msgspec.structs.replace(source, token="another-token-of-it")


def test_a_clock_set_back_does_not_keep_an_old_token_known(tmp_path):
    """A token that was replaced opens nothing any more, also while the clock shows a time before it was known."""
    with management(tmp_path) as api:
        api.committer.write(lambda store: store.add_source(SOURCE)).result()
        now = [NOW]
        intake = Intake(api.committer, Observer(), clock=lambda: now[0])
        gateway = Gateway(api.committer, intake, clock=lambda: now[0], max_body=10_000)

        async def talk():
            before = await gateway.accept(TOKEN, signed_request(XENDIT, "invoice.paid", event_id="1001"))
            await api.committer.write(lambda store: store.change_source(SOURCE.id, renewed))
            now[0] -= HOUR
            after = await gateway.accept(TOKEN, signed_request(XENDIT, "invoice.paid", event_id="1002"))
            return before.status, after.status

        assert asyncio.run(talk()) == (200, 404)
