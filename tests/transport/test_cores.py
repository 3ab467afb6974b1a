"""Samples on cores: all are done, errors come out, progress is told."""

from __future__ import annotations

import numba
import pytest

from inmateria.transport.cores import on_cores


@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_item_is_solved_once(n_threads: int) -> None:
    before = numba.get_num_threads()
    numba.set_num_threads(min(n_threads, before))
    try:
        found: list[int] = []
        told: list[int] = []
        works: list[object] = []

        def workspace() -> object:
            works.append(object())
            return works[-1]

        on_cores(lambda item, _: found.append(item), range(23), workspace, told.append)
        assert sorted(found) == list(range(23))
        assert told == sorted(told)
        assert told[-1] == 23
        assert len(works) <= n_threads
    finally:
        numba.set_num_threads(before)


def test_an_error_comes_out_and_stops_the_rest() -> None:
    found: list[int] = []

    def solve(item: int, work: None) -> None:
        if item == 3:
            raise ArithmeticError("three")
        found.append(item)

    with pytest.raises(ArithmeticError, match="three"):
        on_cores(solve, range(1000), lambda: None)
    assert len(found) < 999


def test_nothing_to_do() -> None:
    on_cores(lambda _item, _work: None, [], lambda: None)
