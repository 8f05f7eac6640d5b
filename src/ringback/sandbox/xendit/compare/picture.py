"""The chart as PNG, drawn by resvg with a font of this machine."""

from __future__ import annotations

from types import ModuleType

from ringback.errors import ConfigurationError

# Which of a machine's fonts to write with: the first that is there.
FAMILIES = (
    "DejaVu Sans",
    "Liberation Sans",
    "Arial",
    "Helvetica",
    "Helvetica Neue",
    "Segoe UI",
    "Noto Sans",
    "Roboto",
    "Open Sans",
    "Ubuntu",
    "Cantarell",
)
SHARPNESS = 2
PROBE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
    '<text x="2" y="16" font-size="16" font-family="sans-serif">{}</text></svg>'
)


def picture(svg: str) -> bytes:
    """Return a chart as PNG, on a light ground.

    Args:
        svg: What ``chart`` returns.

    Raises:
        ConfigurationError: What draws it is not installed, or this machine has no font.
    """
    resvg = _resvg()
    family = _family(resvg)
    drawn: bytes = bytes(
        resvg.svg_to_bytes(svg_string=svg, zoom=SHARPNESS, sans_serif_family=family, font_family=family)
    )
    return drawn


def check_drawable() -> None:
    """Refuse where no picture could be drawn; see ``picture``."""
    _family(_resvg())


def _resvg() -> ModuleType:
    try:
        import resvg_py  # noqa: PLC0415 - an extra, and needed for PNG only
    except ImportError:
        raise ConfigurationError(
            "a PNG needs resvg-py: pip install 'ringback[chart]'. A chart as FILE.svg needs nothing"
        ) from None
    module: ModuleType = resvg_py
    return module


def _family(resvg: ModuleType) -> str:
    """Return a family of fonts that this machine has: one in which something is drawn."""
    for family in FAMILIES:
        fonts = {"sans_serif_family": family, "font_family": family}
        letter, nothing = (
            bytes(resvg.svg_to_bytes(svg_string=PROBE.format(text), **fonts)) for text in ("M", "")
        )
        if letter != nothing:
            return family
    raise ConfigurationError(
        f"no font was found to write with; install one of {', '.join(FAMILIES)} (on Debian: fonts-dejavu-core), "
        "or ask for FILE.svg, which is drawn with the fonts of whoever looks at it"
    )
