"""How the searches of a run went: learning curve, gradients with errors, tones in the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.report.gradient_history import draw_gradient_history
from inmateria.report.page import Block, Note, Picture, Section, Table
from inmateria.report.search_curve import draw_search_curve
from inmateria.report.tone_spectrum import draw_tone_spectrum
from inmateria.training.solution import Solution


@dataclass(frozen=True, eq=False)
class MeasuredGradients:
    """Gradients by iteration, as a log holds them.

    Parameters
    ----------
    iteration : (n,) array
    value, standard_error : (n, n_points, n_controls) arrays, nA/V
        NaN where undefined.
    """

    iteration: FloatArray
    value: FloatArray
    standard_error: FloatArray


@dataclass(frozen=True, eq=False)
class ToneSpectrum:
    """The output's spectrum while tones run on the controls.

    Parameters
    ----------
    frequency_hz, density : (n_frequencies,) arrays, Hz and nA^2/Hz
    tones_hz, noise : (n_controls,) arrays, Hz and nA^2/Hz
        What each control carries, and the density beside it.
    controls : terminal names
    amplitude_v : float
        Of the largest tone, V.
    n_points : int
        Operating points that the density is the mean of.
    device_s : float
        Time that it took, s.
    parallel : bool
        All controls at once, or one after the other.
    """

    frequency_hz: FloatArray
    density: FloatArray
    tones_hz: FloatArray
    noise: FloatArray
    controls: tuple[str, ...]
    amplitude_v: float
    n_points: int
    device_s: float
    parallel: bool


def measured_gradients(entries: Sequence[Mapping[str, Any]]) -> MeasuredGradients | None:
    """The gradients among a log's entries; None where none was measured."""
    requests = [entry for entry in entries if entry["kind"] in ("measure", "extract")]
    found = [(k, e) for k, e in enumerate(requests, start=1) if e["kind"] == "extract"]
    if not found:
        return None
    return MeasuredGradients(
        np.array([k for k, _ in found], dtype=np.float64),
        np.array([e["value"] for _, e in found], dtype=np.float64),
        np.array([e["standard_error"] for _, e in found], dtype=np.float64),
    )


def search_section(
    solution: Solution,
    *,
    criterion: str,
    gradients: MeasuredGradients | None = None,
    spectrum: ToneSpectrum | None = None,
) -> Section:
    """One task's search on a device: its curve, its gradients, its tones."""
    blocks: list[Block] = [_curve(solution, criterion)]
    if gradients is not None:
        blocks.append(_gradients(solution, gradients))
    if spectrum is not None:
        blocks.append(_spectrum(spectrum, solution.task))
    return Section(f"Search for {solution.task}", blocks)


def cost_section(solutions: Sequence[Solution]) -> Section:
    """What the searches took, in measurements and in seconds."""
    rows = []
    for solution in solutions:
        rows_kept = solution.history
        kept = rows_kept[kept_row(rows_kept)] if rows_kept else {}
        rows.append(
            (
                solution.task,
                f"{len(rows_kept)}",
                f"{solution.cost.measurements:,}",
                f"{kept.get('device_s', np.nan):.1f} s",
                f"{solution.cost.device_s:.1f} s",
                f"{solution.cost.wall_s:.1f} s",
            )
        )
    table = Table(
        ("task", "iterations", "measurements", "kept after", "device time", "wall time"),
        rows,
        caption="What each search took",
        numeric=range(1, 6),
    )
    note = (
        "Device time is what the rig was playing, ramps, waits, calibration and the last look at "
        "all points included; kept after: device time at which the controls were found that are "
        "shown here. A measurement is one operating point held, or one window of tones."
    )
    return Section("Cost", [table, Note(note)])


def kept_row(history: Sequence[Mapping[str, float]]) -> int:
    """Position of the setting that a search keeps: one that passes, then the lowest loss."""
    order = [(-row.get("passed", 0.0), row.get("loss", np.inf)) for row in history]
    return min(range(len(order)), key=order.__getitem__)


