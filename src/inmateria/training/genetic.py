"""Genetic algorithm: the way control voltages were first searched in the material.

Bose et al. 2015 (Nature Nanotech. 10, 1048) on nanoparticle networks and Chen
et al. 2020 (Nature 577, 341) on dopant networks let a small population of
control settings ("genomes", one real number per electrode) evolve on the
device: the fittest are kept, and varied, crossed and joined by fresh ones. Here
a generation consists of five groups of equal size,

    1  the fittest, unchanged,
    2  the fittest again, each gene with a small change,
    3  crosses between two of the fittest,
    4  crosses of one of the fittest with any genome of the generation,
    5  fresh random genomes (and what division by five leaves over),

groups 3 and 4 with mutations. The groups follow that work; operators and their
sizes are this library's. Two genes x, y cross by BLX-alpha (Eshelman and
Schaffer 1993): uniform over [min - alpha d, max + alpha d], d = |x - y|.

The kept genomes are measured again with all others. That costs a fifth of the
device time, and a lucky reading of a noisy, drifting device does not lead for
ever.
"""

from __future__ import annotations

import numpy as np

from inmateria.devices.device import FloatArray
from inmateria.training.population import (
    MeasuredTask,
    check_count,
    check_number,
    measured_loss,
    reflected,
)

GROUPS = 5


def genetic(
    task_on_rig: MeasuredTask,
    *,
    seed: int,
    population: int = 25,
    generations: int = 1000,
    variation: float = 0.05,
    mutation: float = 0.1,
    mutation_rate: float = 0.1,
    blend: float = 0.5,
) -> None:
    """Evolve control settings until the search is ended from outside or generations are done.

    Parameters
    ----------
    task_on_rig : MeasuredTask
    seed : int
    population : int
        Genomes per generation, 5 or more.
    generations : int
    variation : float
        Standard deviation of the small change in group 2, as a share of a
        control's range.
    mutation : float
        The same for mutations in groups 3 and 4.
    mutation_rate : float
        Probability that a gene mutates there.
    blend : float
        alpha of the crossover.

    Raises
    ------
    ParameterError
    """
    check_count("population", population, least=GROUPS)
    check_count("generations", generations, least=1)
    for name, value in (("variation", variation), ("mutation", mutation), ("blend", blend)):
        check_number(name, value, low=0)
    check_number("mutation_rate", mutation_rate, low=0, high=1)
    rng = np.random.default_rng(seed)
    genomes = rng.random((population, len(task_on_rig.low_v)))
    for generation in range(generations):
        loss = measured_loss(task_on_rig, genomes, generation=generation)
        ranked = genomes[np.argsort(loss, kind="stable")]
        genomes = _next(ranked, rng, variation, mutation, mutation_rate, blend)


def _next(
    ranked: FloatArray,
    rng: np.random.Generator,
    variation: float,
    mutation: float,
    mutation_rate: float,
    blend: float,
) -> FloatArray:
    """The next generation of one that is sorted by fitness, same shape."""
    size, n_controls = ranked.shape
    group = size // GROUPS
    fittest = ranked[:group]
    varied = fittest + variation * rng.standard_normal(fittest.shape)
    mates = np.concatenate([fittest[rng.integers(group, size=group)],
                            ranked[rng.integers(size, size=group)]])  # fmt: skip
    crossed = _cross(np.concatenate([fittest, fittest]), mates, rng, blend)
    mutates = rng.random(crossed.shape) < mutation_rate
    crossed += mutates * mutation * rng.standard_normal(crossed.shape)
    fresh = rng.random((size - 4 * group, n_controls))
    return np.concatenate([fittest, reflected(varied), reflected(crossed), fresh])


def _cross(
    first: FloatArray, second: FloatArray, rng: np.random.Generator, blend: float
) -> FloatArray:
    low, high = np.minimum(first, second), np.maximum(first, second)
    reach = blend * (high - low)
    return np.asarray(rng.uniform(low - reach, high + reach))
