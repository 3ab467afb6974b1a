"""The survey of many dopant networks: seeds times values of parameters.

A case that cannot be drawn (a site that reaches no electrode) or solved (no
convergence) is an outcome like any other: it is kept with its error, counted
and named.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from inmateria.devices.device import Device
from inmateria.devices.dopant.engine import ENGINES
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import InMateriaError, ParameterError, StoppedError, TaskError
from inmateria.survey.device_survey import Criterion, DeviceSurvey, conclude
from inmateria.survey.samples import Protocol, Samples, logic_levels, take_samples
from inmateria.tasks.task import output_index

Value: TypeAlias = int | float | str
Values: TypeAlias = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Case:
    """One device of a scan.

    Parameters
    ----------
    seed : int or None
        None for a device that is not drawn (a model).
    values : tuple of (parameter, value)
        Of the parameters that the scan sets.
    """

    seed: int | None
    values: Values = ()

    @property
    def name(self) -> str:
        """Unique within a scan and fit for a file: ``seed12-disorder_ev=0.05``."""
        start = "device" if self.seed is None else f"seed{self.seed}"
        return "-".join([start, *(f"{name}={value}" for name, value in self.values)])

    @property
    def label(self) -> str:
        """The case in words: ``seed 12, disorder_ev 0.05``."""
        start = "the device" if self.seed is None else f"seed {self.seed}"
        return ", ".join([start, *(f"{name} {value}" for name, value in self.values)])


@dataclass(frozen=True)
class Failure:
    """Why a case has no survey: an error's name and message."""

    kind: str
    message: str


Outcome: TypeAlias = Samples | Failure


@dataclass(frozen=True)
class Survey:
    """All cases of a scan.

    Parameters
    ----------
    devices : tuple of (Case, DeviceSurvey)
    failures : tuple of (Case, Failure)
        Cases that could not be drawn or solved.
    protocol : Protocol
    criterion : Criterion
    """

    devices: tuple[tuple[Case, DeviceSurvey], ...]
    failures: tuple[tuple[Case, Failure], ...]
    protocol: Protocol
    criterion: Criterion

    @property
    def n_cases(self) -> int:
        """Devices that were asked for."""
        return len(self.devices) + len(self.failures)

    def groups(self) -> dict[Values, tuple[DeviceSurvey, ...]]:
        """Devices of every seed by the values of their parameters, in the order of the scan."""
        found: dict[Values, tuple[DeviceSurvey, ...]] = {}
        for case, result in self.devices:
            found[case.values] = (*found.get(case.values, ()), result)
        return found


def survey(
    seeds: Iterable[int],
    *,
    parameters: Mapping[str, Sequence[Value]] | None = None,
    engine: str | None = None,
    engine_settings: Mapping[str, Any] | None = None,
    protocol: Protocol | None = None,
    criterion: Criterion | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Survey dopant networks of many seeds and parameters.

    Parameters
    ----------
    seeds : ints
        Of the devices.
    parameters : mapping of field of `DopantParameters` to values, optional
        Every combination is surveyed with every seed.
    engine, engine_settings : optional
        As of `DopantNetwork`.
    protocol : Protocol, optional
    criterion : Criterion, optional
    seed : int
        Draws the voltages; see `attempt`.
    progress : callable, optional
        Called as progress(done, total).

    Raises
    ------
    ParameterError, TaskError
        If a parameter, the engine or the inputs are wrong whatever the seed.
    """
    protocol, criterion = protocol or Protocol(), criterion or Criterion()
    draw = drawer(engine, engine_settings)
    cases = list_cases(seeds, parameters or {})
    check_inputs(cases, draw, protocol)
    outcomes = []
    for case in cases:
        outcomes.append((case, attempt(case, draw, protocol, seed=seed)))
        if progress is not None:
            progress(len(outcomes), len(cases))
    return assemble(outcomes, protocol, criterion)


def list_cases(seeds: Iterable[int], parameters: Mapping[str, Sequence[Value]]) -> list[Case]:
    """Every seed with every combination of the parameters' values, seeds innermost.

    Raises
    ------
    ParameterError
        If a parameter is unknown, has no value, or has one without meaning.
    """
    known = {field.name for field in dataclasses.fields(DopantParameters)}
    for name, values in parameters.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise ParameterError(f"no parameter {name!r}; {hint}")
        if not values or len(set(values)) < len(values):
            raise ParameterError(
                f"parameter {name} has values {list(values)}; give one or more, each once"
            )
    cases = []
    listed = list(seeds)
    for values in product(*parameters.values()):
        combination = tuple(zip(parameters, values, strict=True))
        DopantParameters(**dict(combination))  # type: ignore[arg-type]
        cases += [Case(seed, combination) for seed in listed]
    return cases


def drawer(
    engine: str | None = None, engine_settings: Mapping[str, Any] | None = None
) -> Callable[[Case], Device]:
    """What makes the dopant network of a case.

    Raises
    ------
    ParameterError
        If there is no such engine.
    """
    if engine is not None and engine not in ENGINES:
        raise ParameterError(f"engine {engine!r} is unknown; choose one of {', '.join(ENGINES)}")
    chosen: dict[str, Any] = {} if engine is None else {"engine": engine}
    if engine_settings:
        chosen["engine_settings"] = dict(engine_settings)

    def draw(case: Case) -> Device:
        assert case.seed is not None
        parameters = DopantParameters(**dict(case.values))  # type: ignore[arg-type]
        return DopantNetwork(seed=case.seed, parameters=parameters, **chosen)

    return draw


def check_inputs(cases: Iterable[Case], draw: Callable[[Case], Device], protocol: Protocol) -> None:
    """Try the protocol's terminals on the first device of every combination of values.

    Raises
    ------
    TaskError, TerminalError
    """
    first = {case.values: case for case in reversed(list(cases))}
    for case in first.values():
        try:
            device = draw(case)
        except InMateriaError:
            continue  # `attempt` will say so
        logic_levels(device, protocol)
        output_index(device, protocol.output)


def attempt(
    case: Case, draw: Callable[[Case], Device], protocol: Protocol, *, seed: int = 0
) -> Outcome:
    """Draw the device of a case and take its samples, or say why that failed.

    The voltages come from a stream of their own for each device seed, which the
    values of its parameters share: what changes with a parameter is the device.

    Raises
    ------
    TaskError
        If the inputs do not suit the device: that is no property of the seed.
    StoppedError
    """
    try:
        device = draw(case)
        return take_samples(device, protocol, seed=(seed, case.seed or 0))
    except (TaskError, StoppedError):
        raise
    except InMateriaError as error:
        return Failure(type(error).__name__, str(error))


def assemble(
    outcomes: Iterable[tuple[Case, Outcome]], protocol: Protocol, criterion: Criterion
) -> Survey:
    """What the outcomes of a scan say together."""
    devices, failures = [], []
    for case, outcome in outcomes:
        if isinstance(outcome, Failure):
            failures.append((case, outcome))
        else:
            devices.append((case, conclude(outcome, criterion)))
    return Survey(tuple(devices), tuple(failures), protocol, criterion)
