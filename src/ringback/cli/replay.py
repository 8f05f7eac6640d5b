"""``ringback replay``: many messages delivered again through a running server, and the tasks that do it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote, urlencode

import click
import msgspec

from ringback.cli.client import Client
from ringback.cli.moment import Moment
from ringback.cli.options import (
    CLIENT_SETTINGS,
    Command,
    idempotency_key_option,
    json_option,
    settings_options,
)
from ringback.cli.output import print_json, print_table
from ringback.config import Settings
from ringback.diagnosis import counted
from ringback.model import Instant, OutcomeKind, iso

TASKS = "/api/v1/background-task"
# What a person says of a delivery, by the numbers of the API.
STATUSES = {"succeeded": 0, "failed": 2, "retrying": 3, "cancelled": 4}
MISSING = "missing"
WHAT_DID_NOT_ARRIVE = ("failed", "cancelled")
CLASSES = {"none": 0, "1xx": 100, "2xx": 200, "3xx": 300, "4xx": 400, "5xx": 500}
Action = Callable[["Client", str], "Task"]

HEADING = ("ID", "TASK", "STATE", "LOOKED THROUGH", "SENT", "WAITING", "BEGUN", "APPLICATION")
LOOK_EVERY = 1.0
TELL_EVERY = 10.0


class Preview(TypedDict):
    """What would be sent."""

    messages: int
    oldest: str | None
    newest: str | None
    estimatedMinutes: float | None
    complete: bool


class TaskData(TypedDict):
    """How far a task has come."""

    messagesSent: NotRequired[int]
    messagesPurged: NotRequired[int]
    messagesWaiting: NotRequired[int]
    state: str
    progress: float
    appId: str
    createdAt: str


class Task(TypedDict):
    """A task."""

    id: str
    task: str
    data: TaskData


class Tasks(TypedDict):
    """A page of tasks."""

    data: list[Task]


class _Row(TypedDict):
    id: str


class _Page(TypedDict):
    data: list[_Row]
    iterator: str | None
    done: bool


class _Rate(click.ParamType):  # type: ignore[type-arg] # generic in later versions of click only
    """So many a second."""

    name = "RATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return how many a second *value* means."""
        number = str(value).removesuffix("/s")
        if not number.isdecimal() or not int(number):
            self.fail(
                f"{value!r} is no rate; write a number of messages per second, such as 20/s", param, ctx
            )
        return int(number)


@click.group("replay", invoke_without_command=True, short_help="Deliver many messages again.")
@click.option("--app", "applications", metavar="APP", multiple=True, help="Whose messages; may be repeated.")
@click.option("--all-apps", is_flag=True, help="Those of all applications.")
@click.option(
    "--endpoint",
    "endpoints",
    metavar="ENDPOINT",
    multiple=True,
    help="At this endpoint, by id or uid; may be repeated.  [default: all that are enabled]",
)
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Messages from then on: a time, or an age like 2h."
)
@click.option("--until", type=Moment(), metavar="TIME", help="Messages before then.  [default: now]")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([*STATUSES, MISSING]),
    help="Those that stand so; missing ones were never attempted. May be repeated.  [default: failed, cancelled]",
)
@click.option(
    "--event-type", "event_types", metavar="PATTERN", multiple=True, help="Only of this type, with *."
)
@click.option("--channel", metavar="NAME", help="Only in this channel.")
@click.option("--tag", metavar="TAG", help="Only with this tag.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    metavar="KIND",
    type=click.Choice([kind.value for kind in OutcomeKind]),
    help="Those whose last attempt came to this, such as timeout, connect or refused; may be repeated.",
)
@click.option(
    "--answer", type=click.Choice(list(CLASSES)), help="Those that were last answered with such a status."
)
@click.option("--rate", type=_Rate(), metavar="RATE", help="At most so many a second, such as 20/s.")
@click.option("--limit", type=click.IntRange(1), metavar="NUMBER", help="At most so many, the oldest first.")
@click.option("--dry-run", is_flag=True, help="Tell what would be sent, and send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@idempotency_key_option(
    "Asked again with it, nothing new is begun; give a time for --since then, not an age."
)
@settings_options(CLIENT_SETTINGS)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    settings: Settings,
    applications: tuple[str, ...],
    all_apps: bool,
    dry_run: bool,
    yes: bool,
    idempotency_key: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """Deliver many messages again: what a filter finds, once it has been told how much that is.

    Without --status it is what did not arrive. It goes on in the background, and what is on its way is never sent
    twice; the task is printed for `ringback replay status`, `pause`, `resume` and `cancel`.
    """
    if ctx.invoked_subcommand is not None:
        return
    body = _body(**filters)
    client = Client(settings.url, settings.token)
    targets = _targets(client, applications, body, all_apps=all_apps)
    previews = {app: _preview(client, app, body) for app in targets}
    if dry_run:
        _tell_preview(previews, as_json=as_json)
        return
    wanted = [app for app, preview in previews.items() if preview["messages"]]
    if not wanted:
        click.echo("there is nothing to send", err=True)
        if as_json:
            print_json([])
        return
    for app in wanted:
        click.echo(_sentence(app, previews[app]), err=True)
    _confirm(yes=yes)
    begun = [_begin(client, app, body, idempotency_key) for app in wanted]
    if as_json:
        print_json(begun)
    else:
        for task in begun:
            click.echo(task["id"])


