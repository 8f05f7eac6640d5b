"""A hundred hostile texts and more, how many of them get onto one page, and what must not come of it there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from running import Answer, Api, Arrival, Refused
from visits import Visit

HOSTILE: list[str] = [
    one if isinstance(one, str) else one["text"] * one["times"]
    for one in json.loads(Path(__file__).with_name("hostile.json").read_text("utf-8"))
]
# What fits into an address.
SHORT = [text for text in HOSTILE if len(text) <= 255]
# What may stand in a name; some of the others no field takes, and one of them would keep all in its pack from it.
PRINTABLE = [text for text in HOSTILE if text.isprintable()]
# The same in addresses, a few at a time.
FEW = 3
TOLD = [
    quote(" ".join(SHORT[begin : begin + FEW]), safe="", errors="replace")
    for begin in range(0, len(SHORT), FEW)
]
EVERYTHING = "\n".join(HOSTILE)
# What leads on in a list.
OLDER = re.compile("^(Older|Older attempts|Next)$")
# What a page may never hold, whatever the texts in it: things that run, load or lead elsewhere, or that do not fit.
FAULTS = """() => {
  const faults = [], tell = one => faults.push(one.outerHTML.slice(0, 150));
  document.querySelectorAll("details").forEach(one => { one.open = true; });
  for (const one of document.querySelectorAll("*")) {
    const name = one.localName;
    if (["iframe", "object", "embed", "base", "style", "marquee", "video", "audio"].includes(name)) tell(one);
    if (name === "script" && new URL(one.src).origin !== location.origin) tell(one);
    for (const { name: attribute, value } of one.attributes) {
      if (/^on|^style$|^hx-on|^srcdoc$/.test(attribute)) tell(one);
      if (/^(href|src|action|formaction|xlink:href|hx-get|data-watch|data-then)$/.test(attribute)
          && !["http:", "https:"].includes(new URL(value, location.href).protocol)) tell(one);
    }
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) faults.push("wider than the window");
  return faults;
}"""


def packed(longest: int, texts: Sequence[str] = PRINTABLE) -> list[str]:
    """Return the *texts*, as many in one as fit; none is longer than *longest*, where each is cut."""
    packs = [""]
    for text in (whole[:longest] for whole in texts):
        more = f"{packs[-1]} {text}" if packs[-1] else text
        if len(more) <= longest:
            packs[-1] = more
        else:
            packs.append(text)
    return packs


def taken(api: Api, path: str, *drafts: dict[str, object]) -> dict[str, object]:
    """Make something of the first draft that is not refused; return it."""
    for draft in drafts[:-1]:
        try:
            return api.post(path, draft)
        except Refused:
            continue
    return api.post(path, drafts[-1])


def answer(arrival: Arrival) -> Answer:
    """Answer with the text whose number the address ends in, otherwise with all of them, and a failure."""
    name = arrival.path.partition("?")[0].rpartition("/")[2]
    body = (HOSTILE[int(name)] if name.isdigit() else EVERYTHING).encode("utf-8", "replace")
    head = b"HTTP/1.1 500 No\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n"
    return Answer(500, raw=head % len(body) + body)


def look(visitor: Visit, path: str, *texts: str) -> list[str]:
    """Open a page; return what is wrong with it. What of the *texts* reads as it is written must be there."""
    visitor.page.goto(visitor.site + path, wait_until="domcontentloaded")
    return look_again(visitor, texts)


def look_again(visitor: Visit, texts: Sequence[str] = ()) -> list[str]:
    """Look at the page that is open as ``look`` does."""
    found = (*faults(visitor), *unseen(shown(visitor), texts))
    return [f"{visitor.page.url[:100]}: {fault}" for fault in found]


def look_through(visitor: Visit, path: str, *texts: str) -> list[str]:
    """Look at all parts of a list, in one of which each of the *texts* must be; return what is wrong with them."""
    found = look(visitor, path)
    seen = shown(visitor)
    while (older := visitor.page.get_by_role("link", name=OLDER)).count():
        older.first.click()
        visitor.page.wait_for_load_state()
        found += faults(visitor)
        seen += shown(visitor)
    return [*found, *(f"{path}: {fault}" for fault in unseen(seen, texts))]


def look_at_each(
    visitor: Visit, path: str, places: Sequence[dict[str, str]], texts: Sequence[str]
) -> list[str]:
    """Look at the page about each of the *places*, with its text; return what is wrong with them."""
    every = zip(places, texts, strict=True)
    return [fault for place, text in every for fault in look(visitor, path.format(**place), text)]


def faults(visitor: Visit) -> list[str]:
    """Return what the page that is open must not hold."""
    found: list[str] = visitor.page.evaluate(FAULTS)
    return found


def shown(visitor: Visit) -> str:
    """Return what the page that is open says, with single blanks."""
    return " ".join(visitor.page.evaluate("document.body.textContent").split())


def unseen(seen: str, texts: Sequence[str]) -> list[str]:
    """Return which of the *texts*, of those that read as they are written, are not among what was *seen*."""
    return [f"does not show {text!r}" for text in texts if is_plain(text) and text not in seen]


def is_plain(text: str) -> bool:
    """Whether a text, or a pack of them, reads on a page as it is written."""
    return text.isprintable() and text == " ".join(text.split()) and len(text) <= 255
