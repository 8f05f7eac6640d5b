"""``ringback doctor``: what it finds, in words and as JSON, and the exit codes it leaves with."""

import json
import os
import sqlite3
import sys
from contextlib import closing

import pytest
from cli_inboxes import SECRET, STORE, fill, receive, shop, wait

from ringback import Inbox
from ringback.cli import run
from ringback.diagnosis import Door, Verdict, examine_condition, examine_door, examine_free_space
from ringback.errors import ConfigurationError
from ringback.model import Source
from ringback.outbox import system_clock
from ringback.providers import PROVIDERS
from ringback.store import Condition
from ringback.testing import secret_for

NOW = 1_760_000_000_000
MIB = 1024 * 1024

APPLICATION = f"""
from ringback import Inbox

inbox = Inbox("{STORE}", shared=%s)
inbox.source("xendit", secrets=[{SECRET!r}])


@inbox.on("xendit", "invoice.*")
def audit(message):
    pass
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder, without settings from outside or modules of the test before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "store_front", raising=False)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)
    yield
    sys.modules.pop("store_front", None)


def doctor(*options):
    return run(["doctor", *options])


def findings(capsys, *options, code=0):
    """Run the doctor with --json; return what it finds, by what it is about."""
    assert doctor("--json", *options) == code
    found = {}
    for one in json.loads(capsys.readouterr().out):
        found.setdefault(one["about"], []).append(one)
    return found


def application(folder, text=APPLICATION % False):
    (folder / "store_front.py").write_text(text)
    return "--inbox", "store_front:inbox"


def said(found, about, words):
    """Return the one finding about something that says *words*."""
    (one,) = [one for one in found[about] if words in one["what"]]
    return one


def test_a_sound_store_is_0_with_what_was_looked_at(capsys):
    """Settings, store, disk and key are told as ok, and Xendit's unsigned bodies as a warning."""
    wait(shop())
    assert doctor("--store", STORE) == 0
    out = capsys.readouterr().out
    for told in (
        "ok       settings",
        "ok       store",
        "ok       disk",
        "ok       key",
        "warning  source xendit",
    ):
        assert told in out
    assert "broken" not in out.splitlines()[0]
    assert out.splitlines()[-1].endswith("0 broken")
    assert "\x1b" not in out


def test_what_is_left_over_is_counted(capsys):
    """Unhandled, quarantined and given up messages and refusals are warnings with the command that shows them."""
    fill(shop())
    found = findings(capsys, "--store", STORE)
    assert "inbox held xendit --unhandled" in said(found, "source xendit", "1 message of types")["advice"]
    assert "inbox held xendit --quarantined" in said(found, "source xendit", "in quarantine")["advice"]
    assert "inbox dead xendit" in said(found, "source xendit", "1 delivery given up")["advice"]
    assert "1 for token_mismatch" in said(found, "source xendit", "1 request refused")["what"]


def test_a_handler_that_fails_now_is_told(capsys):
    """Long before anything is given up, a handler whose messages wait for another attempt is named."""

    def fulfil(_):
        raise ConnectionError("the bank does not answer")

    with closing(Inbox(STORE)) as received:
        received.source("xendit", secrets=[SECRET])
        received.on("xendit", "invoice.paid")(fulfil)
        assert receive(received) == 200
        received.drain()
    found = findings(capsys, "--store", STORE)
    failing = said(found, "handler xendit/fulfil", "1 message failed at it")
    assert failing["verdict"] == "warning"
    assert "ringback inbox show" in failing["advice"]


def test_handlers_that_the_application_lacks_are_listed_with_what_waits(tmp_path, capsys):
    """With --inbox, a handler in the store that is not in the program is named, and how many deliveries wait."""
    wait(shop())
    found = findings(capsys, *application(tmp_path))
    (missing,) = found["handler xendit/fulfil"]
    assert missing["verdict"] == "warning"
    assert "1 delivery waits for it" in missing["what"]
    assert "ringback inbox forget xendit fulfil" in missing["advice"]
    assert "handler xendit/audit" not in found
    assert "one secret of the right form" in found["source xendit"][0]["what"]


def test_deliveries_that_nobody_takes_are_told_without_the_application(capsys):
    """Without --inbox, handlers are named whose deliveries have been due for more than a minute."""
    wait(shop(clock=lambda: system_clock() - 600_000))
    found = findings(capsys, "--store", STORE)
    for handler in ("handler xendit/fulfil", "handler xendit/audit"):
        (untaken,) = found[handler]
        assert "1 delivery waits for it, the oldest due since " in untaken["what"]


def test_a_source_that_the_application_dropped_is_told(tmp_path, capsys):
    """With --inbox, a source in the store that is declared no more is named."""
    wait(shop())
    text = (
        f'from ringback import Inbox\ninbox = Inbox("{STORE}")\ninbox.source("stripe", secrets=["whsec_1"])\n'
    )
    found = findings(capsys, *application(tmp_path, text))
    assert "the application has it no longer" in found["source xendit"][0]["what"]
    assert found["source stripe"][0]["verdict"] == "ok"


def test_an_application_that_cannot_be_imported_is_broken(tmp_path, capsys):
    """The traceback of the application is shown, without Ringback's own lines, and the exit code is 10."""
    found = findings(capsys, *application(tmp_path, "1 / 0\n"), code=10)
    (broken,) = found["application"]
    assert broken["verdict"] == "broken"
    assert "ZeroDivisionError: division by zero" in broken["what"]
    assert "ringback/cli" not in broken["what"]


