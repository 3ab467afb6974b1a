"""What Kwant answers, and how fast: run by the Python of Kwant's own environment.

    python kwant_peer.py REQUEST.npz ANSWER.npz

Needs nothing but NumPy and Kwant (`docs/kwant.md`); the project never imports it.

The sample is a rectangle of the square lattice with on-site energies 4 + V and hopping
-1 between hard walls, with a clean lead on column 0 and one on column n_x - 1. Lead 0
is the left one. A magnetic field acts on the sample alone: the bond from column i to
column i + 1 on row j is

    H[(i + 1, j), (i, j)] = -exp(-i flux (j - j_0)),    j_0 = (n_y - 1) / 2,

and its conjugate the other way; bonds along y, inside leads and from leads to the
sample carry no phase. With `around` the last row joins the first: the sample, and a lead
of full width, is a cylinder. A charge going round a plaquette counter-clockwise (+x at row j,
+y, -x at row j + 1, -y) picks up exp(+i flux): positive flux is a field along +z for a
positive charge, along -z for electrons.

How Kwant is run
----------------
It is timed as fast as its own solver goes, in three ways for each sample and energy,
on one thread:

- `fast`: PLDOS, r and t from one factorisation. `kwant.wave_function` factorises the
  same matrix as `kwant.smatrix` and its solution contains the outgoing amplitudes, but
  each drops what the other keeps; calling both factorises twice. Here the solver's own
  three steps (`_make_linear_sys`, `_factorized`, `_solve_linear_sys`) are called once
  for the left lead's modes and everything is kept.
- `smatrix`: `kwant.smatrix` with `in_leads=[0]`: r and t alone.
- `plain`, on request: `kwant.wave_function` and `kwant.smatrix` on the finalised
  builder, as the manual teaches.

Two things are done once for all samples, outside the clock: the system is built and
finalised, and the leads' modes are precalculated (seconds in `lead_cpu_s`). Kwant 1.5
asks Python for the value of every site and bond (half a second for 256 x 192 sites); so
`fast` and `smatrix` hand its solver a low-level system (`StoredHamiltonian`) that adds
`params["potential"]` to the diagonal of a matrix stored once. Hermiticity, which is
certain by construction, is not checked again.

MUMPS eliminates in the order "amf" (approximate minimum fill) unless asked otherwise.
For 256 x 192 sites that order is found in 0.05 s, "pord" in 0.5 s, with the same fill;
"scotch", which Kwant decides for where METIS is absent, is as slow as "pord". With so
cheap an analysis nothing is lost by Kwant's repeating it for every sample.

Request
-------
n_x, n_y : sites; left_first_row, left_rows, right_first_row, right_rows : the leads
potential_t : (n_samples, n_x, n_y), in units of the hopping
energy_t : (n_energies,)
flux : phase per plaquette, 2 pi Phi / Phi_0
repeat : times that each is solved; the least time counts

and, where wanted: ordering ("amf"; another that MUMPS has, or "kwant_decides"), right
(False; also solve for the right lead's modes), plain (False), phase_origin_row (j_0),
around (False).

Answer
------
pldos_left : (n_samples, n_energies, n_x, n_y), 2 pi sum |psi|^2 over modes of unit flux
r, t : (n_samples, n_energies, n_left, n_left) and (..., n_right, n_left), Kwant's phases
transmission : (n_samples, n_energies); n_left, n_right : (n_energies,) open modes
pldos_right, r_right, t_right : the same for modes of the right lead, where asked for
left_in, left_out, right_in, right_out : (n_energies, rows, n_modes) wave functions of
    incoming and outgoing modes on the sample's column that the lead joins, rows upward
left_k_in, ... : (n_energies, n_modes) their wave numbers, along the lead away from the
    sample
cpu_s, wall_s : (n_samples, n_energies) of `fast`; cpu_s_smatrix, wall_s_smatrix,
    cpu_s_plain, wall_s_plain : of the others
lead_cpu_s : (n_energies,); build_cpu_s; solver; ordering; kwant_version

Where the number of modes changes with energy, what is not there is NaN.

Phases
------
Kwant lists modes by falling |k|, for a hard-wall lead the lowest transverse mode
first. Its incoming mode n is c_n chi_n / sqrt(v_n) on the column that the lead joins,
with v_n = 2 sin k_n and c_n = sqrt(v_n) chi_n^T `left_in`[:, n]; its outgoing one has
the conjugate of c_n. The phase of c_n is what LAPACK leaves behind, and differs between
builds. With r and t between modes chi_n exp(i k_n x) / sqrt(v_n), x = 0 on that column,

    r_kwant[a, b] = c_a r[a, b] c_b,    t_kwant[a, b] = c'_a t[a, b] c_b,

c' being the right lead's.
"""

