"""What is drawn and computed of each sample, against the library's own calls one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inmateria.data.sample_layout import check_block
from inmateria.datasets.disorder import closed_forms, draw, potential, wave_vectors
from inmateria.datasets.samples import ROUNDING, compute, encode_maps, layout
from inmateria.datasets.settings import GenerationSettings
from inmateria.errors import ShapeError
from inmateria.transport.disorder.measured import rms_mev
from inmateria.transport.disorder.remote_dopants import RemoteDopants
from inmateria.transport.energies import at_temperature
from inmateria.transport.in_field import scatter_in_field
from inmateria.transport.tip import Tip

Small = Callable[..., GenerationSettings]


@pytest.mark.parametrize("periodic", [True, False])
def test_disorder_is_the_library_s_own(small: Small, periodic: bool) -> None:
    """s, N_d and coefficients from SeedSequence(seed, spawn_key=(i,)), in this order."""
    settings = small(disorder={"spacing_nm": (15.0, 25.0), "periodic": periodic})
    drawn = draw(settings, range(5, 9))
    m_x, m_y = wave_vectors(settings)
    for k, i in enumerate(range(5, 9)):
        stream = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(i,)))
        spacing, density = stream.uniform(15.0, 25.0), stream.uniform(0.5e12, 1.5e12)
        assert (drawn.spacing_nm[k], drawn.density_per_cm2[k]) == (spacing, density)
        dopants = RemoteDopants(spacing, density, periodic=periodic)
        sample = dopants.sample(settings.gas.gas(), seed=stream)
        np.testing.assert_array_equal(drawn.potential[k], sample.potential)
        series = sample.coefficients
        assert series is not None
        kept = {
            (int(x), int(y)): complex(*c)
            for x, y, c in zip(m_x, m_y, drawn.coefficients[k], strict=True)
        }
        own = dict(
            zip(zip(series.m_x.tolist(), series.m_y.tolist(), strict=True), series.c, strict=True)
        )
        # Beyond the sample's own cutoff there is nothing.
        assert kept == {q: own.get(q, 0.0) for q in kept}
        assert own.keys() <= kept.keys()
    # The cutoff moves with s, or this would test little.
    counts = (drawn.coefficients != 0).any(axis=2).sum(axis=1)
    assert counts.min() < counts.max()


@pytest.mark.parametrize("periodic", [True, False])
def test_the_potential_comes_back_to_the_last_bit(small: Small, periodic: bool) -> None:
    settings = small(disorder={"spacing_nm": (15.0, 25.0), "periodic": periodic})
    drawn = draw(settings, range(6))
    found = potential(settings, drawn.spacing_nm, drawn.coefficients)
    np.testing.assert_array_equal(found, drawn.potential)
    one = potential(settings, drawn.spacing_nm[2], drawn.coefficients[2])
    np.testing.assert_array_equal(one, drawn.potential[2])
    with pytest.raises(ShapeError, match="coefficients of shape"):
        potential(settings, drawn.spacing_nm[:2], drawn.coefficients)


def test_closed_forms(small: Small) -> None:
    settings = small()
    drawn = draw(settings, range(6))
    rms, length = closed_forms(settings, drawn)
    for k in range(6):
        dopants = RemoteDopants(drawn.spacing_nm[k], drawn.density_per_cm2[k])
        # Interpolation over a range of 5 / 3: between 1e-14 (of 3 / 2) and 1e-7 (of 5).
        assert rms[k] == pytest.approx(dopants.rms_mev, rel=1e-9)
        assert length[k] == pytest.approx(dopants.correlation_length_nm, rel=1e-9)


def test_one_value_in_place_of_a_range(small: Small) -> None:
    settings = small(disorder={"spacing_nm": (20.0, 20.0), "density_per_cm2": (1e12, 1e12)})
    found = compute(settings, range(2))
    assert set(found["dopant_spacing_nm"]) == {20.0}
    assert found["rms_mev"][0] == pytest.approx(RemoteDopants(20.0).rms_mev, rel=1e-9)


def test_a_sample_is_what_the_gas_gives(small: Small) -> None:
    settings = small(keep={"potential": "float16"})
    found = compute(settings, range(2, 6))
    drawn, gas = draw(settings, range(2, 6)), settings.gas.gas()
    exact = gas.scatter(drawn.potential, accuracy=1e-9)
    largest = exact.pldos.max(axis=(1, 2))
    pldos = found["pldos"].astype(float) * found["pldos_scale"][:, None, None]
    error = np.abs(pldos - exact.pldos).max(axis=(1, 2)) / largest
    # The solver's, and rounding to float16; both bounds are relative to the maximum.
    assert (error <= settings.accuracy + ROUNDING * (1 + settings.accuracy)).all()
    assert (found["error"] <= settings.accuracy).all()
    np.testing.assert_allclose(found["transmission"], exact.transmission, atol=3e-3)
    np.testing.assert_allclose(found["sample_rms_mev"], rms_mev(drawn.potential), rtol=1e-12)
    stored = found["potential"].astype(float) * found["potential_scale"][:, None, None]
    scale = np.abs(drawn.potential).max(axis=(1, 2), keepdims=True)
    # float32 of the scale adds 6e-8.
    assert (np.abs(stored - drawn.potential) / scale).max() <= ROUNDING + 1e-7
    check_block(layout(settings), 1, compute(settings, range(4, 8)))


def test_rounding_of_maps() -> None:
    """The documented bounds hold, and the first one is not far above what occurs."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(20, 64, 48)) ** 3 * rng.uniform(1e-3, 1e3, (20, 1, 1))
    values, scale = encode_maps(maps)
    back = values.astype(float) * scale.astype(float)[:, None, None]
    largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
    error = np.abs(back - maps) / largest
    assert ROUNDING / 2 < error.max() <= ROUNDING * (1 + 1e-6) + 6e-8
    relative = (np.abs(back - maps) / np.abs(maps))[np.abs(maps) > 6.2e-5 * largest]
    assert relative.max() <= 2.0**-11 * (1 + 1e-3)
    zeros, unit = encode_maps(np.zeros((1, 4, 4)))
    assert not zeros.any()
    assert unit[0] == 1


