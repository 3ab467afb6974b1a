"""Refinement of nearly right potentials: `python -m benchmarks.refinement [tips] [--quick]`.

Starts are the truth mixed with another potential of the same ensemble, in the default
geometry; the PLDOS is exact to 1e-6. Prints correlations with the truth and misfits before
and after. With `tips`, from scanning-gate maps instead, computed exactly, of tips of rising
height over a smaller sample, and fitted to first order and exactly.
"""

from __future__ import annotations

import sys
import time

import numpy as np

MIXING = (0.05, 0.1, 0.14)
TIPS_MEV = (0.05, 0.2, 1.0, 8.4)


def main(arguments: list[str]) -> None:
    """One of both tables."""
    quick = "--quick" in arguments
    if "tips" in arguments:
        tips(quick=quick)
    else:
        pldos(quick=quick)


def tips(*, quick: bool) -> None:
    """One row a tip, sample and method; 48 positions 40 nm apart over 320 nm x 240 nm."""
    from inmateria import ElectronGas, Lead, RemoteDopants
    from inmateria.reconstruction.metrics import pearson
    from inmateria.reconstruction.refinement import refine
    from inmateria.transport.tip import Tip

    gas = ElectronGas(n_x=64, n_y=48, source=Lead(14, 20), drain=Lead(0, 48))
    dopants = RemoteDopants()
    print("tip, E_F  seed  method        r before    r after   misfit before  after  seconds")
    for height in TIPS_MEV[:1] if quick else TIPS_MEV:
        tip = Tip(height, 15.0)
        for seed in (0,) if quick else (0, 1):
            true = dopants.sample(gas, seed=seed).potential
            other = dopants.sample(gas, seed=99 + seed).potential
            start = np.sqrt(1 - 0.1**2) * true + 0.1 * other
            measured = gas.sgm(true, tip, method="exact", stride=8, accuracy=1e-5).change
            for method in ("first-order", "exact"):
                began = time.perf_counter()
                found = refine(
                    gas,
                    start,
                    measured,
                    dopants=dopants,
                    image="gate-map",
                    tip=tip,
                    stride=8,
                    method=method,  # type: ignore[arg-type]
                    most=5 if quick else 30,
                )
                spent = time.perf_counter() - began
                print(
                    f"{height / gas.fermi_mev:8.3f} {seed:5d}  {method:12s} "
                    f"{pearson(start, true):9.5f} {pearson(found.potential_mev, true):10.5f} "
                    f"{found.misfit_before:15.3f} {found.misfit_after:6.4f} {spent:8.1f}",
                    flush=True,
                )


def pldos(*, quick: bool) -> None:
    """One row a start."""
    from inmateria import ElectronGas, RemoteDopants
    from inmateria.reconstruction.metrics import pearson
    from inmateria.reconstruction.refinement import refine

    gas, dopants = ElectronGas(), RemoteDopants()
    seeds, most = (1, 5) if quick else (4, 60)
    print("mixing  seed   r before    r after   misfit before  after   evaluations  seconds")
    for mixing in MIXING:
        reached = []
        for seed in range(seeds):
            true = dopants.sample(gas, seed=seed).potential
            other = dopants.sample(gas, seed=99 + seed).potential
            start = np.sqrt(1 - mixing**2) * true + mixing * other
            measured = gas.pldos(true, accuracy=1e-6)
            began = time.perf_counter()
            found = refine(gas, start, measured, dopants=dopants, most=most)
            spent = time.perf_counter() - began
            before, after = pearson(start, true), pearson(found.potential_mev, true)
            reached.append(float(after))
            print(
                f"{mixing:6.2f} {seed:5d} {before:10.5f} {after:10.5f} {found.misfit_before:15.3f} "
                f"{found.misfit_after:6.4f} {found.evaluations:13d} {spent:8.1f}",
                flush=True,
            )
        print(f"{mixing:6.2f}  median of r after: {np.median(reached):.5f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
