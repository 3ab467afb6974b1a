"""What the two mean-field kernels share of their Newton iteration: when to stop, how to go on."""

from __future__ import annotations

from inmateria.compiled import compiled

# Newton stops when the net flow into every state is this small against the gross flow through it.
TOLERANCE = 1e-12
MOST_STEPS = 60
# Continuation in the energies: first stride, how it shrinks from walk to walk, the effort
# after which it grows, and when a walk is given up.
FIRST_STRIDE = 0.1
SHRINK = 0.73
WALKS = 8
EASY = 12
SHORTEST_STRIDE = 1e-4
# A step that reuses the last factorisation is kept while it gains this much; else a new one pays.
CHORD_GAIN = 0.2
# Rank-one updates that a factorisation may collect.
MEMORY = 8
# Rounding error of a flow in units of the summed weights of its state.
ROUNDING = 4e-16


@compiled
def imbalance(R, G, S):  # type: ignore[no-untyped-def]
    """Largest net flow into a state against the gross flow through it.

    Where a site is full to the last digit, 1 - n is known to 1e-16 only and so
    is the flow, in units of the state's summed weights S: that much is allowed.
    """
    worst = 0.0
    for k in range(S.shape[0]):
        worst = max(worst, abs(R[k]) / (G[k] + ROUNDING / TOLERANCE * S[k]))
    return worst


@compiled
def relaxed(shift, gained):  # type: ignore[no-untyped-def]
    """The next pseudo-time shift: towards Newton after a gain, away from it after a loss."""
    if not gained:
        return max(4.0 * shift, 0.05)
    return 0.1 * shift if shift > 1e-6 else 0.0


@compiled
def update_step(step, past, length, updates):  # type: ignore[no-untyped-def]
    """Broyden's rank-one updates of the inverse Jacobian, applied to a step.

    Each update makes the inverse right along one step taken since the last
    factorisation; in product form they need only those steps and their squared
    lengths (C. T. Kelley, Iterative Methods for Linear and Nonlinear Equations,
    SIAM 1995, ch. 7).
    """
    unknowns = step.shape[0]
    for k in range(updates):
        overlap = 0.0
        for i in range(unknowns):
            overlap += past[k, i] * step[i]
        overlap /= length[k]
        if k < updates - 1:
            for i in range(unknowns):
                step[i] += overlap * past[k + 1, i]
        else:
            for i in range(unknowns):
                step[i] /= 1.0 - overlap