# BLAS reads its number of threads once, on import.
# ruff: noqa: E402

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import sys
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import kwant
import numpy as np

LEFT, RIGHT = 0, 1
WANTED_SOLVER = "kwant.solvers.mumps"
OPTIONAL = {
    "ordering": "amf",
    "right": False,
    "plain": False,
    "phase_origin_row": None,
    "around": False,
}


class StoredHamiltonian(kwant.system.FiniteSystem):
    """A finalised system whose matrix is stored; `params["potential"]` adds to its diagonal."""

    def __init__(self, system: Any, flux: float) -> None:
        self.graph = system.graph
        self.site_ranges = system.site_ranges
        self.leads = system.leads
        self.lead_interfaces = system.lead_interfaces
        self.parameters = system.parameters
        self._system = system
        column, row = columns_and_rows(system).T
        clean = {"potential": np.zeros((column.max() + 1, row.max() + 1)), "flux": flux}
        matrix, *norbs = system.hamiltonian_submatrix(sparse=True, return_norb=True, params=clean)
        self._matrix, self._norbs = matrix.tocsr(), norbs
        self._matrix.sort_indices()
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(self._matrix.indptr))
        self._diagonal = np.flatnonzero(rows == self._matrix.indices)
        self._column, self._row = column, row

    def hamiltonian(self, i: int, j: int, *args: Any, params: dict | None = None) -> Any:
        return self._system.hamiltonian(i, j, *args, params=params)

    def discrete_symmetry(self, args: tuple = (), *, params: dict | None = None) -> Any:
        return self._system.discrete_symmetry(args, params=params)

    def hamiltonian_submatrix(
        self,
        args: tuple = (),
        to_sites: Any = None,
        from_sites: Any = None,
        sparse: bool = False,
        return_norb: bool = False,
        *,
        params: dict | None = None,
    ) -> Any:
        """The whole matrix, sparse, as the solver asks for it."""
        if not sparse or args or to_sites is not None or from_sites is not None or not params:
            raise NotImplementedError("the stored matrix is given whole, sparse and by params")
        matrix = self._matrix.copy()
        matrix.data[self._diagonal] += params["potential"][self._column, self._row]
        return (matrix, *self._norbs) if return_norb else matrix


def columns_and_rows(system: Any) -> np.ndarray:
    """(n_sites, 2) lattice coordinates in Kwant's order of sites."""
    return np.array([site.tag for site in system.sites])


def onsite(site: Any, potential: np.ndarray) -> float:
    """4 + V on a site of the sample."""
    column, row = site.tag
    return 4 + potential[column, row]


def build(asked: SimpleNamespace) -> Any:
    """The finalised sample with its two leads."""
    lattice = kwant.lattice.square(norbs=1)
    origin = asked.phase_origin_row
    origin = (asked.n_y - 1) / 2 if origin is None else float(origin)

    def along_x(to: Any, _: Any, flux: float) -> complex:
        return -np.exp(-1j * flux * (to.tag[1] - origin))

    sample = kwant.Builder()
    sample[(lattice(i, j) for i in range(asked.n_x) for j in range(asked.n_y))] = onsite
    # A hopping kind (1, 0) leads from column i to column i + 1.
    sample[kwant.HoppingKind((1, 0), lattice)] = along_x if asked.flux else -1
    sample[kwant.HoppingKind((0, 1), lattice)] = -1
    last_to_first = kwant.HoppingKind((0, asked.n_y - 1), lattice)
    if asked.around:
        sample[last_to_first] = -1
    for column, outward, first, n_rows in (
        (0, (-1, 0), asked.left_first_row, asked.left_rows),
        (asked.n_x - 1, (1, 0), asked.right_first_row, asked.right_rows),
    ):
        lead = kwant.Builder(kwant.TranslationalSymmetry(outward))
        lead[(lattice(column, j) for j in range(first, first + n_rows))] = 4
        lead[lattice.neighbors()] = -1
        if asked.around and n_rows == asked.n_y:
            lead[last_to_first] = -1
        sample.attach_lead(lead)
    return sample.finalized()


