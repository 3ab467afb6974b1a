"""A dopant network as a device: volts on the driven electrodes, nanoamperes at the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import elementary_charge

from inmateria.devices.device import Terminal, check_voltage, with_ranges
from inmateria.devices.dopant.electrostatics import coulomb_kt, electrode_potentials
from inmateria.devices.dopant.exact import Exact
from inmateria.devices.dopant.geometry import Geometry, draw
from inmateria.devices.dopant.meanfield import MeanField, Occupations
from inmateria.devices.dopant.model import HoppingModel, thermal_energy_ev
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.dopant.rates import hop_weight
from inmateria.errors import ParameterError, TerminalError

FloatArray = NDArray[np.float64]

# Chosen by the survey in docs/default-device.md.
DEFAULT_SEED = 91


class Engine(Protocol):
    """A way to compute the steady state of a `HoppingModel`; currents in holes per 1 / nu0."""

    name: str

    def current(self, voltage: FloatArray) -> FloatArray:
        """(n_points, n_electrodes) V to net holes into every electrode, the same shape."""

    def occupation(self, voltage: FloatArray) -> FloatArray:
        """(n_points, n_electrodes) V to (n_points, n_sites) mean occupations."""

    def gradient(self, voltage: FloatArray, outputs: tuple[int, ...]) -> FloatArray:
        """(n_points, n_electrodes) V to (n_points, n_outputs, n_electrodes), 1 / V."""


ENGINES: dict[str, type[MeanField] | type[Exact]] = {"meanfield": MeanField, "exact": Exact}


class DopantNetwork:
    """Acceptors in a disc with electrodes on its rim; holes hop between them.

    Electrodes are named ``e0``, ``e1``, ... counter-clockwise from the right.
    Outputs are held at 0 V; all others are driven terminals.

    Parameters
    ----------
    seed : int
        Draws positions and disorder; the default was chosen by a survey.
    parameters : DopantParameters
    outputs : sequence of int or str
        Electrodes where the current is measured, by number or name.
    engine : str
        ``"meanfield"`` (any size) or ``"exact"`` (at most 9 acceptors).
    ranges : mapping of str to (float, float), optional
        Voltage ranges (V) of single terminals, by name.

    Raises
    ------
    ParameterError, TerminalError
    """

    def __init__(
        self,
        *,
        seed: int = DEFAULT_SEED,
        parameters: DopantParameters | None = None,
        outputs: Sequence[int | str] = (0,),
        engine: str = "meanfield",
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ParameterError(f"seed = {seed!r}; it must be a whole number, 0 or more")
        chosen = parameters or DopantParameters()
        geometry = draw(chosen, seed=int(seed))
        self._set_up(build_model(geometry, chosen), chosen, outputs, engine, ranges)
        self.seed: int | None = int(seed)
        self.geometry: Geometry | None = geometry

    @classmethod
    def from_arrays(
        cls,
        *,
        electrode_basis: ArrayLike,
        site_energy_kt: ArrayLike,
        pair_coulomb_kt: ArrayLike,
        pair_weight: ArrayLike,
        electrode_weight: ArrayLike,
        temperature_k: float = 77.0,
        attempt_hz: float = DopantParameters.attempt_hz,
        rates: str = "glauber",
        outputs: Sequence[int | str] = (0,),
        engine: str = "meanfield",
        ranges: Mapping[str, tuple[float, float]] | None = None,
        range_v: float = 1.0,
        geometry: Geometry | None = None,
    ) -> DopantNetwork:
        """A network from explicit energies and couplings; see `HoppingModel` for their meaning.

        Raises
        ------
        ShapeError, NotFiniteError, ParameterError
            If the arrays do not fit together or a site cannot reach an electrode.
        """
        model = HoppingModel(
            electrode_basis=np.asarray(electrode_basis, dtype=np.float64),
            site_energy_kt=np.asarray(site_energy_kt, dtype=np.float64),
            pair_coulomb_kt=np.asarray(pair_coulomb_kt, dtype=np.float64),
            pair_weight=np.asarray(pair_weight, dtype=np.float64),
            electrode_weight=np.asarray(electrode_weight, dtype=np.float64),
            temperature_k=temperature_k,
        )
        parameters = DopantParameters(
            n_acceptors=model.n_sites,
            n_donors=0 if geometry is None else len(geometry.donor_xy_nm),
            n_electrodes=model.n_electrodes,
            electrode_width_nm=1.0,
            temperature_k=temperature_k,
            attempt_hz=attempt_hz,
            rates=rates,
            range_v=range_v,
        )
        device = cls.__new__(cls)
        device._set_up(model, parameters, outputs, engine, ranges)
        device.seed = None
        device.geometry = geometry
        return device

    def _set_up(
        self,
        model: HoppingModel,
        parameters: DopantParameters,
        outputs: Sequence[int | str],
        engine: str,
        ranges: Mapping[str, tuple[float, float]] | None,
    ) -> None:
        if engine not in ENGINES:
            raise ParameterError(
                f"engine {engine!r} is unknown; choose one of {', '.join(ENGINES)}"
            )
        self.model = model
        self.parameters = parameters
        self.engine: Engine = ENGINES[engine](model, rates=parameters.rates)
        names = [f"e{i}" for i in range(model.n_electrodes)]
        self._output_index = _electrodes(outputs, names)
        self._driven_index = np.array(
            [i for i in range(len(names)) if i not in self._output_index], dtype=np.int64
        )
        if not len(self._driven_index):
            raise ParameterError("every electrode is an output; leave at least one to drive")
        limit = parameters.range_v
        driven = tuple(Terminal(names[i], -limit, limit) for i in self._driven_index)
        self._terminals = with_ranges(driven, ranges or {})
        self._outputs = tuple(names[i] for i in self._output_index)

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """Driven electrodes."""
        return self._terminals

    @property
    def outputs(self) -> tuple[str, ...]:
        """Electrodes at 0 V whose current is measured."""
        return self._outputs

    @cached_property
    def nanoampere(self) -> float:
        """nA per hole per 1 / nu0."""
        return float(self.parameters.attempt_hz * elementary_charge * 1e9)

    def current(self, voltage: ArrayLike) -> FloatArray:
        """Steady-state current out of the outputs, (..., n_terminals) V to (..., n_outputs) nA.

        Positive where holes leave the device through the output.

        Raises
        ------
        ShapeError, NotFiniteError, ConvergenceError
        """
        return self.electrode_current(voltage)[..., list(self._output_index)]

    def electrode_current(self, voltage: ArrayLike) -> FloatArray:
        """Current out of every electrode, (..., n_terminals) V to (..., n_electrodes) nA.

        Sums to zero over the electrodes.
        """
        full, shape = self._full(voltage)
        return self.nanoampere * self.engine.current(full).reshape(*shape, self.model.n_electrodes)

    def occupation(self, voltage: ArrayLike) -> FloatArray:
        """Mean number of holes on every site, (..., n_terminals) V to (..., n_sites)."""
        full, shape = self._full(voltage)
        return self.engine.occupation(full).reshape(*shape, self.model.n_sites)

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        """Exact dI/dV, (..., n_terminals) V to (..., n_outputs, n_terminals) nA/V.

        With Miller-Abrahams rates I(V) has kinks; there this is a one-sided slope.
        """
        full, shape = self._full(voltage)
        gradient = self.engine.gradient(full, self._output_index)[..., self._driven_index]
        return self.nanoampere * gradient.reshape(*shape, *gradient.shape[1:])

    def stream(self) -> Stream:
        """A view of this device that starts every call where the last one ended."""
        return Stream(self)

    def describe(self) -> dict[str, Any]:
        """Kind, seed, parameters, engine and outputs as plain JSON values."""
        return {
            "kind": "dopant network",
            "seed": self.seed,
            "engine": self.engine.name,
            "outputs": list(self._outputs),
            "ranges": {t.name: [t.low_v, t.high_v] for t in self._terminals},
            "parameters": self.parameters.as_dict(),
        }

    def _full(self, voltage: ArrayLike) -> tuple[FloatArray, tuple[int, ...]]:
        driven = check_voltage(self._terminals, voltage)
        flat = driven.reshape(-1, driven.shape[-1])
        full = np.zeros((len(flat), self.model.n_electrodes))
        full[:, self._driven_index] = flat
        return full, driven.shape[:-1]


class Stream:
    """A device along a trajectory: each solve starts from the one before.

    The answers are those of `DopantNetwork.current`, to the solver's tolerance;
    only the work differs.
    """

    def __init__(self, device: DopantNetwork) -> None:
        self._device = device
        n, m = device.model.n_sites, device.model.n_electrodes
        self._start = Occupations(np.full(m, np.inf), np.full(n, 0.5))

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(n_points, n_terminals) V, in the order of time, to (n_points, n_outputs) nA."""
        device = self._device
        full, shape = device._full(voltage)
        engine = device.engine
        if isinstance(engine, MeanField):
            current = engine.current(full, start=self._start)
        else:
            current = engine.current(full)
        chosen = current[:, list(device._output_index)]
        return device.nanoampere * chosen.reshape(*shape, len(device.outputs))


