"""Writes the pages in docs/reference that say what the source says.

Run it with ``make docs`` after changing what they are about; ``tests/test_docs.py`` notices when it was forgotten.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from ringback.cli import EXIT_MEANINGS, ringback
from ringback.config import SETTINGS, Setting
from ringback.outbox import Outbox
from ringback.providers import PROVIDERS, CatalogueEntry
from ringback.sandbox.xendit.calls import Route
from ringback.sandbox.xendit.catalog import by_product, entries, sample_of
from ringback.sandbox.xendit.field_kinds import kind_of
from ringback.sandbox.xendit.products import PRODUCTS
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of
from ringback.sandbox.xendit.slots import Sending

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
MADE = "<!-- Made by scripts/reference_pages.py; change the source, then run: make docs -->"

SETTINGS_INTRODUCTION = """\
A value is looked for in this order: the command line's flag, the environment variable, `ringback.toml` in the
working folder (or the file that `--config` names), the default. `ringback config` shows every value and where
it came from. A variable that begins with `RINGBACK_`, or a key in the file, that is not in these tables is an
error, so a misspelt one is never ignored. An empty variable counts as not set.

In `ringback.toml` a setting is a key of the same name:

```toml
listen = "0.0.0.0:8400"
worker_slots = 64
allow_subnets = ["10.0.0.0/8"]
```

Durations are a number and `ms`, `s`, `m`, `h` or `d`. Sizes are a number of bytes, or a number and `KiB` or
`MiB`. Give secrets as environment variables: flags can be read by other users of the machine."""

SOURCES = """\
A table `[sources.NAME]` declares a place where webhooks come in; NAME is the source's uid. A server writes what is
declared to the store when it starts, and tells the address of a new source once, unless `log_format` is `json`;
`ringback source show NAME` shows it again. What is declared no more stays in the store, and the log says so at every
start.

```toml
[sources.xendit]
secrets = ["env:XENDIT_CALLBACK_TOKEN"]
forward = [
    "https://shop.internal/hooks",
    { url = "https://books.internal/hooks", events = ["invoice.*"], secret = "env:BOOKS_SECRET" },
]
ack = { status = 200, body = "OK" }
```

