"""A framework is needed by its own adapter only, and missed in words."""

import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("adapter", "framework", "extra"),
    [
        ("django", "django", "django"),
        ("flask", "flask", "flask"),
        ("google_cloud", "flask", "flask"),
        ("azure_functions", "azure.functions", "azure"),
    ],
)
def test_a_missing_framework_is_named(monkeypatch, adapter, framework, extra):
    """Importing an adapter whose framework is not installed says what to install."""
    for name in [name for name in sys.modules if name.startswith("ringback.adapters")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(f"{framework}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ImportError, match=rf"pip install 'ringback\[{extra}\]'"):
        importlib.import_module(f"ringback.adapters.{adapter}")


def test_the_plain_adapters_need_no_framework():
    """ASGI, WSGI and AWS Lambda work in an installation without any web framework."""
    program = (
        "import sys, ringback.adapters.asgi, ringback.adapters.wsgi, ringback.adapters.aws_lambda;"
        "sys.exit(bool({'django', 'flask', 'azure', 'fastapi', 'falcon'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
