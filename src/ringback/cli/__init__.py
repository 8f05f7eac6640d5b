"""The command line: data on standard output, talk on standard error, an exit code that says what happened.

Every command lives in the module of its name and is imported only when it is used, so that completion and
``--help`` stay quick.
"""

from __future__ import annotations

import difflib
import importlib
import keyword
import os
import sys
from collections.abc import Sequence

import click

from ringback import __version__
from ringback.errors import (
    ConfigurationError,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    RingbackError,
    SignatureInvalid,
)

DONE = 0
FAILED = 1
USAGE = 2
CONFIGURATION = 3
NOT_AUTHORISED = 4
NOT_FOUND = 5
UNREACHABLE = 6
TIMED_OUT = 7
SIGNATURE_INVALID = 8
PARTLY_FAILED = 9
FOUND_BROKEN = 10
INTERRUPTED = 130

EXIT_MEANINGS = {
    DONE: "done",
    FAILED: "the operation failed",
    USAGE: "the command was not understood",
    CONFIGURATION: "a setting is wrong, or what it names cannot be used",
    NOT_AUTHORISED: "the token is missing or refused",
    NOT_FOUND: "there is no such thing",
    UNREACHABLE: "the server cannot be reached",
    TIMED_OUT: "the server did not answer in time",
    SIGNATURE_INVALID: "a signature does not verify",
    PARTLY_FAILED: "some of several operations failed",
    FOUND_BROKEN: "the doctor found something broken",
    INTERRUPTED: "interrupted",
}

# The first class that fits decides.
EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (ConfigurationError, CONFIGURATION),
    (NotAuthenticated, NOT_AUTHORISED),
    (NotFound, NOT_FOUND),
    (SignatureInvalid, SIGNATURE_INVALID),
    (RingbackError, FAILED),
    (TimeoutError, TIMED_OUT),
    (ConnectionError, UNREACHABLE),
    # A disk that is full, a folder that may not be written.
    (OSError, FAILED),
)

COMMANDS = (
    "compare",
    "completion",
    "config",
    "db",
    "dev",
    "doctor",
    "event-type",
    "import",
    "inbox",
    "nodes",
    "openapi",
    "publish",
    "replay",
    "sandbox",
    "serve",
    "signature",
    "source",
    "token",
    "trigger",
    "worker",
)


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Return a command by its name, None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name.replace('-', '_')}{'_' if keyword.iskeyword(cmd_name) else ''}"
        module = importlib.import_module(f"ringback.cli.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is asked for; of one that there is not, those near to it are named."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(near)}?", ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ringback", message="%(prog)s %(version)s")
def ringback() -> None:
    """Send and receive webhooks without losing one."""


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what goes wrong becomes one line on standard error."""
    try:
        _check_text(arguments)
        answer = ringback.main(args=list(arguments), prog_name="ringback", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except tuple(kind for kind, _ in EXIT_CODES) as error:
        click.echo(f"error: {_sentence(error)}", err=True)
        _settle_output()
        return exit_code(error)
    return answer if isinstance(answer, int) else DONE


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text: they can be neither sent nor kept."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"an argument is not UTF-8: {ascii(argument)[:100]}") from None


def _sentence(error: Exception) -> str:
    if isinstance(error, InvalidInput):
        return error.typed
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{error.strerror.lower()}"
    return str(error)


def exit_code(error: Exception) -> int:
    """Return the exit code an error deserves."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), FAILED)


def _reader_gone() -> int:
    # Whoever read our output has seen enough, as in `ringback config | head`.
    _drop_output()
    return DONE


def _settle_output() -> None:
    """Have what was printed before an error go out, or nowhere where it cannot, as on a full disk."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    # The interpreter would complain when it flushes at exit, so what is left goes nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
