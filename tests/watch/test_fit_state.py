"""Fits by their checkpoints and histories: of surrogates, and of networks that read disorder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from inmateria.surrogates.checkpoint import write_checkpoint
from inmateria.watch.fit_state import FitWatch, checkpoint_record

LINES = [
    {"epoch": k + 1, "train_na": 5.0 / (k + 1), "validation_na": 6.0 / (k + 1), "seconds": 2.0 * k}
    for k in range(3)
]
LOSSES = {"training_loss": [3.0, 2.0], "validation_loss": [3.5, 2.5], "seconds": [10.0, 12.0]}


def fit_in(tmp_path: Path) -> FitWatch:
    return FitWatch("model", tmp_path / "model.checkpoint", tmp_path / "model.history.json")


def test_a_surrogate_in_training_and_trained(tmp_path: Path) -> None:
    watch = fit_in(tmp_path)
    watch.refresh()
    assert watch.part()["state"] == "waiting"
    record = {"fit": {"settings": {"epochs": 40}}, "loop": {"history": LINES}}
    write_checkpoint(watch.checkpoint, {"w": torch.zeros(300)}, record)
    assert checkpoint_record(watch.checkpoint) == record
    assert watch.refresh()
    part = watch.part()
    assert (part["epochs_done"], part["epochs"], part["unit"]) == (3, 40, "nA")
    assert part["curves"]["training"] == {"x": [1.0, 2.0, 3.0], "y": [5.0, 2.5, 1.66667]}
    assert part["lowest"] == 2.0
    assert part["state"] == "running"
    watch.history.write_text(json.dumps([*LINES, {**LINES[-1], "validation_na": 1.0}]))
    watch.checkpoint.unlink()
    assert watch.refresh()
    assert not watch.refresh()
    part = watch.part()
    assert (part["epochs_done"], part["state"], part["lowest"]) == (4, "finished", 1.0)


def test_a_network_that_reads_disorder(tmp_path: Path) -> None:
    watch = FitWatch("net", tmp_path / "checkpoint.safetensors", tmp_path / "training.json")
    record = {"plan": {"epochs": 6}, "history": LOSSES}
    write_checkpoint(watch.checkpoint, {"w": torch.zeros(3)}, record)
    watch.refresh()
    part = watch.part()
    assert (part["epochs_done"], part["epochs"], part["unit"], part["seconds"]) == (2, 6, "", 22.0)
    watch.history.write_text(json.dumps(LOSSES))
    watch.refresh()
    assert watch.part()["state"] == "finished"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x01", b"\xff" * 20, b"\x02" + b"\0" * 7 + b"{}", b"\x04" + b"\0" * 7 + b"null"],
)
def test_what_is_no_checkpoint_is_never_fatal(tmp_path: Path, content: bytes) -> None:
    watch = fit_in(tmp_path)
    watch.checkpoint.write_bytes(content)
    watch.refresh()
    assert "curves" not in watch.part()
    watch.history.write_bytes(content)
    watch.refresh()
    assert "curves" not in watch.part()
