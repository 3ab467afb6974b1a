"""What is computed and kept of each sample of a set.

Maps (PLDOS, scanning-gate maps, potentials) are kept as float16 in units of the largest
modulus of each, which is kept as float32. Rounding to nearest with 11 bits leaves at most
2^-12 = 2.4e-4 of that largest value, and 2^-11 of any value above 6e-5 of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inmateria.data.sample_layout import Coordinate, SampleLayout, Variable
from inmateria.datasets.averaging import block_average
from inmateria.datasets.disorder import DrawnDisorder, closed_forms, draw, wave_vectors
from inmateria.datasets.settings import GateMapSettings, GenerationSettings
from inmateria.transport.energies import at_temperature
from inmateria.transport.gradient import sensitivity
from inmateria.transport.real_engine import Sample, States
from inmateria.transport.samples import each_sample
from inmateria.transport.scanning_gate import FINEST, scanning_gate_map, tip_sites
from inmateria.transport.tip_lattice import TipLattice

Arrays = dict[str, NDArray[np.generic]]
Real = NDArray[np.float64]

# Largest error of a map that is kept, in units of its largest modulus.
ROUNDING = 2.0**-12


def layout(settings: GenerationSettings) -> SampleLayout:
    """The arrays of a set.

    Raises
    ------
    ConfigurationError, ParameterError
    """
    keep, gas = settings.keep, settings.gas.gas()
    shape = gas.n_x // keep.resolution, gas.n_y // keep.resolution
    n_fields = len(settings.field_t)
    found: list[Variable] = []
    if keep.pldos:
        what = "partial local density of states of the source's modes"
        found += _map("pldos", (), (), shape, "1/hopping", what)
    if keep.pldos and n_fields:
        what = "the same in a perpendicular magnetic field"
        found += _map("pldos_in_field", ("field",), (n_fields,), shape, "1/hopping", what)
    coordinates = [*_positions(settings)]
    chosen = settings.scanning_gate
    if chosen is not None:
        # Refused here if it falls between the sites.
        TipLattice(gas, chosen.tip())
        what = "change of the transmission by a tip there"
        what += ", to first order" if chosen.method == "first-order" else ""
        if not chosen.by_position:
            found += _map("gate_map", (), (), shape, "1", what)
        else:
            places = [gas.spacing_nm * sites for sites in tip_sites(gas, chosen.stride)]
            size = places[0].size, places[1].size
            found += _map("gate_map", (), (), size, "1", what, ("tip_x", "tip_y"))
            coordinates += [
                Coordinate(f"tip_{x}_nm", f"tip_{x}", place, "nm", f"position of the tip along {x}")
                for x, place in zip("xy", places, strict=True)
            ]
        if chosen.method == "exact":
            what = "estimated largest error of the transmission with the tip"
            found.append(Variable("gate_map_error", (), (), "<f8", "1", what))
    if keep.potential == "float16":
        found += _map("potential", (), (), shape, "meV", "disorder potential")
    elif keep.potential == "float32":
        found.append(Variable("potential", ("x", "y"), shape, "<f4", "meV", "disorder potential"))
    if keep.coefficients:
        m_x, m_y = wave_vectors(settings)
        what = "real and imaginary part of C(q)"
        dims = ("coefficient", "part")
        found.append(Variable("coefficients", dims, (m_x.size, 2), "<f8", "1", what))
        for name, m in (("m_x", m_x), ("m_y", m_y)):
            what = f"wave number of the series along {name[-1]}"
            coordinates.append(Coordinate(name, "coefficient", m, "1", what))
    if n_fields:
        fields = np.array(settings.field_t)
        coordinates.append(Coordinate("field_t", "field", fields, "T", "magnetic field along +z"))
        for name, what in (("transmission", "transmission"), ("error", "estimated error")):
            text = f"{what} in a magnetic field"
            found.append(Variable(f"{name}_in_field", ("field",), (n_fields,), "<f8", "1", text))
    numbers = [
        ("dopant_spacing_nm", "nm", "distance of the dopants from the gas"),
        ("density_per_cm2", "cm-2", "density of dopants"),
        ("rms_mev", "meV", "rms of the potential of an infinite sample, closed form"),
        ("correlation_nm", "nm", "correlation length of an infinite sample, closed form"),
        ("sample_rms_mev", "meV", "rms of this sample's potential about its mean"),
        ("transmission", "1", "transmission from source to drain"),
        ("error", "1", "estimated largest error of the PLDOS over its maximum"),
    ]
    found += [Variable(name, (), (), "<f8", unit, what) for name, unit, what in numbers]
    return SampleLayout(
        settings.configuration(),
        settings.n_samples,
        settings.block_size,
        tuple(found),
        tuple(coordinates),
    )


def compute(
    settings: GenerationSettings,
    samples: range,
    *,
    clock: Callable[[str], None] | None = None,
) -> Arrays:
    """All that is kept of consecutive samples.

    A sample's values do not depend on the others in the call.

    Parameters
    ----------
    samples : range
        Their numbers.
    clock : callable, optional
        Told what has just been done: ``"draw"``, ``"solve"`` or ``"encode"``.

    Returns
    -------
    dict of name to (n, ...) array
        As `layout` has them.

    Raises
    ------
    ParameterError, ConvergenceError
    """
    say = clock or (lambda _: None)
    drawn = draw(settings, samples)
    rms, length = closed_forms(settings, drawn)
    found: Arrays = {
        "dopant_spacing_nm": drawn.spacing_nm,
        "density_per_cm2": drawn.density_per_cm2,
        "rms_mev": rms,
        "correlation_nm": length,
        "sample_rms_mev": _rms(drawn.potential),
    }
    say("draw")
    maps = _at_temperature(settings, drawn) if settings.temperature_k else _solve(settings, drawn)
    if settings.field_t:
        maps |= _in_fields(settings, drawn)
    if settings.scanning_gate is not None and settings.scanning_gate.by_position:
        maps |= _gate_maps(settings, settings.scanning_gate, drawn)
    say("solve")
    if settings.keep.coefficients:
        found["coefficients"] = drawn.coefficients
    if settings.keep.potential != "no":
        maps["potential"] = block_average(drawn.potential, settings.keep.resolution)
    for name, values in maps.items():
        if values.ndim < 3 or (name, settings.keep.potential) == ("potential", "float32"):
            found[name] = values
        else:
            found[name], found[f"{name}_scale"] = encode_maps(values)
    say("encode")
    return found


def encode_maps(maps: Real) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Maps in units of the largest modulus of each.

    Parameters
    ----------
    maps : (..., n_x, n_y) array

    Returns
    -------
    values : (..., n_x, n_y) float16 array
        Between -1 and 1.
    scale : (...) float32 array
    """
    scale = np.abs(maps).max(axis=(-2, -1)).astype(np.float32)
    # A map of zeros stays one.
    scale = np.where(scale > 0, scale, np.float32(1))
    return (maps / scale[..., None, None]).astype(np.float16), scale


