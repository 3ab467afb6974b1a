from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inmateria.errors import NotFiniteError, ParameterError, ShapeError, TrainingError
from inmateria.surrogates.recording import hold_out, usable_rows


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n_segments=st.integers(20, 400),
    rows=st.integers(1, 30),
    fraction=st.sampled_from([0.1, 0.2, 0.5]),
    seed=st.integers(0, 99),
)
def test_segments_are_held_out_whole_and_spread(n_segments, rows, fraction, seed):
    segment = np.repeat(np.arange(n_segments), rows)
    held = hold_out(segment, fraction, seed=seed).reshape(n_segments, rows)
    assert (held.all(axis=1) == held.any(axis=1)).all()
    # each of at most 20 parts rounds its own share, by at most half a segment up or down
    assert abs(held[:, 0].sum() - fraction * n_segments) <= 0.5 * 20 + 1
    assert 0 < held[:, 0].sum() < n_segments
    halves = held[: n_segments // 2, 0], held[n_segments // 2 :, 0]
    assert all(half.any() and not half.all() for half in halves)


def test_one_long_trajectory_is_cut_into_stretches_and_not_into_rows():
    held = hold_out(np.zeros(10_000, dtype=int), 0.1, seed=0)
    changes = np.flatnonzero(np.diff(held.astype(int)))
    # 200 stretches of 50 rows; 20 of them held out, each with an end or two
    assert held.sum() == 1000
    assert len(changes) <= 40
    assert (np.diff(changes) >= 50).all()


def test_rows_that_clipped_do_not_glue_segments_together():
    segment = np.repeat(np.arange(100), 3)[::2]
    held = hold_out(segment, 0.1, seed=0)
    for number in range(100):
        assert len(set(held[segment == number])) <= 1


def test_the_seed_decides():
    segment = np.arange(1000)
    first, again, other = (hold_out(segment, 0.1, seed=s) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fraction", [0.0, -0.1, 0.6, np.nan])
def test_meaningless_shares_are_refused(fraction):
    with pytest.raises(ParameterError, match=r"at most 0\.5"):
        hold_out(np.arange(1000), fraction, seed=0)


def test_clipped_rows_are_left_out(measured):
    dataset = measured(300)
    dataset["clipped"][10:30, 1] = 1
    recording = usable_rows(dataset)
    kept = np.r_[0:10, 30:300]
    assert np.array_equal(recording.voltage, dataset["voltage"].values[kept])
    assert np.array_equal(recording.segment, kept)
    assert recording.provenance["clipped_rows"] == 20
    one_flag_a_row = dataset.assign(clipped=dataset["clipped"].any("output"))
    assert np.array_equal(usable_rows(one_flag_a_row).current, recording.current)


def test_the_order_of_dimensions_does_not_matter(measured):
    dataset = measured(200)
    turned = dataset.transpose("terminal", "output", "sample")
    assert np.array_equal(usable_rows(turned).voltage, usable_rows(dataset).voltage)
    assert np.array_equal(usable_rows(turned).current, usable_rows(dataset).current)


def test_bad_measurements_are_refused(measured):
    clipping = measured(300)
    clipping["clipped"][:250] = 1
    with pytest.raises(TrainingError, match=r"50 usable rows of 300 \(250 clipped\)"):
        usable_rows(clipping)
    with pytest.raises(TrainingError, match="0 usable rows"):
        usable_rows(measured(0))
    flat = measured(300)
    flat["current"][:, 1] = 2.0
    with pytest.raises(TrainingError, match="output y is the same"):
        usable_rows(flat)
    broken = measured(300)
    broken["current"][17, 0] = np.nan
    with pytest.raises(NotFiniteError, match="row 17"):
        usable_rows(broken)
    with pytest.raises(ShapeError, match="no segment"):
        usable_rows(measured(300).drop_vars("segment"))