def _task_command(name: str, short_help: str) -> Callable[[Action], Command]:
    """Make a command about one task of what is called with a client and the task's address."""

    def decorate(action: Action) -> Command:
        @command.command(name, short_help=short_help, help=action.__doc__)
        @click.argument("task_id", metavar="TASK")
        @settings_options(CLIENT_SETTINGS)
        @json_option
        def run(*, settings: Settings, task_id: str, as_json: bool) -> None:
            task = action(Client(settings.url, settings.token), f"{TASKS}/{quote(task_id, safe='')}")
            _tell_tasks([task], as_json=as_json)

        made: Command = run
        return made

    return decorate


@command.command("list", short_help="List tasks, the newest first.")
@click.option("--app", "application", metavar="APP", help="Only those about this application.")
@click.option("--limit", type=click.IntRange(1, 250), default=50, show_default=True, metavar="NUMBER")
@settings_options(CLIENT_SETTINGS)
@json_option
def list_tasks(*, settings: Settings, application: str | None, limit: int, as_json: bool) -> None:
    """List tasks, the newest first."""
    query = {"limit": str(limit)} | ({} if application is None else {"app_id": application})
    found = Client(settings.url, settings.token).call("GET", f"{TASKS}?{urlencode(query)}", Tasks)
    _tell_tasks(found["data"], as_json=as_json)


@command.command("status", short_help="Show how a task stands.")
@click.argument("task_id", metavar="TASK")
@click.option("--wait", is_flag=True, help="Wait until it is over, and tell how it goes.")
@settings_options(CLIENT_SETTINGS)
@json_option
def status(*, settings: Settings, task_id: str, wait: bool, as_json: bool) -> None:
    """Show how TASK stands: how much of its window it has looked through, what is sent, and what waits."""
    client, path = Client(settings.url, settings.token), f"{TASKS}/{quote(task_id, safe='')}"
    task = client.call("GET", path, Task)
    if wait:
        task = _waited_for(client, path, task)
    _tell_tasks([task], as_json=as_json)


@_task_command("pause", "Have a task wait.")
def pause(client: Client, path: str) -> Task:
    """Have TASK wait, and with it what it has made due and nobody has begun to deliver."""
    task: Task = client.call("POST", f"{path}/pause", Task)
    return task


@_task_command("resume", "Have a task that waits go on.")
def resume(client: Client, path: str) -> Task:
    """Have TASK go on where it was."""
    task: Task = client.call("POST", f"{path}/resume", Task)
    return task


@_task_command("cancel", "End a task, and take back what it has not sent yet.")
def cancel(client: Client, path: str) -> Task:
    """End TASK. What it has made due and nobody has begun to deliver stands as it did before."""
    task: Task = client.call("POST", f"{path}/cancel", Task)
    return task


# --- What is asked for -------------------------------------------------------------------------------------


