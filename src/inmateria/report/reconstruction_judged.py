"""What a report says of a model that was judged on samples whose disorder is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inmateria.report.page import Note, Picture, Section, Table
from inmateria.report.reconstruction_calibration import draw_coverage, draw_error_over_uncertainty
from inmateria.report.reconstruction_histogram import draw_correlation_histogram
from inmateria.report.reconstruction_maps import draw_image, draw_potential, draw_uncertainty
from inmateria.report.reconstruction_scatter import draw_numbers, draw_parameter_errors
from inmateria.report.transport_maps import Plan

if TYPE_CHECKING:
    from inmateria.reconstruction.evaluation import (
        Evaluation,
        Example,
        NumberEvaluation,
        PotentialEvaluation,
    )

LABELS = {
    "dopant_spacing_nm": "s (nm)",
    "density_per_cm2": "N_d (1/cm²)",
    "rms_mev": "rms (meV)",
    "correlation_nm": "correlation length (nm)",
}
HEADER = ("quantity", "value", "what it is")

Rows = list[tuple[str, str, str]]


def error_rows(summary: dict[str, Any]) -> Rows:
    """The rows of a table, for a page or a terminal."""
    known: list[tuple[str, str, str, str]] = [
        ("samples", "samples", "d", "judged on"),
        ("r_median", "r, median", ".4f", "correlation with the truth"),
        ("r_lowest", "r, lowest", ".4f", "of the worst sample"),
        ("rms_error_mev", "rms error (meV)", ".4g", "over all pixels"),
        ("relative_rms_error", "rms error, relative", ".2%", "over the rms of the training set"),
        ("coverage_90", "90 % coverage", ".1%", "pixels within their 90 % interval"),
        ("relative_error_s", "error of s", ".2%", "rms, relative"),
        ("relative_error_density", "error of N_d", ".2%", "rms, relative"),
        ("relative_error_rms", "error of rms", ".2%", "of the closed form, rms, relative"),
        ("relative_error_correlation_length", "error of correlation length", ".2%",
         "of the closed form, rms, relative"),
        ("correlation_of_errors", "correlation of errors", ".2f", "of s and N_d"),
    ]  # fmt: skip
    return [
        (label, format(summary[key], form), text)
        for key, label, form, text in known
        if summary.get(key) is not None
    ]


def judged_line(summary: dict[str, Any]) -> str:
    """The errors in a sentence."""
    n = summary["samples"]
    if "relative_error_s" in summary:
        return (
            f"rms errors on {n} samples: s {summary['relative_error_s']:.1%}, "
            f"N_d {summary['relative_error_density']:.1%}, rms {summary['relative_error_rms']:.1%}"
        )
    if "rms_error_mev" in summary:
        return (
            f"r = {summary['r_median']:.4f} in the median of {n} samples, "
            f"{summary['r_lowest']:.4f} at worst; rms error {summary['rms_error_mev']:.3g} meV "
            f"({summary['relative_rms_error']:.1%})"
        )
    middle = summary["r_median"]
    text = "not defined" if middle is None else f"{middle:.4f}"
    return f"r of a coefficient on {n} samples: {text} in the median"


def judged_sections(
    evaluation: Evaluation,
    examples: Sequence[Example],
    plan: Plan,
    *,
    units: str,
    slope: float | None = None,
    levels: Sequence[float] = (),
) -> list[Section]:
    """Sections on a model's errors.

    Parameters
    ----------
    examples : sequence of Example
        Samples to be shown; none for numbers.
    units : str
        Of the images.
    slope : float, optional
        d ln N_d / d ln s along constant rms, for parameters.
    levels : sequence of float
        Of the evaluation's coverage.
    """
    # It stands on networks, and a page without one should not.
    from inmateria.reconstruction.evaluation import NumberEvaluation

    summary = evaluation.summary()
    table = Table(HEADER, error_rows(summary), numeric=(1,))
    blocks: list[Note | Table] = [table]
    if evaluation.n_strange:
        blocks.append(
            Note(f"{evaluation.n_strange} of the samples look unlike the model's training set.")
        )
    sections = [Section("Errors", blocks)]
    if isinstance(evaluation, NumberEvaluation):
        return [*sections, *_numbers(evaluation, slope)]
    return [*sections, *_potentials(evaluation, levels), *_examples(examples, plan, units)]


def _potentials(found: PotentialEvaluation, levels: Sequence[float]) -> list[Section]:
    sections = [
        Section(
            "Correlation with the truth",
            [
                Picture(
                    draw_correlation_histogram(found.r),
                    "Correlation of found and true potential over the pixels of each sample.",
                )
            ],
        )
    ]
    if not np.isfinite(found.coverage).all():
        return sections
    text = (
        "Left: the share of pixels whose truth lies within the interval that the uncertainty "
        "says. Right: pixels in groups of like uncertainty, and their rms error. On the dashed "
        "lines the uncertainty is as large as the errors."
    )
    pictures = [
        Picture(draw_coverage(levels, found.coverage), "Nominal and observed coverage."),
        Picture(
            draw_error_over_uncertainty(found.sigma_mev, found.error_mev),
            "Error against uncertainty.",
        ),
    ]
    return [*sections, Section("Calibration", [Note(text), *pictures])]


def _numbers(found: NumberEvaluation, slope: float | None) -> list[Section]:
    if slope is None:
        picture = Picture(
            draw_correlation_histogram(
                found.correlation(), label="correlation of a coefficient with its truth",
                counted="coefficients",
            ),
            "Real and imaginary parts are counted one by one.",
        )  # fmt: skip
        return [Section("Coefficients", [picture])]
    labels = [LABELS[name] for name in found.names]
    relative = found.relative()
    return [
        Section(
            "Found and true",
            [
                Picture(
                    draw_numbers(found.found, found.true, labels),
                    "Right answers lie on the dashed lines.",
                ),
                Picture(
                    draw_parameter_errors(relative[:, 0], relative[:, 1], slope=slope),
                    "Errors of s and N_d go together: along the line of constant rms the "
                    "potentials look alike.",
                ),
            ],
        )
    ]


def _examples(examples: Sequence[Example], plan: Plan, units: str) -> list[Section]:
    sections = []
    for one in examples:
        error = one.found_mev - one.true_mev
        reach = float(max(np.abs(one.true_mev).max(), np.abs(one.found_mev).max()))
        # Error and uncertainty have colours of their own, the same for both.
        small = float(np.quantile(np.abs(error), 0.995)) or 1.0
        n = one.sample
        pictures = [
            Picture(draw_image(one.image, plan, name=f"image-{n}", units=units), "Image."),
            Picture(
                draw_potential(one.true_mev, plan, name=f"true-{n}", limit=reach), "True potential."
            ),
            Picture(
                draw_potential(one.found_mev, plan, name=f"found-{n}", limit=reach),
                "Found potential, in the same colours.",
            ),
            Picture(
                draw_potential(
                    error, plan, name=f"error-{n}", limit=small, label="found - true (meV)"
                ),
                f"Error, {np.sqrt((error**2).mean()):.3g} meV in the root mean square.",
            ),
        ]
        if np.isfinite(one.uncertainty_mev).all():
            pictures.append(
                Picture(
                    draw_uncertainty(one.uncertainty_mev, plan, name=f"sigma-{n}", limit=small),
                    "Uncertainty, up to the same value as the error's colours.",
                )
            )
        sections.append(Section(f"Sample {n}: r = {one.r:.4f}", pictures))
    return sections
