"""Drift: offsets that segments share are told apart from the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from inmateria.surrogates.drift import (
    FEWEST_ROWS,
    Drift,
    drift_groups,
    driftless_rms,
    error_of_mean,
    without_drift,
)
from inmateria.surrogates.fit import fit_surrogate


def test_offsets_of_segments_are_found_and_have_no_common_mean():
    generator = torch.Generator().manual_seed(0)
    segment = torch.arange(4).repeat_interleave(100)
    offset = torch.tensor([[1.0], [-2.0], [0.5], [3.5]])
    noise = 0.1 * torch.randn(400, 1, generator=generator)
    drift = Drift(segment, noise)
    for rows in torch.randperm(400, generator=generator).split(64):
        drift.see(rows, (offset[segment] + noise)[rows])
    drift.update()
    # The mean of 100 rows of 0.1 is known to 0.01; four standard errors.
    torch.testing.assert_close(drift.offset, offset - offset.mean(), atol=0.04, rtol=0)
    # A second look at what is left adds the rest, which is nothing.
    before = drift.offset.clone()
    left = offset[segment] + noise - drift.of_rows(torch.arange(400))
    drift.see(torch.arange(400), left)
    drift.update()
    torch.testing.assert_close(drift.offset, before, atol=0.04, rtol=0)


def test_short_segments_keep_their_rows_as_they_are():
    segment = torch.cat([torch.zeros(FEWEST_ROWS - 1), torch.arange(1, 60)]).long()
    residual = torch.randn(len(segment), 2, generator=torch.Generator().manual_seed(1))
    drift = Drift(segment, residual)
    drift.see(torch.arange(len(segment)), residual)
    drift.update()
    assert not drift.offset.any()


def drifting(seed: int) -> tuple[xr.Dataset, np.ndarray, np.ndarray]:
    """A trajectory of a smooth device under an offset per segment as large as its signal."""
    generator = np.random.default_rng(seed)
    n, length = 8000, 100
    time = np.arange(n)
    voltage = np.sin(2 * np.pi * np.outer(time, [0.0201, 0.0317])) * 0.9
    clean = 10 * np.sin(2 * voltage[:, 0]) * voltage[:, 1]
    segment = time // length
    current = clean + generator.normal(0, 4, n // length)[segment]
    dataset = xr.Dataset(
        {
            "voltage": (("sample", "terminal"), voltage),
            "current": (("sample", "output"), current[:, None]),
            "clipped": (("sample", "output"), np.zeros((n, 1), dtype=np.int8)),
            "segment": (("sample",), segment.astype(np.int32)),
            "low_v": (("terminal",), [-1.0, -1.0]),
            "high_v": (("terminal",), [1.0, 1.0]),
        },
        coords={"terminal": ["e1", "e2"], "output": ["e0"]},
        attrs={"rate_hz": 1e4, "fidelity": "simulation"},
    )
    return dataset, voltage, clean


def test_a_fit_sees_through_drift():
    dataset, voltage, clean = drifting(3)
    errors = {}
    for drift in (True, False):
        fit = fit_surrogate(dataset, hidden=(32, 32), epochs=30, batch_size=128, drift=drift)
        difference = fit.surrogate.current(voltage)[:, 0] - clean
        # A common offset cannot be told from the device: 4 nA / sqrt(80 segments).
        errors[drift] = (difference - difference.mean()).std()
    assert errors[True] < 0.5 * errors[False]


def test_an_error_without_slow_noise():
    """0.3 nA about segments' means of 5 nA; 20 x 99 degrees of freedom: 1.6 %, three of them."""
    rng = np.random.default_rng(1)
    segment = np.repeat(np.arange(20) * 3, 100)
    residual = 0.3 * rng.standard_normal((2000, 1))
    slow = np.repeat(5 * rng.standard_normal(20), 100)[:, None]
    assert driftless_rms(residual + slow, segment) == pytest.approx(0.3, rel=0.05)
    # plateaus do not tell it, and do not count where there are segments as well
    assert driftless_rms(residual, np.arange(2000)) is None
    mixed = np.concatenate([segment, 100 + np.arange(500)])
    loud = np.concatenate([residual + slow, 50 * rng.standard_normal((500, 1))])
    assert driftless_rms(loud, mixed) == driftless_rms(residual + slow, segment)


def test_groups_are_segments_and_one_for_all_plateaus():
    segment = np.concatenate([np.full(60, 7), [8, 9, 10], np.full(80, 11)])
    group = drift_groups(segment)
    assert len(set(group)) == 3
    assert len(set(group[60:63])) == 1
    assert group[0] != group[60] != group[-1]
    values = np.arange(143.0)[:, None]
    left = without_drift(values, group)
    for k in range(3):
        assert left[group == k].mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_the_error_of_a_mean_counts_correlated_values_as_fewer(rho):
    """AR(1) of unit variance: the mean of n scatters by sqrt((1 + rho) / (1 - rho) / n)."""
    rng = np.random.default_rng(2)
    n, series = 50, 400
    w = rng.standard_normal((series, n))
    x = np.empty((series, n))
    x[:, 0] = w[:, 0]
    for k in range(1, n):
        x[:, k] = rho * x[:, k - 1] + np.sqrt(1 - rho**2) * w[:, k]
    # 400 means: their deviation to 3.5 %; the estimates themselves err by a quarter of rho's error
    told = np.sqrt(np.mean([error_of_mean(row) ** 2 for row in x]))
    assert told == pytest.approx(x.mean(axis=1).std(), rel=0.25)
    assert error_of_mean(np.array([1.0])) == np.inf


def test_a_fit_states_its_error_without_slow_noise(measured):
    data = measured(3000, rows_per_segment=100)
    slow = np.repeat(2 * np.random.default_rng(3).standard_normal(30), 100)[:, None]
    drifting = data.assign(current=(("sample", "output"), data["current"].values + slow))
    stated = fit_surrogate(drifting, hidden=(32, 32), epochs=15, batch_size=128).surrogate.error
    # the slow noise of 2 nA is in one of them only
    assert stated["validation_driftless_na"] < 0.5 * stated["validation_rmse_na"]
