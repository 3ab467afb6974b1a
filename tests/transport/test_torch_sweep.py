"""The batched recursion: other solvers' answers, chunks and memory, bad input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from inmateria.errors import (
    ConvergenceError,
    DeviceMemoryError,
    NotFiniteError,
    ParameterError,
    ShapeError,
)
from inmateria.transport import torch_chunks, torch_sweep
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.torch_chunks import in_chunks
from inmateria.transport.torch_recursion import eliminate
from inmateria.transport.torch_sweep import sweep_states

from .dense_field import dense_states

SMALL = ElectronGas(n_x=14, n_y=11, source=Lead(3, 6), drain=Lead(0, 11))
# A narrow lead on either edge, or on both; the source opens more modes in the third.
GASES = [
    (SMALL, 0.45),
    (ElectronGas(n_x=12, n_y=8, source=Lead(0, 8), drain=Lead(0, 8)), 0.6),
    (ElectronGas(n_x=9, n_y=13, source=Lead(0, 13), drain=Lead(5, 7)), 0.9),
    (ElectronGas(n_x=2, n_y=9, source=Lead(1, 4), drain=Lead(3, 5)), 0.8),
]


def potential_of(gas: ElectronGas, n_samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.12, size=(n_samples, *gas.shape))


@pytest.mark.parametrize(("gas", "energy"), GASES)
@pytest.mark.parametrize("lead", ["source", "drain"])
@pytest.mark.parametrize("flux", [0.0, 0.21, -0.7])
def test_agrees_with_a_dense_green_function(
    gas: ElectronGas, energy: float, lead: str, flux: float
) -> None:
    potential = potential_of(gas, 2)
    found = sweep_states(gas, potential, energy_t=energy, flux=flux, lead=lead)
    for s, one in enumerate(potential):
        psi, r, t = dense_states(gas, one, energy, flux)[lead]
        np.testing.assert_allclose(found.psi[s], psi, atol=1e-10)
        np.testing.assert_allclose(found.r[s], r, atol=1e-10)
        np.testing.assert_allclose(found.t[s], t, atol=1e-10)


@pytest.mark.parametrize(("gas", "energy"), GASES)
def test_agrees_with_the_real_solver_without_a_field(gas: ElectronGas, energy: float) -> None:
    potential = potential_of(gas, 3)
    other = gas.with_fermi(energy * gas.hopping_mev).scatter(
        potential * gas.hopping_mev, modes=gas.n_y
    )
    found = sweep_states(gas, potential, energy_t=energy)
    np.testing.assert_allclose(found.pldos, other.pldos, atol=1e-10 * other.pldos.max())
    np.testing.assert_allclose(found.r, other.r, atol=1e-10)
    np.testing.assert_allclose(found.t, other.t, atol=1e-10)
    np.testing.assert_allclose(found.transmission, other.transmission, atol=1e-10)


@pytest.mark.parametrize("lead", ["source", "drain"])
@pytest.mark.parametrize(("gas", "energy"), [GASES[0], GASES[2]])
def test_single_precision_is_enough(gas: ElectronGas, energy: float, lead: str) -> None:
    """Nothing but rounding: 6e-8 times the norms of some tens of slices' S_i (below 100)."""
    potential = potential_of(gas, 4)
    options = {"energy_t": energy, "flux": 0.21, "lead": lead}
    exact = sweep_states(gas, potential, **options).pldos
    found = sweep_states(gas, potential, dtype=torch.complex64, **options)
    assert found.psi.dtype == torch.complex64
    assert found.pldos.dtype == torch.float32
    assert (found.pldos - exact).abs().max() < 1e-4 * exact.max()


def test_a_batch_is_the_same_as_its_samples_one_by_one() -> None:
    potential = potential_of(SMALL, 6).reshape(2, 3, *SMALL.shape)
    together = sweep_states(SMALL, potential, energy_t=0.45, flux=0.1)
    n_in, n_out = together.r.shape[-1], together.t.shape[-2]
    assert together.psi.shape == (*potential.shape, n_in)
    assert together.r.shape == (2, 3, n_in, n_in)
    assert together.t.shape == (2, 3, n_out, n_in)
    assert together.pldos.shape == potential.shape
    assert together.transmission.shape == together.reflection.shape == (2, 3)
    alone = sweep_states(SMALL, torch.tensor(potential[1, 2]), energy_t=0.45, flux=0.1)
    np.testing.assert_allclose(alone.psi, together.psi[1, 2], atol=1e-12)
    empty = sweep_states(SMALL, potential[:0], energy_t=0.45)
    assert empty.pldos.shape == (0, 3, *SMALL.shape)


def test_the_potential_is_not_changed_and_no_gradient_is_promised() -> None:
    potential = torch.full(SMALL.shape, 0.01, dtype=torch.float64, requires_grad=True)
    found = sweep_states(SMALL, potential, energy_t=0.45)
    assert (potential == 0.01).all()
    assert not found.psi.requires_grad


