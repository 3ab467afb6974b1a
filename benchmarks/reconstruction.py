"""Networks against the figures of Percebois & Weinmann 2021, and learning curves.

    python -m benchmarks.reconstruction STORE MODEL... [-o FOLDER]

Each MODEL was written by `inmateria reconstruct train STORE`; it is judged on the blocks of
STORE that were held out. Prints one row a model, beside the paper's numbers, and draws into
FOLDER (by default docs/figures): s and N_d with their errors (their Fig. 3), Fourier
coefficients (Figs. 4 and 5), potentials (Figs. 6 to 8), and errors against the number of
samples where several networks of one kind are given.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from inmateria.data.sample_store import SampleStore, open_store
from inmateria.datasets.averaging import block_average
from inmateria.reconstruction.evaluation import (
    NumberEvaluation,
    PotentialEvaluation,
    constant_rms_slope,
    evaluate,
    example,
    ranked,
)
from inmateria.reconstruction.limits import two_parameter_limit
from inmateria.reconstruction.load import load_model
from inmateria.reconstruction.metrics import pearson, rms_error
from inmateria.reconstruction.number_reader import NumberReader
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.stored import read_images, read_targets
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.gas import ElectronGas

PAPER = "paper: s 4.6 %, N_d 18 %, rms 2.9 %, correlation length 3.6 %"
# Of those held out: a thousand samples and more.
BLOCKS = 8
# Side of the squares that potentials of all networks are compared on.
COMMON_NM = 40.0

LOW, HIGH, INK = "#0072b2", "#d55e00", "#1b1f24"


def held_out(model: Reconstructor | NumberReader, store: SampleStore) -> list[int]:
    """Blocks that neither trained nor calibrated a model."""
    blocks = model.about["blocks"]["test"]
    assert set(blocks) <= set(store.done_blocks())
    return [int(block) for block in blocks[:BLOCKS]]


def on_common_pixels(
    model: Reconstructor, store: SampleStore, blocks: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation and rms error of each sample, on the same squares for every network."""
    pixel_nm = 2 * float(store.layout.configuration["gas"]["spacing_nm"])
    r, rms = [], []
    for block in blocks:
        found = model.reconstruct(read_images(store, block, model.about["image"]))
        coarse = block_average(found.potential_mev, round(COMMON_NM / found.pixel_nm))
        true = read_targets(store, block, "potential", round(COMMON_NM / pixel_nm))
        r.append(pearson(coarse, true))
        rms.append(rms_error(coarse, true))
    return np.concatenate(r), np.concatenate(rms)


def potentials(name: str, model: Reconstructor, store: SampleStore, folder: Path) -> dict[str, Any]:
    """A row, and examples as a figure."""
    blocks = held_out(model, store)
    found = evaluate(model, store, blocks, image=model.about["image"])
    assert isinstance(found, PotentialEvaluation)
    r, rms = on_common_pixels(model, store, blocks)
    summary = found.summary()
    error = float(np.sqrt((rms**2).mean()))
    inside = summary["coverage_90"]
    share = "" if inside is None else f", {inside:.1%} of pixels in their 90 % interval"
    print(
        f"{name:24s} {model.about['training_samples']:6d} samples, "
        f"{len(model.about['history']['training_loss'])} epochs: r median {np.median(r):.4f}, "
        f"lowest {r.min():.4f}, above 0.99 {(r > 0.99).mean():.1%}; rms error {error:.3f} meV, "
        f"{error / found.scale_mev:.1%} of the potential's{share}",
        flush=True,
    )
    figure = Figure(figsize=(9.5, 5.8), layout="constrained")
    for line, sample in enumerate(ranked(found, 0.5, 0.1, 0.0)):
        one = example(model, store, sample, image=model.about["image"])
        extent = [0.0, 1.28, 0.0, 0.96]
        top = float(np.abs(one.true_mev).max())
        bright = float(np.quantile(one.image, 0.99))
        shown = [
            ("image", one.image, "magma", (float(min(0.0, one.image.min())), bright)),
            ("true, meV", one.true_mev, "RdBu_r", (-top, top)),
            (f"found, r = {one.r:.4f}", one.found_mev, "RdBu_r", (-top, top)),
            ("error, meV", one.found_mev - one.true_mev, "RdBu_r", (-top / 2, top / 2)),
        ]
        for column, (title, values, colours, (low, high)) in enumerate(shown):
            axes = figure.add_subplot(3, 4, 4 * line + column + 1)
            drawn = axes.imshow(
                values.T, origin="lower", extent=extent, cmap=colours, vmin=low, vmax=high
            )
            figure.colorbar(drawn, ax=axes, shrink=0.55)
            axes.set_title(("median", "1 in 10 is worse", "worst")[line] + ": " + title
                           if column == 0 else title, fontsize=8.5)  # fmt: skip
            axes.tick_params(labelsize=7)
            if line == 2:
                axes.set_xlabel("x, µm", fontsize=8)
    figure.savefig(folder / f"reconstruction_{name}.png", dpi=90)
    kind = str(model.kind)
    return {"kind": kind, "samples": model.about["training_samples"], "error": error, "r": r,
            "plan": model.about["plan"]}  # fmt: skip


