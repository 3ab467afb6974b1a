from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from inmateria.errors import ModelFileError, ParameterError, StoppedError, TrainingError
from inmateria.surrogates import fit as module
from inmateria.surrogates.checkpoint import read_checkpoint
from inmateria.surrogates.fit import fit_surrogate
from inmateria.surrogates.loop import WARM_UP, cycle

SMALL = {"hidden": (16, 16), "epochs": 6, "batch_size": 64, "threads": 1}


def weights(fit):
    return fit.surrogate.network.state_dict()


def assert_same(first, second):
    for name, tensor in weights(first).items():
        assert torch.equal(tensor, weights(second)[name]), name
    assert first.error == second.error
    for a, b in zip(first.history, second.history, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def stop_after(epoch, error=StoppedError):
    def progress(line):
        if line["epoch"] == epoch:
            raise error("stop")

    return progress


@pytest.fixture(autouse=True)
def checkpoint_each_epoch(monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture(scope="module")
def good(measured):
    return fit_surrogate(measured(5000), hidden=(32, 32), epochs=25, batch_size=128, threads=1)


def test_a_fit_learns_the_device(good, truth):
    terminals = good.surrogate.terminals
    low, high = (np.array([getattr(t, k) for t in terminals]) for k in ("low_v", "high_v"))
    voltage = low + (high - low) * np.random.default_rng(9).random((5000, 3))
    error = good.surrogate.current(voltage) - truth(voltage)
    # a smooth function of three voltages, 0.05 nA noise: well under a tenth of its 6 nA spread
    assert np.sqrt(np.mean(error**2)) < 0.3
    # the reported error is that of unseen rows with the noise on top
    independent = math.hypot(np.sqrt(np.mean(error**2)), 0.05)
    # 500 held-out rows of 2 outputs: heavy tails allow some 20 % either way
    assert good.error.rmse_na == pytest.approx(independent, rel=0.2)


def test_the_error_is_that_of_the_weights_that_are_kept(good):
    assert good.error.rmse_na == pytest.approx(min(h["validation_na"] for h in good.history))
    assert good.error.relative == pytest.approx(good.error.rmse_na / 6.0, rel=0.25)
    assert good.surrogate.error["validation_rmse_na"] == good.error.rmse_na


def test_history_has_a_line_per_epoch(good):
    assert [line["epoch"] for line in good.history] == list(range(1, 26))
    for line in good.history:
        assert set(line) == {"epoch", "train_na", "validation_na", "learning_rate", "seconds"}
    assert good.history[-1]["train_na"] < 0.2 * good.history[0]["train_na"]
    assert np.all(np.diff([line["seconds"] for line in good.history]) > 0)


def test_provenance_names_data_and_settings(good):
    provenance = good.surrogate.describe()["provenance"]
    json.dumps(provenance, allow_nan=False)
    assert len(provenance["training_data"]["current_sha256"]) == 64
    assert provenance["training_data"]["rig"] == {"current_range_na": "Infinity"}
    assert provenance["settings"]["hidden"] == [32, 32]
    assert provenance["settings"]["seed"] == 0


def test_learning_rate_rises_then_falls_to_nothing():
    rates = [cycle(share, 2.0) for share in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert top == round(100 * WARM_UP)
    assert rates[top] == 2.0
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert 0 < rates[-1] < 1e-3


def test_a_seed_decides_all_bits_and_the_global_state_is_untouched(measured):
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = fit_surrogate(measured(500), **SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.manual_seed(12)
    assert_same(first, fit_surrogate(measured(500), **SMALL))
    other = fit_surrogate(measured(500), **SMALL, seed=1)
    assert not torch.equal(weights(first)["layers.0.weight"], weights(other)["layers.0.weight"])


@pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt])
@pytest.mark.parametrize("epoch", [1, 4])
def test_a_resumed_fit_ends_in_the_same_bits(measured, tmp_path, epoch, error):
    path = tmp_path / "fit.safetensors"
    whole = fit_surrogate(measured(500), **SMALL)
    with pytest.raises(error):
        fit_surrogate(measured(500), **SMALL, checkpoint=path, progress=stop_after(epoch, error))
    assert len(read_checkpoint(path)[1]["loop"]["history"]) == epoch
    assert_same(whole, fit_surrogate(measured(500), **SMALL, checkpoint=path, resume=True))
    # once more, from the finished state
    assert_same(whole, fit_surrogate(measured(500), **SMALL, checkpoint=path, resume=True))


def test_an_interrupt_inside_an_epoch_keeps_the_epoch_before(measured, tmp_path, monkeypatch):
    path, calls = tmp_path / "fit.safetensors", []
    loss = module.Loop.run_epoch.__globals__["mse_loss"]

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 18:  # seven steps an epoch: in the third
            raise KeyboardInterrupt
        return loss(*args)

    whole = fit_surrogate(measured(500), **SMALL)
    monkeypatch.setattr("inmateria.surrogates.loop.mse_loss", interrupted)
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 1e9)  # only the interrupt writes
    with pytest.raises(KeyboardInterrupt):
        fit_surrogate(measured(500), **SMALL, checkpoint=path)
    assert len(read_checkpoint(path)[1]["loop"]["history"]) == 2
    assert_same(whole, fit_surrogate(measured(500), **SMALL, checkpoint=path, resume=True))


def test_a_checkpoint_of_another_fit_is_refused(measured, tmp_path):
    path = tmp_path / "fit.safetensors"
    fit_surrogate(measured(500), **SMALL, checkpoint=path)
    for dataset, more in ((measured(500), {"seed": 1}), (measured(500, seed=1), {})):
        with pytest.raises(TrainingError, match="other data or settings"):
            fit_surrogate(dataset, **SMALL, **more, checkpoint=path, resume=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="delete it"):
        fit_surrogate(measured(500), **SMALL, checkpoint=path, resume=True)


def test_without_a_checkpoint_yet_resume_starts(measured, tmp_path):
    fresh = fit_surrogate(measured(500), **SMALL, checkpoint=tmp_path / "new", resume=True)
    assert_same(fresh, fit_surrogate(measured(500), **SMALL))


def test_early_stop_gives_the_best_weights(measured):
    # 120 noisy rows and a wide network: it learns the noise, and validation turns up
    settings = {"hidden": (64, 64), "optimiser": "adam", "batch_size": 16, "threads": 1}
    fit = fit_surrogate(measured(120, noise_na=8), epochs=300, patience=5, **settings)
    errors = [line["validation_na"] for line in fit.history]
    best = int(np.argmin(errors))
    assert len(errors) == best + 1 + 5 < 300
    assert fit.error.rmse_na == pytest.approx(errors[best], rel=1e-6)
    assert errors[-1] > errors[best]


def test_a_time_limit_ends_the_cycle_in_time(measured):
    fit = fit_surrogate(measured(2000), **{**SMALL, "epochs": 100_000}, max_seconds=0.5)
    assert fit.history[-1]["learning_rate"] < 0.01 * 5e-3
    # one epoch of thirty small steps may run over
    assert 0.5 <= fit.history[-1]["seconds"] < 2.0


def test_a_fit_that_diverges_says_so(measured):
    with pytest.raises(TrainingError, match="lower learning_rate"):
        fit_surrogate(measured(500), **SMALL, learning_rate=1e30)


def test_one_output_and_adam(measured):
    fit = fit_surrogate(measured(500, n_outputs=1), **SMALL, optimiser="adam")
    assert fit.surrogate.outputs == ("x",)
    assert fit.surrogate.current(np.zeros((3, 3))).shape == (3, 1)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"optimiser": "sgd"}, "adam or adamw"),
        ({"epochs": 0}, "epochs 0"),
        ({"batch_size": 2.5}, "batch_size 2.5"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"threads": 0}, "threads"),
        ({"validation": 0.0}, "validation"),
        ({"activation": "swish"}, "activation"),
    ],
)
def test_meaningless_settings_are_refused(measured, settings, match):
    with pytest.raises(ParameterError, match=match):
        fit_surrogate(measured(200), **settings)
