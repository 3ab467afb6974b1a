"""Fit a surrogate to a measurement.

The network of Ruiz Euler et al. 2020 (five hidden layers of 90 ReLU), trained
on the mean square error of scaled rows; judged on stretches of the recording
that it has not seen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inmateria.errors import ParameterError, StoppedError, TrainingError
from inmateria.surrogates.checkpoint import read_checkpoint, write_checkpoint
from inmateria.surrogates.drift import driftless_rms
from inmateria.surrogates.loop import Loop, Settings, cpu_threads, currents, rmse
from inmateria.surrogates.network import DEFAULT_HIDDEN, ScaledNetwork
from inmateria.surrogates.recording import Recording, hold_out, usable_rows
from inmateria.surrogates.surrogate import Surrogate
from inmateria.version import __version__

if TYPE_CHECKING:
    import xarray as xr

CHECKPOINT_SECONDS = 5.0


@dataclass(frozen=True)
class FitError:
    """Error of a surrogate on the held-out stretches, measurement noise included.

    Parameters
    ----------
    rmse_na : float
        Root mean square over rows and outputs, nA.
    relative : float
        The same, divided by the standard deviation of all usable currents.
    rows : int
        Rows that were held out.
    driftless_na : float, optional
        The same as `rmse_na` with each held-out segment's own mean taken out:
        slow noise does not count. None where segments are too short for it.
    """

    rmse_na: float
    relative: float
    rows: int
    driftless_na: float | None = None

    def as_dict(self) -> dict[str, float]:
        """As a surrogate keeps it."""
        kept: dict[str, float] = {
            "validation_rmse_na": self.rmse_na,
            "validation_relative": self.relative,
            "validation_rows": self.rows,
        }
        if self.driftless_na is not None:
            kept["validation_driftless_na"] = self.driftless_na
        return kept


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted surrogate and how it came about.

    Parameters
    ----------
    surrogate : Surrogate
        With the weights of the best epoch.
    history : list of dict
        One a epoch: ``epoch``, ``train_na`` and ``validation_na`` (root mean
        square errors, nA), ``learning_rate``, ``seconds`` since the start.
    error : FitError
    """

    surrogate: Surrogate
    history: list[dict[str, float]]
    error: FitError


def fit_surrogate(
    dataset: xr.Dataset,
    *,
    hidden: Sequence[int] = DEFAULT_HIDDEN,
    activation: str = "relu",
    optimiser: str = "adamw",
    epochs: int = 40,
    batch_size: int = 512,
    learning_rate: float = 5e-3,
    weight_decay: float = 0.2,
    patience: int = 30,
    validation: float = 0.1,
    max_seconds: float | None = None,
    seed: int = 0,
    drift: bool = True,
    threads: int = 1,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[dict[str, float]], None] | None = None,
) -> Fit:
    """Train a network on a measurement; gives a `Fit`.

    The result depends on the data, the settings and the seed only, unless
    `max_seconds` cuts the fit short; a resumed fit ends in the same bits as an
    uninterrupted one (same machine, same PyTorch, same number of threads).

    Parameters
    ----------
    dataset : xarray.Dataset
        A measurement. Clipped rows are left out.
    hidden, activation : the network; see `ScaledNetwork`.
    optimiser : str
        ``"adamw"`` or ``"adam"``; `weight_decay` counts for the first only.
    epochs : int
        Passes over the training rows, one cycle of the learning rate.
    batch_size : int
    learning_rate : float
        The highest of the cycle.
    patience : int
        Epochs without a better validation error after which to stop. The best
        epoch's weights are kept in any case.
    validation : float
        Share of the recording held out, as whole stretches.
    max_seconds : float, optional
        Shortens the cycle so that it ends by then.
    seed : int
        Draws weights, order and held-out stretches.
    drift : bool
        Take slow noise out of the training rows: an offset per segment of 50 rows
        or more (see `surrogates.drift`). The validation rows stay as measured.
    threads : int
        CPU threads for PyTorch during the fit. Two are faster on an idle machine
        and far slower on a busy one, where they wait for each other.
    checkpoint : path, optional
        File that keeps the state, written every few seconds and when stopped.
    resume : bool
        Go on from `checkpoint` if it exists.
    progress : callable, optional
        Called with each new line of the history; may raise `StoppedError`.

    Raises
    ------
    ParameterError, ShapeError, NotFiniteError
    TrainingError
        If too few rows are usable, the fit diverges, or the checkpoint belongs
        to another fit.
    ModelFileError, StorageError
        If the checkpoint cannot be read or written.
    """
    if max_seconds is not None and not max_seconds > 0:
        raise ParameterError(f"max_seconds {max_seconds} s must be above 0, or None for no limit")
    if threads < 1:
        raise ParameterError(f"threads {threads} must be at least 1")
    settings = Settings(
        hidden=tuple(hidden),
        activation=activation,
        optimiser=optimiser,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay if optimiser == "adamw" else 0.0,
        patience=patience,
        validation=validation,
        seed=seed,
        drift=drift,
    )
    recording = usable_rows(dataset)
    held = hold_out(recording.segment, validation, seed=seed)
    with cpu_threads(threads):
        loop = _set_up(recording, held, settings, max_seconds)
        identity = {"settings": asdict(settings) | {"hidden": list(hidden)}} | {
            name: recording.provenance[name] for name in ("voltage_sha256", "current_sha256")
        }
        path = None if checkpoint is None else Path(checkpoint)
        if resume and path is not None and path.exists():
            tensors, record = read_checkpoint(path)
            if record.get("fit") != identity:
                raise TrainingError(
                    f"checkpoint {path} belongs to a fit with other data or settings; "
                    "repeat those, or give another checkpoint"
                )
            loop.load_state(tensors, record["loop"])
        run_to_end(loop, path=path, identity=identity, progress=progress)
        loop.restore_best()
        error = held_out_error(loop.network, recording, held)
    surrogate = Surrogate(
        loop.network,
        recording.terminals,
        recording.outputs,
        provenance={
            "made_by": f"inmateria {__version__}",
            "torch": torch.__version__,
            "training_data": recording.provenance,
            "settings": identity["settings"],
            "epochs_run": len(loop.history),
            "seconds": loop.history[-1]["seconds"],
        },
        error=error.as_dict(),
    )
    return Fit(surrogate, loop.history, error)


