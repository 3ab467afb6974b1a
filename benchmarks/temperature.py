"""Averages over a fixed number of energies: `python -m benchmarks.temperature [--quick]`.

One sample at 1 K in the default geometry, against the average whose energies are doubled until
it stops to change. Prints the largest error of the PLDOS over its maximum, what the average
says of it, the error of the transmission and CPU time.
"""

from __future__ import annotations

import sys
import time

import numpy as np

ENERGIES = (9, 17, 33, 65)


def main(arguments: list[str]) -> None:
    """One row a number of energies."""
    from inmateria import ElectronGas, RemoteDopants
    from inmateria.transport.energies import at_temperature

    quick = "--quick" in arguments
    gas = ElectronGas(n_x=64, n_y=48) if quick else ElectronGas()
    potential = RemoteDopants().sample(gas, seed=0).potential
    began = time.process_time()
    right = at_temperature(gas, potential, 1.0, accuracy=1e-2 if quick else 1e-3)
    spent = time.process_time() - began
    print(f"adaptive: {right.energy_mev.size} energies, {spent:.1f} s of CPU time")
    print("energies   PLDOS    stated    transmission   seconds")
    for n in ENERGIES:
        began = time.process_time()
        found = at_temperature(gas, potential, 1.0, energies=n)
        spent = time.process_time() - began
        off = np.abs(found.pldos - right.pldos).max() / right.pldos.max()
        transmission = abs(float(found.transmission - right.transmission))
        print(
            f"{n:8d} {off:8.1e} {found.error:8.1e} {transmission:13.1e} {spent:10.2f}", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
