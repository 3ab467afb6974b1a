"""Refinement: the potential whose computed image is the measured one.

From a start that is nearly right, such as a network's answer, the misfit

    L = sum_r (k image(r) - measured(r))^2 / (2 sigma^2) + (1/2) |x|^2
        + (1/2) |x - x_start|^2 / step^2

is minimised over the potential's mean and Fourier components with |q| <= q_c by L-BFGS; exact
gradients come from adjoint solves (`image_gradient`). x are the components in units of
what dopants at that distance would give them (`RemoteDopants`), so that all matter alike and
|x|^2 / 2 is what the dopants say (their prior);
k is 1, or the best scale where the instrument's is unknown. What the misfit falls to says
how far to trust the result, without knowing the truth. `instrument` says what is measured of
an image: means over pixels, or a map of a weak tip's positions.

The waves' phases must be right to about half a turn to begin with: in the default
geometry, starts that correlate with the truth by 0.99 mostly find it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.reconstruction.instrument import ImageName, instrument
from inmateria.transport.disorder.fourier import half_plane, synthesise
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.geometry import GasGeometry
from inmateria.transport.image_gradient import ImageGradient, image_gradient
from inmateria.transport.samples import LeadName
from inmateria.transport.scanning_gate import Method
from inmateria.transport.strong_tip_gradient import strong_tip_gradient
from inmateria.transport.tip import Tip

Real = NDArray[np.float64]

# From the start, in units of a component's typical size.
FARTHEST = 10.0


class FourierPotential:
    """Potentials as sums of Fourier components, whitened.

    Parameters
    ----------
    gas : GasGeometry
    dopants : RemoteDopants
        Gives the largest wave number, the period and each component's typical size.
    """

    def __init__(self, gas: GasGeometry, dopants: RemoteDopants) -> None:
        self.gas, self.torus = gas, dopants._torus(gas)
        self.m_x, self.m_y = half_plane(self.torus, dopants.q_max)
        self.size = np.sqrt(dopants._variances(gas)[2] / 2)

    @property
    def n(self) -> int:
        """Number of real unknowns."""
        return 2 * self.m_x.size

    def potential(self, x: Real) -> Real:
        """(n_x, n_y) meV of unknowns (n,)."""
        amplitude = np.ascontiguousarray(x).view(np.complex128) * self.size
        whole = synthesise(self.m_x, self.m_y, amplitude, self.torus)
        return whole[: self.gas.n_x, : self.gas.n_y]

    def pull_back(self, gradient: Real) -> Real:
        """dL/dx (n,) from dL/dV on sites (n_x, n_y)."""
        shape = (self.torus.n_x, self.torus.n_y)
        # sum G exp(-i q r); the potential is 2 Re sum A exp(-i q r).
        waves = scipy.fft.rfft2(gradient, s=shape)[self.m_x, self.m_y]
        return np.asarray((2 * self.size * waves.conj()).view(np.float64))

    def unknowns(self, potential: Real) -> Real:
        """Least-squares unknowns of a potential; its mean is left out."""
        if self.torus.n_x == self.gas.n_x:
            waves = scipy.fft.rfft2(potential)[self.m_x, self.m_y] / potential.size
            return np.ascontiguousarray(waves.conj() / self.size).view(np.float64)
        from scipy.sparse.linalg import LinearOperator, lsqr

        # On a quarter of the torus, components are not orthogonal; damping picks the small ones.
        operator = LinearOperator(
            (potential.size, self.n),
            matvec=lambda x: self.potential(np.asarray(x).ravel()).ravel(),
            rmatvec=lambda g: self.pull_back(np.asarray(g).reshape(potential.shape)),
            dtype=np.float64,
        )
        centred = (potential - potential.mean()).ravel()
        return np.asarray(lsqr(operator, centred, damp=1e-2 * centred.std(), iter_lim=200)[0])


@dataclass(frozen=True)
class Refinement:
    """A refined potential.

    Attributes
    ----------
    potential_mev : (n_x, n_y) array
    image : array, of the measured one's shape
        Computed from it, in its own unit; of an exact map 0 where nothing was measured.
    scale : float
        k, what the computed image has to be multiplied by.
    misfit_before, misfit_after : float
        Root mean square difference of images over that of the measured one about its mean: 1
        explains nothing, 0 everything.
    history : (n_iterations,) array
        The misfit after each iteration.
    evaluations : int
    """

    potential_mev: Real
    image: Real
    scale: float
    misfit_before: float
    misfit_after: float
    history: Real
    evaluations: int


def refine(
    gas: GasGeometry,
    start_mev: ArrayLike,
    measured: ArrayLike,
    *,
    dopants: RemoteDopants | None = None,
    image: ImageName = "pldos",
    pixel: int = 1,
    tip: Tip | None = None,
    stride: int | tuple[int, int] = 1,
    method: Method = "first-order",
    noise: float = 1e-3,
    step: float = np.inf,
    free_scale: bool = False,
    accuracy: float = 1e-3,
    lead: LeadName = "source",
    most: int = 200,
    progress: Callable[[int, float], None] | None = None,
) -> Refinement:
    """Fit the potential to a measured image, from a start that is nearly right.

    Parameters
    ----------
    gas : GasGeometry
    start_mev : (n_x, n_y) array, meV
    measured : (n_x / pixel, n_y / pixel) array, or (n_tip_x, n_tip_y)
        The PLDOS in 1/t, dT/dV in 1/meV, or a tip's change of the transmission; in any unit
        with `free_scale`. Positions of a tip that were not measured are NaN.
    dopants : RemoteDopants, optional
        Which Fourier components are fitted, and how large they may be; the default's where
        left out. A smaller distance than the true one lets finer structure in.
    image : ``"pldos"``, ``"sensitivity"`` or ``"gate-map"``
    pixel : int
        The measured image is the mean over squares of so many sites.
    tip : Tip, optional
        That made the gate map; to first order, with `free_scale` its height does not matter.
    stride : int, or two along x and y
        The tip stood above every so manyth site, from the first on.
    method : ``"first-order"`` or ``"exact"``
        Of a gate map. Exact is for tips above a few hundredths of the Fermi energy, and costs a
        solve for each position that was measured, each iteration.
    noise : float
        sigma, standard deviation of the measurement relative to its largest value.
    step : float
        How far each component may go from the start, in units of its typical size.
    free_scale : bool
    accuracy : float
        Of the computed image.
    most : int
        Iterations at most.
    progress : callable, optional
        Told the number of iterations and the misfit.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """
    by = instrument(gas, image, pixel=pixel, tip=tip, stride=stride)
    solved: Literal["pldos", "sensitivity"] = "pldos" if image == "pldos" else "sensitivity"
    start = _image(gas.shape, start_mev, "start")
    given = _image(by.shape, measured, "measured image", holes=image == "gate-map")
    exact = method == "exact"
    if method not in ("first-order", "exact") or (exact and image != "gate-map"):
        raise ParameterError(
            f"method = {method!r} with image = {image!r}: give 'first-order', or 'exact' for a "
            "'gate-map'"
        )
    taken = np.isfinite(given)
    wanted = given[taken]
    spread = float(wanted.std()) if wanted.size else 0.0
    if not spread > 0:
        raise ParameterError("the measured image is the same everywhere: there is nothing to fit")
    if not (noise > 0 and step > 0 and most >= 1):
        raise ParameterError(f"noise {noise}, step {step}, most {most}: give positive numbers")
    space = FourierPotential(gas, dopants if dopants is not None else RemoteDopants())
    begin = space.unknowns(start)
    offset = float(start.mean())
    sigma = noise * float(np.abs(wanted).max())
    shown: dict[str, Any] = {}
    history: list[float] = []
    count = 0

    def misfit(whole: Real) -> tuple[float, Real]:
        computed = whole[taken]
        k = float((computed * wanted).sum() / (computed**2).sum()) if free_scale else 1.0
        difference = k * computed - wanted
        rms = float(np.sqrt((difference**2).mean()))
        shown.update(scale=k, image=whole, misfit=rms / spread)
        weight = np.zeros(by.shape)
        # k is the best one: to first order its own change does not change L.
        weight[taken] = k * difference / sigma**2
        return 0.5 * float((difference**2).sum()) / sigma**2, weight

    def on_sites(seen: Real) -> tuple[float, Real]:
        value, weight = misfit(by.measure(seen))
        return value, by.pull_back(weight)

    def look(potential: Real) -> ImageGradient:
        if exact:
            assert tip is not None
            return strong_tip_gradient(
                gas, potential, tip, misfit, stride=stride, positions=taken, accuracy=accuracy
            )
        return image_gradient(gas, potential, on_sites, image=solved, accuracy=accuracy, lead=lead)

    def objective(x: Real, mean: float) -> tuple[float, Real, float]:
        nonlocal count
        count += 1
        if np.abs(x - begin).max() > FARTHEST:
            # A line search tried a step from which it is to come back: no such sample exists,
            # and the lattice could not hold it.
            back = x - begin
            return first * (1 + float(back @ back)), 2 * first * back, 0.0
        found = look(space.potential(x) + mean)
        away = (x - begin) / step
        value = found.value + 0.5 * float(x @ x) + 0.5 * float(away @ away)
        slope = space.pull_back(found.gradient) + x + away / step
        return value, slope, float(found.gradient.sum())

    def tell(_: Real) -> None:
        history.append(shown["misfit"])
        if progress is not None:
            progress(len(history), shown["misfit"])

    # Steps are of components in one unit of energy: in units of their typical size, L-BFGS needs
    # several times as many of them. A broad tip does not show the small ones, which are therefore
    # better left where they are.
    size = np.repeat(space.size, 2)
    energy = size.min() / size if image != "gate-map" else np.ones(space.n)
    unit = float(size.min())

    def unknowns(z: Real) -> tuple[Real, float]:
        # The mean shifts the Fermi energy, and a network hardly sees it.
        return begin + energy * z[:-1], offset + unit * z[-1]

    def in_energy(z: Real) -> tuple[float, Real]:
        value, slope, by_mean = objective(*unknowns(z))
        return value, np.append(energy * slope, unit * by_mean)

    first, *_ = objective(begin, offset)
    before = shown["misfit"]
    options = {"maxiter": most, "maxcor": 50, "ftol": 1e-12, "gtol": 1e-12}
    z = np.zeros(space.n + 1)
    found = minimize(in_energy, z, jac=True, method="L-BFGS-B", callback=tell, options=options)
    best, mean = unknowns(found.x)
    objective(best, mean)
    return Refinement(
        space.potential(best) + mean,
        shown["image"],
        shown["scale"],
        before,
        shown["misfit"],
        np.array(history),
        count,
    )


def _image(shape: tuple[int, int], values: ArrayLike, what: str, *, holes: bool = False) -> Real:
    given = np.asarray(values, dtype=np.float64)
    if given.shape != shape:
        each = "a position of the tip" if holes else "a site or pixel"
        raise ShapeError(f"a {what} of shape {given.shape}: give {shape}, one number {each}")
    if np.isinf(given).any() or (np.isnan(given).any() and not holes):
        fix = "NaN stands for what was not measured" if holes else "fill these pixels"
        raise NotFiniteError(f"the {what} holds NaN or infinity: {fix}")
    return given
