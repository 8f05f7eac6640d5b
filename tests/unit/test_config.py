"""Settings: where they come from, what they accept and what is said when they do not."""

import base64
import os
from ipaddress import ip_network

import pytest

from ringback import config
from ringback.config import SETTINGS, Address, Settings, load
from ringback.errors import ConfigurationError
from ringback.policy import DEFAULT_SCHEDULE, XENDIT_SCHEDULE

KEY = base64.b64encode(bytes(32)).decode()
TOKEN = "0123456789abcdef"

GOOD = [
    ("listen", "0.0.0.0:80", Address("0.0.0.0", 80)),
    ("listen", "[::1]:8400", Address("::1", 8400)),
    ("listen", "localhost:0", Address("localhost", 0)),
    ("store", "sqlite:////var/lib/r.db", "sqlite:////var/lib/r.db"),
    ("admin_token", TOKEN, TOKEN),
    ("main_key", f"{KEY},{KEY}", f"{KEY},{KEY}"),
    ("allow_subnets", "10.0.0.0/8, fd00::/8", (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))),
    ("allow_subnets", "", ()),
    ("retry_schedule", "default", DEFAULT_SCHEDULE),
    ("retry_schedule", "xendit", XENDIT_SCHEDULE),
    ("delivery_timeout", "1s", 1_000),
    ("delivery_timeout", "60s", 60_000),
    ("worker_slots", "1", 1),
    ("worker_slots", "10000", 10_000),
    ("memory_deliveries", "0", 0),
    ("endpoint_disable_after", "5d", 5 * 24 * 3_600_000),
    ("breaker_rest", "250ms", 250),
    ("retention", "1.5h", 5_400_000),
    ("max_payload", "1MiB", 1_048_576),
    ("max_payload", "512KiB", 524_288),
    ("max_payload", "2048", 2_048),
    ("max_payload", "2048 B", 2_048),
    ("egress_proxy", "http://proxy.internal:3128/", "http://proxy.internal:3128"),
    ("poll_interval", "10ms", 10),
    ("drain_timeout", "0s", 0),
    ("log_level", "DEBUG", "debug"),
    ("log_format", "json", "json"),
    ("url", "https://hooks.internal/base/", "https://hooks.internal/base"),
    ("token", TOKEN, TOKEN),
]

BAD = [
    ("listen", "8400", "HOST:PORT"),
    ("listen", "127.0.0.1:65536", "0 to 65535"),
    ("listen", ":80", "HOST:PORT"),
    ("listen", "localhost:eighty", "HOST:PORT"),
    ("admin_token", "short", "at least 16"),
    ("admin_token", "with spaces in it, long", "no spaces"),
    ("main_key", "bm90IDMyIGJ5dGVz", "32 bytes"),
    ("main_key", "?", "32 bytes"),
    ("allow_subnets", "10.0.0.1/8", "host bits"),
    ("allow_subnets", "example.com", "CIDR"),
    ("retry_schedule", "sometimes", "not a duration"),
    ("retry_schedule", "8d", "7 days"),
    ("delivery_timeout", "999ms", "between 1s and 60s"),
    ("delivery_timeout", "61s", "between 1s and 60s"),
    ("delivery_timeout", "20", "not a duration"),
    ("worker_slots", "0", "1 to 10000"),
    ("worker_slots", "10001", "1 to 10000"),
    ("worker_slots", "-1", "1 to 10000"),
    ("worker_slots", "many", "whole number"),
    ("worker_slots", "9" * 5000, "1 to 10000"),
    ("max_payload", "1GiB", "KiB or MiB"),
    ("max_payload", "1023", "between 1KiB and 16MiB"),
    ("max_payload", "17MiB", "between 1KiB and 16MiB"),
    ("egress_proxy", "proxy.internal:3128", "http://"),
    ("egress_proxy", "http://proxy.internal:port", "ort"),
    ("tls_ca_file", "/nowhere/ca.pem", "cannot be read"),
    ("log_level", "loud", "debug, info, warning, error"),
    ("url", "ftp://hooks.internal", "http:// or https://"),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_good_value_is_read(name, text, value):
    """Each form the reference page names is read into the unit it states."""
    assert getattr(load({name: text}, {}, None), name) == value


@pytest.mark.parametrize(("name", "text", "reason"), BAD)
def test_a_bad_value_is_refused_with_what_why_and_an_example(name, text, reason):
    """The error names the place, the setting and the reason, and shows a value that would do."""
    variable = f"RINGBACK_{name.upper()}"
    with pytest.raises(ConfigurationError) as caught:
        load({}, {variable: text}, None)
    message = str(caught.value)
    assert message.startswith(f"{variable}: ")
    assert name in message
    assert reason in message
    assert "Example: " in message


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path):
    """The four sources have one fixed order, and each value remembers where it was found."""
    file = tmp_path / "ringback.toml"
    file.write_text('worker_slots = 3\npoll_interval = "3s"\nretention = "3d"\n')
    environment = {"RINGBACK_WORKER_SLOTS": "2", "RINGBACK_POLL_INTERVAL": "2s", "HOME": "/root"}
    settings = load({"worker_slots": "1", "poll_interval": None}, environment, file)
    found = (settings.worker_slots, settings.poll_interval, settings.retention, settings.log_level)
    assert found == (1, 2_000, 3 * 86_400_000, "info")
    origins = [settings.origins[n].where for n in ("worker_slots", "poll_interval", "retention", "log_level")]
    assert origins == ["--worker-slots", "RINGBACK_POLL_INTERVAL", str(file), "default"]