def _curve(solution: Solution, criterion: str) -> Picture:
    rows = solution.history
    share = criterion == "threshold"
    # A setting whose output was clipped has no loss and no margin.
    quality = [100 * row["accuracy"] if share else row.get("margin_na", np.nan) for row in rows]
    described = solution.task_description
    label, goal = {
        "threshold": ("accuracy (%)", 100 * float(described.get("min_accuracy", 0.0))),
        "flatness": ("room to spare (nA)", 0.0),
    }.get(criterion, ("margin (nA)", float(described.get("min_margin_na", 0.0))))
    kept, restarts = kept_row(rows), _restarts(rows)
    svg = draw_search_curve(
        [row["step"] for row in rows],
        [row.get("loss", np.nan) for row in rows],
        quality,
        device_s=[row["device_s"] for row in rows],
        kept=kept,
        quality_label=label,
        goal=goal,
        restarts=restarts,
        name=f"search-{solution.task}",
    )
    judged = "accuracy on the training points" if share else label.removesuffix(" (nA)")
    caption = (
        f"Loss (above) and {judged} (below) of each iteration, as measured with noise on; of "
        "several settings in one iteration, the best. "
        "Diamond: the setting that was kept (one that passes, else the lowest loss), found in "
        f"iteration {rows[kept]['step']:.0f} of "
        f"{len(rows)} after {rows[kept]['device_s']:.1f} s on the device. "
        f"{'Dotted: a new start somewhere else. ' if restarts else ''}"
        f"Method {solution.method}, seed {solution.seed}."
    )
    return Picture(svg, caption)


def _gradients(solution: Solution, found: MeasuredGradients) -> Picture:
    controls = tuple(solution.controls)
    rows = {row["step"]: row for row in solution.history}
    down = [_descent_ratio(rows.get(k, {}), controls) for k in found.iteration]
    svg = draw_gradient_history(
        found.iteration,
        found.value,
        found.standard_error,
        controls=controls,
        descent_ratio=None if np.isnan(down).all() else down,
        restarts=_restarts(solution.history),
        name=f"gradients-{solution.task}",
    )
    caption = (
        "Derivative of the output's current by each control, as measured in each iteration: mean "
        "over the operating points with two standard errors, and the range that single operating "
        "points cover. At the top right: how many times its noise a derivative is, in the median "
        "iteration. Last panel: the same by iteration, a blue line for each control; a derivative "
        "of zero would lie at 1. Green: the gradient of the loss that the step was made from."
    )
    return Picture(svg, caption)


def _spectrum(s: ToneSpectrum, task: str) -> Picture:
    svg = draw_tone_spectrum(
        s.frequency_hz,
        s.density,
        tones_hz=s.tones_hz,
        controls=s.controls,
        noise=s.noise,
        name=f"tones-{task}",
    )
    turns = "all at once" if s.parallel else "one control after the other, the mean of them shown"
    caption = (
        f"Spectrum of the output at the found controls while the tones run, {turns}: amplitude "
        f"{1e3 * s.amplitude_v:.3g} mV, mean over {s.n_points} operating points, "
        f"{s.device_s:.1f} s on the device beside the search. A tone's height above the noise "
        "beside it is what a derivative is read from; the noise there sets its standard error. "
        "Twice a tone: what the curvature of the device makes of it."
    )
    return Picture(svg, caption)


def _restarts(history: Sequence[Mapping[str, float]]) -> list[int]:
    """Iterations with which a search begins anew."""
    begun: list[int] = []
    last = None
    for row in history:
        now = row.get("restart", last)
        if last is not None and now != last:
            begun.append(int(row["step"]))
        last = now
    return begun


def _descent_ratio(row: Mapping[str, float], controls: Sequence[str]) -> float:
    """Length of the loss gradient over that of its errors, NaN where it is not known."""
    value = np.array([row.get(f"gradient_per_v.{c}", np.nan) for c in controls])
    error = np.array([row.get(f"gradient_error_per_v.{c}", np.nan) for c in controls])
    size, noise = float(np.linalg.norm(value)), float(np.linalg.norm(error))
    return size / noise if noise > 0 else float("nan")
