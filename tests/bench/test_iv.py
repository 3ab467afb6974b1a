"""I-V curves of devices whose curves are known."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.bench.iv import measure_iv
from inmateria.errors import ParameterError, VoltageLimitError

from .crooked import CONDUCTANCE, Backlash, Resistors, bench


def test_resistors() -> None:
    with bench(Resistors(), seed=2) as guard:
        found = measure_iv(guard, n_points=21)
        assert guard.last_voltage == pytest.approx(np.zeros(4), abs=1e-12)
    assert found.voltage.shape == (4, 21)
    assert found.up.shape == found.down.shape == (4, 2, 21)
    # Eight numbers of unit variance; 16 bit of +-10 V shift a voltage by 0.15 mV at most.
    off = (found.slope - CONDUCTANCE.T) / np.hypot(found.slope_error, 2e-3 * abs(CONDUCTANCE.T))
    assert (abs(off) < 5).all()
    assert 0.4 < np.sqrt(np.mean(off**2)) < 1.8
    assert not found.hysteretic.any()
    # d is wired to nothing; b and y are 0.5 nA/V, 1 nA over all against 3 nA of drift.
    assert found.responds[[0, 1, 2], [0, 0, 1]].all()
    assert not found.responds[3].any()
    kinds = {f.kind: f.text for f in found.findings}
    assert kinds["look"].startswith("no output follows d by more")
    assert "3 of 4 terminals" in kinds["good"]
    assert "wrong" not in kinds


def test_the_error_is_the_scatter_of_the_points() -> None:
    found = measure_iv(bench(Resistors(), seed=4), ("d",), n_points=41)
    # Neighbours in time differ by root two errors; 80 differences, correlated: 10 % of scatter.
    scatter = np.diff(np.concatenate([found.up[0], found.down[0][:, ::-1]], axis=1), axis=1)
    apart = np.sqrt((scatter**2).mean(axis=1))
    # A hold and a settling lie between the beginnings of two holds, so a little more than next.
    assert apart == pytest.approx(np.sqrt(2) * found.standard_error[0], rel=0.35)


def test_backlash_is_named_and_measured() -> None:
    with bench(Backlash([0.1, 0.0, 0.0, 0.0]), seed=1) as guard:
        found = measure_iv(guard, ("a", "c"), n_points=21)
    # 0.1 V behind on the way up, 0.1 V ahead on the way down, but for the two ends.
    middle = np.s_[0, 0, 3:-3]
    assert found.up[middle] - found.down[middle] == pytest.approx(-2 * 0.1 * 40, abs=3.5)
    assert found.hysteretic.tolist() == [[True, False], [False, False]]
    (line,) = [f.text for f in found.findings if "up and down" in f.text]
    assert line.startswith("x against a")


def test_noise_alone_is_hardly_ever_hysteresis() -> None:
    alarms = 0
    for seed in range(12):
        guard = bench(Resistors(), seed=seed)
        found = measure_iv(guard, n_points=11, hold_s=0.01, settle_s=0.005)
        alarms += int(found.hysteretic.sum())
    # 96 curves, each with less than a thousandth; errors of errors make it a little more.
    assert alarms <= 1


def test_clipping_is_told_with_its_voltages() -> None:
    with bench(Resistors(20 * CONDUCTANCE), seed=1) as guard:
        found = measure_iv(guard, ("a",), n_points=21)
    # 800 nA/V leave +-400 nA at half a volt.
    assert found.clipped[0, 0].any(axis=0).tolist() == (abs(found.voltage[0]) > 0.499).tolist()
    assert not found.clipped[0, 1].any()
    assert any(f.kind == "wrong" and f.text.startswith("x is at the end") for f in found.findings)


def test_others_rest_where_they_are_told() -> None:
    guard = bench(Resistors(), level=0, white=1e-12)
    found = measure_iv(guard, ("b",), low_v=-0.2, high_v=5.0, n_points=7, rest={"a": 0.5})
    assert found.voltage[0, [0, -1]].tolist() == [-0.2, 1.0]
    # Voltages are rounded to 0.31 mV.
    assert found.up[0, 0] == pytest.approx(40 * 0.5 - 8 * found.voltage[0], abs=0.02)
    assert guard.last_voltage == pytest.approx([0.5, 0, 0, 0])


def test_what_cannot_be_swept_is_refused() -> None:
    guard = bench(Resistors())
    with pytest.raises(ParameterError, match="n_points = 3"):
        measure_iv(guard, n_points=3)
    with pytest.raises(ParameterError, match="terminal a would go"):
        measure_iv(guard, low_v=0.5, high_v=0.2)
    with pytest.raises(ParameterError, match="hold_s"):
        measure_iv(guard, hold_s=1e-4)
    with pytest.raises(VoltageLimitError):
        measure_iv(guard, ("b",), rest={"a": 3.0})
    assert guard.played_s == 0
