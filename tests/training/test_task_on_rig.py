"""A task on a rig: what is read is what the device gives, and what it costs is counted."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from inmateria.errors import (
    ConfigurationError,
    ParameterError,
    ShapeError,
    TaskError,
    TrainingError,
    VoltageLimitError,
)
from inmateria.gradients.exact import Exact
from inmateria.gradients.spsa import SimultaneousPerturbation
from inmateria.rigs.chain import Converter
from inmateria.rigs.guard import Guard
from inmateria.rigs.noise import PowerLawNoise
from inmateria.rigs.simulated import SimulatedRig
from inmateria.tasks import Gate, Ring, task_current
from inmateria.training.search_log import SearchLog, read_search_log
from inmateria.training.task_on_rig import SearchEnded, Stop, TaskOnRig

from .rigs import Recording, quiet_rig
from .stand_ins import TanhNetwork

INPUTS = ("e1", "e3")
CONTROLS = ("e2", "e4", "e5", "e6")
XOR = Gate("XOR", INPUTS)
RING = Ring(INPUTS, n_train=20, n_test=30)


def settings(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, 4))


@pytest.mark.parametrize("task", [XOR, RING])
def test_levels_are_the_device_s_currents_in_the_task_s_order(task):
    on_rig = TaskOnRig(task, quiet_rig())
    reading = on_rig.measure(settings(3))
    expected = task_current(task, TanhNetwork(), settings(3))[:, task.train]
    # A chain that changes nothing: only the sums of a mean of 200 equal samples round.
    assert reading.current_na == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("task", [XOR, RING])
def test_the_time_that_is_foretold_is_the_time_that_is_played(task):
    rig = quiet_rig()
    on_rig = TaskOnRig(task, rig)
    for n in (3, 1, 2):
        before, foretold = rig.played_s, on_rig.points.seconds(settings(n))
        reading = on_rig.measure(settings(n))
        assert rig.played_s - before == pytest.approx(foretold, abs=1e-9)
        assert reading.device_s == on_rig.spent_s == rig.played_s
    assert on_rig.measurements == 6 * on_rig.n_points
    assert on_rig.history[-1]["device_s"] == rig.played_s


def test_test_points_are_not_played_before_the_search_is_over():
    rig = Recording(SimulatedRig(TanhNetwork()))
    on_rig = TaskOnRig(RING, Guard(rig))
    on_rig.measure(settings(2))
    train, test = RING.points[:20], RING.points[20:]

    def visited(points: np.ndarray) -> np.ndarray:
        inputs = np.concatenate(rig.played, axis=1)[[0, 2]].T
        return np.array([(np.abs(inputs - p).max(axis=1) < 1e-12).sum() for p in points])

    assert (visited(train) > 0).all()
    # A ramp may cross a test point, a plateau of 350 samples may not stand on one.
    assert visited(test).max() < 10
    current = on_rig.measure_best()
    assert (visited(test) >= 350).all()
    assert current.shape == (50,)


def test_gradient_is_reduced_to_the_task_s_output_and_put_in_its_order():
    device = TanhNetwork(n_outputs=2)
    on_rig = TaskOnRig(RING, quiet_rig(device), output="o1")
    controls = settings(1)[0]
    found = on_rig.extract(controls, Exact(device, CONTROLS))
    voltage = np.zeros((20, 6))
    voltage[:, [0, 2]] = RING.points[:20]
    voltage[:, [1, 3, 4, 5]] = controls
    assert found.value == pytest.approx(device.gradient(voltage)[:, 1][:, [1, 3, 4, 5]])
    assert found.current == pytest.approx(device.current(voltage)[:, 1])
    row = on_rig.history[-1]
    assert [row[f"control_v.{n}"] for n in CONTROLS] == pytest.approx(controls)


def test_loss_gradient_in_the_history_is_that_of_the_whole_chain():
    device = TanhNetwork()
    on_rig = TaskOnRig(XOR, quiet_rig(device))
    controls, h = settings(1)[0], 1e-6
    on_rig.extract(controls, Exact(device, CONTROLS))
    for m, name in enumerate(CONTROLS):
        step = h * np.eye(4)[m]
        above, below = (
            float(on_rig.loss_of(task_current(XOR, device, controls + s))) for s in (step, -step)
        )
        # Central difference: rounding 1e-16 / h = 1e-10 of the loss, curvature h^2.
        assert on_rig.history[-1][f"gradient_per_v.{name}"] == pytest.approx(
            (above - below) / (2 * h), rel=1e-5
        )


def test_the_best_passes_first_and_then_has_the_lowest_loss():
    """A gate at 2 nA of margin is kept before one of lower loss that fails."""
    on_rig = TaskOnRig(Gate("OR", INPUTS, min_margin_na=4.0), quiet_rig())
    levels = iter(
        [
            np.array([[0.0, 3.0, 3.0, 3.0]]),  # rho = 1, margin 3: fails
            np.array([[0.0, 5.0, 9.0, 13.0]]),  # lower rho, margin 5: passes
            np.array([[0.0, 3.5, 3.5, 3.5]]),  # lower loss than both, fails
        ]
    )
    on_rig.points = _Scripted(levels)
    for k in range(3):
        on_rig.measure(settings(1, seed=k))
    losses = [row["loss"] for row in on_rig.history]
    assert losses[1] > losses[0] > losses[2]
    assert on_rig.best.controls == pytest.approx(settings(1, seed=1)[0])
    assert on_rig.best.passed
    assert on_rig.best.iteration == 2
    assert [row["loss_best"] for row in on_rig.history] == [losses[0], losses[0], losses[2]]


def test_a_pass_ends_the_search_only_if_it_passes_twice():
    task = Gate("OR", INPUTS)
    on_rig = TaskOnRig(task, quiet_rig(), stop=Stop(passed=True))
    good, bad = np.array([[0.0, 3.0, 3.0, 3.0]]), np.array([[0.0, 1.0, 3.0, 3.0]])
    on_rig.points = _Scripted(iter([good, bad, bad, good, good]))
    on_rig.measure(settings(1, seed=0))  # passes, then does not
    on_rig.measure(settings(1, seed=1))
    with pytest.raises(SearchEnded, match="passed at its training points"):
        on_rig.measure(settings(1, seed=2))
    assert on_rig.best.controls == pytest.approx(settings(1, seed=2)[0])
    assert on_rig.measurements == 5 * 4
    assert [row["passed"] for row in on_rig.history] == [0, 0, 1]


def test_clipped_levels_are_no_readings():
    # 1 nA/V and 4 V: everything above 4 nA is clipped, and the stand-in reaches 50 nA.
    rig = quiet_rig(converter=Converter(gain_na_per_v=1.0))
    on_rig = TaskOnRig(XOR, rig)
    current = on_rig.measure(settings(40)).current_na
    true = task_current(XOR, TanhNetwork(), settings(40))
    assert np.array_equal(np.isnan(current), np.abs(true) >= 4.0)
    assert np.isinf(on_rig.loss_of(current)[np.isnan(current).any(axis=1)]).all()
    assert on_rig.best is None or np.isfinite(on_rig.best.current_na).all()


def test_a_search_that_could_read_nothing_says_so():
    on_rig = TaskOnRig(XOR, quiet_rig(converter=Converter(gain_na_per_v=1e-3)))
    on_rig.measure(settings(2))
    assert on_rig.history[-1]["loss"] == np.inf
    with pytest.raises(TrainingError, match=r"clipped at 0.004 nA.*larger range"):
        on_rig.measure_best()


def test_the_budget_is_never_exceeded_and_used_as_far_as_it_goes():
    rig = quiet_rig()
    on_rig = TaskOnRig(XOR, rig, budget_s=1.0)
    with pytest.raises(SearchEnded, match="budget of 1 s"):
        _forever(lambda: on_rig.measure(settings(1, seed=on_rig.iterations)))
    assert on_rig.spent_s <= 1.0
    # An iteration is 4 plateaus of 35 ms and ramps of at most 10 ms: 0.18 s.
    assert on_rig.spent_s > 1.0 - 0.18


def test_a_budget_for_less_than_an_iteration_is_an_error_that_says_how_much_one_takes():
    rig = quiet_rig()
    with pytest.raises(TrainingError, match="one iteration takes") as error:
        TaskOnRig(XOR, rig, budget_s=0.1).measure(settings(1))
    assert rig.played_s == 0
    needed = TaskOnRig(XOR, rig).points.seconds(settings(1))
    assert f"give {needed:.3g} s or more" in str(error.value)
    enough = TaskOnRig(XOR, rig, budget_s=needed)
    enough.measure(settings(1))
    assert enough.spent_s <= needed


def test_an_estimator_s_time_is_asked_of_its_caller_or_of_its_last_call():
    rig = quiet_rig()
    spsa = SimultaneousPerturbation(rig, CONTROLS)
    with pytest.raises(TrainingError, match="one iteration takes 5 s"):
        TaskOnRig(XOR, rig, budget_s=2.0).extract(settings(1)[0] * 0.9, spsa, seconds=5.0)
    assert rig.played_s == 0
    on_rig = TaskOnRig(XOR, rig, budget_s=2.0)
    with pytest.raises(SearchEnded):
        _forever(lambda: on_rig.extract(settings(1)[0] * 0.9, spsa))
    assert 1.3 < on_rig.spent_s <= 2.0


@pytest.mark.parametrize(
    ("stop", "n"), [(Stop(iterations=3), 3), (Stop(loss=1e9), 1), (Stop(loss=-1.0), 10)]
)
def test_stop(stop, n):
    on_rig = TaskOnRig(XOR, quiet_rig(), stop=stop)
    with suppress(SearchEnded):
        for k in range(10):
            on_rig.measure(settings(1, seed=k))
    assert on_rig.iterations == len(on_rig.history) == n


def test_progress_tells_loss_accuracy_and_how_many_there_will_be():
    told = []
    on_rig = TaskOnRig(XOR, quiet_rig(), budget_s=1.0, progress=lambda *a: told.append(a))
    with suppress(SearchEnded):
        _forever(lambda: on_rig.measure(settings(1)))
    assert [t[0] for t in told] == list(range(1, on_rig.iterations + 1))
    # All iterations are alike but for the first ramp, so the estimate is right to one.
    assert all(abs(t[1] - on_rig.iterations) <= 1 for t in told[1:])
    assert "loss" in told[0][2]
    assert "accuracy" in told[0][2]


def test_a_replayed_search_reads_the_same_and_plays_nothing(tmp_path):
    def search(rig):
        with SearchLog(tmp_path / "log.jsonl", {"seed": 0}, resume=True) as log:
            on_rig = TaskOnRig(XOR, rig, log=log)
            gain = on_rig.set_up("calibration", lambda rig: {"gain": float(rig.rate)})
            spsa = SimultaneousPerturbation(rig, CONTROLS, seed=5)
            read = [on_rig.measure(settings(2)).current_na]
            read += [on_rig.extract(settings(1)[0] * 0.9, spsa).value for _ in range(2)]
            final = on_rig.measure_best()
            on_rig.note(extra=1.0)
            return gain, read, final, on_rig, spsa.call

    first = search(Guard(SimulatedRig(TanhNetwork(), seed=1)))
    n_entries = len(read_search_log(tmp_path / "log.jsonl")[1])
    rig = Guard(SimulatedRig(TanhNetwork(), seed=2))
    again = search(rig)
    assert rig.played_s == 0
    assert again[0] == first[0]
    for a, b in zip(again[1], first[1], strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(again[2], first[2])
    assert again[3].spent_s == first[3].spent_s > 0
    assert again[3].wall_s == first[3].wall_s > 0
    assert again[3].history == first[3].history
    assert again[4] == 2  # the third call draws what it would have drawn
    assert len(read_search_log(tmp_path / "log.jsonl")[1]) == n_entries + 1  # the second note


def test_a_replay_that_asks_for_something_else_is_refused(tmp_path):
    with SearchLog(tmp_path / "log.jsonl", {}) as log:
        TaskOnRig(XOR, quiet_rig(), log=log).measure(settings(1))
    for other in (settings(2), settings(1, seed=1)):
        with SearchLog(tmp_path / "log.jsonl", {}, resume=True) as log:
            on_rig = TaskOnRig(XOR, quiet_rig(), log=log)
            with pytest.raises(ConfigurationError, match="another search: request 1 was to mea"):
                on_rig.measure(other)
    with (
        SearchLog(tmp_path / "log.jsonl", {}, resume=True) as log,
        pytest.raises(ConfigurationError, match="is to setup calibration now"),
    ):
        TaskOnRig(XOR, quiet_rig(), log=log).set_up("calibration", lambda _: {})


def test_set_up_counts_as_device_time():
    rig = quiet_rig()
    on_rig = TaskOnRig(XOR, rig, budget_s=2.0)
    on_rig.set_up("warm up", lambda rig: {"n": rig.ramp_to(np.ones(6)).shape[1]})
    assert on_rig.spent_s == rig.played_s == pytest.approx(0.005)
    assert on_rig.iterations == 0
    with pytest.raises(TrainingError, match=r"set-up took 0.005 s and set-up takes 3 s"):
        on_rig.set_up("long", lambda _: {}, seconds=3.0)


def test_noise_is_on():
    loud = PowerLawNoise(white_na2_per_hz=1.0)
    on_rig = TaskOnRig(XOR, quiet_rig(noise=loud))
    current = on_rig.measure(np.repeat(settings(1), 100, axis=0)).current_na
    # White noise of density S over a hold of T: variance S / 2T = 25 nA^2, 5 nA; 400 levels
    # know their scatter to 3.5 %, so 20 % is more than five times that.
    scatter = (current - current.mean(axis=0)).std()
    assert scatter == pytest.approx(5.0, rel=0.2)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"hold_s": 1e-6}, ParameterError, "hold a sample"),
        ({"settle_s": -1.0}, ParameterError, "settle_s"),
        ({"budget_s": 0.0}, ParameterError, "budget_s"),
        ({"loss": "hinge"}, TrainingError, "no loss"),
        ({"output": "o7"}, TaskError, "it has o0"),
    ],
)
def test_bad_options_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        TaskOnRig(XOR, quiet_rig(), **options)


def test_bad_requests_are_refused_before_anything_is_played():
    rig = quiet_rig()
    on_rig = TaskOnRig(XOR, rig)
    with pytest.raises(ShapeError, match="give"):
        on_rig.measure(settings(1)[0])
    with pytest.raises(ShapeError, match="give"):
        on_rig.extract(settings(1), Exact(TanhNetwork(), CONTROLS))
    with pytest.raises(VoltageLimitError):
        on_rig.measure(1.5 * np.ones((1, 4)))
    with pytest.raises(TrainingError, match="differentiates by e2, e4"):
        on_rig.extract(settings(1)[0], Exact(TanhNetwork(), ("e2", "e4")))
    assert rig.played_s == 0
    with pytest.raises(ParameterError):
        Stop(iterations=0)
    with pytest.raises(ParameterError):
        Stop(loss=float("nan"))


def _forever(request):
    for _ in range(100):  # more than any budget here has room for
        request()


class _Scripted:
    """Points that answer what they are told to."""

    def __init__(self, levels):
        self.levels = levels

    def measure(self, _settings):
        return next(self.levels)

    def seconds(self, _settings):
        return 0.0


class Drifting(SimulatedRig):
    """Its zero moves by 20 nA a second."""

    played = 0

    def play(self, voltage):
        reading = super().play(voltage)
        time = (self.played + np.arange(reading.shape[1])) / self.rate
        self.played += reading.shape[1]
        return reading + 20.0 * time


def test_a_reference_takes_a_drift_out_of_many_points():
    device = TanhNetwork()
    task = Ring(INPUTS, n_train=40, n_test=20)
    controls = settings(1)

    def off(reference_every):
        rig = Guard(Drifting(device, noise=None, lowpass=None, electrodes=None, adc=None, dac=None))
        on_rig = TaskOnRig(task, rig, reference_every=reference_every)
        exact = task_current(task, device, controls)[0, task.train]
        return np.std(on_rig.measure(controls).current_na[0] - exact)

    # 40 points of 35 ms and their ramps are some 1.6 s, so 32 nA from first to last, 9 nA rms. A
    # line between references takes a straight drift out but for ramps of unequal length: of some
    # 5 ms a point, 20 nA/s x 5 ms = 0.1 nA.
    assert off(0) > 5.0
    assert off(4) < 0.2
