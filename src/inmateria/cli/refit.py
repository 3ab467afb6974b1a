"""`inmateria refit`: an old surrogate brought up to date by a short new measurement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inmateria.cli.exits import keeping
from inmateria.cli.settings import RefitSettings, flags, resolve
from inmateria.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    import xarray as xr

    from inmateria.cli.devices import Place
    from inmateria.rigs.guard import Guard
    from inmateria.surrogates.refit import Refit
    from inmateria.surrogates.surrogate import Surrogate

SAID = {
    "offset": "only the offset was refitted",
    "outputs": "gain and offset were refitted",
    "terminals": "outputs and terminals were refitted",
    "weights": "the network was refitted",
}


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--device", metavar="NAME|PATH",
    help="Sample this device: 'default', a device's file, or a model of a device.",
)  # fmt: skip
@click.option("--device-seed", type=int, help="Another dopant network of the default kind.")
@click.option("--engine", metavar="NAME", help="How a dopant network is solved.")
@click.option("--bench", metavar="FILE", help="Sample the device on this bench.")
@click.option("--duration", "duration_s", type=float, metavar="S", help="Seconds to sample.  [10]")
@click.option("--base-hz", type=float, help="Lowest frequency of the trajectory.  [8]")
@click.option("--rate", "rate_hz", type=float, help="Samples per second.  [1000]")
@click.option("--epochs", type=int, help="Passes over the rows for the weights.  [20]")
@click.option("--learning-rate", type=float, help="Of the weights, highest.  [0.0005]")
@click.option("--rehearsal", type=float, help="Rehearsed points for each new row.  [0.25]")
@click.option("--threads", type=int, help="CPU threads.  [1]")
@click.option("--seed", type=int, help="Of sampling, order and held-out rows.  [1]")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, metavar="NEW",
    help="Stem of NEW.safetensors, NEW.json and NEW.html.",
)  # fmt: skip
def command(model: Path, data: Path | None, out: Path, config: Path | None, **given: Any) -> None:
    """Go on from MODEL with DATA, a short new measurement of the same device, or
    with one that is taken now (--device, or --bench), and write the result as NEW.

    With a device or a bench, old and new are also compared with it at random points. MODEL
    is left as it is. Run the same command again after an interruption and it
    goes on where it stopped.
    """
    settings = resolve(RefitSettings, config, flags(given))
    named = settings.device is not None or settings.bench is not None
    if data is None and not named:
        raise ConfigurationError(
            "nothing to refit to: give DATA, or --device or --bench to take it now"
        )
    from inmateria.bench.bench import open_bench
    from inmateria.cli.agreement_pages import refit_page
    from inmateria.cli.devices import open_device, open_model, refuse_another_device
    from inmateria.cli.random_points import compare_on_rig
    from inmateria.data.measurement import open_measurement
    from inmateria.report.page import write_page
    from inmateria.surrogates.refit import rows_for
    from inmateria.surrogates.same_device import check_same_device
    from inmateria.training.agreement import judge

    old = open_model(str(model))
    out = _new_stem(out)
    place: Place | None = None
    before = after = None
    if settings.bench is not None:
        place = open_bench(settings.bench)
    elif settings.device is not None:
        place = open_device(
            settings.device, device_seed=settings.device_seed, engine=settings.engine
        )
    if place is not None:
        # A bench's name is not its device's; that is compared in the next line.
        device = None if settings.bench is not None else place.describe()
        check_same_device(old, terminals=place.terminals, outputs=place.outputs, device=device)
        refuse_another_device(place, surrogate=old, named=str(model))
    checkpoint = out.with_name(out.name + ".checkpoint")
    with keeping(f"what is done is kept beside {out}; run the same command again to go on"):
        if data is None and place is not None:
            data = _sampled(settings, place, old, out.with_name(out.name + ".nc"))
        assert data is not None
        dataset = open_measurement(data)
        result = _refitted(settings, old, dataset, checkpoint)
        if place is not None:
            before = compare_on_rig(settings.random_points, place, old)
            after = judge(result.surrogate, before.levels)
    new = _of_parents(result.surrogate, model, data)
    path = new.save(out)
    checkpoint.unlink(missing_ok=True)
    line = (
        f"{SAID[result.last_step]}: {result.before.rmse_na:.3g} nA before, "
        f"{result.error.rmse_na:.3g} nA after on {result.error.rows} held-out rows"
    )
    if before is not None and after is not None:
        rms = ", ".join(f"{a.differences[0].error_na:.2g} nA" for a in (before, after))
        line += f"; error at random points {rms.replace(', ', ' before, ')} after"
    page = refit_page(
        settings, result, old, rows_for(old, dataset), line=line,
        facts=_facts(place, model, data), before=before, after=after,
    )  # fmt: skip
    write_page(out.with_name(out.name + ".html"), page)
    click.echo(line)
    if after is not None:
        click.echo(
            after.sentence(refit="`inmateria sample` and `inmateria fit`, or a longer refit")
        )
    click.echo(str(path))


def _new_stem(out: Path) -> Path:
    """The stem of the new files, none of which may be there already."""
    from inmateria.surrogates.files import model_paths

    paths = model_paths(out)
    for path in paths:
        if path.exists():
            raise StorageError(f"{path} exists and is not overwritten; name another file")
    return Path(str(paths[1]).removesuffix(".json"))


def _sampled(settings: RefitSettings, place: Place, old: Surrogate, path: Path) -> Path:
    """A short measurement within the voltages that the surrogate knows."""
    from inmateria.cli.devices import open_rig
    from inmateria.cli.progress import step
    from inmateria.cli.steps import design_of
    from inmateria.data.sampling import sample

    with (
        open_rig(place, seed=settings.seed, rate_hz=settings.rate_hz) as rig,
        step("sampling") as report,
    ):
        return sample(_within(rig, old), design_of(settings), path=path, progress=report)


def _within(rig: Guard, old: Surrogate) -> Guard:
    """The rig, narrowed to what the surrogate knows where it may go further."""
    from inmateria.rigs.guard import Guard

    known = {t.name: t for t in old.terminals}
    limits = {
        t.name: (max(t.low_v, known[t.name].low_v), min(t.high_v, known[t.name].high_v))
        for t in rig.terminals
    }
    if all(limits[t.name] == (t.low_v, t.high_v) for t in rig.terminals):
        return rig
    return Guard(rig, limits=limits, slew_v_per_s=rig.slew_v_per_s)


def _refitted(
    settings: RefitSettings, old: Surrogate, dataset: xr.Dataset, checkpoint: Path
) -> Refit:
    from inmateria.cli.progress import step
    from inmateria.surrogates.refit import refit_surrogate

    with step("refitting") as report:
        return refit_surrogate(
            old,
            dataset,
            **settings.options,
            checkpoint=checkpoint,
            resume=True,
            progress=lambda line: report(int(line["epoch"]), settings.epochs),
        )


def _of_parents(new: Surrogate, model: Path, data: Path) -> Surrogate:
    """The new surrogate, its provenance naming the files that it was made from."""
    from dataclasses import replace

    from inmateria.data.provenance import parent
    from inmateria.surrogates.files import model_paths

    source = model / "model" if model.is_dir() else model
    described = source if source.suffix in (".pt", ".pth") else model_paths(source)[1]
    files = [parent(described), parent(data)]
    return replace(new, provenance={**new.provenance, "files": files})


def _facts(place: Place | None, model: Path, data: Path) -> dict[str, str]:
    from inmateria.cli.pages import device_facts
    from inmateria.data.provenance import software, utc_now

    if place is None:
        facts = {"started": utc_now(), "software": software()}
    else:
        facts = device_facts(place, started_utc=utc_now(), accuracy=None)
    return {"old surrogate": str(model), "measurement": str(data)} | facts
