"""Planned tones: where they lie, what they cost, and what is refused with something nearer."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import FrequencyPlanError, ParameterError, ShapeError
from inmateria.gradients.error_budget import demodulators, error_budget
from inmateria.gradients.plan_tones import UNKNOWN_WAIT_S, plan_tones
from inmateria.rigs.noise import PowerLawNoise
from inmateria.signals.tones import TonePlan

SEED_NOISE = PowerLawNoise()
RATE = 10_000.0


def bins(plan):
    """Tones in whole cycles of the window."""
    cycles = plan.frequency_hz * plan.duration_s
    np.testing.assert_allclose(cycles, np.rint(cycles), atol=1e-9)
    return np.rint(cycles).astype(int)


def products(number):
    """Bins of all second-order products."""
    n, k = np.triu_indices(number.size)
    return np.concatenate([number[n] + number[k], np.abs(number[n] - number[k])])


def test_seven_tones_below_a_tenth_of_the_rate():
    # 20 Hz apart downwards from 1 kHz without 850 and 950 Hz, harmonics of 50 Hz.
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE)
    assert plan.frequency_hz.tolist() == [830, 870, 890, 910, 930, 970, 990]
    assert plan.n_groups == 1
    assert plan.wait_s == pytest.approx(UNKNOWN_WAIT_S)
    without_mains = plan_tones(7, RATE, 0.1, SEED_NOISE, mains_hz=None)
    assert without_mains.frequency_hz.tolist() == list(range(870, 1000, 20))


@pytest.mark.parametrize("n", [2, 7, 30])
@pytest.mark.parametrize("duration", [0.1, 0.13, 1.0])
@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_odd_bins_clear_of_mains_and_of_their_own_products(n, duration, mains):
    plan = plan_tones(n, RATE, duration, SEED_NOISE, mains_hz=mains)
    number = bins(plan)
    assert (number % 2 == 1).all()
    assert np.unique(number).size == n
    assert not np.isin(number, products(number)).any()
    assert plan.frequency_hz.max() <= RATE / 10
    harmonics = mains * np.arange(1, 200)
    away = np.abs(plan.frequency_hz[:, None] - harmonics).min(axis=1)
    # A whole bin, where a rectangular window has its first zero; 1e-6 is rounding.
    assert (away * plan.duration_s > 1 - 1e-6).all()


def test_mains_leaks_nothing_into_a_plan_that_is_whole_bins_away():
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE)
    hum = np.sin(2 * np.pi * np.outer(50.0 * np.arange(1, 40), plan.time_s) + 1.0)
    x = demodulators(plan)[0](hum).in_phase
    # Whole cycles are orthogonal to whole cycles, but not to the straight line that is fitted
    # away: sqrt(6) / (pi c) of a line of c cycles goes into it, and as much back into a tone.
    line = 6 / (np.pi**2 * 5 * 83)
    assert np.abs(x).max() < line


def test_seven_consecutive_bins_without_mains():
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE, odd=False, mains_hz=None)
    assert plan.frequency_hz.tolist() == list(range(940, 1001, 10))
    # Within an octave there is no product on a tone all the same.
    assert not np.isin(bins(plan), products(bins(plan))).any()


@pytest.mark.parametrize("odd", [True, False])
def test_a_full_band_can_still_be_told_from_a_drift(odd):
    count = (
        50 if odd else 99
    )  # all bins up to 1 kHz, without the single cycle where even ones count
    plan = plan_tones(count, RATE, 0.1, odd=odd, mains_hz=None)
    assert bins(plan).min() == (1 if odd else 2)
    most = plan_tones(499, RATE, 0.5, odd=False, mains_hz=None)
    for full in (plan, most):
        demodulators(full)  # raises if it cannot


def test_a_thousand_odd_tones_between_3_and_5_khz():
    plan = plan_tones(1000, RATE, 1.0, SEED_NOISE, low_hz=3000, high_hz=5000)
    assert plan.frequency_hz.tolist() == list(range(3001, 5000, 2))


def test_takes_the_bins_of_least_predicted_error():
    def hump(f):  # noise that is worst at the top of the band
        return 1e-5 * (1 + (f / 500) ** 4)

    plan = plan_tones(5, RATE, 0.1, hump)
    chosen = error_budget(plan, hump).noise.sum()
    for shift in (-20, 20, 40, 100):
        moved = TonePlan(
            plan.rate, plan.n_samples, 0, plan.frequency_hz + shift, plan.amplitude_v,
            plan.phase, plan.group,
        )  # fmt: skip
        # Moving down leaves the octave or nears the fitted drift; moving up meets more noise.
        assert shift < 0 or error_budget(moved, hump).noise.sum() > chosen

    def rolls_off(f):
        return 1 / np.sqrt(1 + (f / 200) ** 2)

    white = plan_tones(5, RATE, 0.1, lambda f: 1e-5 + 0 * f, chain=rolls_off)
    assert white.frequency_hz.max() < 300  # signal falls, noise does not: as low as an octave goes
    assert white.frequency_hz.max() < 2 * white.frequency_hz.min()


def test_within_an_octave_where_they_fit():
    fits = plan_tones(20, RATE, 0.1, SEED_NOISE)
    assert fits.frequency_hz.max() < 2 * fits.frequency_hz.min()
    wide = plan_tones(30, RATE, 0.1, SEED_NOISE)
    assert wide.frequency_hz.max() > 2 * wide.frequency_hz.min()


def test_sequential_takes_the_best_bin_for_each():
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE, parallel=False)
    assert plan.n_groups == 7
    assert (plan.frequency_hz == 990).all()


def test_two_controls_share_a_bin_in_quadrature():
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE, quadrature=True)
    assert plan.frequency_hz.tolist() == [910, 910, 930, 930, 970, 970, 990]
    ahead = np.diff(plan.phase)[:6:2]
    np.testing.assert_allclose(ahead, np.pi / 2, atol=1e-12)
    tones = plan.amplitude_v[:, None] * np.sin(
        2 * np.pi * np.outer(plan.frequency_hz, plan.time_s) + plan.phase[:, None]
    )
    g = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0])
    read = demodulators(plan)[0](g @ tones).in_phase / plan.amplitude_v
    np.testing.assert_allclose(read, g, atol=1e-9)


def test_a_hann_taper_gets_room_for_its_wider_lobes():
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE, taper="hann", odd=False)
    number = bins(plan)
    assert (np.diff(number) >= 2).all()
    assert not np.isin(number % 5, [0, 1, 4]).any()  # 50 Hz is every fifth bin
    demodulators(plan, "hann")


@pytest.mark.parametrize("n", [7, 30, 500])
def test_crest_of_the_sum_stays_low(n):
    plan = plan_tones(n, RATE, 1.0, SEED_NOISE)
    total = plan.excitation[0].sum(axis=0)[plan.n_wait : plan.n_wait + plan.n_samples]
    # A lone sine has sqrt(2), Newman's phases 1.7 to 2 for equally spaced tones; gaps for mains
    # cost some. In phase it would be sqrt(2 n).
    assert np.abs(total).max() / np.sqrt(np.mean(total**2)) < 2.5 < np.sqrt(2 * n)


@pytest.mark.parametrize("taper", ["none", "hann"])
@pytest.mark.parametrize("tau", [(0.01,), (0.002, 0.03), (23e-6,)])
def test_after_the_wait_settling_is_below_the_noise(taper, tau):
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE, taper=taper, time_constants_s=tau)
    kind = "hann" if taper == "hann" else "least_squares"
    expected = error_budget(plan, SEED_NOISE, demodulator=kind).standard_error
    # A step of 20 nA at the worst constant, then each exponential on its own.
    settling = [20.0 * np.exp(-(plan.wait_s + plan.time_s) / t) for t in tau]
    read = demodulators(plan, kind)[0](np.stack(settling)).complex / plan.amplitude_v
    assert (np.abs(read).sum(axis=0) < 0.4 * expected).all()


def test_a_wait_of_three_time_constants_for_least_squares():
    # 20 nA leak 2 x 20 / (2 pi 830 0.1 8e-3) = 9.6 nA/V at 830 Hz without a wait, and three time
    # constants bring that to 0.48, a third of 1.4 nA/V of noise. The fitted line takes some of it.
    plan = plan_tones(7, RATE, 0.1, SEED_NOISE, time_constants_s=(0.01,))
    assert plan.wait_s == pytest.approx(0.03, abs=0.01)
    no_noise = plan_tones(7, RATE, 0.1, time_constants_s=(0.01,))
    assert no_noise.wait_s == pytest.approx(0.01 * np.log(1000), abs=1 / RATE)
    assert plan_tones(7, RATE, 0.1, wait_s=0.002, time_constants_s=(9.0,)).wait_s == 0.002


class TestRefusals:
    def refused(self, *args, match, **options):
        with pytest.raises(FrequencyPlanError, match=match) as caught:
            plan_tones(*args, **options)
        assert "\n" not in str(caught.value)
        return caught.value.nearest

    def test_too_many_tones_get_a_longer_window(self):
        nearest = self.refused(60, RATE, 0.1, SEED_NOISE, match=r"60 odd bins .* 0.1 s has 40")
        assert nearest.n_controls == 60
        assert 0.1 < nearest.duration_s < 0.2
        assert nearest.n_groups == 1

    def test_even_bins_would_have_been_enough(self):
        assert plan_tones(60, RATE, 0.1, SEED_NOISE, odd=False).n_controls == 60

    def test_no_window_for_an_empty_band(self):
        # 50 Hz and less than a bin around: mains at any length of window that is tried.
        nearest = self.refused(
            1, RATE, 0.1, low_hz=49.99, high_hz=50.01, match=r"has 0: widen the band or allow mains"
        )
        assert nearest is None

    def test_a_window_in_which_every_bin_is_mains(self):
        nearest = self.refused(
            7, RATE, 0.02, SEED_NOISE, match=r"0.02 s has 0: measure for .* mains_hz=None"
        )
        assert nearest.duration_s > 0.02

    def test_above_nyquist(self):
        nearest = self.refused(7, RATE, 0.1, high_hz=6000, match="plays tones below 5000 Hz")
        assert 4800 < nearest.frequency_hz.min() < nearest.frequency_hz.max() < 5000

    def test_faster_than_the_guard(self):
        nearest = self.refused(
            7, RATE, 0.1, slew_v_per_s=20.0, match=r"V/s, above the guard's 20 V/s: use 0.003"
        )
        assert np.abs(np.diff(nearest.excitation)).max() * RATE <= 20.0
        # 2 a rate sin(pi f / rate) = 48.96 V/s is the steepest that a sine of 8 mV at 990 Hz gets
        # between samples; the wait of 15 ms lets it rise and fall more gently than that.
        assert nearest.amplitude_v[0] == pytest.approx(8e-3 * 20 / 48.96, rel=2e-3)
        plan_tones(7, RATE, 0.1, slew_v_per_s=49.0)
        assert self.refused(
            7, RATE, 0.1, slew_v_per_s=20.0, parallel=False, match=r"990 Hz moves at"
        ).amplitude_v[0] == pytest.approx(8e-3 * 20 / 48.96, rel=2e-3)

    def test_error_goal(self):
        goal = 0.5
        nearest = self.refused(
            7, RATE, 0.1, SEED_NOISE, max_standard_error=goal,
            match=r"1.48 nA/V .* above the goal of 0.5 nA/V: measure for",
        )  # fmt: skip
        assert error_budget(nearest, SEED_NOISE).standard_error.max() <= goal
        # Not needlessly long: a fifth less would not do.
        shorter = plan_tones(7, RATE, 0.75 * nearest.duration_s, SEED_NOISE)
        assert error_budget(shorter, SEED_NOISE).standard_error.max() > goal
        reached = plan_tones(7, RATE, 0.1, SEED_NOISE, max_standard_error=1.5)
        assert reached.duration_s == 0.1

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"n": 0}, "plan for 0 controls"),
            ({"duration_s": 5e-4}, "5 samples"),
            ({"duration_s": -1.0}, "duration_s = -1"),
            ({"low_hz": 0.0}, "low_hz = 0"),
            ({"high_hz": np.nan}, "high_hz = nan"),
            ({"mains_hz": -50.0}, "mains_hz = -50"),
            ({"wait_s": -1.0}, "wait_s = -1"),
            ({"time_constants_s": (0.0,)}, "time constant 0 = 0"),
            ({"amplitude_v": 0.0}, "amplitude 0 V"),
            ({"taper": "boxcar"}, "taper 'boxcar'"),
            ({"noise": None, "max_standard_error": 1.0}, "needs the noise"),
            ({"chain": lambda f: 0 * f}, "chain must give"),
        ],
    )
    def test_numbers_without_meaning(self, options, match):
        asked = {"n": 7, "rate": RATE, "duration_s": 0.1, "noise": SEED_NOISE, **options}
        with pytest.raises(ParameterError, match=match):
            plan_tones(**asked)

    def test_one_amplitude_or_one_each(self):
        plan = plan_tones(2, RATE, 0.1, amplitude_v=[4e-3, 9e-3])
        assert plan.amplitude_v.tolist() == [4e-3, 9e-3]
        with pytest.raises(ShapeError, match=r"give one number, or \(7,\)"):
            plan_tones(7, RATE, 0.1, amplitude_v=[4e-3, 9e-3])
