"""Whether an image looks like those that a network was trained on.

A few numbers describe an image: how its scaled pixels are distributed and how fast they
vary along x and y. Far from the training set's in any of them, a network's answer, and
its uncertainty, mean little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAMES = (
    "the darkest pixels",
    "the median",
    "the bright pixels",
    "the brightest pixels",
    "the spread",
    "the variation along x",
    "the variation along y",
    "the brightness near the source",
)
# Of 1,000 images like the training set's, none is this many standard deviations out.
UNFAMILIAR = 6.0


def describe(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 8) numbers for scaled images (n, n_x, n_y)."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    low, middle, high, top = np.quantile(flat, [0.05, 0.5, 0.95, 0.999], axis=1)
    spread = flat.std(axis=1)
    along_x = np.diff(images, axis=1).std(axis=(1, 2)) / np.maximum(spread, 1e-12)
    along_y = np.diff(images, axis=2).std(axis=(1, 2)) / np.maximum(spread, 1e-12)
    near = images[:, : max(1, images.shape[1] // 8)].mean(axis=(1, 2))
    return np.stack([low, middle, high, top, spread, along_x, along_y, near], axis=1)


@dataclass(frozen=True)
class Familiarity:
    """What the training set's images are like.

    Parameters
    ----------
    mean, deviation : (8,) tuples
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, images: NDArray[np.float32]) -> Familiarity:
        """Of scaled images (n, n_x, n_y)."""
        numbers = describe(images)
        deviation = np.maximum(numbers.std(axis=0), 1e-6)
        return cls(tuple(numbers.mean(axis=0).tolist()), tuple(deviation.tolist()))

    def strangeness(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distances from the training set in standard deviations, (n, 8)."""
        away = (describe(images) - np.array(self.mean)) / np.array(self.deviation)
        return np.asarray(np.abs(away))

    def warnings(self, images: NDArray[np.float32]) -> list[str]:
        """One sentence, or an empty string, for each image."""
        found = []
        for row in self.strangeness(images):
            worst = int(np.argmax(row))
            found.append(
                ""
                if row[worst] <= UNFAMILIAR
                else f"unlike the training set: {NAMES[worst]} by {row[worst]:.1f} standard "
                "deviations; do not trust potential or uncertainty"
            )
        return found
