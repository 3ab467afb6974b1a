"""A bench file is refused in one line that names the terminal and says the fix."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inmateria.bench.settings import BenchSettings, read_bench
from inmateria.data.configuration import parse_configuration
from inmateria.errors import ConfigurationError

from .benches import fields, ni_fields, write_bench

Values = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs" / "bench.md"


def refusal(folder: Path, values: Values) -> str:
    with pytest.raises(ConfigurationError) as error:
        read_bench(write_bench(folder, values))
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{folder / 'bench.toml'}: ")
    return message.removeprefix(f"{folder / 'bench.toml'}: ")


def test_a_bench_is_read(tmp_path: Path) -> None:
    bench = read_bench(write_bench(tmp_path, ni_fields(settle_s=0.1)))
    assert bench.terminal[2].terminal().low_v == -1.2
    assert bench.terminal[2].address == "cDAQ1Mod1/ao2"
    assert (bench.settle_s, bench.instrument.delay_samples) == (0.1, 38)
    assert bench.reach_na(bench.output[0]) == 1000.0  # 10 V of 100 nA/V


def test_every_full_example_of_the_docs_is_a_bench() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    benches = [block for block in blocks if "[[terminal]]" in block and "[instrument]" in block]
    kinds = [
        parse_configuration(tomllib.loads(block), BenchSettings).instrument.kind
        for block in benches
    ]
    assert sorted(set(kinds)) == ["ni", "qcodes", "simulated"]


def test_a_channel_named_twice(tmp_path: Path) -> None:
    values = ni_fields()
    # NI takes small letters for capitals, too.
    values["terminal"][4]["channel"] = "CDAQ1mod1/AO2"
    assert refusal(tmp_path, values) == (
        "terminal e3 and terminal e5 are both on channel CDAQ1mod1/AO2; give each terminal its "
        "own channel"
    )


def test_an_input_channel_named_twice(tmp_path: Path) -> None:
    values = ni_fields()
    values["output"].append(values["output"][0] | {"name": "e8"})
    assert "output e0 and output e8 are both on channel cDAQ1Mod4/ai0" in refusal(tmp_path, values)


def without(table: str, number: int, key: str) -> Callable[[Values], object]:
    return lambda values: values[table][number].pop(key)


def put(table: str, number: int, **keys: Any) -> Callable[[Values], object]:
    return lambda values: values[table][number].update(keys)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("terminal", 3, "limits_v"), ("terminal e4 has no limits", "limits_v = [-1.0")),
        (put("terminal", 3, limits_v=[0.1, 1.0]), ("terminal e4", "without 0 V", "include it")),
        (put("terminal", 3, limits_v=[1.0, -1.0]), ("terminal e4", "lower one first")),
        (put("terminal", 3, limits_v=[-1.0, 1.7]), ("e4", "+-1.6 V", "wide_limits = true")),
        (put("terminal", 3, limits_v=["-1 V", 1.0]), ("terminal e4: key 'limits_v'", "volts")),
        (put("terminal", 3, limit_v=[-1.0, 1.0]), ("terminal e4: key 'limit_v'", "'limits_v'")),
        (put("terminal", 3, name="e3"), ("terminal e3 is there twice",)),
        (put("terminal", 3, name="e0"), ("output e0 has the name of terminal e0",)),
        (without("terminal", 3, "channel"), ("terminal e4 has no channel", "cDAQ1Mod1/ao0")),
        (put("terminal", 3, channel="cDAQ1Mod4/ai0"), ("terminal e4", "has no terminal", "ao0")),
        (put("output", 0, channel="cDAQ1Mod1/ao7"), ("output e0", "has no output", "ai0")),
        (without("output", 0, "gain_na_per_v"), ("output e0 has no gain", "gain_na_per_v = 100")),
        (put("output", 0, gain_na_per_v=-100.0), ("output e0: key 'gain_na_per_v'",)),
        (put("output", 0, gain_na_per_v=10.0), ("compliance_na = 300 nA", "100 nA", "lower it")),
        (put("output", 0, na_per_unit=1e9), ("output e0 has na_per_unit", 'kind = "qcodes"')),
        (lambda v: v.pop("slew_v_per_s"), ("slew_v_per_s", "missing")),
        (lambda v: v.update(terminal=[]), ("terminal",)),
        (lambda v: v["instrument"].update(kind="scope"), ("instrument.kind", "'ni'")),
        (lambda v: v["instrument"].update(station="x.yaml"), ("station", '"qcodes"', '"ni"')),
        (lambda v: v["instrument"].update(sever="x:1"), ("sever", "'server'")),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, change: Callable[[Values], object], words: tuple[str, ...]
) -> None:
    values = ni_fields()
    change(values)
    message = refusal(tmp_path, values)
    for word in words:
        assert word in message


def test_wide_limits_by_consent(tmp_path: Path) -> None:
    values = ni_fields()
    values["terminal"][3] |= {"limits_v": [-2.0, 2.0], "wide_limits": True}
    assert read_bench(write_bench(tmp_path, values)).terminal[3].limits == (-2.0, 2.0)


def test_qcodes_needs_a_station_and_paths(tmp_path: Path) -> None:
    values = fields(
        instrument={"kind": "qcodes"},
        terminal=[{"name": "e1", "channel": "dac.ch1.voltage", "limits_v": [-1.0, 1.0]}],
        output=[{"name": "e0", "channel": "keithley.current", "na_per_unit": 1e9}],
    )
    assert "station.yaml" in refusal(tmp_path, values)
    values["instrument"]["station"] = "station.yaml"
    assert read_bench(write_bench(tmp_path, values)).terminal[0].address == "dac.ch1.voltage"
    values["terminal"][0]["channel"] = "dac"
    assert "instrument.parameter" in refusal(tmp_path, values)


def test_simulated_channels_are_the_terminals_of_that_name(tmp_path: Path) -> None:
    bench = read_bench(write_bench(tmp_path))
    assert bench.terminal[3].address == "e4"
    # A simulated converter clips at 4 V of 100 nA/V.
    assert "compliance_na = 400 nA" in refusal(tmp_path, fields(compliance_na=400.0))
