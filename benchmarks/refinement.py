"""Refinement of nearly right potentials: `python -m benchmarks.refinement [--quick]`.

Starts are the truth mixed with another potential of the same ensemble, in the default
geometry; the PLDOS is exact to 1e-6. Prints correlations with the truth and misfits before
and after.
"""

from __future__ import annotations

import sys
import time

import numpy as np

MIXING = (0.05, 0.1, 0.14)


def main(arguments: list[str]) -> None:
    """One row a start."""
    from inmateria import ElectronGas, RemoteDopants
    from inmateria.reconstruction.metrics import pearson
    from inmateria.reconstruction.refinement import refine

    quick = "--quick" in arguments
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
