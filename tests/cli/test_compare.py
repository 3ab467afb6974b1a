"""`inmateria compare`: what it writes, how it goes on after a stop, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inmateria.devices.device import Terminal
from inmateria.report import compare_section
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate
from inmateria.training.compare_run import Job, Runner

from .conftest import Outcome, assert_one_line

Run = Callable[..., Outcome]
QUICK = ("--methods", "genetic,cma-es", "--seeds", "2", "--budget-s", "6", "--rate-hz", "1000")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = ScaledNetwork(7, 1, hidden=(8, 8))
    network.initialise(torch.Generator().manual_seed(0))
    network.set_scaling(
        input_centre=torch.zeros(7),
        input_half_width=torch.full((7,), 0.5),
        output_mean=torch.zeros(1),
        output_std=torch.full((1,), 60.0),
    )
    terminals = tuple(Terminal(f"e{i}") for i in range(1, 8))
    return Surrogate(network, terminals, ("e0",)).save(tmp_path_factory.mktemp("m") / "model")


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without sections: their figures cost a second and are tested elsewhere."""
    monkeypatch.setattr(compare_section, "compare_sections", lambda _: [])


def only_run(out: Path) -> Path:
    (folder,) = out.iterdir()
    return folder


def test_compare_writes_a_run_folder(inmateria: Run, model: Path, tmp_path: Path) -> None:
    outcome = inmateria("compare", "NOR", "XOR", "--device", model, *QUICK, "--out", tmp_path)
    assert outcome.status == 0, outcome.err
    folder = only_run(tmp_path)
    *table, line, report = outcome.out.splitlines()
    assert [row.split()[0] for row in table] == ["method", "genetic", "cma-es"]
    assert line.startswith("8 runs of 2 methods on 2 tasks: ")
    assert Path(report) == folder / "report.html"
    html = (folder / "report.html").read_text()
    assert html.count("<svg") == 4  # rates and times of all tasks, times of each
    assert "Share of runs solved" in html
    head, *records = [json.loads(x) for x in (folder / "results.jsonl").read_text().splitlines()]
    assert head["setup"]["budget_s"] == 6.0
    assert {(r["record"]["method"], r["record"]["task"], r["record"]["seed"]) for r in records} == {
        (m, t, s) for m in ("genetic", "cma-es") for t in ("NOR", "XOR") for s in (0, 1)
    }
    assert 'methods = [\n    "genetic",\n    "cma-es",\n]' in (folder / "config.toml").read_text()


@pytest.mark.usefixtures("no_figures")
def test_a_stopped_comparison_goes_on_where_it_stopped(
    inmateria: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    whole = Runner.__call__

    def interrupted(self: Runner, job: Job) -> object:
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append(job.seed)
        return whole(self, job)

    monkeypatch.setattr(Runner, "__call__", interrupted)
    arguments = ("compare", "NOR", "--device", model, *QUICK, "--out", tmp_path)
    stopped = inmateria(*arguments)
    assert_one_line(stopped, "are kept in", "run the same command again to go on", kind="stopped")
    ran.append(-1)  # the fourth call goes through
    resumed = inmateria(*arguments)
    assert resumed.status == 0, resumed.err
    assert ran == [0, 0, 1, -1, 1]
    assert len((only_run(tmp_path) / "results.jsonl").read_text().splitlines()) == 1 + 4


@pytest.mark.usefixtures("no_figures")
def test_a_method_without_budget_is_named_and_does_not_stop_the_others(
    inmateria: Run, model: Path, tmp_path: Path
) -> None:
    outcome = inmateria(
        "compare", "NOR", "--device", model, "--methods", "homodyne,genetic", "--seeds", "2",
        "--budget-s", "0.5", "--out", tmp_path,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "homodyne on NOR, 2 runs: a budget of 0.5 s is too small" in outcome.out
    assert "not run" in outcome.out


@pytest.mark.usefixtures("no_figures")
def test_settings_from_a_file_and_flags_over_them(
    inmateria: Run, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "compare.toml"
    file.write_text(
        f'device = "{model}"\ntasks = ["NOR"]\nmethods = ["genetic"]\nseeds = [4, 7]\n'
        "budget_s = 3.0\nrate_hz = 1000.0\n[options.genetic]\npopulation = 5\n"
    )
    out = tmp_path / "out"
    outcome = inmateria("compare", "--config", file, "--seeds", "5:7", "--out", out)
    assert outcome.status == 0, outcome.err
    lines = (only_run(out) / "results.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["record"]["seed"] for line in lines] == [5, 6]
    assert all('{\\"population\\":5}' in line for line in lines)
    file.write_text("budget = 3\n")
    assert_one_line(inmateria("compare", "--config", file), "budget", "did you mean 'budget_s'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("XORR",), ("'XORR'", "did you mean XOR")),
        (("XOR", "--methods", "annealing"), ("'annealing'", "homodyne")),
        (("XOR", "--methods", "spsa,spsa"), ("spsa is named twice",)),
        (("XOR", "--budget-s", "0"), ("budget_s",)),
        (("XOR", "--seeds", "0"), ("no seed is left",)),
        (("XOR", "--seeds", "some"), ("'seeds'", "0:20")),
        (("XOR", "--workers", "0"), ("--workers 0", "give 1 or more")),
        (("XOR", "--inputs", "e2,e9"), ("'e9'", "e1, e2")),
        (("XOR", "--engine", "exact"), ("engine 'exact' does not go with",)),
    ],
)
def test_mistakes_end_in_one_line_and_no_folder(
    inmateria: Run, model: Path, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    outcome = inmateria("compare", *arguments, "--device", model, "--out", out)
    assert_one_line(outcome, *words)
    assert not out.exists()
