from __future__ import annotations

import json
import math

import numpy as np
import pytest

from inmateria.errors import DataFileError
from inmateria.surrogates.brainspy_data import read_brainspy_data

HEADER = "# Input 0, Input 1, Output 0\n"
ROWS = "1e-1 -2e-1 3.5\n0.2 -0.1 4.5\n\n0.0 0.3 -1\n0.1 0.1 0.25\n"


def folder(tmp_path, *, rows=HEADER + ROWS, config=None):
    (tmp_path / "IO.dat").write_text(rows)
    if config is not None:
        (tmp_path / "sampler_configs.json").write_text(config)
    return tmp_path


def test_the_real_rows(reference):
    path = reference / "real-devices" / "IO.dat"
    voltage, current, meta = read_brainspy_data(path)
    table = np.loadtxt(path)
    assert np.array_equal(voltage, table[:, :7])
    assert np.array_equal(current, table[:, 7:])
    assert meta["rate_hz"] == 100.0
    limits = [(t.low_v, t.high_v) for t in meta["terminals"]]
    assert limits[0] == (-1.0, 0.8)
    assert limits[6] == (-1.1, 1.3)
    assert [t.name for t in meta["terminals"]] == [f"v{i}" for i in range(7)]
    assert meta["outputs"] == ("i0",)
    assert meta["rig"]["amplification_na_per_v"] == [39.5]
    assert meta["device"]["name"] == "cas_model_validation_1KSps"


def test_meta_holds_what_a_measurement_takes(tmp_path):
    from inmateria.data.schema import measurement

    data = read_brainspy_data(folder(tmp_path))
    dataset = measurement(data.voltage, data.current, **data.meta)
    assert dataset.sizes == {"sample": 4, "terminal": 2, "output": 1}
    json.dumps([data.meta["device"], data.meta["rig"]], allow_nan=False)


def test_without_a_configuration_ranges_are_what_the_rows_cover(tmp_path):
    voltage, current, meta = read_brainspy_data(folder(tmp_path))
    assert voltage.tolist() == [[0.1, -0.2], [0.2, -0.1], [0.0, 0.3], [0.1, 0.1]]
    assert current.tolist() == [[3.5], [4.5], [-1.0], [0.25]]
    assert [(t.low_v, t.high_v) for t in meta["terminals"]] == [(0.0, 0.2), (-0.2, 0.3)]
    assert math.isnan(meta["rate_hz"])
    assert meta["rig"]["ranges"] == "covered by the rows"


def test_batches_become_segments(tmp_path):
    config = "input_data:\n  number_batches: 2\nsampling_frequency: 50\n"
    meta = read_brainspy_data(folder(tmp_path, config=config)).meta
    assert meta["segment"].tolist() == [0, 0, 1, 1]
    assert meta["rate_hz"] == 50.0


def test_a_configuration_in_json_or_with_flow_lists(tmp_path):
    wanted = [(-0.5, 0.5), (-0.4, 0.4)]
    flow = "driver:\n  activation_voltage_ranges: [[-0.5, 0.5], [-0.4, 0.4]]\n"
    plain = json.dumps({"driver": {"activation_voltage_ranges": wanted}})
    for config in (flow, plain):
        meta = read_brainspy_data(folder(tmp_path, config=config)).meta
        assert [(t.low_v, t.high_v) for t in meta["terminals"]] == wanted


def test_tags_are_never_acted_on(tmp_path):
    trap = tmp_path / "trap"
    tag = f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{trap}]]"
    config = f"data_name: {tag}\nactivation_voltage_ranges: {tag}\nsampling_frequency: 20\n"
    meta = read_brainspy_data(folder(tmp_path, config=config)).meta
    assert not trap.exists()
    assert meta["rate_hz"] == 20.0
    assert meta["device"]["name"] is None


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (ROWS, "no header"),
        (HEADER, "no rows"),
        (HEADER + ROWS + "0.1 0.2", "row 4 has 2 numbers.*cut off"),
        (HEADER + ROWS.replace("3.5", "three"), "text among its numbers"),
        (HEADER + ROWS.replace("3.5", "nan"), "row 0, column 2 is nan"),
    ],
)
def test_damaged_rows_are_refused(tmp_path, rows, match):
    with pytest.raises(DataFileError, match=match):
        read_brainspy_data(folder(tmp_path, rows=rows))


def test_missing_and_impossible_files(tmp_path):
    with pytest.raises(DataFileError, match=r"cannot read .*IO\.dat"):
        read_brainspy_data(tmp_path)
    config = json.dumps({"activation_voltage_ranges": [[1, 0], [0, 1]]})
    with pytest.raises(DataFileError, match="empty"):
        read_brainspy_data(folder(tmp_path, config=config))
