"""An application's inbox, found by the name that ``--inbox`` gives."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ringback.cli.output import printable
from ringback.errors import ConfigurationError

if TYPE_CHECKING:
    from ringback.inbox import Inbox

TRACEBACK_LINES = 12
_IMPORTING = (__file__, importlib.__file__, "<frozen importlib")


class _InboxName(click.ParamType):  # type: ignore[type-arg] # generic in later versions of click only
    """Where an inbox is: a module and a name in it."""

    name = "MODULE:NAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the module's name and the inbox's."""
        if isinstance(value, tuple):
            return value
        module, colon, name = str(value).partition(":")
        if not colon or not all(part.isidentifier() for part in [*module.split("."), name]):
            self.fail(f"{value!r} is not MODULE:NAME, such as shop.webhooks:inbox", param, ctx)
        return module, name


inbox_option = click.option(
    "--inbox",
    "inbox_name",
    type=_InboxName(),
    metavar="MODULE:NAME",
    help="The application's inbox, such as shop.webhooks:inbox; the working folder is searched for the module.",
)


def load_inbox(where: tuple[str, str]) -> Inbox:
    """Import a module of the application's and return the inbox in it.

    Raises:
        ConfigurationError: There is no such module, importing it fails, or the name is not an inbox.
    """
    from ringback.inbox import Inbox  # noqa: PLC0415 - it would slow every other command

    module_name, name = where
    module = _import(module_name)
    found = getattr(module, name, None)
    if isinstance(found, Inbox):
        return found
    there = [own for own, value in vars(module).items() if isinstance(value, Inbox)]
    known = f"its inboxes are {', '.join(there)}" if there else "there is no inbox in it"
    problem = f"is a {type(found).__name__}, not an inbox" if hasattr(module, name) else "is not there"
    raise ConfigurationError(f"{module_name}:{name} {problem}; {known}")


def refuse_other_flags(ctx: click.Context) -> None:
    """Refuse settings given as flags beside an inbox, which brings its own.

    Raises:
        UsageError: Which are given.
    """
    given = [
        option.opts[0]
        for option in ctx.command.params
        if option.name is not None
        and (option.name == "config" or option.name.startswith("setting_"))
        and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"{', '.join(given)} cannot be given with --inbox: the inbox brings its own settings. "
            "Change them in the application, in the environment or in ringback.toml"
        )


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the application's code, and may raise anything
        trace = _own_part(error.__traceback__)
        if (
            isinstance(error, ModuleNotFoundError)
            and trace is None
            and f"{name}.".startswith(f"{error.name}.")
        ):
            raise ConfigurationError(
                f"there is no module {error.name} in {folder} or where Python looks for modules; "
                "run this in the folder that holds it, or set PYTHONPATH"
            ) from None
        told = traceback.format_exception(error.with_traceback(trace))
        lines = printable("".join(told).rstrip(), lines=True).splitlines()[-TRACEBACK_LINES:]
        raise ConfigurationError("\n  ".join([f"{name} cannot be imported:", *lines])) from None


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the application's first frame on."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_IMPORTING):
        trace = trace.tb_next
    return trace
