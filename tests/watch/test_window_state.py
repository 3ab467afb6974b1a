"""Windows of tones: written now and then, in vain where that fails, and read as a spectrum."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from inmateria.errors import DataFileError
from inmateria.training.window_file import WindowFile, read_windows, window_path
from inmateria.watch.window_state import WindowWatch, noise_beside, spectrum

RATE, N = 10_000.0, 1000


def test_a_tone_stands_at_its_power_in_its_own_bin():
    t = np.arange(N) / RATE
    wave = 3.0 * np.sin(2 * np.pi * 890 * t + 1.0) + 50.0 + 20.0 * t
    frequency, density = spectrum(wave[None], RATE)
    at = int(np.argmin(np.abs(frequency - 890)))
    # A sine of amplitude A in a window of T: A^2 T / 2 in one bin. The line that is taken off
    # has a small share of the sine in it: the next bins hold less than a part in 10^4.
    assert density[at] == pytest.approx(3.0**2 * (N / RATE) / 2, rel=1e-3)
    assert density[[at - 1, at + 1]].max() < 1e-4 * density[at]
    # 20 nA/s of drift are gone, and so is the mean.
    assert density[1] < 1e-4 * density[at]


def test_white_noise_has_its_own_density():
    wave = np.random.default_rng(2).normal(0.0, 0.1, (400, N))
    frequency, density = spectrum(wave, RATE)
    # sigma^2 over half the rate, to 1 / sqrt(400) in each bin: four of those in 500 bins at most
    # where it counts, the mean far better.
    expected = 0.1**2 / (RATE / 2)
    assert density[2:-1].mean() == pytest.approx(expected, rel=0.01)
    tones = np.array([890.0, 990.0])
    assert noise_beside(frequency, density, tones) == pytest.approx(expected, rel=0.1)


def test_noise_is_looked_for_beside_tones_and_harmonics():
    frequency = np.arange(0.0, 500.0, 10.0)
    density = np.ones(frequency.size)
    for f in (100, 110, 200, 220, 300, 330):
        density[int(f / 10)] = 1e6
    assert noise_beside(frequency, density, np.array([100.0, 110.0])).tolist() == [1.0, 1.0]


def estimator(windows: np.ndarray | None) -> SimpleNamespace:
    plan = SimpleNamespace(rate=RATE, frequency_hz=np.array([890.0, 990.0]), group=np.array([0, 0]))
    return SimpleNamespace(plan=plan, last_windows=windows)


def test_windows_are_written_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("inmateria.training.window_file.time.monotonic", lambda: now)
    log = tmp_path / "XOR.search.jsonl"
    file, watch = WindowFile(window_path(log)), WindowWatch(log)
    assert file.path.name == "XOR.window.npz"
    assert not watch.refresh()
    windows = np.random.default_rng(0).normal(size=(4, 1, 2, N))
    told = {"output": 1, "controls": ("e1", "e2")}
    file.show(SimpleNamespace(), iteration=1, **told)  # plays no tones
    file.show(estimator(None), iteration=1, **told)  # has played none yet
    assert not file.path.exists()
    file.show(estimator(windows), iteration=1, **told)
    now = 100.9
    file.show(estimator(windows), iteration=2, **told)
    kept = read_windows(file.path)
    assert int(kept["iteration"]) == 1
    assert kept["current_na"] == pytest.approx(windows[:, :, 1], abs=1e-6)
    assert watch.refresh()
    assert not watch.refresh()
    now = 101.0
    file.show(estimator(windows), iteration=3, **told)
    assert watch.refresh()
    part = watch.part()
    assert part is not None
    assert part["iteration"] == 3
    assert len(part["traces"]) == 4
    assert [t["frequency_hz"] for t in part["tones"]] == [890.0, 990.0]
    assert list(tmp_path.iterdir()) == [file.path]  # no temporary file stays


def test_a_disk_that_refuses_costs_nothing(tmp_path: Path) -> None:
    file = WindowFile(tmp_path / "nowhere" / "x.window.npz")
    file.show(estimator(np.zeros((1, 1, 1, N))), iteration=1, output=0, controls=("e1", "e2"))
    assert not file.path.exists()


def test_a_damaged_file_leaves_the_picture_before(tmp_path: Path) -> None:
    log = tmp_path / "XOR.search.jsonl"
    file, watch = WindowFile(window_path(log)), WindowWatch(log)
    windows = np.random.default_rng(0).normal(size=(4, 1, 1, N))
    file.show(estimator(windows), iteration=7, output=0, controls=("e1", "e2"))
    watch.refresh()
    whole = file.path.read_bytes()
    for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2], b"\x93NUMPY" + bytes(40)):
        file.path.write_bytes(content)
        with pytest.raises(DataFileError):
            read_windows(file.path)
        watch.refresh()
        part = watch.part()
        assert part is not None
        assert part["iteration"] == 7
    file.path.unlink()
    assert watch.refresh()
    assert watch.part() is None
