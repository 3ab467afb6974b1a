"""Has the device changed? On devices of which it is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from inmateria.bench.stability import check_stability, compare_references, record_reference
from inmateria.data.measurement import open_measurement, write_measurement
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import DataFileError, ParameterError, TerminalError, VoltageLimitError
from inmateria.rigs.guard import Guard
from inmateria.rigs.simulated import SimulatedRig

from .crooked import CONDUCTANCE, Resistors, bench

SMALL = DopantParameters(
    n_acceptors=8, n_donors=1, radius_nm=40.0, electrode_width_nm=12.0, localisation_nm=10.0
)
SLOW = {"rate": 2000.0}


@pytest.fixture(scope="module")
def reference() -> xr.Dataset:
    return record_reference(bench(Resistors(), seed=1, **SLOW))


def test_the_same_device_under_other_noise(reference: xr.Dataset) -> None:
    guard = bench(Resistors(), seed=2, **SLOW)
    done: list[tuple[int, int]] = []
    found = check_stability(guard, reference, progress=lambda *n: done.append(n))
    assert found.verdict == "unchanged"
    assert done[-1] == (6, 6)
    assert guard.last_voltage == pytest.approx(np.zeros(4), abs=1e-12)
    # Noise is all there is: as much change as it makes, and a factor of one.
    assert found.change_na == pytest.approx(found.expected_na, rel=0.4)
    assert (abs(found.gain - 1) < 4 * found.gain_error).all()
    assert (found.correlation > 0.99).all()
    assert all(f.kind == "good" for f in found.findings)


def test_levels_are_right_whatever_drifts(reference: xr.Dataset) -> None:
    found = check_stability(bench(Resistors(), seed=2, **SLOW), reference)
    truth = found.points @ CONDUCTANCE.T
    off = found.then.level.T - truth
    off -= off.mean(axis=0)
    # 48 numbers: their rms is known to a tenth, the error they are held against likewise.
    assert np.sqrt((off**2).mean(axis=0)) == pytest.approx(found.then.error, rel=0.4)


def test_how_often_noise_alone_looks_like_a_change() -> None:
    """The probabilities are what they say, in noise that falls as 1/f^1.5."""
    sessions = [
        record_reference(bench(Resistors(), seed=100 + k, **SLOW), hold_s=0.01, settle_s=0.003)
        for k in range(40)
    ]
    pairs = [compare_references(a, b) for a, b in zip(sessions[::2], sessions[1::2], strict=True)]
    p = np.concatenate([pair.p_value for pair in pairs])
    # 40 uniform numbers: mean 0.5 +- 0.046, below 0.1 four, and ten once in 400 runs.
    assert abs(p.mean() - 0.5) < 0.16
    assert (p < 0.1).sum() < 10
    assert (p > 0.9).sum() < 10
    assert all(pair.verdict == "unchanged" for pair in pairs)


def test_another_device() -> None:
    def guard(device_seed: int, noise_seed: int) -> Guard:
        network = DopantNetwork(seed=device_seed, parameters=SMALL, engine="meanfield")
        return Guard(SimulatedRig(network, seed=noise_seed, rate=1000.0))

    reference = record_reference(guard(1, 1), n_passes=4)
    assert check_stability(guard(1, 2), reference).verdict == "unchanged"
    found = check_stability(guard(2, 3), reference)
    assert found.verdict == "changed"
    assert found.p_value[0] < 1e-12
    assert found.correlation[0] < 0.9
    assert found.findings[0].text.startswith("e0 has changed by")


def test_one_terminal_three_per_cent_off(reference: xr.Dataset) -> None:
    conductance = CONDUCTANCE * np.array([1.03, 1.0, 1.0, 1.0])
    found = check_stability(bench(Resistors(conductance), seed=3, **SLOW), reference)
    # 1.2 nA/V on +-1 V: 0.7 nA rms against 0.4 nA of noise. On y it is 0.02 nA and hidden.
    assert found.verdicts == ("changed", "unchanged")
    assert found.change_na[0] == pytest.approx(0.03 * 40 / np.sqrt(3), rel=0.5)
    assert found.verdict == "changed"


def test_a_gain_is_told_as_such(reference: xr.Dataset) -> None:
    found = check_stability(bench(Resistors(1.05 * CONDUCTANCE), seed=4, **SLOW), reference)
    assert found.verdict == "changed"
    assert (abs(found.gain - 1.05) < 4 * found.gain_error).all()
    assert any("common factor of 1.05" in f.text for f in found.findings)
    assert (found.left_p_value > 1e-3).all()


def test_drift_is_no_change(reference: xr.Dataset) -> None:
    found = check_stability(bench(Resistors(offset_na=40.0), seed=5, **SLOW), reference)
    assert found.verdict == "drifted"
    # Each session's own drift is 2 nA.
    assert found.offset_na == pytest.approx([40.0, 40.0], abs=10)
    assert sum(f.text.endswith("no change of the device") for f in found.findings) == 2
    assert {f.kind for f in found.findings} == {"good", "look"}


def test_more_noise_is_told(reference: xr.Dataset) -> None:
    found = check_stability(bench(Resistors(), seed=6, level=2e-4, **SLOW), reference)
    assert found.verdict != "changed"
    assert any("noise was" in f.text for f in found.findings)


def test_through_a_file(reference: xr.Dataset, tmp_path: Path) -> None:
    path = write_measurement(tmp_path / "reference.nc", reference)
    again = open_measurement(path)
    guard = bench(Resistors(), seed=7, **SLOW)
    found = check_stability(guard, again)
    same = compare_references(reference, found.measurement)
    assert same.p_value.tolist() == found.p_value.tolist()
    assert found.then_utc == reference.attrs["started_utc"]
    # A visit holds its point in the first session and in the second.
    assert (again["voltage"].values == found.measurement["voltage"].values).all()


def test_clipped_points_are_left_out() -> None:
    def guard(seed: int) -> Guard:
        return bench(Resistors(12 * CONDUCTANCE), seed=seed, **SLOW)

    found = check_stability(guard(2), record_reference(guard(1)))
    assert found.n_clipped > 0
    assert len(found.points) + found.n_clipped == 24
    assert (abs(found.points @ (12 * CONDUCTANCE.T)) < 401).all()
    assert found.verdict == "unchanged"


def test_without_any_noise() -> None:
    def guard(conductance: np.ndarray) -> Guard:
        return Guard(SimulatedRig.ideal(Resistors(conductance), rate=500.0))

    reference = record_reference(guard(CONDUCTANCE))
    assert check_stability(guard(CONDUCTANCE), reference).verdict == "unchanged"
    assert check_stability(guard(1.0001 * CONDUCTANCE), reference).verdict == "changed"


@pytest.mark.parametrize("dead", [None, 1])
def test_an_output_without_a_shape_is_told(dead: int | None) -> None:
    """Wired to nothing, or a constant: unchanged, and nothing to compare."""
    conductance = CONDUCTANCE * np.array([[1.0], [0.0]])

    def guard(seed: int) -> Guard:
        return bench(Resistors(conductance), seed=seed, dead=dead, **SLOW)

    found = check_stability(guard(2), record_reference(guard(1)))
    assert found.verdict == "unchanged"
    assert np.isnan(found.correlation).tolist() == [False, True]
    (line,) = [f.text for f in found.findings if f.kind == "wrong"]
    assert line.startswith("y does not depend on any voltage")


def test_what_cannot_be_compared_is_refused(reference: xr.Dataset) -> None:
    guard = bench(Resistors(), **SLOW)
    other = reference.copy()
    other.attrs["design"] = '{"kind":"plateaus"}'
    with pytest.raises(DataFileError, match="no reference"):
        check_stability(guard, other)
    renamed = Resistors()
    renamed.outputs = ("x", "z")
    with pytest.raises(TerminalError, match="outputs x, y, this bench a, b, c, d and x, z"):
        check_stability(bench(renamed, **SLOW), reference)
    narrow = Guard(SimulatedRig(Resistors(), **SLOW), limits={"a": (-0.1, 0.1)})
    with pytest.raises(VoltageLimitError):
        check_stability(narrow, reference)
    assert narrow.played_s == 0
    with pytest.raises(ParameterError, match="n_passes = 2"):
        record_reference(guard, n_passes=2)
    more = record_reference(guard, n_points=8, n_passes=3)
    with pytest.raises(DataFileError, match="not of the same points"):
        compare_references(reference, more)
