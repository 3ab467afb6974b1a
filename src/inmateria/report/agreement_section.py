"""Sections on a surrogate kept honest: held against its device, and refitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inmateria.report.agreement import draw_agreement, draw_before_after
from inmateria.report.learning_curve import draw_learning_curve
from inmateria.report.page import Block, Note, Picture, Section, Table
from inmateria.training.difference import STRETCH

if TYPE_CHECKING:
    from inmateria.devices.device import FloatArray
    from inmateria.surrogates.refit import Refit
    from inmateria.training.agreement import Agreement

VERDICT = {"agrees": "agree", "drifted": "drifted (offset only)", "parted": "parted"}
_NOTE = (
    "Uniformly drawn points, each ramped to, settled on and averaged; the first quarter visited "
    "twice. Means of ten successive points are taken for slow noise, what two visits differ by for "
    "noise, and what scatters beyond it for the surrogate's error. It may be 1.5 times the stated "
    "one, from which the noise found here is taken off (at most half of the square)."
)
STEPS = {
    "offset": "offset of the outputs",
    "outputs": "and their gain",
    "terminals": "and a factor and a shift of each terminal",
    "weights": "and the weights of the network",
}


def agreement_section(
    agreement: Agreement,
    sentence: str,
    *,
    title: str = "Surrogate and device at random points",
    name: str = "agreement",
) -> Section:
    """Verdict, numbers and figures of a comparison at random points; `name` is of the figures."""
    rows = [
        [
            d.output,
            VERDICT[d.verdict],
            f"{d.rms_na:.3g} nA ({d.relative:.1%})",
            f"{d.error_na:.2g} +- {d.error_uncertainty_na:.1g} nA",
            f"{d.stated_na:.2g} nA" if agreement.stated else "not stated",
            f"{d.allowed_na:.2g} nA",
            f"{d.offset_na:+.2g} +- {d.offset_error_na:.1g} nA",
            f"{d.gain:.3f} +- {d.gain_error:.1g}",
            f"{d.fast_na:.2g} nA",
            f"{d.drift_na:.2g} nA",
        ]
        for d in agreement.differences
    ]
    header = ("output", "verdict", "difference, rms", "error now", "stated error", "allowed",
              "offset", "gain", "noise of a level", "slow noise")  # fmt: skip
    levels = agreement.levels
    caption = (
        f"{len(levels.voltage)} points, {levels.device_s:.1f} s of device time, "
        f"{levels.clipped} left out because the chain clipped"
    )
    blocks: list[Block] = [
        Note(sentence[0].upper() + sentence[1:] + "."),
        Table(header, rows, caption=caption, numeric=range(2, len(header))),
        Note(_NOTE),
    ]
    for k, d in enumerate(agreement.differences):
        svg = draw_agreement(
            agreement.measured_na[:, k],
            agreement.predicted_na[:, k],
            levels.again_na[:, levels.outputs.index(d.output)],
            offset_na=d.offset_na,
            gain=d.gain,
            allowed_na=d.allowed_na,
            stretch=STRETCH,
            name=f"{name}-{k}",
        )
        blocks.append(Picture(svg, f"Output {d.output}: measured minus predicted current."))
    return Section(title, blocks)


def refit_section(
    refit: Refit,
    *,
    held_out: tuple[FloatArray, FloatArray, FloatArray],
    random_points: tuple[FloatArray, FloatArray, FloatArray] | None,
    terminals: Sequence[str],
    outputs: Sequence[str],
) -> Section:
    """What a refit changed, and by how much it got better.

    Parameters
    ----------
    refit : Refit
    held_out, random_points : (n_points,) arrays, nA
        Measured currents, and what the old and the new surrogate leave of them without slow
        noise: on the held-out stretches, and at random points where the device was at hand.
    terminals, outputs : sequences of str
    """
    rows = [
        [
            STEPS[s.name],
            f"{s.error_na:.3g} nA",
            "" if s.name == "offset" else f"{s.lowered_by:.1f}",
            "yes" if s.kept else "no",
        ]
        for s in refit.steps
    ]
    steps = Table(
        ("set free", "error held out", "lower by, in standard errors", "kept"),
        rows,
        caption="Steps of the refit; errors without slow noise",
        verdict_column=3,
        numeric=(1, 2),
    )
    c = refit.correction
    changes = [
        *(
            [name, f"gain {g:.4f}", f"{o:+.3g} nA (found {f:+.2g} +- {e:.1g} nA)"]
            for name, g, o, f, e in zip(
                outputs, c.gain, c.offset_na, c.offset_found_na, c.offset_error_na, strict=True
            )
        ),
        *(
            [name, f"factor {factor:.4f}", f"{1e3 * shift:+.2g} mV"]
            for name, factor, shift in zip(terminals, c.factor, c.shift_v, strict=True)
        ),
    ]
    blocks: list[Block] = [
        steps,
        Table(("output or terminal", "change", "offset or shift"), changes,
              caption="What was found of outputs and terminals; the weights may add to it",
              numeric=(1, 2)),
        Picture(
            draw_before_after(*held_out, name="before-after-held-out"),
            f"{len(held_out[0])} held-out rows of the new measurement; "
            "every segment's mean, slow noise, is taken out.",
        ),
    ]  # fmt: skip
    if random_points is not None:
        blocks.append(
            Picture(
                draw_before_after(*random_points, name="before-after-random"),
                f"{len(random_points[0])} uniformly drawn points on the device; "
                "every stretch's mean, slow noise, is taken out.",
            )
        )
    if len(refit.history) > 1:
        curve = draw_learning_curve(
            [line["epoch"] for line in refit.history],
            {
                "training, rehearsed points included": [line["train_na"] for line in refit.history],
                "held out, without slow noise": [line["validation_na"] for line in refit.history],
            },
        )
        blocks.append(Picture(curve, "Training of the weights."))
    return Section("Refit", blocks)
