"""Sets fields of an event's body by dotted paths, such as ``data.captures.0.capture_amount``.

A path has to be in the sample or in the catalogue's field table, or to lead into an object whose fields nobody
has listed, such as ``metadata``. What is set keeps its place among the others; what is new comes last.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ringback.providers import CatalogueEntry
from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.exact_json import decoded
from ringback.sandbox.xendit.field_kinds import ARRAY, NULL, OBJECT, TEXT, Kind, kind_like, kind_of
from ringback.sandbox.xendit.fields import invalid

MAX_PATH = 500
MAX_DEPTH = 20
MAX_CHANGES = 200
MAX_ITEMS = 1_000
MAX_SHOWN = 100
NEAR = 4
_INDEX = re.compile(r"\[(\d{1,4})\]")
ANY = Kind()


def overridden(entry: CatalogueEntry, body: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return *body* with other values in some places.

    Args:
        entry: What the body is one of.
        body: The body; not changed.
        changes: By path, the new values as ``exact_json`` reads them.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: there is no such place, or the value is of the wrong kind for it.
    """
    if len(changes) > MAX_CHANGES:
        raise invalid(f"at most {MAX_CHANGES} fields can be set at once")
    new = body
    for path, value in changes.items():
        kind = kind_at(entry, new, path)
        if not kind.fits(value):
            raise _wrong(path, kind)
        new = _put(new, _steps(path), value, path)
    return new


def read_change(entry: CatalogueEntry, body: Mapping[str, Any], path: str, text: str) -> Any:
    """Return what somebody means who types *text* for a path.

    Where a string is expected the text is one, quoted or not; elsewhere it is JSON. ``null`` is null where that may
    be. Where anything is expected, it is JSON if it can be, and a string otherwise.

    Raises:
        Refused: As ``overridden``.
    """
    kind = kind_at(entry, body, path)
    plain = kind.is_text and not text.startswith('"') and not (text == NULL and NULL in kind.types)
    try:
        value = text if plain else decoded(text)
    except ValueError:
        if kind.types and TEXT not in kind.types:
            raise _wrong(path, kind) from None
        value = text
    _check_text(path, text)
    if not kind.fits(value):
        raise _wrong(path, kind)
    return value


def read_changes(entry: CatalogueEntry, body: dict[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """Return changes that were typed as ``path=value``.

    Raises:
        Refused: As ``overridden``; or one has no ``=``.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        path, separator, value = text.partition("=")
        if not separator or not path:
            raise invalid(f"a field is set by PATH=VALUE, not by {_brief(text)}")
        changes[path] = read_change(entry, overridden(entry, body, changes), path, value)
    return changes


def kind_at(entry: CatalogueEntry, body: Mapping[str, Any], path: str) -> Kind:
    """Return what may stand in a place.

    Raises:
        Refused: 400: there is no such place, with the names of those that are near.
    """
    steps = _steps(path)
    names = tuple(step for step in steps if not _is_position(step))
    for length in range(len(names), 0, -1):
        written = entry.fields.get(".".join(names[:length]))
        if written is not None:
            kind = _inside(kind_of(written), names[length:], steps, body)
            break
    else:
        kind = _listed_below(entry, names) or _present(body, steps)
    if kind is None:
        raise _unknown(entry, body, path)
    return kind


def paths_of(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each place of a body with what is there, objects and lists before what is in them."""
    yield from _walk("", body)


# --- What may be where ------------------------------------------------------------------------------------


def _inside(kind: Kind, rest: tuple[str, ...], steps: Sequence[str], body: Mapping[str, Any]) -> Kind | None:
    """Return the kind of what is *rest* below a field of a *kind*; None where there can be no such thing."""
    if not rest and not _is_position(steps[-1]):
        return kind
    if not kind.types & {OBJECT, ARRAY}:
        return None
    if rest and kind.members and rest[0] not in kind.members:
        return None
    return _present(body, steps) or ANY


def _listed_below(entry: CatalogueEntry, names: tuple[str, ...]) -> Kind | None:
    """Return the kind of an object of which only the fields are listed; None where none are."""
    beginning = ".".join(names) + "."
    listed = any(path.startswith(beginning) for path in entry.fields)
    return Kind(types=frozenset({OBJECT, NULL})) if names and listed else None


def _present(body: Mapping[str, Any], steps: Sequence[str]) -> Kind | None:
    """Return a kind like that of what is in a place now; None where nothing is."""
    here: Any = body
    for step in steps:
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and _is_position(step) and int(step) < len(here):
            here = here[int(step)]
        else:
            return None
    return kind_like(here)


def _steps(path: str) -> list[str]:
    if len(path) > MAX_PATH:
        raise invalid(f"a path has at most {MAX_PATH} characters")
    _check_text("a path", path)
    steps = _INDEX.sub(r".\1", path).split(".")
    if not all(steps):
        raise invalid(f"{_brief(path)} is no path; write names and numbers with a dot between each two")
    if len(steps) > MAX_DEPTH:
        raise invalid(f"a path has at most {MAX_DEPTH} parts")
    return steps


def _is_position(step: str) -> bool:
    return step.isascii() and step.isdecimal()


# --- Putting ----------------------------------------------------------------------------------------------


def _put(here: Any, steps: Sequence[str], value: Any, path: str) -> Any:
    """Return *here* with *value* in a place inside, made with all that leads there."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if here is None:
        here = [] if _is_position(step) else {}
    if isinstance(here, dict):
        return here | {step: _put(here.get(step), rest, value, path)}
    if not isinstance(here, list):
        raise invalid(f"{_brief(path)} leads into a value that has nothing inside")
    position = int(step) if _is_position(step) else -1
    if not 0 <= position <= min(len(here), MAX_ITEMS):
        raise invalid(f"{_brief(path)}: {_brief(step)} is no place in a list of {len(here)}; 0 is the first")
    inner = here[position] if position < len(here) else None
    return [*here[:position], _put(inner, rest, value, path), *here[position + 1 :]]


# --- Refusals ---------------------------------------------------------------------------------------------


def _wrong(path: str, kind: Kind) -> Refused:
    return invalid(f"{_brief(path)} must be {kind}")


def _unknown(entry: CatalogueEntry, body: Mapping[str, Any], path: str) -> Refused:
    known = dict.fromkeys([*(place for place, _ in paths_of(body)), *entry.fields])
    near = ", ".join(_near(path, list(known)))
    told = f"near to it: {near}" if near else f"it has {', '.join(known)}"
    return invalid(f"{entry.name} has no field {_brief(path)}; {told}")


def _near(path: str, known: Sequence[str]) -> list[str]:
    """Return the places that somebody may have meant: those whose last names are alike, then those alike as a whole."""
    last = _last(path)
    within = sorted(
        (place for place in known if last in _last(place)), key=lambda place: last != _last(place)
    )
    alike = difflib.get_close_matches(last, {_last(place) for place in known}, n=NEAR, cutoff=0.6)
    ends = [place for name in alike for place in known if _last(place) == name]
    whole = difflib.get_close_matches(path, known, n=NEAR, cutoff=0.6)
    return list(dict.fromkeys([*within, *ends, *whole]))[:NEAR]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _check_text(name: str, text: str) -> None:
    # What a terminal passed on that was not UTF-8 is halves of characters here.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise invalid(f"{_brief(name)} holds bytes that are not UTF-8")


def _brief(text: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= MAX_SHOWN else f"{printable[:MAX_SHOWN]}..."


def _walk(way: str, value: Any) -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        place = f"{way}.{name}" if way else str(name)
        yield place, one
        yield from _walk(place, one)
