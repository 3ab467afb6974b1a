"""Short series that keep their extremes, and JSON that any browser reads."""

from __future__ import annotations

import json
import math

import numpy as np

from inmateria.watch.numbers import Series, clean, curve, kept_points


def test_every_extreme_of_a_long_series_is_kept():
    rng = np.random.default_rng(1)
    y = rng.normal(size=100_003)
    spikes = rng.choice(y.size, 40, replace=False)
    y[spikes] = rng.choice([-50.0, 50.0], 40) * rng.uniform(1, 2, 40)
    kept = kept_points(y, 1000)
    assert kept.size <= 1000
    assert (np.diff(kept) > 0).all()
    assert {0, y.size - 1} <= set(kept.tolist())
    # A stretch is 201 points long. Of two spikes to the same side in one stretch only the
    # higher one has to stay.
    length = math.ceil(y.size / 499)
    table = np.pad(y, (0, 499 * length - y.size), constant_values=y[-1]).reshape(499, length)
    short = y[kept]
    assert np.isin(table.max(axis=1), short).all()
    assert np.isin(table.min(axis=1), short).all()


def test_short_series_and_gaps_stay_as_they_are():
    y = np.array([1.0, np.nan, 3.0])
    assert curve([1, 2, 3], y) == {"x": [1.0, 2.0, 3.0], "y": [1.0, None, 3.0]}
    gap = np.ones(5000)
    gap[1000:4000] = np.nan
    assert np.isnan(gap[kept_points(gap, 100)]).any()


def test_clean_is_json_without_nan():
    given = {"a": np.float64(1 / 3), "b": [np.nan, math.inf, np.int64(4)], "c": True, "d": None}
    assert clean(given) == {"a": 0.333333, "b": [None, None, 4], "c": True, "d": None}
    json.dumps(clean({"e": np.arange(3.0), "f": (1, "x")}), allow_nan=False)


def test_a_series_grows():
    series = Series()
    assert series.last == math.inf
    series.add([1, 2.5])
    assert (len(series), series.last, series.values.tolist()) == (2, 2.5, [1.0, 2.5])
