"""How well s and N_d can be known at best (Cramer and Rao), given the exact potential.

In the ensemble of `RemoteDopants` the real and imaginary parts of a Fourier component of
the potential are independent and normal, of variance

    sigma_q^2 = (prefactor / (q + q_TF))^2 exp(-2 q s) N_d L W / 2.

So the Fisher information about theta = (s, ln N_d) is, summed over 2 n real parts,

    I_ab = (1/2) sum (d ln sigma_q^2 / d theta_a) (d ln sigma_q^2 / d theta_b),
    d ln sigma_q^2 / ds = -2 q,    d ln sigma_q^2 / d ln N_d = 1,

and no unbiased estimate has a covariance below its inverse. That the series ends at
q_c = 3.5 / s is left aside: which components exist would give s away on its own, as it
does in no real sample. What follows of rms and correlation length of an infinite sample, by
the closed forms, has the errors that those of s and N_d carry over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inmateria.transport.disorder.fourier import half_plane, wave_numbers
from inmateria.transport.disorder.grid import Lattice
from inmateria.transport.disorder.remote_dopants import RemoteDopants

# Relative, of s, for derivatives.
STEP = 1e-3


@dataclass(frozen=True)
class TwoParameterLimit:
    """Smallest standard deviations.

    Attributes
    ----------
    spacing, density : float
        Of s and N_d, relative.
    correlation : float
        Of both errors.
    rms, correlation_length : float
        Of an infinite sample's, relative.
    """

    spacing: float
    density: float
    correlation: float
    rms: float
    correlation_length: float


def two_parameter_limit(dopants: RemoteDopants, grid: Lattice) -> TwoParameterLimit:
    """Cramer-Rao limit of s and N_d from one exact potential of this ensemble."""
    torus = dopants._torus(grid)
    q = wave_numbers(*half_plane(torus, dopants.q_max), torus)
    slope = -2 * q * dopants.spacing_nm
    information = np.array([[(slope**2).sum(), slope.sum()], [slope.sum(), q.size]])
    covariance = np.linalg.inv(information)
    s, density = np.sqrt(np.diag(covariance))
    # d ln rms / d ln s and d ln xi / d ln s; the rms goes as sqrt(N_d), xi does not depend on it.
    less, more = (replace(dopants, spacing_nm=dopants.spacing_nm * f) for f in (1 - STEP, 1 + STEP))
    of_s = np.log((1 + STEP) / (1 - STEP))
    rms_by_s = np.log(more.rms_mev / less.rms_mev) / of_s
    xi_by_s = np.log(more.correlation_length_nm / less.correlation_length_nm) / of_s
    of_rms = np.array([rms_by_s, 0.5])
    return TwoParameterLimit(
        spacing=float(s),
        density=float(density),
        correlation=float(covariance[0, 1] / (s * density)),
        rms=float(np.sqrt(of_rms @ covariance @ of_rms)),
        correlation_length=float(abs(xi_by_s) * s),
    )
