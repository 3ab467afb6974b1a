"""A dry run says what is sent: the same extremes, samples and refusals as the run itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inmateria.bench import bench as bench_module
from inmateria.bench.bench import Bench, open_bench
from inmateria.bench.check import bounds, corners, overall, rehearse, rehearse_unknown
from inmateria.bench.instruments import open_instrument
from inmateria.cli.settings import TrialSettings
from inmateria.cli.steps import try_on
from inmateria.data.designs import Plateaus, Triangles
from inmateria.data.sampling import play_design, sample
from inmateria.rigs.simulated import SimulatedRig
from inmateria.surrogates.surrogate import load_surrogate
from inmateria.tasks.gates import Gate
from inmateria.tasks.task import input_levels

from .benches import save_device, write_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    save_device(tmp_path)
    terminals = [{"name": f"e{i}", "limits_v": [-0.1 * i, 0.7]} for i in range(1, 8)]
    return open_bench(write_bench(tmp_path, terminal=terminals, slew_v_per_s=100.0))


@pytest.fixture
def rigs(monkeypatch: pytest.MonkeyPatch) -> list[SimulatedRig]:
    """The simulated rigs that are opened, each with its transcript."""
    found: list[SimulatedRig] = []

    def opened(*positional: object, **named: object) -> object:
        found.append(open_instrument(*positional, **named))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(bench_module, "open_instrument", opened)
    return found


@pytest.mark.parametrize("design", [Triangles(0.5, base_hz=6.0), Plateaus(40, seed=3)])
def test_a_rehearsal_is_what_is_sent(
    bench: Bench, rigs: list[SimulatedRig], design: Triangles | Plateaus, tmp_path: Path
) -> None:
    stage = rehearse("sampling", bench, lambda guard: play_design(guard, design), rate_hz=2000.0)
    assert not rigs  # no instrument
    assert not bench.record.exists()
    with bench.guard(rate_hz=2000.0) as guard:
        sample(guard, design, path=tmp_path / "data.nc")
    sent = rigs[0].transcript
    assert stage.n_samples == sent.n_samples
    assert stage.seconds == pytest.approx(sent.n_samples / 2000, rel=1e-12)
    np.testing.assert_array_equal(stage.lowest_v, sent.lowest_v)
    np.testing.assert_array_equal(stage.highest_v, sent.highest_v)
    np.testing.assert_array_equal(stage.steepest_v_per_s, sent.steepest_v_per_s)
    assert stage.steepest_v_per_s.max() <= 100 * (1 + 1e-9)
    assert stage.refused is None


def test_what_would_be_refused_is_said(bench: Bench) -> None:
    design = Triangles(1.0, base_hz=50.0)
    stage = rehearse("sampling", bench, lambda guard: play_design(guard, design), rate_hz=2000.0)
    assert "use base_hz of at most" in str(stage.refused)
    assert stage.n_samples == 0
    whole = overall([stage, bounds("search", bench, seconds=2.0, rate_hz=1e4)])
    assert whole is not None
    assert whole.refused == stage.refused
    assert whole.seconds == 2.0


def test_no_solution_goes_beyond_the_corners(bench: Bench) -> None:
    task = Gate("XOR", ("e2", "e6"), **input_levels(bench, ("e2", "e6")))
    settings = TrialSettings(hold_s=0.002, settle_s=0.001)
    stage = rehearse_unknown(
        "verifying", bench, task, lambda guard, s: try_on(guard, settings, s), rate_hz=1e4
    )
    assert stage.at_most
    assert stage.refused is None
    low, high = corners(task, bench)
    # The inputs stay at their levels; controls reach their limits, and the 0 V at both ends.
    np.testing.assert_allclose(stage.lowest_v[[0, 2]], [-0.1, -0.3], rtol=1e-12)
    assert stage.highest_v[0] == 0.7
    assert stage.lowest_v[1] == pytest.approx(task.points[:, 0].min())
    rng = np.random.default_rng(0)
    for _ in range(5):
        shares = rng.uniform(size=len(low.controls))
        between = {
            name: (1 - share) * low.controls[name] + share * high.controls[name]
            for name, share in zip(low.controls, shares, strict=True)
        }
        solution = low.__class__(**{**vars(low), "controls": between})
        one = rehearse(
            "one", bench, lambda guard, s=solution: try_on(guard, settings, s), rate_hz=1e4
        )
        assert one.n_samples <= stage.n_samples
        assert (one.lowest_v >= stage.lowest_v).all()
        assert (one.highest_v <= stage.highest_v).all()


def test_a_device_is_rehearsed_for_as_it_is_simulated(tmp_path: Path) -> None:
    device = load_surrogate(save_device(tmp_path))
    stage = bounds("search", device, seconds=1.0, rate_hz=1000.0)
    np.testing.assert_array_equal(stage.steepest_v_per_s, 200.0)  # the guard's own
    np.testing.assert_array_equal(stage.lowest_v, -1.0)
    assert stage.n_samples == 1000
