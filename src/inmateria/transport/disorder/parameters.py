"""Refusals shared by the kinds of disorder: value, unit, limit and fix in one line."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping

from inmateria.errors import ParameterError


def positive(values: Mapping[str, object]) -> None:
    """Refuse anything but a positive, finite number.

    Parameters
    ----------
    values : mapping
        From the parameter's name with its unit, as it is to be printed, to its value.

    Raises
    ------
    ParameterError
    """
    for name, value in values.items():
        if not (isinstance(value, numbers.Real) and 0 < float(value) < math.inf):
            raise ParameterError(f"{name} = {value!r}: give a positive, finite number")


def whole(name: str, value: object, least: int) -> int:
    """A whole number of at least `least`; NumPy's integers are taken too.

    Raises
    ------
    ParameterError
    """
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        number = None
    if not isinstance(number, int) or number < least:
        raise ParameterError(f"{name} = {value!r}: give a whole number of at least {least}")
    return number