def chosen_solver(asked: SimpleNamespace) -> tuple[Any, str, str]:
    """The solver, the module it is from and its elimination order."""
    name = kwant.solvers.default.smodule.__name__
    if name != WANTED_SOLVER:
        print(
            f"WARNING: Kwant solves with {name}, not {WANTED_SOLVER}: its times are not those of "
            "the peer. Install python-mumps in its environment.",
            file=sys.stderr,
        )
        return kwant.solvers.default.smodule.Solver(), name, "none"
    from kwant.solvers import mumps

    possible = ["kwant_decides", *mumps.mumps.possible_orderings()]
    if asked.ordering not in possible:
        sys.exit(f"this MUMPS has no ordering {asked.ordering!r}; choose of {', '.join(possible)}")

    solver = mumps.Solver()
    solver.options(ordering=asked.ordering)
    return solver, name, solver.ordering


def solve_once(
    solver: Any, system: Any, energy: float, params: dict, *leads: int
) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """|psi|^2 summed over a lead's modes, (n_sites,), and outgoing amplitudes in every lead.

    The unknowns of Kwant's linear system are the sample's sites, then for each lead the
    amplitudes of its outgoing modes; all leads share the factorised matrix.
    """
    linear, _ = solver._make_linear_sys(system, leads, energy, (), False, params=params)
    factorised = solver._factorized(linear.lhs)
    found = []
    for lead in leads:
        solution = solver._solve_linear_sys(factorised, linear.rhs[lead], slice(None))
        psi = solution[: linear.num_orb]
        density = np.einsum("sn,sn->s", psi.real, psi.real)
        density += np.einsum("sn,sn->s", psi.imag, psi.imag)
        found.append((density, [solution[rows] for rows in linear.indices]))
    return found


def timed(work: Callable[[], Any], repeat: int) -> tuple[Any, float, float]:
    """What `work` gives, and the least CPU and wall seconds of all repetitions."""
    cpu, wall = [], []
    for _ in range(max(repeat, 1)):
        cpu_0, wall_0 = time.process_time(), time.perf_counter()
        found = work()
        cpu.append(time.process_time() - cpu_0)
        wall.append(time.perf_counter() - wall_0)
    return found, min(cpu), min(wall)


