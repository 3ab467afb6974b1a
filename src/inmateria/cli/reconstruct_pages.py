"""What stands in the reports of `inmateria reconstruct`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from inmateria.cli.reconstruct_image import seen_by
from inmateria.cli.transport_pages import configuration_section, gas_facts, software_text
from inmateria.datasets.settings import GasSettings
from inmateria.report.page import Note, Page, Picture, Section
from inmateria.report.reconstruction_judged import judged_line, judged_sections
from inmateria.report.reconstruction_learning import draw_losses
from inmateria.report.reconstruction_result import result_line
from inmateria.report.reconstruction_sections import result_sections
from inmateria.report.transport_quantities import plan_of_gas

if TYPE_CHECKING:
    import xarray as xr

    from inmateria.cli.reconstruct_settings import EvaluateSettings, TrainSettings
    from inmateria.cli.reconstruct_steps import Task
    from inmateria.data.runs import Run
    from inmateria.data.sample_store import SampleStore
    from inmateria.reconstruction.evaluation import Evaluation, Example
    from inmateria.reconstruction.fit import Fit
    from inmateria.reconstruction.load import Model
    from inmateria.reconstruction.unseen import Unseen

TARGETS = {
    "potential": "the potential",
    "coefficients": "the coefficients of its series",
    "parameters": "distance and density of the dopants",
}


def infer_page(task: Task, found: xr.Dataset, run: Run) -> Page:
    """The page of `inmateria reconstruct infer`."""
    from inmateria.reconstruction.stored import variables_of

    n, n_x, n_y = task.images.first.shape
    pixel, seen = task.images.pixel_nm, variables_of(seen_by(task.model))
    several = f", each {' and '.join(seen)}, the first is shown" if task.images.channels > 1 else ""
    facts = {
        "image": f"{task.settings.file}: {n} of {n_x} x {n_y} pixels of {pixel:g} nm{several}"
        + (f", {task.images.unit}" if task.images.unit else ""),
        **model_facts(task.settings.model, task.model),
        **({} if task.gas is None else gas_facts(task.gas)),
        **run_facts(run),
        "data": "data/reconstruction.nc (netCDF4, with units and checksums)",
    }
    return Page(
        "Disorder behind an image",
        result_line(found),
        facts,
        [*result_sections(found), configuration_section(task.settings)],
    )


def train_page(settings: TrainSettings, fit: Fit, store: SampleStore, run: Run) -> Page:
    """The page of `inmateria reconstruct train`."""
    plan, history = fit.preset.plan, fit.history
    size, training = store.layout.block_size, len(fit.split.training)
    facts = {
        "network": f"{settings.network}, finds {TARGETS[fit.preset.target]}",
        "weights": f"{sum(p.numel() for p in fit.network.parameters()):,}",
        "image": f"{settings.image_text}, scaled as {fit.image_scaling.form}",
        "set": f"{settings.store}: {training} blocks of {size} to train, "
        f"{len(fit.split.validation)} to stop and calibrate, {len(fit.split.test)} to judge",
        "training": f"{len(history.validation_loss)} of {plan.epochs} epochs, "
        f"{sum(history.seconds):.3g} s on {settings.device}, seed {plan.seed}",
        **run_facts(run),
        "model": "model/model.safetensors (weights and JSON; loading it runs no code)",
    }
    curve = Picture(
        draw_losses(history.training_loss, history.validation_loss, loss=plan.loss),
        "Loss of each epoch. Training is with augmentation, validation without, so that the "
        "latter may be lower.",
    )
    return Page(
        "A network that reads disorder",
        judged_line(fit.errors),
        facts,
        [
            Section("Learning", [curve]),
            *_judged(fit.model, store, fit.evaluation, settings.image),
            configuration_section(settings),
        ],
    )


def evaluate_page(
    settings: EvaluateSettings,
    model: Model,
    store: SampleStore,
    chosen: Unseen,
    found: Evaluation,
    run: Run,
) -> Page:
    """The page of `inmateria reconstruct evaluate`."""
    facts = {
        **model_facts(settings.model, model),
        "set": f"{settings.store}: {len(chosen.blocks)} blocks",
        "samples": chosen.relation,
        **run_facts(run),
    }
    notes = [Section("Mind", [Note(f"{text}.") for text in chosen.warnings])]
    return Page(
        "A model on samples whose disorder is known",
        judged_line(found.summary()),
        facts,
        [
            *(notes if chosen.warnings else []),
            *_judged(model, store, found, seen_by(model)),
            configuration_section(settings),
        ],
    )


def _judged(
    model: Model, store: SampleStore, found: Evaluation, image: str | tuple[str, ...]
) -> list[Section]:
    from inmateria.reconstruction.evaluation import (
        LEVELS,
        NumberEvaluation,
        constant_rms_slope,
        example,
        ranked,
    )
    from inmateria.reconstruction.number_reader import NumberReader
    from inmateria.reconstruction.stored import variables_of

    plan = plan_of_gas(asdict(GasSettings.model_validate(store.layout.configuration["gas"]).gas()))
    slope, examples = None, []
    if isinstance(model, NumberReader):
        assert isinstance(found, NumberEvaluation)
        if model.gives_parameters:
            slope = constant_rms_slope(model, float(found.true[:, 0].mean()))
    else:
        assert not isinstance(found, NumberEvaluation)
        picked = ranked(found, 0.5, 0.0, 1.0)
        examples = [first_channel(example(model, store, sample, image=image)) for sample in picked]
    return judged_sections(
        found,
        examples,
        plan,
        units=_unit(store.variable(variables_of(image)[0]).units),
        slope=slope,
        levels=LEVELS,
    )


def first_channel(one: Example) -> Example:
    """An example that shows the first of several images."""
    return one if one.image.ndim == 2 else replace(one, image=one.image[0])


def _unit(text: str) -> str:
    return {"1/hopping": "1/t"}.get(text, text)


def model_facts(name: str, model: Model) -> dict[str, str]:
    """A model in a few words."""
    about: Mapping[str, Any] = model.about
    facts = {"model": f"{name}: {model.kind}"}
    if "training_samples" in about:
        facts["model"] += f", trained on {about['training_samples']} samples"
    test = about.get("test", {})
    if "rms_error_mev" in test:
        facts["on held-out samples"] = (
            f"r {test['r_median']:.4f} in the median, {test['r_lowest']:.4f} at worst; rms error "
            f"{test['rms_error_mev']:.3g} meV ({test['relative_rms_error']:.1%})"
        )
    elif "relative_error_s" in test:
        facts["on held-out samples"] = (
            f"rms errors: s {test['relative_error_s']:.1%}, N_d "
            f"{test['relative_error_density']:.1%}"
        )
    return facts


def run_facts(run: Run) -> dict[str, str]:
    """When, and with which software."""
    started = json.loads((run.path / "provenance.json").read_text(encoding="utf-8"))
    return {"started": str(started["started_utc"]), "software": software_text()}
