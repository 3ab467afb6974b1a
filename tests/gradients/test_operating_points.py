"""Holds around operating points: what is played, what is read, what is known of it."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import (
    NotFiniteError,
    ParameterError,
    ShapeError,
    TerminalError,
    VoltageLimitError,
)
from inmateria.gradients import operating_points
from inmateria.gradients.operating_points import Probe
from inmateria.rigs.chain import Converter
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.signals.waveforms import Waveform

from .formulas import Disturbed, Formula, Parabolas, slopes

OFFSET = np.array([[0.05, 0.0], [-0.05, 0.0], [0.0, 0.05], [0.0, -0.05]])


class Watched(Guard):
    """A guard that writes down how long its waveforms are."""

    lengths: tuple[int, ...] = ()

    def play(self, voltage: Waveform) -> np.ndarray:
        self.lengths = (*self.lengths, voltage.n_samples)
        return super().play(voltage)


def noisy(device: Formula, noise: PowerLawNoise, seed: int = 0) -> SimulatedRig:
    return SimulatedRig(
        device,
        dac=None,
        electrodes=None,
        noise=noise,
        converter=None,
        lowpass=None,
        adc=None,
        seed=seed,
    )


def probe(rig: Guard, **settings: float) -> Probe:
    chosen = {"step_v": 0.05, "hold_s": 0.005, "settle_s": 0.001, **settings}
    return Probe(rig, ("c", "a"), **chosen)


def test_the_mean_of_a_hold_is_the_current_of_the_device() -> None:
    device = Parabolas()
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (5, 3))
    with Guard(SimulatedRig.ideal(device)) as rig:
        holds = probe(rig).read(points, OFFSET)
        assert holds.device_s == rig.played_s
    moved = np.repeat(points[:, None], 4, axis=1)
    moved[..., [2, 0]] += OFFSET
    assert holds.mean.shape == (5, 4, 2)
    # No noise: what is left is the rounding of a sum of 50 currents of 50 nA or less.
    np.testing.assert_allclose(holds.mean, device.current(moved), rtol=0, atol=1e-11)
    assert (holds.problem == "").all()


def test_settling_is_waited_for() -> None:
    """Electrodes 1 ms slow: after 10 ms, exp(-10) of a 2 nA step is left."""
    from inmateria.rigs.chain import ElectrodeRC

    def worst(settle_s: float) -> float:
        rig = SimulatedRig(
            slopes(20.0, 0.0, 0.0),
            dac=None,
            electrodes=ElectrodeRC(tau_s=1e-3),
            noise=None,
            converter=None,
            lowpass=None,
            adc=None,
        )
        with Guard(rig) as guard:
            holds = probe(guard, settle_s=settle_s).read(np.zeros((1, 3)), OFFSET)
        return float(np.abs(holds.mean[0, :, 0] - [0.0, 0.0, 1.0, -1.0]).max())

    assert worst(0.01) < 2 * np.exp(-10)
    assert worst(0.0) > 0.1


def test_chunks_bound_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (7, 3))
    read, lengths = [], []
    for values in (2**21, 1_000):
        monkeypatch.setattr(operating_points, "_CHUNK_VALUES", values)
        with Watched(noisy(Parabolas(), PowerLawNoise(), seed=3)) as rig:
            read.append(probe(rig).read(points, OFFSET))
            lengths.append(rig.lengths)
    assert len(lengths[0]) == 1
    assert len(lengths[1]) == 7  # never less than one operating point
    assert sum(lengths[1]) == lengths[0][0]
    np.testing.assert_array_equal(read[0].mean, read[1].mean)
    np.testing.assert_array_equal(read[0].difference_variance, read[1].difference_variance)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5, 1.9])
def test_noise_of_a_difference_is_told_from_within_the_holds(exponent: float) -> None:
    """Against the scatter of 1,500 differences that were in fact measured.

    Rough error: 5 % for the mean square of 3,000 correlated contrasts, at two lengths, so 0.1
    in the exponent, times ln(2.2 longer): 10 %, and the true one's 4 %. Corrections to scaling
    for a few samples' length: 10 %. Together within 30 %, where the scatter of samples would
    be wrong by more than ten for exponents of 1 and up.
    """
    if exponent:
        noise = PowerLawNoise(exponent=exponent, lowest_hz=0.05)
    else:
        noise = PowerLawNoise(level_na2_per_hz=0.0, white_na2_per_hz=1e-5)
    with Guard(noisy(slopes(0.0, 0.0, 0.0), noise, seed=5)) as rig:
        single = Probe(rig, ("a",), step_v=0.05, hold_s=0.02, settle_s=0.004)
        holds = single.read(np.zeros((1500, 3)), [[0.05], [-0.05]])
    differences = holds.mean[:, 0, 0] - holds.mean[:, 1, 0]
    ratio = holds.difference_variance[0] / np.mean(differences**2)
    assert 0.7 < ratio < 1.3


def test_noise_cannot_be_told_from_holds_of_a_few_samples() -> None:
    with Guard(noisy(slopes(1.0, 1.0, 1.0), PowerLawNoise())) as rig:
        holds = probe(rig, hold_s=3e-4, settle_s=1e-3).read(np.zeros((2, 3)), OFFSET)
    assert np.isnan(holds.difference_variance).all()
    assert np.isfinite(holds.mean).all()


def test_one_clipped_sample_of_one_output_is_enough() -> None:
    """Output 0 reaches 400 nA at a single point, output 1 nowhere."""
    device = Formula(lambda v: 2000 * v[..., 0], lambda v: v[..., 2])
    rig = SimulatedRig(device, noise=None, converter=Converter(), lowpass=None)
    points = np.array([[0.0, 0.1, 0.0], [0.18, 0.1, 0.0]])
    with Guard(rig) as guard:
        holds = probe(guard).read(points, OFFSET)
    assert holds.problem.tolist() == [["", ""], ["clipped", ""]]


def test_an_output_that_never_changes_is_dead_from_there_on() -> None:
    """It comes off while the second of three points is measured: 26 ms a point."""
    broken = Disturbed(slopes(1.0, 2.0, 3.0), lambda i, t: np.where(t < 0.04, i, 0.7))
    with Guard(broken) as rig:
        holds = probe(rig).read(np.full((3, 3), 0.1), OFFSET)
    assert holds.problem[:, 0].tolist() == ["", "", "dead"]


def test_the_top_of_a_parabola_is_not_dead() -> None:
    """Equal currents above and below: a slope of zero, not a broken wire."""
    top = Formula(lambda v: -30 * v[..., 2] ** 2)
    with Guard(SimulatedRig.ideal(top)) as rig:
        holds = probe(rig).read(np.zeros((2, 3)), OFFSET[:2])
    assert (holds.problem == "").all()
    assert np.ptp(holds.mean) < 1e-12


@pytest.mark.parametrize("broken", [np.inf, -np.inf])
def test_readings_beyond_all_ranges_are_flagged(broken: float) -> None:
    def disturb(current: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.where(t > 0.04, broken, current)

    with Guard(Disturbed(slopes(1.0, 2.0, 3.0), disturb)) as rig:
        holds = probe(rig).read(np.full((3, 3), 0.1), OFFSET)
    assert holds.problem[0, 0] == ""
    assert holds.problem[2, 0] in ("dead", "clipped")
    assert np.isfinite(holds.difference_variance).all()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_no_room_for_a_step_is_refused_before_anything_is_played(sign: float) -> None:
    rig = SimulatedRig.ideal(Parabolas())
    points = np.zeros((4, 3))
    points[2, 0] = sign * 0.96
    with Guard(rig) as guard:
        with pytest.raises(VoltageLimitError, match=r"terminal a is at -?0.96 V .* by 0.05 V .*-1"):
            probe(guard).read(points, OFFSET)
        assert rig.transcript.n_samples == 0


def test_a_step_up_to_the_limit_is_allowed_and_no_further() -> None:
    rig = SimulatedRig.ideal(Parabolas())
    points = np.array([[0.95, -1.0, -0.95], [-0.95, 1.0, 0.95]])
    with Guard(rig) as guard:
        probe(guard).read(points, OFFSET)
    np.testing.assert_allclose(rig.transcript.highest_v, 1.0, atol=1e-12)
    np.testing.assert_allclose(rig.transcript.lowest_v, -1.0, atol=1e-12)


def test_a_guard_s_limits_count_and_so_do_terminals_that_are_not_moved() -> None:
    rig = SimulatedRig.ideal(Parabolas())
    with Guard(rig, limits={"b": (-0.2, 0.2), "c": (-0.5, 0.5)}) as guard:
        with pytest.raises(VoltageLimitError, match=r"terminal b is at 0.3 V at operating"):
            probe(guard).read([[0.0, 0.3, 0.0]], OFFSET)
        with pytest.raises(VoltageLimitError, match=r"-0.5 V to 0.5 V"):
            probe(guard).read([[0.0, 0.0, 0.46]], OFFSET)
        assert rig.transcript.n_samples == 0


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"step_v": 0.0}, "step_v"),
        ({"step_v": -0.05}, "step_v"),
        ({"step_v": np.nan}, "step_v"),
        ({"hold_s": 0.0}, "hold_s"),
        ({"hold_s": np.nan}, "hold_s"),
        ({"settle_s": -1.0}, "settle_s"),
        ({"settle_s": np.inf}, "settle_s"),
    ],
)
def test_settings_without_meaning(settings: dict[str, float], wrong: str) -> None:
    with pytest.raises(ParameterError, match=wrong):
        probe(Guard(SimulatedRig.ideal(Parabolas())), **settings)


def test_controls_that_do_not_exist_or_come_twice() -> None:
    rig = Guard(SimulatedRig.ideal(Parabolas()))
    wanted = {"step_v": 0.05, "hold_s": 0.01, "settle_s": 0.0}
    with pytest.raises(TerminalError, match=r"'d'.*a, b, c"):
        Probe(rig, ("a", "d"), **wanted)
    with pytest.raises(ParameterError, match="a is named twice"):
        Probe(rig, ("a", "b", "a"), **wanted)
    with pytest.raises(ParameterError, match="no controls"):
        Probe(rig, (), **wanted)
    assert Probe(rig, "b", **wanted).controls == ("b",)


def test_a_rig_without_a_guard_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Guard\(rig\)"):
        Probe(SimulatedRig.ideal(Parabolas()), ("a",), step_v=0.1, hold_s=0.01, settle_s=0.0)


def test_points_of_a_wrong_shape_or_without_a_number() -> None:
    with Guard(SimulatedRig.ideal(Parabolas())) as rig:
        with pytest.raises(ShapeError):
            probe(rig).read(np.zeros((2, 4)), OFFSET)
        with pytest.raises(NotFiniteError):
            probe(rig).read([[0.0, np.nan, 0.0]], OFFSET)