def parameters(model: NumberReader, found: NumberEvaluation, folder: Path) -> None:
    """s and N_d: errors, beside the paper's and beside the limit."""
    summary = found.summary()
    print(
        f"two parameters           {model.about['training_samples']:6d} samples: "
        + ", ".join(
            f"{name} {summary['relative_error_' + key]:.1%}"
            for name, key in (
                ("s", "s"),
                ("N_d", "density"),
                ("rms", "rms"),
                ("correlation length", "correlation_length"),
            )
        )
        + f"; errors of s and N_d correlate by {summary['correlation_of_errors']:.2f}"
    )
    print(f"{'':24s} {PAPER}")
    limit = two_parameter_limit(RemoteDopants(), ElectronGas())
    print(
        f"{'':24s} limit given the exact potential: s {limit.spacing:.1%}, N_d "
        f"{limit.density:.1%}, correlation {limit.correlation:.2f}; times the limit: s "
        f"{summary['relative_error_s'] / limit.spacing:.2f}, N_d "
        f"{summary['relative_error_density'] / limit.density:.2f}"
    )
    guess = found.true.std(axis=0) / found.true.mean(axis=0)
    print(f"{'':24s} always the mean of the range: s {guess[0]:.1%}, N_d {guess[1]:.1%}")
    figure = Figure(figsize=(9.5, 3.1), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, k, unit, scale in ((left, 0, "s, nm", 1.0), (middle, 1, "N_d, 1e12/cm²", 1e-12)):
        axes.plot(found.true[:, k] * scale, found.found[:, k] * scale, ".", ms=2, color=LOW)
        ends = [found.true[:, k].min() * scale, found.true[:, k].max() * scale]
        axes.plot(ends, ends, color=INK, lw=0.8)
        axes.set(xlabel=f"true {unit}", ylabel=f"found {unit}")
    away = 100 * found.relative()
    right.plot(away[:, 0], away[:, 1], ".", ms=2, color=LOW)
    line = np.array([-15.0, 15.0])
    right.plot(line, constant_rms_slope(model, 50.0) * line, color=HIGH, lw=1, label="constant rms")
    right.set(xlabel="error of s, %", ylabel="error of N_d, %", xlim=(-25, 25), ylim=(-70, 110))
    right.legend(frameon=False, fontsize=8)
    figure.savefig(folder / "reconstruction_two_parameters.png", dpi=90)


def coefficients(model: NumberReader, found: NumberEvaluation, folder: Path) -> None:
    """Fourier coefficients: the correlation over those of each sample."""
    truth, guess = found.true, found.found
    rows = [np.corrcoef(a[a != 0], b[a != 0])[0, 1] for a, b in zip(truth, guess, strict=True)]
    r = np.array(rows)
    print(
        f"Fourier coefficients     {model.about['training_samples']:6d} samples: r over those of a "
        f"sample, median {np.median(r):.3f}, below 0.9 {(r < 0.9).mean():.0%}   (paper: about "
        "0.95, some below 0.9)"
    )
    figure = Figure(figsize=(7, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    some = int(np.argsort(r)[len(r) // 2])
    used = truth[some] != 0
    left.plot(truth[some, used], guess[some, used], ".", ms=4, color=LOW)
    ends = [truth[some].min(), truth[some].max()]
    left.plot(ends, ends, color=INK, lw=0.8)
    left.set(xlabel="true Re C, Im C", ylabel="found", title=f"median sample, r = {r[some]:.3f}")
    right.hist(r, bins=40, color=LOW)
    right.set(xlabel="r over the coefficients of a sample", ylabel="samples")
    figure.savefig(folder / "reconstruction_coefficients.png", dpi=90)


def histogram_and_curve(rows: dict[str, dict[str, Any]], folder: Path) -> None:
    """r of held-out samples, and the error against the samples trained on."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, row in rows.items():
        left.hist(np.log10(1 - row["r"]), bins=40, histtype="step", label=name)
    ticks = np.array([0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998])
    left.set_xticks(np.log10(1 - ticks), [f"{t:g}" for t in ticks])
    left.invert_xaxis()
    left.set(xlabel="r of a sample", ylabel="samples held out")
    left.legend(frameon=False, fontsize=7)
    kinds: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in rows.values():
        kinds[row["kind"]].append((row["samples"], row["error"]))
    for kind, points in kinds.items():
        n, error = zip(*sorted(points), strict=True)
        right.loglog(n, error, "o-", label=kind)
    right.set(xlabel="samples trained on", ylabel="rms error, meV")
    right.legend(frameon=False, fontsize=8)
    figure.savefig(folder / "reconstruction_learning.png", dpi=90)


def main(arguments: list[str]) -> None:
    """One row a model."""
    folder = Path("docs/figures")
    if "-o" in arguments:
        at = arguments.index("-o")
        folder = Path(arguments[at + 1])
        folder.mkdir(parents=True, exist_ok=True)
        arguments = arguments[:at] + arguments[at + 2 :]
    if len(arguments) < 2:
        sys.exit(__doc__)
    store, rows = open_store(arguments[0]), {}
    for path in arguments[1:]:
        model = load_model(path)
        name = Path(path).stem
        if isinstance(model, Reconstructor):
            rows[name] = potentials(name, model, store, folder)
            continue
        found = evaluate(model, store, held_out(model, store), image=model.about["image"])
        assert isinstance(found, NumberEvaluation)
        (parameters if model.gives_parameters else coefficients)(model, found, folder)
    if rows:
        histogram_and_curve(rows, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
