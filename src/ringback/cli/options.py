"""Command-line options made from the table of settings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ringback.config import BY_NAME, SETTINGS, Address, Setting, Settings, load_here, parse_address
from ringback.repetition import MAX_KEY_LENGTH

SERVER_SETTINGS = tuple(setting for setting in SETTINGS if not setting.client)
CLIENT_SETTINGS = tuple(setting for setting in SETTINGS if setting.client)

STORE_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name in {"store", "main_key"})

Command = Callable[..., Any]
Load = Callable[[], Settings]


def read_address(ctx: click.Context, param: click.Parameter, value: str) -> Address:
    """Read an option that says where to listen and is no setting, as its callback."""
    try:
        return parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def read_as(name: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Return the callback of an option that is the setting *name* under another name: what that refuses, it refuses."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        try:
            if value is not None:
                BY_NAME[name].read(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}. Example: {BY_NAME[name].example}", ctx, param) from None
        return value

    return read


def idempotency_key_option(description: str) -> Callable[[Command], Command]:
    """Give a command ``--idempotency-key``, whose value fits into a header."""
    return click.option("--idempotency-key", metavar="KEY", callback=_read_key, help=description)


def _read_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (
        0 < len(value) <= MAX_KEY_LENGTH and value.isascii() and value.isprintable()
    ):
        raise click.BadParameter(f"a key is 1 to {MAX_KEY_LENGTH} printable ASCII characters", ctx, param)
    return value


def settings_options(settings: Iterable[Setting]) -> Callable[[Command], Command]:
    """Give a command ``--config`` and a flag for each of *settings*; it is called with ``settings``."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def load_and_call(*, load: Load, **options: Any) -> Any:
            return command(settings=load(), **options)

        return settings_flags(settings)(load_and_call)

    return decorate


def settings_flags(settings: Iterable[Setting]) -> Callable[[Command], Command]:
    """As ``settings_options``, but the command is called with ``load``, which loads the settings."""
    chosen = tuple(settings)

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(*, config: Path | None, **options: Any) -> Any:
            flags = {setting.name: options.pop(f"setting_{setting.name}") for setting in chosen}
            return command(load=functools.partial(load_here, flags, config), **options)

        decorated: Command = _config_option(call)
        for setting in reversed(chosen):
            decorated = _option(setting)(decorated)
        return decorated

    return decorate


def _option(setting: Setting) -> Callable[[Command], Command]:
    return click.option(setting.flag, f"setting_{setting.name}", metavar=setting.kind, help=_help(setting))


def _help(setting: Setting) -> str:
    if setting.default:
        return f"{setting.description}  [default: {setting.default}]"
    if setting.secret:
        return f"{setting.description} Better given as {setting.variable}: flags are visible to other users."
    return setting.description


_config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Read settings from this file instead of ./ringback.toml.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