def _body(
    *,
    since: Instant | None,
    until: Instant | None,
    statuses: tuple[str, ...],
    endpoints: tuple[str, ...],
    event_types: tuple[str, ...],
    outcomes: tuple[str, ...],
    answer: str | None,
    **rest: Any,
) -> dict[str, Any]:
    """Return the body of the request; what was not given is left out."""
    if since is None:
        raise click.UsageError("give --since: a time such as 2026-03-02T04:05:06Z, or an age such as 2h")
    missing = MISSING in statuses
    if missing and len(statuses) > 1:
        raise click.UsageError("--status missing goes with no other status")
    numbers = [STATUSES[one] for one in statuses or WHAT_DID_NOT_ARRIVE if one != MISSING]
    body = {
        "since": iso(since),
        "until": None if until is None else iso(until),
        "missing": missing or None,
        "statuses": numbers or None,
        "endpointIds": list(endpoints) or None,
        "eventTypes": list(event_types) or None,
        "outcomes": list(outcomes) or None,
        "statusCodeClass": None if answer is None else CLASSES[answer],
        **rest,
    }
    return {name: value for name, value in body.items() if value is not None}


def _targets(
    client: Client, applications: Sequence[str], body: dict[str, Any], *, all_apps: bool
) -> Sequence[str]:
    if all_apps == bool(applications):
        raise click.UsageError("give either --app APP or --all-apps")
    if "endpointIds" in body and len(applications) != 1:
        raise click.UsageError("--endpoint goes with exactly one --app")
    return list(_all_applications(client)) if all_apps else list(dict.fromkeys(applications))


def _all_applications(client: Client) -> Iterator[str]:
    query = "limit=250"
    while True:
        page = client.call("GET", f"/api/v1/app?{query}", _Page)
        yield from (row["id"] for row in page["data"])
        if page["done"]:
            return
        query = f"limit=250&iterator={page['iterator']}"


def _path(app: str) -> str:
    return f"/api/v1/app/{quote(app, safe='')}/bulk-replay"


def _preview(client: Client, app: str, body: dict[str, Any]) -> Preview:
    preview: Preview = client.send(
        "POST", _path(app), msgspec.json.encode({**body, "preview": True}), Preview
    )
    return preview


def _begin(client: Client, app: str, body: dict[str, Any], key: str | None) -> dict[str, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.create(_path(app), msgspec.json.encode(body), headers)


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask; give --yes, or --dry-run to look only")
    click.confirm("Send them?", abort=True, err=True)


# --- What is told ------------------------------------------------------------------------------------------


def _sentence(app: str, preview: Preview) -> str:
    if not preview["messages"]:
        return f"{app}: nothing"
    least = "" if preview["complete"] else "at least "
    told = f"{app}: {least}{counted(preview['messages'], 'message')}"
    told += f", accepted from {preview['oldest']} to {preview['newest']}"
    minutes = preview["estimatedMinutes"]
    return told if minutes is None else f"{told}; about {_span(minutes)}"


def _span(minutes: float) -> str:
    return f"{minutes * 60:.0f} s" if minutes < 1 else f"{minutes:.0f} min"


def _tell_preview(previews: dict[str, Preview], *, as_json: bool) -> None:
    if as_json:
        print_json(previews)
        return
    for app, preview in previews.items():
        click.echo(_sentence(app, preview))


def _tell_tasks(tasks: Sequence[Task], *, as_json: bool) -> None:
    if as_json:
        print_json(tasks)
    else:
        print_table(HEADING, [_cells(task) for task in tasks])


def _cells(task: Task) -> list[str]:
    data = task["data"]
    return [
        task["id"],
        task["task"],
        data["state"],
        f"{data['progress']:.0%}",
        str(data.get("messagesSent", data.get("messagesPurged", ""))),
        str(data.get("messagesWaiting", "")),
        data["createdAt"],
        data["appId"],
    ]


def _waited_for(client: Client, path: str, task: Task) -> Task:
    """Return a task when it is over, telling how it goes: at a terminal all the time, elsewhere now and then."""
    told = 0.0
    live = sys.stderr.isatty()
    while task["data"]["state"] == "running" or task["data"].get("messagesWaiting"):
        if task["data"]["state"] == "paused":
            break
        if live or time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            data = task["data"]
            sent, waiting = data.get("messagesSent", 0), data.get("messagesWaiting", 0)
            line = f"{data['progress']:.0%}, {sent} sent, {waiting} waiting"
            click.echo(f"\r{line}\x1b[K" if live else line, err=True, nl=not live)
        time.sleep(LOOK_EVERY)
        task = client.call("GET", path, Task)
    if live:
        click.echo("", err=True)
    return task
