"""A dopant network as a device: volts on the driven electrodes, nanoamperes at the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import elementary_charge

from inmateria.devices.device import Terminal, check_voltage, with_ranges
from inmateria.devices.dopant.accuracy import (
    POINTS,
    STANDARD_ERROR,
    Accuracy,
    measure_accuracy,
)
from inmateria.devices.dopant.build import build_model
from inmateria.devices.dopant.engine import make_engine
from inmateria.devices.dopant.flow import BondCurrents
from inmateria.devices.dopant.geometry import Geometry, draw
from inmateria.devices.dopant.kmc import KineticMonteCarlo, MonteCarlo, Progress, monte_carlo
from inmateria.devices.dopant.landscape import Landscape, landscape
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import ParameterError, TerminalError

FloatArray = NDArray[np.float64]

# Chosen by the survey in docs/default-device.md.
DEFAULT_SEED = 91


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
        ``"meanfield"``, ``"correlated"`` (slower, closer to the truth), ``"kmc"``
        (Monte Carlo) or ``"exact"`` (at most 9 acceptors); see docs/fidelity.md.
    engine_settings : mapping, optional
        Settings of that engine, by name.
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
        engine_settings: Mapping[str, Any] | None = None,
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ParameterError(f"seed = {seed!r}; it must be a whole number, 0 or more")
        chosen = parameters or DopantParameters()
        geometry = draw(chosen, seed=int(seed))
        self._set_up(
            build_model(geometry, chosen), chosen, outputs, engine, engine_settings, ranges
        )
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
        engine_settings: Mapping[str, Any] | None = None,
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
        device._set_up(model, parameters, outputs, engine, engine_settings, ranges)
        device.seed = None
        device.geometry = geometry
        return device

    def _set_up(
        self,
        model: HoppingModel,
        parameters: DopantParameters,
        outputs: Sequence[int | str],
        engine: str,
        engine_settings: Mapping[str, Any] | None,
        ranges: Mapping[str, tuple[float, float]] | None,
    ) -> None:
        self.model = model
        self.parameters = parameters
        self._settings = dict(engine_settings or {})
        self.engine = make_engine(engine, model, rates=parameters.rates, settings=self._settings)
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
        # Checks of the engine by what was asked of them; files bring theirs along.
        self.accuracies: dict[tuple[int, float, int], Accuracy] = {}

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

    def bond_currents(self, voltage: ArrayLike) -> BondCurrents:
        """Net current along every bond, (..., n_terminals) V to `BondCurrents` in nA."""
        full, shape = self._full(voltage)
        found = self.engine.bond_currents(full)
        n, m = self.model.n_sites, self.model.n_electrodes
        return BondCurrents(
            self.nanoampere * found.between.reshape(*shape, n, n),
            self.nanoampere * found.into.reshape(*shape, n, m),
        )

    def landscape(self, voltage: ArrayLike, xy_nm: ArrayLike) -> Landscape:
        """Energy of a hole at (n_points, 2) nm of the disc; see `landscape.landscape`."""
        return landscape(self, voltage, xy_nm)

    def gradient(self, voltage: ArrayLike) -> FloatArray:
        """Exact dI/dV, (..., n_terminals) V to (..., n_outputs, n_terminals) nA/V.

        With Miller-Abrahams rates I(V) has kinks; there this is a one-sided slope.
        """
        full, shape = self._full(voltage)
        gradient = self.engine.gradient(full, self._output_index)[..., self._driven_index]
        return self.nanoampere * gradient.reshape(*shape, *gradient.shape[1:])

    def monte_carlo(
        self,
        voltage: ArrayLike,
        *,
        standard_error: ArrayLike | None = None,
        bonds: bool = False,
        progress: Progress | None = None,
        **settings: Any,
    ) -> MonteCarlo:
        """Currents and occupations by kinetic Monte Carlo, whatever this device's engine.

        Parameters
        ----------
        voltage : (..., n_terminals) array, V
        standard_error : float or (...) array, nA, optional
            Walk until every output is known this well.
        bonds : bool
            Keep the net current of every bond.
        progress : function, optional
            Called with points done, points, and hops walked, a few times a second.
        **settings
            Settings of `KineticMonteCarlo`: seed, hops, relative_error, max_hops, algorithm.

        Raises
        ------
        ShapeError, NotFiniteError, ParameterError
        """
        full, shape = self._full(voltage)
        engine = make_engine("kmc", self.model, rates=self.parameters.rates, settings=settings)
        assert isinstance(engine, KineticMonteCarlo)
        return monte_carlo(
            engine,
            full,
            shape=shape,
            outputs=self._output_index,
            nanoampere=self.nanoampere,
            standard_error=standard_error,
            bonds=bonds,
            progress=progress,
        )

    def accuracy(
        self, *, points: int = POINTS, standard_error: float = STANDARD_ERROR, seed: int = 0
    ) -> Accuracy:
        """Error of the engine against Monte Carlo, measured once; see `measure_accuracy`."""
        asked = (points, standard_error, seed)
        if asked not in self.accuracies:
            self.accuracies[asked] = measure_accuracy(
                self, points=points, standard_error=standard_error, seed=seed
            )
        return self.accuracies[asked]

    def stream(self) -> Stream:
        """A view of this device that starts every call where the last one ended."""
        return Stream(self)

    def describe(self) -> dict[str, Any]:
        """Kind, seed, parameters, engine and outputs as plain JSON values."""
        return {
            "kind": "dopant network",
            "seed": self.seed,
            "engine": self.engine.name,
            **({"engine_settings": self._settings} if self._settings else {}),
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
        self._start = device.engine.begin()

    def current(self, voltage: ArrayLike) -> FloatArray:
        """(n_points, n_terminals) V, in the order of time, to (n_points, n_outputs) nA."""
        device = self._device
        full, shape = device._full(voltage)
        current = device.engine.current(full, start=self._start)
        chosen = current[:, list(device._output_index)]
        return device.nanoampere * chosen.reshape(*shape, len(device.outputs))


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
