"""A refit finds what has changed, forgets nothing, and knows another device when it sees one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from inmateria.errors import ParameterError, StoppedError, TrainingError, VoltageLimitError
from inmateria.surrogates import fit as fit_module
from inmateria.surrogates.checkpoint import read_checkpoint
from inmateria.surrogates.files import model_paths, weights_sha256
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.refit import refit_surrogate
from inmateria.surrogates.surrogate import load_surrogate

SHORT = {"epochs": 6, "batch_size": 64}
ROWS = 1000


@pytest.fixture(scope="module")
def old(measured):
    return fit_surrogate(
        measured(6000, rows_per_segment=100), hidden=(32, 32), epochs=30, batch_size=128
    ).surrogate


@pytest.fixture(scope="module")
def points(old):
    low, high = (np.array([getattr(t, k) for t in old.terminals]) for k in ("low_v", "high_v"))
    return np.random.default_rng(8).uniform(low, high, (4000, 3))


def measure_changed(measured, change, *, n=ROWS, seed=21, noise_na=0.05):
    """A short measurement of a device that gives `change(voltage)`, nA."""
    dataset = measured(n, rows_per_segment=50, seed=seed)
    noise = noise_na * np.random.default_rng(seed + 1).standard_normal((n, 2))
    return dataset.assign(current=(("sample", "output"), change(dataset["voltage"].values) + noise))


def rms(surrogate, points, change) -> float:
    return float(np.sqrt(np.mean((surrogate.current(points) - change(points)) ** 2)))


def test_gain_and_offset_of_the_converter_are_recovered(measured, truth, old, points):
    gain, offset = np.array([1.05, 0.97]), np.array([1.5, -2.0])

    def change(voltage):
        return gain * truth(voltage) + offset

    result = refit_surrogate(old, measure_changed(measured, change), **SHORT)
    # 800 rows; the old surrogate is off by 0.1 nA or so, gains of some 6 nA: below 0.1 / 6 / 28
    assert result.correction.gain == pytest.approx(gain, abs=5e-3)
    assert result.correction.offset_na == pytest.approx(offset, abs=0.05)
    assert rms(old, points, change) > 1.0
    own = rms(old, points, truth)
    assert rms(result.surrogate, points, change) < 1.2 * own
    assert result.error.rmse_na < 0.2 * result.before.rmse_na
    assert [s.name for s in result.steps] == ["offset", "outputs", "terminals", "weights"]
    assert result.steps[1].kept


def test_a_lever_arm_that_changed_is_recovered(measured, truth, old, points):
    """The old surrogate's own error of 0.1 nA leaves some 0.1 / 10 of the factor open."""

    def change(voltage):
        return truth(voltage * np.array([1.1, 1.0, 1.0]))

    result = refit_surrogate(old, measure_changed(measured, change), **SHORT)
    assert result.steps[2].kept
    assert result.correction.factor == pytest.approx([1.1, 1.0, 1.0], abs=0.02)
    assert rms(result.surrogate, points, change) < 0.5 * rms(old, points, change)


def test_what_no_correction_describes_is_learnt_by_the_weights(measured, truth, old, points):
    def change(voltage):
        return truth(voltage) + 1.5 * np.sin(4 * voltage[..., :1] * voltage[..., 1:2])

    result = refit_surrogate(old, measure_changed(measured, change, n=3000), batch_size=64)
    assert result.last_step == "weights"
    assert rms(result.surrogate, points, change) < 0.7 * rms(old, points, change)


@pytest.mark.parametrize("seed", range(4))
def test_where_nothing_changed_nothing_gets_worse(measured, truth, old, points, seed):
    """Offsets are believed beyond their error only, other steps when held-out rows show them.

    A step is taken by chance once in fifteen (1.5 standard errors), and then moves little.
    """
    data = measure_changed(measured, truth, n=400, seed=40 + seed)
    result = refit_surrogate(old, data, **SHORT, seed=seed)
    assert rms(result.surrogate, points, truth) < 1.1 * rms(old, points, truth)
    fresh = fit_surrogate(data, hidden=(32, 32), epochs=60, batch_size=64).surrogate
    assert rms(result.surrogate, points, truth) < 0.5 * rms(fresh, points, truth)


