"""A gas small enough that a sample takes a millisecond."""

from __future__ import annotations

from typing import Any

from inmateria.datasets.settings import GenerationSettings


def small(**changes: Any) -> GenerationSettings:
    """24 x 16 sites, dopants 15 to 25 nm away, ten samples in blocks of four."""
    fields: dict[str, Any] = {
        "n_samples": 10,
        "block_size": 4,
        "seed": 3,
        "gas": {"n_x": 24, "n_y": 16, "source_rows": "4:12", "fermi_mev": 9.0},
        "disorder": {"spacing_nm": (15.0, 25.0)},
    }
    return GenerationSettings.model_validate(fields | changes)
