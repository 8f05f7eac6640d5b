"""``ringback sandbox``: services that send webhooks, played on this machine."""

from __future__ import annotations

import asyncio

import click

from ringback.cli.options import read_as
from ringback.cli.start import explained
from ringback.config import load_here, parse_address

LOOPBACK = "127.0.0.0/8,::1/128"
LISTEN = "127.0.0.1:8700"
TIMEOUT = "30s"  # how long Xendit waits for an answer


def _read_agent(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (value.strip() and value.isascii() and value.isprintable()):
        raise click.BadParameter("it is printable ASCII characters, as a header holds", ctx, param)
    return value


@click.group("sandbox", short_help="Play a service that sends webhooks, on this machine.")
def command() -> None:
    """Play a service that sends webhooks, on this machine: no account, no internet."""


@command.command("xendit", short_help="Play Xendit: its API, its pages and its webhooks.")
@click.option("--listen", metavar="HOST:PORT", default=LISTEN, show_default=True, help="Where to listen.")
@click.option(
    "--store",
    metavar="URL",
    default="sqlite:///ringback-sandbox.db",
    show_default=True,
    help="Where everything is kept.",
)
@click.option("--webhook-url", metavar="URL", help="Send all webhooks of the test mode there.")
@click.option(
    "--time-scale",
    metavar="N",
    default=1.0,
    show_default=True,
    type=click.FloatRange(1, 1_000_000),
    help="Let retries and expiries come N times as fast: with 900, a day takes 96 seconds.",
)
@click.option("--seed", metavar="N", type=int, help="Make ids and numbers come out the same every time.")
@click.option("--user-agent", metavar="TEXT", callback=_read_agent, help="What webhooks call their sender.")
@click.option(
    "--timeout",
    metavar="DURATION",
    default=TIMEOUT,
    show_default=True,
    callback=read_as("delivery_timeout"),
    help="Wait for an answer.",
)
@click.option("--retry-timeouts", is_flag=True, help="Try again where nobody answered in time, too.")
@click.option(
    "--allow",
    "networks",
    metavar="CIDR,...",
    default=LOOPBACK,
    show_default=True,
    callback=read_as("allow_subnets"),
    help="Private networks that webhooks may go to.",
)
@click.option(
    "--public-url",
    metavar="URL",
    callback=read_as("public_url"),
    help="How others reach it, for the links it gives out.",
)
def xendit(
    *,
    listen: str,
    store: str,
    webhook_url: str | None,
    time_scale: float,
    seed: int | None,
    user_agent: str | None,
    timeout: str,
    networks: str,
    public_url: str | None,
    retry_timeouts: bool,
) -> None:
    """Play Xendit until told to stop: invoices, payments and payouts by its API, webhooks for all that happens.

    Point the official SDK at it with the key xnd_development_ringback, and open /dashboard in a browser.
    """
    from ringback.demo.sandbox_server import SandboxOptions, play  # noqa: PLC0415 - a server's imports would slow `--help`
    from ringback.sandbox.xendit.slots import Sending  # noqa: PLC0415 - as above

    usual = Sending()
    sending = Sending(
        user_agent=usual.user_agent if user_agent is None else user_agent,
        retries_silence=retry_timeouts,
        time_scale=time_scale,
    )
    flags = {
        "listen": listen,
        "store": store,
        "allow_subnets": networks,
        "delivery_timeout": timeout,
    }
    settings = load_here(flags)
    options = SandboxOptions(
        listen=parse_address(listen),
        webhook_url=webhook_url,
        sending=sending,
        seed=seed,
        public_url=public_url,
    )
    with explained(settings):
        asyncio.run(play(settings, options))
