"""The survey of one device: samples in, everything that is concluded out.

The margin is stated once and used throughout: a share of the device's own
current scale (the standard deviation of its output over uniformly drawn
operating points), so that it does not depend on the attempt frequency, or a
number of nanoamperes, where a real device's noise sets it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inmateria.devices.device import Device, FloatArray
from inmateria.errors import ParameterError
from inmateria.survey.abundance import (
    CONSTANT,
    VARYING,
    Share,
    count_constant,
    count_gates,
    gate_margins,
    shares,
)
from inmateria.survey.components import Components, principal_components
from inmateria.survey.differential_resistance import (
    DifferentialResistance,
    differential_resistance,
)
from inmateria.survey.nonlinearity import Nonlinearity, nonlinearity
from inmateria.survey.samples import Protocol, Samples, take_samples

MARGINS = (0.0, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.5, 2.0)
"""Shares of the current scale at which abundance is counted, beside the margin asked for."""


@dataclass(frozen=True)
class Criterion:
    """By how much a gate's highs must lie above its lows.

    Parameters
    ----------
    margin : float
        As a share of the device's current scale.
    margin_na : float, optional, nA
        The same for every device; overrides `margin`.

    Raises
    ------
    ParameterError
    """

    margin: float = 0.25
    margin_na: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("margin", self.margin), ("margin_na", self.margin_na)):
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} = {value}; it must be finite and zero or more")

    def for_scale(self, scale_na: float) -> float:
        """The margin in nA on a device of this current scale."""
        return self.margin * scale_na if self.margin_na is None else self.margin_na

    def sentence(self) -> str:
        """The criterion in words."""
        least = (
            f"{self.margin:g} of the device's current scale (the standard deviation of its "
            "output over uniformly drawn voltages)"
            if self.margin_na is None
            else f"{self.margin_na:g} nA"
        )
        return (
            "A control setting realises a gate when its lowest high current exceeds its highest "
            f"low current by more than {least}."
        )


@dataclass(frozen=True)
class CurrentScale:
    """How much current flows: over uniformly drawn operating points, nA."""

    std_na: float
    mean_na: float
    largest_na: float


@dataclass(frozen=True)
class DeviceSurvey:
    """What one device can do under random control voltages.

    Parameters
    ----------
    samples : Samples
        What was measured.
    scale : CurrentScale
    margin_na : float, nA
        The criterion in figures.
    counts : mapping
        Settings that realise each of `VARYING`, and ``"constant"``.
    counts_by_margin : (n_margins, 14) array
        The same at `MARGINS` of the current scale.
    nonlinearity : Nonlinearity
    components : Components
    resistance : DifferentialResistance
    """

    samples: Samples
    scale: CurrentScale
    margin_na: float
    counts: Mapping[str, int]
    counts_by_margin: FloatArray
    nonlinearity: Nonlinearity
    components: Components
    resistance: DifferentialResistance

    @property
    def n_settings(self) -> int:
        """Control settings that were tried."""
        return len(self.samples.vectors_na)

    @property
    def abundance(self) -> dict[str, Share]:
        """Share of settings that realise each gate, with binomial intervals."""
        return shares(self.counts, self.n_settings)

    @property
    def n_gates(self) -> int:
        """How many of the fourteen varying gates at least one setting realises."""
        return sum(self.counts[name] > 0 for name in VARYING)


def survey_device(
    device: Device,
    *,
    inputs: Sequence[str] = ("e2", "e6"),
    level_v: float | None = None,
    settings: int = 1000,
    margin: float = 0.25,
    margin_na: float | None = None,
    seed: int | Sequence[int] = 0,
    output: str | int = 0,
) -> DeviceSurvey:
    """Survey any device: a dopant network, a surrogate, a model of a real device.

    Parameters
    ----------
    device : Device
    inputs : two terminal names
        All other terminals are controls, drawn uniformly over their ranges.
    level_v : float, optional, V
        Logic levels, this far below and above the middle of an input's range;
        by default 0.7 of the way to its ends.
    settings : int
    margin : float
        Of the device's current scale.
    margin_na : float, optional, nA
        Overrides `margin`.
    seed : int or ints
        Draws the voltages.
    output : str or int

    Raises
    ------
    ParameterError, TaskError, ConvergenceError
    """
    protocol = Protocol(tuple(inputs), level_v, settings, output=output)  # type: ignore[arg-type]
    criterion = Criterion(margin, margin_na)
    return conclude(take_samples(device, protocol, seed=seed), criterion)


def conclude(samples: Samples, criterion: Criterion) -> DeviceSurvey:
    """All that a survey says, from what was measured."""
    vectors = samples.vectors_na
    scale = CurrentScale(
        float(samples.uniform_na.std()),
        float(samples.uniform_na.mean()),
        float(np.abs(samples.uniform_na).max()),
    )
    margin_na = criterion.for_scale(scale.std_na)
    margins = gate_margins(vectors)
    limits = np.array(MARGINS) * scale.std_na
    return DeviceSurvey(
        samples=samples,
        scale=scale,
        margin_na=margin_na,
        counts={**count_gates(vectors, margin_na), CONSTANT: count_constant(vectors, margin_na)},
        counts_by_margin=(margins > limits[:, None, None]).sum(axis=1),
        nonlinearity=nonlinearity(vectors),
        components=principal_components(vectors),
        resistance=differential_resistance(samples.sweep_na, vectors, margin_na),
    )
