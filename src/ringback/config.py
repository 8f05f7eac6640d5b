"""What can be set, and where a setting's value comes from.

``SETTINGS`` is the one table: the command line's flags, the environment variables, ``ringback.toml`` and the
reference page all follow from it. A value is looked for in that order: flag, ``RINGBACK_…`` variable,
``ringback.toml``, default. This module is the only one that reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ringback.declared_sources import Variables, read_tables
from ringback.errors import ConfigurationError
from ringback.model import Duration
from ringback.policy import RetrySchedule, parse_schedule
from ringback.secrecy import MASK, masked
from ringback.setting_values import (
    Network,
    choice,
    colour,
    duration,
    jwt_secrets,
    main_key,
    number,
    organisation,
    origins,
    parse_networks,
    payload_size,
    readable_file,
    token,
    unicode,
    url,
)
from ringback.signed_tokens import DEFAULT_ORGANISATION
from ringback.source_drafts import DeclaredSource

PREFIX = "RINGBACK_"
# Read by `ringback signature` alone, so it is no setting; but neither is it a misspelt one.
SIGNATURE_SECRET_VARIABLE = "RINGBACK_SIGNATURE_SECRET"  # noqa: S105 - a variable's name
FILE_NAME = "ringback.toml"
DEFAULT = "default"
SOURCES = "sources"
MAX_PORT = 65_535


class Address(msgspec.Struct, frozen=True):
    """Where to listen. Port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``, an IPv6 host in brackets.

    Raises:
        ValueError: *text* is not such an address.
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not separator or not host or not (port.isascii() and port.isdigit()):
        raise ValueError("an address is HOST:PORT")
    if int(port) > MAX_PORT:
        raise ValueError(f"a port is 0 to {MAX_PORT}")
    return Address(host, int(port))