A value such as `env:NAME` is that of the environment variable NAME, in `secrets`, `token`, and the `secret` and
`headers` of a forward. Networks that are not public have to be in `allow_subnets` to be forwarded to."""

SOURCE_KEYS = (
    ("`secrets`", "Every secret to accept, at least one.", ""),
    ("`provider`", "Who sends: the name of one of the [providers](providers.md).", "NAME"),
    ("`token`", "The secret part of the address: 16 to 256 letters, digits, `-` and `_`.", "made once"),
    ("`forward`", "Where to: URLs, or tables with `url`, `events`, `secret` and `headers`.", "nowhere"),
    (
        "`ack`",
        "What to answer: a table with `status`, `body` and `content_type`.",
        "as the provider wants it",
    ),
    ("`url`", "The address as the provider has it, for those that sign it.", "the address called"),
    ("`options`", "Parameters of the provider's scheme.", "none"),
)

CLI_INTRODUCTION = """\
Data goes to standard output, everything else to standard error. `--json` makes a command print JSON. Colour
is only used on a terminal, and not when `NO_COLOR` is set."""


PROVIDERS_INTRODUCTION = """\
These are the senders whose webhooks can be verified, by the name that commands and settings call them. Several secrets
may live at once, as during a rotation. `ringback signature verify`, `sign` and `explain` work with each of them;
see the [command line](cli.md#ringback-signature). A sender that is not here, and signs with an HMAC, is described by
the parameters of `ringback.signing.Hmac`."""

PROVIDERS_UNCOVERED = """\
A signature protects only what it covers. What a provider leaves open, and how to make up for it:"""


XENDIT_EVENTS_INTRODUCTION = """\
These are the webhooks that Xendit sends, as far as is known. `ringback trigger xendit EVENT` sends one, through a
running [sandbox](../how-to/rehearse-xendit.md) or straight to a URL; so does the sandbox's page Events. A name with
a colon is another form of the event before it. Every value in a sample is made up.

How certain an entry is: **high**, from official text or a captured delivery; **medium**, from several secondary
sources; **low**, from one weak source, so that names and fields may differ."""


SANDBOX_INTRODUCTION = """\
What `ringback sandbox xendit` answers; [the guide](../how-to/rehearse-xendit.md) says how it is used. Calls come with a
key of the sandbox as the user of HTTP Basic, and may name a sub-account in `for-user-id`. Errors have the provider's
shape: `{"error_code", "message", "errors"}`. A POST with an `idempotency-key` (or `X-IDEMPOTENCY-KEY`) that comes again
with the same body is answered as the first time."""

SANDBOX_OWN = """\
The provider has no such calls: they do what a person does on a page or with a phone, steer the sandbox, and show what
it knows."""

SANDBOX_SLOTS = """\
Each kind of event goes to the URL of its slot, of which there is one for the test mode and one for the live mode."""


def xendit_sandbox_page() -> str:
    """Return the page about the calls that the Xendit sandbox answers."""
    # The routes are looked at, none is called.
    outbox = Outbox(None)  # type: ignore[arg-type]
    chance = random.Random(0)  # noqa: S311 - no secret comes of it
    played = Sandbox(outbox, PRODUCTS, clock=lambda: 0, chance=chance, sending=Sending())
    routes = [route for route in played.routes() if not route.open]
    own = [route for route in routes if route.template.startswith("/sandbox/")]
    parts = [
        "# The Xendit sandbox",
        MADE,
        SANDBOX_INTRODUCTION,
        "## The provider's calls",
        _routes_table([route for route in routes if route not in own]),
        "## The sandbox's own calls",
        SANDBOX_OWN,
        _routes_table(own),
        "## Slots",
        SANDBOX_SLOTS,
        _table(("Slot", "What goes there"), [(f"`{name}`", label) for name, label in SLOTS.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _routes_table(routes: list[Route]) -> str:
    rows = [
        (f"`{route.method} {route.template.replace(':rest', '')}`", _told_of(route))
        for route in sorted(routes, key=lambda route: (route.template.rstrip("/"), route.method))
        # Where the provider takes both spellings, one line is enough.
        if not route.template.endswith("/")
    ]
    return _table(("Call", "What it does"), rows)


def _told_of(route: Route) -> str:
    text = " ".join((route.action.__doc__ or "").split("\n\n")[0].split())
    named, _, rest = text.partition("``: ")
    told = (rest if named.startswith("``") and rest else text).replace("``", "`")
    # What is said of a class is for who reads the source.
    told = re.sub(r" \(see `\w+`\)|; (see|answers as) `\w+`", "", told)
    return told[:1].upper() + told[1:]


def xendit_events_page() -> str:
    """Return the page about the events of Xendit."""
    listed = [
        (f"[`{entry.name}`](#{_anchor(entry.name)})", entry.certainty, f"`{slot_of(entry.event_type)}`")
        for entry in entries().values()
    ]
    parts = [
        "# Xendit's events",
        MADE,
        XENDIT_EVENTS_INTRODUCTION,
        _table(("Event", "Certainty", "Setting"), listed),
    ]
    for product, some in by_product().items():
        parts.append(f"## {product}")
        for entry in some:
            parts.extend(_event_section(entry))
    return "\n\n".join(parts) + "\n"


def _event_section(entry: CatalogueEntry) -> Iterator[str]:
    slot = slot_of(entry.event_type)
    form = "an envelope around `data`" if entry.shape == "event" else "a flat object"
    unnamed = "" if entry.event_in_body else ", which does not name its event"
    yield f"### {entry.name}"
    yield f"Certainty: {entry.certainty} ({entry.source}). Setting: `{slot}`, {SLOTS[slot]}. Body: {form}{unnamed}."
    if entry.note:
        yield f"{entry.note[:1].upper()}{entry.note[1:]}."
    kinds = [(path, kind_of(written)) for path, written in entry.fields.items()]
    rows = [
        (
            f"`{path}`",
            f"{kind}{', always there' if kind.required else ''}",
            f"`{kind.remark}`" if kind.remark else "",
        )
        for path, kind in kinds
    ]
    yield _table(("Field", "Type", "What is known"), rows)
    sample = msgspec.json.format(msgspec.json.encode(sample_of(entry)), indent=2).decode()
    yield f"```json\n{sample}\n```"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def providers_page() -> str:
    """Return the page about the providers."""
    profiles = sorted(PROVIDERS.values(), key=lambda profile: profile.name)
    secrets = [(f"`{p.name}`", p.title, p.configured_with, str(p.ack.status)) for p in profiles]
    uncovered = [(f"`{p.name}`", p.uncovered) for p in profiles if p.uncovered]
    parts = [
        "# Providers",
        MADE,
        PROVIDERS_INTRODUCTION,
        _table(("Name", "Who", "Its secret", "Answer"), secrets),
        "## What is not covered",
        PROVIDERS_UNCOVERED,
        _table(("Name", "What to know"), uncovered),
    ]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Return the page about the settings."""
    server = [setting for setting in SETTINGS if not setting.client]
    client = [setting for setting in SETTINGS if setting.client]
    parts = [
        "# Settings",
        MADE,
        SETTINGS_INTRODUCTION,
        "## Of a server or worker",
        _settings_table(server),
        "## Of commands that talk to a server",
        _settings_table(client),
        "## Sources",
        SOURCES,
        _table(("Key", "What it is", "Default"), list(SOURCE_KEYS)),
    ]
    return "\n\n".join(parts) + "\n"


def cli_page() -> str:
    """Return the page about the commands."""
    context = click.Context(ringback, info_name="ringback", **ringback.context_settings)
    parts = ["# Command line", MADE, CLI_INTRODUCTION, "## Exit codes", _exit_codes()]
    for command_context in _commands(context):
        parts.extend(_command_section(command_context))
    return "\n\n".join(parts) + "\n"


def _settings_table(settings: list[Setting]) -> str:
    rows = [
        (
            f"`{s.name}`",
            f"`{s.flag}`",
            f"`{s.variable}`",
            f"`{s.default}`" if s.default else "",
            s.description,
        )
        for s in settings
    ]
    return _table(("Setting", "Flag", "Variable", "Default", "What it does"), rows)


def _exit_codes() -> str:
    return _table(("Code", "Meaning"), [(str(code), meaning) for code, meaning in EXIT_MEANINGS.items()])


def _commands(context: click.Context) -> Iterator[click.Context]:
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            inner = click.Context(command, parent=context, info_name=name)
            yield inner
            yield from _commands(inner)


def _command_section(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}"
    yield "```\n" + " ".join([context.command_path, *command.collect_usage_pieces(context)]) + "\n```"
    yield "\n\n".join(" ".join(block.split()) for block in (command.help or "").split("\n\n"))
    options = [p.get_help_record(context) for p in command.get_params(context) if isinstance(p, click.Option)]
    yield _table(("Option", "What it does"), [(f"`{record[0]}`", record[1]) for record in options if record])


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |" for row in lines
    )


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "settings.md").write_text(settings_page(), "utf-8")
    (FOLDER / "cli.md").write_text(cli_page(), "utf-8")
    (FOLDER / "providers.md").write_text(providers_page(), "utf-8")
    (FOLDER / "xendit-events.md").write_text(xendit_events_page(), "utf-8")
    (FOLDER / "xendit-sandbox.md").write_text(xendit_sandbox_page(), "utf-8")


if __name__ == "__main__":
    main()