def _set_up(
    recording: Recording,
    held: np.ndarray[Any, np.dtype[np.bool_]],
    settings: Settings,
    max_seconds: float | None,
) -> Loop:
    """A network with drawn weights and the scaling of its training rows, ready to train."""
    generator = torch.Generator().manual_seed(settings.seed)
    network = ScaledNetwork(
        len(recording.terminals),
        len(recording.outputs),
        hidden=settings.hidden,
        activation=settings.activation,
    )
    network.initialise(generator)
    low = np.array([t.low_v for t in recording.terminals])
    high = np.array([t.high_v for t in recording.terminals])
    seen = recording.current[~held]
    network.set_scaling(
        input_centre=tensor((low + high) / 2),
        input_half_width=tensor((high - low) / 2),
        output_mean=tensor(seen.mean(axis=0)),
        output_std=tensor(np.maximum(seen.std(axis=0), np.finfo(np.float32).tiny)),
    )
    return Loop(
        network,
        training=(tensor(recording.voltage[~held]), tensor(seen)),
        validation=(tensor(recording.voltage[held]), tensor(recording.current[held])),
        segment=numbered(recording.segment[~held]),
        settings=settings,
        generator=generator,
        max_seconds=max_seconds,
    )


def run_to_end(
    loop: Loop,
    *,
    path: Path | None,
    identity: dict[str, Any],
    progress: Callable[[dict[str, float]], None] | None,
) -> None:
    """Run to the end; the state after the last whole epoch is kept whatever happens."""
    kept: tuple[dict[str, Tensor], dict[str, Any]] | None = None
    written = time.monotonic()

    def write() -> None:
        if path is not None and kept is not None:
            write_checkpoint(path, kept[0], {"fit": identity, "loop": kept[1]})

    try:
        while not loop.finished:
            line = loop.run_epoch()
            if path is not None:
                kept = loop.state()
                if time.monotonic() - written > CHECKPOINT_SECONDS:
                    write()
                    written = time.monotonic()
            if progress is not None:
                progress(line)
    except (KeyboardInterrupt, StoppedError):
        write()
        raise
    write()


def held_out_error(
    network: ScaledNetwork, recording: Recording, held: np.ndarray[Any, np.dtype[np.bool_]]
) -> FitError:
    """Error of a network on the held-out rows of a recording."""
    voltage, current = recording.voltage[held], recording.current[held]
    found = rmse(network, tensor(voltage), tensor(current))
    spread = math.sqrt(float(recording.current.var(axis=0).mean()))
    driftless = driftless_rms(current - currents(network, voltage), recording.segment[held])
    return FitError(found, found / spread, len(current), driftless)


def numbered(segment: np.ndarray[Any, Any]) -> Tensor:
    """Segments as numbers from 0."""
    return torch.tensor(np.unique(segment, return_inverse=True)[1], dtype=torch.int64)


def tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.tensor(array, dtype=torch.float32)
