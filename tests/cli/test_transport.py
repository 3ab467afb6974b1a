"""`inmateria transport`: what it computes and writes, how it goes on, what it refuses."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from inmateria.cli import transport_steps
from inmateria.cli.transport_steps import checked_positions
from inmateria.data.transport_file import open_transport
from inmateria.report import transport_sections
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.gradient import transmission_gradient

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]

GAS = ElectronGas(n_x=40, n_y=24, source=Lead(2, 20), drain=Lead(0, 24))
SMALL = """
[gas]
n_x = 40
n_y = 24
[scanning_gate]
stride = 2
tip_height_mev = 0.02
"""
SCANNING_GATE = "inmateria.transport.scanning_gate"


@pytest.fixture(autouse=True)
def scanning_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first-order map by plain sums, where the library's own is not there."""
    if find_spec(SCANNING_GATE) is not None:
        return

    def scanning_gate_map(
        gas: ElectronGas, potential_mev: Any, tip: Any, *, stride: int = 1, **_: Any
    ) -> SimpleNamespace:
        found = transmission_gradient(gas, potential_mev)
        x, y = (gas.spacing_nm * np.arange(n) for n in gas.shape)
        at_x, at_y = x[::stride], y[::stride]
        far = np.hypot(*np.broadcast_arrays(
            (at_x[:, None] - x)[:, None, :, None], (at_y[:, None] - y)[None, :, None, :]
        ))  # fmt: skip
        change = (tip.potential(far) * found.gradient).sum(axis=(-2, -1))
        return SimpleNamespace(
            x_nm=at_x, y_nm=at_y, change=change, transmission=found.transmission + change,
            unperturbed=found.transmission, error=np.array(1e-6),
        )  # fmt: skip

    module = ModuleType(SCANNING_GATE)
    module.scanning_gate_map = scanning_gate_map  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, SCANNING_GATE, module)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without sections: their figures are tested elsewhere."""
    monkeypatch.setattr(transport_sections, "transport_sections", lambda _: [])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


def only_run(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


def data_of(out: Path) -> xr.Dataset:
    return open_transport(only_run(out) / "data" / "transport.nc")


def test_a_sample_is_what_the_library_computes(inmateria: Run, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = inmateria("transport", "sample", "--config", small, "--seed", "5", "--out", out)
    assert outcome.status == 0, outcome.err
    line, report = outcome.out.splitlines()
    folder = only_run(out)
    assert Path(report) == folder / "report.html"
    found = data_of(out)
    drawn = RemoteDopants().sample(GAS, seed=5)
    assert drawn.coefficients is not None
    np.testing.assert_array_equal(found["potential"], drawn.potential)
    coefficients = found["coefficient_real"].values + 1j * found["coefficient_imag"].values
    np.testing.assert_array_equal(coefficients, drawn.coefficients.c)
    # All modes and no estimate of what was dropped: errors of rounding alone.
    exact = GAS.scatter(drawn.potential, accuracy=1e-10, modes=GAS.n_y)
    worst = np.abs(found["pldos"].values - exact.pldos).max() / exact.pldos.max()
    # The estimate is good to a small factor; 1e-6 was asked for.
    assert worst < 3e-6
    t = found["t_real"].values + 1j * found["t_imag"].values
    # Amplitudes err by less than the PLDOS, a square of amplitudes.
    np.testing.assert_allclose(t, exact.t, atol=3e-6)
    assert float(found["transmission"]) == pytest.approx((np.abs(t) ** 2).sum(), abs=1e-12)
    # T + R = N whatever the truncation; the sum has the rounding of some hundred slices.
    assert float(found["transmission"] + found["reflection"]) == pytest.approx(3, abs=1e-6)
    assert line.startswith(f"T = {float(exact.transmission):.4f} of 3 modes")
    assert found.attrs["seed"] == 5


@pytest.mark.usefixtures("no_figures")
def test_accuracy_is_what_was_asked_for(inmateria: Run, small: Path, tmp_path: Path) -> None:
    # Wide enough that modes are dropped.
    wide = ElectronGas(n_x=40, n_y=100, source=Lead(40, 20), drain=Lead(0, 100))
    potential = RemoteDopants().sample(wide, seed=0).potential
    exact = wide.scatter(potential, accuracy=1e-12, modes=wide.n_y).pldos
    errors = []
    for accuracy in ("1e-2", "1e-9"):
        out = tmp_path / accuracy
        inmateria("transport", "sample", "--config", small, "--n-y", "100", "--sgm", "none",
                  "--accuracy", accuracy, "--out", out)  # fmt: skip
        found = data_of(out)
        assert float(found["error"]) <= float(accuracy)
        errors.append(np.abs(found["pldos"].values - exact).max() / exact.max())
    # The estimate is good to a small factor.
    assert errors[1] < 3e-9 < 1e-6 < errors[0] < 3e-2


def test_the_file_opens_in_plain_xarray_with_units(
    inmateria: Run, small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    inmateria("transport", "sample", "--config", small, "--out", out)
    with xr.open_dataset(only_run(out) / "data" / "transport.nc", engine="h5netcdf") as found:
        assert found["potential"].dims == ("x", "y")
        assert found["potential"].attrs["units"] == "meV"
        assert found["pldos"].attrs["units"] == "1/t"
        np.testing.assert_array_equal(found["x"], 5.0 * np.arange(40))
        np.testing.assert_array_equal(found["tip_y"], 10.0 * np.arange(12))
        assert found["gate_change"].shape == (20, 12)
        assert json.loads(found.attrs["gas"])["source"] == {"first_row": 2, "n_rows": 20}
    config = (only_run(out) / "config.toml").read_text()
    for words in ('source_rows = "2:22"', "density_per_cm2 = 1000000000000.0", "seed = 0"):
        assert words in config


def test_the_map_is_checked_by_solutions_with_the_tip_in_place(
    inmateria: Run, small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    inmateria("transport", "sample", "--config", small, "--out", out)
    found = data_of(out)
    mapped = found["gate_change"].sel(
        tip_x=found["check_x"].rename(check="c"), tip_y=found["check_y"].rename(check="c")
    )
    solved = found["check_change"].values
    assert np.ptp(solved) > 0
    # A tip of 0.4 % of the Fermi energy: second order is about as much smaller than first.
    np.testing.assert_allclose(mapped.values, solved, atol=0.05 * np.abs(solved).max())
    html = (only_run(out) / "report.html").read_text()
    assert "The tip is weak enough for first order." in html


def test_energies_temperature_and_fields(inmateria: Run, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = inmateria(
        "transport", "sample", "--config", small, "--sgm", "none", "--energies", "0.4:5.6:14",
        "--temperature-k", "0.05", "--field-t", "0,0.5", "--out", out,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    found = data_of(out)
    zero = float(found["transmission"])
    # 0.05 K is 4 ueV: on that scale the transmission of a sample of 200 nm is flat.
    assert float(found["thermal_transmission"]) == pytest.approx(zero, abs=3e-3)
    # Sweeps were asked for to 1e-3 of the PLDOS.
    assert float(found["field_transmission"][0]) == pytest.approx(zero, abs=3e-3)
    assert abs(float(found["field_transmission"][1]) - zero) > 1e-3
    sweep = found["energy_transmission"].values
    assert sweep[-1] == pytest.approx(zero, abs=3e-3)
    # The source's first mode opens at 0.54 meV: t (2 - 2 cos(pi / 21)).
    threshold = GAS.hopping_mev * (2 - 2 * np.cos(np.pi / 21))
    closed = found["energy"].values < threshold
    assert closed.sum() == 1
    assert (sweep[closed] == 0).all()
    assert (sweep <= found["energy_open"].values + 1e-9).all()
    html = (only_run(out) / "report.html").read_text()
    for heading in ("Transmission over energy", "At 0.05 K", "In a magnetic field"):
        assert heading in html
    assert "Scanning gate" not in html


def test_same_command_gives_the_same_numbers_and_pictures(
    inmateria: Run, small: Path, tmp_path: Path
) -> None:
    for out in ("a", "b"):
        inmateria("transport", "sample", "--config", small, "--out", tmp_path / out)
    first, second = (data_of(tmp_path / out) for out in ("a", "b"))
    for name in first.variables:
        np.testing.assert_array_equal(first[name], second[name], err_msg=str(name))
    pages = [(only_run(tmp_path / out) / "report.html").read_text() for out in ("a", "b")]
    pictures = [re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL) for page in pages]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 3


@pytest.mark.usefixtures("no_figures")
def test_a_stopped_run_goes_on_where_it_stopped(
    inmateria: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    taken: list[str] = []
    take = transport_steps.take

    def interrupted(name: str, *rest: Any) -> Any:
        if name == "energies" and name not in taken:
            taken.append(name)
            raise KeyboardInterrupt
        taken.append(name)
        return take(name, *rest)

    monkeypatch.setattr(transport_steps, "take", interrupted)
    command = (
        "transport", "sample", "--config", small, "--energies", "2:6:3", "--out", out,
    )  # fmt: skip
    stopped = inmateria(*command)
    assert stopped.status == 2
    assert "run the same command again to go on" in stopped.err.splitlines()[-1]
    assert "energy" not in data_of(out)
    assert inmateria(*command).status == 0
    assert taken == ["scattering", "scanning gate", "scanning-gate check", "energies", "energies"]
    assert {"pldos", "gate_change", "energy_transmission"} <= set(data_of(out).variables)


@pytest.mark.usefixtures("no_figures")
def test_a_potential_from_a_file(inmateria: Run, small: Path, tmp_path: Path) -> None:
    potential = RemoteDopants().sample(GAS, seed=5).potential
    np.save(tmp_path / "v.npy", potential)
    np.savez(tmp_path / "v.npz", potential=potential, other=np.zeros(3))
    dataset = xr.Dataset({"potential": (("y", "x"), potential.T, {"units": "meV"})})
    dataset.to_netcdf(tmp_path / "v.nc", engine="h5netcdf")
    common = ("transport", "sample", "--config", small, "--sgm", "none")
    lines = set()
    for name in ("v.npy", "v.npz", "v.nc"):
        outcome = inmateria(*common, "--potential", tmp_path / name, "--out", tmp_path / name[2:])
        assert outcome.status == 0, outcome.err
        lines.add(outcome.out.splitlines()[0])
        found = data_of(tmp_path / name[2:])
        np.testing.assert_array_equal(found["potential"], potential)
        (parent,) = json.loads(found.attrs["parents"])
        assert parent["path"].endswith(name)
        assert "seed" not in found.attrs
    seeded = inmateria(*common, "--seed", "5", "--out", tmp_path / "seed")
    assert lines == {seeded.out.splitlines()[0]}
    # What one run wrote, another one takes.
    again = only_run(tmp_path / "seed") / "data" / "transport.nc"
    outcome = inmateria(*common, "--potential", again, "--out", tmp_path / "again")
    assert outcome.out.splitlines()[0] in lines


def test_bad_potential_files(inmateria: Run, small: Path, tmp_path: Path) -> None:
    good = RemoteDopants().sample(GAS, seed=5).potential
    hole = good.copy()
    hole[3, 4] = np.nan

    def refused(name: str, *words: str) -> None:
        outcome = inmateria(
            "transport", "sample", "--config", small, "--potential", tmp_path / name,
            "--out", tmp_path / "out",
        )  # fmt: skip
        assert_one_line(outcome, name, *words)
        assert not (tmp_path / "out").exists()

    np.save(tmp_path / "shape.npy", good[:30])
    refused("shape.npy", "30 x 24", "40 x 24", "--n-x 30")
    np.save(tmp_path / "turned.npy", good.T)
    refused("turned.npy", "transpose")
    np.save(tmp_path / "many.npy", good[None])
    refused("many.npy", "(1, 40, 24)")
    np.save(tmp_path / "nan.npy", hole)
    refused("nan.npy", "(3, 4)", "nan")
    np.save(tmp_path / "complex.npy", good + 0j)
    refused("complex.npy", "complex128")
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused("pickle.npy", "pickle", "never loaded")
    (tmp_path / "half.npy").write_bytes((tmp_path / "shape.npy").read_bytes()[:900])
    refused("half.npy", "cannot be read")
    (tmp_path / "text.txt").write_text("1 2 3")
    refused("text.txt", ".npy")
    refused("none.npy", "does not exist")
    np.savez(tmp_path / "two.npz", a=good, b=good)
    refused("two.npz", "a, b", "'potential'")
    np.save(tmp_path / "volts.npy", 1e-3 * good)
    refused("volts.npy", "convert it to meV")
    np.save(tmp_path / "micro.npy", 1e3 * good)
    outcome = inmateria("transport", "sample", "--config", small, "--potential",
                        tmp_path / "micro.npy")  # fmt: skip
    assert_one_line(outcome, "meV", "band")
    for name, unit in (("ev.nc", "eV"), ("j.nc", "J")):
        dataset = xr.Dataset({"potential": (("x", "y"), good, {"units": unit})})
        dataset.to_netcdf(tmp_path / name, engine="h5netcdf")
        refused(name, f"is in {unit}", "convert it to meV")
    # The same faint numbers are taken where the file says that they are in meV.
    dataset = xr.Dataset({"potential": (("x", "y"), 1e-3 * good, {"units": "meV"})})
    dataset.to_netcdf(tmp_path / "faint.nc", engine="h5netcdf")
    outcome = inmateria("transport", "sample", "--config", small, "--sgm", "none",
                        "--potential", tmp_path / "faint.nc", "--out", tmp_path / "ok")  # fmt: skip
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seed", "1", "--potential", "v.npy"), ("seed does not go with", "v.npy")),
        (("--disorder", "gaussian", "--potential", "v.npy"), ("disorder does not go with",)),
        (("--seed", "-1"), ("'seed'",)),
        (("--energy", "0.3"), ("0.3 meV opens no mode", "0.54")),
        (("--energies", "0.1:0.5:9"), ("0.1:0.5:9", "no mode", "0.54")),
        (("--energies", "9:2:36"), ("9:2:36", "FIRST:LAST:NUMBER")),
        (("--energies", "2-9"), ("2-9", "2:9:36")),
        (("--field-t", "0;0.1"), ("--field-t", "0,0.1")),
        (("--field-t", "1e6"), ("1e+06 T", "flux quanta")),
        (("--field-t", "nan"), ("field_t",)),
        (("--temperature-k", "-1"), ("temperature_k", "kelvin")),
        (("--tip-height-mev", "0"), ("tip_height_mev", "changes nothing")),
        (("--tip-width-nm", "0"), ("tip_width_nm",)),
        (("--sgm", "second-order"), ("second-order", "first-order")),
        (("--stride", "0"), ("stride",)),
        (("--accuracy", "1"), ("accuracy",)),
        (("--n-x", "1"), ("n_x",)),
        (("--n-y", "0"), ("n_y",)),
    ],
)
def test_mistakes_end_in_one_line_and_no_folder(
    inmateria: Run, small: Path, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    outcome = inmateria("transport", "sample", "--config", small, *arguments, "--out", out)
    assert_one_line(outcome, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed = 1\n", ("'sed'", "did you mean 'seed'")),
        ("[gas]\nfermi = 5\n", ("'fermi'", "fermi_mev")),
        ("[scanning_gate]\nheight_mev = 1\n", ("'height_mev'", "tip_height_mev")),
        ('[disorder]\nkind = "gaussian"\nspacing_nm = 50\n', ("spacing_nm", "with dopants")),
        ('[gas]\nsource_rows = "20:10"\n', ("source_rows '20:10'", "86:106")),
        ('[gas]\nn_y = 30\nsource_rows = "20:40"\n', ("rows 20 to 39", "0 to 29")),
    ],
)
def test_mistakes_in_a_file(
    inmateria: Run, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    outcome = inmateria("transport", "sample", "--config", file, "--out", tmp_path / "out")
    assert_one_line(outcome, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_figures")
def test_flags_go_over_the_file_table_by_table(inmateria: Run, tmp_path: Path) -> None:
    file = tmp_path / "gauss.toml"
    file.write_text(
        'sweep_accuracy = 1e-2\n[disorder]\nkind = "gaussian"\nrms_mev = 0.5\n'
        '[scanning_gate]\nmethod = "none"\n' + SMALL.partition("[scanning_gate]")[0]
    )
    common = ("transport", "sample", "--config", file, "--energy", "5.0")
    inmateria(*common, "--out", tmp_path / "a")
    config = (only_run(tmp_path / "a") / "config.toml").read_text()
    for words in ("rms_mev = 0.5", "correlation_nm = 80.0", "fermi_mev = 5.0", "n_x = 40"):
        assert words in config
    # Another kind of disorder: the file's numbers mean nothing there.
    inmateria(*common, "--disorder", "short-range", "--out", tmp_path / "b")
    config = (only_run(tmp_path / "b") / "config.toml").read_text()
    assert "rms_mev = 3.0" in config
    assert "correlation_nm" not in config


def test_checked_positions_hold_the_extremes_and_no_position_twice() -> None:
    rng = np.random.default_rng(0)
    x, y = 5.0 * np.arange(9), 5.0 * np.arange(7)
    for change in (rng.normal(size=(9, 7)), np.zeros((9, 7))):
        at_x, at_y = checked_positions(x, y, change)
        points = set(zip(at_x.tolist(), at_y.tolist(), strict=True))
        assert len(points) == len(at_x) >= 12
        for flat in (change.argmax(), change.argmin()):
            i, j = np.unravel_index(int(flat), change.shape)
            assert (x[i], y[j]) in points
    assert [a.tolist() for a in checked_positions(x[:1], y[:1], np.ones((1, 1)))] == [[0], [0]]


def test_show_prints_a_sample(inmateria: Run, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inmateria("transport", "sample", "--config", small, "--sgm", "none", "--out", out)
    path = only_run(out) / "data" / "transport.nc"
    shown = inmateria("show", path)
    assert shown.status == 0, shown.err
    for words in ("inmateria.transport 1", "potential", "40 x 24", "meV", "all arrays match"):
        assert words in shown.out


def test_benchmark_keeps_a_table(inmateria: Run, small: Path, tmp_path: Path) -> None:
    small.write_text(SMALL.partition("[scanning_gate]")[0])
    out = tmp_path / "out"
    outcome = inmateria(
        "transport", "benchmark", "--config", small, "--samples", "4",
        "--accuracies", "1e-2,1e-6", "--out", out,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    header, *rows, report = outcome.out.splitlines()
    assert "samples/s" in header
    assert Path(report) == only_run(out) / "report.html"
    content = json.loads((only_run(out) / "benchmark.json").read_text())
    timings = content["timings"]
    assert len(rows) == len(timings)
    assert {t["accuracy"] for t in timings} == {1e-2, 1e-6}
    assert min(t["cores"] for t in timings) == 1
    for t in timings:
        assert 0 < t["slowest_per_s"] <= t["samples_per_s"] <= t["fastest_per_s"]
        # Every sample is corrected until its own estimate is below what was asked for.
        assert t["median_error"] <= t["worst_error"] <= t["accuracy"]
    assert content["gas"]["n_x"] == 40
    assert "<svg" in (only_run(out) / "report.html").read_text()


def test_mistakes_in_a_benchmark(inmateria: Run, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    assert_one_line(inmateria("transport", "benchmark", "--accuracies", "1", *out), "accuracies")
    assert_one_line(inmateria("transport", "benchmark", "--accuracies", "a", *out), "1e-2,1e-3")
    assert_one_line(inmateria("transport", "benchmark", "--samples", "0", *out), "samples")
    assert not (tmp_path / "out").exists()


def test_unknown_command_of_the_group(inmateria: Run) -> None:
    assert_one_line(inmateria("transport", "smaple"), "smaple")
    shown = inmateria("transport", "--help")
    for name in ("sample", "benchmark"):
        assert f"  {name} " in shown.out