def _solve(settings: GenerationSettings, drawn: DrawnDisorder) -> dict[str, Real]:
    gas, averaged = settings.gas.gas(), settings.keep.resolution
    n, shape = len(drawn.potential), (gas.n_x // averaged, gas.n_y // averaged)
    pldos, transmission = np.empty((n, *shape)), np.empty(n)
    chosen = settings.scanning_gate
    tip = None if chosen is None or chosen.by_position else TipLattice(gas, chosen.tip())
    gate = None if tip is None else np.empty((n, *shape))

    def take(s: int, _: Sample, states: States) -> None:
        pldos[s] = block_average(states.pldos, averaged)
        transmission[s] = (np.abs(states.t) ** 2).sum()
        if gate is not None and tip is not None:
            gate[s] = block_average(tip.sums(sensitivity(states)), averaged)

    potential_t = gas.in_hoppings(drawn.potential)
    effort = each_sample(gas, potential_t, take, accuracy=settings.accuracy)
    found = {"transmission": transmission, "error": effort.error}
    if settings.keep.pldos:
        found["pldos"] = pldos
    if gate is not None:
        found["gate_map"] = gate
    return found


def _at_temperature(settings: GenerationSettings, drawn: DrawnDisorder) -> dict[str, Real]:
    gas = settings.gas.gas()
    # One by one: how many energies are taken must not depend on the other samples.
    each = [
        at_temperature(
            gas,
            potential,
            settings.temperature_k,
            accuracy=settings.accuracy,
            energies=settings.temperature_energies,
        )
        for potential in drawn.potential
    ]
    found = {
        "transmission": np.array([float(thermal.transmission) for thermal in each]),
        "error": np.array([thermal.error for thermal in each]),
    }
    if settings.keep.pldos:
        maps = np.stack([thermal.pldos for thermal in each])
        found["pldos"] = block_average(maps, settings.keep.resolution)
    return found


def _gate_maps(
    settings: GenerationSettings, chosen: GateMapSettings, drawn: DrawnDisorder
) -> dict[str, Real]:
    """Maps at the tip's positions, which are not averaged: a coarser stride is cheaper."""
    found = scanning_gate_map(
        settings.gas.gas(),
        drawn.potential,
        chosen.tip(),
        method=chosen.method,
        accuracy=max(settings.accuracy, FINEST),
        stride=chosen.stride,
    )
    maps = {"gate_map": found.change}
    return maps | ({"gate_map_error": found.error} if chosen.method == "exact" else {})


def _in_fields(settings: GenerationSettings, drawn: DrawnDisorder) -> dict[str, Real]:
    import torch

    from inmateria.transport.in_field import scatter_in_field

    gas, threads = settings.gas.gas(), torch.get_num_threads()
    # The last bit depends on their number.
    torch.set_num_threads(1)
    try:
        # One by one, as above: the number of modes.
        each = [
            scatter_in_field(gas, potential, settings.field_t, accuracy=settings.accuracy)
            for potential in drawn.potential
        ]
    finally:
        torch.set_num_threads(threads)
    found = {
        "transmission_in_field": np.stack([fields.transmission for fields in each]),
        "error_in_field": np.stack([fields.error for fields in each]),
    }
    if settings.keep.pldos:
        maps = [block_average(fields.pldos, settings.keep.resolution) for fields in each]
        found["pldos_in_field"] = np.stack(maps)
    return found


def _rms(maps: Real) -> Real:
    """Root mean square of each map about its own mean, (n,)."""
    mean = maps.mean(axis=(1, 2))
    # A few times faster than `std`, and the mean is small: nothing cancels.
    square = np.einsum("nij,nij->n", maps, maps) / maps[0].size
    return np.asarray(np.sqrt(square - mean**2))


def _map(
    name: str,
    dims: tuple[str, ...],
    leading: tuple[int, ...],
    shape: tuple[int, int],
    units: str,
    what: str,
    along: tuple[str, str] = ("x", "y"),
) -> list[Variable]:
    scale = f"{name}_scale"
    return [
        Variable(name, (*dims, *along), (*leading, *shape), "<f2", units, what, scale),
        Variable(scale, dims, leading, "<f4", units, f"largest modulus: unit of {name}"),
    ]


def _positions(settings: GenerationSettings) -> list[Coordinate]:
    gas, sites = settings.gas, settings.keep.resolution
    found = []
    for name, n in (("x", gas.n_x), ("y", gas.n_y)):
        middle = (np.arange(n // sites) * sites + (sites - 1) / 2) * gas.spacing_nm
        found.append(Coordinate(f"{name}_nm", name, middle, "nm", f"position along {name}"))
    return found