def test_a_wrong_setting_is_broken(monkeypatch, capsys):
    """A setting that cannot be read is a finding, not a failure of the doctor."""
    monkeypatch.setenv("RINGBACK_WORKER_SLOTS", "many")
    (broken,) = findings(capsys, code=10)["settings"]
    assert "RINGBACK_WORKER_SLOTS: cannot use 'many'" in broken["what"]


def test_a_store_that_is_not_there_is_a_warning_and_not_made(tmp_path, capsys):
    """Before the first start there is nothing wrong; nothing is created."""
    (warning,) = findings(capsys, "--store", STORE)["store"]
    assert (warning["verdict"], "holds nothing" in warning["what"]) == ("warning", True)
    assert list(tmp_path.iterdir()) == []


def test_another_main_key_is_broken(tmp_path, capsys):
    """A store sealed with another key is told, and so is one whose key file is gone; none is made."""
    wait(shop())
    key = tmp_path / "shop.db.key"
    other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    found = findings(capsys, "--store", STORE, "--main-key", other, code=10)
    assert "sealed with another main key" in found["store"][-1]["what"]
    key.unlink()
    found = findings(capsys, "--store", STORE, code=10)
    assert "its key is missing: shop.db.key" in found["store"][-1]["what"]
    assert not key.exists()


def test_a_start_without_the_key_of_its_sources_is_refused(tmp_path):
    """Where the only things sealed are an inbox's, a lost key is noticed and no other is made beside it."""
    wait(shop())
    (tmp_path / "shop.db.key").unlink()
    with pytest.raises(ConfigurationError, match=r"shop\.db is there but its key shop\.db\.key is not"):
        shop().missing_handlers()
    assert not (tmp_path / "shop.db.key").exists()


@pytest.mark.parametrize(
    "content", [b"not a database, whatever it is called", b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_broken(tmp_path, capsys, content):
    """Whatever the bytes of the file, there is a finding and no traceback."""
    (tmp_path / "shop.db").write_bytes(content)
    (broken,) = findings(capsys, "--store", STORE, code=10)["store"]
    assert broken["what"].startswith("shop.db ")
    assert "key" not in broken["what"]


def test_a_store_that_cannot_be_named_so_is_broken(tmp_path, capsys):
    """A URL that names no store is a finding like others, with how one is written."""
    (broken,) = findings(capsys, "--store", "sqlite://shop.db", code=10)["store"]
    assert "write sqlite:///FILE" in broken["what"]
    assert list(tmp_path.iterdir()) == []


def test_an_application_database_is_broken_unless_it_is_shared(tmp_path, capsys):
    """A file of another program is not ours to use; for an inbox that shares it, it only waits for the start."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as own:
        own.execute("CREATE TABLE orders (id TEXT)")
    (broken,) = findings(capsys, "--store", STORE, code=10)["store"]
    assert "belongs to another program" in broken["what"]
    (waits,) = findings(capsys, *application(tmp_path, APPLICATION % True))["store"]
    assert waits["verdict"] == "warning"


def test_an_inbox_brings_its_own_store(tmp_path, capsys):
    """--store beside --inbox is 2, rather than ignored."""
    assert doctor(*application(tmp_path), "--store", STORE) == 2
    assert "--store cannot be given with --inbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("schema", "verdict"),
    [(1, Verdict.WARNING), (2, Verdict.OK), (3, Verdict.BROKEN), (None, Verdict.WARNING)],
)
def test_schemas_are_judged_by_their_age(schema, verdict):
    """An older schema will be changed, a newer one cannot be used."""
    condition = Condition(path="shop.db", exists=True, newest=2, schema=schema)
    assert examine_condition(condition, shared=False).verdict is verdict


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(None, "warning"), (1 * MIB, "broken"), (100 * MIB, "warning"), (100_000 * MIB, "ok")],
)
def test_little_space_is_a_warning_and_none_is_broken(free, verdict):
    """The limits are those by which webhooks are refused."""
    assert examine_free_space(free).verdict == verdict


def door(provider, *secrets, **fields):
    source = Source(
        id="src_1", name="one", uid="one", provider=provider, created_at=0, updated_at=0, **fields
    )
    return examine_door(Door(source, None, secrets), NOW)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_tells_a_secret_of_its_form_from_one_that_is_not(name):
    """The secret that its scheme wants is ok, an empty one broken, and what is uncovered a warning."""
    fitting = door(name, secret_for(name))
    assert fitting[0].verdict is Verdict.OK
    assert door(name, "")[0].verdict is Verdict.BROKEN
    uncovered = [one.why for one in fitting if one.verdict is Verdict.WARNING]
    assert uncovered == [text for text in [PROVIDERS[name].uncovered] if text]


def test_secrets_are_never_shown():
    """A finding about a secret says which it is, by its number, and none of its text."""
    findings_about = door("discord", "an-unfit-secret", " blanks around it ")
    assert findings_about[0].what.startswith("secret 1 of 2 cannot be used: ")
    assert not any("unfit" in str(one) or "blanks around" in str(one) for one in findings_about)


def test_blanks_around_a_secret_are_a_warning():
    """A line break that came with a secret is told before a signature fails of it."""
    assert "secret 1 of 1 has blanks" in door("stripe", "whsec_abc\n")[0].what


def test_a_source_without_a_secret_or_with_a_wrong_option_is_broken():
    """Neither can verify anything."""
    assert door("stripe")[0].verdict is Verdict.BROKEN
    assert door("stripe", "s", options={"no_such": "option"})[0].verdict is Verdict.BROKEN
    assert door("no-such-provider", "s")[0].verdict is Verdict.BROKEN
