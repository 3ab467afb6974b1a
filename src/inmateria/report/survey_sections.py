"""The sections of a survey's page: figures and tables from a `Survey`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from inmateria.report.page import Block, Note, Picture, Section, Table
from inmateria.report.survey_abundance import axis_floor, draw_abundance, draw_margins, percent
from inmateria.report.survey_components import draw_loadings, draw_overlaps, draw_spectrum
from inmateria.report.survey_devices import draw_devices
from inmateria.report.survey_indicators import draw_indicators, draw_responses
from inmateria.report.survey_parameter import draw_parameter
from inmateria.survey.abundance import CONSTANT, VARYING, Share, shares
from inmateria.survey.device_survey import MARGINS, DeviceSurvey
from inmateria.survey.nonlinearity import MODES, responses
from inmateria.survey.summary import GroupSummary, summarise

if TYPE_CHECKING:
    from inmateria.survey.scan import Survey, Values

CURVES = ("AND", "OR", "NAND", "NOR", "XOR", "XNOR")


def survey_sections(survey: Survey) -> list[Section]:
    """All sections, from the gates to the devices that failed."""
    groups = {_words(values): found for values, found in survey.groups().items()}
    summaries = {words: summarise(found) for words, found in groups.items()}
    sections = [gates_section(survey, summaries)]
    varied = _varied(survey)
    if varied is not None and len(summaries) > 1:
        sections.append(_parameter_section(varied, survey, summaries))
    sections += [
        _nonlinearity_section(survey, groups, summaries),
        _components_section(survey, groups, summaries),
        _current_section(survey, groups, summaries),
        devices_section(survey),
    ]
    return sections


def result_line(survey: Survey) -> str:
    """The sentence that a survey ends with."""
    devices = [device for _, device in survey.devices]
    counts = {g: [d.counts[g] for d in devices] for g in ("AND", "OR", "XOR", "XNOR")}
    found = shares(counts, survey.protocol.settings)
    listed = ", ".join(f"{gate} {percent(share.mean)}" for gate, share in found.items())
    complete = sum(any(d.counts[gate] for d in devices) for gate in VARYING)
    failed = f", {len(survey.failures)} failed" if survey.failures else ""
    noun = "device" if len(devices) == 1 else "devices"
    return f"{len(devices)} {noun}{failed}: {listed} of settings; {complete} of 14 gates occur"


def gates_section(survey: Survey, summaries: Mapping[str, GroupSummary]) -> Section:
    """Abundance of each gate by group, and against the margin."""
    protocol = survey.protocol
    note = (
        f"{survey.criterion.sentence()} {protocol.settings:,} settings of the controls are drawn "
        f"uniformly over their ranges on each device; inputs are {protocol.inputs[0]} (A) and "
        f"{protocol.inputs[1]} (B). One setting can realise up to three gates, by different "
        "thresholds, so the shares do not add up to one. Lines: 95 % intervals, over devices "
        "where there are several, else binomial."
    )
    means = [[s.abundance[gate].mean for gate in VARYING] for s in summaries.values()]
    floor = axis_floor(np.array(means))
    blocks: list[Block] = [Note(note)]
    for k, (words, summary) in enumerate(summaries.items()):
        found = [summary.abundance[gate] for gate in VARYING]
        svg = draw_abundance(
            VARYING,
            [s.mean for s in found],
            [s.low for s in found],
            [s.high for s in found],
            title=words,
            floor=floor,
            name=f"abundance-{k}",
        )
        caption = (
            f"{_count(summary)}. Constant (TRUE or FALSE, all four currents within the margin): "
            f"{_with_interval(summary.abundance[CONSTANT])}."
        )
        blocks.append(Picture(svg, caption))
        if len(summaries) == 1:
            blocks.append(_margin_picture(survey, summary))
    blocks.append(_gates_table(summaries))
    return Section("Gates", blocks)


def _gates_table(summaries: Mapping[str, GroupSummary]) -> Table:
    """A column of shares a group, and how many devices have each gate."""
    groups = list(summaries.values())
    order = sorted((*VARYING, CONSTANT), key=lambda gate: -groups[0].abundance[gate].mean)
    header, rows = ["gate"], [[gate] for gate in order]
    for words, group in summaries.items():
        header += [words or "share (95 % interval)", "devices that have it"]
        for row, gate in zip(rows, order, strict=True):
            row += [
                _with_interval(group.abundance[gate]),
                f"{group.devices_with[gate]} of {group.n_devices}",
            ]
    caption = "Share of settings, mean over devices with its 95 % interval"
    return Table(header, rows, caption=caption, numeric=tuple(range(1, len(header))))


def _margin_picture(survey: Survey, summary: GroupSummary) -> Picture:
    curves = {gate: summary.by_margin[:, VARYING.index(gate)] for gate in CURVES}
    chosen = survey.criterion.margin if survey.criterion.margin_na is None else None
    svg = draw_margins(MARGINS, curves, chosen=chosen)
    return Picture(svg, "The same shares for other margins, in units of the current scale.")


def _parameter_section(
    parameter: str, survey: Survey, summaries: Mapping[str, GroupSummary]
) -> Section:
    groups = list(summaries.values())
    values = [str(dict(v)[parameter]) for v in survey.groups()]
    curves = {gate: _curve([g.abundance[gate] for g in groups]) for gate in CURVES}
    others = {
        "current scale (nA)": _spread([g.scale_na for g in groups]),
        "falling sweeps": _spread([g.ndr_sweeps.mean(axis=1) for g in groups]),
        "coupling": _spread([g.indicators[:, 2] for g in groups]),
    }
    svg = draw_parameter(values, curves, others, parameter=parameter)
    caption = (
        "Left: 95 % intervals over devices. Right: median device, lines from the lower to the "
        "upper quartile. The same seeds, control settings and sweeps at every value."
    )
    return Section(f"Against {parameter}", [Picture(svg, caption)])


def _nonlinearity_section(
    survey: Survey,
    groups: Mapping[str, Sequence[DeviceSurvey]],
    summaries: Mapping[str, GroupSummary],
) -> Section:
    first, second = survey.protocol.inputs
    note = (
        f"With I00 to I11 the currents for the states of ({first}, {second}): the effect of "
        f"{first} is M1 = (I11 + I10 - I01 - I00) / 4, of {second} M2 = (I11 - I10 + I01 - I00) / "
        "4, and their cross term X = (I11 - I10 - I01 + I00) / 4. Over all settings of a device, "
        "NDR = (1 - tanh(mean / standard deviation)) / 2 of M1 or of M2: 0 where the input always "
        "raises the current, 1 where it always lowers it. Coupling = <X^2> / (<M1^2> + <M2^2>): "
        "0 in a linear device. Inverting gates need NDR; XOR and XNOR need coupling as well."
    )
    blocks: list[Block] = [Note(note)]
    labels = (f"NDR of {first}", f"NDR of {second}", "coupling")
    for k, (words, summary) in enumerate(summaries.items()):
        if summary.n_devices > 1:
            svg = draw_indicators(summary.indicators, labels, name=f"indicators-{k}")
            blocks.append(Picture(svg, _caption(words, f"{_count(summary)}; dashed: the median.")))
        in_scales = np.concatenate(
            [responses(d.samples.vectors_na) / (d.scale.std_na or 1.0) for d in groups[words]]
        )
        drawn = {f"M1 ({first})": in_scales[:, 1], f"M2 ({second})": in_scales[:, 2]}
        svg = draw_responses({**drawn, "cross X": in_scales[:, 3]}, name=f"responses-{k}")
        text = "Responses of all settings, in units of each device's current scale."
        blocks.append(Picture(svg, _caption(words, text)))
        if summary.n_devices == 1:
            indicators = groups[words][0].nonlinearity
            rows = [
                (label, f"{value:.3f}", f"{error:.3f}")
                for label, value, error in zip(
                    labels,
                    (indicators.ndr_first, indicators.ndr_second, indicators.coupling),
                    indicators.error,
                    strict=True,
                )
            ]
            blocks.append(Table(("indicator", "value", "standard error"), rows, numeric=(1, 2)))
    return Section("Non-linearity", blocks)


def _components_section(
    survey: Survey,
    groups: Mapping[str, Sequence[DeviceSurvey]],
    summaries: Mapping[str, GroupSummary],
) -> Section:
    first, second = survey.protocol.inputs
    note = (
        "Principal components of (I00, I01, I10, I11) over the control settings of each device. "
        f"A mode is one of four fixed orthogonal directions: mean (1, 1, 1, 1) / 2, {first} "
        f"(-1, -1, 1, 1) / 2, {second} (-1, 1, -1, 1) / 2, cross (1, -1, -1, 1) / 2. Overlaps are "
        "squared, averaged over devices, and add up to one in every row and column."
    )
    modes = (MODES[0], first, second, MODES[3])
    blocks: list[Block] = [Note(note)]
    for k, (words, summary) in enumerate(summaries.items()):
        svg = draw_spectrum(summary.component_share, name=f"spectrum-{k}")
        median = ", ".join(percent(float(v)) for v in np.median(summary.component_share, axis=0))
        blocks.append(Picture(svg, _caption(words, f"Share of the variance; medians {median}.")))
        svg = draw_overlaps(summary.overlap, modes, name=f"overlaps-{k}")
        along = np.median([d.components.mode_share for d in groups[words]], axis=0)
        listed = ", ".join(f"{m} {percent(float(v))}" for m, v in zip(modes, along, strict=True))
        text = f"What each component is made of. Variance along each mode, median: {listed}."
        blocks.append(Picture(svg, _caption(words, text)))
        if len(summaries) == 1:
            typical = _typical(groups[words], summary)
            case = next(case for case, device in survey.devices if device is typical)
            svg = draw_loadings(typical.components.direction, typical.components.share)
            text = f"Loadings of {case.label}, the device with the median share of component 1."
            if len(survey.devices) == 1:
                text = "Loadings over the four states, and each component's share of the variance."
            blocks.append(Picture(svg, text))
    return Section("Principal components", blocks)


def _current_section(
    survey: Survey,
    groups: Mapping[str, Sequence[DeviceSurvey]],
    summaries: Mapping[str, GroupSummary],
) -> Section:
    protocol = survey.protocol
    note = (
        f"Current scale: standard deviation of the output over {protocol.points:,} operating "
        "points drawn uniformly over all terminals. Negative differential resistance: each input "
        f"is swept through its range in {protocol.sweep_points} steps at {protocol.sweeps} random "
        "settings of everything else; a sweep falls when the output drops by more than the margin "
        "somewhere along it. In a linear device no sweep falls."
    )
    blocks: list[Block] = [Note(note)]
    rows = []
    for k, (words, found) in enumerate(groups.items()):
        labels = [
            str(case.seed) if case.seed is not None else "device"
            for case, _ in survey.devices
            if _words(case.values) == words
        ]
        summary = summaries[words]
        if summary.n_devices > 1:
            svg = draw_devices(
                labels,
                summary.scale_na,
                summary.ndr_sweeps,
                inputs=protocol.inputs,
                name=f"devices-{k}",
            )
            blocks.append(Picture(svg, _caption(words, "One point a device, by seed.")))
        for i, name in enumerate(protocol.inputs):
            resistance = [device.resistance for device in found]
            rows.append(
                (
                    _caption(words, name),
                    _mean([r.sweeps[i] for r in resistance], protocol.sweeps),
                    _mean([r.both_ways[i] for r in resistance], protocol.sweeps),
                    _mean([r.steps[i] for r in resistance], 2 * protocol.settings),
                    f"{max(r.largest_fall_na[i] for r in resistance):.3g} nA",
                )
            )
    header = (
        "input",
        "sweeps that fall",
        "that fall and rise",
        "logic steps that lower",
        "largest fall",
    )
    caption = "Share of sweeps and steps, mean over devices (95 % interval)"
    blocks.append(Table(header, rows, caption=caption, numeric=(1, 2, 3, 4)))
    return Section("Current and negative differential resistance", blocks)


def devices_section(survey: Survey) -> Section:
    """A row per device, and the devices that could not be surveyed with their errors."""
    first, second = survey.protocol.inputs
    names = [name for name, _ in survey.devices[0][0].values] if survey.devices else []
    shown = ("AND", "OR", "NAND", "NOR", "XOR", "XNOR")
    header = (
        "seed",
        *names,
        "scale (nA)",
        "margin (nA)",
        *shown,
        "gates",
        f"NDR {first}",
        f"NDR {second}",
        "coupling",
        "component 1",
    )
    rows = []
    for case, device in survey.devices:
        indicators = device.nonlinearity
        rows.append(
            (
                "model" if case.seed is None else str(case.seed),
                *(str(value) for _, value in case.values),
                f"{device.scale.std_na:.3g}",
                f"{device.margin_na:.3g}",
                *(str(device.counts[gate]) for gate in shown),
                f"{device.n_gates} of 14",
                f"{indicators.ndr_first:.2f}",
                f"{indicators.ndr_second:.2f}",
                f"{indicators.coupling:.3f}" if math.isfinite(indicators.coupling) else "inf",
                percent(float(device.components.share[0])),
            )
        )
    caption = f"Gates: how many of {survey.protocol.settings:,} settings realise it"
    blocks: list[Block] = [
        Table(header, rows, caption=caption, numeric=tuple(range(1 + len(names), len(header))))
    ]
    if survey.failures:
        blocks.append(
            Table(
                ("device", "error"),
                [(c.label, f"{f.kind}: {f.message}") for c, f in survey.failures],
                caption=f"Not surveyed: {len(survey.failures)} of {survey.n_cases}",
            )
        )
    return Section("Devices", blocks)


def _typical(devices: Sequence[DeviceSurvey], summary: GroupSummary) -> DeviceSurvey:
    order = np.argsort(summary.component_share[:, 0])
    return devices[int(order[(len(order) - 1) // 2])]


def _varied(survey: Survey) -> str | None:
    """The one parameter that takes several values, if it is one."""
    found: dict[str, set[object]] = {}
    for values in survey.groups():
        for name, value in values:
            found.setdefault(name, set()).add(value)
    many = [name for name, values in found.items() if len(values) > 1]
    return many[0] if len(many) == 1 else None


def _words(values: Values) -> str:
    return ", ".join(f"{name} {value}" for name, value in values)


def _caption(words: str, text: str) -> str:
    return f"{words}: {text[:1].lower()}{text[1:]}" if words else text


def _count(summary: GroupSummary) -> str:
    return "One device" if summary.n_devices == 1 else f"{summary.n_devices} devices"


def _with_interval(share: Share) -> str:
    ends = f"{100 * share.low:.2g} to {100 * share.high:.2g}"
    return f"{percent(share.mean)} ({ends})"


def _mean(found: Sequence[Share], total: int) -> str:
    if not total:
        return ""
    counts = [round(share.mean * total) for share in found]
    return _with_interval(shares({"": counts}, total)[""])


def _curve(found: Sequence[Share]) -> tuple[list[float], list[float], list[float]]:
    return [s.mean for s in found], [s.low for s in found], [s.high for s in found]


def _spread(values: Sequence[np.ndarray]) -> tuple[list[float], list[float], list[float]]:
    ends = [np.quantile(y[np.isfinite(y)], (0.5, 0.25, 0.75)) for y in values]
    return [float(e[0]) for e in ends], [float(e[1]) for e in ends], [float(e[2]) for e in ends]
