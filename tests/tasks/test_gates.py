"""Truth tables against Python's own logic; margins by hand."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.tasks import GATES, Gate, gates

LOGIC = {
    "FALSE": lambda _a, _b: False,
    "NOR": lambda a, b: not (a or b),
    "NOT-A-AND-B": lambda a, b: not a and b,
    "NOT-A": lambda a, _b: not a,
    "A-AND-NOT-B": lambda a, b: a and not b,
    "NOT-B": lambda _a, b: not b,
    "XOR": lambda a, b: a != b,
    "NAND": lambda a, b: not (a and b),
    "AND": lambda a, b: a and b,
    "XNOR": lambda a, b: a == b,
    "B": lambda _a, b: b,
    "NOT-A-OR-B": lambda a, b: not a or b,
    "A": lambda a, _b: a,
    "A-OR-NOT-B": lambda a, b: a or not b,
    "OR": lambda a, b: a or b,
    "TRUE": lambda _a, _b: True,
}


@pytest.mark.parametrize("name", LOGIC)
def test_truth_table(name):
    gate = Gate(name, low_v=-1.0, high_v=1.0)
    for (a, b), target in zip(gate.points, gate.target, strict=True):
        assert bool(target) == bool(LOGIC[name](a > 0, b > 0))


def test_all_sixteen_tables_are_there_once():
    assert set(GATES) == set(LOGIC)
    assert len(set(GATES.values())) == 16
    assert [g.name for g in gates()] == list(GATES)
    assert [g.name for g in gates() if g.constant] == ["FALSE", "TRUE"]


def test_margin_is_lowest_high_minus_highest_low():
    # XOR: highs are 5 and 7, lows 1 and 2.
    score = Gate("XOR").score([1.0, 5.0, 7.0, 2.0])
    assert score.margin_na == 3.0
    assert score.threshold_na == 3.5
    assert score.accuracy == 1.0
    assert score.passed


def test_margin_of_classes_that_overlap_is_negative():
    # AND: high 3, lows up to 4; the best threshold gets three of four right.
    score = Gate("AND").score([0.0, 4.0, 1.0, 3.0])
    assert score.margin_na == -1.0
    assert score.accuracy == 0.75
    assert not score.passed


def test_the_margin_has_to_exceed_what_is_demanded():
    current = [0.0, 0.0, 0.0, 2.0]
    assert not Gate("AND", min_margin_na=2.0).score(current).passed
    assert Gate("AND", min_margin_na=1.999).score(current).passed


def test_an_inverted_gate_does_not_pass():
    score = Gate("NAND").score([0.0, 0.0, 0.0, 10.0])
    assert score.margin_na == -10.0
    assert not score.passed


@pytest.mark.parametrize("name", ["TRUE", "FALSE"])
def test_constant_gates_are_judged_by_flatness(name):
    gate = Gate(name, min_margin_na=2.0)
    flat = gate.score([10.0, 10.5, 9.0, 10.0])
    assert flat.margin_na == 0.5
    assert flat.passed
    assert flat.accuracy == 1.0
    assert np.isnan(flat.threshold_na)
    # 8 to 12: three of the four lie within one tolerance of 2 nA.
    bumpy = gate.score([10.0, 11.0, 8.0, 10.5])
    assert bumpy.margin_na == -1.0
    assert not bumpy.passed
    assert bumpy.accuracy == 0.75
    assert Gate(name, tolerance_na=4.0).score([10.0, 11.0, 8.0, 10.5]).passed


def test_exactly_the_tolerance_is_too_much():
    score = Gate("TRUE", tolerance_na=2.0).score([0.0, 2.0, 1.0, 1.0])
    assert score.margin_na == 0.0
    assert not score.passed
    assert score.accuracy == 0.75


@pytest.mark.parametrize("name", ["XOR", "TRUE"])
def test_a_batch_scores_as_its_members_do(name):
    current = np.random.default_rng(5).normal(0, 5, (3, 4, 4))
    gate = Gate(name)
    together = gate.score(current)
    assert together.margin_na.shape == (3, 4)
    for i in np.ndindex(3, 4):
        alone = gate.score(current[i])
        assert together[i].margin_na == alone.margin_na
        assert together[i].accuracy == alone.accuracy
        assert together[i].passed == alone.passed
        np.testing.assert_equal(together[i].threshold_na, alone.threshold_na)


def test_best_prefers_passing_then_accuracy_then_margin():
    current = [[0, 0, 0, 1], [0, 0, 0, 5], [0, 0, 0, 3], [9, 0, 0, 0]]
    assert Gate("AND", min_margin_na=2.0).score(current).best() == 1
