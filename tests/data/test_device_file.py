"""Devices on disk, and what is remembered of their accuracy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inmateria.data import accuracy_cache, device_file
from inmateria.data.accuracy_cache import cache_folder, cached_accuracy, known_accuracy
from inmateria.data.device_file import (
    MODEL_ARRAYS,
    add_accuracy,
    is_device_file,
    load_device,
    physics_sha256,
    save_device,
)
from inmateria.devices.dopant import network as home
from inmateria.devices.dopant.accuracy import Accuracy
from inmateria.devices.dopant.geometry import draw
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.errors import DataFileError, DataIntegrityError, ParameterError, SchemaVersionError

SMALL = DopantParameters(
    n_acceptors=5, n_donors=1, radius_nm=40.0, electrode_width_nm=12.0, localisation_nm=10.0
)


def small(**options) -> DopantNetwork:
    return DopantNetwork(**({"seed": 3, "parameters": SMALL, "engine": "meanfield"} | options))


def from_arrays(**options) -> DopantNetwork:
    drawn = small()
    arrays = {name: getattr(drawn.model, name) for name in MODEL_ARRAYS}
    return DopantNetwork.from_arrays(
        **arrays, temperature_k=60.1, engine="meanfield", geometry=drawn.geometry, **options
    )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Engines whose accuracy was measured, in a cache of this test's own."""
    calls: list[str] = []

    def measure(device: DopantNetwork, **_) -> Accuracy:
        calls.append(device.engine.name)
        error = 0.01 * len(calls)
        return Accuracy(device.engine.name, error, 0.002, 20.0, 0.1, 32, 0.01, 0.004, 0, 0, (), 0)

    monkeypatch.setattr(accuracy_cache, "measure_accuracy", measure)
    monkeypatch.setenv("INMATERIA_CACHE", str(tmp_path / "cache"))
    return calls


@pytest.mark.parametrize(
    "make",
    [
        small,
        lambda: small(outputs=("e2", 5), ranges={"e1": (-0.3, 0.9)}, engine="exact"),
        lambda: small(engine="kmc", engine_settings={"hops": np.int64(2000), "seed": 4}),
        from_arrays,
        lambda: from_arrays(rates="miller-abrahams", range_v=0.7, outputs=(1, 4)),
    ],
)
def test_a_device_comes_back_bit_by_bit(make: Callable[[], DopantNetwork], tmp_path: Path) -> None:
    device = make()
    path = save_device(device, tmp_path / "made" / "device.json")
    back = load_device(path)
    voltage = np.random.default_rng(0).uniform(-0.3, 0.7, (20, len(device.terminals)))
    np.testing.assert_array_equal(back.current(voltage), device.current(voltage))
    assert back.terminals == device.terminals
    assert back.describe() == json.loads(json.dumps(device.describe(), default=int))
    assert physics_sha256(back) == physics_sha256(device)
    if device.seed is None:
        for name in ("acceptor_xy_nm", "donor_xy_nm", "electrode_angle", "site_disorder_ev"):
            np.testing.assert_array_equal(
                getattr(back.geometry, name), getattr(device.geometry, name)
            )
    again = save_device(back, tmp_path / "again.json")
    first, second = (json.loads(p.read_text()) for p in (path, again))
    for record in (first, second):
        del record["written_utc"], record["sha256"]
    assert first == second


def test_an_engine_of_ones_own_choice(tmp_path: Path) -> None:
    path = save_device(small(engine="kmc", engine_settings={"hops": 2000}), tmp_path / "d.json")
    assert load_device(path, engine="exact").engine.name == "exact"
    assert load_device(path, engine="kmc").describe()["engine_settings"] == {"hops": 2000}
    with pytest.raises(ParameterError, match="engine 'none' is unknown"):
        load_device(path, engine="none")


def refusal(path: Path) -> DataFileError | None:
    """The error of loading a file, if there is one."""
    try:
        load_device(path)
    except DataFileError as error:
        return error
    return None


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = save_device(from_arrays(), tmp_path / "device.json")
    before = path.read_bytes()
    whole = json.loads(before)
    harmless = 0
    for at in range(0, len(before), 7):
        damaged = bytearray(before)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        refused = refusal(path)
        if refused is None:
            # JSON does not mind which white space stands between its parts
            assert json.loads(path.read_bytes()) == whole
            harmless += 1
            continue
        assert str(path) in str(refused)
        assert "\n" not in str(refused)
        if not isinstance(refused, DataIntegrityError | SchemaVersionError):
            assert "does not hold a device" in str(refused)  # a flip in the name of the schema
    assert harmless < 0.2 * len(before) / 7

    digit = before.replace(b'"n_acceptors": 5', b'"n_acceptors": 6')
    path.write_bytes(digit)
    with pytest.raises(DataIntegrityError, match=r"device\.json: the numbers of the device"):
        load_device(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"none\.json: No such file.*save_device"):
        load_device(tmp_path / "none.json")
    path = save_device(small(), tmp_path / "device.json")
    path.write_bytes(path.read_bytes()[:-30])
    assert is_device_file(path)
    with pytest.raises(DataIntegrityError, match="truncated or altered"):
        load_device(path)
    for text in ("no JSON", "[1]", '{"schema": "inmateria.surrogate"}'):
        path.write_text(text)
        assert not is_device_file(path)
        with pytest.raises(DataFileError, match="does not hold a device"):
            load_device(path)
    path.write_text('{"schema": "inmateria.device", "schema_version": 2}')
    with pytest.raises(SchemaVersionError, match="update inmateria"):
        load_device(path)
    with pytest.raises(ParameterError, match="object is no dopant network"):
        save_device(object(), path)  # type: ignore[arg-type]


