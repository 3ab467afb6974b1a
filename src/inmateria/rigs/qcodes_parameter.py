"""A QCoDeS parameter as a number: read, set, and what its validator takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.errors import InstrumentError, ParameterError

if TYPE_CHECKING:
    from qcodes.parameters import ParameterBase

_SCPI_INFINITY = 9.9e37
_SCPI_NAN = 9.91e37
_INSIDE = (0.3819, 0.7183)  # shares of a range at which numbers of no particular kind are tried


def read_number(parameter: ParameterBase[Any, Any]) -> float:
    """What the instrument says, in the parameter's unit.

    Infinite or NaN where SCPI says so by 9.9e37 and 9.91e37.

    Raises
    ------
    InstrumentError
        If it does not answer, or with something that is not one number.
    """
    try:
        answer = np.asarray(parameter.get())
        if np.iscomplexobj(answer):
            raise TypeError(f"{answer} is complex; give its real part, X of a lock-in")
        # Some drivers give a list of one.
        number = float(answer.astype(np.float64).item())
    except Exception as error:
        raise InstrumentError(
            f"{parameter.full_name} could not be read ({said(error)}); check that the "
            "instrument is on and connected"
        ) from error
    if abs(number) >= _SCPI_NAN:
        return float("nan")
    return float(np.copysign(np.inf, number)) if abs(number) >= _SCPI_INFINITY else number


def set_number(parameter: ParameterBase[Any, Any], number: float) -> None:
    """Set a parameter; on return it is there, walked by its own steps.

    Raises
    ------
    InstrumentError
    """
    try:
        parameter.set(number)
    except Exception as error:
        raise InstrumentError(
            f"{parameter.full_name} could not be set to {number:.6g}{unit(parameter)} "
            f"({said(error)}); check the instrument"
        ) from error


def last_set(parameter: ParameterBase[Any, Any]) -> float:
    """The last value that arrived, as far as QCoDeS knows; NaN if it knows none."""
    value: Any = parameter.cache.get(get_if_invalid=False)
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def accepts(parameter: ParameterBase[Any, Any], number: float) -> str:
    """Why a parameter does not take a number, or nothing."""
    try:
        parameter.validate(number)
    except (TypeError, ValueError) as error:
        return said(error)
    return ""


def accepted_range(
    parameter: ParameterBase[Any, Any], low: float, high: float
) -> tuple[float, float]:
    """Part of low ... high around 0 that a parameter takes, in its unit.

    Found by asking it, to the last digit, so that any validator counts, and
    those of a delegate's source in their own unit.

    Raises
    ------
    ParameterError
        If it does not take 0, where a rig has to end, or not every number in between.
    """
    reason = accepts(parameter, 0.0)
    if reason:
        raise ParameterError(
            f"{parameter.full_name} does not take 0, where a rig has to end ({reason}); "
            "give its validator a range of numbers that includes 0"
        )
    ends = low, high = _furthest(parameter, low), _furthest(parameter, high)
    for number in (low + share * (high - low) for share in _INSIDE):
        reason = accepts(parameter, number)
        if reason:
            raise ParameterError(
                f"{parameter.full_name} does not take every number from {low:g} to {high:g}"
                f"{unit(parameter)} ({reason}); give it a validator Numbers(min, max)"
            )
    return ends


def unit(parameter: ParameterBase[Any, Any]) -> str:
    """The parameter's unit as it is written behind a number, nothing if it has none."""
    symbol = getattr(parameter, "unit", "")
    return f" {symbol}" if symbol else ""


def said(error: Exception) -> str:
    """What an error says, in one line, without what QCoDeS appends to it."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return " ".join(text.split()) or type(error).__name__


def innermost(parameter: ParameterBase[Any, Any]) -> Any:
    """The parameter that a chain of delegates ends at."""
    link: Any = parameter
    while getattr(link, "source", None) is not None:
        link = link.source
    return link


def described(parameter: ParameterBase[Any, Any]) -> dict[str, Any]:
    """Its name and unit and the instrument behind it, as plain JSON values; nothing is asked."""
    root = innermost(parameter).root_instrument
    idn = getattr(root, "IDN", None)
    known = None if idn is None else idn.cache.get(get_if_invalid=False)
    return {
        "parameter": parameter.full_name,
        "unit": getattr(parameter, "unit", ""),
        "instrument": None if root is None else type(root).__name__,
        "idn": {k: None if v is None else str(v) for k, v in known.items()} if known else None,
    }


def _furthest(parameter: ParameterBase[Any, Any], end: float) -> float:
    """The accepted number that is closest to `end`, on the way from 0."""
    if not accepts(parameter, end):
        return end
    inside, outside = 0.0, end
    while True:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            return inside
        if accepts(parameter, middle):
            outside = middle
        else:
            inside = middle
