"""A count of samples gives the voltage that is held."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inmateria.rigs.written_voltage import WrittenVoltage


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_any_count_from_what_is_known_to_be_played_on_is_found(lengths, played, count):
    n = sum(lengths)
    whole = np.arange(1, n + 1) * np.array([[1.0], [-2.0]])
    written = WrittenVoltage(np.zeros(2))
    for end, length in zip(np.cumsum(lengths), lengths, strict=True):
        written.offer(whole[:, end - length : end])
    written.played(min(played, n))
    after = written.after(count)
    held = np.column_stack([np.zeros(2), whole])
    if count > n:
        assert after is None
    elif count >= min(played, n):
        np.testing.assert_array_equal(after, held[:, count])
    np.testing.assert_array_equal(written.last, held[:, n])
    assert written.n_offered == n


def test_the_middle_is_of_all_that_may_be():
    written = WrittenVoltage(np.array([0.5]))
    written.offer(np.array([[0.6, -1.0, 0.2]]))
    assert written.middle.tolist() == [(0.6 - 1.0) / 2]
    assert WrittenVoltage(np.array([0.5])).middle.tolist() == [0.5]


def test_what_was_played_is_forgotten():
    written = WrittenVoltage(np.zeros(1))
    for k in range(1_000):
        written.offer(np.full((1, 10), float(k)))
        written.played(10 * k)
    assert len(written._kept) <= 3
    assert written.after(9_995).tolist() == [999.0]
    assert written.after(5) is None