def test_a_seed_that_draws_another_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_device(small(), tmp_path / "device.json")
    monkeypatch.setattr(home, "draw", lambda parameters, *, seed: draw(parameters, seed=seed + 1))
    with pytest.raises(DataIntegrityError, match="seed 3 draws another network"):
        load_device(path)


def test_an_accuracy_is_measured_once(measured: list[str]) -> None:
    first = known_accuracy(small())
    assert known_accuracy(small()) == first == cached_accuracy(small())
    assert measured == ["meanfield"]
    assert small().accuracies == {}

    changed = {
        "seed": {"seed": 4},
        "parameter": {"parameters": DopantParameters(**{**SMALL.as_dict(), "disorder_ev": 0.11})},
        "rates": {
            "parameters": DopantParameters(**{**SMALL.as_dict(), "rates": "miller-abrahams"})
        },
        "output": {"outputs": (1,)},
        "range": {"ranges": {"e1": (-0.5, 0.5)}},
        "engine": {"engine": "exact"},
        "settings": {"engine": "kmc", "engine_settings": {"hops": 5000}},
    }
    for count, options in enumerate(changed.values(), start=2):
        assert cached_accuracy(small(**options)) is None
        known_accuracy(small(**options))
        known_accuracy(small(**options))
        assert len(measured) == count
    assert known_accuracy(small()) == first


def test_another_version_measures_again(
    measured: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = small()
    known_accuracy(device)
    path = save_device(device, tmp_path / "device.json")
    assert len(load_device(path).accuracies) == 1
    monkeypatch.setattr(device_file, "software", lambda: "inmateria 99.0")
    assert load_device(path).accuracies == {}
    known_accuracy(load_device(path))
    assert len(measured) == 2


def test_a_file_remembers(measured: list[str], tmp_path: Path) -> None:
    path = save_device(small(), tmp_path / "device.json")
    found = known_accuracy(load_device(path))
    add_accuracy(path, load_device(path), found)
    other = load_device(path, engine="exact")
    add_accuracy(path, other, known_accuracy(other))
    assert measured == ["meanfield", "exact"]
    (tmp_path / "cache").rename(tmp_path / "gone")
    assert load_device(path).accuracies == {found.asked: found}
    assert load_device(path).accuracy() == found
    assert load_device(path).engine.name == "meanfield"
    assert load_device(path, engine="exact").accuracy().engine == "exact"
    assert known_accuracy(load_device(path)) == found
    assert len(measured) == 2
    add_accuracy(path, load_device(path), found)
    assert len(json.loads(path.read_text())["accuracies"]) == 2
    with pytest.raises(DataFileError, match="holds another device"):
        add_accuracy(path, small(seed=8), found)


def test_a_damaged_cache_is_no_cache(measured: list[str], tmp_path: Path) -> None:
    known_accuracy(small())
    (file,) = (tmp_path / "cache" / "accuracy").iterdir()
    whole = file.read_text()
    for text in ("", "[]", "{", whole.replace('"error": 0.01', '"error": 0.91'), "\udcff"):
        file.write_text(text, errors="surrogateescape")
        assert cached_accuracy(small()) is None
    known_accuracy(small())
    assert len(measured) == 2
    assert cached_accuracy(small()) is not None


def test_a_cache_that_cannot_be_written_is_left_alone(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    first = known_accuracy(small())
    assert first.engine == "meanfield"
    known_accuracy(small())
    assert len(measured) == 2

    def broken(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy_cache, "write_text", broken)
    monkeypatch.setenv("INMATERIA_CACHE", str(tmp_path / "other"))
    with pytest.raises(KeyboardInterrupt):
        known_accuracy(small())


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INMATERIA_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == tmp_path
    monkeypatch.delenv("INMATERIA_CACHE")
    assert cache_folder() == Path("/shared/inmateria")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/someone/.cache/inmateria")
