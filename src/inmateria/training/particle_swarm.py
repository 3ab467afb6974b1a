"""Particle swarm with constriction.

Kennedy and Eberhart 1995, in the form of Clerc and Kennedy 2002 (IEEE Trans.
Evol. Comput. 6, 58): particle i at x_i with velocity v_i is drawn to its own
best place p_i and to that of the whole swarm, g,

    v_i <- chi (v_i + c1 u1 (p_i - x_i) + c2 u2 (g - x_i)),    x_i <- x_i + v_i,

u1 and u2 uniform in [0, 1] for each control, and

    chi = 2 / |2 - phi - sqrt(phi^2 - 4 phi)|,    phi = c1 + c2 > 4,

which makes the swarm contract without a limit on velocities: 0.7298 for
c1 = c2 = 2.05. A particle that would leave the range of a control is reflected,
and so is its velocity. Best places are remembered as they were read: noise and
drift are not averaged out.
"""

from __future__ import annotations

import math

import numpy as np

from inmateria.errors import ParameterError
from inmateria.training.population import (
    MeasuredTask,
    check_count,
    check_number,
    measured_loss,
    reflected,
)


def constriction(phi: float) -> float:
    """Clerc and Kennedy's chi of phi = c1 + c2.

    Raises
    ------
    ParameterError
        If phi is not above 4, where the swarm would not contract.
    """
    if not 4 < phi < math.inf:
        raise ParameterError(f"own_pull + swarm_pull is {phi:g}; give two that add to more than 4")
    return 2.0 / abs(2.0 - phi - math.sqrt(phi * phi - 4.0 * phi))


def particle_swarm(
    task_on_rig: MeasuredTask,
    *,
    seed: int,
    particles: int = 20,
    generations: int = 1000,
    own_pull: float = 2.05,
    swarm_pull: float = 2.05,
    first_step: float = 0.1,
) -> None:
    """Fly a swarm until the search is ended from outside or generations are done.

    Parameters
    ----------
    task_on_rig : MeasuredTask
    seed : int
    particles : int
    generations : int
        Measurements of the whole swarm.
    own_pull, swarm_pull : float
        c1 and c2.
    first_step : float
        Velocities start uniform within this share of each range, both ways.

    Raises
    ------
    ParameterError
    """
    check_count("particles", particles, least=2)
    check_count("generations", generations, least=1)
    for name, value in (("own_pull", own_pull), ("swarm_pull", swarm_pull)):
        check_number(name, value, low=0)
    check_number("first_step", first_step, low=0, high=1)
    chi = constriction(own_pull + swarm_pull)
    rng = np.random.default_rng(seed)
    shape = (particles, len(task_on_rig.low_v))
    place = rng.random(shape)
    velocity = rng.uniform(-first_step, first_step, shape)
    best_place, best_loss = place.copy(), np.full(particles, np.inf)
    for generation in range(generations):
        loss = measured_loss(task_on_rig, place, generation=generation)
        better = loss < best_loss
        best_loss = np.where(better, loss, best_loss)
        best_place = np.where(better[:, None], place, best_place)
        leader = best_place[np.argmin(best_loss)]
        velocity = chi * (
            velocity
            + own_pull * rng.random(shape) * (best_place - place)
            + swarm_pull * rng.random(shape) * (leader - place)
        )
        beyond = place + velocity
        # An odd number of mirrors on the way turns the velocity round.
        turned = np.mod(np.floor(beyond), 2.0) == 1.0
        velocity = np.where(turned, -velocity, velocity)
        place = reflected(beyond)
