"""The guide to the sandbox, followed to the letter against a real one."""

import re
import subprocess
from pathlib import Path

import pytest
from sandbox_process import sandbox

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "rehearse-xendit.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("curl")
]


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with sandbox(tmp_path_factory.mktemp("sandbox")) as box:
        yield box


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_succeeds(box, command):
    """Every curl line of the guide is answered with success as it stands, with the ids of what there is."""
    invoice = box.ok("POST", "/v2/invoices", {"external_id": "order-1", "amount": 75_000})
    payout = {"channel_code": "ID_BCA", "channel_properties": {"account_number": "131313"}, "currency": "IDR"}
    payout = box.ok(
        "POST",
        "/v2/payouts",
        payout | {"reference_id": command[:50], "amount": 10_000},
        idempotency_key=str(hash(command)),
    )
    meant = {
        "http://127.0.0.1:8700": box.url,
        "/INVOICE/": f"/{invoice['id']}/",
        "/PAYOUT/": f"/{payout['id']}/",
    }
    for words, meaning in meant.items():
        command = command.replace(words, meaning)
    command = command.replace("curl -sS", "curl -sSf --noproxy '*'", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_there_are_commands():
    """The guide has commands to follow."""
    assert len(COMMANDS) >= 6
