"""The files in deploy/ are what they claim: well-formed, with commands that exist, time to drain, and no secrets."""

import re
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from ringback.cli import ringback
from ringback.config import BY_NAME, SETTINGS
from ringback.engine import ABSENCE_SECONDS
from ringback.policy import parse_duration
from ringback.secrecy import MASK, masked

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
VARIABLES = {setting.variable for setting in SETTINGS}
NODES = ["api", "worker"]
ROUTES = {"/readyz", "/livez"}


def parsed(words):
    """Parse a command as the command line does; return its parameters."""
    program = click.Context(ringback, **ringback.context_settings)
    command = ringback.get_command(program, words[0])
    assert command is not None, words
    return command.make_context(words[0], list(map(str, words[1:])), parent=program).params


def seconds(text):
    return parse_duration(text) / 1000


def port_of(words, flag):
    """Return the port that a command listens on by a flag."""
    return words[words.index(flag) + 1].rpartition(":")[2]


def deployment(role):
    (found,) = [
        one for one in KUBERNETES if one["kind"] == "Deployment" and one["metadata"]["labels"]["role"] == role
    ]
    return found["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", NODES)
def test_compose_runs_commands_that_exist(name):
    """Each node's command is parsed by the command line, and its settings are settings."""
    service = COMPOSE["services"][name]
    parameters = parsed(service["command"])
    assert parameters.get("no_worker", True)
    assert set(service["environment"]) <= VARIABLES
    assert seconds(service["stop_grace_period"]) > seconds(service["environment"]["RINGBACK_DRAIN_TIMEOUT"])


def test_compose_is_whole():
    """Several nodes of each kind wait for one database, all with limits; a pooler lends out by the transaction."""
    services = COMPOSE["services"]
    assert all("limits" in service["deploy"]["resources"] for service in services.values())
    assert all(services[name]["deploy"]["replicas"] > 1 for name in NODES)
    assert all(services[name]["depends_on"]["postgres"]["condition"] == "service_healthy" for name in NODES)
    for name, flag in (("api", None), ("worker", "--health-listen")):
        asked = re.search(r"http://\S+:(\d+)/readyz", services[name]["healthcheck"]["test"][-1])
        assert asked[1] == (port_of(services[name]["command"], flag) if flag else "8400")
    assert services["pgbouncer"]["environment"]["POOL_MODE"] == "transaction"
    assert (DEPLOY / services["api"]["build"]["context"] / services["api"]["build"]["dockerfile"]).is_file()
    assert set(COMPOSE["volumes"]) == {services["postgres"]["volumes"][0].partition(":")[0]}
    # What would cost what was acknowledged is not among the server's settings.
    assert not re.search(r"fsync|synchronous_commit|full_page_writes", str(services["postgres"]["command"]))


def test_compose_holds_no_secrets():
    """Passwords, keys and tokens come from outside, and each that is wanted is in the example."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    wanted = set(re.findall(r"\$\{(\w+):\?\}", text))
    example = dict(
        line.split("=", 1)
        for line in (DEPLOY / ".env.example").read_text("utf-8").splitlines()
        if not line.startswith("#")
    )
    assert wanted == example.keys()
    assert set(example.values()) == {""}


@pytest.mark.parametrize("role", NODES)
def test_kubernetes_runs_commands_that_exist(role):
    """Each container's arguments are parsed by the command line, and it has time to drain, limits and no rights."""
    spec = deployment(role)
    (container,) = spec["containers"]
    parameters = parsed(container["args"])
    drain = seconds(parameters.get("setting_drain_timeout") or str(container["args"][-1]))
    before = int(
        container.get("lifecycle", {"preStop": {"exec": {"command": ["", 0]}}})["preStop"]["exec"]["command"][
            1
        ]
    )
    assert spec["terminationGracePeriodSeconds"] >= before + drain + 5
    assert (
        container["resources"]["limits"].keys()
        == container["resources"]["requests"].keys()
        == {"cpu", "memory"}
    )
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert f"USER {spec['securityContext']['runAsUser']}" in DOCKERFILE


