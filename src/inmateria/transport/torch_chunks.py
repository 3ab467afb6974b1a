"""Work on many samples in as large chunks as a device's memory takes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from inmateria.errors import DeviceMemoryError

# Bytes of a chunk on a processor, where more gains nothing.
CPU_BYTES = 512 * 1024**2
# Part of a graphics card's free memory that a chunk is planned to take.
CUDA_SHARE = 0.6


def chunk_size(sample_bytes: int, device: torch.device) -> int:
    """How many samples of `sample_bytes` to work on at once, at least 1."""
    room = CPU_BYTES
    if device.type == "cuda":
        room = int(CUDA_SHARE * torch.cuda.mem_get_info(device)[0])
    return max(1, room // sample_bytes)


def in_chunks(n_samples: int, chunk: int, solve: Callable[[slice], None]) -> None:
    """Call `solve` on slices of `chunk` samples; where memory runs out, on half as many.

    Raises
    ------
    DeviceMemoryError
        If a single sample does not fit.
    """
    first = 0
    while first < n_samples:
        part = slice(first, min(first + chunk, n_samples))
        failure = _out_of_memory(solve, part)
        if failure is None:
            first = part.stop
            continue
        if part.stop - first == 1:
            raise DeviceMemoryError(
                f"one sample does not fit in the device's memory ({failure}); keep fewer modes, "
                "use complex64 or another device"
            )
        # Blocks of the size that failed are no use to smaller chunks.
        torch.cuda.empty_cache()
        chunk = (part.stop - first) // 2


def _out_of_memory(solve: Callable[[slice], None], part: slice) -> str | None:
    """What the device said, as text: the exception would hold on to the tensors of the try."""
    try:
        solve(part)
    except torch.cuda.OutOfMemoryError as error:
        return str(error).split(". ")[0]
    return None