# --- The table ---------------------------------------------------------------------------------------------


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be set.

    ``default`` is in the form a person would write; where it is None, ``description`` tells what leaving the
    setting out does. ``client`` settings are for commands that talk to a running server.
    """

    name: str
    read: Callable[[str], Any]
    kind: str
    default: str | None
    description: str
    example: str
    secret: bool = False
    client: bool = False

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + self.name.replace("_", "-")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="listen",
        read=parse_address,
        kind="HOST:PORT",
        default="127.0.0.1:8400",
        description="Where the API listens. Port 0 takes any free one.",
        example="0.0.0.0:8400",
    ),
    Setting(
        name="health_listen",
        read=parse_address,
        kind="HOST:PORT",
        default=None,
        description="Where a worker that has no API tells whether it lives, at /livez, /readyz and /metrics. Without "
        "it, nowhere.",
        example="0.0.0.0:8401",
    ),
    Setting(
        name="public_url",
        read=url("http", "https"),
        kind="URL",
        default=None,
        description="Where providers reach this server, for the addresses of sources. Without it, they are told to "
        "whoever asks as below the address that was asked at.",
        example="https://hooks.example.com",
    ),
    Setting(
        name="store",
        read=str,
        kind="URL",
        default="sqlite:///ringback.db",
        description="Where everything is kept. Four slashes make the path absolute.",
        example="sqlite:////var/lib/ringback/ringback.db",
    ),
    Setting(
        name="admin_token",
        read=token,
        kind="TOKEN",
        default=None,
        description="A token that may do everything. Without it, the first start makes one, shown once.",
        example="a long random text",
        secret=True,
    ),
    Setting(
        name="jwt_secret",
        read=jwt_secrets,
        kind="SECRET[,SECRET…]",
        default=None,
        description="Signs JSON Web Tokens (HS256) that may use the API, as a Svix server's JWT secret does. The first "
        "one signs, tokens that the others signed are good, too. Without it, none are.",
        example="the output of: openssl rand -hex 32",
        secret=True,
    ),
    Setting(
        name="organisation",
        read=organisation,
        kind="ID",
        default=DEFAULT_ORGANISATION,
        description="The organisation whose JSON Web Tokens may use the API; those of others are refused.",
        example=DEFAULT_ORGANISATION,
    ),
    Setting(
        name="main_key",
        read=main_key,
        kind="BASE64[,BASE64…]",
        default=None,
        description="Encrypts the signing secrets in the store: 32 bytes in base64. The first one seals, "
        "the others still open what they sealed. Without it, one is made and kept beside the database.",
        example="the output of: openssl rand -base64 32",
        secret=True,
    ),
    Setting(
        name="allow_subnets",
        read=parse_networks,
        kind="CIDR[,CIDR…]",
        default="",
        description="Networks that are not public and may be delivered to all the same.",
        example="10.0.0.0/8,fd00::/8",
    ),
    Setting(
        name="retry_schedule",
        read=parse_schedule,
        kind="NAME|DELAYS",
        default="default",
        description="When a failed delivery is tried again: default (ten attempts in three days), xendit "
        "(seven in a day), none, or the delays between attempts.",
        example="5s,5m,1h",
    ),
    Setting(
        name="delivery_timeout",
        read=duration("1s", "60s"),
        kind="DURATION",
        default="20s",
        description="The longest one attempt may take, from looking up the name to the end of the answer.",
        example="20s",
    ),
    Setting(
        name="worker_slots",
        read=number(1, 10_000),
        kind="NUMBER",
        default="512",
        description="How many attempts one node makes at the same time.",
        example="512",
    ),
    Setting(
        name="memory_deliveries",
        read=number(0, 1_000_000),
        kind="NUMBER",
        default="10000",
        description="How many deliveries one node keeps in memory. What is beyond waits in the store.",
        example="10000",
    ),
    Setting(
        name="endpoint_disable_after",
        read=duration("1m", "365d"),
        kind="DURATION",
        default="5d",
        description="How long an endpoint may be without a success before a delivery given up disables it.",
        example="5d",
    ),
    Setting(
        name="breaker_rest",
        read=duration("100ms", "1h"),
        kind="DURATION",
        default="30s",
        description="How long an endpoint that keeps failing is left alone before one attempt probes it.",
        example="30s",
    ),
    Setting(
        name="retention",
        read=duration("1h", "3650d"),
        kind="DURATION",
        default="30d",
        description="How long messages and their attempts are kept after everything about them is done.",
        example="30d",
    ),
    Setting(
        name="max_payload",
        read=payload_size,
        kind="SIZE",
        default="1MiB",
        description="The largest payload accepted, 1KiB to 16MiB.",
        example="512KiB",
    ),
    Setting(
        name="egress_proxy",
        read=url("http"),
        kind="URL",
        default=None,
        description="An HTTP proxy that all deliveries go through. Without it, they go directly.",
        example="http://proxy.internal:3128",
    ),
    Setting(
        name="tls_ca_file",
        read=readable_file,
        kind="FILE",
        default=None,
        description="Certificates (PEM) to trust besides the system's when delivering.",
        example="/etc/ssl/internal-ca.pem",
    ),
    Setting(
        name="poll_interval",
        read=duration("10ms", "1m"),
        kind="DURATION",
        default="500ms",
        description="How often a worker looks into the store for what is due.",
        example="500ms",
    ),
    Setting(
        name="drain_timeout",
        read=duration("0s", "10m"),
        kind="DURATION",
        default="30s",
        description="How long a node that is told to stop lets attempts under way finish.",
        example="30s",
    ),
    Setting(
        name="unknown_fields",
        read=choice("ignore", "refuse"),
        kind="WHAT",
        default="ignore",
        description="What the API does with fields and query parameters that it does not know: ignore (they are named "
        "in the answer's header Ringback-Ignored), or refuse.",
        example="refuse",
    ),
    Setting(
        name="plain_http_login",
        read=choice("refuse", "allow"),
        kind="WHAT",
        default="refuse",
        description="Whether people may sign in to the pages over plain HTTP: refuse, unless it is from the server's "
        "own machine; or allow, where nobody can listen in between. Behind a proxy with HTTPS nothing needs to be set.",
        example="allow",
    ),
    Setting(
        name="portal_name",
        read=str,
        kind="NAME",
        default="Webhooks",
        description="What the portal calls itself to your customers: your name.",
        example="Acme",
    ),
    Setting(
        name="portal_logo",
        read=readable_file,
        kind="FILE",
        default=None,
        description="Your logo for the portal, .svg or .png. Without it, it has Ringback's.",
        example="/etc/ringback/logo.svg",
    ),
    Setting(
        name="portal_colour",
        read=colour,
        kind="COLOUR",
        default=None,
        description="Your colour for the portal, made lighter or darker where it could not be read. Without it, it has "
        "Ringback's.",
        example="#2b3fd0",
    ),
    Setting(
        name="portal_ancestors",
        read=origins,
        kind="ORIGINS",
        default=None,
        description="The sites that may hold the portal in a frame, such as https://app.acme.example. Without any, "
        "none may.",
        example="https://app.acme.example",
    ),
    Setting(
        name="log_level",
        read=choice("debug", "info", "warning", "error"),
        kind="LEVEL",
        default="info",
        description="The least severe log line written: debug, info, warning or error.",
        example="info",
    ),
    Setting(
        name="log_format",
        read=choice("text", "json"),
        kind="FORMAT",
        default="text",
        description="How log lines are written: text for people, json for machines.",
        example="json",
    ),
    Setting(
        name="url",
        read=url("http", "https"),
        kind="URL",
        default="http://127.0.0.1:8400",
        description="The server that client commands talk to.",
        example="https://hooks.internal",
        client=True,
    ),
    Setting(
        name="token",
        read=token,
        kind="TOKEN",
        default=None,
        description="The token that client commands authenticate with. Without it, they are refused.",
        example="a token made with: ringback token create NAME",
        secret=True,
        client=True,
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


class Origin(msgspec.Struct, frozen=True):
    """Where a value was found (a flag, a variable, a file or ``default``) and the text found there."""

    where: str
    text: str | None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, read and checked; durations are milliseconds, sizes are bytes.

    ``SETTINGS`` describes them; ``origins`` tells where each was found. ``sources`` are those that the file declares.
    """

    listen: Address
    health_listen: Address | None
    public_url: str | None
    store: str
    admin_token: str | None
    jwt_secret: tuple[str, ...] | None
    organisation: str
    main_key: str | None
    allow_subnets: tuple[Network, ...]
    retry_schedule: RetrySchedule
    delivery_timeout: Duration
    worker_slots: int
    memory_deliveries: int
    endpoint_disable_after: Duration
    breaker_rest: Duration
    retention: Duration
    max_payload: int
    egress_proxy: str | None
    tls_ca_file: Path | None
    poll_interval: Duration
    drain_timeout: Duration
    unknown_fields: str
    plain_http_login: str
    portal_name: str
    portal_logo: Path | None
    portal_colour: tuple[int, int, int] | None
    portal_ancestors: tuple[str, ...] | None
    log_level: str
    log_format: str
    url: str
    token: str | None
    origins: Mapping[str, Origin]
    sources: tuple[DeclaredSource, ...] = ()

    def shown(self, setting: Setting) -> str:
        """Return a value as a person would write it; secrets masked, nothing where nothing is set."""
        text = self.origins[setting.name].text
        return MASK if setting.secret and text else masked(text or "")

    def address_of(self, path: str, listens_on: Address | None = None) -> str:
        """Return where people open a *path* of this server; it listens on the setting's address, or on another one."""
        host, port = msgspec.structs.astuple(listens_on or self.listen)
        # What stands for all addresses of a machine is none that could be opened.
        here = Address("127.0.0.1" if host in {"0.0.0.0", "::"} else host, port)  # noqa: S104 - nothing is bound
        return f"{(self.public_url or f'http://{here}').rstrip('/')}/{path}"

    @property
    def place(self) -> str:
        """Where the store is, as it may be told: without a password."""
        return masked(self.store)

    def __repr__(self) -> str:
        values = ", ".join(f"{setting.name}={self.shown(setting)!r}" for setting in SETTINGS)
        return f"Settings({values})"