def build_model(geometry: Geometry, parameters: DopantParameters) -> HoppingModel:
    """Energies, couplings and potentials of a geometry (see docs/default-device.md)."""
    sites, electrodes = geometry.acceptor_xy_nm, geometry.electrode_xy_nm
    between = _distance(sites, sites)
    np.fill_diagonal(between, np.inf)
    to_electrode = _distance(sites, electrodes)

    def energy(distance: FloatArray) -> FloatArray:
        return coulomb_kt(
            distance,
            permittivity=parameters.permittivity,
            temperature_k=parameters.temperature_k,
        )

    def weight(distance: FloatArray) -> FloatArray:
        near = (distance >= parameters.shortest_hop_nm) & (distance <= parameters.longest_hop_nm)
        reach = np.where(near, distance, 0.0)
        return np.where(near, hop_weight(reach, localisation_nm=parameters.localisation_nm), 0.0)

    half_width = geometry.electrode_width_nm / geometry.radius_nm / 2
    donors = energy(_distance(sites, geometry.donor_xy_nm)).sum(axis=1)
    disorder = geometry.site_disorder_ev / thermal_energy_ev(parameters.temperature_k)
    return HoppingModel(
        electrode_basis=electrode_potentials(
            sites / geometry.radius_nm, geometry.electrode_angle, half_width
        ),
        site_energy_kt=donors + disorder,
        pair_coulomb_kt=energy(between),
        pair_weight=weight(between),
        electrode_weight=weight(to_electrode),
        temperature_k=parameters.temperature_k,
    )


def _distance(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(a[:, None, :] - b[None, :, :], axis=-1))


def _electrodes(chosen: Sequence[int | str], names: list[str]) -> tuple[int, ...]:
    if isinstance(chosen, str | int):
        chosen = (chosen,)
    if not chosen:
        raise TerminalError(
            "no output given; choose at least one electrode, for example outputs=(0,)"
        )
    index = []
    for item in chosen:
        if isinstance(item, str) and item in names:
            index.append(names.index(item))
        elif isinstance(item, int | np.integer) and 0 <= item < len(names):
            index.append(int(item))
        else:
            raise TerminalError(f"no electrode {item!r}; this network has {', '.join(names)}")
    if len(set(index)) < len(index):
        raise TerminalError(f"outputs {list(chosen)} name an electrode twice; name each once")
    return tuple(index)
