"""The documentation says what is: its references, links, commands and samples all hold."""

import datetime as dt
import http.client
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from ringback.cli import ringback
from ringback.config import SETTINGS, SIGNATURE_SECRET_VARIABLE

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def blocks(page, language):
    """Return the code of a page's blocks in *language*."""
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [
        "".join(line.removeprefix(m["indent"]) for line in m["code"].splitlines(keepends=True))
        for m in found
        if m["language"] == language
    ]


def every(language):
    return [
        pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, code in enumerate(blocks(page, language), 1)
    ]


def anchors(page):
    headings = HEADING.findall(BLOCK.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_own_settings():
    """Return this process's environment without Ringback's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_resolve(page):
    """Every relative link leads to a file that is there, and to a heading in it if it names one."""
    for target in LINK.findall(page.read_text("utf-8")):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        led_to = (page.parent / path).resolve() if path else page
        assert led_to.exists(), target
        assert not anchor or anchor in anchors(led_to), target


@pytest.mark.parametrize("name", ["settings", "cli", "providers", "xendit-events", "xendit-sandbox"])
def test_reference_pages_are_those_the_source_makes(name):
    """Every setting and every option is documented as it is, and none that is not there."""
    script = runpy.run_path(str(ROOT / "scripts" / "reference_pages.py"))
    assert (ROOT / f"docs/reference/{name}.md").read_text("utf-8") == script[
        f"{name.replace('-', '_')}_page"
    ](), "run: make docs"


def test_settings_named_in_prose_exist():
    """A RINGBACK_ variable or a setting's flag that a page mentions is in the table."""
    known = {setting.variable for setting in SETTINGS} | {SIGNATURE_SECRET_VARIABLE}
    for page in PAGES:
        named = set(re.findall(r"\bRINGBACK_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))
        assert named <= known, page


@pytest.mark.parametrize("code", every("sh"))
def test_shell_samples_are_valid(code):
    """Bash accepts each shell sample, and each `ringback` command in it has arguments it takes."""
    done = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for command in re.findall(r"(?:^|\"\$\(|[\"'] )ringback ([^\n#)]*)", code, re.MULTILINE):
        _parse(ringback, shlex.split(command))


def _parse(command, words, parent=None):
    # What the program itself starts with is inherited, such as how help is asked for: click remembers it.
    settings = {"parent": parent} if parent else command.context_settings
    if isinstance(command, click.Group) and not words[0].startswith("-"):
        context = click.Context(command, info_name=command.name, **settings)
        inner = command.get_command(context, words[0])
        assert inner is not None, words
        _parse(inner, words[1:], context)
    else:
        command.make_context(command.name, list(words), parent=parent)


@pytest.mark.parametrize("code", every("python"))
def test_python_samples_run(code, tmp_path):
    """Each Python sample runs as it stands, up to what needs an argument; no name is looked up outside."""
    code = code.replace("https://acme.example/hooks", "http://127.0.0.1:9/hooks")
    code = code.replace('if __name__ == "__main__":', 'if __name__ == "run by hand":')
    sample = tmp_path / "sample.py"
    sample.write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(sample)],
        cwd=tmp_path,
        env=without_own_settings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "is on disk" in code:
        assert re.search(r"^msg_\w{27} is on disk$", done.stdout, re.MULTILINE)


@contextmanager
def server(folder):
    """Run `ringback dev` in *folder*; yield its address and the id of a message, when all is delivered."""
    anywhere = [word for flag in ("listen", "sandbox", "shop") for word in (f"--{flag}", "127.0.0.1:0")]
    command = [sys.executable, "-m", "ringback", "dev", *anywhere]
    environment = without_own_settings()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = ""
            for line in process.stdout:
                told += line
                assert "went wrong" not in line, told
                if line == "# Send it again to one endpoint\n":
                    break
            yield re.search(r"listens on (http://\S+)", told)[1], re.search(r"msg_\w{27}", told)[0]
        finally:
            process.terminate()
            process.stdout.read()
    assert process.returncode == 0


def needs_server(code):
    """Tell whether a shell sample talks to a server; those that start one are not run."""
    # What talks to port 8000 is for an application of one's own; the tests of the README's and the examples' run it.
    starts = any(word in code for word in ("ringback serve", "make run", "--store", ":8000"))
    talks = ("curl", "ringback publish", "ringback replay", "API=", "client.pem")
    return not starts and any(word in code for word in talks)


TRIED = [
    "README.md",
    "docs/tutorial/first-webhook.md",
    "docs/how-to/operate.md",
    "docs/how-to/authenticate-to-endpoints.md",
    "docs/how-to/transform-payloads.md",
    "docs/how-to/replay-after-an-outage.md",
    "docs/how-to/portal.md",
]


def paused_task(url, token):
    """Begin a replay, have it wait, and return its id."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def post(path, body):
        connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        return json.loads(connection.getresponse().read())

    task = post("/app/toko-contoh/bulk-replay", {"since": "2026-01-01T00:00:00Z", "rate": 1})["id"]
    post(f"/background-task/{task}/pause", None)
    connection.close()
    return task


@pytest.mark.parametrize("name", TRIED)
def test_samples_that_talk_to_a_server_succeed(name, tmp_path):
    """Every curl line and `ringback publish` of a page, run in order against a real server, succeeds."""
    script = "\n".join(["set -eu", *filter(needs_server, blocks(ROOT / name, "sh"))])
    with server(tmp_path) as (url, message):
        token = (tmp_path / ".ringback" / "token").read_text().strip()
        settings = {"RINGBACK_TOKEN": token, "RINGBACK_ADMIN_TOKEN": token, "RINGBACK_URL": url}
        moment = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        stands_for = {
            "http://127.0.0.1:8400": url,
            "https://acme.example/hooks": f"{url}/hooks",
            "curl -sS": "curl -sSf --noproxy '*'",
            "/app/APP/": "/app/toko-contoh/",
            "/ENDPOINT": "/healthy",
            "--app APP": "--app toko-contoh",
            "--endpoint ENDPOINT": "--endpoint healthy",
            " TASK": f" {paused_task(url, token)}",
            "/MESSAGE/": f"/{message}/",
            "MOMENT": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for words, meaning in stands_for.items():
            script = script.replace(words, meaning)
        command = f'ringback() {{ "{sys.executable}" -m ringback "$@"; }}\n{script}'
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**without_own_settings(), **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr + done.stdout
