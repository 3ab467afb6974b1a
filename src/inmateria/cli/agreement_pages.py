"""What stands in the reports on a surrogate and its device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from inmateria.cli.pages import _appendix, _facts
from inmateria.data.provenance import utc_now
from inmateria.report.agreement_section import VERDICT, agreement_section, refit_section
from inmateria.report.page import Page, Section

if TYPE_CHECKING:
    from inmateria.cli.settings import RefitSettings, VerifySettings
    from inmateria.devices.device import Device
    from inmateria.surrogates.recording import Recording
    from inmateria.surrogates.refit import Refit
    from inmateria.surrogates.surrogate import Surrogate
    from inmateria.training.agreement import Agreement


def agreement_page(
    settings: VerifySettings,
    agreement: Agreement,
    sentence: str,
    device: Device,
    *,
    accuracy: str | None = None,
) -> Page:
    """The page of `inmateria verify` where only a surrogate is verified."""
    return Page(
        "Surrogate and device",
        f"surrogate and device: {VERDICT[agreement.verdict]}",
        _facts(device, started_utc=utc_now(), accuracy=accuracy),
        [agreement_section(agreement, sentence), _appendix(settings)],
    )


def with_agreement(page: Page, agreement: Agreement, sentence: str) -> Page:
    """A page of verified tasks with the section on their surrogate behind the first one."""
    first, *others = page.sections
    return replace(page, sections=[first, agreement_section(agreement, sentence), *others])


def refit_page(
    settings: RefitSettings,
    result: Refit,
    old: Surrogate,
    recording: Recording,
    *,
    line: str,
    facts: dict[str, str],
    before: Agreement | None = None,
    after: Agreement | None = None,
) -> Page:
    """The page of `inmateria refit`.

    `before` and `after` hold the old and the new surrogate against the same
    levels of the device, where it was at hand.
    """
    from inmateria.surrogates.drift import drift_groups, without_drift
    from inmateria.training.difference import without_slow_noise

    voltage, measured = recording.voltage[result.held], recording.current[result.held]
    group = drift_groups(recording.segment[result.held])
    left, left_now = (
        without_drift(measured - s.current(voltage), group) for s in (old, result.surrogate)
    )
    held_out = (measured.ravel(), left.ravel(), left_now.ravel())
    at_points = None
    sections: list[Section] = []
    if before is not None and after is not None:
        left, left_now = (
            without_slow_noise(a.measured_na - a.predicted_na) for a in (before, after)
        )
        at_points = (before.measured_na.ravel(), left.ravel(), left_now.ravel())
        refit = "the refit that this page reports"
        sections = [
            agreement_section(
                a, a.sentence(refit=refit), title=f"{which} surrogate at random points", name=which
            )
            for a, which in ((before, "Old"), (after, "Refitted"))
        ]
    section = refit_section(
        result,
        held_out=held_out,
        random_points=at_points,
        terminals=[t.name for t in old.terminals],
        outputs=old.outputs,
    )
    return Page("Refit of a surrogate", line, facts, [section, *sections, _appendix(settings)])