def test_toml_takes_numbers_strings_and_lists(tmp_path):
    """A number and a list may be written as TOML writes them."""
    file = tmp_path / "own.toml"
    file.write_text('worker_slots = 64\nallow_subnets = ["10.0.0.0/8"]\nlisten = "127.0.0.1:1"\n')
    settings = load({}, {}, file)
    assert (settings.worker_slots, settings.allow_subnets) == (64, (ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"worker_slots = true", "whole number"),
        (b"worker_slots = 1.5", "whole number"),
        (b"[worker_slots]", "whole number"),
        (b"allow_subnets = [1]", "list of strings"),
        (b"worker slots", "not TOML"),
        (b"log_level = '\xff'", "not TOML"),
        (b"worker_slot = 3", "Did you mean worker_slots?"),
        (b"frobnicate = 3", "`ringback config`"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, reason):
    """Whatever a file holds, the answer is one sentence that names the file and the reason."""
    file = tmp_path / "ringback.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        load({}, {}, file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    """A file that was asked for and is not there is an error, never silently ignored."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load({}, {}, tmp_path / "none.toml")


def test_an_unknown_variable_is_refused_naming_near_ones():
    """A misspelt variable is an error that names what was probably meant; other programs' are ignored."""
    with pytest.raises(ConfigurationError, match=r"RINGBACK_LISTN\. Did you mean RINGBACK_LISTEN"):
        load({}, {"RINGBACK_LISTN": "x"}, None)
    assert load({}, {"RINGBACKUP": "x"}, None).log_level == "info"


def test_an_empty_variable_is_as_good_as_none():
    """An empty variable, as compose files make, leaves the default."""
    assert load({}, {"RINGBACK_LISTEN": ""}, None).listen == Address("127.0.0.1", 8400)


def test_secrets_are_never_shown():
    """Neither the representation nor an error nor the listing shows a secret."""
    settings = load({"admin_token": TOKEN, "main_key": KEY, "token": TOKEN[::-1]}, {}, None)
    shown = repr(settings) + "".join(settings.shown(setting) for setting in SETTINGS)
    for secret in (TOKEN, TOKEN[::-1], KEY):
        assert secret not in shown
    with pytest.raises(ConfigurationError) as caught:
        load({}, {"RINGBACK_ADMIN_TOKEN": "sesame"}, None)
    assert "sesame" not in str(caught.value)


def test_the_table_and_the_settings_are_one():
    """Every row of the table is a field of the settings, and the other way round."""
    assert {setting.name for setting in SETTINGS} == set(Settings.__struct_fields__) - {"origins", "sources"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_row_of_the_table_is_whole(setting):
    """Every setting has a description that is a sentence, an example, and a default that can be read."""
    assert setting.description.endswith(".")
    assert setting.example
    if setting.default is not None:
        setting.read(setting.default)


def test_the_folder_s_own_file_is_found(tmp_path, monkeypatch):
    """Without --config, ringback.toml in the working folder is read, and the process's environment counts."""
    (tmp_path / "ringback.toml").write_text("worker_slots = 7\n")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RINGBACK_LOG_LEVEL", "error")
    settings = config.load_here({})
    assert (settings.worker_slots, settings.log_level) == (7, "error")


@pytest.mark.parametrize("text", ["127.0.0.1:8400", "[::1]:0"])
def test_an_address_is_written_as_it_is_read(text):
    """Reading and writing an address are inverse."""
    assert str(config.parse_address(text)) == text
