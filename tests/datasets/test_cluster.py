"""Blocks as tasks of a Dask cluster on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from inmateria.data.store_verify import verify_store
from inmateria.datasets.generate import generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ConfigurationError

distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
# Dask's own threads and sockets, which it leaves to the collector.
pytestmark = pytest.mark.filterwarnings("ignore")


def content(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.glob("*/c.*")
    }


def test_a_cluster_writes_the_same_bytes(
    small: Callable[..., GenerationSettings], tmp_path: Path
) -> None:
    generate(small(), tmp_path / "one.zarr")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        found = generate(small(), tmp_path / "many.zarr", scheduler=cluster.scheduler_address)
    assert (found.n_samples, found.n_missing) == (10, 0)
    assert verify_store(tmp_path / "many.zarr").is_whole
    assert content(tmp_path / "many.zarr") == content(tmp_path / "one.zarr")


def test_no_scheduler_answers(
    small: Callable[..., GenerationSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inmateria.datasets.cluster.CONNECT_S", 1)
    with pytest.raises(ConfigurationError, match="no Dask scheduler answers at tcp://127"):
        generate(small(), tmp_path / "set.zarr", scheduler="tcp://127.0.0.1:1")
