"""A real potential as a Fourier series over half of the plane of wave vectors.

The wave vectors of a rectangle of lengths L and W, continued periodically, are
q = (2 pi m_x / L, 2 pi m_y / W). The potential is real, c(-q) = c(q)*, so one half
of the plane is enough: m_y > 0, or m_y = 0 and m_x > 0. The term q = 0 is left out;
it only shifts the potential. On the sites (i a, j a) the series

    V(r) = sum_{q != 0} A(q) exp(-i q r) = 2 Re sum_{half plane} A(q) exp(-i q r)

is a discrete Fourier transform, exact as long as the lattice resolves every term.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from inmateria.errors import NotFiniteError, ParameterError, ShapeError
from inmateria.transport.blas import one_blas_thread
from inmateria.transport.disorder.grid import Lattice


@dataclass(frozen=True, eq=False)
class FourierCoefficients:
    """Coefficients over the half plane, ordered by m_x, then m_y.

    Attributes
    ----------
    m_x, m_y : (n_coefficients,) int64 arrays
        Wave numbers in units of 2 pi / L and 2 pi / W.
    c : (..., n_coefficients) complex128 array
        Dimensionless.

    Raises
    ------
    ShapeError, NotFiniteError, ParameterError
    """

    m_x: NDArray[np.int64]
    m_y: NDArray[np.int64]
    c: NDArray[np.complex128]

    def __post_init__(self) -> None:
        m_x, m_y, c = np.asarray(self.m_x), np.asarray(self.m_y), np.asarray(self.c)
        if m_x.dtype.kind not in "iu" or m_y.dtype.kind not in "iu" or c.dtype.kind not in "iufc":
            raise ParameterError(
                f"wave numbers of {m_x.dtype} and {m_y.dtype}, coefficients of {c.dtype}: "
                "give integers and complex numbers"
            )
        if m_x.ndim != 1 or m_y.shape != m_x.shape or c.shape[-1:] != m_x.shape:
            raise ShapeError(
                f"m_x {m_x.shape}, m_y {m_y.shape} and c {c.shape}: give (n,), (n,) and (..., n)"
            )
        if not np.isfinite(c).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(c))[0])
            raise NotFiniteError(f"coefficient {where} is {c[where]}: give finite numbers")
        outside = (m_y < 0) | ((m_y == 0) & (m_x <= 0))
        if outside.any():
            k = int(np.argmax(outside))
            raise ParameterError(
                f"(m_x, m_y) = ({m_x[k]}, {m_y[k]}) is not in the half plane m_y > 0 or m_y = 0, "
                "m_x > 0: leave out (0, 0) and give c(-q) = c(q)* for the other half"
            )
        # One number for each (m_x, m_y), as no m_y is negative.
        if len(np.unique(m_x * (m_y.max(initial=0) + 1) + m_y)) < len(m_x):
            raise ParameterError("a wave vector (m_x, m_y) is there twice: add its coefficients")
        object.__setattr__(self, "m_x", m_x.astype(np.int64, copy=False))
        object.__setattr__(self, "m_y", m_y.astype(np.int64, copy=False))
        object.__setattr__(self, "c", c.astype(np.complex128, copy=False))

    def __getitem__(self, index: int) -> FourierCoefficients:
        """Coefficients of sample `index` of a set."""
        return FourierCoefficients(self.m_x, self.m_y, self.c[index])


def wave_numbers(
    m_x: NDArray[np.int64], m_y: NDArray[np.int64], torus: Lattice
) -> NDArray[np.float64]:
    """|q| of the wave vectors of a torus of n_x a by n_y a, 1/nm."""
    unit = 2 * np.pi / torus.spacing_nm
    return np.asarray(np.hypot(unit / torus.n_x * m_x, unit / torus.n_y * m_y))


def half_plane(torus: Lattice, q_max: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Wave vectors (m_x, m_y) of the half plane with |q| <= q_max (1/nm).

    Raises
    ------
    ParameterError
        If there is none.
    """
    reach = q_max * torus.spacing_nm / (2 * np.pi)
    last_x, last_y = int(reach * torus.n_x), int(reach * torus.n_y)
    m_x, m_y = (
        m.ravel()
        for m in np.meshgrid(np.arange(-last_x, last_x + 1), np.arange(last_y + 1), indexing="ij")
    )
    kept = (m_y > 0) | (m_x > 0)
    kept &= wave_numbers(m_x, m_y, torus) <= q_max
    if not kept.any():
        longest = max(torus.n_x, torus.n_y) * torus.spacing_nm
        raise ParameterError(
            f"no wave vector of a sample {longest:g} nm long is below the cutoff of {q_max:.4g} / "
            f"nm; the first is {2 * np.pi / longest:.4g} / nm: take a larger sample, a larger "
            "cutoff or a smaller distance of the dopants"
        )
    return m_x[kept], m_y[kept]


