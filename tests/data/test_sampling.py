"""Recordings: every row is what the rig was sent and gave, and the rig ends at 0 V."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

from inmateria.data.designs import Plateaus, Sinusoids, Triangles
from inmateria.data.journal import recover_measurement
from inmateria.data.measurement import open_measurement
from inmateria.data.sampling import LEAD_IN_S, sample
from inmateria.errors import (
    ConfigurationError,
    DataFileError,
    InstrumentError,
    NotFiniteError,
    ParameterError,
    ShapeError,
    SlewLimitError,
    StoppedError,
    StorageError,
)
from inmateria.rigs.guard import Guard

DESIGNS = [
    Sinusoids(2.5, base_hz=2.0, seed=1),
    Triangles(2.5, base_hz=2.0, seed=1),
    Plateaus(60, hold_s=0.01, settle_s=0.005, seed=1),
]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.kind)
def test_rows_are_what_the_rig_was_sent_and_gave(
    design: Sinusoids, tmp_path: Path, ohmic: ModuleType
) -> None:
    rig = ohmic.OhmicRig()
    with Guard(rig) as guard:
        path = sample(guard, design, path=tmp_path / "m.nc", block_s=0.4)
    dataset = open_measurement(path)
    expected = dataset["voltage"].values @ rig.conductance.T
    # the mean of ten equal numbers is off by a few roundings of 60 nA
    np.testing.assert_allclose(dataset["current"].values, expected, rtol=0, atol=1e-12)
    sent = np.concatenate(rig.sent, axis=1)
    assert np.abs(np.diff(sent, axis=1, prepend=0)).max() * rig.rate <= 200.0 * (1 + 1e-9)
    np.testing.assert_array_equal(rig.held_voltage, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["m.nc"]
    if design.kind != "plateaus":
        # between the lead-in and the way back to 0 V lies the recording, sample for sample
        first = np.flatnonzero((dataset["voltage"].values[0] == sent.T).all(axis=1))[-1]
        np.testing.assert_array_equal(sent[:, first : first + 2500].T, dataset["voltage"].values)
        n_held = round(LEAD_IN_S * rig.rate)
        assert first >= n_held
        held = sent[:, first - n_held : first]
        assert (held == sent[:, [first]]).all()


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.kind)
def test_provenance(design: Sinusoids, tmp_path: Path, ohmic: ModuleType) -> None:
    source = tmp_path / "sample.toml"
    source.write_text("x = 1\n")
    with Guard(ohmic.OhmicRig()) as guard:
        path = sample(guard, design, path=tmp_path / "m.nc", parents=[source])
    attrs = open_measurement(path).attrs
    kept = json.loads(attrs["design"])
    assert {key: kept[key] for key in design.to_json()} == design.to_json()
    assert json.loads(attrs["device"]) == {"kind": "resistors", "n": 3}
    assert json.loads(attrs["rig"])["kind"] == "ohmic"
    assert attrs["seed"] == 1
    assert attrs["rate_hz"] == 1000.0
    assert attrs["fidelity"] == "simulation"
    assert json.loads(attrs["parents"])[0]["path"] == str(source)
    assert json.loads(attrs["resumed_at_rows"]) == []
    assert attrs["started_utc"] <= attrs["finished_utc"]


def test_segments_are_whole_stretches(tmp_path: Path, ohmic: ModuleType) -> None:
    design = Triangles(2.5, base_hz=2.0, stretch_s=0.2)
    dataset = open_measurement(sample(ohmic.OhmicRig(), design, path=tmp_path / "m.nc"))
    np.testing.assert_array_equal(dataset["segment"], np.arange(2500) // 200)


def test_a_bare_rig_goes_behind_a_guard(tmp_path: Path, ohmic: ModuleType) -> None:
    rig = ohmic.OhmicRig()
    with pytest.raises(SlewLimitError, match="base_hz of at most"):
        sample(rig, Sinusoids(1.0, base_hz=50.0), path=tmp_path / "m.nc")
    assert rig.sent == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fail_after", [None, 900])
def test_it_ends_at_0_v_also_where_the_guard_is_no_context(
    fail_after: int | None, tmp_path: Path, ohmic: ModuleType
) -> None:
    rig = ohmic.OhmicRig()
    rig.fail_after = fail_after
    with contextlib.suppress(OSError):
        sample(Guard(rig), DESIGNS[0], path=tmp_path / "m.nc", block_s=0.25)
    assert (tmp_path / "m.nc").exists() == (fail_after is None)
    np.testing.assert_array_equal(rig.held_voltage, 0)
    assert len(rig.sent) > 3


def test_clipped_rows_are_marked(tmp_path: Path, ohmic: ModuleType) -> None:
    for design in (DESIGNS[1], DESIGNS[2]):
        rig = ohmic.OhmicRig(current_range_na=30.0)
        path = sample(rig, design, path=tmp_path / f"{design.kind}.nc")
        dataset = open_measurement(path)
        exact = dataset["voltage"].values @ rig.conductance.T
        np.testing.assert_array_equal(dataset["clipped"].values == 1, np.abs(exact) >= 0.999 * 30)
        assert 0 < float(dataset["clipped"].mean()) < 1


def test_progress_counts_rows(tmp_path: Path, ohmic: ModuleType) -> None:
    seen: list[tuple[int, int]] = []
    sample(
        ohmic.OhmicRig(),
        DESIGNS[0],
        path=tmp_path / "m.nc",
        block_s=1.0,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(0, 2500), (1000, 2500), (2000, 2500), (2500, 2500)]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.kind)
@pytest.mark.parametrize("error", [OSError("cable"), StoppedError("TERM"), KeyboardInterrupt()])
def test_after_a_stop_it_goes_on_where_it_was(
    design: Sinusoids, error: BaseException, tmp_path: Path, ohmic: ModuleType
) -> None:
    whole = open_measurement(sample(ohmic.OhmicRig(), design, path=tmp_path / "whole.nc"))
    rig = ohmic.OhmicRig()
    rig.fail_after, rig.error = 900, error
    path = tmp_path / "m.nc"
    with pytest.raises(type(error)), Guard(rig) as guard:
        sample(guard, design, path=path, block_s=0.25)
    np.testing.assert_array_equal(rig.held_voltage, 0)
    with pytest.raises(DataFileError, match="is not finished; run the same sampling again"):
        open_measurement(path)
    kept = open_measurement(tmp_path / "m.nc.part")
    assert 0 < kept.sizes["sample"] < whole.sizes["sample"]

    again = ohmic.OhmicRig()
    # another block length may be used to go on
    resumed = open_measurement(sample(again, design, path=path, block_s=0.1))
    for name in ("voltage", "current", "clipped", "segment"):
        xr.testing.assert_equal(
            resumed[name].drop_attrs(),
            whole[name].drop_attrs(),
        )
        xr.testing.assert_equal(
            resumed[name].isel(sample=slice(kept.sizes["sample"])).drop_attrs(),
            kept[name].drop_attrs(),
        )
    assert json.loads(resumed.attrs["resumed_at_rows"]) == [kept.sizes["sample"]]
    assert not (tmp_path / "m.nc.part").exists()
    sent = np.concatenate(again.sent, axis=1)
    assert np.abs(np.diff(sent, axis=1, prepend=0)).max() * again.rate <= 200.0 * (1 + 1e-9)


def test_a_stop_right_after_a_block_was_written_counts_it(
    tmp_path: Path, ohmic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def stopped(handle: int) -> None:
        fsync(handle)
        calls.append(handle)
        # the header, its folder, then one call for each block
        if len(calls) == 5:
            raise StoppedError("stopped by TERM")

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(StoppedError, match=r"TERM; 750 of 2500 rows are kept in .*m\.nc\.part"):
        sample(ohmic.OhmicRig(), DESIGNS[0], path=tmp_path / "m.nc", block_s=0.25)
    assert open_measurement(tmp_path / "m.nc.part").sizes["sample"] == 750


def test_a_finished_recording_is_not_made_again(tmp_path: Path, ohmic: ModuleType) -> None:
    path = sample(ohmic.OhmicRig(), DESIGNS[2], path=tmp_path / "m.nc")
    before = path.read_bytes()
    rig = ohmic.OhmicRig()
    seen: list[tuple[int, int]] = []
    sample(rig, DESIGNS[2], path=path, progress=lambda *done: seen.append(done))
    assert rig.sent == []
    assert path.read_bytes() == before
    assert seen == [(60, 60)]


def test_another_recording_is_neither_overwritten_nor_continued(
    tmp_path: Path, ohmic: ModuleType
) -> None:
    path = sample(ohmic.OhmicRig(), Sinusoids(0.5, seed=1), path=tmp_path / "m.nc")
    with pytest.raises(ConfigurationError, match=r"design\.seed was 1 and is 2 now"):
        sample(ohmic.OhmicRig(), Sinusoids(0.5, seed=2), path=path)
    with pytest.raises(StorageError, match="exists and is not overwritten"):
        sample(ohmic.OhmicRig(), Sinusoids(0.5, seed=1), path=path, resume=False)

    rig = ohmic.OhmicRig()
    rig.fail_after = 1000
    with pytest.raises(OSError, match="cable"):
        sample(rig, Sinusoids(2.0, seed=1), path=tmp_path / "n.nc", block_s=0.2)
    with pytest.raises(ConfigurationError, match=r"rate_hz was 1000\.0 and is 2000\.0 now"):
        sample(ohmic.OhmicRig(rate=2000.0), Sinusoids(2.0, seed=1), path=tmp_path / "n.nc")
    with pytest.raises(ConfigurationError, match=r"device\.n was 3 and is 2 now \(and \d more\)"):
        sample(ohmic.OhmicRig(2), Sinusoids(2.0, seed=1), path=tmp_path / "n.nc")
    with pytest.raises(StorageError, match="holds an unfinished recording"):
        sample(ohmic.OhmicRig(), Sinusoids(2.0, seed=1), path=tmp_path / "n.nc", resume=False)


def test_what_was_recorded_can_be_kept_without_going_on(tmp_path: Path, ohmic: ModuleType) -> None:
    rig = ohmic.OhmicRig()
    rig.fail_after = 1000
    with pytest.raises(OSError, match="cable"):
        sample(rig, Sinusoids(2.0), path=tmp_path / "m.nc", block_s=0.2)
    part = tmp_path / "m.nc.part"
    saved = recover_measurement(part)
    assert saved.name == "m.recovered.nc"
    dataset = open_measurement(saved)
    partial = open_measurement(part)
    xr.testing.assert_equal(dataset.drop_attrs(), partial.drop_attrs())
    assert dataset.attrs["planned_rows"] == 2000
    assert part.exists()
    with pytest.raises(StorageError, match="not overwritten"):
        recover_measurement(part)


def test_a_rig_that_gives_nonsense(tmp_path: Path, ohmic: ModuleType) -> None:
    class Short(ohmic.OhmicRig):  # type: ignore[misc, name-defined]
        slew_v_per_s = 200.0

        def play(self, voltage: object) -> np.ndarray:
            return super().play(voltage)[:1]

        def ramp_to(self, voltage: object) -> None: ...

        def park(self) -> None: ...

    class Broken(ohmic.OhmicRig):  # type: ignore[misc, name-defined]
        slew_v_per_s = 200.0

        def play(self, voltage: object) -> np.ndarray:
            return super().play(voltage) * np.nan

    class Unguarded(Short):
        def play(self, voltage: object) -> np.ndarray:
            return ohmic.OhmicRig.play(self, voltage) * np.nan

    with pytest.raises(InstrumentError, match=r"output out read nan at sample 0"):
        sample(Broken(), Sinusoids(0.5), path=tmp_path / "b.nc")
    with pytest.raises(NotFiniteError, match=r"current\[0, 0\] is nan nA"):
        sample(Unguarded(), Sinusoids(0.5), path=tmp_path / "c.nc")
    with pytest.raises(ShapeError, match=r"the rig recorded \(1, 500\)"):
        sample(Short(), Sinusoids(0.5), path=tmp_path / "a.nc")


def test_blocks_of_no_length(tmp_path: Path, ohmic: ModuleType) -> None:
    with pytest.raises(ParameterError, match="block_s = 0"):
        sample(ohmic.OhmicRig(), Sinusoids(0.5), path=tmp_path / "m.nc", block_s=0)


def test_a_recording_that_does_not_fit_is_refused_before_it_begins(
    tmp_path: Path, ohmic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = ohmic.OhmicRig()
    # 500 rows of 3 x 8 + 2 x 9 + 4 = 46 bytes, in the journal and in the file
    needed = 2 * 500 * 46
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
        with pytest.raises(StorageError, match="are free; free space or choose"):
            sample(rig, Sinusoids(0.5), path=tmp_path / "m.nc")
        assert rig.sent == []
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
        sample(rig, Sinusoids(0.5), path=tmp_path / "m.nc")
    with pytest.raises(StorageError, match="is a folder; name a file in it"):
        sample(rig, Sinusoids(0.5), path=tmp_path)
