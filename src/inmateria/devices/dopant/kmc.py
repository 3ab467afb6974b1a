"""Kinetic Monte Carlo: the truth about a network of any size, with error bars.

Holes hop as in `exact`, without approximation; what a run gives has a standard
error that falls with the root of the number of hops. The parts: two ways to
choose the next hop (`kmc_rejection_free`, `kmc_null_event`), the walk of many
operating points (`kmc_walk`), when to stop (`kmc_sampling`), block statistics
(`kmc_blocks`) and a control variate (`kmc_control`). docs/monte-carlo.md says
how well they work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from inmateria.devices.dopant.flow import BondCurrents
from inmateria.devices.dopant.kmc_control import control_weights, mean_occupations
from inmateria.devices.dopant.kmc_sampling import BLOCKS, Plan, Samples, sample
from inmateria.devices.dopant.kmc_walk import Network, Walks
from inmateria.devices.dopant.model import HoppingModel
from inmateria.devices.dopant.rates import rate_number
from inmateria.errors import ConvergenceError, ParameterError

FloatArray = NDArray[np.float64]

ALGORITHMS = ("auto", "rejection-free", "null-event")
DEFAULT_HOPS = 500_000
MOST_HOPS = 20_000_000
# Bytes of block records held at once; more points run in groups.
MEMORY = 2**27
# From this many sites the null-event walk gets to a standard error first (docs/monte-carlo.md).
MANY_SITES = 100

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class MonteCarlo:
    """Steady state by kinetic Monte Carlo, with standard errors.

    Attributes
    ----------
    current, standard_error : (..., n_outputs) array, nA
    electrode_current, electrode_standard_error : (..., n_electrodes) array, nA
    occupation, occupation_standard_error : (..., n_sites) array
    bonds : BondCurrents or None, nA
    n_hops : (...) array
        Hops that count.
    equilibration : (...) array
        Hops before them, thrown away.
    equilibrated : (...) array of bool
        Whether the start was forgotten by then.
    reached : (...) array of bool
        Whether the standard error that was asked for was reached.
    n_blocks : (...) array
        Blocks that the standard errors come from.
    algorithm : (...) array of str
    """

    current: FloatArray
    standard_error: FloatArray
    electrode_current: FloatArray
    electrode_standard_error: FloatArray
    occupation: FloatArray
    occupation_standard_error: FloatArray
    bonds: BondCurrents | None
    n_hops: NDArray[np.int64]
    equilibration: NDArray[np.int64]
    equilibrated: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    n_blocks: NDArray[np.int64]
    algorithm: NDArray[np.str_]

    def interval(self, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Confidence interval of `current` by Student's t, two (..., n_outputs) arrays, nA."""
        # Standard errors are checked on pairs of blocks (see `kmc_blocks`).
        reach = student.ppf(0.5 + confidence / 2, self.n_blocks // 2 - 1)[..., None]
        return self.current - reach * self.standard_error, self.current + reach * (
            self.standard_error
        )


class KineticMonteCarlo:
    """Steady state of a `HoppingModel` by kinetic Monte Carlo.

    Parameters
    ----------
    model : HoppingModel
    rates : str
        ``"glauber"`` or ``"miller-abrahams"``.
    seed : int
        Points of a batch have streams of their own, made of the seed and their place.
    hops : int, optional
        Hops of every point; 500,000 where no error is asked for.
    relative_error : float, optional
        Walk to this standard error instead, in units of the point's largest
        electrode current.
    max_hops : int
        Most hops of a point if walking to an error.
    algorithm : str
        ``"rejection-free"``, ``"null-event"`` or ``"auto"``.

    Raises
    ------
    ParameterError
    """

    name = "kmc"

    def __init__(
        self,
        model: HoppingModel,
        *,
        rates: str = "glauber",
        seed: int = 0,
        hops: int | None = None,
        relative_error: float | None = None,
        max_hops: int = MOST_HOPS,
        algorithm: str = "auto",
    ) -> None:
        self.model = model
        self.rates = rates
        self.seed = _whole("seed", seed, 0)
        if hops is not None and relative_error is not None:
            raise ParameterError("hops and an error are both given; give one of them")
        self.hops = None if hops is None else _whole("hops", hops, BLOCKS)
        self.relative_error = _positive("relative_error", relative_error)
        self.max_hops = _whole("max_hops", max_hops, BLOCKS)
        if algorithm not in ALGORITHMS:
            raise ParameterError(
                f"algorithm {algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}"
            )
        self.algorithm = algorithm
        self._network = Network.of(model, rate_number(rates))
        if self._network.wide and algorithm == "rejection-free":
            raise ParameterError(
                "acceptors this close (or this cold) give Coulomb energies beyond 155 kT, which "
                "the rejection-free walk cannot hold; use algorithm='null-event'"
            )

    def begin(self) -> None:
        """Nothing: every point walks by itself."""

    def current(self, voltage: FloatArray, *, start: Any = None) -> FloatArray:  # noqa: ARG002
        """Net holes into every electrode per 1 / nu0, (n_points, n_electrodes) V to the same.

        Raises
        ------
        ConvergenceError
            If the standard error that was asked for was not reached.
        """
        return self._checked(voltage).current

    def occupation(self, voltage: FloatArray) -> FloatArray:
        """Mean occupation of every site, (n_points, n_electrodes) V to (n_points, n_sites)."""
        return self._checked(voltage).occupation

    def bond_currents(self, voltage: FloatArray) -> BondCurrents:
        """Net flow along every bond, (n_points, n_electrodes) V to holes per 1 / nu0."""
        bonds = self._checked(voltage, bonds=True).bonds
        assert bonds is not None
        n = self.model.n_sites
        return BondCurrents(bonds[:, :n, :n], bonds[:, :n, n:])

    def gradient(
        self,
        voltage: FloatArray,  # noqa: ARG002
        outputs: tuple[int, ...],  # noqa: ARG002
    ) -> FloatArray:
        """A Monte Carlo has no exact gradient.

        Raises
        ------
        ParameterError
        """
        raise ParameterError(
            "engine 'kmc' has no exact gradient: its currents carry noise; use an engine that has "
            "one, such as engine='correlated' or engine='meanfield'"
        )

    def samples(
        self,
        voltage: FloatArray,
        *,
        error: FloatArray | None = None,
        watched: tuple[int, ...] | None = None,
        bonds: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Samples, NDArray[np.bool_]]:
        """Currents and occupations with errors, and which points took the null-event walk.

        Parameters
        ----------
        voltage : (n_points, n_electrodes) array, V
        error : (n_points,) array, holes per 1 / nu0, optional
            Standard error to walk to, instead of what the settings say.
        watched : tuple of int, optional
            Electrodes that the error is asked of; all by default.
        bonds : bool
        progress : function, optional
            Called with points done, points, hops so far; at most a few times a second.
        """
        model = self.model
        points = len(voltage)
        mean = mean_occupations(model, self.rates, voltage)
        control = control_weights(model, self._network.rule, voltage, mean)
        walks = Walks.begin(model, self._network, voltage, mean, self.seed)
        walks.null_event[:] = self._null_event()
        relative = error is None and self.relative_error is not None
        if relative:
            error = np.full(points, self.relative_error)
        hops = (self.hops or DEFAULT_HOPS) if error is None else None
        size = max(1, MEMORY // (8 * BLOCKS * walks.width))
        walked = 0
        found = []
        for first in range(0, max(points, 1), size):

            def after(hops: int, first: int = first) -> None:
                nonlocal walked
                walked += hops
                if progress is not None:
                    progress(first, points, walked)

            part = slice(first, first + size)
            plan = Plan(
                hops,
                None if error is None else error[part],
                relative,
                self.max_hops,
                watched or tuple(range(model.n_electrodes)),
            )
            found.append(
                sample(walks.part(part), control[part], plan, keep_bonds=bonds, after=after)
            )
        if progress is not None:
            progress(points, points, walked)
        return Samples.joined(found), walks.null_event

    def _null_event(self) -> bool:
        if self.algorithm != "auto":
            return self.algorithm == "null-event"
        return self._network.wide or self.model.n_sites >= MANY_SITES

    def _checked(self, voltage: FloatArray, *, bonds: bool = False) -> Samples:
        found, _ = self.samples(voltage, bonds=bonds)
        if not found.reached.all():
            worst = int(np.flatnonzero(~found.reached)[0])
            shown = ", ".join(f"{v:.4g}" for v in voltage[worst])
            largest = max(float(np.abs(found.current[worst]).max()), np.finfo(float).tiny)
            share = found.current_error[worst].max() / largest
            raise ConvergenceError(
                f"Monte Carlo did not reach relative_error = {self.relative_error:g} at electrode "
                f"voltages ({shown}) V: it got to {share:.2g} after {found.hops[worst]:,} hops; "
                "raise max_hops or relative_error"
            )
        return found


def monte_carlo(
    engine: KineticMonteCarlo,
    voltage: FloatArray,
    *,
    shape: tuple[int, ...],
    outputs: tuple[int, ...],
    nanoampere: float,
    standard_error: Any = None,
    bonds: bool = False,
    progress: Progress | None = None,
) -> MonteCarlo:
    """Run the engine at (n_points, n_electrodes) V and give the result in nA.

    `shape` are the batch dimensions of the result, `standard_error` a number or
    an array that broadcasts to them, nA.
    """
    error = None
    if standard_error is not None:
        if engine.hops is not None or engine.relative_error is not None:
            raise ParameterError("hops and an error are both given; give one of them")
        wanted = _positive_array("standard_error", standard_error, shape)
        error = wanted.reshape(-1) / nanoampere
    found, null_event = engine.samples(
        voltage, error=error, watched=outputs, bonds=bonds, progress=progress
    )
    n, m = engine.model.n_sites, engine.model.n_electrodes
    current = nanoampere * found.current.reshape(*shape, m)
    deviation = nanoampere * found.current_error.reshape(*shape, m)
    flow = None
    if found.bonds is not None:
        flow = BondCurrents(
            nanoampere * found.bonds[:, :n, :n].reshape(*shape, n, n),
            nanoampere * found.bonds[:, :n, n:].reshape(*shape, n, m),
        )
    return MonteCarlo(
        current=current[..., list(outputs)],
        standard_error=deviation[..., list(outputs)],
        electrode_current=current,
        electrode_standard_error=deviation,
        occupation=found.occupation.reshape(*shape, n),
        occupation_standard_error=found.occupation_error.reshape(*shape, n),
        bonds=flow,
        n_hops=found.hops.reshape(shape),
        equilibration=found.warm_up.reshape(shape),
        equilibrated=found.settled.reshape(shape),
        reached=found.reached.reshape(shape),
        n_blocks=found.blocks.reshape(shape),
        algorithm=np.where(null_event, "null-event", "rejection-free").reshape(shape),
    )


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(f"{name} = {value!r}; it must be a whole number, {least} or more")
    return int(value)


def _positive(name: str, value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value <= 0:
        raise ParameterError(f"{name} = {value!r}; it must be a finite number above 0")
    return float(value)


def _positive_array(name: str, value: Any, shape: tuple[int, ...]) -> FloatArray:
    try:
        wanted = np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"{name} = {value!r}; it must be a number or an array of shape {shape}, nA"
        ) from error
    if not (np.isfinite(wanted).all() and (wanted > 0).all()):
        raise ParameterError(f"{name} = {value!r}; it must be finite and above 0 nA")
    return wanted
