"""A surrogate and its device at random points: what `verify --points` and `refit` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inmateria.cli.devices import open_rig
from inmateria.cli.progress import step

if TYPE_CHECKING:
    from inmateria.cli.devices import Place
    from inmateria.cli.settings import PointSettings
    from inmateria.surrogates.surrogate import Surrogate
    from inmateria.training.agreement import Agreement


def compare_on_rig(settings: PointSettings, place: Place, surrogate: Surrogate) -> Agreement:
    """Visit random points of a device behind a guarded rig, noise on."""
    from inmateria.training.random_points import compare_at_random_points

    with (
        open_rig(place, seed=settings.noise_seed, rate_hz=settings.rate_hz) as rig,
        step("random points") as report,
    ):
        return compare_at_random_points(
            surrogate,
            rig,
            n_points=settings.n_points,
            hold_s=settings.hold_s,
            settle_s=settings.settle_s,
            seed=settings.seed,
            progress=report,
        )
