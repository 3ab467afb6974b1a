"""What a report says of images that were reconstructed: maps, and how far to trust them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from inmateria.report.page import Note, Picture, Section, Table
from inmateria.report.reconstruction_maps import draw_image, draw_potential, draw_uncertainty
from inmateria.report.reconstruction_result import (
    TRUSTED,
    is_trusted,
    kind_of,
    noise_misfit,
    table,
)
from inmateria.report.transport_maps import Plan, brightest
from inmateria.report.transport_quantities import array, plan_of

if TYPE_CHECKING:
    import xarray as xr

# More of them make a page that nobody opens.
MOST_SHOWN = 6
MOST_ROWS = 100


def result_sections(found: xr.Dataset) -> list[Section]:
    """All sections that the file of a run allows."""
    n = found.sizes["sample"]
    sections = [_table(found)]
    for i in range(min(n, MOST_SHOWN)):
        sections.append(_sample(found, i))
    return sections


def result_plan(found: xr.Dataset) -> Plan:
    """The sample and its leads; without leads where the gas is not known."""
    if json.loads(found.attrs["gas"]) is not None:
        return plan_of(found)
    x, y = array(found, "x"), array(found, "y")
    pixel = float(x[1] - x[0]) if x.size > 1 else 1.0
    return Plan(x.size * pixel, y.size * pixel, pixel, (0.0, 0.0), (0.0, 0.0))


def _table(found: xr.Dataset) -> Section:
    n = found.sizes["sample"]
    blocks: list[Note | Table] = [Note(_trust(found))]
    for i, text in enumerate(json.loads(found.attrs["warnings"])[:MOST_ROWS]):
        if text:
            blocks.append(Note(f"Image {i} is {text}."))
    caption = "" if n <= MOST_ROWS else f"The first {MOST_ROWS} of {n}; all are in the file."
    header, lines = table(found)
    blocks.append(Table(header, lines[:MOST_ROWS], caption, numeric=range(1, len(header))))
    return Section("What was found", blocks)


def _trust(found: xr.Dataset) -> str:
    if kind_of(found) != "potential":
        return (
            "Numbers by a network. Errors of s and N_d go together along the line of constant "
            "rms, so that rms and correlation length are known better than either."
            if kind_of(found) == "parameters"
            else "Coefficients by a network, of the series that the training set was drawn from."
        )
    text = (
        "The uncertainty is a standard deviation that was calibrated on samples like those of the "
        "training set; it means nothing for an image of another kind."
    )
    if "misfit" in found:
        text += (
            " The misfit is the rms difference of the potential's computed image and the measured "
            "one, over the spread of the latter: 0 explains all, 1 nothing. Ripples shift by half "
            "a turn where the potential is a little wrong, so that the misfit of a network's "
            "answer is often near 1."
        )
    if "refined_misfit" in found:
        good, noise = int(is_trusted(found).sum()), float(noise_misfit(found).max())
        # Below a hundredth it is the computation's own inaccuracy, or waves.
        own = f" (and, in squares, that of the image's noise, {noise:.2g})" if noise > 0.01 else ""
        text += (
            f" After refinement, a misfit below {TRUSTED:g}{own} says that the potential is right "
            "as far as the image can tell; one well above it means a wrong minimum, another kind "
            f"of noise, or a sample of another geometry. Below it: {good} of "
            f"{found.sizes['sample']}."
        )
        if "spectrum_misfit" in found:
            text += (
                " Distance s and density N_d are those of the remote dopants whose potentials "
                "have such a spectrum, with their standard deviations; they are left empty where "
                "the refinement is not to be trusted, the image too noisy, or the spectrum of "
                "another kind."
            )
    elif "misfit" in found:
        text += " Refine it (--refine) to find out."
    return text


def _sample(found: xr.Dataset, i: int) -> Section:
    plan, units = result_plan(found), str(found.attrs["image_units"])
    units = "unit unknown" if units == "unknown" else units
    image = array(found, "image")[i]
    top = None if (image < 0).any() else brightest(image)
    pictures = [
        Picture(
            draw_image(image, plan, name=f"image-{i}", units=units),
            "What was given, x from source to drain.",
        )
    ]
    if kind_of(found) == "potential":
        pictures += _potentials(found, i, plan)
    for name, whose, misfit in (
        ("computed", "the network's potential", "misfit"),
        ("refined_computed", "the refined potential", "refined_misfit"),
    ):
        if name in found and np.isfinite(array(found, misfit)[i]):
            pictures.append(
                Picture(
                    draw_image(
                        array(found, name)[i], plan, name=f"{name}-{i}", units=units, limit=top
                    ),
                    f"Computed from {whose}, in the colours of what was given: misfit "
                    f"{array(found, misfit)[i]:.3g}.",
                )
            )
    title = "Maps" if found.sizes["sample"] == 1 else f"Image {i}"
    return Section(title, pictures)


def _potentials(found: xr.Dataset, i: int, plan: Plan) -> list[Picture]:
    potential, sigma = array(found, "potential_mev")[i], array(found, "uncertainty_mev")[i]
    refined = array(found, "refined_mev")[i] if "refined_mev" in found else None
    if refined is not None and not np.isfinite(refined).all():
        refined = None
    reach = max(float(np.abs(v).max()) for v in (potential, refined) if v is not None)
    pictures = [
        Picture(
            draw_potential(potential, plan, name=f"potential-{i}", limit=reach),
            "Potential by the network: orange repels electrons, blue attracts them.",
        )
    ]
    if np.isfinite(sigma).all():
        pictures.append(
            Picture(
                draw_uncertainty(sigma, plan, name=f"uncertainty-{i}"),
                f"Standard deviation of the network's answer, {np.sqrt((sigma**2).mean()):.3g} "
                "meV in the root mean square.",
            )
        )
    if refined is not None:
        pictures.append(
            Picture(
                draw_potential(refined, plan, name=f"refined-{i}", limit=reach),
                "Potential after refinement, in the same colours.",
            )
        )
    return pictures
