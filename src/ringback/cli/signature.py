"""``ringback signature``: verify, sign and explain any provider's webhook from a shell."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ringback.cli import SIGNATURE_INVALID
from ringback.cli.output import print_json
from ringback.config import SIGNATURE_SECRET_VARIABLE
from ringback.errors import SignatureInvalid
from ringback.model import iso
from ringback.outbox import system_clock
from ringback.providers import (
    PROVIDERS,
    Answer,
    Explanation,
    Profile,
    Received,
    answer_challenge,
    explain,
    provider,
    verify,
)
from ringback.signing import Request

LAST_SECOND = 253_402_300_799  # the end of the year 9999


class Case(msgspec.Struct, frozen=True):
    """What every subcommand works on. ``now`` is in milliseconds."""

    profile: Profile
    secrets: tuple[str, ...]
    request: Request
    now: int


class _Secret(click.ParamType):  # type: ignore[type-arg] # generic in later versions of click only
    """A secret; in the environment there is one, whatever blanks and line breaks are in it."""

    name = "secret"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [rv]


def _case_options(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def build_and_call(
        *,
        provider_name: str,
        secrets: tuple[str, ...],
        secret_files: tuple[str, ...],
        method: str,
        url: str,
        now: int | None,
        headers: tuple[str, ...],
        body_file: str,
        **options: Any,
    ) -> Any:
        request = Request(method.upper(), url, _read_headers(headers), _contents(body_file))
        instant = system_clock() if now is None else now * 1000
        known = (*secrets, *map(_read_secret, secret_files))
        if not known:
            raise click.UsageError(
                f"there is no secret: set {SIGNATURE_SECRET_VARIABLE}, or give --secret or --secret-file"
            )
        return command(case=Case(provider(provider_name), known, request, instant), **options)

    for option in reversed(_CASE_OPTIONS):
        build_and_call = option(build_and_call)
    return build_and_call


_CASE_OPTIONS = (
    click.option(
        "--provider",
        "provider_name",
        required=True,
        type=click.Choice(sorted(PROVIDERS)),
        metavar="NAME",
        help="Who sends it, such as xendit, stripe or standard-webhooks; a wrong name lists them all.",
    ),
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        type=_Secret(),
        envvar=SIGNATURE_SECRET_VARIABLE,
        metavar="SECRET",
        help=(
            "A secret, token or key to accept; may be repeated. Better given as "
            f"{SIGNATURE_SECRET_VARIABLE}: flags are visible to other users."
        ),
    ),
    click.option(
        "--secret-file",
        "secret_files",
        multiple=True,
        metavar="FILE",
        help="A file with one more secret, such as a key in PEM; may be repeated.",
    ),
    click.option("--method", default="POST", metavar="METHOD", help="The request's method.  [default: POST]"),
    click.option("--url", default="", metavar="URL", help="The URL as the sender was given it."),
    click.option(
        "--now",
        type=click.IntRange(0, LAST_SECOND),
        metavar="UNIX",
        help="The time to judge by, in Unix seconds, instead of the present.",
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="A header of the request; may be repeated.",
    ),
    click.option(
        "--body-file",
        required=True,
        metavar="FILE",
        help="The body, byte for byte; - is standard input.",
    ),
)


@click.group("signature")
def command() -> None:
    """Verify, sign and explain a provider's webhook."""


@command.command("verify", short_help="Check a request and print what it is about.")
@_case_options
def verify_command(*, case: Case) -> None:
    """Check a request and print its id and type as JSON; leave with 8 and the reason if it does not verify."""
    try:
        answer = answer_challenge(case.profile, case.secrets, case.request, case.now)
        if answer is None:
            print_json(_shown(verify(case.profile, case.secrets, case.request, case.now)))
        else:
            print_json(_shown_answer(answer))
    except SignatureInvalid as error:
        raise SignatureInvalid(error.reason, f"{error.reason}: {error.detail}") from None


@command.command("sign", short_help="Print a request as its provider would send it.")
@_case_options
@click.option(
    "--event-id", default="evt_example", metavar="ID", help="The event's id.  [default: evt_example]"
)
def sign_command(*, case: Case, event_id: str) -> None:
    """Print the request with the headers, body or URL that its provider would send, as JSON.

    A scheme with key pairs signs with the private key in PEM.
    """
    signed = case.profile.scheme.sign(case.secrets, case.request, case.now, event_id)
    print_json(
        {
            "method": signed.method,
            "url": signed.url,
            "headers": dict(signed.headers),
            **_shown_body(signed.body),
        }
    )


@command.command("explain", short_help="Say why a request does not verify.")
@_case_options
def explain_command(*, case: Case) -> int:
    """Say why a request does not verify, and what to do about it; leave with 8 if it does not."""
    found = explain(case.profile, case.secrets, case.request, case.now)
    if found is None:
        click.echo("The request verifies.")
        return 0
    _print_explanation(found)
    return SIGNATURE_INVALID


def _print_explanation(found: Explanation) -> None:
    click.echo(f"{found.reason}: {found.detail}")
    for hint in found.hints:
        click.echo(f"- {hint}")


def _shown(received: Received) -> dict[str, Any]:
    return {
        "id": received.event_id,
        "type": received.event_type,
        "sentAt": None if received.sent_at is None else iso(received.sent_at),
        "secret": received.key,
        "dedupeKey": received.dedupe_key,
        "businessKey": received.business_key,
        "test": received.is_test,
        "understood": received.understood,
    }


def _shown_answer(answer: Answer) -> dict[str, Any]:
    shown = {"status": answer.status, "contentType": answer.content_type, **_shown_body(answer.body)}
    return {"challenge": shown, "visit": answer.visit}


def _shown_body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": body}


def _contents(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from None


def _read_secret(file: str) -> str:
    # The line break that an editor or echo leaves at the end is no part of a secret.
    try:
        return _contents(file).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.UsageError(f"the secret in {file} is not text") from None


def _read_headers(lines: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"a header is written 'Name: value', not {line!r}")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return headers
