"""Scanning-gate maps: whole solves with the tip, differences, symmetry, a clean wire."""

from __future__ import annotations

import numpy as np
import pytest

from inmateria.errors import ConvergenceError, NotFiniteError, ParameterError, ShapeError
from inmateria.transport import tip_exact
from inmateria.transport.constants import KELVIN_MEV
from inmateria.transport.gas import ElectronGas, Lead
from inmateria.transport.scanning_gate import ScanningGateMap, scanning_gate_map
from inmateria.transport.tip import Tip
from inmateria.transport.tip_exact import TwoSides
from inmateria.transport.tip_lattice import TipLattice

SMALL = ElectronGas(n_x=28, n_y=12, fermi_mev=11.0, source=Lead(3, 6), drain=Lead(0, 12))
MANY = ElectronGas(n_x=22, n_y=14, fermi_mev=22.0, source=Lead(2, 10), drain=Lead(0, 14))
# Wide enough for slices that keep fewer modes than there are, and more near the leads.
WIDE = ElectronGas(n_x=40, n_y=64, source=Lead(22, 20), drain=Lead(5, 40))
WIRE = ElectronGas(n_x=60, n_y=12, fermi_mev=11.0, source=Lead(0, 12), drain=Lead(0, 12))


def rough(gas: ElectronGas, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=2.0, size=gas.shape)


def smooth(gas: ElectronGas) -> np.ndarray:
    x, y = np.meshgrid(np.arange(gas.n_x), np.arange(gas.n_y), indexing="ij")
    return 1.4 * np.sin(x / 11) * np.cos(y / 9 + 0.4) + 0.7 * np.sin(x / 4 + y / 5)


def with_tip(gas: ElectronGas, tip: Tip, found: ScanningGateMap) -> np.ndarray:
    """The tip's potential at every position, (n_tip_x, n_tip_y, n_x, n_y) meV, written out."""
    a = gas.spacing_nm
    x, y = np.meshgrid(a * np.arange(gas.n_x), a * np.arange(gas.n_y), indexing="ij")
    dx = x - found.x_nm[:, None, None, None]
    dy = y - found.y_nm[:, None, None]
    return tip.potential(np.sqrt(dx**2 + dy**2))


