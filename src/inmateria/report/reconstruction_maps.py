"""Maps of a reconstruction: what was given, what was found, how sure, and what is wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from inmateria.report.transport_maps import Plan, brightest, draw_map

# Pages show several samples.
PIXELS = 128
# An image whose values may be below zero is drawn like a potential.
SHOWN_SHARE = 0.98


def draw_image(
    image: ArrayLike, plan: Plan, *, name: str, units: str, limit: float | None = None
) -> str:
    """An image as a network sees it, inline SVG.

    Parameters
    ----------
    image : (n_x, n_y) array
    limit : float, optional
        Brightest value that is told apart.
    """
    values = np.asarray(image, dtype=np.float64)
    signed = bool((values < 0).any())
    usual = float(np.quantile(np.abs(values), SHOWN_SHARE)) if signed else brightest(values)
    return draw_map(
        values,
        plan,
        name=name,
        label=f"image ({units})",
        limit=(limit or usual) or None,
        signed=signed,
        most_pixels=PIXELS,
        alt=f"Image over the sample, {values.min():.3g} to {values.max():.3g} {units}",
    )


def draw_potential(
    potential_mev: ArrayLike,
    plan: Plan,
    *,
    name: str,
    limit: float | None = None,
    label: str = "potential (meV)",
) -> str:
    """A potential, or a difference of two, inline SVG; `limit` is where colours end, meV."""
    values = np.asarray(potential_mev, dtype=np.float64)
    return draw_map(
        values,
        plan,
        name=name,
        label=label,
        limit=limit,
        most_pixels=PIXELS,
        alt=f"Map of {label}: {values.min():.3g} to {values.max():.3g}, rms {values.std():.3g}",
    )


def draw_uncertainty(
    uncertainty_mev: ArrayLike, plan: Plan, *, name: str, limit: float | None = None
) -> str:
    """Standard deviations, inline SVG."""
    values = np.asarray(uncertainty_mev, dtype=np.float64)
    return draw_map(
        values,
        plan,
        name=name,
        label="uncertainty (meV)",
        limit=limit,
        signed=False,
        most_pixels=PIXELS,
        alt=f"Map of the uncertainty, {values.min():.3g} to {values.max():.3g} meV",
    )
