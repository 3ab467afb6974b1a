"""The survey that chose the default seed: `python -m benchmarks.default_device [SEEDS]`.

For every seed: the spread of the current over uniformly drawn voltages, and how
many random control settings realise each of the 14 non-constant two-input gates
with a margin (lowest high above highest low) of more than a quarter of that
spread. Both the spread and the margin grow with the attempt frequency, so the
criterion does not. A seed qualifies when it has no tight pair, which mean field
treats badly; among those the one whose rarest gate is most frequent wins, and of
equals the one whose current at the default attempt frequency is nearest to
25 nA, which is what real devices give. The third column says which attempt
frequency would give it that.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from inmateria.devices.dopant.network import DopantNetwork
from inmateria.survey.abundance import VARYING, count_gates
from inmateria.survey.samples import current_vectors, uniform_currents

INPUTS = ("e2", "e6")
LEVEL_V = 0.7
SETTINGS = 1500
MARGIN = 0.25
CURRENT_NA = 25.0


def tight_pairs(device: DopantNetwork) -> int:
    """Pairs of acceptors closer than the shortest hop, or that exchange 25 x faster than the rest.

    Their joint occupation is far from a product, so mean field errs most there.
    """
    w, we = device.model.pair_weight, device.model.electrode_weight
    total = w.sum(axis=1) + we.sum(axis=1)
    rest = np.maximum(total[:, None] - w, total[None, :] - w)
    coulomb = device.model.pair_coulomb_kt
    close = (w == 0) & (coulomb > 100)
    fast = (w > 25 * rest) & (coulomb > 1.5)
    return int(np.triu(close | fast, 1).sum())


def gates_of(device: DopantNetwork, *, margin_na: float, seed: int) -> dict[str, int]:
    """How many of `SETTINGS` random control settings realise each gate."""
    levels = np.array([[-LEVEL_V, LEVEL_V]] * len(INPUTS))
    _, vectors = current_vectors(device, INPUTS, levels, SETTINGS, rng=np.random.default_rng(seed))
    return count_gates(vectors, margin_na)


def main(first: int = 0, last: int = 100) -> None:
    """Print one row a seed, then the ranking of those that qualify."""
    began = time.perf_counter()
    rows = []
    for seed in range(first, last):
        device = DopantNetwork(seed=seed)
        spread = float(uniform_currents(device, 1000, rng=np.random.default_rng(seed)).std())
        counts = gates_of(device, margin_na=MARGIN * spread, seed=seed)
        rows.append((seed, spread, tight_pairs(device), counts))
        scale = device.parameters.attempt_hz * CURRENT_NA / spread
        shown = " ".join(f"{gate}={n}" for gate, n in counts.items())
        print(
            f"seed {seed:3d}  {spread:6.1f} nA  {scale:.1e} Hz  tight {rows[-1][2]}  {shown}",
            flush=True,
        )
    fit = [row for row in rows if row[2] == 0]
    fit.sort(key=lambda row: (-min(row[3].values()), abs(np.log(row[1] / CURRENT_NA))))
    complete = sum(min(row[3].values()) > 0 for row in rows)
    print(
        f"\n{len(rows)} seeds, {complete} with all 14 gates, {len(fit)} without tight pairs; best:"
    )
    for seed, spread, _, counts in fit[:10]:
        rarest = min(counts, key=lambda gate: counts[gate])
        print(f"  seed {seed:3d}  {spread:5.1f} nA  rarest gate {rarest}: {counts[rarest]}")
    print("share of settings, mean over seeds:")
    for gate in VARYING:
        share = np.mean([row[3][gate] for row in rows]) / SETTINGS
        print(f"  {gate:12s} {100 * share:5.2f} %")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