def test_values_do_not_depend_on_the_block(small: Small) -> None:
    """Alone, in blocks of three, and all at once: the same bits."""
    settings = small(keep={"potential": "float32"})
    whole = compute(settings, range(9))
    for cut in ([range(i, i + 1) for i in range(9)], [range(i, i + 3) for i in (0, 3, 6)]):
        parts = [compute(settings, samples) for samples in cut]
        for name, values in whole.items():
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(joined, values, err_msg=name)


def test_maps_are_averaged_over_squares(small: Small) -> None:
    fine, coarse = (
        compute(small(keep={"resolution": n, "potential": "float32"}), range(3)) for n in (1, 4)
    )
    assert coarse["pldos"].shape == (3, 6, 4)
    for name in ("pldos", "potential"):
        full, mean = (
            part[name].astype(float) * np.reshape(part.get(f"{name}_scale", np.ones(3)), (3, 1, 1))
            for part in (fine, coarse)
        )
        for i in range(6):
            for j in range(4):
                square = full[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean(axis=(1, 2))
                # Rounding of what is averaged, and of the average.
                limit = 2 * ROUNDING * np.abs(full).max()
                np.testing.assert_allclose(mean[:, i, j], square, atol=limit)
    described = layout(small(keep={"resolution": 4}))
    x = next(place for place in described.coordinates if place.name == "x_nm")
    # Columns 0 to 3 of a lattice of 5 nm have their middle at 7.5 nm.
    np.testing.assert_array_equal(x.values, 7.5 + 20.0 * np.arange(6))


def test_a_gate_map_is_what_a_weak_tip_does(small: Small) -> None:
    tip = {"tip_height_mev": 1e-3, "tip_width_nm": 15.0}
    settings = small(accuracy=1e-9, scanning_gate=tip)
    found = compute(settings, range(2))
    maps = found["gate_map"].astype(float) * found["gate_map_scale"][:, None, None]
    gas, disorder = settings.gas.gas(), draw(settings, range(2)).potential
    before = gas.transmission(disorder, accuracy=1e-12)
    x, y = 5.0 * np.arange(24)[:, None], 5.0 * np.arange(16)
    for i, j in ((3, 2), (12, 9), (23, 15)):
        above = Tip(1e-3, 15.0).potential(np.hypot(x - 5.0 * i, y - 5.0 * j))
        change = gas.transmission(disorder + above, accuracy=1e-12) - before
        # Rounding of the map; second order is (1e-3 meV / 1 meV)^2 of order one.
        limit = ROUNDING * np.abs(maps).max(axis=(1, 2)) + 1e-5 * np.abs(maps).max()
        assert (np.abs(maps[:, i, j] - change) <= limit + 2e-8).all()


def test_a_strong_tip_at_its_own_positions(small: Small) -> None:
    """Whole solves with a depleting tip; neither averaged nor dependent on the block."""
    tip = {"tip_height_mev": 12.0, "tip_width_nm": 10.0, "stride": 5, "method": "exact"}
    settings = small(scanning_gate=tip, keep={"resolution": 4})
    found = compute(settings, range(2))
    maps = found["gate_map"].astype(float) * found["gate_map_scale"][:, None, None]
    # Columns 0, 5, ..., 20 and rows 0, 5, 10, 15.
    assert maps.shape == (2, 5, 4)
    gas, disorder = settings.gas.gas(), draw(settings, range(2)).potential
    before = gas.transmission(disorder, accuracy=1e-10)
    x, y = 5.0 * np.arange(24)[:, None], 5.0 * np.arange(16)
    for i in range(5):
        for j in range(4):
            above = Tip(12.0, 10.0).potential(np.hypot(x - 25.0 * i, y - 25.0 * j))
            change = gas.transmission(disorder + above, accuracy=1e-10) - before
            limit = settings.accuracy + ROUNDING * np.abs(maps).max()
            assert (np.abs(maps[:, i, j] - change) <= limit).all()
    assert (found["gate_map_error"] <= settings.accuracy).all()
    # Strong: first order is off by a third of the largest change and more.
    weak = compute(small(scanning_gate=tip | {"method": "first-order"}), range(2))
    first = weak["gate_map"].astype(float) * weak["gate_map_scale"][:, None, None]
    assert (np.abs(first - maps).max(axis=(1, 2)) > np.abs(maps).max(axis=(1, 2)) / 3).all()
    alone = compute(settings, range(1, 2))
    np.testing.assert_array_equal(alone["gate_map"][0], found["gate_map"][1])
    described = layout(settings)
    places = {place.name: place.values for place in described.coordinates}
    np.testing.assert_array_equal(places["tip_x_nm"], 25.0 * np.arange(5))
    np.testing.assert_array_equal(places["tip_y_nm"], 25.0 * np.arange(4))
    check_block(described, 0, compute(settings, range(4)))


def test_a_stride_takes_pixels_of_the_whole_map(small: Small) -> None:
    tip = {"tip_height_mev": 0.1, "tip_width_nm": 15.0}
    maps = []
    for stride in (1, 3):
        found = compute(small(scanning_gate=tip | {"stride": stride}), range(2))
        maps.append(found["gate_map"].astype(float) * found["gate_map_scale"][:, None, None])
    limit = 2 * ROUNDING * np.abs(maps[0]).max()
    np.testing.assert_allclose(maps[1], maps[0][:, ::3, ::3], atol=limit)
    assert maps[1].shape == (2, 8, 6)


def test_temperature(small: Small) -> None:
    settings = small(temperature_k=2.0)
    found = compute(settings, range(2))
    disorder = draw(settings, range(2)).potential
    for k in range(2):
        thermal = at_temperature(settings.gas.gas(), disorder[k], 2.0, accuracy=1e-3)
        assert found["transmission"][k] == thermal.transmission
        pldos = found["pldos"][k].astype(float) * found["pldos_scale"][k]
        assert np.abs(pldos - thermal.pldos).max() <= 1.001 * ROUNDING * thermal.pldos.max()
    cold = compute(small(), range(2))
    assert (found["transmission"] != cold["transmission"]).all()


def test_a_fixed_number_of_energies(small: Small) -> None:
    settings = small(temperature_k=2.0, temperature_energies=17)
    found = compute(settings, range(2))
    disorder = draw(settings, range(2)).potential
    for k in range(2):
        thermal = at_temperature(settings.gas.gas(), disorder[k], 2.0, energies=17)
        assert found["transmission"][k] == thermal.transmission
        assert found["error"][k] == thermal.error
        assert thermal.energy_mev.size == 17


def test_fields(small: Small) -> None:
    settings = small(field_t=(0.0, 0.4))
    found = compute(settings, range(2))
    assert found["pldos_in_field"].shape == (2, 2, 24, 16)
    disorder = draw(settings, range(2)).potential
    for k in range(2):
        fields = scatter_in_field(settings.gas.gas(), disorder[k], (0.0, 0.4), accuracy=1e-3)
        np.testing.assert_allclose(
            found["transmission_in_field"][k], fields.transmission, rtol=1e-12
        )
        pldos = (
            found["pldos_in_field"][k].astype(float)
            * found["pldos_in_field_scale"][k, :, None, None]
        )
        for f in range(2):
            limit = 1.001 * ROUNDING * fields.pldos[f].max()
            assert np.abs(pldos[f] - fields.pldos[f]).max() <= limit
    # At zero field both ways of solving agree, each to its accuracy.
    largest = found["pldos_scale"].astype(float)[:, None, None]
    zero = (
        found["pldos_in_field"][:, 0].astype(float)
        * found["pldos_in_field_scale"][:, 0, None, None]
    )
    assert np.abs(zero - found["pldos"].astype(float) * largest).max() <= 3e-3 * largest.max()
    check_block(layout(settings), 0, compute(settings, range(4)))
