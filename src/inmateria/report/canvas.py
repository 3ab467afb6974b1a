"""The paper every figure is drawn on: one style, out comes inline SVG text.

No pyplot and no global state: a figure is built inside its own settings and
leaves as text. The same input gives the same bytes (salted ids, no date).
Colours leave as CSS variables with the light value as fallback, so that one
SVG serves a light page, a dark page and a file of its own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from inmateria.report.colours import GRID, HIGH, INK, LOW, MUTED, SURFACE, THIRD, TOKENS, TRACE

__all__ = [
    "FONT_STACK",
    "GRID",
    "HIGH",
    "INK",
    "LOW",
    "MUTED",
    "SURFACE",
    "THIRD",
    "TOKENS",
    "TRACE",
    "draw",
]

FONT_STACK = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": True,
    "text.parse_math": False,
}


def draw(paint: Callable[[Figure], None], *, size: tuple[float, float], name: str, alt: str) -> str:
    """Inline SVG of what `paint` puts on an empty figure.

    Parameters
    ----------
    paint : callable
        Gets a `matplotlib.figure.Figure` and draws on it.
    size : (width, height), inches
    name : str
        Unique on a page: it salts the ids inside the SVG, so that two figures
        on one page never share one.
    alt : str
        What the figure shows, for those who cannot see it.
    """
    with matplotlib.rc_context(_settings(name)):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), alt)


# The backend and the interactive keys are the caller's and not ours to touch.
_OURS = (
    *("axes", "contour", "font", "grid", "hatch", "hist", "image", "legend", "lines", "mathtext"),
    *("patch", "path", "scatter", "svg", "text", "xtick", "ytick"),
    *("figure.constrained", "figure.dpi", "savefig.bbox", "savefig.dpi", "savefig.pad_inches"),
)


def _settings(name: str) -> Any:
    """Matplotlib's own defaults (not the user's file), then ours."""
    defaults: Any = matplotlib.rcParamsDefault
    keep = {key: defaults[key] for key in defaults if key.startswith(_OURS)}
    return {**keep, **_STYLE, "svg.hashsalt": name}


def _inline(svg: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    # Group ids ("axes_1") repeat from figure to figure and nothing refers to them.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", FONT_STACK, body)
    for variable, (drawn, light, _) in TOKENS.items():
        body = body.replace(drawn, f"var(--{variable}, {light})")
    # Coordinates to a hundredth of a point: half the bytes, nothing the eye can see.
    # The matrix of a picture is left alone: a hundredth of a pixel's size, times its pixels,
    # is millimetres. Browsers smooth it instead of showing pixels of unequal size.
    body = re.sub(r' (?:d|x|y|transform)="(?!matrix)[^"]*"', _shorten, body)
    body = body.replace(' style="image-rendering:crisp-edges;image-rendering:pixelated"', "")
    match = re.match(r"<svg [^>]*>", body)
    assert match is not None
    box = re.search(r'viewBox="([^"]*)"', match.group())
    assert box is not None
    width = float(box.group(1).split()[2])
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box.group(1)}" width="{width * 4 / 3:.0f}" '
        f'role="img" aria-label="{escape(alt)}">'
    )
    return head + body[match.end() :].strip()


def _shorten(attribute: re.Match[str]) -> str:
    return re.sub(r"(\d\.\d\d)\d+", r"\1", attribute.group())
