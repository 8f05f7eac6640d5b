"""Draws QR codes, as SVG that a page can hold."""

from __future__ import annotations

import segno
from markupsafe import Markup

# ISO/IEC 18004: a code stands on a light ground, four modules of which surround it - in dark mode, too.
QUIET = 4
GROUND = "#fff"


def drawn(text: str) -> Markup:
    """Return the QR code of a text, as large as what it stands in."""
    code = segno.make(text, error="m", micro=False)
    image: str = code.svg_inline(omitsize=True, border=QUIET, light=GROUND, svgclass=None, lineclass=None)
    return Markup(image)  # noqa: S704 - the drawing of a text holds nothing of it but squares
