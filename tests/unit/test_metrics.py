import re

import pytest
from management import management

import ringback
from ringback.errors import StoreUnavailable
from ringback.handlers import Discard, Retry
from ringback.model import Endpoint, Source
from ringback.observe import (
    BatchTaken,
    CircuitChanged,
    DeliveryPostponed,
    EndpointDisabled,
    LeaseLost,
    MessagesPruned,
    Observer,
    RequestRefused,
    StoreFailed,
)
from ringback.server.metrics import MAX_SERIES, Metrics
from ringback.testing import FrozenClock, drain, inbox_at, secret_for, signed_request, unsigned_request

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
    observer.emit(DeliveryPostponed(message_id="m", endpoint_id="e", application_id="a", reason="circuit"))
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


# --- The inbox --------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path):
    clock = FrozenClock()
    shop = inbox_at(tmp_path, clock=clock)
    shop.clock = clock
    shop.metrics = Metrics(shop.observer)
    shop.source("payments", provider="xendit", secrets=[secret_for("xendit")])
    yield shop
    shop.close()


def accepted(shop, request):
    return shop.accept("payments", request).result().status


def shown(shop):
    """Return the samples, after everything committed has been told of."""
    shop.close()
    return samples(shop.metrics.render(None, 0))


def test_what_is_received_is_counted(shop):
    """Requests to a source are counted by provider and outcome, refusals by reason; none is a published message."""
    paid = signed_request("xendit", "invoice.paid")
    assert [accepted(shop, request) for request in (paid, paid, unsigned_request("xendit"))] == [
        200,
        200,
        401,
    ]
    seen = shown(shop)
    received = "ringback_webhooks_received_total"
    assert seen[received + '{provider="xendit",outcome="accepted"}'] == 1
    assert seen[received + '{provider="xendit",outcome="repeated"}'] == 1
    assert seen[received + '{provider="xendit",outcome="refused"}'] == 1
    assert seen['ringback_webhooks_refused_total{provider="xendit",reason="header_missing"}'] == 1
    assert seen["ringback_webhook_acknowledge_seconds_count"] == 2
    assert seen["ringback_messages_published_total"] == seen["ringback_messages_replayed_total"] == 0


def test_what_is_not_stored_is_counted(shop, monkeypatch):
    """A webhook that was answered with 503 shows, and is no acknowledgement of anything."""
    monkeypatch.setattr("ringback.store.commit.Committer.free_space", lambda _: 0)
    assert accepted(shop, signed_request("xendit")) == 503
    seen = shown(shop)
    assert seen['ringback_webhooks_received_total{provider="xendit",outcome="not_stored"}'] == 1
    assert seen["ringback_webhook_acknowledge_seconds_count"] == 0


def test_what_nothing_handles_is_counted(shop):
    """Messages that are not understood, and those that no handler wants, are counted apart, once each."""
    strange = signed_request("xendit", body=b"{}")
    for request in (strange, strange, signed_request("xendit", "invoice.paid")):
        assert accepted(shop, request) == 200
    seen = shown(shop)
    assert seen['ringback_messages_held_total{provider="xendit",held="quarantined"}'] == 1
    assert seen['ringback_messages_held_total{provider="xendit",held="unhandled"}'] == 1


def test_handlers_are_counted(shop):
    """Runs, their time, and what became of messages are counted by the handler's name, apart from deliveries."""
    answers = [ValueError("x"), Retry(after=1), None, Discard("no")]

    @shop.on("payments", name="fulfil", retries="1s,1s,1s")
    def fulfil(message):
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    @shop.on("payments", "invoice.paid", name="fail", retries="none")
    def fail(message):
        raise ValueError

    for event_type in ("invoice.paid", "invoice.expired"):
        assert accepted(shop, signed_request("xendit", event_type)) == 200
        drain(shop, shop.clock)
    seen = shown(shop)
    for outcome, count in {"raised": 1, "again": 1, "success": 1, "discarded": 1}.items():
        assert seen[f'ringback_handler_runs_total{{handler="payments/fulfil",outcome="{outcome}"}}'] == count
    assert seen['ringback_handler_run_seconds_count{handler="payments/fulfil"}'] == 4
    assert seen['ringback_handler_run_seconds_bucket{handler="payments/fulfil",le="+Inf"}'] == 4
    results = {("fulfil", "succeeded"): 1, ("fulfil", "discarded"): 1, ("fail", "failed"): 1}
    for (name, result), count in results.items():
        handled = f'ringback_messages_handled_total{{handler="payments/{name}",result="{result}"}}'
        assert seen[handled] == count
    assert seen["ringback_handling_end_to_end_seconds_count"] == 1
    assert seen["ringback_delivery_attempt_duration_seconds_count"] == 0
    assert not [name for name in seen if name.startswith("ringback_deliveries_total")]


def test_labels_do_not_explode():
    """However many names there are, a metric has a bounded number of series; the rest is counted together."""
    observer = Observer()
    metrics = Metrics(observer)
    source = Source(id="src_1", name="x", provider="mine", created_at=0, updated_at=0)
    for number in range(MAX_SERIES + 5):
        observer.emit(RequestRefused(source=source, reason=f"r{number}"))
    seen = samples(metrics.render(None, 0))
    refused = [name for name in seen if name.startswith("ringback_webhooks_refused_total")]
    assert len(refused) == MAX_SERIES + 1
    assert seen['ringback_webhooks_refused_total{provider="other",reason="other"}'] == 5


def test_labels_are_escaped():
    """A name with quotes, backslashes or line breaks in it stays inside its label."""
    observer = Observer()
    metrics = Metrics(observer)
    source = Source(id="src_1", name="x", provider='a"b\\c\nd', created_at=0, updated_at=0)
    observer.emit(RequestRefused(source=source, reason="x"))
    page = metrics.render(None, 0)
    assert 'ringback_webhooks_refused_total{provider="a\\"b\\\\c\\nd",reason="x"} 1\n' in page
