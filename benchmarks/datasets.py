"""Generating sets of transport samples to disk: samples per second, and where the time goes.

    python -m benchmarks.datasets [--quick] [FOLDER]

The default geometry at an accuracy of 1e-3, compression included, by one process and by
two in turn; a round of each is thrown away first. FOLDER (by default a temporary one) is on
the disk that is measured. An idle machine is needed for the ratio.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from inmateria.datasets.generate import Generated, generate
from inmateria.datasets.settings import GenerationSettings

PARTS = ("draw", "solve", "encode", "write")


def once(folder: Path, n_samples: int, workers: int) -> Generated:
    """A set, made and thrown away."""
    path = folder / f"{workers}.zarr"
    shutil.rmtree(path, ignore_errors=True)
    found = generate(GenerationSettings(n_samples=n_samples), path, workers=workers)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    shutil.rmtree(path)
    parts = "".join(f"{found.seconds[part] / n_samples * 1e3:9.2f}" for part in PARTS)
    overhead = 1 - found.seconds["solve"] / sum(found.seconds.values())
    rate = n_samples / found.wall_s
    print(
        f"{workers:7d}{rate:12.1f}{parts}{overhead:11.1%}{size / n_samples / 1e3:11.1f}", flush=True
    )
    return found


def main(arguments: list[str]) -> None:
    """Rounds of one process and two."""
    quick = "--quick" in arguments
    given = [a for a in arguments if a != "--quick"]
    n_samples, rounds = (128, 1) if quick else (1024, 3)
    print("Samples to disk, 256 x 192 sites, accuracy 1e-3; ms a sample of each process")
    print("workers   samples/s" + "".join(f"{part:>9s}" for part in PARTS)
          + "   overhead  kB/sample")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=given[0] if given else None) as name:
        folder, rates = Path(name), {1: 0.0, 2: 0.0}
        once(folder, 64, 1)
        for _ in range(rounds):
            for workers, best in rates.items():
                found = once(folder, n_samples, workers)
                rates[workers] = max(best, n_samples / found.wall_s)
    print(f"two workers over one, best rounds: {rates[2] / rates[1]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
