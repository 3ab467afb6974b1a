"""Blocks as tasks of a Dask cluster: many machines that share a file system.

Nothing travels but settings and numbers of blocks; each task writes its block itself. A
task that fails with its machine is tried again on another one: writing a block twice gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inmateria.errors import ConfigurationError, InMateriaError, MissingExtraError, WorkerError

RETRIES = 3
CONNECT_S = 30


def run_on_cluster(
    job: Callable[[int], dict[str, float]],
    blocks: Sequence[int],
    *,
    scheduler: str,
    keep: Callable[[int, dict[str, float]], None],
) -> None:
    """Compute and write blocks on the workers of a Dask scheduler.

    Parameters
    ----------
    job : callable
        `generate.BlockJob`, whose path must mean the same folder on all machines.
    blocks : sequence of int
    scheduler : str
        Address, such as ``"tcp://10.0.0.1:8786"``.
    keep : callable
        Told (block, seconds) as soon as a block is written.

    Raises
    ------
    MissingExtraError
        If Dask distributed is not installed.
    ConfigurationError
        If no scheduler answers.
    WorkerError
        If a block failed on every try.
    InMateriaError
        What a block raised on a worker.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise MissingExtraError(
            "a scheduler needs Dask distributed, the extra 'cluster': pip install "
            "'inmateria[cluster]'"
        ) from error
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigurationError(
            f"no Dask scheduler answers at {scheduler}; give its address, such as "
            "tcp://10.0.0.1:8786"
        ) from error
    with client:
        # Not pure: the same block of another store, or a second time, is another task.
        futures = {client.submit(job, b, pure=False, retries=RETRIES): b for b in blocks}
        try:
            for future, seconds in as_completed(list(futures), with_results=True):
                keep(futures[future], seconds)
        except InMateriaError:
            raise
        except (KilledWorker, OSError, RuntimeError) as error:
            raise WorkerError(
                f"a block failed on the cluster {RETRIES + 1} times ({error}); what is finished is "
                "kept: run it again to go on"
            ) from error
        finally:
            client.cancel(list(futures))
