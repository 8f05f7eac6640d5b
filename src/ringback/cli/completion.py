"""``ringback completion``: the script that makes a shell complete Ringback's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_RINGBACK_COMPLETE"


@click.command("completion", short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    For bash: ringback completion bash >> ~/.bashrc
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above lists what click supports
    click.echo(kind(ctx.find_root().command, {}, "ringback", VARIABLE).source_template % _names())


def _names() -> dict[str, str]:
    return {"complete_func": "_ringback_completion", "complete_var": VARIABLE, "prog_name": "ringback"}
