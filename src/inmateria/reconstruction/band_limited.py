"""From a potential's averages over squares to the potential on sites.

A model's answer is the mean over squares of sites. What varies faster than the squares
follows from the rest only as far as the potential is smooth; a potential of remote dopants
is a Fourier series that ends at q_c, whose components x, in units of what dopants would
give them, are independent. So x is the one that

    |A x - d|^2 / sigma^2 + |x|^2

is smallest for: A averages the series over squares, d are the averages about their mean,
and sigma is their uncertainty, where none is given a hundredth of their spread. With the
uncertainty of a network, components that it does not know become small. That the series
is not known beyond the sample's edges, where it is not periodic, needs no care of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator, lsqr

from inmateria.datasets.averaging import block_average
from inmateria.errors import NotFiniteError, ShapeError
from inmateria.reconstruction.refinement import FourierPotential
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.geometry import GasGeometry

Real = NDArray[np.float64]

# sigma, and how far the solution goes, in units of the averages' spread.
SIGMA = 1e-2
STEPS = 300


def on_sites(
    averages_mev: ArrayLike,
    gas: GasGeometry,
    dopants: RemoteDopants,
    *,
    uncertainty_mev: ArrayLike | None = None,
) -> Real:
    """The potential on a gas's sites whose averages over squares are given.

    Parameters
    ----------
    averages_mev : (n_x / f, n_y / f) array, meV
        Over squares of f sites, f a whole number.
    gas : GasGeometry
    dopants : RemoteDopants
        Gives the largest wave number, the period and each component's typical size. Where
        their distance is not known, the smallest that may be.
    uncertainty_mev : array, optional
        Standard deviation of each average, of the same shape; NaN for none.

    Returns
    -------
    (n_x, n_y) array, meV

    Raises
    ------
    ShapeError, NotFiniteError
    """
    given = np.asarray(averages_mev, dtype=np.float64)
    factor = gas.n_x // max(1, given.shape[0]) if given.ndim == 2 else 0
    if not factor or gas.shape != (factor * given.shape[0], factor * given.shape[1]):
        raise ShapeError(
            f"averages of shape {given.shape} for a gas of {gas.n_x} x {gas.n_y} sites: give "
            "those over squares of a whole number of sites"
        )
    if not np.isfinite(given).all():
        raise NotFiniteError("the averages hold NaN or infinity: give a potential without")
    mean, spread = float(given.mean()), float(given.std())
    if factor == 1 or np.ptp(given) == 0:
        return np.repeat(np.repeat(given, factor, axis=0), factor, axis=1)
    space = FourierPotential(gas, dopants)
    sigma = np.full(given.shape, SIGMA * spread)
    if uncertainty_mev is not None:
        known = np.asarray(uncertainty_mev, dtype=np.float64)
        if known.shape != given.shape or (known <= 0).any():
            raise ShapeError(
                f"uncertainties of shape {known.shape}: give {given.shape}, each above 0"
            )
        sigma = np.where(np.isfinite(known), np.maximum(known, sigma), sigma)

    def average(x: Real) -> Real:
        return np.ravel(block_average(space.potential(np.ravel(x)), factor) / sigma)

    def pull_back(g: Real) -> Real:
        spread_out = np.kron(np.reshape(g, given.shape) / sigma, np.ones((factor, factor)))
        return space.pull_back(spread_out / factor**2)

    operator = LinearOperator(
        (given.size, space.n), matvec=average, rmatvec=pull_back, dtype=np.float64
    )
    x = lsqr(operator, ((given - mean) / sigma).ravel(), damp=1.0, iter_lim=STEPS)[0]
    return space.potential(np.asarray(x)) + mean
