"""Quantities of a sample's file (`data.transport_file`), as sections of a report want them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inmateria.report.transport_maps import Plan

if TYPE_CHECKING:
    import xarray as xr


def array(found: xr.Dataset, name: str) -> NDArray[Any]:
    """A quantity as a plain array."""
    return np.asarray(found[name].values)


def number(found: xr.Dataset, name: str) -> float:
    """A quantity that is one number."""
    return float(found[name])


def seconds(found: xr.Dataset, step: str) -> float:
    """What a step of the run took, s."""
    return float(json.loads(found.attrs["steps"])[step])


def plan_of(found: xr.Dataset) -> Plan:
    """Where the sample and its leads are."""
    return plan_of_gas(json.loads(found.attrs["gas"]))


def plan_of_gas(gas: Mapping[str, Any]) -> Plan:
    """The same, of an electron gas's own fields."""
    a = float(gas["spacing_nm"])

    def edge(lead: Mapping[str, int]) -> tuple[float, float]:
        first = lead["first_row"]
        return (first - 0.5) * a, (first + lead["n_rows"] - 0.5) * a

    return Plan(gas["n_x"] * a, gas["n_y"] * a, a, edge(gas["source"]), edge(gas["drain"]))
