"""Potential of rim electrodes in a disc, and the Coulomb energies of charges in it.

The potential u in the disc solves Laplace's equation with u = V_e on the arc of
electrode e and no flux through the rest of the rim. It is the field of a flux
density q that lives on the arcs alone,

    u(r) = c - (1 / pi) Int q(phi) ln |r - e^{i phi}| dphi,    Int q dphi = 0,

in units of the radius (the Neumann function of the disc). q has inverse square
roots at the ends of each arc, so on an arc of half-width h it is written as

    q(phi) = sum_k a_k T_k(t) / (h sqrt(1 - t^2)),    t = (phi - middle) / h.

The singular part of the kernel on an arc itself is diagonal in the Chebyshev
polynomials,

    Int T_k(s) ln|t - s| / sqrt(1 - s^2) ds = -pi ln 2  (k = 0),  -(pi / k) T_k(t)  (k > 0),

and the rest is smooth: collocation converges exponentially. The potential is
linear in the voltages; one solve gives a basis that is never solved for again.

Source: J. C. Mason and D. C. Handscomb, Chebyshev Polynomials (2003), ch. 9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.constants import Boltzmann, elementary_charge, epsilon_0

FloatArray = NDArray[np.float64]

# Terms per arc: eight arcs that cover half the rim are converged to 1e-12 with 16.
N_TERMS = 24
# Nodes for what is smooth on an arc. Further in than this share of the radius the logarithm
# itself is: at the widest arcs, a half-width of pi / 2, 64 nodes leave 1.4^-128 = 1e-19.
N_QUADRATURE = 64
NEAR_RIM = 0.6


def electrode_potentials(
    xy: FloatArray, electrode_angle: FloatArray, half_width: float, *, n_terms: int = N_TERMS
) -> FloatArray:
    """Potential at points of the unit disc for 1 V on each electrode in turn.

    Parameters
    ----------
    xy : (n, 2) array
        Points, in units of the radius, inside the rim or on it.
    electrode_angle : (n_electrodes,) array, rad
        Middles of the arcs.
    half_width : float, rad
        Half the angle that an arc covers.

    Returns
    -------
    (n, n_electrodes) array, V per V
        Each row sums to one: with all electrodes at 1 V the disc is at 1 V.
    """
    n_electrodes = len(electrode_angle)
    t = np.cos(np.pi * (np.arange(n_terms) + 0.5) / n_terms)
    size = n_electrodes * n_terms + 1
    matrix = np.zeros((size, size))
    polynomial = np.cos(np.outer(np.arccos(t), np.arange(n_terms)))
    weight = np.pi / n_terms
    for a in range(n_electrodes):
        rows = slice(a * n_terms, (a + 1) * n_terms)
        here = electrode_angle[a] + half_width * t
        for b in range(n_electrodes):
            columns = slice(b * n_terms, (b + 1) * n_terms)
            gap = here[:, None] - (electrode_angle[b] + half_width * t)[None, :]
            chord = np.abs(2 * np.sin(gap / 2))
            if a == b:
                matrix[rows, columns] = _own_arc(gap, chord, half_width, polynomial, weight)
            else:
                matrix[rows, columns] = np.log(chord) @ polynomial * weight
        matrix[rows, -1] = 1.0
        matrix[-1, a * n_terms] = np.pi
    matrix[:-1, :-1] /= -np.pi
    right = np.zeros((size, n_electrodes))
    for e in range(n_electrodes):
        right[e * n_terms : (e + 1) * n_terms, e] = 1.0
    coefficient: FloatArray = np.linalg.solve(matrix, right).astype(np.float64)
    return _field(xy, electrode_angle, half_width, coefficient, n_terms)


def _own_arc(
    gap: FloatArray, chord: FloatArray, half_width: float, polynomial: FloatArray, weight: float
) -> FloatArray:
    n_terms = polynomial.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = np.where(gap == 0.0, 1.0, chord / np.abs(gap))
    k = np.arange(n_terms)
    singular = np.where(k == 0, -np.pi * np.log(2.0), -np.pi / np.maximum(k, 1)) * polynomial
    singular[:, 0] += np.pi * np.log(half_width)
    return singular + np.log(smooth) @ polynomial * weight


def _field(
    xy: FloatArray,
    electrode_angle: FloatArray,
    half_width: float,
    coefficient: FloatArray,
    n_terms: int,
) -> FloatArray:
    t = np.cos(np.pi * (np.arange(N_QUADRATURE) + 0.5) / N_QUADRATURE)
    polynomial = np.cos(np.outer(np.arccos(t), np.arange(n_terms))) * (np.pi / N_QUADRATURE)
    inner = np.hypot(xy[:, 0], xy[:, 1]) < NEAR_RIM
    potential = np.tile(coefficient[-1], (len(xy), 1))
    for a, angle in enumerate(electrode_angle):
        charge = coefficient[a * n_terms : (a + 1) * n_terms] / np.pi
        turned = xy @ _turn(angle)
        potential[inner] -= _inside(turned[inner], half_width * t, polynomial) @ charge
        potential[~inner] -= _near_rim(turned[~inner], half_width, t, polynomial) @ charge
    return potential


def _inside(xy: FloatArray, phi: FloatArray, polynomial: FloatArray) -> FloatArray:
    """Integrals of ln |r - e^{i phi}| with each polynomial, by the plain sum."""
    distance = np.hypot(xy[:, :1] - np.cos(phi), xy[:, 1:] - np.sin(phi))
    return np.asarray(np.log(distance) @ polynomial)


def _near_rim(
    xy: FloatArray, half_width: float, t: FloatArray, polynomial: FloatArray
) -> FloatArray:
    """The same as near to an arc as one likes.

    With r = e^{i zeta}, zeta = theta - i ln rho,

        ln |r - e^{i phi}| = ln(rho) / 2 + ln |zeta - phi| + ln |sinc((zeta - phi) / 2)|.

    Only ln |zeta - phi| is singular, and with zeta / h = (w + 1 / w) / 2, |w| >= 1,
    the relation at the top holds off the arc as pi ln(|w| / 2) and -(pi / k) Re w^-k.
    """
    zeta = (np.arctan2(xy[:, 1], xy[:, 0]) - 1j * np.log(np.hypot(xy[:, 0], xy[:, 1])))[:, None]
    z = zeta / half_width
    w = z + np.sqrt(z - 1) * np.sqrt(z + 1)
    k = np.arange(polynomial.shape[1], dtype=np.float64)
    singular = -np.pi / np.maximum(k, 1) * (w**-k).real
    singular[:, 0] = np.pi * np.log(np.abs(w[:, 0]) * half_width / 2)
    # numpy.sinc is that of pi x.
    sinc = np.abs(np.sinc((zeta - half_width * t) / (2 * np.pi)))
    return np.asarray(singular + (np.log(sinc) - zeta.imag / 2) @ polynomial)


def _turn(angle: float) -> FloatArray:
    """(2, 2) matrix that turns row vectors so that `angle` comes to lie at zero."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def coulomb_kt(distance_nm: FloatArray, *, permittivity: float, temperature_k: float) -> FloatArray:
    """e^2 / (4 pi eps0 eps_r r) in units of kT for distances r > 0, any shape, nm."""
    charge = elementary_charge**2 / (4 * np.pi * epsilon_0 * permittivity)
    return np.asarray(charge / (distance_nm * 1e-9) / (Boltzmann * temperature_k))
