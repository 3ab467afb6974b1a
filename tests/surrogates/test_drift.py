"""Drift: offsets that segments share are told apart from the device."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from inmateria.surrogates.drift import FEWEST_ROWS, Drift
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
