"""The numbers that define a hopping network: what every engine works on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.constants import Boltzmann, elementary_charge
from scipy.sparse.csgraph import connected_components

from inmateria.errors import NotFiniteError, ParameterError, ShapeError

FloatArray = NDArray[np.float64]


def thermal_energy_ev(temperature_k: float) -> float:
    """k T in eV."""
    return float(Boltzmann * temperature_k / elementary_charge)


@dataclass(frozen=True)
class HoppingModel:
    """Sites, couplings and electrodes of a network of localised states.

    Attributes
    ----------
    electrode_basis : (n_sites, n_electrodes) array
        Potential at each site for 1 V on one electrode and 0 V on the others.
    site_energy_kt : (n_sites,) array, kT
        Energy of a hole at each site from donors and disorder.
    pair_coulomb_kt : (n_sites, n_sites) array, kT
        Coulomb repulsion of two holes, zero on the diagonal.
    pair_weight : (n_sites, n_sites) array
        exp(-2 r / a) inside the hop range, else 0.
    electrode_weight : (n_sites, n_electrodes) array
        The same to the electrodes.
    temperature_k : float, K
    """

    electrode_basis: FloatArray
    site_energy_kt: FloatArray
    pair_coulomb_kt: FloatArray
    pair_weight: FloatArray
    electrode_weight: FloatArray
    temperature_k: float

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name == "temperature_k":
                continue
            array = np.ascontiguousarray(getattr(self, field.name), dtype=np.float64)
            if not np.isfinite(array).all():
                raise NotFiniteError(
                    f"{field.name} holds NaN or infinity; every entry must be finite"
                )
            array.setflags(write=False)
            object.__setattr__(self, field.name, array)
        if not (np.isfinite(self.temperature_k) and self.temperature_k > 0):
            raise ParameterError(f"temperature {self.temperature_k} K; it must be above 0 K")
        n, m = self.n_sites, self.n_electrodes
        for name, shape in (
            ("electrode_basis", (n, m)),
            ("pair_coulomb_kt", (n, n)),
            ("pair_weight", (n, n)),
            ("electrode_weight", (n, m)),
        ):
            if getattr(self, name).shape != shape:
                raise ShapeError(
                    f"{name} has shape {getattr(self, name).shape}; "
                    f"{n} sites and {m} electrodes need {shape}"
                )
        if n < 1 or m < 2:
            raise ShapeError(f"{n} sites and {m} electrodes; a network needs 1 and 2 at least")
        for name in ("pair_coulomb_kt", "pair_weight"):
            matrix = getattr(self, name)
            if not np.allclose(matrix, matrix.T, rtol=1e-12, atol=0) or np.diagonal(matrix).any():
                raise ParameterError(f"{name} must be symmetric with a zero diagonal")
        for name in ("pair_weight", "electrode_weight"):
            if (getattr(self, name) < 0).any():
                raise ParameterError(f"{name} holds a negative weight; weights are exp(-2 r / a)")
        self._check_connected()

    def _check_connected(self) -> None:
        # A site that no electrode feeds has no steady state of its own: the solve is singular.
        n = self.n_sites
        graph = np.zeros((n + 1, n + 1))
        graph[:n, :n] = self.pair_weight
        graph[:n, n] = graph[n, :n] = self.electrode_weight.sum(axis=1)
        _, label = connected_components(graph > 0, directed=False)
        lost = np.flatnonzero(label[:n] != label[n])
        if lost.size:
            shown = ", ".join(map(str, lost[:8])) + (", ..." if lost.size > 8 else "")
            raise ParameterError(
                f"{lost.size} of {n} sites cannot reach any electrode (site {shown}); "
                "raise the longest hop, lower the shortest, or take another seed"
            )

    @property
    def n_sites(self) -> int:
        """Number of acceptor sites."""
        return int(self.site_energy_kt.shape[0])

    @property
    def n_electrodes(self) -> int:
        """Number of electrodes, outputs included."""
        return int(self.electrode_basis.shape[1]) if self.electrode_basis.ndim == 2 else 0

    @property
    def kt_ev(self) -> float:
        """k T in eV: what 1 V of potential is divided by."""
        return thermal_energy_ev(self.temperature_k)

    def kernel_arrays(
        self,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """What the compiled engines work on, all in kT and weights.

        Basis / kT, site energies, Coulomb energies, pair weights, electrode
        weights, and each site's summed weights. The energies here belong to
        E_i = v_i + eps_i + sum_j K_ij n_j: the constant of - sum_j (1 - n_j) K_ij
        is in eps_i. Copies, because compiled code is specialised once more for
        read-only arrays.
        """
        return (
            self.electrode_basis / self.kt_ev,
            self.site_energy_kt - self.pair_coulomb_kt.sum(axis=1),
            self.pair_coulomb_kt.copy(),
            self.pair_weight.copy(),
            self.electrode_weight.copy(),
            self.pair_weight.sum(axis=1) + self.electrode_weight.sum(axis=1),
        )
