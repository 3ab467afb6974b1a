"""Figures of Boon et al. 2025: `python -m benchmarks.homodyne_paper FIG [FIG ...] [--out DIR]`.

FIG is one of 1c, 2d, 2e, 3b, 3c, 3d (drawn together) and 4. Each prints its
table, goal beside measured, and draws docs/figures/homodyne-FIG.png.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
MODULES = {"1c": "1c", "2d": "2d", "2e": "2e", "3b": "3b", "3c": "3cd", "3d": "3cd", "4": "4"}


def main() -> None:
    """Draw the figures that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.homodyne_paper")
    parser.add_argument("figures", nargs="+", metavar="FIG", choices=[*MODULES, "3cd"])
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for the figures")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(MODULES.get(figure, figure) for figure in asked.figures):
        print(f"Figure {name}")
        import_module(f"benchmarks.homodyne_paper.fig{name}").main(asked.out)
        print()


if __name__ == "__main__":
    main()