@pytest.mark.parametrize("lead", ["source", "drain"])
def test_where_memory_runs_out_half_as_many_samples_are_tried(
    monkeypatch: pytest.MonkeyPatch, lead: str
) -> None:
    potential = potential_of(SMALL, 11)
    expected = sweep_states(SMALL, potential, energy_t=0.45, flux=0.1, lead=lead)
    tried = []

    def scarce(slices: object, part: torch.Tensor) -> list[torch.Tensor]:
        tried.append(len(part))
        if len(part) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return eliminate(slices, part)

    monkeypatch.setattr(torch_sweep, "eliminate", scarce)
    found = sweep_states(SMALL, potential, energy_t=0.45, flux=0.1, lead=lead, chunk=8)
    assert tried == [8, 4, 2, 2, 2, 2, 2, 1]
    torch.testing.assert_close(found.psi, expected.psi)
    torch.testing.assert_close(found.r, expected.r)
    torch.testing.assert_close(found.t, expected.t)


def test_a_sample_that_does_not_fit_alone_is_an_error() -> None:
    def scarce(part: slice) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(
        DeviceMemoryError, match=r"one sample does not fit .*\(CUDA out of memory\)"
    ):
        in_chunks(5, 4, scarce)

    def broken(part: slice) -> None:
        raise ZeroDivisionError

    # Any other failure is not one of memory.
    with pytest.raises(ZeroDivisionError):
        in_chunks(5, 4, broken)


def test_chunks_are_sized_by_what_a_card_has_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def memory(device: torch.device) -> tuple[int, int]:
        return 10**9, 4 * 10**9

    monkeypatch.setattr(torch.cuda, "mem_get_info", memory)
    assert torch_chunks.chunk_size(10**6, torch.device("cuda")) == 600
    assert torch_chunks.chunk_size(10**10, torch.device("cuda")) == 1


def test_bad_input_is_refused() -> None:
    flat = np.zeros(SMALL.shape)
    with pytest.raises(ShapeError, match=r"\(\.\.\., 14, 11\)"):
        sweep_states(SMALL, flat.T, energy_t=0.45)
    with pytest.raises(NotFiniteError, match="NaN"):
        sweep_states(SMALL, np.full(SMALL.shape, np.nan), energy_t=0.45)
    with pytest.raises(ParameterError, match="units of t"):
        sweep_states(SMALL, flat + 2.0, energy_t=0.45)
    with pytest.raises(ParameterError, match="units of t"):
        sweep_states(SMALL, flat - 12.0, energy_t=0.45)
    for change, message in (
        ({"lead": "left"}, "'source' or 'drain'"),
        ({"dtype": torch.float64}, "complex64 or"),
        ({"flux": 4.0}, "between -pi and pi"),
        ({"flux": np.nan}, "between -pi and pi"),
        ({"chunk": 0}, "at least 1"),
        ({"modes": 1}, "modes = 1"),
        ({"energy_t": 1e-3}, "opens no mode"),
        ({"device": "fpga"}, "'fpga' cannot be used"),
    ):
        with pytest.raises(ParameterError, match=message):
            sweep_states(SMALL, flat, **({"energy_t": 0.45} | change))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_a_card_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ParameterError, match="'cuda' cannot be used"):
        sweep_states(SMALL, np.zeros(SMALL.shape), energy_t=0.45, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")
@pytest.mark.parametrize("lead", ["source", "drain"])
def test_a_card_answers_as_the_processor_does(lead: str) -> None:
    potential = potential_of(SMALL, 40)
    options = {"energy_t": 0.45, "flux": 0.21, "lead": lead}
    expected = sweep_states(SMALL, potential, **options)
    found = sweep_states(SMALL, potential, device="cuda", chunk=16, **options)
    assert found.psi.is_cuda
    torch.testing.assert_close(found.psi.cpu(), expected.psi, atol=1e-10, rtol=0)
    single = sweep_states(SMALL, potential, device="cuda", dtype=torch.complex64, **options)
    assert (single.pldos.cpu() - expected.pldos).abs().max() < 1e-4 * expected.pldos.max()


def test_a_slice_that_is_singular_is_an_error_and_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def singular(slices: object, part: torch.Tensor) -> list[torch.Tensor]:
        return [S / 0 for S in eliminate(slices, part)]

    monkeypatch.setattr(torch_sweep, "eliminate", singular)
    with pytest.raises(ConvergenceError, match="singular to the precision"):
        sweep_states(SMALL, np.zeros(SMALL.shape), energy_t=0.45)


def test_the_gas_is_described_without_importing_torch() -> None:
    code = "import sys, inmateria; inmateria.ElectronGas(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
