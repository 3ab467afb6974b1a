"""`inmateria reconstruct train`: a network from a set of samples."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.reconstruct_settings import TrainSettings
from inmateria.cli.transport_settings import resolve_tables, tables
from inmateria.errors import ConfigurationError, InMateriaError

if TYPE_CHECKING:
    from inmateria.data.runs import Run
    from inmateria.data.sample_store import SampleStore
    from inmateria.reconstruction.fit import Fit, Split
    from inmateria.reconstruction.presets import Preset

PLACES = {name: ("plan", name) for name in ("epochs", "batch", "learning_rate", "seed")}
SET = "set"


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--network", metavar="NAME",
              help="unet, encoder-decoder, coefficients or two-parameters.  [unet]")  # fmt: skip
@click.option("--image", metavar="VARIABLE[,...]",
              help="What the network sees, or several, as its channels.  [pldos]")  # fmt: skip
@click.option("--most", type=int, help="Samples to train on, at most.  [all]")
@click.option("--epochs", type=int, help="Passes over them.  [the network's own]")
@click.option("--batch", type=int, help="Samples a step.  [the network's own]")
@click.option("--learning-rate", type=float, help="The largest.  [the network's own]")
@click.option("--seed", type=int, help="Of weights, order and augmentation.  [0]")
@click.option("--device", metavar="cpu|cuda", help="Where it is trained.  [cpu]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="runs", show_default=True,
    help="Folder that gets a folder for this run.",
)  # fmt: skip
def command(store: Path, out: Path, config: Path | None, **given: Any) -> None:
    """Train a network on STORE, a set that `inmateria transport generate` made.

    A tenth of its blocks stop and calibrate the training, another tenth judges it. After an
    interruption, the same command goes on where it stopped, and gives the same model.
    """
    overrides = tables(given, PLACES) | {"store": str(store)}
    settings = resolve_tables(TrainSettings, config, overrides)
    from inmateria.cli.steps import make_folder
    from inmateria.data.runs import Run
    from inmateria.data.sample_store import open_store
    from inmateria.reconstruction.fit import Split

    # Whatever is wrong with settings and set shows before a folder is made.
    opened = open_store(store)
    settings = settings.complete()
    preset = settings.preset()
    check(settings, preset, opened)
    split = Split.of(opened, most=settings.most)
    make_folder(out)
    run = Run.resume_or_create(out, "reconstruct-train", config=settings)
    split = agreed_split(run, opened, split)
    what = f"finished epochs are kept in {run.path}; run the same command again to go on"
    with keeping(what):
        fit, model, report = run_training(run, settings, preset, opened, split)
    from inmateria.report.reconstruction_judged import judged_line

    click.echo(judged_line(fit.errors))
    click.echo(str(model))
    click.echo(str(report))


def run_training(
    run: Run, settings: TrainSettings, preset: Preset, store: SampleStore, split: Split
) -> tuple[Fit, Path, Path]:
    """Train, go on from a checkpoint where there is one, and write a run's files.

    Returns
    -------
    fit : Fit
    model, report : Path
    """
    from inmateria.cli.progress import step
    from inmateria.cli.reconstruct_pages import train_page
    from inmateria.reconstruction.fit import fit_preset
    from inmateria.reconstruction.load import save_model
    from inmateria.report.page import write_page
    from inmateria.report.reconstruction_judged import judged_line

    with step("training") as report:

        def tell(told: dict[str, float]) -> None:
            done = int(told["epoch"]) * int(told["of"]) + int(told["batch"])
            note = f"epoch {int(told['epoch']) + 1}, loss {told['loss']:.4g}"
            report(done, preset.plan.epochs * int(told["of"]), note)

        fit = fit_preset(
            store,
            preset,
            image=settings.image,
            split=split,
            checkpoint=run.model / "checkpoint.safetensors",
            device=settings.device,
            progress=tell,
        )
    model = save_model(run.model / "model.safetensors", fit.model)
    run.write_text("training.json", _json(asdict(fit.history)))
    run.write_text("errors.json", _json(fit.errors))
    page = write_page(run.report, train_page(settings, fit, store, run))
    run.finish(result=judged_line(fit.errors))
    return fit, model, page


def check(settings: TrainSettings, preset: Preset, store: SampleStore) -> None:
    """Refuse a set that does not hold what is needed, and a network that does not fit it.

    Raises
    ------
    ConfigurationError, ParameterError
    """
    import torch

    from inmateria.reconstruction.mirror import check_mirror
    from inmateria.reconstruction.networks import build_network
    from inmateria.reconstruction.stored import channel_variables

    channels = channel_variables(store, settings.image)
    shape = store.variable(channels[0]).shape[-2:]
    if preset.plan.augmentation.mirror:
        check_mirror(store, settings.image)
    needed = {
        "potential": ("potential",),
        "coefficients": ("coefficients",),
        "parameters": ("dopant_spacing_nm", "density_per_cm2"),
    }[preset.target]
    for name in needed:
        store.variable(name)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("device 'cuda': no graphics card is there; use --device cpu")
    options = dict(preset.options)
    if preset.kind == "dense-reader":
        options |= {"n_outputs": 1, "shape": shape}
    if len(channels) > 1:
        options["channels"] = len(channels)
    try:
        network = build_network(preset.kind, seed=0, **options)
        with torch.no_grad():
            given = tuple(network(torch.zeros(1, len(channels), *shape)).shape[2:])
    except InMateriaError:
        raise
    except (ValueError, RuntimeError, IndexError, TypeError, ArithmeticError) as error:
        raise ConfigurationError(
            f"options {options} make no {preset.kind}: {str(error).splitlines()[0]}"
        ) from error
    pixel = preset.target_pixel
    wanted = tuple(n // pixel for n in shape)
    if preset.target == "potential" and given != wanted:
        raise ConfigurationError(
            f"the network answers with {given[0]} x {given[1]} pixels, and with target_pixel = "
            f"{pixel} potentials have {wanted[0]} x {wanted[1]}; make options.shrink and "
            "target_pixel equal"
        )
    both = preset.plan.loss == "likelihood"
    if both != (preset.kind == "unet"):
        raise ConfigurationError(
            f"loss '{preset.plan.loss}' does not go with network {preset.kind}: the unet gives an "
            "uncertainty and is trained by 'likelihood', the others by 'squared'"
        )


def agreed_split(run: Run, store: SampleStore, split: Split) -> Split:
    """The blocks that a run was begun with; blocks that came since change nothing.

    Raises
    ------
    ConfigurationError
        If it was begun with another set.
    """
    from inmateria.data.sample_store import first_difference
    from inmateria.reconstruction.fit import Split

    for entry in run.history():
        if entry["event"] != SET:
            continue
        if entry["identity"] != store.identity:
            what = first_difference(entry["configuration"], store.layout.configuration)
            raise ConfigurationError(
                f"{store.path} is another set than the one that {run.path} was begun with "
                f"({what}); put that one back, or remove the folder to begin again"
            )
        return Split(**{name: tuple(blocks) for name, blocks in entry["blocks"].items()})
    run.record(
        SET,
        identity=store.identity,
        configuration=dict(store.layout.configuration),
        blocks=asdict(split),
    )
    return split


def _json(values: Any) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
