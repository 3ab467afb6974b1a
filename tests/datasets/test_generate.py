"""Sets made at once, by one process or several, with and without interruptions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inmateria.data.sample_store import open_store
from inmateria.data.store_lock import writing
from inmateria.data.store_merge import merge_stores
from inmateria.data.store_verify import verify_store
from inmateria.datasets import generate as module
from inmateria.datasets.generate import Pace, duration, generate
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ConfigurationError, MissingExtraError, ParameterError, StorageError

Small = Callable[..., GenerationSettings]


def content(path: Path) -> dict[str, str]:
    """Digests of all chunks: the store without its description, which has the time in it."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.glob("*/c.*")
    }


@pytest.fixture(scope="module")
def whole(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set by one process, uninterrupted."""
    path = tmp_path_factory.mktemp("whole") / "set.zarr"
    found = generate(small(), path)
    assert (found.n_samples, found.n_missing) == (10, 0)
    return path


def test_a_set_is_whole_and_holds_what_was_asked_for(whole: Path, small: Small) -> None:
    assert verify_store(whole).is_whole
    store = open_store(whole)
    assert store.layout.configuration == small().configuration()
    # 3 blocks of each of 10 variables, and as many digests.
    assert len(content(whole)) == 3 * 11 + 4
    transmission = np.concatenate([b["transmission"] for b in store.samples(["transmission"])])
    gas = small().gas.gas()
    assert transmission.shape == (10,)
    assert (transmission > 0).all()
    assert (transmission <= gas.count_open("source")).all()
    assert sorted(p.name for p in whole.parent.iterdir()) == ["set.zarr"]


def test_two_processes_write_the_same_bytes(whole: Path, small: Small, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = tmp_path / "two.zarr"
    found = generate(small(), path, workers=2, progress=lambda d, t, _="": told.append((d, t)))
    assert found.n_missing == 0
    assert content(path) == content(whole)
    assert told[0] == (0, 10)
    assert told[-1] == (10, 10)
    assert set(found.seconds) == {"draw", "solve", "encode", "write"}


@pytest.mark.slow
def test_kernels_from_an_empty_cache_write_the_same_bytes(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that compiles, and one that loads what the first compiled."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    begin = (
        "import runpy, sys; from inmateria.datasets.generate import generate; "
        f"generate(runpy.run_path({str(Path(__file__).with_name('small.py'))!r})['small'](), "
        "sys.argv[1])"
    )
    for name in ("compiled", "loaded"):
        path = tmp_path / f"{name}.zarr"
        subprocess.run([sys.executable, "-c", begin, str(path)], check=True)
        assert list((tmp_path / "cache").rglob("*.nbc"))
        assert content(path) == content(whole)


def test_another_block_size_gives_the_same_samples(
    whole: Path, small: Small, tmp_path: Path
) -> None:
    generate(small(block_size=3), tmp_path / "three.zarr")
    first, second = open_store(whole), open_store(tmp_path / "three.zarr")
    for variable in first.layout.variables:
        one, other = (
            np.concatenate([b[variable.name] for b in store.samples([variable.name])])
            for store in (first, second)
        )
        np.testing.assert_array_equal(one, other, err_msg=variable.name)


def test_a_set_goes_on_where_it_stopped(
    whole: Path, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.zarr"
    real, done = module.BlockJob.__call__, []

    def interrupted(self: module.BlockJob, block: int) -> dict[str, float]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(block)
        return real(self, block)

    monkeypatch.setattr(module.BlockJob, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(small(), path)
    monkeypatch.undo()
    assert verify_store(path).missing == (2,)
    told: list[int] = []
    assert generate(small(), path, progress=lambda d, _, __="": told.append(d)).n_samples == 2
    assert told == [8, 10]
    assert content(path) == content(whole)
    assert generate(small(), path).n_samples == 0


def test_parts_and_their_merge(whole: Path, small: Small, tmp_path: Path) -> None:
    first, second = tmp_path / "a.zarr", tmp_path / "b.zarr"
    assert generate(small(), first, blocks=range(2)).n_missing == 1
    assert generate(small(), second, blocks=[2], workers=2).n_missing == 2
    assert content(merge_stores([first, second], tmp_path / "all.zarr")) == content(whole)
    with pytest.raises(ParameterError, match="block 3 of a set of 3 blocks"):
        generate(small(), first, blocks=[3])


def test_a_set_from_before_a_setting_came_goes_on(small: Small, tmp_path: Path) -> None:
    """The store's own description holds no key that came later, and is accepted."""
    path = tmp_path / "set.zarr"
    settings = small(scanning_gate={"tip_width_nm": 20.0})
    generate(settings, path, blocks=[0])
    stored = open_store(path).layout.configuration
    assert "temperature_energies" not in stored
    assert set(stored["scanning_gate"]) == {"tip_height_mev", "tip_width_nm", "tip_shape"}
    again = GenerationSettings.model_validate(stored)
    assert generate(again, path).n_missing == 0
    strong = small(scanning_gate={"tip_width_nm": 20.0, "method": "exact"})
    with pytest.raises(ConfigurationError, match=r"scanning_gate\.method = null there, .exact"):
        generate(strong, path)


def test_other_settings_are_refused(whole: Path, small: Small) -> None:
    with pytest.raises(ConfigurationError, match=r"accuracy = 0\.001 there, 0\.01 here"):
        generate(small(accuracy=1e-2), whole)
    assert verify_store(whole).is_whole


def test_a_second_generator_is_refused(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    with writing(path), pytest.raises(StorageError, match="being written by process"):
        generate(small(), path)
    assert not path.exists()


def test_a_full_disk_in_another_process(
    whole: Path, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a block's process is the error here; what was recorded stays."""
    path = tmp_path / "set.zarr"
    generate(small(), path, blocks=[1])
    # A file where a folder has to be: writing fails as on a full disk, in any process.
    folder = path / "transmission"
    folder.rename(path / "aside")
    (path / "transmission").symlink_to("/dev/full")
    with pytest.raises(StorageError):
        generate(small(), path, workers=2)
    (path / "transmission").unlink()
    (path / "aside").rename(folder)
    assert verify_store(path).missing == (0, 2)
    generate(small(), path)
    assert content(path) == content(whole)


def test_settings_that_cannot_be_computed_make_no_store(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    with pytest.raises(ParameterError, match="no wave vector"):
        generate(small(disorder={"spacing_nm": (15.0, 500.0)}), path)
    with pytest.raises(ParameterError, match="workers = 0"):
        generate(small(), path, workers=0)
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_without_dask(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"extra 'cluster': pip install") as caught:
        generate(small(), tmp_path / "set.zarr", scheduler="tcp://127.0.0.1:1")
    assert "\n" not in str(caught.value)


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    pace = Pace(1300)
    now[0] = 110.0
    assert pace.note(100) == "10 samples/s, 2 min left"
    assert [duration(s) for s in (40, 720, 12_240, 181_440)] == ["40 s", "12 min", "3.4 h", "2.1 d"]
