"""What a command drives: a device behind a simulated rig, or a bench."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from inmateria.bench.named_device import DEFAULT, open_device, open_model

if TYPE_CHECKING:
    from inmateria.bench.bench import Bench
    from inmateria.devices.device import Device
    from inmateria.rigs.guard import Guard
    from inmateria.surrogates.surrogate import Surrogate
    from inmateria.training.solution import Solution

    Place: TypeAlias = Device | Bench

__all__ = [
    "DEFAULT",
    "open_device",
    "open_model",
    "open_place",
    "open_rig",
    "refuse_another_device",
]


class NamesAPlace(Protocol):
    """Settings that say what is driven."""

    @property
    def device(self) -> str:
        """As `open_device` takes it."""

    @property
    def device_seed(self) -> int | None:
        """Another dopant network of the default kind."""

    @property
    def engine(self) -> str | None:
        """How a dopant network is solved."""

    @property
    def bench(self) -> str | None:
        """Path of a bench file, in place of a device."""


def open_place(settings: NamesAPlace) -> Place:
    """What settings name: their bench, else their device; no instrument is opened.

    Raises
    ------
    ConfigurationError, ParameterError, DataFileError, ModelFileError
    """
    if settings.bench is None:
        return open_device(
            settings.device, device_seed=settings.device_seed, engine=settings.engine
        )
    from inmateria.bench.bench import open_bench

    return open_bench(settings.bench)


def open_rig(
    place: Place, *, seed: int, rate_hz: float = 10_000.0
) -> AbstractContextManager[Guard]:
    """A guarded rig: of a bench, or a device behind the electrical chain of a real one.

    Parameters
    ----------
    place : Device or Bench
    seed : int
        Of a simulated rig's noise.
    rate_hz : float
        At most, on a bench.

    Raises
    ------
    ParameterError
        And, on a bench, when it is entered, `InstrumentError`, `MissingExtraError`.
    """
    from inmateria.bench.bench import Bench

    if isinstance(place, Bench):
        return place.guard(rate_hz=rate_hz, notice=_say)
    from inmateria.rigs.guard import Guard
    from inmateria.rigs.simulated import SimulatedRig

    return Guard(SimulatedRig(place, rate=rate_hz, seed=seed))


def refuse_another_device(
    place: Place,
    *,
    surrogate: Surrogate | None = None,
    named: str = "the model",
    solutions: Sequence[Solution] = (),
) -> None:
    """Refuse a model or solutions of another device than the one on the bench, if it is one.

    Raises
    ------
    ConfigurationError
    """
    from inmateria.bench.bench import Bench
    from inmateria.bench.same_device import refuse_another_device

    if not isinstance(place, Bench):
        return
    if surrogate is not None:
        refuse_another_device(place, surrogate.describe(), what=named)
    for solution in solutions:
        refuse_another_device(place, solution.device, what=f"the solution for {solution.task}")


def _say(line: str) -> None:
    import click

    click.echo(line, err=True)
