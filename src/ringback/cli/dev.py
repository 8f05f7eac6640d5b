"""``ringback dev``: a shop, the sandbox that its buyers pay in, and a server, in one command."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringback import tokens
from ringback.cli.options import read_address
from ringback.cli.start import explained
from ringback.config import Address, Settings, load_here

if TYPE_CHECKING:
    from ringback.demo.stage import Places

LOOPBACK = "127.0.0.0/8,::1/128"
RETRIES = "1s,2s,5s"
SANDBOX_TIMEOUT = "30s"  # how long Xendit waits for an answer


@click.command("dev", short_help="Run a shop with the Xendit sandbox and watch orders being paid.")
@click.option("--listen", metavar="HOST:PORT", help="Where the API listens.  [default: 127.0.0.1:8400]")
@click.option(
    "--sandbox",
    metavar="HOST:PORT",
    callback=read_address,
    default="127.0.0.1:8700",
    show_default=True,
    help="Where the Xendit sandbox listens.",
)
@click.option(
    "--shop",
    metavar="HOST:PORT",
    callback=read_address,
    default="127.0.0.1:8600",
    show_default=True,
    help="Where the shop listens.",
)
@click.option(
    "--data",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    default=Path(".ringback"),
    show_default=True,
    help="Where the databases, their keys and the token are kept.",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Open the live view in a browser, or do not.  [default: on a terminal, where there is a browser]",
)
@click.option("--once", is_flag=True, help="Leave when the story is over: 0 if all went well, 1 if not.")
def command(
    listen: str | None, sandbox: Address, shop: Address, data: Path, *, opens: bool | None, once: bool
) -> int:
    """Run a shop, the Xendit sandbox and a server here, and watch orders being paid and webhooks delivered.

    The shop is a FastAPI application. Its invoices are made by Xendit's official SDK, paid on the sandbox's checkout
    page, and fulfilled by the webhook: exactly once, though a handler fails, a webhook comes twice, and one is forged.
    """
    from ringback.demo.shop import DATABASE, check_packages  # noqa: PLC0415 - a server's imports would slow `--help`
    from ringback.demo.stage import Places  # noqa: PLC0415 - as above

    check_packages()
    flags = {
        "listen": listen,
        "store": f"sqlite:///{data / DATABASE}",
        "allow_subnets": LOOPBACK,
        "retry_schedule": RETRIES,
    }
    settings = load_here(flags)
    places = Places(data, sandbox, shop)
    with explained(settings, place="--data", flags={sandbox: "--sandbox", shop: "--shop"}):
        token = _token(data)
        settings = load_here({**flags, "admin_token": token})
        well = asyncio.run(_demonstrate(settings, places, opens=_opens(opens, once=once), once=once))
    return int(once and not well)


async def _demonstrate(settings: Settings, places: Places, *, opens: bool, once: bool) -> bool:
    from ringback.demo.stage import Demonstration  # noqa: PLC0415 - a server's imports would slow `--help`

    carrier = load_here(
        {
            "store": f"sqlite:///{places.data / 'sandbox.db'}",
            "allow_subnets": LOOPBACK,
            "delivery_timeout": SANDBOX_TIMEOUT,
        }
    )
    # The shop's worker may take what the server publishes, too: it is told the same.
    told = {"RINGBACK_ALLOW_SUBNETS": LOOPBACK, "RINGBACK_RETRY_SCHEDULE": RETRIES}
    return await Demonstration(settings, carrier, places, told, opens=opens).run(once=once)


def _opens(wanted: bool | None, *, once: bool) -> bool:
    """Tell whether to open a browser: as asked; otherwise where a person looks on who has a screen."""
    if wanted is not None:
        return wanted
    screen = sys.platform in {"darwin", "win32"} or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    return screen and sys.stdout.isatty() and not once


def _token(data: Path) -> str:
    """Return the token kept in the folder, made in the first run, so that curl lines keep working."""
    file = data / "token"
    data.mkdir(parents=True, exist_ok=True)
    try:
        return file.read_text("ascii").strip()
    except FileNotFoundError:
        token = tokens.new_token(secrets.token_bytes(tokens.ENTROPY_BYTES))
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(token + "\n")
        return token
