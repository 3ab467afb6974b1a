"""A model judged on samples of a store, block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfinv

from inmateria.data.sample_store import SampleStore
from inmateria.errors import ParameterError
from inmateria.reconstruction.metrics import pearson, relative_rms, rms_error
from inmateria.reconstruction.number_reader import DERIVED, NumberReader
from inmateria.reconstruction.presets import Target
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.stored import read_images, read_targets

Real = NDArray[np.float64]
Progress = Callable[[int, int], None]

# Shares of pixels that intervals are to hold.
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# Pixels of a sample whose error is compared with its uncertainty one by one.
PIXELS = 64


@dataclass(frozen=True, eq=False)
class PotentialEvaluation:
    """Potentials against the truth.

    Attributes
    ----------
    samples : (n,) array
        Their numbers in the store.
    r, rms_error_mev, uncertainty_mev : (n,) arrays
        Correlation, rms error and rms uncertainty of each sample.
    scale_mev : float
        Rms of the training set's potentials.
    coverage : (n_levels,) array
        Share of pixels within the interval of each of `LEVELS`; NaN without an uncertainty.
    sigma_mev, error_mev : (n_pixels,) arrays
        Uncertainty and error of some pixels of each sample.
    n_strange : int
        Samples that look unlike the training set.
    """

    samples: NDArray[np.int64]
    r: Real
    rms_error_mev: Real
    uncertainty_mev: Real
    scale_mev: float
    coverage: Real
    sigma_mev: Real
    error_mev: Real
    n_strange: int

    def summary(self) -> dict[str, Any]:
        """Plain JSON."""
        rms = float(np.sqrt((self.rms_error_mev**2).mean()))
        share = float(self.coverage[LEVELS.index(0.9)])
        return {
            "samples": len(self.r),
            "r_median": float(np.median(self.r)),
            "r_lowest": float(self.r.min()),
            "rms_error_mev": rms,
            "relative_rms_error": rms / self.scale_mev,
            "coverage_90": share if np.isfinite(share) else None,
        }


@dataclass(frozen=True, eq=False)
class NumberEvaluation:
    """Numbers against the truth.

    Attributes
    ----------
    samples : (n,) array
    names : (k,) tuple of str
    found, true : (n, k) arrays
    n_strange : int
    """

    samples: NDArray[np.int64]
    names: tuple[str, ...]
    found: Real
    true: Real
    n_strange: int

    def correlation(self) -> Real:
        """Of each number with its truth, (k,); NaN where the truth is the same for all."""
        found, true = self.found - self.found.mean(axis=0), self.true - self.true.mean(axis=0)
        norm = np.sqrt((found**2).sum(axis=0) * (true**2).sum(axis=0))
        return np.asarray((found * true).sum(axis=0) / np.where(norm > 0, norm, np.nan))

    def relative(self) -> Real:
        """Relative errors, (n, k)."""
        return (self.found - self.true) / self.true

    def summary(self) -> dict[str, Any]:
        """Plain JSON."""
        r = self.correlation()
        middle = float(np.median(r[np.isfinite(r)])) if np.isfinite(r).any() else None
        errors: dict[str, Any] = {"samples": len(self.found), "r_median": middle}
        if self.names[2:] != DERIVED:
            rms = np.sqrt(((self.found - self.true) ** 2).mean(axis=0))
            spread = np.sqrt(((self.true - self.true.mean(axis=0)) ** 2).mean())
            return errors | {"relative_rms_error": float(np.sqrt((rms**2).mean()) / spread)}
        usable = np.isfinite(self.found).all(axis=1)
        sizes = relative_rms(self.found[usable], self.true[usable]).tolist()
        keys = ("s", "density", "rms", "correlation_length")
        errors |= {f"relative_error_{k}": v for k, v in zip(keys, sizes, strict=True)}
        s, density = self.relative()[:, 0], self.relative()[:, 1]
        both = float(np.corrcoef(s, density)[0, 1]) if min(s.std(), density.std()) > 0 else None
        return errors | {"correlation_of_errors": both}


Evaluation = PotentialEvaluation | NumberEvaluation


def evaluate(
    model: Reconstructor | NumberReader,
    store: SampleStore,
    blocks: Sequence[int],
    *,
    image: str | Sequence[str] = "pldos",
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a model on blocks of a store.

    Parameters
    ----------
    blocks : sequence of int
        Of which all are done.
    image : str, or sequence of them
        The variables that the model sees.
    progress : callable, optional
        Told blocks done and blocks in all.

    Raises
    ------
    ParameterError, ShapeError, DataFileError, DataIntegrityError
    """
    if not len(blocks):
        raise ParameterError(f"{store.path}: no blocks to judge by")
    tell = progress or (lambda _, __: None)
    if isinstance(model, NumberReader):
        return _numbers(model, store, blocks, image, tell)
    return _potentials(model, store, blocks, image, tell)


