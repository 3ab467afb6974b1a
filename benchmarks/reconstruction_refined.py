"""From a network's answer to a refined potential: `python -m benchmarks.reconstruction_refined
STORE [MODEL] [-n SAMPLES] [-i ITERATIONS] [-s NOISE]`.

Samples of STORE that MODEL (the default one) has not seen; the measured image is the exact
PLDOS on the model's pixels, with white noise of NOISE times its mean, set to zero where that
is negative. Prints correlations with the truth on sites and misfits before and after, which
need no truth, and the dopants read from what was refined. Without noise, draws them into
docs/figures.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inmateria.data.sample_store import open_store
from inmateria.datasets.averaging import block_average
from inmateria.datasets.disorder import potential
from inmateria.datasets.settings import GenerationSettings
from inmateria.reconstruction.band_limited import on_sites
from inmateria.reconstruction.dopants import estimate_dopants
from inmateria.reconstruction.limits import two_parameter_limit
from inmateria.reconstruction.load import load_model
from inmateria.reconstruction.metrics import pearson, relative_rms
from inmateria.reconstruction.noise import white_noise
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.refinement import refine
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.gas import ElectronGas

FIGURE = Path("docs/figures/reconstruction_refined.png")
DOPANTS_FIGURE = Path("docs/figures/reconstruction_dopants.png")
# A fit that is this good is right: it is in doubt otherwise.
GOOD = 0.1
# Which potential, and whether the ranges of the set are known, as a network knows them.
DOPANTS_FROM = {
    "refined": ("refined", False),
    "refined, ranges known": ("refined", True),
    "exact": ("exact", False),
    "exact, ranges known": ("exact", True),
}


def main(arguments: list[str]) -> None:
    """One row a sample."""
    options: dict[str, float] = {"-n": 12, "-i": 150, "-s": 0.0}
    given = list(arguments)
    for flag in options:
        if flag in given:
            at = given.index(flag)
            options[flag] = float(given[at + 1])
            del given[at : at + 2]
    if not given:
        sys.exit(__doc__)
    store, model = open_store(given[0]), load_model(given[1] if len(given) > 1 else "default")
    assert isinstance(model, Reconstructor)
    settings = GenerationSettings.model_validate(dict(store.layout.configuration))
    gas, pixel = settings.gas.gas(), settings.keep.resolution
    # Where the distance of the dopants is not known, the smallest that may be.
    dopants = RemoteDopants(spacing_nm=settings.disorder.spacing_nm[0])
    n, noise, block = int(options["-n"]), options["-s"], int(model.about["blocks"]["test"][0])
    kept = store.read_block(block, ["dopant_spacing_nm", "density_per_cm2", "coefficients"])
    truth = potential(settings, kept["dopant_spacing_nm"][:n], kept["coefficients"][:n])
    ranges = {
        "spacing_nm": settings.disorder.spacing_nm,
        "density_per_cm2": settings.disorder.density_per_cm2,
    }
    rows: list[tuple[float, ...]] = []
    dopants_found: dict[str, list[list[float]]] = {name: [] for name in DOPANTS_FROM}
    dopants_true: list[list[float]] = []
    deviations: list[tuple[float, float]] = []
    print(
        "sample  s, nm  N_d, 1e12   r network   r before    r after  misfit before  after  seconds"
    )
    for i, true in enumerate(truth):
        measured = block_average(gas.pldos(true, accuracy=1e-5), pixel)
        level = noise * measured.mean()
        measured += level * np.random.default_rng(i).standard_normal(measured.shape)
        measured = np.maximum(measured, 0.0)  # as a network takes it
        sigma = white_noise(measured, gas)
        found = model.reconstruct(measured)
        size = gas.n_x // found.potential_mev.shape[0]
        network = float(pearson(found.potential_mev, block_average(true, size)))
        start = on_sites(found.potential_mev, gas, dopants, uncertainty_mev=found.uncertainty_mev)
        began = time.perf_counter()
        best = refine(gas, start, measured, dopants=dopants, pixel=pixel, most=int(options["-i"]),
                      noise=max(1e-3, sigma / np.abs(measured).max()))  # fmt: skip
        spent = time.perf_counter() - began
        before, after = float(pearson(start, true)), float(pearson(best.potential_mev, true))
        rows.append((before, after, best.misfit_before, best.misfit_after))
        print(
            f"{i:6d} {kept['dopant_spacing_nm'][i]:6.1f} {kept['density_per_cm2'][i] / 1e12:10.2f} "
            f"{network:11.4f} {before:10.4f} {after:10.5f} {best.misfit_before:14.3f} "
            f"{best.misfit_after:6.3f} {spent:8.1f}",
            flush=True,
        )
        s, n_d = float(kept["dopant_spacing_nm"][i]), float(kept["density_per_cm2"][i])
        exact = RemoteDopants(spacing_nm=s, density_per_cm2=n_d)
        dopants_true.append([s, n_d, exact.rms_mev, exact.correlation_length_nm, float(true.std())])
        for name, (which, known) in DOPANTS_FROM.items():
            given = best.potential_mev if which == "refined" else true
            e = estimate_dopants(given, gas, **(ranges if known else {}))
            dopants_found[name].append(
                [e.spacing_nm, e.density_per_cm2, e.rms_mev, e.correlation_nm, float(given.std())]
            )
            if name == "refined":
                deviations.append((e.spacing_sd_nm, e.density_sd_per_cm2))
    before, after, _, misfit = np.array(rows).T
    print(
        f"median of r: {np.median(before):.4f} before, {np.median(after):.5f} after; "
        f"{(misfit < GOOD).sum()} of {n} with a misfit below {GOOD}, of which r is "
        f"{np.median(after[misfit < GOOD]) if (misfit < GOOD).any() else np.nan:.5f} in the median"
    )
    _print_dopants(gas, dopants_found, dopants_true)
    if noise:
        return
    figure = Figure(figsize=(4.6, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.loglog(misfit, 1 - after, "o", color="#0072b2", label="refined")
    axes.loglog(np.array(rows)[:, 2], 1 - before, "o", color="#d55e00", label="network")
    axes.set(xlabel="misfit of the computed image, which needs no truth", ylabel="1 - r")
    axes.legend(frameon=False)
    axes.grid(color="#dfe3e8", lw=0.6, which="both")
    figure.savefig(FIGURE, dpi=110)
    _draw_dopants(np.array(dopants_found["refined"]), np.array(deviations), np.array(dopants_true))


def _draw_dopants(
    found: NDArray[np.float64], deviation: NDArray[np.float64], true: NDArray[np.float64]
) -> None:
    figure = Figure(figsize=(6.4, 3.0), layout="constrained")
    labels = (("s", "nm", 1.0), ("$N_d$", "$10^{12}$ cm$^{-2}$", 1e12))
    for k, (axes, (name, unit, size)) in enumerate(zip(figure.subplots(1, 2), labels, strict=True)):
        x, y, sd = true[:, k] / size, found[:, k] / size, deviation[:, k] / size
        axes.errorbar(x, y, sd, fmt="o", ms=3, lw=0.8, color="#0072b2", ecolor="#9fbfd8")
        ends = [x.min(), x.max()]
        axes.plot(ends, ends, color="#555555", lw=0.8)
        axes.set(xlabel=f"true {name} ({unit})", ylabel=f"found {name} ({unit})")
        axes.grid(color="#dfe3e8", lw=0.6)
    figure.savefig(DOPANTS_FIGURE, dpi=110)


def _print_dopants(
    gas: ElectronGas, found: dict[str, list[list[float]]], true: list[list[float]]
) -> None:
    print("\nrelative rms error of              s    N_d    rms     xi  rms of the sample itself")
    for name, rows in found.items():
        errors = relative_rms(np.array(rows), np.array(true))
        print(f"{name:30s}", " ".join(f"{100 * e:5.1f}%" for e in errors[:4]),
              f"{100 * errors[4]:8.2f}%")  # fmt: skip
    limit = two_parameter_limit(RemoteDopants(), gas)
    shown = (limit.spacing, limit.density, limit.rms, limit.correlation_length)
    print(f"{'unbiased, at best (s = 50 nm)':30s}", " ".join(f"{100 * e:5.1f}%" for e in shown))


if __name__ == "__main__":
    main(sys.argv[1:])
