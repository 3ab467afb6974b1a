"""The error budget against exact covariances, exact phase averages and noise as it is played."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from inmateria.errors import ParameterError, ShapeError
from inmateria.gradients.error_budget import (
    Response,
    demodulators,
    describe_plan,
    error_budget,
)
from inmateria.gradients.paper_model import paper_curve
from inmateria.rigs.noise import PowerLawNoise
from inmateria.signals.lockin import least_squares
from inmateria.signals.tones import TonePlan

KINDS = ("least_squares", "hann", "butterworth")
SEED_NOISE = PowerLawNoise()


def silent(f):
    return 0 * f


def plan_of(frequency, *, phase=0.0, amplitude=8e-3, rate=10_000.0, duration=0.1, group=None):
    f = np.atleast_1d(np.asarray(frequency, dtype=float))
    return TonePlan(
        rate=rate,
        n_samples=round(rate * duration),
        n_wait=0,
        frequency_hz=f,
        amplitude_v=np.broadcast_to(amplitude, f.shape),
        phase=np.broadcast_to(phase, f.shape),
        group=np.zeros(f.size, dtype=int) if group is None else group,
    )


def second_order_device(plan, response):
    """Window of a device that is its Taylor series, (n_samples,) nA."""
    angle = 2 * np.pi * np.outer(plan.frequency_hz, plan.time_s) + plan.phase[:, None]
    v = plan.amplitude_v[:, None] * np.sin(angle)
    current = response.gradient @ v
    if response.curvature is not None:
        current = current + 0.5 * np.sum(v * (response.curvature @ v), axis=0)
    return current


def errors_of(plan, response, kind):
    """Derivatives read from such a window, less the true ones, (n_controls,) nA/V."""
    x = demodulators(plan, kind)[0](second_order_device(plan, response)).in_phase
    return x / plan.amplitude_v - response.gradient


def covariance(noise, rate, n_samples):
    """Covariance of samples of power-law noise, in closed form, (n_samples, n_samples) nA^2.

    An AR(1) mode has r(k) = variance a^|k|; passed through (1 + b z^-1) / (1 + b) it has
    ((1 + b^2) r(k) + b r(k - 1) + b r(k + 1)) / (1 + b)^2.
    """
    modes = noise.modes(rate)
    lag = np.abs(np.subtract.outer(np.arange(n_samples), np.arange(n_samples)))
    b = modes.zero

    def r(k):
        return (modes.variance[:, None] * modes.pole[:, None] ** np.abs(k)).sum(axis=0)

    k = np.arange(n_samples)
    row = ((1 + b**2) * r(k) + b * (r(k - 1) + r(k + 1))) / (1 + b) ** 2
    row[0] += noise.white_na2_per_hz * rate / 2
    return row[lag]


class TestNoise:
    def test_white_noise_in_closed_form(self):
        # Samples of one-sided density S have the variance S rate / 2, and the weights of a lone
        # sine are 2/N sin: variance S rate / 2 x 2/N = S / T, over a^2. Fitting a drift as well
        # costs the share of the sine that a straight line can imitate, 6 / (pi cycles)^2.
        density, f = 1e-5, 930.0
        budget = error_budget(plan_of(f), lambda f: density + 0 * f)
        expected = density / (0.1 * 8e-3**2)
        drift = 6 / (np.pi * f * 0.1) ** 2
        np.testing.assert_allclose(budget.noise, expected * (1 + drift), rtol=0.1 * drift)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "noise",
        [
            SEED_NOISE,
            PowerLawNoise(exponent=1.0, white_na2_per_hz=3e-6),
            PowerLawNoise(exponent=2.0, lowest_hz=0.01),
        ],
        ids=["1.5", "1 and white", "2 from 10 mHz"],
    )
    def test_agrees_with_the_exact_covariance(self, kind, noise):
        # w' R w is the same variance without any spectrum. What lies below the grid, 1e-4 / T, is
        # at most some 1e-4 of the whole (integrand flat from 0 Hz to 1 / T, exponent 2).
        plan = plan_of([30.0, 210.0, 870.0], phase=[0.0, 1.0, 2.5])
        weights = demodulators(plan, kind)[0].matrix[:, :3]
        exact = np.einsum(
            "tm,tu,um->m", weights, covariance(noise, plan.rate, plan.n_samples), weights
        )
        budget = error_budget(plan, noise, demodulator=kind)
        np.testing.assert_allclose(budget.noise, exact / plan.amplitude_v**2, rtol=3e-4)

    def test_agrees_with_noise_as_it_is_played(self):
        # The variance of n Gaussian readings scatters by sqrt(2 / n): 2.2 % for 4,000; five of
        # these.
        n = 4000
        plan = plan_of(np.arange(870.0, 1000.0, 40.0))
        stream = SEED_NOISE.stream(1, plan.rate, seed=5)
        windows = stream.next(n * plan.n_samples).reshape(n, plan.n_samples)
        for kind in KINDS:
            x = demodulators(plan, kind)[0](windows).in_phase
            measured = x.var(axis=0) / plan.amplitude_v**2
            predicted = error_budget(plan, SEED_NOISE, demodulator=kind).noise
            np.testing.assert_allclose(measured, predicted, rtol=5 * np.sqrt(2 / n))

    def test_sizes_that_the_literature_gives(self):
        # 0.1 s, 8 mV, 1e-5 nA^2/Hz at 1 kHz: 1.6 to 1.7 (nA/V)^2 by least squares, 2.3 with a
        # Hann taper, 3.5 by the paper's chain, near 1 kHz. Two digits are given.
        plan = plan_of(990.0)
        size = {k: error_budget(plan, SEED_NOISE, demodulator=k).noise[0] for k in KINDS}
        assert size["least_squares"] == pytest.approx(1.65, abs=0.1)
        assert size["hann"] == pytest.approx(2.35, abs=0.1)
        assert size["butterworth"] == pytest.approx(3.5, abs=0.2)

    def test_a_function_and_an_object_with_a_density_are_noise_too(self):
        class Hum:
            def density(self, f):
                return 1e-5 * np.exp(-(((f - 700) / 30) ** 2))

        plan = plan_of([500.0, 700.0])
        as_object = error_budget(plan, Hum()).noise
        np.testing.assert_array_equal(error_budget(plan, Hum().density).noise, as_object)
        assert as_object[1] > 100 * as_object[0]


class TestLines:
    RESPONSE = Response(
        gradient=np.array([40.0, -90.0, 15.0]),
        curvature=np.array([[300.0, -200.0, 50.0], [-200.0, 500.0, 80.0], [50.0, 80.0, -700.0]]),
    )

    @pytest.mark.parametrize("kind", KINDS)
    def test_averages_over_phases_exactly(self, kind):
        # The squared error is a trigonometric polynomial in each phase, of degree 6 at most
        # (twice 2 phi for a harmonic and phi of the demodulator): a grid of 7 phases a tone
        # averages it exactly, and 1e-9 is rounding. Tone 0 is looked at, and tones 1 and 2 mix:
        # of a tone's own pairs, sum and difference share the partner's phase, and the budget
        # counts them apart.
        curvature = np.diag([300.0, 500.0, -700.0])
        curvature[1, 2] = curvature[2, 1] = 80.0
        response = Response(self.RESPONSE.gradient, curvature)
        frequency = np.array([61.0, 93.5, 180.0])  # off the bins: everything leaks
        phases = list(itertools.product(2 * np.pi * np.arange(7) / 7, repeat=3))
        measured = predicted = 0.0
        for phase in phases:
            plan = plan_of(frequency, phase=phase, rate=1000.0, amplitude=[0.1, 0.2, 0.3])
            measured += errors_of(plan, response, kind)[0] ** 2
            predicted += error_budget(plan, silent, response, demodulator=kind).total[0]
        assert predicted == pytest.approx(measured, rel=1e-9)

    @pytest.mark.parametrize("kind", KINDS)
    def test_knows_the_error_where_phases_are_known(self, kind):
        plan = plan_of([61.0, 93.5, 180.0], phase=[0.3, 1.9, 4.0], rate=1000.0, amplitude=0.1)
        linear = Response(self.RESPONSE.gradient)
        budget = error_budget(plan, silent, linear, demodulator=kind, random_phases=False)
        both = np.sign(errors_of(plan, linear, kind)) * np.sqrt(budget.parallel)
        # Own error and that of the others add before they are squared.
        own = np.abs(np.abs(errors_of(plan, linear, kind)) - np.abs(both))
        np.testing.assert_allclose(own, np.sqrt(budget.own_tone), atol=1e-9)
        curved = Response(np.zeros(3), self.RESPONSE.curvature)
        budget = error_budget(plan, silent, curved, demodulator=kind, random_phases=False)
        np.testing.assert_allclose(
            budget.second_order, errors_of(plan, curved, kind) ** 2, rtol=1e-9
        )

    def test_odd_bins_keep_tones_and_their_products_apart(self):
        f = [870.0, 890.0, 910.0]
        plan = plan_of(f)
        # Orthogonal to rounding, against derivatives of 15 to 90 nA/V, where the mean alone is
        # fitted away. A straight line is not orthogonal to sines: of a line of c cycles it takes
        # sqrt(6) / (pi c), and gives the tone as much of that, 4e-4 together for a difference of
        # 2 cycles and a tone of 87; products are 8e-3 V x 700 nA/V^2 / 2 at most, six of them.
        mean_alone = least_squares(f, rate=1e4, n_samples=1000, drift_order=0)
        budget = error_budget(plan, silent, self.RESPONSE, demodulator=[mean_alone])
        assert budget.total.max() < 1e-18
        line = np.sqrt(6) / (2 * np.pi) * np.sqrt(6) / (87 * np.pi)
        with_drift = error_budget(plan, silent, self.RESPONSE)
        assert with_drift.standard_error.max() < 6 * line * 8e-3 * 700 / 2
        assert with_drift.parallel.max() < 1e-18

    def test_a_second_harmonic_on_a_tone_is_a_quarter_of_the_curvature(self):
        # a^2 H / 4 of amplitude at 2 f, entering with a random phase: half its square, over a^2.
        plan = plan_of([100.0, 200.0])
        curvature = np.array([[300.0, 0.0], [0.0, 0.0]])
        budget = error_budget(plan, silent, Response(np.zeros(2), curvature))
        expected = (8e-3**2 * 300.0 / 4) ** 2 / 2 / 8e-3**2
        np.testing.assert_allclose(budget.second_order, [0.0, expected], rtol=1e-9, atol=1e-20)

    def test_groups_do_not_hear_each_other(self):
        response = Response(np.array([10.0, 1000.0]), np.array([[0.0, 1e4], [1e4, 0.0]]))
        for group, silence in (([0, 0], False), ([0, 1], True)):
            plan = plan_of([200.0, 210.0], group=group)
            budget = error_budget(plan, silent, response, demodulator="butterworth")
            assert (budget.parallel == 0).all() == silence
            assert (budget.second_order == 0).all() == silence

    def test_two_tones_in_quadrature_share_a_bin(self):
        ahead = np.pi / 2
        plan = plan_of([200.0, 200.0, 300.0, 300.0], phase=[0.4, 0.4 + ahead, 2.0, 2.0 - ahead])
        response = Response(np.array([3.0, -5.0, 7.0, 11.0]))
        for kind in KINDS:
            for random in (True, False):
                budget = error_budget(
                    plan, silent, response, demodulator=kind, random_phases=random
                )
                # Partners do not hear each other; the paper's filter leaks 100 Hz away.
                assert budget.total.max() < (0.01 if kind == "butterworth" else 1e-18)
        np.testing.assert_allclose(errors_of(plan, response, "least_squares"), 0, atol=1e-10)


class TestPaper:
    @pytest.mark.parametrize(("ratio", "knee_hz"), [(1, 32.0), (2.05, 40.0), (20, 87.0)])
    def test_eq_8_doubles_the_sequential_error_where_the_paper_says(self, ratio, knee_hz):
        # One neighbour of ratio x 0.4 nA, and the mean squared error, not its root. The paper
        # reads its knees off a curve: 10 %.
        spacing = np.arange(10.0, 150.0, 0.1)
        f = np.stack([np.full_like(spacing, 1000.0), 1000.0 + spacing], axis=-1)
        both = paper_curve(f, [0.4, 0.4 * ratio], 8e-3, duration_s=0.1, noise=SEED_NOISE)[:, 0]
        alone = paper_curve([1000.0], [0.4], 8e-3, duration_s=0.1, noise=SEED_NOISE)[0]
        assert spacing[np.argmax(both < 2 * alone)] == pytest.approx(knee_hz, rel=0.1)

    def test_peak_is_twice_the_mean_over_phases(self):
        # Where the neighbour is within the pass band (H near 1) and the window is long against
        # nothing: eq. 8 counts I^2, random phases give I^2 / 2.
        f = np.array([1000.0, 1000.0 + 1e-3])
        curve = paper_curve(f, [0.0, 0.8], 8e-3, duration_s=0.1, noise=silent)[0]
        assert curve == pytest.approx(0.8**2 / 8e-3**2, rel=1e-6)


class TestWords:
    def test_one_line(self):
        plan = plan_of(np.arange(870.0, 1000.0, 20.0))
        assert describe_plan(plan, SEED_NOISE) == (
            "7 tones, 870-990 Hz, 20 Hz apart; expect 1.4 nA/V (0.1 s, parallel)"
        )
        assert describe_plan(plan_of(990.0)) == "1 tone, 990 Hz (0.1 s, parallel)"
        alone = plan_of([990.0, 990.0], group=[0, 1])
        assert describe_plan(alone) == "2 tones, 990 Hz (2 x 0.1 s, one group after another)"

    def test_summary_names_the_largest_cause(self):
        plan = plan_of([1000.0, 1010.0])
        response = Response(np.array([50.0, 50.0]))
        paper = error_budget(plan, SEED_NOISE, response, demodulator="butterworth")
        assert "other tones" in paper.summary()
        assert "noise" in error_budget(plan, SEED_NOISE, response).summary()


def test_refuses_what_does_not_fit():
    plan = plan_of([200.0, 300.0])
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\)"):
        error_budget(plan, SEED_NOISE, Response(np.ones(3)))
    with pytest.raises(ShapeError, match=r"curvature has shape \(2,\)"):
        error_budget(plan, SEED_NOISE, Response(np.ones(2), np.ones(2)))
    with pytest.raises(ShapeError, match="2 demodulators for 1 groups"):
        error_budget(plan, SEED_NOISE, demodulator=demodulators(plan) * 2)
    with pytest.raises(ShapeError, match="demodulator of group 0 has 1000 samples and 1"):
        error_budget(plan, SEED_NOISE, demodulator=demodulators(plan_of([200.0])))
    with pytest.raises(ParameterError, match="choose one of least_squares"):
        demodulators(plan, "boxcar")
    with pytest.raises(ShapeError, match="2 frequencies and 3 currents"):
        paper_curve([1.0, 2.0], np.ones(3), 1.0, duration_s=1.0, noise=SEED_NOISE)
