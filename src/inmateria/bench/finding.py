"""What a first measurement says in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["good", "look", "wrong"]
_ORDER: tuple[Kind, ...] = ("wrong", "look", "good")


@dataclass(frozen=True)
class Finding:
    """One line about one thing.

    Parameters
    ----------
    kind : 'good', 'look' or 'wrong'
        ``"look"`` is for what may be as it should and may not: only whoever knows the
        sample can tell.
    text : str
        The value, its error and unit, what it was held against, and what to do.
    """

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What is wrong first, otherwise in the order of discovery."""
    return tuple(sorted(findings, key=lambda f: _ORDER.index(f.kind)))


def plus_minus(value: float, error: float, *, sign: bool = False) -> str:
    """A value with its standard error, both to the error's second digit: ``-2.5 ± 1.3``."""
    digits = 3
    if math.isfinite(error) and error > 0:
        digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:{'+' if sign else ''}.{digits}f} ± {error:.{digits}f}"
