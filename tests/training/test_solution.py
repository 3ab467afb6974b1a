"""Solutions survive a file; damaged files are named."""

from __future__ import annotations

import json

import pytest

from inmateria.errors import ModelFileError, SchemaVersionError, StorageError
from inmateria.tasks import Gate
from inmateria.training.in_silico import Descent
from inmateria.training.solution import Solution, load_solution
from inmateria.training.train import train

from .stand_ins import TanhNetwork

QUICK = Descent(restarts=4, steps=5, screening=20)


@pytest.fixture(scope="module", params=["AND", "TRUE"])
def solution(request):
    gate = Gate(request.param, inputs=("e1", "e3"))
    return train(gate, TanhNetwork(), descent=QUICK)


def test_a_file_gives_the_same_solution(solution, tmp_path):
    again = load_solution(solution.save(tmp_path / "s.json"))
    assert again.to_dict() == solution.to_dict()
    assert again.make_task() == Gate(solution.task, inputs=("e1", "e3"))
    assert again.controls == solution.controls
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _text: "[]",
        lambda text: text.replace('"controls_v"', '"control_v"'),
        lambda text: text.replace("inmateria.solution", "other"),
        lambda text: text.replace('"seed": 0', '"seed": "x"'),
        lambda text: text.replace('"inputs"', '"input"', 1).replace('"score": {', '"score": [{'),
    ],
)
def test_a_damaged_file_is_an_error_of_one_line(solution, tmp_path, damage):
    path = solution.save(tmp_path / "s.json")
    path.write_text(damage(path.read_text()))
    with pytest.raises(ModelFileError) as error:
        load_solution(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_newer_schema_is_refused(solution, tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({**solution.to_dict(), "schema_version": 2}))
    with pytest.raises(SchemaVersionError, match="upgrade"):
        load_solution(path)


def test_missing_files_and_folders(solution, tmp_path):
    with pytest.raises(ModelFileError, match="No such file"):
        load_solution(tmp_path / "none.json")
    with pytest.raises(StorageError, match="cannot write"):
        solution.save(tmp_path / "nowhere" / "s.json")


def test_from_dict_needs_a_schema():
    with pytest.raises(ModelFileError, match="schema is None"):
        Solution.from_dict({})
