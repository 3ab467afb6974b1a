"""What a page shows of the first measurements on a bench."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from inmateria.bench.finding import Finding, plus_minus
from inmateria.bench.iv import IVCurves
from inmateria.bench.self_test import SelfTest
from inmateria.bench.stability_result import Stability
from inmateria.bench.tone_response import FALSE_ALARM
from inmateria.report.gain_matrix import draw_gain_matrix
from inmateria.report.iv_curves import draw_iv_curves
from inmateria.report.noise_spectrum import draw_noise_spectrum
from inmateria.report.page import Block, Note, Picture, Section, Table
from inmateria.report.stability_change import draw_stability
from inmateria.report.tone_delay import draw_tone_delay


def count_findings(findings: Sequence[Finding]) -> str:
    """For example ``1 wrong, 2 to look at, 5 good``."""
    number = {kind: sum(f.kind == kind for f in findings) for kind in ("wrong", "look", "good")}
    return f"{number['wrong']} wrong, {number['look']} to look at, {number['good']} good"


def findings_section(findings: Sequence[Finding]) -> Section:
    """The lines, what is wrong first."""
    return Section("Findings", [Note(str(f)) for f in findings])


def self_test_sections(found: SelfTest) -> list[Section]:
    """Noise at rest, responses and delays."""
    lines = [
        [(line.frequency_hz, line.amplitude) for line in found.lines if line.channel == o]
        for o in range(len(found.outputs))
    ]
    svg = draw_noise_spectrum(
        found.spectrum.frequency_hz,
        found.spectrum.density,
        outputs=found.outputs,
        rms_na=found.rms_na,
        lines=lines,
    )
    seconds = found.recording.shape[1] / found.rate_hz
    caption = (
        f"Noise of each output in {seconds:.3g} s with all terminals at rest; triangles: lines of "
        "the mains."
    )
    rows = [
        (
            name,
            plus_minus(found.offset_na[o], found.offset_error_na[o], sign=True),
            f"{found.rms_na[o]:.3g}",
            f"{found.hold_noise_na[o]:.2g}",
            _delay(found, o),
        )
        for o, name in enumerate(found.outputs)
    ]
    header = ("output", "offset (nA)", "noise rms (nA)", "of 20 ms (nA)", "delay (samples)")
    at_rest = Section("At rest", [Picture(svg, caption), Table(header, rows, numeric=(1, 2, 3, 4))])
    return [at_rest, _responses(found)]


def _responses(found: SelfTest) -> Section:
    tones = found.tones
    blocks: list[Block] = []
    svg = draw_gain_matrix(
        tones.gain,
        tones.gain_error,
        terminals=found.terminals,
        outputs=found.outputs,
        shorted=tones.shorted,
        undriven=found.undriven_gain,
        n_sigma=float(norm.isf(FALSE_ALARM / (2 * tones.gain.size))),
    )
    caption = (
        f"Slope of each output against each terminal from tones of "
        f"{1e3 * tones.amplitude_v.max():.3g} mV at rest; bold: beyond noise. nothing: what the "
        "same frequencies hold where no terminal is driven."
    )
    blocks.append(Picture(svg, caption))
    late = np.flatnonzero(np.isfinite(tones.delay_s)).tolist()
    if late:
        strongest = [int(np.nanargmax(np.abs(tones.gain[o]))) for o in late]
        response = tones.response[late, strongest]
        sign = np.sign(tones.gain[late, strongest])[:, None]
        error = tones.response_error[late, strongest] / np.abs(response)
        svg = draw_tone_delay(
            tones.frequency_hz,
            np.degrees(np.angle(response * sign)),
            np.degrees(np.minimum(error, np.pi)),
            delay_s=tones.delay_s[late],
            titles=[
                f"{found.outputs[o]} from {found.terminals[m]}"
                for o, m in zip(late, strongest, strict=True)
            ],
            notes=[f"{_delay(found, o)} samples" for o in late],
        )
        caption = "Phase of the response to the strongest terminal; line: the delay of the chain."
        blocks.append(Picture(svg, caption))
    return Section("Responses to tiny tones", blocks)


def _delay(found: SelfTest, o: int) -> str:
    if not np.isfinite(found.tones.delay_s[o]):
        return "not known"
    return plus_minus(found.delay_samples[o], found.delay_error_samples[o])


def iv_sections(found: IVCurves) -> list[Section]:
    """A figure and a table for each output."""
    sections = []
    for o, output in enumerate(found.outputs):
        svg = draw_iv_curves(
            found.voltage,
            found.up[:, o],
            names=found.terminals,
            back=found.down[:, o],
            noise=found.standard_error[:, o],
            name=f"iv-curves-{o}",
        )
        caption = (
            f"Current at {output} against each terminal's voltage, up and down, the others at "
            "rest; bands: two standard errors. The slope is of the points nearest to rest; where a "
            "curve has steps, the derivative itself (`inmateria bench test`) is another."
        )
        rows = [
            (
                name,
                plus_minus(found.slope[k, o], found.slope_error[k, o]),
                f"{found.span[k, o]:.3g}",
                f"{found.standard_error[k, o]:.2g}",
                f"{found.hysteresis[k, o]:.2g}",
                f"{found.hysteresis_noise[k, o]:.2g}",
                "yes" if found.responds[k, o] else "no",
            )
            for k, name in enumerate(found.terminals)
        ]
        header = ("terminal", "slope around rest (nA/V)", "span (nA)", "noise (nA)",
                  "up - down (nA)", "of noise (nA)", "responds")  # fmt: skip
        sections.append(
            Section(
                f"Current at {output}",
                [Picture(svg, caption), Table(header, rows, numeric=(1, 2, 3, 4, 5))],
            )
        )
    return sections


def stability_sections(found: Stability) -> list[Section]:
    """A figure for each output and a table for all."""
    pictures: list[Block] = [
        Picture(
            draw_stability(
                found.then.level[o],
                found.now.level[o],
                offset_na=float(found.offset_na[o]),
                expected_na=float(found.expected_na[o]),
                output=output,
                verdict=found.verdicts[o],
                name=f"stability-{o}",
            ),
            f"Currents at {output} at the same {len(found.points)} points then and now.",
        )
        for o, output in enumerate(found.outputs)
    ]
    rows = [
        (
            output,
            found.verdicts[o],
            f"{found.change_na[o]:.3g}",
            f"{found.expected_na[o]:.3g}",
            f"{found.p_value[o]:.2g}",
            f"{found.offset_na[o]:+.3g}",
            plus_minus(found.gain[o], found.gain_error[o]),
            f"{found.correlation[o]:.5f}",
        )
        for o, output in enumerate(found.outputs)
    ]
    header = ("output", "verdict", "change rms (nA)", "of noise (nA)", "p", "in common (nA)",
              "factor", "correlation")  # fmt: skip
    table = Table(header, rows, numeric=(2, 3, 4, 5, 6, 7))
    return [Section("Then and now", [*pictures, table])]
