"""The colours of figures and pages, by day and by night; nothing else comes with them."""

from __future__ import annotations

# Blue and vermillion of Okabe and Ito tell the two classes apart for all common
# kinds of colour blindness; they differ in lightness too, so also in grey print.
INK = "#1b1f24"
MUTED = "#5b6470"
GRID = "#dfe3e8"
SURFACE = "#fdfdfe"
TRACE = "#8d97a3"
LOW = "#0072b2"
HIGH = "#d55e00"
THIRD = "#009e73"

TOKENS: dict[str, tuple[str, str, str]] = {
    # variable: what it is drawn with, light value, dark value
    "ink": (INK, INK, "#e8eaed"),
    "muted": (MUTED, MUTED, "#a3adb8"),
    "grid": (GRID, GRID, "#343b44"),
    "surface": (SURFACE, SURFACE, "#171b21"),
    "trace": (TRACE, TRACE, "#77828e"),
    "low": (LOW, LOW, "#58b1ee"),
    "high": (HIGH, HIGH, "#f58a45"),
    "third": (THIRD, THIRD, "#3fc79c"),
}