# --- Loading -----------------------------------------------------------------------------------------------


def load(flags: Mapping[str, str | None], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Put the settings together.

    Args:
        flags: By the setting's name; None means the flag was not given.
        environment: All variables; those that do not begin with ``RINGBACK_`` are ignored, as are empty ones.
        file: A TOML file with one key per setting, and one table per source; None means there is none.

    Raises:
        ConfigurationError: A value is wrong, a variable or key is unknown, or the file cannot be read.
    """
    variables = [*(setting.variable for setting in SETTINGS), SIGNATURE_SECRET_VARIABLE]
    _check_known("setting", flags, list(BY_NAME), "")
    _check_known("environment variable", environment, variables, PREFIX)
    document = {} if file is None else _read_file(file)
    sources = read_tables(document.pop(SOURCES, {}), environment, str(file))
    _check_known(f"key in {file}", document, [*BY_NAME, SOURCES])
    written = {key: _text_of(key, value, file) for key, value in document.items()}
    origins = {setting.name: _find(setting, flags, environment, written, file) for setting in SETTINGS}
    values = {name: _value(BY_NAME[name], origin) for name, origin in origins.items()}
    return Settings(**values, origins=origins, sources=sources)


def load_here(flags: Mapping[str, str | None], file: Path | None = None) -> Settings:
    """Put the settings together from *flags*, the environment and *file*, by default the folder's own.

    Raises:
        ConfigurationError: As ``load``.
    """
    own = Path(FILE_NAME)
    return load(flags, os.environ, file or (own if own.exists() else None))


def value_here(text: str) -> str:
    """Return *text*, or where it is ``env:NAME`` the value of that environment variable.

    Raises:
        ConfigurationError: The variable is not set.
    """
    variables = Variables(os.environ)
    value = variables.value(text)
    if variables.missing:
        raise ConfigurationError(
            f"the environment has no {variables.missing[0]}; set it, or give another value"
        )
    return value


def variable_here(name: str) -> str | None:
    """Return the value of an environment variable that is no setting, None where it is not set or empty."""
    return os.environ.get(name) or None


def colour_wanted() -> bool:
    """Tell whether the environment allows colour (https://no-color.org, and terminals that have none)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _find(
    setting: Setting,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    written: Mapping[str, str],
    file: Path | None,
) -> Origin:
    flag = flags.get(setting.name)
    if flag is not None:
        return Origin(setting.flag, flag)
    if environment.get(setting.variable):
        return Origin(setting.variable, environment[setting.variable])
    if setting.name in written:
        return Origin(str(file), written[setting.name])
    return Origin(DEFAULT, setting.default)


def _value(setting: Setting, origin: Origin) -> Any:
    if origin.text is None:
        return None
    try:
        return setting.read(unicode(origin.text).strip())
    except ValueError as error:
        shown = "the value given" if setting.secret else repr(masked(origin.text))
        raise ConfigurationError(
            f"{origin.where}: cannot use {shown} for {setting.name}: {error}. Example: {setting.example}"
        ) from None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{file}: the configuration file cannot be read: {error.strerror}. Check --config and its rights"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file}: this is not TOML: {error}. Write lines such as: worker_slots = 64"
        ) from None


def _text_of(key: str, value: object, file: Path | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    raise ConfigurationError(
        f"{file}: cannot use {value!r} for {key}: write a string, a whole number or a list of strings. "
        f"Example: {BY_NAME[key].example}"
    )


def _check_known(what: str, given: Iterable[str], known: Iterable[str], prefix: str = "") -> None:
    names = list(known)
    for name in given:
        if not name.startswith(prefix) or name in names:
            continue
        near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
        advice = f"Did you mean {' or '.join(near)}?" if near else "`ringback config` lists all settings"
        raise ConfigurationError(f"unknown {what}: {name}. {advice}")
