"""Counting gates: against gates by hand, and symmetries that hold for any currents."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from inmateria.errors import ShapeError
from inmateria.survey.abundance import (
    VARYING,
    count_constant,
    count_gates,
    gate_margins,
    shares,
    wilson_interval,
)
from inmateria.tasks.gates import GATES, Gate

RNG = np.random.default_rng(5)
CURRENTS = RNG.normal(0.0, 3.0, (500, 4))


def complement(name: str) -> str:
    """The gate with high and low exchanged."""
    table = tuple(1 - y for y in GATES[name])
    return next(other for other in GATES if GATES[other] == table)


def swapped(name: str) -> str:
    """The gate with its inputs exchanged: states 01 and 10 change places."""
    y = GATES[name]
    return next(other for other in GATES if GATES[other] == (y[0], y[2], y[1], y[3]))


def test_agrees_with_the_task_of_each_gate() -> None:
    counts = count_gates(CURRENTS, 1.0)
    for name in VARYING:
        score = Gate(name, inputs=("a", "b"), min_margin_na=1.0).score(CURRENTS)
        assert counts[name] == score.passed.sum()


def test_each_truth_table_realises_its_own_gate_alone() -> None:
    for name in VARYING:
        margins = gate_margins(10.0 * np.array(GATES[name], dtype=float))
        assert [VARYING[i] for i in np.flatnonzero(margins > 0)] == [name]
        assert margins.max() == 10.0


def test_four_different_levels_realise_three_gates() -> None:
    # Cut below 1, below 2 and below 3: OR, A and AND.
    counts = count_gates([[0.0, 1.0, 2.0, 3.0]], 0.5)
    assert {name for name, n in counts.items() if n} == {"OR", "A", "AND"}


def test_the_other_sign_of_the_current_gives_the_complements() -> None:
    counts, flipped = count_gates(CURRENTS, 0.7), count_gates(-CURRENTS, 0.7)
    assert flipped == {name: counts[complement(name)] for name in VARYING}


def test_exchanged_inputs_give_the_mirrored_gates() -> None:
    counts = count_gates(CURRENTS, 0.7)
    mirrored = count_gates(CURRENTS[:, [0, 2, 1, 3]], 0.7)
    assert mirrored == {name: counts[swapped(name)] for name in VARYING}


def test_scale_and_offset_do_not_count() -> None:
    # Powers of two: the products are exact. An offset rounds, far from any margin here.
    assert count_gates(8.0 * CURRENTS, 8.0) == count_gates(CURRENTS, 1.0)
    assert count_gates(CURRENTS + 100.0, 1.0) == count_gates(CURRENTS, 1.0)


def test_constant_is_what_stays_within_the_margin() -> None:
    currents = [[1.0, 1.2, 1.1, 1.4], [1.0, 1.2, 1.1, 1.6], [-3.0, -3.0, -3.0, -3.0]]
    assert count_constant(currents, 0.5) == 2


def test_a_device_without_current_is_constant() -> None:
    dead = np.zeros((5, 4))
    assert count_constant(dead, 0.0) == 5
    assert set(count_gates(dead, 0.0).values()) == {0}


def test_no_setting_is_both_constant_and_a_gate() -> None:
    counts = [gate_margins(c).max() > 0.8 and count_constant([c], 0.8) for c in CURRENTS]
    assert not any(counts)


def test_wrong_number_of_states_is_said() -> None:
    with pytest.raises(ShapeError, match=r"\(7, 3\).*4 states"):
        count_gates(np.zeros((7, 3)), 1.0)


@pytest.mark.parametrize(("count", "total"), [(0, 50), (1, 50), (25, 50), (50, 50)])
def test_wilson_interval_inverts_the_score_test(count: int, total: int) -> None:
    low, high = wilson_interval(count, total)
    p = count / total
    assert 0.0 <= low <= p <= high <= 1.0
    # At its ends the share lies 1.96 standard deviations from what was seen.
    for end in {low, high} - {0.0, 1.0, p}:
        z = abs(p - end) / np.sqrt(end * (1 - end) / total)
        assert z == pytest.approx(1.959964, rel=1e-6)


def test_wilson_interval_covers() -> None:
    # Exact coverage by summing the binomial; for n p of 6 Wilson's lies within 3 % of 95 %.
    total, p = 200, 0.03
    k = np.arange(total + 1)
    ends = np.array([wilson_interval(int(n), total) for n in k])
    inside = (ends[:, 0] <= p) & (p <= ends[:, 1])
    assert 0.92 < binom.pmf(k, total, p)[inside].sum() < 0.98


def test_shares_take_the_difference_between_devices_into_account() -> None:
    alike = shares({"AND": [50] * 10}, 1000)["AND"]
    apart = shares({"AND": [0, 100] * 5}, 1000)["AND"]
    assert alike.mean == apart.mean == 0.05
    assert (alike.low, alike.high) == wilson_interval(500, 10_000)
    # Standard error of the mean of ten devices of 0 or 0.1: 0.0158, so +-0.031.
    assert apart.low < 0.03
    assert apart.high > 0.07


def test_what_never_occurs_has_an_upper_bound() -> None:
    share = shares({"XOR": [0, 0, 0]}, 1000)["XOR"]
    assert (share.mean, share.low) == (0.0, 0.0)
    # z^2 / (n + z^2)
    assert share.high == pytest.approx(3.8415 / 3003.8415, rel=1e-4)
