"""A week of business at a sandbox whose receiver fails now and then: played in seconds, the same for every seed."""

import concurrent.futures
import hashlib
import json
import random
import re
import socket
from collections import Counter
from datetime import datetime

import pytest
from running import LOOPBACK, Answer, receiving

from ringback.config import load
from ringback.engine import open_checked_store
from ringback.store import Page
from ringback.testing import FrozenClock
from ringback.testing.sandboxes import XenditSandbox

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
# When each attempt comes after the first, by the provider's documentation.
ATTEMPTS = [0, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR]
GRID = 5 * MINUTE
BACK_AT = 3 * DAY  # until then, nobody listens where virtual accounts are told of
ACCOUNTS = ("fva_status", "fva_paid")
HEARD = ("invoice", "recurring")
END = 11 * DAY
# How often, of 256 times, something goes wrong in between.
SOMETIMES = [(3, "silent"), (24, "broken"), (32, "garbled")]
SEEDS = {"one": 20, "again": 20, "other": 21}


class Receiver:
    """Decides how each delivery ends: by the seed, the time and what it tells of, so that it can be foretold."""

    def __init__(self, seed, clock):
        chance = random.Random(f"receiver {seed}")
        self._seed = seed
        self._clock = clock
        self._start = clock()
        # Some hours, and once more than a day, in which it is broken; and some minutes in which it is silent.
        self._broken = [self._span(chance, day, chance.randint(1, 8) * HOUR) for day in (1, 4)]
        self._broken.append(self._span(chance, 5, 30 * HOUR))
        self._silent = [self._span(chance, day, 3 * GRID) for day in (0, 2, 3)]

    def __call__(self, arrival):
        """Answer a delivery."""
        return {
            "ok": Answer(200),
            "broken": Answer(500),
            "garbled": Answer(500, raw=b"HTTP/0.1 nonsense\r\n\r\n"),
            "silent": Answer(0),
        }[self.verdict(arrival.path, json.loads(arrival.body), self._clock())]

    def verdict(self, path, body, now):
        """Return how a delivery ends that comes now."""
        if path == "/dead":
            return "refused"
        since = now - self._start
        if any(begin <= since < end for begin, end in self._silent):
            return "silent"
        if any(begin <= since < end for begin, end in self._broken):
            return "broken"
        thing = body.get("data", body)["id"]
        digest = hashlib.sha256(f"{self._seed} {path} {thing} {now}".encode()).digest()[0]
        return next((verdict for limit, verdict in SOMETIMES if digest < limit), "ok")

    def foretold(self, slot, body, created):
        """Return the attempts that a webhook gets: when each comes, and how it ends."""
        attempts = []
        if slot not in HEARD + ACCOUNTS:
            return attempts
        for delay in ATTEMPTS:
            dead = slot in ACCOUNTS and created + delay < self._start + BACK_AT
            verdict = self.verdict("/dead" if dead else f"/{slot}", body, created + delay)
            attempts.append((created + delay, verdict))
            if verdict in {"ok", "silent"}:
                break
        return attempts

    @staticmethod
    def _span(chance, day, length):
        begin = day * DAY + chance.randrange(DAY // GRID) * GRID
        return begin, begin + length


class Week:
    """What merchants and payers do in a week, by a seed: a list of actions, each at its time."""

    def __init__(self, seed, sandbox):
        self._chance = random.Random(f"week {seed}")
        self._sandbox = sandbox
        self._actions = []
        for number in range(110):
            self._plan_invoice(number)
        for number in range(12):
            self._plan_account(number)
        for number in range(8):
            self._plan_charge(number)
        for number in range(6):
            self._plan_subscription(number)

    def play(self):
        """Let all of it happen, each at its time, and what follows."""
        start = self._sandbox.clock()
        # Those planned for one time happen in the order of the plan.
        for at, _, action in sorted(self._actions, key=lambda one: one[:2]):
            self._sandbox.advance((start + at - self._sandbox.clock()) / 1_000)
            action()
        self._sandbox.advance((start + END - self._sandbox.clock()) / 1_000)

    def at(self, at, action):
        """Plan an action."""
        self._actions.append((at, len(self._actions), action))

    def _instant(self, begin, end):
        return self._chance.randrange(begin // GRID, end // GRID) * GRID

    def _ask(self, method, path, body=None):
        return self._sandbox.ask(method, path, body)

    def _plan_invoice(self, number):
        at, duration = self._instant(0, 7 * DAY), self._chance.choice([HOUR, 6 * HOUR, DAY, 2 * DAY])
        draft = {
            "external_id": f"order-{number}",
            "amount": 10_000 + number,
            "invoice_duration": duration // 1_000,
        }
        made = {}
        self.at(at, lambda: made.update(self._ask("POST", "/v2/invoices", draft)))
        if self._chance.random() < 0.7:
            way = self._chance.choice([("BANK_TRANSFER", "BCA"), ("EWALLET", "DANA"), ("CREDIT_CARD", "")])
            self.at(self._instant(at, at + duration), lambda: self._sandbox.pay(made["id"], *way))

    def _plan_account(self, number):
        path = "/callback_virtual_accounts"
        draft = {"external_id": f"va/{number}", "bank_code": "BRI", "name": "SITI"}
        at = self._instant(0, 2 * DAY)
        self.at(at, lambda: self._ask("POST", path, draft))
        simulated = f"{path}/external_id=va/{number}/simulate_payment"
        for _ in range(self._chance.randint(1, 3)):
            sum_ = {"amount": self._chance.randint(1, 1_000_000)}
            self.at(self._instant(at + GRID, 7 * DAY), lambda sum_=sum_: self._ask("POST", simulated, sum_))

    def _plan_charge(self, number):
        at, made = self._instant(0, 6 * DAY), {}
        draft = {
            "reference_id": f"wallet-{number}",
            "currency": "IDR",
            "amount": 45_000,
            "checkout_method": "ONE_TIME_PAYMENT",
            "channel_code": "ID_DANA",
            "channel_properties": {"success_redirect_url": "https://shop.example/ok"},
        }
        outcome = {"status": self._chance.choice(["SUCCEEDED", "FAILED"])}
        self.at(at, lambda: made.update(self._ask("POST", "/ewallets/charges", draft)))
        self.at(
            at + GRID, lambda: self._ask("POST", f"/sandbox/ewallets/charges/{made['id']}/simulate", outcome)
        )

    def _plan_subscription(self, number):
        at, made = self._instant(0, 2 * DAY), {}
        draft = {
            "reference_id": f"plan-{number}",
            "customer_id": "cust-1",
            "currency": "IDR",
            "amount": 99_000,
            "payment_tokens": [{"payment_token_id": "pt-1", "rank": 1}],
            "immediate_payment": self._chance.random() < 0.5,
            "failed_cycle_action": self._chance.choice(["RESUME", "STOP"]),
            "schedule": {
                "interval": "DAY",
                "interval_count": 1,
                "total_recurrence": self._chance.randint(2, 5),
                "retry_interval": "DAY",
                "retry_interval_count": 1,
                "total_retry": 2,
            },
        }
        self.at(at, lambda: made.update(self._ask("POST", "/recurring/plans", draft)))
        for _ in range(2):
            verdict = {"status": "FAILED", "charges": self._chance.randint(1, 3)}
            self.at(
                self._instant(at + GRID, 5 * DAY),
                lambda verdict=verdict: self._ask(
                    "POST", f"/sandbox/recurring/plans/{made['id']}/next_charge", verdict
                ),
            )


class Played:
    """What a week has left behind."""

    def __init__(self, seed, folder):
        clock = FrozenClock()
        self.receiver = Receiver(seed, clock)
        self.arrivals = Counter()

        def answer(arrival):
            self.arrivals[arrival.id, clock()] += 1
            return self.receiver(arrival)

        with (
            receiving(answer) as heard,
            socket.socket() as dead,
            XenditSandbox(folder, clock=clock, seed=seed, timeout="2s") as sandbox,
        ):
            dead.bind((LOOPBACK, 0))  # and it never listens
            self._set_up(sandbox, heard.url, f"http://{LOOPBACK}:{dead.getsockname()[1]}/dead")
            week = Week(seed, sandbox)
            for slot in ACCOUNTS:
                week.at(BACK_AT - MINUTE, lambda slot=slot: _point(sandbox, slot, f"{heard.url}/{slot}"))
            week.play()
            self.webhooks = _webhooks(sandbox)
        self.entries = _entries(folder)

    def _set_up(self, sandbox, url, dead):
        for slot in HEARD:
            _point(sandbox, slot, f"{url}/{slot}")
        for slot in ACCOUNTS:
            _point(sandbox, slot, dead)
        late = {"also_expired": True, "also_late": True, "mishaps": ["late_payment"]}
        sandbox.ask("PUT", "/sandbox/webhooks/slots/invoice", late)

    @property
    def digest(self):
        """A digest of all that is kept and all that the log shows, but for ports and how long things took."""
        text = json.dumps([self.entries, self.webhooks], sort_keys=True)
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text)
        text = re.sub(r'"response_time": \d+', '"response_time": 0', text)
        return hashlib.sha256(text.encode()).hexdigest()


def _point(sandbox, slot, url):
    sandbox.ask("PUT", f"/sandbox/webhooks/slots/{slot}", {"url": url})


def _webhooks(sandbox):
    """Return the log's details, newest first."""
    found, after = [], ""
    while after is not None:
        page = sandbox.ask("GET", "/sandbox/webhooks/log?limit=100" + (after and f"&after={after}"))
        found += [sandbox.ask("GET", f"/sandbox/webhooks/log/{row['id']}") for row in page["data"]]
        after = page["after"]
    return found


def _entries(folder):
    """Return what the ledger has kept."""
    store = open_checked_store(load({"store": f"sqlite:///{folder / 'xendit-sandbox.db'}"}, {}, None))
    try:
        documents = store.documents("xendit", Page(limit=100_000))
    finally:
        store.close()
    return [json.loads(document.body) for document in documents]


def _instant(text):
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def _attempts(webhook):
    """Return a webhook's attempts, oldest first: when each came, and how it ended."""
    kinds = {"ETIMEDOUT": "silent", "ECONNREFUSED": "refused", "HPE_INVALID_CONSTANT": "garbled"}
    return [
        (
            _instant(one["at"]),
            kinds[one["error"]] if one["error"] else "ok" if one["status"] == 200 else "broken",
        )
        for one in reversed(webhook["history"])
    ]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Two weeks of one seed and one of another, played beside one another in folders of their own."""
    folders = {name: tmp_path_factory.mktemp(name) for name in SEEDS}
    with concurrent.futures.ThreadPoolExecutor(len(SEEDS)) as pool:
        played = {name: pool.submit(Played, seed, folders[name]) for name, seed in SEEDS.items()}
        return {name: one.result() for name, one in played.items()}


def test_a_seed_makes_a_week(weeks):
    """All that is kept and told is the same for a seed, wherever and whenever it is played; for another it differs."""
    assert weeks["one"].digest == weeks["again"].digest != weeks["other"].digest


@pytest.mark.parametrize("name", ["one", "other"])
def test_attempts_come_when_they_should(weeks, name):
    """Every attempt is at its documented time, none is missing and none too many: after silence there is no other."""
    week = weeks[name]
    for webhook in week.webhooks:
        row = webhook["transaction"]
        foretold = week.receiver.foretold(row["slot"], webhook["payload"], _instant(row["created_at"]))
        assert _attempts(webhook) == foretold, row
    heard = Counter(
        (webhook["webhook_id"], at)
        for webhook in week.webhooks
        for at, verdict in _attempts(webhook)
        if verdict != "refused"
    )
    assert heard == week.arrivals


@pytest.mark.parametrize("name", ["one", "other"])
def test_how_webhooks_stand_in_the_end(weeks, name):
    """Each is where its last attempt has left it, and none is still to come; the week had all sorts of them."""
    expected = {"ok": "Completed", "silent": "Timeout"}
    statuses = Counter()
    for webhook in weeks[name].webhooks:
        row, attempts = webhook["transaction"], _attempts(webhook)
        assert row["next_redelivery"] is None
        assert row["status"] == (expected.get(attempts[-1][1], "Failed") if attempts else "URL Not Set")
        assert len(attempts) < len(ATTEMPTS) or row["status"] in {"Completed", "Failed"}
        statuses[row["status"]] += 1
    assert set(statuses) == {"Completed", "Failed", "Timeout", "URL Not Set"}
    assert sum(statuses.values()) > 200
    kinds = Counter(verdict for webhook in weeks[name].webhooks for _, verdict in _attempts(webhook))
    assert set(kinds) == {"ok", "broken", "garbled", "silent", "refused"}


@pytest.mark.parametrize("name", ["one", "other"])
def test_nothing_is_left_undone(weeks, name):
    """Invoices are settled or have expired, plans and cycles are over, and only accounts have an end ahead of them."""
    ends = {
        "invoice": {"SETTLED", "EXPIRED"},
        "recurring_plan": {"INACTIVE"},
        "recurring_cycle": {"SUCCEEDED", "FAILED", "CANCELLED"},
        "ewallet_charge": {"SUCCEEDED", "FAILED"},
        "virtual_account": {"ACTIVE"},
    }
    for entry in weeks[name].entries:
        assert entry["body"].get("status") in ends.get(entry["kind"], {None, entry["body"].get("status")})
        assert entry.get("due_at") is None or entry["kind"] == "virtual_account", entry
        assert entry["kind"] != "notice" or entry["hidden"]["published"]
    kinds = Counter(entry["kind"] for entry in weeks[name].entries)
    assert (kinds["invoice"], kinds["virtual_account"], kinds["recurring_plan"]) == (110, 12, 6)
    assert kinds["recurring_cycle"] > 12
