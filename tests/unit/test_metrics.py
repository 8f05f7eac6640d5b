import re

import pytest
from management import management

import ringback
from ringback.errors import StoreUnavailable
from ringback.model import Endpoint
from ringback.observe import (
    BatchTaken,
    CircuitChanged,
    DeliveryPostponed,
    EndpointDisabled,
    LeaseLost,
    MessagesPruned,
    Observer,
    StoreFailed,
)
from ringback.server.metrics import Metrics

SAMPLE = re.compile(r'([a-z_]+)((?:\{(?:[a-z_]+="[^"]*",?)+\})?) (-?[0-9.e+-]+|\+Inf)')
ENDPOINT = Endpoint(
    id="ep_1", application_id="app_1", url="https://example.com", created_at=0, updated_at=0, secrets=()
)


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def samples(text):
    """Return the samples of an exposition, after checking its form."""
    assert text.endswith("\n")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            found[match[1] + match[2]] = float(match[3])
    return found


def scrape(api):
    result = api.send("GET", "/metrics", token=None)
    assert result.status_code == 200
    assert result.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(result.text)


def test_the_line_is_counted(api):
    """Messages, attempts, results and commits show up with bounded labels, in base units."""
    api.application(uid="acme")
    api.endpoint("acme")
    for status in (200, 500):
        api.message("acme")
        api.attempt(status=status)
    seen = scrape(api)
    assert seen["ringback_messages_published_total"] == 2
    assert seen["ringback_message_accept_seconds_count"] == 2
    assert seen['ringback_delivery_attempts_total{outcome="success",code_class="2xx"}'] == 1
    assert seen['ringback_delivery_attempts_total{outcome="refused",code_class="5xx"}'] == 1
    assert seen["ringback_delivery_attempt_duration_seconds_sum"] == pytest.approx(0.024)
    assert seen['ringback_deliveries_total{result="succeeded"}'] == 1
    assert seen["ringback_delivery_end_to_end_seconds_count"] == 1
    assert seen['ringback_delivery_due{state="waiting"}'] == 1
    assert seen['ringback_delivery_due{state="past_due"}'] == 0
    assert seen["ringback_delivery_oldest_due_age_seconds"] == 0
    assert seen["ringback_store_commit_seconds_count"] >= 6
    assert seen["ringback_store_size_bytes"] > 0
    assert seen[f'ringback_build_info{{version="{ringback.__version__}"}}'] == 1
    assert seen["process_cpu_seconds_total"] > 0


def test_replays_are_counted_apart(api):
    """A publish repeated with its key counts as a replay, not as a message."""
    api.application(uid="acme")
    for _ in range(3):
        api.post("/app/acme/msg", {"eventType": "t", "payload": {}}, headers={"idempotency-key": "k"})
    seen = scrape(api)
    assert seen["ringback_messages_published_total"] == 1
    assert seen["ringback_messages_replayed_total"] == 2


def test_what_else_happens_is_counted():
    """Every other event of the catalogue moves its counter."""
    observer = Observer()
    metrics = Metrics(observer)
    observer.emit(MessagesPruned(count=5))
    observer.emit(BatchTaken(count=3, seconds=0.004))
    observer.emit(StoreFailed(error="x"))
    observer.emit(LeaseLost(message_id="m", endpoint_id="e"))
    observer.emit(DeliveryPostponed(message_id="m", endpoint_id="e", reason="circuit"))
    observer.emit(EndpointDisabled(endpoint=ENDPOINT, reason="gone"))
    observer.emit(CircuitChanged(endpoint=ENDPOINT, open=True))
    observer.emit(CircuitChanged(endpoint=ENDPOINT, open=False))
    seen = samples(metrics.render(None, 0))
    assert seen["ringback_messages_pruned_total"] == 5
    assert seen["ringback_taken_total"] == 3
    assert seen["ringback_take_seconds_sum"] == 0.004
    assert seen["ringback_store_failures_total"] == 1
    assert seen["ringback_leases_lost_total"] == 1
    assert seen['ringback_deliveries_postponed_total{reason="circuit"}'] == 1
    assert seen['ringback_endpoints_disabled_total{reason="gone"}'] == 1
    assert seen['ringback_circuit_changes_total{to="open"}'] == 1
    assert seen['ringback_circuit_changes_total{to="closed"}'] == 1


def test_histograms_add_up():
    """Buckets are cumulative, include their own bound, and end with all that was observed."""
    observer = Observer()
    metrics = Metrics(observer)
    for seconds in (0.0005, 0.001, 0.0011, 99.0):
        observer.emit(BatchTaken(count=1, seconds=seconds))
    seen = samples(metrics.render(None, 0))
    assert seen['ringback_take_seconds_bucket{le="0.001"}'] == 2
    assert seen['ringback_take_seconds_bucket{le="0.0025"}'] == 3
    assert seen['ringback_take_seconds_bucket{le="10"}'] == 3
    assert seen['ringback_take_seconds_bucket{le="+Inf"}'] == 4
    assert seen["ringback_take_seconds_count"] == 4


def test_every_family_is_declared_once():
    """Each metric has one HELP and one TYPE line, and counters end in _total."""
    text = Metrics(Observer()).render(None, 0)
    types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(types) == len(dict(types)) == len(re.findall(r"^# HELP ", text, re.MULTILINE))
    for name, kind in types:
        assert name.endswith("_total") == (kind == "counter"), name


def test_without_the_store(api, monkeypatch):
    """While the store cannot be read, what does not need it is still shown."""

    def fail(*_):
        raise StoreUnavailable

    scrape(api)
    monkeypatch.setattr(type(api.store), "statistics", fail)
    seen = scrape(api)
    assert "ringback_store_size_bytes" not in seen
    assert seen["ringback_messages_published_total"] == 0
