"""Devices in layers: closed forms, the chain rule, clipping, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inmateria.devices import Device, DifferentiableDevice
from inmateria.devices.device import Terminal, check_voltage
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.layered import Connection, Layered
from inmateria.errors import (
    NotFiniteError,
    ParameterError,
    ShapeError,
    TerminalError,
    TrainingError,
)


class Ohmic:
    """I = G V: a matrix."""

    def __init__(self, conductance, *, ranges=None, names="abcdef", outputs="xyz"):
        self.conductance = np.asarray(conductance, dtype=float)
        n_outputs, n_terminals = self.conductance.shape
        ranges = ranges or [(-1.0, 1.0)] * n_terminals
        self.terminals = tuple(Terminal(names[i], *ranges[i]) for i in range(n_terminals))
        self.outputs = tuple(outputs[:n_outputs])
        self.calls = 0

    def current(self, voltage):
        self.calls += 1
        return check_voltage(self.terminals, voltage) @ self.conductance.T

    def gradient(self, voltage):
        shape = np.shape(voltage)[:-1]
        return np.broadcast_to(self.conductance, (*shape, *self.conductance.shape)).copy()

    def describe(self):
        return {"kind": "ohmic", "conductance": self.conductance.tolist()}


class Measured:
    """Currents only."""

    terminals = (Terminal("a"),)
    outputs = ("x",)

    def current(self, voltage):
        return np.asarray(voltage)

    def describe(self):
        return {"kind": "measured"}


def differences(device, voltage, step=1e-5):
    """Central differences of all terminals, (..., n_outputs, n_terminals)."""
    columns = []
    for t in range(voltage.shape[-1]):
        shift = np.zeros(voltage.shape[-1])
        shift[t] = step
        columns.append((device.current(voltage + shift) - device.current(voltage - shift)) / 2)
    return np.stack(columns, axis=-1) / step


@pytest.fixture
def linear():
    """Two devices into one, some voltage free in each, clips out of reach."""
    rng = np.random.default_rng(0)
    first, second = Ohmic(rng.normal(size=(2, 3))), Ohmic(rng.normal(size=(1, 2)))
    wide = [(-100.0, 100.0)] * 4
    last = Ohmic(rng.normal(size=(2, 4)), ranges=wide)
    network = Layered(
        [{"left": first, "right": second}, last],
        [
            Connection("left.x", "1.a", 0.3, 0.1),
            Connection("left.y", "1.c", -0.7, 0.2),
            Connection("right.x", "1.d", 1.5),
        ],
    )
    return first, second, last, network


def test_linear_devices_multiply_as_matrices(linear):
    first, second, last, network = linear
    names = ["left.a", "left.b", "left.c", "right.a", "right.b", "1.b"]
    assert [t.name for t in network.terminals] == names
    assert network.outputs == ("1.x", "1.y")
    voltage = np.random.default_rng(1).uniform(-1, 1, (4, 5, 6))
    y, z = voltage[..., :3] @ first.conductance.T, voltage[..., 3:5] @ second.conductance.T
    seen = np.stack(
        [0.3 * y[..., 0] + 0.1, voltage[..., 5], -0.7 * y[..., 1] + 0.2, 1.5 * z[..., 0]], axis=-1
    )
    # A dozen products and sums of order 1.
    np.testing.assert_allclose(network.current(voltage), seen @ last.conductance.T, atol=1e-14)
    np.testing.assert_allclose(network.inner_voltage(voltage)["1"], seen, atol=1e-14)

    through = np.zeros((4, 6))
    through[0, :3], through[2, :3] = 0.3 * first.conductance[0], -0.7 * first.conductance[1]
    through[3, 3:5], through[1, 5] = 1.5 * second.conductance[0], 1.0
    closed = np.broadcast_to(last.conductance @ through, (4, 5, 2, 6))
    np.testing.assert_allclose(network.gradient(voltage), closed, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (0, 4)])
def test_leading_dimensions_are_kept(linear, shape):
    network = linear[-1]
    assert isinstance(network, Device)
    assert isinstance(network, DifferentiableDevice)
    assert network.current(np.zeros((*shape, 6))).shape == (*shape, 2)
    assert network.gradient(np.zeros((*shape, 6))).shape == (*shape, 2, 6)


def test_a_saturated_amplifier_holds_its_limit_and_passes_no_slope():
    network = Layered(
        [Ohmic([[1.0]]), Ohmic([[2.0]], ranges=[(-0.5, 0.8)])], [Connection("0.x", "1.a", 3.0)]
    )
    voltage = np.array([-1.0, -0.5 / 3 - 1e-9, -0.1, 0.1, 0.8 / 3 + 1e-9, 1.0])[:, None]
    assert network.current(voltage)[:, 0] == pytest.approx([-1.0, -1.0, -0.6, 0.6, 1.6, 1.6])
    assert network.gradient(voltage)[:, 0, 0].tolist() == [0.0, 0.0, 6.0, 6.0, 0.0, 0.0]


def test_limits_of_a_connection_are_its_own():
    wire = Connection("0.x", "1.a", 3.0, offset_v=0.1, low_v=-0.2, high_v=0.3)
    network = Layered([Ohmic([[1.0]]), Ohmic([[1.0]])], [wire])
    assert network.current([[-1.0], [0.0], [1.0]])[:, 0] == pytest.approx([-0.2, 0.1, 0.3])


def test_a_tie_drives_several_terminals_and_adds_their_slopes():
    first = Ohmic([[1.0, 2.0]], ranges=[(-1, 0.5), (-1, 1)])
    second = Ohmic([[3.0, 4.0]], ranges=[(-0.8, 1), (-1, 1)])
    network = Layered([[first, second]], ties={"v": ("0.0.a", "0.1.a")})
    assert network.terminals == (
        Terminal("v", -0.8, 0.5),
        Terminal("0.0.b"),
        Terminal("0.1.b"),
    )
    assert network.current([0.1, 0.2, 0.3]) == pytest.approx([0.5, 1.5])
    assert network.gradient([0.1, 0.2, 0.3]) == pytest.approx(np.array([[1, 2, 0], [3, 0, 4]]))


def test_one_output_may_feed_many_terminals_and_skip_a_stage():
    one = Ohmic([[1.0]])
    wide = Ohmic([[1.0, 10.0]], ranges=[(-9, 9)] * 2)
    network = Layered(
        [one, one, wide],
        [
            Connection("0.x", "1.a", 0.5),
            Connection("0.x", "2.a", 1.0),
            Connection("1.x", "2.b", 1.0),
        ],
    )
    assert network.current([0.4]) == pytest.approx([0.4 + 10 * 0.2])
    assert network.gradient([0.4]) == pytest.approx(np.array([[6.0]]))


def test_chosen_outputs_may_come_from_any_stage():
    device = Ohmic([[1.0], [2.0]])
    network = Layered([device, device], [Connection("0.y", "1.a", 0.25)], outputs=("1.y", "0.x"))
    assert network.current([0.4]) == pytest.approx([0.4, 0.4])
    assert network.gradient([0.4])[:, 0] == pytest.approx([1.0, 1.0])


def test_the_same_object_is_called_once_per_stage():
    device = Ohmic([[1.0, 2.0]])
    Layered([[device] * 5]).current(np.zeros((7, 10)))
    assert device.calls == 1


def dopants(**options):
    small = DopantParameters(n_acceptors=12, n_donors=1)
    return [DopantNetwork(seed=s, parameters=small, **options) for s in (1, 2, 3)]


def test_gradient_through_dopant_networks_is_that_of_central_differences():
    first, second, last = dopants(outputs=(0, 4))
    rng = np.random.default_rng(2)
    spread = [d.current(rng.uniform(-0.9, 0.9, (50, 6))).std(axis=0) for d in (first, second)]
    network = Layered(
        [[first, second], last],
        [
            Connection("0.0.e0", "1.e2", 0.5 / spread[0][0]),
            Connection("0.0.e4", "1.e3", -0.5 / spread[0][1], 0.1),
            Connection("0.1.e0", "1.e6", 0.5 / spread[1][0]),
        ],
        ties={"x": ("0.0.e2", "0.1.e2")},
    )
    voltage = rng.uniform(-0.9, 0.9, (40, len(network.terminals)))
    seen = network.inner_voltage(voltage)["1"][:, [1, 2, 5]]
    clipped = np.abs(seen) == 1
    # A point within a few steps of a limit has no slope to compare with.
    away = (clipped | (np.abs(seen) < 0.999)).all(axis=1)
    assert away.sum() > 20
    assert clipped.any()
    exact, near = network.gradient(voltage[away]), differences(network, voltage[away])
    # Solves end within some 1e-11 of the largest current, which over 2e-5 V is 1e-6 of it per
    # volt; currents vary over some 50 mV, so the third derivative leaves less.
    limit = 1e-6 * np.abs(network.current(voltage)).max(axis=0)[:, None]
    reach = np.abs(exact).max(axis=(0, 1))
    assert (np.abs(exact - near) < limit + 1e-5 * reach).all()
    # The first stage's terminals matter as much, so they have been tested.
    assert (reach > 0.01 * reach.max()).sum() > 10


def test_a_stream_agrees_with_the_device_however_it_is_cut():
    first, _, last = dopants()
    network = Layered([[first, first], last], [Connection("0.0.e0", "1.e2", 0.01)])
    time = np.arange(120) / 1e4
    n = len(network.terminals)
    voltage = 0.9 * np.sin(2 * np.pi * np.sqrt(np.arange(2, 2 + n)) * 20 * time[:, None])
    whole = network.current(voltage)
    stream = network.stream()
    parts = [stream.current(part) for part in np.array_split(voltage, [3, 3, 50])]
    limit = 1e-9 * np.abs(whole).max()  # the solver's, as in the test of the network's own stream
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=limit)


def test_a_network_of_networks_is_a_device():
    inner = Layered([Ohmic([[1.0]]), Ohmic([[2.0, 0.0]])], [Connection("0.x", "1.a", 0.5)])
    outer = Layered([inner, Ohmic([[3.0]])], [Connection("0.1.x", "1.a", 0.1)])
    assert [t.name for t in outer.terminals] == ["0.0.a", "0.1.b"]
    assert outer.current([0.6, 0.0]) == pytest.approx([3 * 0.1 * 2 * 0.5 * 0.6])
    assert outer.gradient([0.6, 0.0]) == pytest.approx(np.array([[0.3, 0.0]]))


def test_it_describes_itself_in_json(linear):
    described = json.loads(json.dumps(linear[-1].describe()))
    assert described["kind"] == "layered"
    assert described["devices"]["right"]["stage"] == 0
    assert described["connections"][0]["gain_v_per_na"] == 0.3
    assert described["outputs"] == ["1.x", "1.y"]


ONE, TWO = Ohmic([[1.0]]), Ohmic([[1.0, 1.0]])
WIRE = Connection("0.x", "1.a", 1.0)


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda: Layered([]), ParameterError, "at least one stage"),
        (lambda: Layered(ONE), ParameterError, "must be a list"),
        (lambda: Layered([ONE, []]), ParameterError, "stage 1 holds no device"),
        (lambda: Layered([ONE, "two"]), ParameterError, "str '1', which is no device"),
        (lambda: Layered([{"1": ONE}, ONE]), ParameterError, "two devices are named '1'"),
        (lambda: Layered([ONE, TWO], [Connection("0.q", "1.a", 1)]), TerminalError, "no output"),
        (lambda: Layered([ONE, TWO], [Connection("0.x", "1.q", 1)]), TerminalError, "no terminal"),
        (lambda: Layered([ONE, TWO], [WIRE, WIRE]), TerminalError, "1.a is wired twice"),
        (lambda: Layered([ONE, TWO], [Connection("1.x", "0.a", 1)]), ParameterError, "later"),
        (lambda: Layered([[ONE, ONE]], [Connection("0.0.x", "0.1.a", 1)]), ParameterError, "later"),
        (lambda: Connection("0.x", "1.a", np.nan), ParameterError, "finite"),
        (lambda: Connection("0.x", "1.a", 1, np.inf), ParameterError, "offset_v is inf V"),
        (
            lambda: Layered([ONE, TWO], [Connection("0.x", "1.a", 1, high_v=1.5)]),
            ParameterError,
            "-1 V to 1 V",
        ),
        (
            lambda: Layered([ONE, TWO], [Connection("0.x", "1.a", 1, low_v=0.5, high_v=0.4)]),
            ParameterError,
            "saturates at 0.5 V and 0.4 V",
        ),
        (lambda: Layered([ONE, ONE], [WIRE], ties={"v": ["1.a"]}), TerminalError, "already to 0.x"),
        (lambda: Layered([TWO], ties={"v": ["0.a", "0.a"]}), TerminalError, "already to tie 'v'"),
        (lambda: Layered([TWO], ties={"v": ["0.q"]}), TerminalError, "no terminal '0.q'"),
        (lambda: Layered([TWO], ties={"v": "0.a"}), ParameterError, "list of terminal names"),
        (lambda: Layered([TWO], ties={"0.b": ["0.a"]}), TerminalError, "names a tie and a"),
        (
            lambda: Layered(
                [[Ohmic([[1.0]], ranges=[(-1, 0)]), Ohmic([[1.0]], ranges=[(0, 1)])]],
                ties={"v": ["0.0.a", "0.1.a"]},
            ),
            ParameterError,
            "share no voltage",
        ),
        (lambda: Layered([TWO], outputs=("0.q",)), TerminalError, "no output '0.q'"),
        (lambda: Layered([TWO], outputs=("0.x", "0.x")), TerminalError, "named twice"),
        (lambda: Layered([TWO], outputs=()), ParameterError, "at least one"),
        (lambda: Layered([TWO]).current([0.0]), ShapeError, "0.a, 0.b"),
        (lambda: Layered([TWO]).current([0.0, np.nan]), NotFiniteError, "terminal 0.b"),
        (
            lambda: Layered([[ONE, Measured()]]).gradient([0.0, 0.0]),
            TrainingError,
            r"device 0\.1 \(Measured\) has no gradient",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_fix(build, error, says):
    with pytest.raises(error, match=says) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_every_terminal_wired_leaves_nothing_to_drive():
    class Source(Ohmic):
        terminals = ()

        def __init__(self):
            self.outputs = ("x",)

        def current(self, voltage):
            return np.zeros((*np.shape(voltage)[:-1], 1))

    Source.terminals = ()
    with pytest.raises(ParameterError, match="leave at least one to drive"):
        Layered([Source(), ONE], [WIRE])