def padded(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack arrays of different shapes, NaN where one ends earlier."""
    shape = np.max([a.shape for a in arrays], axis=0)
    kind = np.result_type(*arrays, np.float64)
    stacked = np.full((len(arrays), *shape), np.nan, dtype=kind)
    for k, array in enumerate(arrays):
        stacked[(k, *(slice(n) for n in array.shape))] = array
    return stacked


def describe_modes(side: str, rows: np.ndarray, modes: list[Any]) -> dict[str, np.ndarray]:
    """Wave functions and wave numbers of a lead's modes at every energy.

    `rows` are the sample's rows in the lead's order of sites. Kwant lists modes of
    negative velocity, which come in, before those of positive.
    """
    upward = np.argsort(rows)
    pairs = [(m, len(m.momenta) // 2) for m in modes]
    return {
        f"n_{side}": np.array([n for _, n in pairs]),
        f"{side}_in": padded([m.wave_functions[upward, :n] for m, n in pairs]),
        f"{side}_out": padded([m.wave_functions[upward, n:] for m, n in pairs]),
        f"{side}_k_in": padded([m.momenta[:n] for m, n in pairs]),
        f"{side}_k_out": padded([m.momenta[n:] for m, n in pairs]),
    }


def time_sample(
    solver: Any,
    systems: tuple[Any, Any],
    energy: float,
    params: dict[str, Any],
    asked: SimpleNamespace,
) -> tuple[tuple[np.ndarray, list[np.ndarray]], dict[str, float]]:
    """What `solve_once` gives for the left lead, and the seconds of every way to get it."""
    stored, finalised = systems

    def fast() -> tuple[np.ndarray, list[np.ndarray]]:
        return solve_once(solver, stored, energy, params, LEFT)[0]

    def smatrix() -> Any:
        options = {"in_leads": [LEFT], "check_hermiticity": False, "params": params}
        return solver.smatrix(stored, energy, **options)

    def plain() -> tuple[np.ndarray, Any]:
        psi = solver.wave_function(finalised, energy, params=params)(LEFT)
        matrix = solver.smatrix(finalised, energy, in_leads=[LEFT], params=params)
        return 2 * np.pi * (np.abs(psi) ** 2).sum(axis=0), matrix

    found, cpu_s, wall_s = timed(fast, asked.repeat)
    seconds = {"cpu_s": cpu_s, "wall_s": wall_s}
    for work in (smatrix, plain) if asked.plain else (smatrix,):
        _, cpu_s, wall_s = timed(work, asked.repeat)
        seconds |= {f"cpu_s_{work.__name__}": cpu_s, f"wall_s_{work.__name__}": wall_s}
    return found, seconds


def answer(request: dict[str, np.ndarray]) -> dict[str, Any]:
    """Everything that is described at the top of this file."""
    given = {name: v.item() if v.ndim == 0 else v for name, v in request.items()}
    asked = SimpleNamespace(**{**OPTIONAL, **given})
    energies = np.atleast_1d(asked.energy_t)
    potentials = np.asarray(asked.potential_t, dtype=float)
    solver, name, ordering = chosen_solver(asked)
    finalised, build_cpu, _ = timed(lambda: build(asked), 1)
    column, row = columns_and_rows(finalised).T
    stored = StoredHamiltonian(finalised, asked.flux)
    shape = len(potentials), len(energies)
    sides = {"left": LEFT, "right": RIGHT} if asked.right else {"left": LEFT}
    pldos = {side: np.empty((*shape, asked.n_x, asked.n_y)) for side in sides}
    amplitudes: dict[str, list] = {side: [] for side in sides}
    seconds: list[dict[str, float]] = []
    modes: list[list] = []
    lead_cpu: list[float] = []

    for e, energy in enumerate(energies):
        ready, cpu_s, _ = timed(partial(stored.precalculate, energy), 1)
        systems = ready, finalised.precalculate(energy) if asked.plain else None
        lead_cpu.append(cpu_s)
        modes.append([lead.modes(energy)[0] for lead in ready.leads])
        for s, potential in enumerate(potentials):
            params = {"potential": potential, "flux": asked.flux}
            if s == 0:  # what MUMPS and SciPy load on first use is not the sample's cost
                solve_once(solver, ready, energy, params, LEFT)
            left, taken = time_sample(solver, systems, energy, params, asked)
            seconds.append(taken)
            found = [left]
            if asked.right:
                found += solve_once(solver, ready, energy, params, RIGHT)
            for side, (density, outgoing) in zip(sides, found, strict=True):
                pldos[side][s, e, column, row] = 2 * np.pi * density
                amplitudes[side].append(outgoing)

    def on_grid(parts: list) -> np.ndarray:
        """From a list in the order of the loops to (n_samples, n_energies, ...)."""
        stacked = padded([np.asarray(part) for part in parts])
        return stacked.reshape(shape[::-1] + stacked.shape[1:]).swapaxes(0, 1)

    result: dict[str, Any] = {}
    for side, here in sides.items():
        suffix = "" if side == "left" else "_right"
        result[f"pldos_{side}"] = pldos[side]
        result[f"r{suffix}"] = on_grid([out[here] for out in amplitudes[side]])
        result[f"t{suffix}"] = on_grid([out[1 - here] for out in amplitudes[side]])
    result["transmission"] = np.nansum(np.abs(result["t"]) ** 2, axis=(-2, -1))
    for side, lead in (("left", LEFT), ("right", RIGHT)):
        rows = row[np.asarray(finalised.lead_interfaces[lead])]
        result |= describe_modes(side, rows, [both[lead] for both in modes])
    result |= {kind: on_grid([taken[kind] for taken in seconds]) for kind in seconds[0]}
    return result | {
        "lead_cpu_s": np.array(lead_cpu),
        "build_cpu_s": build_cpu,
        "solver": name,
        "ordering": ordering,
        "kwant_version": kwant.__version__,
    }


def main() -> None:
    """Read the request, write the answer."""
    if len(sys.argv) != 3:
        sys.exit("usage: python kwant_peer.py REQUEST.npz ANSWER.npz")
    with np.load(sys.argv[1]) as file:
        request = {name: file[name] for name in file.files}
    np.savez(sys.argv[2], **answer(request))


if __name__ == "__main__":
    main()
