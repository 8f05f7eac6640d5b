"""``ringback dev``: a server, made-up payments, and receivers of which one fails and recovers."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import click

from ringback import tokens
from ringback.cli.start import explained
from ringback.config import Settings, load_here

LOOPBACK = "127.0.0.0/8,::1/128"
RETRIES = "1s,2s,5s"


@click.command("dev", short_help="Run a server here and watch made-up payments delivered.")
@click.option("--listen", metavar="HOST:PORT", help="Where the API listens.  [default: 127.0.0.1:8400]")
@click.option(
    "--data",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    default=Path(".ringback"),
    show_default=True,
    help="Where the database, its key and the token are kept.",
)
@click.option("--once", is_flag=True, help="Leave when the story is over: 0 if all was delivered, 1 if not.")
def command(listen: str | None, data: Path, *, once: bool) -> int:
    """Run a server here and watch messages being accepted, delivered, refused, retried and recovered."""
    flags = {
        "listen": listen,
        "store": f"sqlite:///{data / 'ringback.db'}",
        "allow_subnets": LOOPBACK,
        "retry_schedule": RETRIES,
    }
    settings = load_here(flags)
    with explained(settings, place="--data"):
        token = _token(data)
        delivered = asyncio.run(_demonstrate(load_here({**flags, "admin_token": token}), data, once=once))
    return int(once and not delivered)


async def _demonstrate(settings: Settings, data: Path, *, once: bool) -> bool:
    from ringback.demo.stage import Demonstration  # noqa: PLC0415 - a server's imports would slow `--help`

    return await Demonstration(settings, f"{data}{os.sep}").run(once=once)


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