@dataclass(frozen=True, eq=False)
class Example:
    """One sample of a store beside what a model makes of it.

    Attributes
    ----------
    sample : int
    image : (n_x, n_y) array, or (channels, n_x, n_y)
        As it lies in the store.
    true_mev, found_mev, uncertainty_mev : arrays
        On the model's pixels.
    r : float
    """

    sample: int
    image: Real
    true_mev: Real
    found_mev: Real
    uncertainty_mev: Real
    r: float


def example(
    model: Reconstructor, store: SampleStore, sample: int, *, image: str | Sequence[str] = "pldos"
) -> Example:
    """A sample of a store by its number."""
    block = sample // store.layout.block_size
    row = sample - store.layout.samples(block).start
    seen = read_images(store, block, image)[row]
    true = read_targets(store, block, "potential", target_pixel(model, store))[row]
    found = model.reconstruct(seen)
    r = float(pearson(found.potential_mev, true))
    return Example(sample, seen, true, found.potential_mev, found.uncertainty_mev, r)


def ranked(evaluation: PotentialEvaluation, *shares: float) -> list[int]:
    """Samples at these places when they are ordered by r: 0 is the worst, 0.5 the median."""
    order = evaluation.samples[np.argsort(evaluation.r, kind="stable")]
    picked = [int(order[round(share * (len(order) - 1))]) for share in shares]
    return list(dict.fromkeys(picked))


def constant_rms_slope(model: NumberReader, spacing_nm: float) -> float:
    """d ln N_d / d ln s along the line of constant rms."""
    step = 1e-3
    rows = [[spacing_nm * (1 + d), 1e12] for d in (-step, step)]
    low, high = np.log(model.derived(rows)[:, 0])
    # rms goes with the square root of the density.
    return float(-2 * (high - low) / (2 * step))


def pixel_nm(store: SampleStore) -> float:
    """Side of a pixel of a store's maps."""
    configuration = store.layout.configuration
    return float(configuration["gas"]["spacing_nm"]) * int(configuration["keep"]["resolution"])


def target_pixel(model: Reconstructor, store: SampleStore) -> int:
    """Pixels of the store that are averaged into one of the model's potentials."""
    return round(model.potential_pixel_nm / pixel_nm(store))


def _potentials(
    model: Reconstructor,
    store: SampleStore,
    blocks: Sequence[int],
    image: str | Sequence[str],
    tell: Progress,
) -> PotentialEvaluation:
    reach = np.sqrt(2) * erfinv(np.array(LEVELS))
    r, rms, spread, sigma, error, inside = [], [], [], [], [], np.zeros(len(LEVELS))
    strange, pixel = 0, target_pixel(model, store)
    for k, block in enumerate(blocks):
        found = model.reconstruct(read_images(store, block, image))
        true = read_targets(store, block, "potential", pixel)
        away = np.abs(found.potential_mev - true)
        r.append(pearson(found.potential_mev, true))
        rms.append(rms_error(found.potential_mev, true))
        spread.append(np.sqrt((found.uncertainty_mev**2).mean(axis=(1, 2))))
        ratio = (away / found.uncertainty_mev).ravel()
        # NaN is within no interval: made NaN again below.
        inside += [(ratio <= z).sum() for z in reach]
        some = np.random.default_rng([block, 0]).integers(0, away[0].size, (len(away), PIXELS))
        sigma.append(np.take_along_axis(found.uncertainty_mev.reshape(len(away), -1), some, 1))
        error.append(np.take_along_axis(away.reshape(len(away), -1), some, 1))
        strange += int((found.warning != "").sum())
        tell(k + 1, len(blocks))
    uncertainty = np.concatenate(spread)
    n = len(uncertainty) * away[0].size
    return PotentialEvaluation(
        _numbers_of(store, blocks),
        np.concatenate(r),
        np.concatenate(rms),
        uncertainty,
        model.potential_scale_mev,
        inside / n if np.isfinite(uncertainty).all() else np.full(len(LEVELS), np.nan),
        np.concatenate(sigma).ravel(),
        np.concatenate(error).ravel(),
        strange,
    )


def _numbers(
    model: NumberReader,
    store: SampleStore,
    blocks: Sequence[int],
    image: str | Sequence[str],
    tell: Progress,
) -> NumberEvaluation:
    target: Target = "parameters" if model.gives_parameters else "coefficients"
    found, true, strange = [], [], 0
    for k, block in enumerate(blocks):
        reading = model.read(read_images(store, block, image))
        rows = read_targets(store, block, target)
        if model.gives_parameters:
            known = [np.asarray(store.values(block, name), np.float64)[:, None] for name in DERIVED]
            rows = np.concatenate([rows, *known], axis=1)
        if rows.shape != reading.values.shape:
            raise ParameterError(
                f"{store.path} holds {rows.shape[1]} numbers a sample and the model reads "
                f"{reading.values.shape[1]}; give a set of the same disorder"
            )
        found.append(reading.values)
        true.append(rows)
        strange += int((reading.warning != "").sum())
        tell(k + 1, len(blocks))
    return NumberEvaluation(
        _numbers_of(store, blocks),
        reading.names,
        np.concatenate(found),
        np.concatenate(true),
        strange,
    )


def _numbers_of(store: SampleStore, blocks: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([np.array(store.layout.samples(block)) for block in blocks])