@pytest.mark.parametrize("role", NODES)
def test_kubernetes_lets_a_node_wait_for_its_database(role):
    """No node is restarted for its silence while it waits for a database that is away, or migrates it."""
    (container,) = deployment(role)["containers"]
    probe = container["startupProbe"]
    assert probe["httpGet"] == container["livenessProbe"]["httpGet"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > 1.5 * ABSENCE_SECONDS


def test_the_image_is_made_of_what_is_copied_alone():
    """Nothing but what the image needs is handed to the builder: no secrets, no databases; and versions are fixed."""
    kept = [
        line.removeprefix("!")
        for line in (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = [
        name for line in DOCKERFILE.splitlines() if line.startswith("COPY ") for name in line.split()[1:-1]
    ]
    assert sorted(kept) == sorted(name for name in copied if not name.startswith(("--", "/")))
    assert "--constraint" in DOCKERFILE
    # What the package is built of is more than its source.
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text("utf-8"))
    (included,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included in copied


@pytest.mark.parametrize(("role", "flag"), [("api", "--listen"), ("worker", "--health-listen")])
def test_kubernetes_asks_at_addresses_that_exist(role, flag):
    """Readiness and liveness are asked for at a node's own addresses, on the port that it listens on."""
    (container,) = deployment(role)["containers"]
    asked = [container[probe]["httpGet"] for probe in ("readinessProbe", "livenessProbe")]
    assert {one["path"] for one in asked} == ROUTES
    (port,) = container["ports"]
    assert {one["port"] for one in asked} == {port["name"]}
    assert port["containerPort"] == int(port_of(container["args"], flag))


def test_a_pooler_is_used_as_the_documentation_advises():
    """Hints do not come through it, so the command that starts one has workers look as often as is advised."""
    (line,) = [one for one in (DEPLOY / "compose.yaml").read_text("utf-8").splitlines() if "=pooler" in one]
    variables = dict(word.split("=") for word in line.split() if "=" in word)
    assert variables["DATABASE_HOST"] in COMPOSE["services"]
    settings = COMPOSE["services"]["worker"]["environment"]
    assert settings["RINGBACK_POLL_INTERVAL"].startswith("${POLL_INTERVAL:-")
    advice = (DEPLOY.parent / "docs/how-to/postgresql.md").read_text("utf-8")
    assert f"`poll_interval` of `{variables['POLL_INTERVAL']}`" in advice


def test_kubernetes_parts_fit():
    """The service and the budgets name pods that there are, and the secret has settings without values."""
    pods = [
        one["spec"]["template"]["metadata"]["labels"] for one in KUBERNETES if one["kind"] == "Deployment"
    ]
    for one in KUBERNETES:
        if one["kind"] in {"Service", "PodDisruptionBudget"}:
            wanted = one["spec"]["selector"].get("matchLabels", one["spec"]["selector"])
            assert any(wanted.items() <= labels.items() for labels in pods)
    (secret,) = [one for one in KUBERNETES if one["kind"] == "Secret"]
    assert secret["stringData"].keys() <= VARIABLES
    store = secret["stringData"].pop("RINGBACK_STORE")
    assert masked(store) == store.replace("PASSWORD", MASK)
    assert set(secret["stringData"].values()) == {""}


def test_the_image_starts_what_exists():
    """What the image runs is a command, its settings are settings, and it is stopped by the signal that drains."""
    (words,) = re.findall(r'^CMD \["([^"]+)"\]$', DOCKERFILE, re.MULTILINE)
    parsed([words])
    named = set(re.findall(r"\b(RINGBACK_\w+)=", DOCKERFILE))
    assert named <= VARIABLES
    assert BY_NAME["listen"].read("0.0.0.0:8400").port == int(
        re.search(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[1]
    )
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
