"""What `inmateria reconstruct infer` does: ask the network, compute its image, refine, and read
the dopants from what was refined."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.cli.progress import step
from inmateria.cli.reconstruct_image import Images, read_images
from inmateria.cli.reconstruct_settings import InferSettings
from inmateria.errors import ConfigurationError, InMateriaError, ParameterError

if TYPE_CHECKING:
    from inmateria.data.runs import Run
    from inmateria.reconstruction.load import Model
    from inmateria.transport.disorder.remote_dopants import RemoteDopants
    from inmateria.transport.gas import ElectronGas

Arrays = dict[str, Any]

# Of the largest value of an image: what its computation is off by.
LEAST_NOISE = 1e-3
# What the file calls the parts of a `DopantEstimate`.
DOPANTS = {
    "dopant_spacing_nm": "spacing_nm",
    "density_per_cm2": "density_per_cm2",
    "rms_mev": "rms_mev",
    "correlation_nm": "correlation_nm",
    "dopant_spacing_sd_nm": "spacing_sd_nm",
    "density_sd_per_cm2": "density_sd_per_cm2",
    "rms_sd_mev": "rms_sd_mev",
    "correlation_sd_nm": "correlation_sd_nm",
    "spectrum_misfit": "spectrum_misfit",
}


@dataclass(frozen=True, eq=False)
class Task:
    """What the steps work on.

    Parameters
    ----------
    settings : InferSettings
    model : Reconstructor or NumberReader
    model_sha256 : str
    images : Images
    gas : ElectronGas, optional
        Of the set that the model was trained on; None where images of it cannot be computed.
    dopants : RemoteDopants, optional
        The nearest ones of that set.
    """

    settings: InferSettings
    model: Model
    model_sha256: str
    images: Images
    gas: ElectronGas | None
    dopants: RemoteDopants | None

    @property
    def computes(self) -> bool:
        """Whether the image of a potential can be computed."""
        return self.gas is not None and str(self.model.about.get("image")) == "pldos"


def prepare(settings: InferSettings) -> Task:
    """Read model and images, and refuse what cannot go on.

    Raises
    ------
    ModelFileError, DataFileError, ShapeError, NotFiniteError, ConfigurationError
    """
    from inmateria.data.provenance import sha256_file
    from inmateria.reconstruction.load import load_model, model_path
    from inmateria.reconstruction.number_reader import NumberReader

    model = load_model(settings.model)
    images = read_images(
        Path(settings.file), model, variable=settings.variable, pixel_nm=settings.pixel_nm
    )
    gas, dopants = _physics(model)
    images = _on_sites(images, model, gas)
    task = Task(settings, model, sha256_file(model_path(settings.model)), images, gas, dopants)
    if settings.refine:
        if isinstance(model, NumberReader):
            raise ConfigurationError(
                f"--refine starts from a potential, and {settings.model} reads numbers; leave it "
                "out, or give a model of potentials"
            )
        if not task.computes:
            raise ConfigurationError(
                f"--refine computes PLDOS at zero temperature, and {settings.model} was trained "
                f"on {model.about.get('image', 'images')} of another kind or does not say of "
                "which electron gas; leave it out, or use inmateria.reconstruction.refinement"
            )
    return task


def ask_network(task: Task, path: Path, run: Run) -> None:
    """Write what the network says, and the image that its potential would give."""
    from inmateria.data.reconstruction_file import write_reconstruction
    from inmateria.reconstruction.number_reader import NumberReader

    values, model = task.images.values, task.model
    pixel = task.images.pixel_nm
    arrays: Arrays = {
        **_centres("", values.shape[-2:], pixel, task),
        "image": task.images.first,
    }
    with step("asking the network"):
        if isinstance(model, NumberReader):
            reading = model.read(values)
            warnings = reading.warning
            arrays |= _numbers(reading.names, reading.values)
        else:
            found = model.reconstruct(values)
            warnings = found.warning
            shape = found.potential_mev.shape[1:]
            arrays |= _centres("potential_", shape, found.pixel_nm, task)
            arrays |= {
                "potential_mev": found.potential_mev,
                "uncertainty_mev": found.uncertainty_mev,
            }
    if task.computes and not isinstance(model, NumberReader):
        arrays |= _computed(task, arrays["potential_mev"], arrays["uncertainty_mev"])
    write_reconstruction(path, arrays, _attributes(task, run, warnings.tolist()))


def refine_images(task: Task, path: Path) -> None:
    """Refine the potentials that are not yet, one by one; each is kept when it is done."""
    from inmateria.data.reconstruction_file import open_reconstruction, write_reconstruction
    from inmateria.reconstruction.band_limited import on_sites
    from inmateria.reconstruction.noise import white_noise
    from inmateria.reconstruction.refinement import refine

    assert task.gas is not None
    assert task.dopants is not None
    kept = open_reconstruction(path)
    arrays: Arrays = {str(name): kept[name].values.copy() for name in kept.variables}
    n, (n_x, n_y) = len(task.images.values), task.gas.shape
    if "refined_mev" not in arrays:
        arrays |= _centres("site_", (n_x, n_y), task.gas.spacing_nm, task)
        arrays |= {"refined_mev": np.full((n, n_x, n_y), np.nan)}
        arrays |= {"refined_computed": np.full(task.images.values.shape, np.nan)}
    for name in ("refined_scale", "refined_misfit_before", "refined_misfit", *DOPANTS):
        arrays.setdefault(name, np.full(n, np.nan))
    arrays["image_noise"] = np.array([white_noise(one, task.gas) for one in task.images.values])
    attrs = {k: v for k, v in kept.attrs.items() if k != "attributes_sha256"}
    for i in np.flatnonzero(np.isnan(arrays["refined_misfit"])):
        title = "refining" if n == 1 else f"refining image {i} of {n}"
        with step(title) as report:

            def tell(done: int, misfit: float, report: Any = report) -> None:
                report(done, task.settings.iterations, f"misfit {misfit:.4f}")

            found = refine(
                task.gas,
                on_sites(
                    arrays["potential_mev"][i],
                    task.gas,
                    task.dopants,
                    uncertainty_mev=arrays["uncertainty_mev"][i],
                ),
                task.images.values[i],
                dopants=task.dopants,
                pixel=_sites(task),
                noise=_relative_noise(arrays["image_noise"][i], task.images.values[i]),
                free_scale=task.images.free_scale,
                most=task.settings.iterations,
                progress=tell,
            )
        arrays["refined_mev"][i] = found.potential_mev
        arrays["refined_computed"][i] = found.scale * found.image
        arrays["refined_scale"][i] = found.scale
        arrays["refined_misfit_before"][i] = found.misfit_before
        arrays["refined_misfit"][i] = found.misfit_after
        for name, value in _dopants_of(task, found.potential_mev).items():
            arrays[name][i] = value
        write_reconstruction(path, arrays, attrs)


def _relative_noise(sigma: float, image: Any) -> float:
    """Of the largest value, as `refine` takes it; not below what is computed inexactly."""
    return float(np.fmax(LEAST_NOISE, sigma / np.abs(image).max()))


def _dopants_of(task: Task, potential: Any) -> dict[str, float]:
    """`DOPANTS` of a refined potential; empty where the sample is too small for an estimate."""
    from inmateria.reconstruction.dopants import estimate_dopants

    assert task.gas is not None
    try:
        found = estimate_dopants(potential, task.gas, host=task.dopants)
    except ParameterError:
        return {}
    values = asdict(found)
    return {name: values[part] for name, part in DOPANTS.items()}


def _computed(task: Task, potentials: Any, uncertainties: Any) -> Arrays:
    from inmateria.reconstruction.band_limited import on_sites
    from inmateria.reconstruction.misfit import computed_pldos

    assert task.gas is not None
    assert task.dopants is not None
    found = []
    with step("computing its image") as report:
        each = zip(potentials, uncertainties, task.images.values, strict=True)
        for i, (potential, sigma, image) in enumerate(each):
            sites = on_sites(potential, task.gas, task.dopants, uncertainty_mev=sigma)
            one = computed_pldos(task.gas, sites, image, free_scale=task.images.free_scale)
            found.append(one)
            report(i + 1, len(potentials))
    return {
        "computed": np.stack([one.image for one in found]),
        "computed_scale": [one.scale for one in found],
        "misfit": [one.misfit for one in found],
    }


def _numbers(names: tuple[str, ...], values: Any) -> Arrays:
    from inmateria.reconstruction.number_reader import PARAMETERS

    if names[:2] == PARAMETERS:
        return {name: values[:, k] for k, name in enumerate(names)}
    places = [text[text.index("(") + 1 : -1].split(", ") for text in names[::2]]
    return {
        "coefficient_m_x": [int(x) for x, _ in places],
        "coefficient_m_y": [int(y) for _, y in places],
        "coefficient_real": values[:, ::2],
        "coefficient_imag": values[:, 1::2],
    }


def _centres(start: str, shape: tuple[int, ...], pixel_nm: float, task: Task) -> Arrays:
    """Where pixels are: the first site is at zero."""
    site = task.gas.spacing_nm if task.gas is not None else pixel_nm
    return {
        f"{start}{axis}": np.arange(n) * pixel_nm + (pixel_nm - site) / 2
        for axis, n in zip("xy", shape, strict=True)
    }


def _on_sites(images: Images, model: Model, gas: ElectronGas | None) -> Images:
    """Images with a whole number of sites a pixel, on the model's pixels where they had none."""
    if gas is None or gas.n_x % images.values.shape[-2] == 0:
        return images
    from inmateria.reconstruction.pixels import on_pixels

    channels = images.channels
    values = on_pixels(images.values, model.shape, model.image_pixel_nm, channels=channels)[0]
    return replace(images, values=values, pixel_nm=model.image_pixel_nm)


