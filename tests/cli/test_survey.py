"""`inmateria survey`: what it writes, how it goes on after a stop, what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.report import survey_sections
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate
from inmateria.survey import scan

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]
# Six acceptors in a small disc, solved exactly: milliseconds.
TINY = (
    "--engine", "exact", "--settings", "30", "--sweeps", "3",
    "--parameter", "n_acceptors=6", "--parameter", "n_donors=0",
    "--parameter", "radius_nm=80", "--parameter", "electrode_width_nm=40",
)  # fmt: skip


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without sections: their figures cost a second and are tested elsewhere."""
    monkeypatch.setattr(survey_sections, "survey_sections", lambda _: [])


def only_run(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = ScaledNetwork(7, 1, hidden=(8,))
    network.initialise(torch.Generator().manual_seed(0))
    terminals = tuple(Terminal(f"e{i}", -1.0, 0.5) for i in range(1, 8))
    return Surrogate(network, terminals, ("e0",)).save(tmp_path_factory.mktemp("m") / "model")


def test_survey_writes_a_run_folder(inmateria: Run, tmp_path: Path) -> None:
    outcome = inmateria("survey", "--seeds", "0:3,7", *TINY, "--out", tmp_path)
    assert outcome.status == 0, outcome.err
    folder = only_run(tmp_path)
    line, report = outcome.out.splitlines()
    assert line.startswith("4 devices: AND ")
    assert Path(report) == folder / "report.html"
    assert "<svg" in (folder / "report.html").read_text()
    rows = list(csv.DictReader((folder / "devices.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["0", "1", "2", "7"]
    assert {row["n_acceptors"] for row in rows} == {"6"}
    results = json.loads((folder / "results.json").read_text())
    assert "0.25 of the device's current scale" in results["criterion"]
    (group,) = results["groups"]
    pooled = sum(int(row["count AND"]) for row in rows) / (30 * 4)
    assert group["abundance"]["AND"]["mean"] == pytest.approx(pooled)
    assert 'seeds = "0:3,7"' in (folder / "config.toml").read_text()


@pytest.mark.usefixtures("no_figures")
def test_same_command_gives_the_same_results(inmateria: Run, tmp_path: Path) -> None:
    for out in ("a", "b"):
        inmateria("survey", "--seeds", "0:2", *TINY, "--out", tmp_path / out)
    first, second = (only_run(tmp_path / out) for out in ("a", "b"))
    for name in ("results.json", "devices.csv", "config.toml"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.usefixtures("no_figures")
def test_a_stopped_survey_goes_on_where_it_stopped(
    inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = inmateria("survey", "--seeds", "0:4", *TINY, "--out", tmp_path / "whole")
    done: list[int | None] = []
    attempt = scan.attempt

    def interrupted(case: scan.Case, *rest: object, **named: object) -> scan.Outcome:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(case.seed)
        return attempt(case, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "attempt", interrupted)
    arguments = ("survey", "--seeds", "0:4", *TINY, "--out", tmp_path / "parts")
    stopped = inmateria(*arguments)
    assert_one_line(stopped, "are kept in", "run the same command again to go on", kind="stopped")
    done.append(None)  # the third call and those that follow go through
    resumed = inmateria(*arguments)
    assert done == [0, 1, None, 2, 3]
    assert resumed.out.splitlines()[0] == whole.out.splitlines()[0]
    paths = (only_run(tmp_path / "whole"), only_run(tmp_path / "parts"))
    assert len({(path / "results.json").read_bytes() for path in paths}) == 1


@pytest.mark.parametrize("behind", [KeyboardInterrupt("SIGTERM"), ValueError("a fault of ours")])
def test_a_stop_inside_compiled_code_is_a_stop(
    inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: BaseException
) -> None:
    # What Numba makes of a signal that falls into the return of a compiled function.
    def leave(*_: object, **__: object) -> scan.Outcome:
        try:
            raise SystemError("returned a result with an exception set") from behind
        except SystemError as error:
            raise SystemError("again") from error

    monkeypatch.setattr(scan, "attempt", leave)
    outcome = inmateria("survey", "--seeds", "0:2", *TINY, "--out", tmp_path)
    if isinstance(behind, KeyboardInterrupt):
        assert_one_line(outcome, "SIGTERM", "run the same command again", kind="stopped")
    else:
        assert outcome.status == 1
        assert outcome.err.startswith("internal error: SystemError")


@pytest.mark.usefixtures("no_figures")
def test_devices_that_cannot_be_drawn_are_named(inmateria: Run, tmp_path: Path) -> None:
    # Hops of at most 45 nm leave acceptors alone in most small discs.
    outcome = inmateria(
        "survey", "--seeds", "0:2", *TINY, "--parameter", "longest_hop_nm=5,150", "--out", tmp_path
    )
    assert outcome.out.startswith("2 devices, 2 failed: ")
    folder = only_run(tmp_path)
    failures = json.loads((folder / "results.json").read_text())["failures"]
    assert len(failures) == 2
    assert "longest_hop_nm 5" in failures[0]["case"]
    assert "reach" in failures[0]["error"]


@pytest.mark.usefixtures("no_figures")
def test_no_device_at_all_is_an_error(inmateria: Run, tmp_path: Path) -> None:
    outcome = inmateria("survey", "--seeds", "0:2", "--engine", "exact", "--out", tmp_path)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: none of 2 devices could be surveyed; seed 0: ")
    assert "9 acceptors" in last


@pytest.mark.usefixtures("no_figures")
def test_a_model_is_surveyed_as_one_device(inmateria: Run, model: Path, tmp_path: Path) -> None:
    outcome = inmateria(
        "survey", "--device", model, "--settings", "50", "--sweeps", "4", "--out", tmp_path
    )
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("1 device: AND ")
    html = (only_run(tmp_path) / "report.html").read_text()
    # 0.7 of the way from the middle of -1 V to 0.5 V to its ends.
    assert "e2 -0.775 V, +0.275 V" in html


def test_what_a_model_does_not_have(inmateria: Run, model: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path)
    survey = ("survey", "--device", model, *out)
    assert_one_line(inmateria(*survey, "--seeds", "0:3"), "seeds", "one device")
    outcome = inmateria(*survey, "--parameter", "disorder_ev=0.1", "--engine", "kmc")
    assert_one_line(outcome, "parameters and engine", "leave them out")
    assert_one_line(inmateria(*survey, "--inputs", "e2,e8"), "'e8'", "e1, e2")
    assert_one_line(inmateria(*survey, "--level", "0.8"), "0.8 V", "give 0.75 V or less")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seeds", "5:5"), ("'seeds'", "no seed is left")),
        (("--seeds", "one"), ("'seeds'", "0:20")),
        (("--seeds", "0:9999999999"), ("'seeds'", "give fewer")),
        (("--parameter", "disorder=0.1"), ("'disorder'", "did you mean 'disorder_ev'")),
        (("--parameter", "disorder_ev"), ("disorder_ev", "NAME=VALUE,VALUE")),
        (("--parameter", "radius_nm=-1"), ("radius_nm = -1", "above 0")),
        (("--parameter", "temperature_k=cold"), ("temperature_k = 'cold'",)),
        (("--inputs", "e2"), ("2 inputs; got 1",)),
        (("--inputs", "e2,e0"), ("'e0'", "e1, e2")),
        (("--level", "1.2"), ("1.2 V", "1 V or less")),
        (("--margin", "-1"), ("'margin'",)),
        (("--settings", "0"), ("'settings'",)),
        (("--engine", "fast"), ("'fast'", "meanfield")),
        (("--workers", "4096"), ("--workers 4096", "give 1 to")),
    ],
)
def test_mistakes_end_in_one_line_and_no_folder(
    inmateria: Run, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_one_line(inmateria("survey", *arguments, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_figures")
def test_settings_from_a_file_and_flags_over_them(inmateria: Run, tmp_path: Path) -> None:
    file = tmp_path / "survey.toml"
    file.write_text(
        'seeds = [0, 5]\nengine = "exact"\nsettings = 20\nsweeps = 2\nmargin_na = 0.5\n'
        "[parameters]\nn_acceptors = [5, 6]\nn_donors = [0]\nradius_nm = [80.0]\n"
        "electrode_width_nm = [40.0]\n"
    )
    out = tmp_path / "out"
    outcome = inmateria(
        "survey", "--config", file, "--settings", "10", "--workers", "1", "--out", out
    )
    assert outcome.status == 0, outcome.err
    results = json.loads((only_run(out) / "results.json").read_text())
    assert results["settings"] == 10
    assert "more than 0.5 nA" in results["criterion"]
    assert [group["parameters"]["n_acceptors"] for group in results["groups"]] == [5, 6]
    file.write_text("seed = 1\nsetings = 3\n")
    assert_one_line(inmateria("survey", "--config", file), "setings", "did you mean 'settings'")


def test_a_damaged_file_of_an_unfinished_run_is_named(
    inmateria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> scan.Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(scan, "attempt", stop)
    arguments = ("survey", "--seeds", "0:2", *TINY, "--out", tmp_path)
    inmateria(*arguments)
    name = scan.list_cases(
        [0],
        {"n_acceptors": [6], "n_donors": [0], "radius_nm": [80], "electrode_width_nm": [40]},
    )[0].name
    (only_run(tmp_path) / "data" / f"{name}.npz").write_bytes(b"PK\x03\x04")
    outcome = inmateria(*arguments)
    assert outcome.status == 2
    assert "is damaged" in outcome.err.splitlines()[-1]
    assert "delete it" in outcome.err.splitlines()[-1]
