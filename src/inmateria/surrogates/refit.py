"""Refit a surrogate to a device that has changed, from seconds of data.

A network fitted anew to so little data knows little; the old one still knows
most. What may change is therefore set free step by step, and each step is kept
only if it lowers the error on held-out stretches by more than a standard error
of that very difference, stretch by stretch:

    offset      what the outputs have in common, as far as slow noise lets it be known
    outputs     a gain for each output
    terminals   a factor and a shift for each terminal as well (`correction`)
    weights     the network itself: the old weights, trained on

Against forgetting, the last step has no weight decay, which would pull what the
new data do not speak of towards zero, a small learning rate, and rehearsal:
some rows are uniformly drawn points where the surrogate of the step before says
the current (Robins 1995, Connection Science 7, 123). Slow noise is taken out of
training and held-out rows, and so is the part of the offset that is not
believed, lest the weights learn it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from inmateria.devices.device import check_voltage
from inmateria.errors import ParameterError, TrainingError, VoltageLimitError
from inmateria.surrogates.checkpoint import read_checkpoint
from inmateria.surrogates.correction import Correction
from inmateria.surrogates.drift import drift_groups, without_drift
from inmateria.surrogates.files import weights_sha256
from inmateria.surrogates.fit import FitError, held_out_error, numbered, run_to_end, tensor
from inmateria.surrogates.loop import Loop, Settings, cpu_threads
from inmateria.surrogates.recording import Recording, hold_out, usable_rows
from inmateria.surrogates.refit_steps import Step, corrected, tried
from inmateria.surrogates.same_device import check_same_device, device_name
from inmateria.surrogates.surrogate import RANGE_TOLERANCE, Surrogate
from inmateria.version import __version__

if TYPE_CHECKING:
    import xarray as xr

FEWEST_REHEARSED = 500


@dataclass(frozen=True, eq=False)
class Refit:
    """A refitted surrogate and how it came about.

    Parameters
    ----------
    surrogate : Surrogate
    before, error : FitError
        The old and the new surrogate on the same held-out stretches.
    steps : tuple of Step
        In order; the last kept one is the result.
    correction : Correction
        What was found of outputs and terminals in the last kept step before the weights.
    history : list of dict
        Of the training of the weights, as of a `Fit`.
    held : (n_rows,) bool array
        Which usable rows were held out.
    """

    surrogate: Surrogate
    before: FitError
    error: FitError
    steps: tuple[Step, ...]
    correction: Correction
    history: list[dict[str, float]]
    held: NDArray[np.bool_]

    @property
    def last_step(self) -> str:
        """The step that gave the result."""
        return next(s.name for s in reversed(self.steps) if s.kept)


def refit_surrogate(
    surrogate: Surrogate,
    dataset: xr.Dataset,
    *,
    epochs: int = 20,
    batch_size: int = 512,
    learning_rate: float = 5e-4,
    rehearsal: float = 0.25,
    patience: int = 20,
    validation: float = 0.2,
    n_errors: float = 1.5,
    seed: int = 0,
    drift: bool = True,
    threads: int = 1,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[dict[str, float]], None] | None = None,
) -> Refit:
    """Bring a surrogate up to date with a short new measurement of its device.

    The result depends on the surrogate, the data, the settings and the seed
    only; a resumed refit ends in the same bits as an uninterrupted one.

    Parameters
    ----------
    surrogate : Surrogate
        Is left as it is.
    dataset : xarray.Dataset
        A measurement, within the voltages that the surrogate knows. Clipped
        rows are left out.
    epochs, batch_size, learning_rate, patience, drift : of the training of the
        weights; see `fit_surrogate`.
    rehearsal : float
        Rehearsed points for each new row.
    validation : float
        Share of the recording held out, as whole stretches.
    n_errors : float
        Standard errors by which a step has to lower the held-out error.
    seed, threads, checkpoint, resume, progress
        As in `fit_surrogate`.

    Raises
    ------
    ParameterError, ShapeError, NotFiniteError
    TrainingError
        If the data are of another device, too few rows are usable, or the
        checkpoint belongs to another refit.
    VoltageLimitError
        If the data leave the surrogate's ranges.
    ModelFileError, StorageError
        If the checkpoint cannot be read or written.
    """
    if not 0 <= rehearsal < np.inf or not 0 <= n_errors < np.inf:
        raise ParameterError(
            f"rehearsal = {rehearsal} and n_errors = {n_errors}; give finite numbers of 0 or more"
        )
    settings = Settings(
        hidden=surrogate.network.hidden,
        activation=surrogate.network.activation,
        optimiser="adamw",
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=0.0,
        patience=patience,
        validation=validation,
        seed=seed,
        drift=drift,
    )
    recording = rows_for(surrogate, dataset)
    held = hold_out(recording.segment, validation, seed=seed)
    chosen = asdict(settings) | {"hidden": list(settings.hidden), "rehearsal": rehearsal,
                                 "n_errors": n_errors}  # fmt: skip
    parent = weights_sha256(surrogate.network)
    identity = {"settings": chosen, "parent": parent} | {
        name: recording.provenance[name] for name in ("voltage_sha256", "current_sha256")
    }
    with cpu_threads(threads):
        steps, best, correction = corrected(surrogate, recording, held, n_errors)
        loop = _set_up(best, correction, recording, held, settings, rehearsal)
        path = None if checkpoint is None else Path(checkpoint)
        if resume and path is not None and path.exists():
            tensors, record = read_checkpoint(path)
            if record.get("fit") != identity:
                raise TrainingError(
                    f"checkpoint {path} belongs to a refit of another model, or with other data "
                    "or settings; repeat those, or give another checkpoint"
                )
            loop.load_state(tensors, record["loop"])
        run_to_end(loop, path=path, identity=identity, progress=progress)
        loop.restore_best()
        trained = replace(best, network=loop.network)
        step, kept = tried("weights", trained, best, recording, held, n_errors)
        before = held_out_error(surrogate.network, recording, held)
        error = held_out_error(kept.network, recording, held)
    steps.append(step)
    result = Surrogate(
        kept.network,
        surrogate.terminals,
        surrogate.outputs,
        provenance={
            "made_by": f"inmateria {__version__}",
            "torch": torch.__version__,
            "training_data": recording.provenance,
            "settings": chosen,
            "epochs_run": len(loop.history),
            "seconds": loop.history[-1]["seconds"],
            "refit": {"steps": [s.as_dict() for s in steps], "correction": correction.as_dict()},
            "parents": [_ancestor(surrogate, parent), *surrogate.provenance.get("parents", [])],
        },
        error=error.as_dict(),
    )
    return Refit(result, before, error, tuple(steps), correction, loop.history, held)


def rows_for(surrogate: Surrogate, dataset: xr.Dataset) -> Recording:
    """The usable rows of a measurement, in the surrogate's order of terminals and outputs.

    Raises
    ------
    ShapeError, NotFiniteError
    TrainingError
        If they are of another device, or too few.
    VoltageLimitError
        If they leave the surrogate's ranges.
    """
    recording = usable_rows(dataset)
    known = surrogate.provenance.get("training_data", {}).get("device")
    check_same_device(
        surrogate,
        terminals=recording.terminals,
        outputs=recording.outputs,
        device=recording.provenance.get("device"),
    )
    names = [t.name for t in recording.terminals]
    voltage = recording.voltage[:, [names.index(t.name) for t in surrogate.terminals]]
    try:
        check_voltage(surrogate.terminals, voltage, tolerance=RANGE_TOLERANCE)
    except VoltageLimitError as error:
        raise VoltageLimitError(
            f"the surrogate does not know the voltages of this measurement ({error}); measure "
            "within them, or fit a new surrogate"
        ) from error
    provenance = dict(recording.provenance)
    if known is not None and device_name(provenance.get("device")) is None:
        provenance["device"] = known  # a device without a name of its own keeps the old one
    return replace(
        recording,
        voltage=voltage,
        current=recording.current[:, [recording.outputs.index(o) for o in surrogate.outputs]],
        terminals=surrogate.terminals,
        outputs=surrogate.outputs,
        provenance=provenance,
    )


def _set_up(
    start: Surrogate,
    correction: Correction,
    recording: Recording,
    held: NDArray[np.bool_],
    settings: Settings,
    rehearsal: float,
) -> Loop:
    """The training of the weights: new rows and rehearsed ones."""
    # what of the offset is not believed belongs to slow noise
    doubted = np.array(correction.offset_found_na) - np.array(correction.offset_na)
    voltage, current = recording.voltage[~held], recording.current[~held] - doubted
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(2,)))
    low = np.array([t.low_v for t in start.terminals])
    high = np.array([t.high_v for t in start.terminals])
    n_rehearsed = max(round(rehearsal * len(voltage)), FEWEST_REHEARSED) if rehearsal else 0
    points = rng.uniform(low, high, (n_rehearsed, len(low)))
    # each a segment of its own: none of them has drift
    segment = np.concatenate([
        np.unique(recording.segment[~held], return_inverse=True)[1],
        len(voltage) + np.arange(n_rehearsed),
    ])  # fmt: skip
    # held-out rows without their slow noise, as the start sees it
    predicted = start.current(recording.voltage[held])
    away = recording.current[held] - predicted
    steady = predicted + without_drift(away, drift_groups(recording.segment[held]))
    network = copy.deepcopy(start.network)
    network.requires_grad_(True)
    network.train()
    return Loop(
        network,
        training=(
            tensor(np.concatenate([voltage, points])),
            tensor(np.concatenate([current, start.current(points)])),
        ),
        validation=(tensor(recording.voltage[held]), tensor(steady)),
        segment=numbered(segment),
        settings=settings,
        generator=torch.Generator().manual_seed(settings.seed),
    )


def _ancestor(surrogate: Surrogate, digest: str) -> dict[str, Any]:
    """What a refitted model says of the one before: enough to know it, and its data, again."""
    data = surrogate.provenance.get("training_data", {})
    names = ("voltage_sha256", "current_sha256", "started_utc", "rows")
    return {
        "weights_sha256": digest,
        "made_by": surrogate.provenance.get("made_by"),
        "training_data": {name: data[name] for name in names if name in data},
        "error": dict(surrogate.error),
    }
