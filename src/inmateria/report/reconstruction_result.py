"""What was reconstructed from images, in a sentence and as rows of a table.

Everything is taken from the file of the run (`data.reconstruction_file`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import numpy as np

from inmateria.report.transport_quantities import array

if TYPE_CHECKING:
    import xarray as xr

# Refinements that found the truth ended below this, those in a wrong minimum above
# (`benchmarks.refinement`).
TRUSTED = 0.1
# Standard deviations by which a spectrum may differ from that of dopants.
LIKE_DOPANTS = 4.0
# Noise of an image, of its mean, that leaves the wave numbers from which dopants are read
# (`benchmarks.reconstruction_refined`).
QUIET = 0.06
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Kind = Literal["potential", "parameters", "coefficients"]

HEADERS: dict[Kind, tuple[str, ...]] = {
    "potential": (
        "image", "rms (meV)", "uncertainty (meV)", "misfit", "refined misfit", "s (nm)",
        "N_d (1/cm²)", "unlike",
    ),
    "parameters": (
        "image", "s (nm)", "N_d (1/cm²)", "rms (meV)", "correlation length (nm)", "unlike",
    ),
    "coefficients": ("image", "coefficients", "rms of |C|", "unlike"),
}  # fmt: skip


def kind_of(found: xr.Dataset) -> Kind:
    """What kind of model answered."""
    if "potential_mev" in found:
        return "potential"
    return "parameters" if "dopant_spacing_nm" in found else "coefficients"


def result_line(found: xr.Dataset) -> str:
    """What was found, in a sentence."""
    kind, n = kind_of(found), found.sizes["sample"]
    strange = sum(bool(text) for text in json.loads(found.attrs["warnings"]))
    line = {"potential": _potential, "parameters": _parameters, "coefficients": _coefficients}[
        kind
    ](found)
    if n > 1:
        line = f"{n} images, in the median: {line}"
    if strange:
        what = "the image is" if n == 1 else f"{strange} of {n} are"
        line += f"; {what} unlike the training set: not to be trusted"
    return line


def table(found: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """A header and a row for each image, without columns that are empty."""
    header, lines = HEADERS[kind_of(found)], _rows(found)
    used = [k for k in range(len(header)) if any(line[k] for line in lines)]
    return [header[k] for k in used], [[line[k] for k in used] for line in lines]


def _rows(found: xr.Dataset) -> list[tuple[str, ...]]:
    """A row of `HEADERS` for each image; what was not computed is empty."""
    kind, n = kind_of(found), found.sizes["sample"]
    warnings = json.loads(found.attrs["warnings"])
    unlike = ["yes" if text else "" for text in warnings]
    if kind == "potential":
        rms, sigma = _rms(array(found, "potential_mev")), _size(array(found, "uncertainty_mev"))
        columns = [_texts(rms), _texts(sigma)]
        for name in ("misfit", "refined_misfit"):
            columns.append(_texts(array(found, name)) if name in found else [""] * n)
        columns += _dopants(found)
    elif kind == "parameters":
        names = ("dopant_spacing_nm", "density_per_cm2", "rms_mev", "correlation_nm")
        columns = [_texts(array(found, name)) for name in names]
    else:
        size = array(found, "coefficient_real") ** 2 + array(found, "coefficient_imag") ** 2
        columns = [[str(found.sizes["coefficient"])] * n, _texts(np.sqrt(size.mean(axis=1)))]
    return [
        (str(i), *cells, flag)
        for i, (*cells, flag) in enumerate(zip(*columns, unlike, strict=True))
    ]


def _potential(found: xr.Dataset) -> str:
    rms = float(np.median(_rms(array(found, "potential_mev"))))
    line = f"a potential of {rms:.3g} meV rms"
    sigma = _size(array(found, "uncertainty_mev"))
    if np.isfinite(sigma).all():
        line += f", uncertain by {float(np.median(sigma)):.3g} meV"
    if "misfit" in found:
        line += f"; misfit of its image {_middle(found, 'misfit')}"
    if "refined_misfit" in found:
        line += f", after refinement {_middle(found, 'refined_misfit')}"
        if found.sizes["sample"] == 1 and (dopants := dopants_line(found, 0)):
            line += f"; {dopants}"
    return line


def dopants_line(found: xr.Dataset, i: int) -> str:
    """The dopants that a refined potential looks like, or nothing where they mean nothing."""
    if not dopants_are_told(found)[i]:
        return ""
    if array(found, "spectrum_misfit")[i] > LIKE_DOPANTS:
        return "its spectrum is not that of remote dopants"
    s, density = (column[i] for column in _dopants(found))
    return f"as of dopants {s} nm away, {density} per cm²"


def dopants_are_told(found: xr.Dataset) -> np.ndarray:
    """Whether each refined potential is right and fine enough to say what its dopants are."""
    if "spectrum_misfit" not in found:
        return np.zeros(found.sizes["sample"], dtype=bool)
    told = np.isfinite(array(found, "spectrum_misfit")) & is_trusted(found)
    if "image_noise" in found:
        loud = array(found, "image_noise") > QUIET * array(found, "image").mean(axis=(1, 2))
        told &= ~loud
    return np.asarray(told)


def _dopants(found: xr.Dataset) -> list[list[str]]:
    """s and N_d of each image with their deviations, empty where they mean nothing."""
    told = dopants_are_told(found)
    if told.any():
        told &= array(found, "spectrum_misfit") <= LIKE_DOPANTS
    return [
        [
            plus_minus(float(array(found, name)[i]), float(array(found, deviation)[i]))
            if told[i]
            else ""
            for i in range(len(told))
        ]
        for name, deviation in (
            ("dopant_spacing_nm", "dopant_spacing_sd_nm"),
            ("density_per_cm2", "density_sd_per_cm2"),
        )
    ]


def is_trusted(found: xr.Dataset) -> np.ndarray:
    """Whether each refined potential explains its image, but for the noise."""
    return np.asarray(array(found, "refined_misfit") < np.hypot(TRUSTED, noise_misfit(found)))


def noise_misfit(found: xr.Dataset) -> np.ndarray:
    """Misfit that the noise of each image makes on its own; 0 where it is not known."""
    if "image_noise" not in found:
        return np.zeros(found.sizes["sample"])
    spread = array(found, "image").std(axis=(1, 2))
    share = array(found, "image_noise") / np.where(spread > 0, spread, np.inf)
    return np.asarray(np.nan_to_num(share))


def plus_minus(value: float, deviation: float) -> str:
    """A number to the second digit of its standard deviation: "51.3 ± 2.1"."""
    power = int(np.floor(np.log10(abs(value)))) if value else 0
    if not -3 <= power <= 4:
        tens = f"10{str(power).translate(_RAISED)}"
        return f"({plus_minus(value / 10.0**power, deviation / 10.0**power)}) × {tens}"
    digits = max(0, 1 - int(np.floor(np.log10(deviation)))) if deviation > 0 else 0
    return f"{value:.{digits}f} ± {deviation:.{digits}f}"


def _parameters(found: xr.Dataset) -> str:
    s, density, rms, length = (
        float(np.median(array(found, name)))
        for name in ("dopant_spacing_nm", "density_per_cm2", "rms_mev", "correlation_nm")
    )
    return (
        f"s = {s:.3g} nm, N_d = {density:.3g} per cm², "
        f"so {rms:.3g} meV rms correlated over {length:.3g} nm"
    )


def _coefficients(found: xr.Dataset) -> str:
    return f"{found.sizes['coefficient']} coefficients C(q)"


def _middle(found: xr.Dataset, name: str) -> str:
    return f"{float(np.nanmedian(array(found, name))):.3g}"


def _rms(maps: np.ndarray) -> np.ndarray:
    return np.asarray(maps.std(axis=(1, 2)))


def _size(maps: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((maps**2).mean(axis=(1, 2))))


def _texts(values: np.ndarray) -> list[str]:
    return [f"{value:.3g}" if np.isfinite(value) else "" for value in values.tolist()]
