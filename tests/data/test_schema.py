"""What a measurement must be, and what is said where it is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

from inmateria.data.schema import check_measurement, measurement
from inmateria.devices.device import Terminal
from inmateria.errors import (
    DataFileError,
    InMateriaError,
    NotFiniteError,
    ParameterError,
    SchemaVersionError,
    ShapeError,
    TerminalError,
)

TERMINALS = (Terminal("e1"), Terminal("e2"))


def build(**changes: Any) -> xr.Dataset:
    arguments: dict[str, Any] = {
        "voltage": np.zeros((5, 2)),
        "current": np.ones((5, 1)),
        "terminals": TERMINALS,
        "outputs": ["out"],
        "rate_hz": 1e4,
        "fidelity": "simulation",
    } | changes
    return measurement(arguments.pop("voltage"), arguments.pop("current"), **arguments)


def test_by_default_every_row_stands_alone_and_none_is_clipped() -> None:
    dataset = build()
    np.testing.assert_array_equal(dataset["segment"], np.arange(5))
    assert not dataset["clipped"].any()
    assert dataset["clipped"].dtype == np.int8
    assert dataset["segment"].dtype == np.int32


def test_one_flag_a_row_counts_for_all_outputs() -> None:
    dataset = build(
        current=np.ones((5, 2)), outputs=["a", "b"], clipped=[False, True, False, False, True]
    )
    np.testing.assert_array_equal(dataset["clipped"].sum("output"), [0, 2, 0, 0, 2])


def test_attributes_are_text_and_numbers() -> None:
    dataset = build(device={"radius_nm": np.float64(150.0), "ids": np.arange(2)}, seed=3, note="x")
    assert json.loads(dataset.attrs["device"]) == {"radius_nm": 150.0, "ids": [0, 1]}
    assert dataset.attrs["note"] == "x"
    assert dataset.attrs["schema_version"] == 1
    assert dataset.attrs["software"].startswith("inmateria ")
    assert all(type(value) in (str, int, float) for value in dataset.attrs.values())
    assert "seed" not in build().attrs


def test_a_rate_may_be_unknown() -> None:
    assert np.isnan(build(rate_hz=float("nan")).attrs["rate_hz"])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"voltage": np.zeros((4, 2))}, ShapeError, "do not make rows"),
        ({"voltage": np.zeros(5)}, ShapeError, "do not make rows"),
        ({"voltage": np.zeros((5, 3))}, ShapeError, "voltage has 3 columns and there are 2"),
        ({"outputs": ["a", "b"]}, ShapeError, "current has 1 columns and there are 2 outputs"),
        ({"segment": np.zeros(4)}, ShapeError, r"segment \(4,\)"),
        ({"clipped": np.zeros((5, 2))}, ShapeError, r"clipped \(5, 2\)"),
        ({"current": np.full((5, 1), np.nan)}, NotFiniteError, r"current\[0, 0\] is nan nA"),
        ({"segment": [0, 0, -1, 1, 1]}, ParameterError, "segment -1 is negative"),
        ({"rate_hz": 0.0}, ParameterError, "rate 0.0 Hz is not positive"),
        ({"fidelity": "guess"}, ParameterError, "'guess' is unknown; use simulation or"),
        ({"parents": [{"path": "x"}]}, ParameterError, "is not {path, sha256}"),
        ({"device": {"x": object()}}, ParameterError, "has no JSON form"),
        ({"terminals": (Terminal("a"), Terminal("a"))}, TerminalError, "names repeat"),
    ],
)
def test_wrong_arrays_and_parameters(
    changes: dict[str, Any], error: type[InMateriaError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        build(**changes)
    assert "\n" not in str(caught.value)


def test_wrong_datasets() -> None:
    good = build()
    check_measurement(good)
    with pytest.raises(DataFileError, match="lacks the variable segment"):
        check_measurement(good.drop_vars("segment"))
    with pytest.raises(ShapeError, match=r"voltage has dimensions \('terminal', 'sample'\)"):
        check_measurement(good.assign(voltage=good["voltage"].transpose()))
    with pytest.raises(DataFileError, match="holds schema 'other'"):
        check_measurement(good.assign_attrs(schema="other"))
    with pytest.raises(SchemaVersionError, match="version 2"):
        check_measurement(good.assign_attrs(schema_version=2))
    with pytest.raises(DataFileError, match="version 'one'"):
        check_measurement(good.assign_attrs(schema_version="one"))
    with pytest.raises(ShapeError, match="current has type int64"):
        check_measurement(good.assign(current=good["current"].astype(np.int64)))
    milli = good.copy()
    milli["voltage"].attrs["units"] = "mV"
    with pytest.raises(ParameterError, match="voltage is in 'mV', not 'V'; convert it"):
        check_measurement(milli)