def _sites(task: Task) -> int:
    from inmateria.reconstruction.misfit import sites_per_pixel

    assert task.gas is not None
    return sites_per_pixel(task.gas, task.images.values.shape[1:])


def _physics(model: Model) -> tuple[ElectronGas | None, RemoteDopants | None]:
    """The electron gas and the nearest dopants of a model's training set, if it says so."""
    from inmateria.datasets.disorder import dopants
    from inmateria.datasets.settings import GenerationSettings

    try:
        configuration = model.about["configuration"]
        settings = GenerationSettings.model_validate(configuration)
        # What is not said must not become the default's.
        if settings.temperature_k > 0 or not {"gas", "disorder"} <= set(configuration):
            return None, None
        low, high = settings.disorder.density_per_cm2
        nearest = dopants(settings, settings.disorder.spacing_nm[0], (low + high) / 2)
        return settings.gas.gas(), nearest
    except (InMateriaError, KeyError, ValueError, TypeError):
        return None, None


def _attributes(task: Task, run: Run, warnings: list[str]) -> dict[str, Any]:
    from inmateria.data.provenance import canonical_json, parent, software

    started = json.loads((run.path / "provenance.json").read_text(encoding="utf-8"))
    gas = None if task.gas is None else asdict(task.gas) | {"hopping_mev": task.gas.hopping_mev}
    return {
        "image_units": task.images.unit or "unknown",
        "warnings": json.dumps(warnings),
        "gas": canonical_json(gas),
        "configuration": canonical_json(task.settings.model_dump(mode="json", exclude_none=True)),
        "model_sha256": task.model_sha256,
        "parents": canonical_json([parent(task.settings.file)]),
        "software": software(),
        "started_utc": str(started["started_utc"]),
    }
