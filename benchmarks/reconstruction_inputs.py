"""What of a sample is measured, and how well its potential is found.

    python -m benchmarks.reconstruction_inputs train FOLDER [--quick]
    python -m benchmarks.reconstruction_inputs test STORE [MODEL] [--quick]

`train`: one network after the other, the same but for what it sees, on the same samples of a
small gas (640 nm x 480 nm, sites of 10 nm; two cores do nothing larger in minutes): PLDOS, a
weak tip's map, a strong one's, PLDOS in magnetic fields too, PLDOS at temperatures. Sets
are kept in FOLDER.

`test`: MODEL (the default one) on held-out samples of STORE, as they are and with noise, a
broad tip, and at temperatures it was not trained for. Figures go to docs/figures.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from inmateria.data.sample_store import open_store
from inmateria.datasets.averaging import block_average
from inmateria.datasets.disorder import potential
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import (
    GasSettings,
    GateMapSettings,
    GenerationSettings,
    KeptSettings,
)
from inmateria.reconstruction.augment import Augmentation
from inmateria.reconstruction.fit import fit_preset
from inmateria.reconstruction.load import load_model
from inmateria.reconstruction.metrics import coverage, pearson
from inmateria.reconstruction.presets import PRESETS
from inmateria.reconstruction.reconstructor import NINETY, Reconstructor
from inmateria.reconstruction.stored import read_images, read_targets
from inmateria.transport.energies import at_temperature

LOW, HIGH = "#0072b2", "#d55e00"
FIGURES = Path("docs/figures")

# Heights of tips: 0.036 and half of the Fermi energy.
WEAK_MEV, STRONG_MEV, TIP_NM = 0.2, 2.8, 15.0
FIELDS_T = (0.05, 0.1)
TEMPERATURES_K = (0.3, 1.0, 4.2)
ENERGIES = 33


def settings(n: int, **changes: object) -> GenerationSettings:
    """A set of the small gas; the same seed gives the same disorder in all."""
    small = GenerationSettings(
        n_samples=n,
        seed=7,
        block_size=64,
        gas=GasSettings(n_x=64, n_y=48, spacing_nm=10.0),
        keep=KeptSettings(coefficients=False, potential="float16"),
    )
    return small.model_copy(update=changes)


def sets(n: int) -> dict[str, tuple[GenerationSettings, tuple[str, ...]]]:
    """What is measured: the set, and which of its variables the network sees."""
    pldos = settings(n)

    def tip(height_mev: float, method: str) -> GenerationSettings:
        gate = GateMapSettings(
            tip_height_mev=height_mev, tip_width_nm=TIP_NM, stride=2, method=method
        )
        return settings(n, scanning_gate=gate)

    found = {
        "PLDOS": (pldos, ("pldos",)),
        "map of a weak tip": (tip(WEAK_MEV, "first-order"), ("gate_map",)),
        "map of a strong tip": (tip(STRONG_MEV, "exact"), ("gate_map",)),
        "PLDOS in three fields": (settings(n, field_t=FIELDS_T), ("pldos", "pldos_in_field")),
    }
    for kelvin in TEMPERATURES_K:
        warm = settings(n, temperature_k=kelvin, temperature_energies=ENERGIES)
        found[f"PLDOS at {kelvin:g} K"] = (warm, ("pldos",))
    return found


def train(folder: Path, *, quick: bool) -> None:
    """One network after the other."""
    n, epochs = (320, 1) if quick else (1536, 10)
    print(f"{n} samples of 640 nm x 480 nm, {epochs} epochs, potentials on squares of 40 nm")
    print("measured                  r median   r lowest   rms error, of the potential's")
    names, errors = [], []
    for name, (chosen, image) in sets(n).items():
        path = folder / (name.replace(" ", "_") + ".zarr")
        generate(chosen, path, workers=1)
        by_position = chosen.scanning_gate is not None
        preset = replace(
            PRESETS["unet"],
            options={"width": 32, "depth": 2, "shrink": 2 if by_position else 4},
            form="signed" if by_position else "amplitude",
            # Mirror images are of the opposite field: none is shown them.
            plan=replace(
                PRESETS["unet"].plan, epochs=epochs, augmentation=Augmentation(mirror=False)
            ),
        )
        found = fit_preset(
            open_store(path), preset, image=image if len(image) > 1 else image[0]
        ).errors
        print(
            f"{name:24s} {found['r_median']:9.4f} {found['r_lowest']:10.4f} "
            f"{found['relative_rms_error']:12.1%}",
            flush=True,
        )
        names.append(name)
        errors.append(100 * found["relative_rms_error"])
    figure = Figure(figsize=(6.5, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.barh(names[::-1], errors[::-1], color=LOW)
    axes.set(xlabel="rms error of the potential, % of its rms, on squares of 40 nm")
    figure.savefig(FIGURES / "reconstruction_inputs.png", dpi=100)


def test(path: str, model: Reconstructor, *, quick: bool) -> None:
    """A trained network on images that are worse than its own."""
    store = open_store(path)
    block = model.about["blocks"]["test"][0]
    pixel = round(model.potential_pixel_nm / model.image_pixel_nm)
    images = read_images(store, block, "pldos")
    true = read_targets(store, block, "potential", pixel)
    generator = np.random.default_rng(0)

    def row(what: str, changed: np.ndarray, truth: np.ndarray) -> float:
        found = model.reconstruct(np.maximum(changed, 0.0))
        r = pearson(found.potential_mev, truth)
        inside = coverage(found.potential_mev, found.uncertainty_mev, truth, NINETY)
        strange = np.mean(found.warning != "")
        print(f"{what:28s}{np.median(r):10.4f}{r.min():10.4f}{inside:12.1%}{strange:10.0%}")
        return float(np.median(r))

    print("image                         r median  r lowest  in 90 % int.   flagged")
    row("as computed", images, true)
    noises, widths = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5), (5.0, 10.0, 15.0, 20.0, 30.0)
    mean = images.mean(axis=(1, 2), keepdims=True)
    noisy = [
        row(f"noise {s:g} of the mean", images + s * mean * generator.normal(size=images.shape),
            true) for s in noises
    ]  # fmt: skip
    broad = []
    for width in widths:
        sigma = width / model.image_pixel_nm
        smeared = gaussian_filter(images, (0, sigma, sigma), mode="nearest")
        broad.append(row(f"broadened by {width:g} nm", smeared, true))
    configuration = GenerationSettings.model_validate(dict(store.layout.configuration))
    gas, n = configuration.gas.gas(), 8 if quick else 24
    kept = store.read_block(block, ["dopant_spacing_nm", "coefficients"])
    exact = potential(configuration, kept["dopant_spacing_nm"][:n], kept["coefficients"][:n])
    warm = []
    for kelvin in TEMPERATURES_K:
        hot = at_temperature(gas, exact, kelvin, accuracy=1e-2, energies=ENERGIES).pldos
        shown = block_average(hot, configuration.keep.resolution)
        warm.append(row(f"at {kelvin:g} K ({n} samples)", shown, true[:n]))
    figure = Figure(figsize=(8.5, 2.8), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, x, y, label in zip(
        panels,
        (noises, widths, TEMPERATURES_K),
        (noisy, broad, warm),
        ("noise, of the mean PLDOS", "broadening (standard deviation), nm", "temperature, K"),
        strict=True,
    ):
        axes.plot(x, y, "o-", color=LOW)
        axes.set(xlabel=label)
        axes.grid(color="#dfe3e8", lw=0.6)
    panels[0].set(ylabel="median r", xscale="log")
    figure.savefig(FIGURES / "reconstruction_robustness.png", dpi=100)


def main(arguments: list[str]) -> None:
    """`train` or `test`."""
    quick = "--quick" in arguments
    given = [a for a in arguments if a != "--quick"]
    if len(given) >= 2 and given[0] == "train":
        folder = Path(given[1])
        folder.mkdir(parents=True, exist_ok=True)
        train(folder, quick=quick)
    elif len(given) >= 2 and given[0] == "test":
        model = load_model(given[2] if len(given) > 2 else "default")
        assert isinstance(model, Reconstructor)
        test(given[1], model, quick=quick)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
