"""The documented states of a delivery are those of the law."""

import importlib.util
import re
from pathlib import Path

import pytest

from ringback.model import DeliveryState
from ringback.policy import TRANSITIONS, Step

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "state_diagram.py"
DOCUMENT = ROOT / "docs" / "explanation" / "delivery-states.md"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("state_diagram", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documented_diagram_is_current(script):
    """The diagram in the documentation is what the script draws from the law today."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert script.updated(text) == text, "out of date; run: python scripts/state_diagram.py --write"
    assert script.main(["--check"]) == 0


def test_the_diagram_draws_every_transition_and_no_other(script):
    """Read back, the arrows are exactly the table's rows."""
    drawn = {}
    for before, after, steps in re.findall(r"^ +(\S+) --> (\w+): (.+)$", script.diagram(), re.MULTILINE):
        for step in steps.split(", "):
            drawn[None if before == "[*]" else DeliveryState(before), Step(step)] = DeliveryState(after)
    assert drawn == TRANSITIONS


def test_the_script_prints_the_diagram(script, capsys):
    """Without an option the script prints Mermaid and changes nothing."""
    assert script.main([]) == 0
    assert capsys.readouterr().out.startswith("stateDiagram-v2\n")


def test_an_outdated_document_is_found_and_mended(script, tmp_path, monkeypatch, capsys):
    """A check fails and names the command; that command mends the diagram and leaves the text around it."""
    document = tmp_path / "delivery-states.md"
    document.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(script, "DOCUMENT", document)
    assert script.main(["--check"]) == 1
    assert "python scripts/state_diagram.py --write" in capsys.readouterr().err
    assert script.main(["--write"]) == 0
    assert script.main(["--check"]) == 0
    text = document.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{script.BEGIN}\n```mermaid\n")
    assert text.endswith(f"```\n{script.END}\nafter\n")


def test_a_document_without_markers_is_refused(script):
    """Where the diagram should go is not guessed."""
    with pytest.raises(ValueError, match="markers"):
        script.updated("no markers here")


@pytest.mark.parametrize("word", [*DeliveryState, *Step])
def test_every_state_and_step_is_explained(word):
    """Each state and each step has its row in the documentation."""
    assert f"\n| **{word}** |" in DOCUMENT.read_text(encoding="utf-8")
