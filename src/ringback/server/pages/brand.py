"""How the portal looks: with the name, logo and colour of whoever offers webhooks; and who may embed it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import msgspec

KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
MAX_LOGO = 256 * 1024
# Of text on its ground (WCAG 2.2, 1.4.3), with a little room.
CONTRAST = 4.8
LIGHT_GROUND = (238, 240, 245)
DARK_GROUND = (16, 20, 28)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
# Below it, light is in proportion (sRGB).
PROPORTIONAL = 0.04045
STEPS = 100

Colour = tuple[int, int, int]


class Logo(msgspec.Struct, frozen=True):
    """A picture."""

    content: bytes
    content_type: str


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """How the portal looks; *ancestors* are the origins that may hold it in a frame."""

    name: str = "Webhooks"
    logo: Logo | None = None
    colour: Colour | None = None
    ancestors: tuple[str, ...] = ()

    @property
    def is_embedded(self) -> bool:
        """Whether any page may hold it in a frame."""
        return self.ancestors != ()

    @property
    def style(self) -> str:
        """The style sheet that gives pages its colour, as far as it can be read on them."""
        if self.colour is None:
            return ""
        light, dark = readable(self.colour, LIGHT_GROUND), readable(self.colour, DARK_GROUND)
        properties = {
            "accent": (light, dark),
            "accent-strong": (mixed(light, BLACK), mixed(dark, WHITE)),
            "on-accent": (WHITE, DARK_GROUND),
            "accent-ground": (mixed(LIGHT_GROUND, light, 0.08), mixed(DARK_GROUND, dark, 0.16)),
        }
        lines = (
            f"--{name}: light-dark({written(one)}, {written(other)});"
            for name, (one, other) in properties.items()
        )
        return f":root {{ {' '.join(lines)} }}\n"


PLAIN = Brand()


def read_logo(path: Path) -> Logo:
    """Read a logo.

    Raises:
        ValueError: It is no SVG or PNG, or too large.
        OSError: It cannot be read.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path} is neither .svg nor .png")
    content = path.read_bytes()
    if len(content) > MAX_LOGO:
        raise ValueError(f"{path} has more than {MAX_LOGO // 1024} KiB")
    return Logo(content, kind)


def readable(colour: Colour, ground: Colour) -> Colour:
    """Return the colour nearest to *colour*, lighter or darker, in which text can be read on a *ground*."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    goal = 0.0 if luminance(ground) > luminance((128, 128, 128)) else 1.0
    for step in range(STEPS + 1):
        at = lightness + (goal - lightness) * step / STEPS
        found = colorsys.hls_to_rgb(hue, at, saturation)
        tried = round(found[0] * 255), round(found[1] * 255), round(found[2] * 255)
        if contrast(tried, ground) >= CONTRAST:
            return tried
    return BLACK if goal == 0 else WHITE


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: Sequence[int]) -> float:
    """Return the relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return float(part / 12.92 if part <= PROPORTIONAL else ((part + 0.055) / 1.055) ** 2.4)


def mixed(one: Colour, other: Colour, share: float = 0.25) -> Colour:
    """Return *one* with a share of *other*."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def written(colour: Colour) -> str:
    """Write a colour as style sheets have it."""
    return "#" + bytes(colour).hex()
