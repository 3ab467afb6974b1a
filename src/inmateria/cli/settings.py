"""What each command can be told: by a TOML file, by flags, or not at all.

Defaults live here and nowhere else in the command line. A unit is part of its
field's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from inmateria.data.configuration import Configuration, parse_configuration, read_configuration
from inmateria.errors import ConfigurationError


class DriveSettings(Configuration):
    """How a device is driven while it is sampled."""

    design: Literal["sinusoids", "triangles", "plateaus"] = "triangles"
    duration_s: float = Field(default=100.0, gt=0)
    points: int = Field(default=10_000, ge=1)
    # Of plateaus; left out, what suits converters.
    hold_s: float | None = Field(default=None, gt=0)
    settle_s: float | None = Field(default=None, ge=0)
    base_hz: float = Field(default=8.0, gt=0)
    # Ten times slower than the converters can: neighbouring rows then tell different things.
    rate_hz: float = Field(default=1_000.0, gt=0)
    seed: int = Field(default=0, ge=0)


class SampleSettings(DriveSettings):
    """Which device, and how it is driven."""

    device: str = "default"
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    # A bench file, in place of a device.
    bench: str | None = None


class FitSettings(Configuration):
    """The network and how it is trained.

    One thread: a second one gains a fifth on an idle machine, and on a busy one the
    two wait for each other in every layer, which can cost a factor of ten.
    """

    hidden: tuple[int, ...] = (90, 90, 90, 90, 90)
    activation: str = "relu"
    optimiser: Literal["adam", "adamw"] = "adamw"
    epochs: int = Field(default=40, ge=1)
    batch_size: int = Field(default=512, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0)
    weight_decay: float = Field(default=0.2, ge=0)
    patience: int = Field(default=30, ge=1)
    validation: float = Field(default=0.1, gt=0, le=0.5)
    max_seconds: float | None = Field(default=None, gt=0)
    drift: bool = True
    threads: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)


class TaskSettings(Configuration):
    """Which terminals are inputs, and what a task demands."""

    inputs: tuple[str, ...] | Literal["auto"] | None = None
    min_margin_na: float = Field(default=2.0, ge=0)
    tolerance_na: float | None = Field(default=None, gt=0)
    min_accuracy: float = Field(default=0.9, gt=0, le=1)
    ring_training_points: int = Field(default=60, ge=2)
    ring_test_points: int = Field(default=200, ge=2)
    sphere_inputs: tuple[str, str, str] | None = None
    sphere_training_points: int = Field(default=300, ge=2)
    sphere_test_points: int = Field(default=1000, ge=2)


class TrainSettings(TaskSettings):
    """How control voltages are searched on a surrogate."""

    restarts: int = Field(default=64, ge=1)
    steps: int = Field(default=300, ge=1)
    threads: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)


class TrialSettings(Configuration):
    """How found controls are tried on a rig.

    A gate has four points and is repeated; a ring has hundreds, each of which
    is held for a shorter time.
    """

    rate_hz: float = Field(default=10_000.0, gt=0)
    repetitions: int = Field(default=3, ge=1)
    hold_s: float = Field(default=0.05, gt=0)
    settle_s: float = Field(default=0.015, ge=0)
    ring_repetitions: int = Field(default=1, ge=1)
    ring_hold_s: float = Field(default=0.005, gt=0)
    ring_settle_s: float = Field(default=0.005, ge=0)
    n_sigma: float = Field(default=3.0, gt=0)
    seed: int = Field(default=1, ge=0)


class SurrogateTraining(TrainSettings):
    """A training on a surrogate."""

    method: Literal["in-silico"] = "in-silico"
    model: str | None = None


class SearchSettings(TaskSettings):
    """A training on a device: how it is searched there, and how what was found is tried.

    What is left out of `iterations` to `restarts` is up to the method; `options`
    are further ones of its own.
    """

    method: str = "homodyne"
    device: str = "default"
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    # A bench file, in place of a device.
    bench: str | None = None
    model: str | None = None
    rate_hz: float = Field(default=10_000.0, gt=0)
    # Of each task's search.
    budget_s: float = Field(default=120.0, gt=0)
    # A search stops when its own reading passes this many times better than is demanded:
    # readings carry noise, and what just passes would fail the next time.
    reserve: float = Field(default=2.0, ge=1)
    stop_when_passed: bool = True
    stop_loss: float | None = None
    iterations: int | None = Field(default=None, ge=1)
    amplitude_v: float | None = Field(default=None, gt=0)
    duration_s: float | None = Field(default=None, gt=0)
    optimiser: Literal["gradient", "momentum", "adam"] | None = None
    learning_rate: float | None = Field(default=None, gt=0)
    restarts: int | None = Field(default=None, ge=1)
    options: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    verify: TrialSettings = TrialSettings()

    def stricter(self) -> SearchSettings:
        """These settings with margins, tolerance and errors tightened by the reserve."""
        tolerance = self.min_margin_na if self.tolerance_na is None else self.tolerance_na
        return self.model_copy(
            update={
                "min_margin_na": self.reserve * self.min_margin_na,
                "tolerance_na": tolerance / self.reserve if tolerance else None,
                "min_accuracy": 1 - (1 - self.min_accuracy) / self.reserve,
            }
        )

    @property
    def method_options(self) -> dict[str, Any]:
        """Everything that the method is told, by name."""
        names = ("iterations", "amplitude_v", "duration_s", "optimiser", "learning_rate",
                 "restarts")  # fmt: skip
        given = {name: getattr(self, name) for name in names}
        return {k: v for k, v in given.items() if v is not None} | self.options


class PointSettings(Configuration):
    """How a surrogate is compared with its device at random points."""

    n_points: int = Field(default=200, ge=80)
    rate_hz: float = Field(default=10_000.0, gt=0)
    hold_s: float = Field(default=0.02, gt=0)
    settle_s: float = Field(default=0.015, ge=0)
    # Other points than those that the same seed draws elsewhere.
    seed: int = Field(default=7, ge=0)
    noise_seed: int = Field(default=8, ge=0)


class VerifySettings(TrialSettings):
    """The device that solutions are tried on, and how."""

    device: str = "default"
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    # A bench file, in place of a device.
    bench: str | None = None
    # Compares the surrogate with the device at random points, too.
    random_points: PointSettings | None = None


class RefitSettings(DriveSettings):
    """How an old surrogate is brought up to date, and how the device is sampled for it."""

    device: str | None = None
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    # A bench file, in place of a device.
    bench: str | None = None
    duration_s: float = Field(default=10.0, gt=0)
    # Not the phases and the noise of the measurement that the old surrogate was fitted to.
    seed: int = Field(default=1, ge=0)
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=512, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    rehearsal: float = Field(default=0.25, ge=0)
    patience: int = Field(default=20, ge=1)
    validation: float = Field(default=0.2, gt=0, le=0.5)
    n_errors: float = Field(default=1.5, ge=0)
    drift: bool = True
    threads: int = Field(default=1, ge=1)
    random_points: PointSettings = PointSettings()

    @property
    def options(self) -> dict[str, Any]:
        """What `refit` is told, by name."""
        names = ("epochs", "batch_size", "learning_rate", "rehearsal", "patience", "validation",
                 "n_errors", "drift", "threads", "seed")  # fmt: skip
        return {name: getattr(self, name) for name in names}


class DemoSettings(Configuration):
    """The whole job, step by step."""

    device: str = "default"
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    # A bench file, in place of a device.
    bench: str | None = None
    tasks: tuple[str, ...] = ("gates", "ring")
    # Searches for a task that fails on the device, the first included.
    attempts: int = Field(default=3, ge=1)
    sample: DriveSettings = DriveSettings()
    fit: FitSettings = FitSettings(max_seconds=90.0)
    train: TrainSettings = TrainSettings()
    verify: TrialSettings = TrialSettings()


MOST_SEEDS = 100_000


class SurveySettings(Configuration):
    """Which devices are surveyed, at which voltages, and what counts as a gate."""

    device: str = "default"
    # "0:20" without 20, "3,5,8", or a list of numbers.
    seeds: str | tuple[int, ...] = "0:20"
    parameters: dict[str, tuple[int | float | str, ...]] = Field(default_factory=dict)
    engine: str | None = None
    engine_settings: dict[str, Any] = Field(default_factory=dict)
    inputs: tuple[str, ...] = ("e2", "e6")
    output: str | int = 0
    level_v: float | None = Field(default=None, gt=0)
    settings: int = Field(default=1000, ge=1)
    margin: float = Field(default=0.25, ge=0)
    margin_na: float | None = Field(default=None, ge=0)
    points: int = Field(default=1000, ge=2)
    sweeps: int = Field(default=50, ge=0)
    sweep_points: int = Field(default=41, ge=2)
    seed: int = Field(default=0, ge=0)

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, value: str | tuple[int, ...]) -> str | tuple[int, ...]:
        _seeds(value)
        return value

    @property
    def device_seeds(self) -> tuple[int, ...]:
        """The seeds, one by one."""
        return _seeds(self.seeds)


class CompareSettings(TaskSettings):
    """Which methods are compared on which tasks, and the bench that they share."""

    device: str = "default"
    device_seed: int | None = Field(default=None, ge=0)
    engine: str | None = None
    tasks: tuple[str, ...] = ("gates", "ring", "sphere")
    # All that there are.
    methods: tuple[str, ...] | None = None
    budget_s: float = Field(default=120.0, gt=0)
    # A number of seeds, "0:10" without 10, "3,5,8", or a list of numbers.
    seeds: int | str | tuple[int, ...] = 10
    rate_hz: float = Field(default=10_000.0, gt=0)
    hold_s: float = Field(default=0.02, gt=0)
    settle_s: float = Field(default=0.015, ge=0)
    # Of tasks with more than 32 points.
    many_hold_s: float = Field(default=0.005, gt=0)
    many_settle_s: float = Field(default=0.005, ge=0)
    reserve: float = Field(default=2.0, ge=1)
    repetitions: int = Field(default=5, ge=1)
    n_sigma: float = Field(default=3.0, gt=0)
    # Of a method, by its name.
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, value: int | str | tuple[int, ...]) -> int | str | tuple[int, ...]:
        _seeds(_range_of(value))
        return value

    @property
    def run_seeds(self) -> tuple[int, ...]:
        """The seeds, one by one."""
        return _seeds(_range_of(self.seeds))


def _range_of(value: int | str | tuple[int, ...]) -> str | tuple[int, ...]:
    """A number of seeds as a range from 0."""
    return f"0:{value}" if isinstance(value, int) else value


def _seeds(value: str | tuple[int, ...]) -> tuple[int, ...]:
    """``"0:20"``, ``"3,5,8"`` and ``"0:10,91"`` as numbers, each once."""
    parts: list[str | int] = list(value.split(",")) if isinstance(value, str) else list(value)
    found: dict[int, None] = {}
    for part in parts:
        first, colon, last = str(part).strip().partition(":")
        if not first.isdecimal() or (colon and not last.isdecimal()):
            raise ValueError("give seeds of 0 or more, as 0:20 (20 left out) or 3,5,8")
        run = range(int(first), int(last) if colon else int(first) + 1)
        if len(run) > MOST_SEEDS:
            raise ValueError(f"{first} to {last} are more than {MOST_SEEDS} devices; give fewer")
        found |= dict.fromkeys(run)
    if not found:
        raise ValueError("no seed is left; give a start below the stop, as 0:20")
    return tuple(found)


Chosen = TypeVar("Chosen", bound=Configuration)


def resolve(model: type[Chosen], config: Path | None, overrides: Mapping[str, Any]) -> Chosen:
    """Settings from a TOML file, if there is one, overridden by flags.

    Raises
    ------
    ConfigurationError
        On one line, with the nearest key for a misspelt one; or if both a bench and
        a device are named.
    """
    from_file = {}
    if config is not None:
        from_file = read_configuration(config, model).model_dump(exclude_unset=True)
    settings = parse_configuration({**from_file, **overrides}, model, source="the command line")
    _refuse_two_places(settings, overrides)
    return settings


def _refuse_two_places(settings: Configuration, overrides: Mapping[str, Any]) -> None:
    """What a person asks to be driven must be one thing.

    The resolved settings of a run hold the default device beside its bench: only a
    device that somebody named is in the way.
    """
    bench = getattr(settings, "bench", None)
    if bench is None:
        return
    for name in ("device", "device_seed", "engine"):
        value = getattr(settings, name)
        if name in overrides or value != type(settings).model_fields[name].default:
            raise ConfigurationError(
                f"bench {bench} does not go with {name.replace('_', ' ')} {value}: a bench names "
                "its device itself; leave one of them out"
            )


def flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given; what a user left out must not override a file."""
    return {name: value for name, value in given.items() if value not in (None, ())}
