"""Checks a webhook's body against the field tables of the catalogue that Ringback ships."""

import json
from importlib.resources import files

KINDS = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
CATALOGUE = json.loads(files("ringback.providers").joinpath("data/xendit_events.json").read_bytes())


def faults(event, shape, body):
    """Return what is wrong with a body of an event in one of the shapes, ``legacy`` or ``event``."""
    table = next(
        entry["fields"] for entry in CATALOGUE if (entry["event_type"], entry["shape"]) == (event, shape)
    )
    return faults_of(table, body)


def faults_of(table, body):
    """Return what is wrong with a body by a field table."""
    present = dict(_walk(body, table))
    missing = [name for name, kind in table.items() if "!" in kind.split()[0] and name not in present]
    strange = [name for name in present if name not in table and not name.endswith(".*")]
    wrong = [
        f"{name}: {present[name]!r} is no {kind}"
        for name, kind in table.items()
        if name in present and not _fits(present[name], kind)
    ]
    return [*missing, *strange, *wrong]


def _walk(body, table, prefix=""):
    for name, value in body.items():
        path = prefix + name
        inner = any(known.startswith(path + ".") for known in table)
        if inner and isinstance(value, dict):
            if path in table:
                yield path, value
            yield from _walk(value, table, path + ".")
        else:
            yield path, value


def _fits(value, kind):
    first = kind.split()[0].split("(")[0]
    optional = "?" in first
    names = first.strip("!?").split("|")
    if value is None:
        return optional or "null" in names
    if isinstance(value, bool) and "boolean" not in names:
        return False
    known = [KINDS[name] for name in names if name in KINDS]
    if any(isinstance(value, one) for one in known):
        return True
    return not known and value in names