def test_slow_noise_is_not_taken_for_an_offset(measured, truth, old, points):
    """A random walk of 0.5 nA a segment, 0.3 nA in the mean, of which nothing is the device's."""
    walk = np.cumsum(0.5 * np.random.default_rng(2).standard_normal((ROWS // 50, 2)), axis=0)
    walk += 0.3 - walk.mean(axis=0)
    data = measure_changed(measured, lambda v: truth(v) + np.repeat(walk, 50, axis=0))
    result = refit_surrogate(old, data, **SHORT)
    assert result.correction.offset_found_na == pytest.approx([0.3, 0.3], abs=0.05)
    assert result.correction.offset_na == (0.0, 0.0)
    assert (np.array(result.correction.offset_error_na) > 0.3).all()
    assert rms(result.surrogate, points, truth) < 1.2 * rms(old, points, truth)


def test_the_weights_do_not_learn_an_offset_that_is_not_believed(measured, truth, old):
    """What is left of the offset after the correction stays left after the weights.

    Of a wave of 3 nA that is as long as the recording, no mean is known to 1 nA.
    """
    n = 3000
    wave = 1.0 + 3.0 * np.cos(2 * np.pi * np.arange(n // 50) / (n // 50))

    def change(voltage):
        return truth(voltage) + 1.5 * np.sin(4 * voltage[..., :1] * voltage[..., 1:2])

    data = measure_changed(measured, lambda v: change(v) + np.repeat(wave, 50)[:, None], n=n)
    result = refit_surrogate(old, data, batch_size=64)
    assert result.last_step == "weights"
    correction = result.correction
    doubted = np.array(correction.offset_found_na) - np.array(correction.offset_na)
    assert np.abs(doubted).max() > 0.4
    seen = ~result.held
    current = result.surrogate.current(data["voltage"].values[seen])
    left = np.mean(data["current"].values[seen] - current, axis=0)
    assert left == pytest.approx(doubted, abs=0.1)


def test_the_old_surrogate_is_left_alone_and_the_scaling_is_kept(measured, truth, old):
    before = {k: v.clone() for k, v in old.network.state_dict().items()}
    result = refit_surrogate(old, measure_changed(measured, lambda v: 1.1 * truth(v)), **SHORT)
    for name, value in old.network.state_dict().items():
        assert torch.equal(value, before[name])
    for name in ("input_centre", "input_half_width", "output_mean", "output_std"):
        assert torch.equal(result.surrogate.network.state_dict()[name], before[name])
    assert not any(p.requires_grad for p in result.surrogate.network.parameters())


def test_provenance_names_the_parents(measured, truth, old, tmp_path):
    data = measure_changed(measured, lambda v: 1.1 * truth(v))
    old.save(tmp_path / "old")
    first = refit_surrogate(load_surrogate(tmp_path / "old"), data, **SHORT).surrogate
    first.save(tmp_path / "first")
    second = refit_surrogate(load_surrogate(tmp_path / "first"), data, **SHORT).surrogate
    json.dumps(second.describe(), allow_nan=False)
    digests = [
        json.loads(model_paths(tmp_path / name)[1].read_text())["weights_sha256"]
        for name in ("first", "old")
    ]
    assert [p["weights_sha256"] for p in second.provenance["parents"]] == digests
    assert weights_sha256(first.network) == digests[0]
    assert second.provenance["refit"]["steps"][0]["name"] == "offset"
    assert second.provenance["training_data"]["rows"] == ROWS


def test_terminals_and_outputs_are_matched_by_name(measured, truth, old):
    data = measure_changed(measured, lambda v: 1.1 * truth(v))
    turned = data.isel(terminal=[2, 0, 1], output=[1, 0])
    one, other = refit_surrogate(old, data, **SHORT), refit_surrogate(old, turned, **SHORT)
    for name, tensor in one.surrogate.network.state_dict().items():
        assert torch.equal(tensor, other.surrogate.network.state_dict()[name]), name


def test_another_device_is_refused(measured, truth, old):
    data = measure_changed(measured, truth)
    with pytest.raises(
        TrainingError, match="has terminals a, b, c, what is measured has a, b, d: another device"
    ):
        refit_surrogate(old, data.assign_coords(terminal=["a", "b", "d"]))
    with pytest.raises(TrainingError, match="what is measured has x: another device"):
        refit_surrogate(old, data.isel(output=[0]))
    named = replace(
        old, provenance={**old.provenance, "training_data": {"device": "chip B7, device 3"}}
    )
    with pytest.raises(TrainingError, match=r"fitted to 'chip B7, device 3'.*'chip B7, device 4'"):
        refit_surrogate(named, data.assign_attrs(device='"chip B7, device 4"'))
    # a device that does not say its name keeps the old one
    kept = refit_surrogate(named, data, **SHORT).surrogate
    assert kept.provenance["training_data"]["device"] == "chip B7, device 3"


def test_voltages_that_the_surrogate_does_not_know_are_refused(measured, truth, old):
    data = measure_changed(measured, truth)
    data["voltage"][0, 1] = 1.0
    with pytest.raises(VoltageLimitError, match="terminal b at 1 V leaves its range"):
        refit_surrogate(old, data)


@pytest.mark.parametrize("options", [{"rehearsal": -1.0}, {"n_errors": -1.0}, {"epochs": 0}])
def test_settings_without_meaning_are_refused(measured, truth, old, options):
    with pytest.raises(ParameterError):
        refit_surrogate(old, measure_changed(measured, truth), **options)


def test_a_resumed_refit_ends_in_the_same_bits(measured, truth, old, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)
    data = measure_changed(measured, lambda v: truth(v * 1.04) + 0.5 * np.sin(5 * v[..., :1]))
    whole = refit_surrogate(old, data, **SHORT)

    def stop(line):
        if line["epoch"] == 3:
            raise StoppedError("stop")

    path = tmp_path / "checkpoint"
    with pytest.raises(StoppedError):
        refit_surrogate(old, data, **SHORT, checkpoint=path, progress=stop)
    assert len(read_checkpoint(path)[1]["loop"]["history"]) == 3
    resumed = refit_surrogate(old, data, **SHORT, checkpoint=path, resume=True)
    assert len(resumed.history) == 6
    for name, tensor in whole.surrogate.network.state_dict().items():
        assert torch.equal(tensor, resumed.surrogate.network.state_dict()[name]), name
    for options in ({"seed": 1}, {"rehearsal": 0.5}):
        with pytest.raises(TrainingError, match="belongs to a refit of another model"):
            refit_surrogate(old, data, **SHORT, **options, checkpoint=path, resume=True)
    with pytest.raises(TrainingError, match="belongs to a refit of another model"):
        refit_surrogate(whole.surrogate, data, **SHORT, checkpoint=path, resume=True)


def test_plateaus_have_no_slow_noise_taken_out(measured, truth, old, points):
    """Single rows: nothing can be taken out of them, and the gain is found all the same."""
    n = 1000
    data = measured(n, seed=31)
    data = data.assign(current=(("sample", "output"), 1.05 * truth(data["voltage"].values)))
    result = refit_surrogate(old, data, **SHORT)
    assert result.correction.gain == pytest.approx([1.05, 1.05], abs=5e-3)
    assert result.error.driftless_na is None
    assert rms(result.surrogate, points, lambda v: 1.05 * truth(v)) < 0.5 * rms(
        old, points, lambda v: 1.05 * truth(v)
    )