def synthesise(
    m_x: NDArray[np.int64],
    m_y: NDArray[np.int64],
    amplitude: NDArray[np.complex128],
    torus: Lattice,
    *,
    part: tuple[int, int] | None = None,
) -> NDArray[np.float64]:
    """The series 2 Re sum A exp(-i q r) on the sites of a torus.

    Parameters
    ----------
    m_x, m_y : (n,) arrays, of the half plane
    amplitude : (..., n) array
    part : (int, int), optional
        Sites along and across that are wanted, from the first on; by default all.

    Returns
    -------
    (..., n_x, n_y) array, in the amplitudes' unit

    Raises
    ------
    ParameterError
        If the lattice is too coarse for a term: it would pass for another one.
    """
    highest = [int(np.abs(m).max(initial=0)) for m in (m_x, m_y)]
    for name, most, sites in zip("xy", highest, (torus.n_x, torus.n_y), strict=True):
        if 2 * most >= sites:
            raise ParameterError(
                f"wave number {most} on {sites} sites along {name}; these resolve at most "
                f"{(sites - 1) // 2}: take a finer lattice, a smaller cutoff or dopants further off"
            )
    along, across = part or (torus.n_x, torus.n_y)
    # Floating-point operations of both ways; products go about five times as fast.
    products = 4 * along * (highest[1] + 1) * (across + 4 * highest[0])
    transform = 2.5 * torus.n_x * torus.n_y * np.log2(torus.n_x * torus.n_y)
    if products < 5 * transform:
        return by_products(m_x, m_y, amplitude, torus, (along, across))
    return by_transform(m_x, m_y, amplitude, torus)[..., :along, :across]


def by_transform(
    m_x: NDArray[np.int64],
    m_y: NDArray[np.int64],
    amplitude: NDArray[np.complex128],
    torus: Lattice,
) -> NDArray[np.float64]:
    """The series on all sites of a torus, by a fast Fourier transform."""
    spectrum = np.zeros((*amplitude.shape[:-1], torus.n_x, torus.n_y // 2 + 1), dtype=complex)
    # irfft2 sums exp(+i q r); the potential is real, so conjugates give the same sum.
    spectrum[..., m_x, m_y] = amplitude.conj()
    axis = m_y == 0
    spectrum[..., -m_x[axis], 0] = amplitude[..., axis]
    return np.asarray(scipy.fft.irfft2(spectrum, s=(torus.n_x, torus.n_y), norm="forward"))


def by_products(
    m_x: NDArray[np.int64],
    m_y: NDArray[np.int64],
    amplitude: NDArray[np.complex128],
    torus: Lattice,
    part: tuple[int, int],
) -> NDArray[np.float64]:
    """The series on a part of a torus, by two matrix products: few wave numbers occur.

    exp(-i q r) is a product of one factor in x and one in y.
    """
    highest_x, highest_y = int(np.abs(m_x).max(initial=0)), int(m_y.max(initial=0))
    spectrum = np.zeros((*amplitude.shape[:-1], 2 * highest_x + 1, highest_y + 1), dtype=complex)
    spectrum[..., m_x + highest_x, m_y] = amplitude
    rows = _cosines_and_sines(part[1], torus.n_y, highest_y)
    with one_blas_thread():
        columns = _waves(part[0], torus.n_x, -highest_x, highest_x) @ spectrum
        return np.asarray(columns.view(np.float64) @ rows)


@lru_cache(maxsize=16)
def _waves(sites: int, period: int, first: int, last: int) -> NDArray[np.complex128]:
    """exp(-2 pi i m j / period), m = first .. last, on sites j = 0 .. sites - 1, (sites, m)."""
    turns = np.outer(np.arange(sites), np.arange(first, last + 1)) % period
    return np.asarray(np.exp(-2j * np.pi / period * turns))


@lru_cache(maxsize=16)
def _cosines_and_sines(sites: int, period: int, last: int) -> NDArray[np.float64]:
    """2 cos(q y) and 2 sin(q y) in turn, (2 (last + 1), sites).

    Re(G exp(-i q y)) = Re G cos(q y) + Im G sin(q y): a real product of twice the length.
    """
    waves = 2 * _waves(sites, period, 0, last).conj()
    return np.ascontiguousarray(waves.view(np.float64).T)
