"""From a network's answer to a refined potential: `python -m benchmarks.reconstruction_refined
STORE [MODEL] [-n SAMPLES] [-i ITERATIONS]`.

Samples of STORE that MODEL (the default one) has not seen; the measured image is the exact
PLDOS on the model's pixels. Prints correlations with the truth on sites and misfits before
and after, which need no truth, and draws them into docs/figures.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inmateria.data.sample_store import open_store
from inmateria.datasets.averaging import block_average
from inmateria.datasets.disorder import potential
from inmateria.datasets.settings import GenerationSettings
from inmateria.reconstruction.band_limited import on_sites
from inmateria.reconstruction.load import load_model
from inmateria.reconstruction.metrics import pearson
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.refinement import refine
from inmateria.transport.disorder.remote_dopants import RemoteDopants

FIGURE = Path("docs/figures/reconstruction_refined.png")
# A fit that is this good is right: it is in doubt otherwise.
GOOD = 0.1


def main(arguments: list[str]) -> None:
    """One row a sample."""
    options = {"-n": 12, "-i": 150}
    given = list(arguments)
    for flag in options:
        if flag in given:
            at = given.index(flag)
            options[flag] = int(given[at + 1])
            del given[at : at + 2]
    if not given:
        sys.exit(__doc__)
    store, model = open_store(given[0]), load_model(given[1] if len(given) > 1 else "default")
    assert isinstance(model, Reconstructor)
    settings = GenerationSettings.model_validate(dict(store.layout.configuration))
    gas, pixel = settings.gas.gas(), settings.keep.resolution
    # Where the distance of the dopants is not known, the smallest that may be.
    dopants = RemoteDopants(spacing_nm=settings.disorder.spacing_nm[0])
    n, block = options["-n"], int(model.about["blocks"]["test"][0])
    kept = store.read_block(block, ["dopant_spacing_nm", "density_per_cm2", "coefficients"])
    truth = potential(settings, kept["dopant_spacing_nm"][:n], kept["coefficients"][:n])
    rows = []
    print(
        "sample  s, nm  N_d, 1e12   r network   r before    r after  misfit before  after  seconds"
    )
    for i, true in enumerate(truth):
        measured = block_average(gas.pldos(true, accuracy=1e-5), pixel)
        found = model.reconstruct(measured)
        size = gas.n_x // found.potential_mev.shape[0]
        network = float(pearson(found.potential_mev, block_average(true, size)))
        start = on_sites(found.potential_mev, gas, dopants, uncertainty_mev=found.uncertainty_mev)
        began = time.perf_counter()
        best = refine(gas, start, measured, dopants=dopants, pixel=pixel, most=options["-i"])
        spent = time.perf_counter() - began
        before, after = float(pearson(start, true)), float(pearson(best.potential_mev, true))
        rows.append((before, after, best.misfit_before, best.misfit_after))
        print(
            f"{i:6d} {kept['dopant_spacing_nm'][i]:6.1f} {kept['density_per_cm2'][i] / 1e12:10.2f} "
            f"{network:11.4f} {before:10.4f} {after:10.5f} {best.misfit_before:14.3f} "
            f"{best.misfit_after:6.3f} {spent:8.1f}",
            flush=True,
        )
    before, after, _, misfit = np.array(rows).T
    print(
        f"median of r: {np.median(before):.4f} before, {np.median(after):.5f} after; "
        f"{(misfit < GOOD).sum()} of {n} with a misfit below {GOOD}, of which r is "
        f"{np.median(after[misfit < GOOD]) if (misfit < GOOD).any() else np.nan:.5f} in the median"
    )
    figure = Figure(figsize=(4.6, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.loglog(misfit, 1 - after, "o", color="#0072b2", label="refined")
    axes.loglog(np.array(rows)[:, 2], 1 - before, "o", color="#d55e00", label="network")
    axes.set(xlabel="misfit of the computed image, which needs no truth", ylabel="1 - r")
    axes.legend(frameon=False)
    axes.grid(color="#dfe3e8", lw=0.6, which="both")
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
