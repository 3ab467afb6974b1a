"""Every fault ends with all terminals at 0 V, nothing beyond limit or slew, and its data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("nidaqmx", reason="needs the extra 'ni'")
pytest.importorskip("grpc", reason="needs the extra 'ni'")

from .bench_faults import KINDS, Outcome, inject, plan


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "kill -9, then park"])
def test_one_of_each(kind: str) -> None:
    outcome = inject(kind, 1000)
    assert outcome.harmless, outcome
    assert outcome.as_expected, outcome


@pytest.mark.slow
@pytest.mark.parametrize(("do", "kind", "seed"), plan(200))
def test_two_hundred(do: Callable[[str, int], Outcome], kind: str, seed: int) -> None:
    outcome = do(kind, seed)
    assert outcome.harmless, outcome
    assert outcome.as_expected, outcome