@pytest.mark.parametrize("height_mev", [20.0, -6.0])
@pytest.mark.parametrize(
    "gas",
    [
        SMALL,
        ElectronGas(n_x=26, n_y=9, fermi_mev=14.0, source=Lead(0, 9), drain=Lead(2, 5)),
        ElectronGas(n_x=24, n_y=8, fermi_mev=14.0, source=Lead(0, 8), drain=Lead(0, 8)),
        ElectronGas(n_x=2, n_y=9, fermi_mev=20.0, source=Lead(1, 4), drain=Lead(3, 5)),
    ],
)
def test_exact_is_a_whole_solve_with_the_tip(gas: ElectronGas, height_mev: float) -> None:
    """At the first slice, in the middle and at the last one, with windows of some 15 slices."""
    tip = Tip(height_mev, 6.0)
    stride = (gas.n_x - 1 if gas.n_x == 2 else (gas.n_x - 1) // 2, 4)
    potential = rough(gas)
    found = gas.sgm(potential, tip, method="exact", accuracy=1e-8, stride=stride)
    assert found.x_nm[0] == 0
    assert found.x_nm[-1] >= gas.spacing_nm * (gas.n_x - 2)
    whole = gas.transmission(potential + with_tip(gas, tip, found), accuracy=1e-11)
    # Nothing is dropped of so few modes; a tenth of the accuracy goes to the neglected tail.
    np.testing.assert_allclose(found.transmission, whole, atol=1e-9)
    assert np.abs(found.transmission - whole).max() <= found.error + 1e-10
    assert found.unperturbed == pytest.approx(gas.transmission(potential, accuracy=1e-10), abs=1e-9)
    np.testing.assert_allclose(found.change, whole - found.unperturbed, atol=1e-9)
    # And the tip does something.
    assert np.abs(found.change).max() > 0.01


def test_windows_join_where_slices_keep_different_numbers_of_modes() -> None:
    """In the kept modes a window is exact, whatever was dropped."""
    tip = TipLattice(WIDE, Tip(8.0, 10.0))
    potential = smooth(WIDE) / WIDE.hopping_mev
    sites = [(0, 30), (3, 20), (20, 32), (35, 50), (39, 10)]
    whole = TwoSides(WIDE, potential, tip, WIDE.n_x, 24, 1e4)
    assert len(set(whole.plan.counts.tolist())) == 3
    expected = whole.changes(sites)
    assert np.abs(expected).max() > 0.1
    # At 14 slices, 70 nm = 7 widths, the tip is 8 meV exp(-24.5) = 2e-10 meV.
    window = TwoSides(WIDE, potential, tip, 14, 24, 1e4)
    np.testing.assert_allclose(window.changes(sites), expected, atol=1e-9)


@pytest.mark.parametrize(("growth", "least", "most"), [(1.0, 2, 9), (2.0, 10, 24)])
def test_slices_that_wait_for_the_next_give_the_same(growth: float, least: int, most: int) -> None:
    tip = TipLattice(SMALL, Tip(20.0, 6.0))
    potential = rough(SMALL) / SMALL.hopping_mev
    sites = [(i, j) for i in (0, 13, 26, 27) for j in (2,)]
    alone = TwoSides(SMALL, potential, tip, 9, 12, 1e4)
    assert alone.sides.ready.all()
    some = TwoSides(SMALL, potential, tip, 9, 12, growth)
    assert least <= some.sides.ready.sum() <= most
    assert some.unperturbed == pytest.approx(alone.unperturbed, abs=1e-10)
    np.testing.assert_allclose(some.changes(sites), alone.changes(sites), atol=1e-10)


@pytest.mark.parametrize("height_mev", [8.0, -4.0])
def test_modes_are_raised_until_the_accuracy_is_reached(height_mev: float) -> None:
    tip = Tip(height_mev, 25.0)
    potential = smooth(WIDE)
    errors = []
    for accuracy in (1e-2, 1e-6):
        found = WIDE.sgm(potential, tip, method="exact", accuracy=accuracy, stride=(13, 21))
        whole = WIDE.transmission(potential + with_tip(WIDE, tip, found), accuracy=1e-8)
        errors.append(np.abs(found.transmission - whole).max())
        assert errors[-1] < accuracy
        assert found.error <= accuracy
    # The modes that do for the first accuracy do not for the second.
    assert errors[0] > 2e-6


def test_a_tip_that_reaches_everything() -> None:
    tip = Tip(5.0, 20.0, "lorentzian")
    found = SMALL.sgm(rough(SMALL), tip, method="exact", accuracy=1e-8, stride=(9, 5))
    whole = SMALL.transmission(rough(SMALL) + with_tip(SMALL, tip, found), accuracy=1e-11)
    np.testing.assert_allclose(found.transmission, whole, atol=1e-9)


def test_first_order_is_the_derivative() -> None:
    potential, tip = rough(MANY), Tip(1e-3, 12.0)
    assert MANY.count_open("source") == 3
    found = MANY.sgm(potential, tip, accuracy=1e-9, stride=(9, 5))
    shift = with_tip(MANY, tip, found)
    plus, minus = (MANY.transmission(potential + s * shift, accuracy=1e-12) for s in (1, -1))
    # Central differences err by the height squared times a third derivative: some 1e-6.
    expected = (plus - minus) / 2
    np.testing.assert_allclose(found.change, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("shape", ["gaussian", "lorentzian"])
def test_sums_over_the_tip_stop_at_the_edges(shape: str) -> None:
    tip = TipLattice(SMALL, Tip(2.0, 14.0, shape))
    field = np.random.default_rng(3).normal(size=SMALL.shape)
    found = tip.sums(field)
    for i, j in ((0, 0), (27, 11), (0, 7), (13, 5)):
        assert found[i, j] == pytest.approx((field * tip.above(i, j)).sum(), abs=1e-13)


def disagreement(part_of_fermi: float) -> tuple[float, float, float]:
    """First order against exact: relative rms difference, largest one, and its estimate."""
    tip = Tip(part_of_fermi * WIDE.fermi_mev, 25.0)
    first = WIDE.sgm(smooth(WIDE), tip, stride=(3, 7))
    exact = WIDE.sgm(smooth(WIDE), tip, method="exact", accuracy=1e-4, stride=(3, 7))
    off = first.change - exact.change
    rms = np.sqrt((off**2).mean() / (exact.change**2).mean())
    return float(rms), float(np.abs(off).max()), float(first.error)


def test_first_order_holds_for_weak_tips_alone() -> None:
    """As documented: some 10 % at 0.04 E_F, nothing at all above 0.2 E_F."""
    rms, largest, estimate = disagreement(0.04)
    assert rms < 0.15
    # The estimate is a size, not a bound.
    assert 0.1 * largest < estimate < 10 * largest
    rms, largest, estimate = disagreement(0.4)
    assert rms > 0.5
    assert 0.1 * largest < estimate < 10 * largest


def test_a_clean_wire_does_not_care_where_along_it_the_tip_stands() -> None:
    clean, tip = np.zeros(WIRE.shape), Tip(9.0, 8.0)
    found = WIRE.sgm(clean, tip, method="exact", accuracy=1e-8, stride=(10, 3))
    assert found.unperturbed == pytest.approx(2, abs=1e-9)
    # From 50 nm = 6.25 widths off the ends on, where the wire goes on without the tip's tail.
    middle = found.change[1:-1]
    np.testing.assert_allclose(middle, np.tile(middle[0], (len(middle), 1)), atol=1e-7)
    assert middle.max() < -5e-3
    # Nothing comes back from a clean wire, so nothing changes to first order.
    np.testing.assert_allclose(WIRE.sgm(clean, tip, accuracy=1e-9).change, 0, atol=1e-7)


@pytest.mark.parametrize("method", ["first-order", "exact"])
def test_a_mirror_symmetric_sample_has_a_mirror_symmetric_map(method: str) -> None:
    potential = rough(SMALL)
    potential = potential + potential[:, ::-1]
    options = {"method": method, "accuracy": 1e-8}
    found = SMALL.sgm(potential, Tip(5.0, 10.0), stride=(9, 1), **options).change
    np.testing.assert_allclose(found, found[:, ::-1], atol=1e-7)


def test_a_depleting_tip_on_the_source_stops_the_current() -> None:
    tip = Tip(10 * SMALL.fermi_mev, 30.0)
    found = SMALL.sgm(np.zeros(SMALL.shape), tip, method="exact", stride=(27, 6))
    assert found.unperturbed > 0.9
    # Under it kappa a is above 1 over 60 nm: exp(-24) at most.
    assert abs(found.transmission[0, 1]) < 1e-9


@pytest.mark.parametrize("method", ["first-order", "exact"])
def test_a_batch_and_a_stride(method: str) -> None:
    potential = np.stack([rough(SMALL, seed) for seed in range(4)]).reshape(2, 2, *SMALL.shape)
    tip, told = Tip(3.0, 12.0), []
    found = SMALL.sgm(
        potential,
        tip,
        method=method,
        stride=(9, 5),
        progress=lambda done, n: told.append((done, n)),
    )
    np.testing.assert_array_equal(found.x_nm, [0, 45, 90, 135])
    np.testing.assert_array_equal(found.y_nm, [0, 25, 50])
    assert found.transmission.shape == (2, 2, 4, 3)
    assert found.unperturbed.shape == found.error.shape == (2, 2)
    alone = SMALL.sgm(potential[1, 0], tip, method=method, stride=(9, 5))
    np.testing.assert_array_equal(found.transmission[1, 0], alone.transmission)
    assert alone.unperturbed.shape == ()
    finer = SMALL.sgm(potential[1, 0], tip, method=method, stride=(9, 1))
    np.testing.assert_allclose(finer.change[:, ::5], alone.change, atol=1e-12)
    assert told[-1] == ((4, 4) if method == "first-order" else (48, 48))


@pytest.mark.parametrize("method", ["first-order", "exact"])
def test_temperature_against_a_dense_grid(method: str) -> None:
    gas = ElectronGas(n_x=12, n_y=8, fermi_mev=13.0, source=Lead(2, 5), drain=Lead(0, 8))
    potential, tip, kelvin = rough(gas), Tip(4.0, 9.0), 4.2
    options = {"method": method, "stride": (5, 3)}
    found = gas.sgm(potential, tip, accuracy=1e-4, temperature_k=kelvin, **options)
    # A step h errs by exp(-2 pi^2 / h) for the weight; T(E) of so short a sample is smooth.
    x = np.linspace(-16, 16, 33)
    at = [
        gas.with_fermi(13.0 + kelvin * KELVIN_MEV * step).sgm(
            potential, tip, accuracy=1e-5, **options
        )
        for step in x
    ]
    weight = 1 / (4 * np.cosh(x / 2) ** 2)
    dense = np.trapezoid(np.moveaxis([one.change for one in at], 0, -1) * weight, x)
    # Accuracies of both, and 2e-7 of the weight beyond 16 kT.
    np.testing.assert_allclose(found.change, dense, atol=2e-4)
    unperturbed = np.trapezoid(np.array([one.unperturbed for one in at]) * weight, x)
    assert found.unperturbed == pytest.approx(unperturbed, abs=2e-4)
    # It differs from zero temperature by more than it errs.
    cold = gas.sgm(potential, tip, accuracy=1e-4, **options)
    assert np.abs(cold.change - dense).max() > 1e-3


def test_no_temperature_reaches_below_the_first_mode() -> None:
    """Energies at which nothing is open count as zero transmission."""
    gas = ElectronGas(n_x=8, n_y=8, fermi_mev=13.0, source=Lead(2, 5), drain=Lead(2, 2))
    first = gas.thresholds_mev(gas.drain)[0]
    at = gas.with_fermi(float(first) - 0.3)
    found = at.sgm(np.zeros(gas.shape), Tip(1.0, 9.0), stride=4, temperature_k=4.2, accuracy=1e-2)
    # The Fermi function's share above the threshold, 1 / (1 + exp(0.3 meV / kT)), bounds it.
    assert 0 < found.unperturbed < 1 / (1 + np.exp(0.3 / (4.2 * KELVIN_MEV)))


def test_bad_input() -> None:
    potential, tip = rough(SMALL), Tip(1.0, 10.0)
    with pytest.raises(ParameterError, match="'born': give 'first-order' or 'exact'"):
        SMALL.sgm(potential, tip, method="born")
    for stride in (0, (2, 0), 1.5, (1, 2, 3)):
        with pytest.raises(ParameterError, match="stride = "):
            SMALL.sgm(potential, tip, stride=stride)
    with pytest.raises(ParameterError, match=r"width_nm = 2\.4 .* at least 2\.5 nm"):
        SMALL.sgm(potential, Tip(1.0, 2.4))
    with pytest.raises(ParameterError, match="accuracy = 1e-10"):
        SMALL.sgm(potential, tip, accuracy=1e-10)
    with pytest.raises(ParameterError, match="temperature_k = -1"):
        SMALL.sgm(potential, tip, temperature_k=-1.0)
    with pytest.raises(ParameterError, match="band"):
        SMALL.sgm(potential, Tip(-300.0, 10.0), method="exact")
    with pytest.raises(NotFiniteError):
        SMALL.sgm(np.full(SMALL.shape, np.nan), tip)
    with pytest.raises(ShapeError):
        scanning_gate_map(SMALL, potential[1:], tip)


def test_what_does_not_converge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A window of the tip's own slice alone.
    monkeypatch.setattr(tip_exact, "reach", lambda *_: 0)
    with pytest.raises(ConvergenceError, match="sample 0: all 12 modes leave an error"):
        SMALL.sgm(rough(SMALL), Tip(10.0, 10.0), method="exact", stride=5)
