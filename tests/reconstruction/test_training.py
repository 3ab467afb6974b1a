"""Training is the same for a seed, with an interruption or without, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inmateria.errors import ParameterError, ShapeError, TrainingError
from inmateria.reconstruction.augment import Augmentation, blur
from inmateria.reconstruction.losses import SCORES, likelihood
from inmateria.reconstruction.networks import KINDS, build_network
from inmateria.reconstruction.sources import InMemory, shuffled
from inmateria.reconstruction.training import TrainingPlan, predict, train_network

PLAN = TrainingPlan(epochs=4, batch=8, learning_rate=3e-3, patience=4)


def samples(n: int, seed: int) -> InMemory:
    """Images whose target is the same image, smoothed: what a convolution can learn."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, 1, 16, 8)).astype(np.float32)
    smooth = blur(torch.as_tensor(images), torch.full((n,), 1.0)).numpy()
    return InMemory(images, smooth)


def small(seed: int = 0) -> torch.nn.Module:
    return build_network("unet", seed=seed, width=8, depth=2)


def trained(plan: TrainingPlan, **options: object) -> tuple[torch.nn.Module, list[float]]:
    network = small()
    history = train_network(network, samples(64, 1), samples(16, 2), plan, **options)  # type: ignore[arg-type]
    return network, history.validation_loss


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().ravel() for p in network.parameters()])


def test_it_learns_and_knows_its_error() -> None:
    network, losses = trained(replace(PLAN, epochs=15, patience=15))
    assert losses[-1] < losses[0]
    test = samples(32, 3)
    found = predict(network, test.images)
    error = np.abs(found[:, :1] - test.targets)
    assert error.std() < 0.5 * test.targets.std()
    # Normal errors: two thirds within one sigma; half to 95 % leaves room for 15 epochs.
    assert 0.5 < (error < np.exp(found[:, 1:])).mean() < 0.95


def test_a_seed_gives_one_network() -> None:
    one, two = trained(PLAN)[0], trained(PLAN)[0]
    assert torch.equal(weights(one), weights(two))
    other = trained(replace(PLAN, seed=1))[0]
    assert not torch.equal(weights(one), weights(other))


def test_an_interruption_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"

    def stop(told: dict[str, float]) -> None:
        if told["epoch"] == 2 and told["batch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(PLAN, checkpoint=path, progress=stop)
    resumed, losses = trained(PLAN, checkpoint=path)
    whole, expected = trained(PLAN)
    assert losses == expected
    assert torch.equal(weights(resumed), weights(whole))
    with pytest.raises(TrainingError, match="another training"):
        trained(replace(PLAN, batch=4), checkpoint=path)


def test_training_stops_when_nothing_gets_better() -> None:
    rng = np.random.default_rng(0)
    images, targets = (rng.normal(size=(16, 1, 16, 8)).astype(np.float32) for _ in range(2))
    noise = InMemory(images, targets)
    plan = replace(PLAN, epochs=50, patience=2, learning_rate=0.1, schedule="constant")
    history = train_network(small(), noise, noise, plan)
    assert history.best + 1 + plan.patience == len(history.validation_loss) < 50


def test_nothing_of_the_global_generator_is_used() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trained(replace(PLAN, epochs=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_shapes(kind: str) -> None:
    options = {"dense-reader": {"n_outputs": 3, "shape": (32, 16)}}.get(kind, {})
    network = build_network(kind, seed=0, **options)
    found = network(torch.zeros(2, 1, 32, 16))
    expected = {"unet": (2, 2, 32, 16), "encoder-decoder": (2, 1, 32, 16), "dense-reader": (2, 3)}
    assert tuple(found.shape) == expected[kind]
    with pytest.raises(ShapeError, match="pixels"):
        network(torch.zeros(2, 1, 33, 15))


def test_a_unet_treats_mirror_images_alike_on_average_of_both() -> None:
    """Its extra channels are even across, so that mirroring is a symmetry it can learn."""
    network = small().eval()
    for p in network.parameters():
        if p.ndim == 4:
            p.data = 0.5 * (p.data + p.data.flip(-1))
    image = torch.as_tensor(samples(1, 7).images)
    one, two = network(image), network(image.flip(-1)).flip(-1)
    torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_blur_keeps_a_constant_and_spreads_a_point() -> None:
    flat, width = torch.ones(1, 1, 9, 9), torch.tensor([1.5])
    torch.testing.assert_close(blur(flat, width), flat)
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    found = blur(point, width)[0, 0]
    distance = torch.arange(41.0) - 20
    assert found.sum() == pytest.approx(1, abs=1e-4)
    # The variance of a sampled Gaussian is that of the continuous one to 1e-3 from sigma = 1 on.
    assert (found.sum(0) * distance**2).sum() == pytest.approx(1.5**2, rel=1e-3)


def test_mirrored_images_keep_their_targets() -> None:
    images = torch.arange(24.0).reshape(2, 1, 3, 4)
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(20):
        a, b = Augmentation(mirror=True)(images, 2 * images, generator)
        torch.testing.assert_close(b, 2 * a)
        seen.add(tuple(a[:, 0, 0, 0].tolist()))
    assert len(seen) == 4


def test_likelihood_is_lowest_at_the_true_uncertainty() -> None:
    generator = torch.Generator().manual_seed(0)
    target = 0.3 * torch.randn(4000, 1, 1, 1, generator=generator)

    def gradient(log_sigma: float) -> float:
        found = torch.tensor([[0.0, log_sigma]]).reshape(1, 2, 1, 1).expand(4000, 2, 1, 1)
        found = found.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(likelihood(found, target), found)
        return float(gradient[:, 1].sum())

    assert gradient(np.log(0.2)) < 0 < gradient(np.log(0.4))


def test_every_sample_once() -> None:
    order = shuffled(103, 10, np.random.default_rng(0), buffer=32)
    assert sorted(order) == list(range(103))
    assert not (order == np.arange(103)).all()


def test_errors() -> None:
    with pytest.raises(ParameterError, match="unet"):
        build_network("vnet", seed=0)
    with pytest.raises(ParameterError, match="unexpected"):
        build_network("unet", seed=0, height=3)
    with pytest.raises(ParameterError, match="likelihood"):
        TrainingPlan(loss="hinge")
    with pytest.raises(TrainingError, match="0 samples"):
        train_network(small(), samples(0, 0), samples(4, 0), PLAN)
    bad = samples(16, 0)
    bad.targets[3] = np.nan
    with pytest.raises(TrainingError, match="nan"):
        train_network(small(), bad, bad, PLAN)
    with pytest.raises(ShapeError, match="do not go together"):
        train_network(small(), samples(8, 0), samples(8, 0), replace(PLAN, loss="squared"))
    with pytest.raises(ShapeError, match="channels"):
        InMemory(np.zeros((3, 4, 4), "f4"), np.zeros((3, 1, 4, 4), "f4"))


def test_a_better_network_has_a_better_score() -> None:
    """The weighted loss alone would prefer an error of exp(-3/2) to smaller ones."""
    target = torch.zeros(1, 1, 4, 4)
    scores = []
    for size in (1.0, np.exp(-1.5), 0.1, 0.01):
        value = torch.full_like(target, float(size))
        found = torch.cat([value, torch.full_like(target, float(np.log(size)))], 1)
        scores.append(SCORES["likelihood"](found, target).item())
    assert scores == sorted(scores, reverse=True)
