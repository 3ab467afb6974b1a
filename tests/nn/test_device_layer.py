"""Devices as neurons: values, gradients, ranges, options, files, bad input."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from inmateria.devices.device import Terminal, check_voltage
from inmateria.devices.dopant.network import DopantNetwork
from inmateria.devices.dopant.parameters import DopantParameters
from inmateria.devices.dopant.stack import stack_engines
from inmateria.errors import (
    ConvergenceError,
    InMateriaError,
    NotFiniteError,
    ParameterError,
    ShapeError,
    TerminalError,
    TrainingError,
    VoltageLimitError,
)
from inmateria.nn import DeviceLayer, as_layered
from inmateria.surrogates.network import ScaledNetwork
from inmateria.surrogates.surrogate import Surrogate

RANGES = [(-1.0, 1.0), (-0.5, 0.8), (-1.2, 0.6), (-1.0, 0.4)]


def terminals(ranges=RANGES):
    return tuple(Terminal(f"e{i + 1}", *r) for i, r in enumerate(ranges))


def surrogate(seed, *, hidden=(16, 16), ranges=RANGES, outputs=("o0", "o1")):
    network = ScaledNetwork(len(ranges), len(outputs), hidden=hidden, activation="tanh")
    network.initialise(torch.Generator().manual_seed(seed))
    network.set_scaling(
        input_centre=torch.tensor([(a + b) / 2 for a, b in ranges]),
        input_half_width=torch.tensor([(b - a) / 2 for a, b in ranges]),
        output_mean=torch.tensor([2.0, -3.0][: len(outputs)]),
        output_std=torch.tensor([10.0, 20.0][: len(outputs)]),
    )
    return Surrogate(network, terminals(ranges), outputs)


class Tanh:
    """I = 5 tanh(V . w), NumPy, with its gradient."""

    def __init__(self, seed, ranges=RANGES):
        self.terminals, self.outputs = terminals(ranges), ("o0",)
        self.weight = np.random.default_rng(seed).normal(size=len(ranges))

    def current(self, voltage):
        return 5 * np.tanh(check_voltage(self.terminals, voltage) @ self.weight)[..., None]

    def gradient(self, voltage):
        slope = 5 / np.cosh(np.asarray(voltage) @ self.weight) ** 2
        return slope[..., None, None] * self.weight

    def describe(self):
        return {"kind": "tanh"}


TANH = Tanh(0)
SMALL = DopantParameters(n_acceptors=8, n_donors=1)


def dopants(*seeds, engine="meanfield", **options):
    return [DopantNetwork(seed=s, parameters=SMALL, engine=engine, **options) for s in seeds]


def one_by_one(layer, features):
    """What the layer should give: each neuron's own device at its own voltages."""
    inputs = layer.input_voltage(features).detach().double().numpy()
    controls = layer.controls.detach().double().numpy()
    currents = []
    for k, device in enumerate(layer.devices):
        named = dict(zip(layer.controls_named, controls[k], strict=True))
        rows = [
            [named[t.name] if t.name in named else row[k, layer.inputs.index(t.name)]
             for t in device.terminals]
            for row in inputs
        ]  # fmt: skip
        currents.append(device.current(rows))
    return np.concatenate(currents, axis=-1)


KINDS = {
    "one surrogate": ([surrogate(0)] * 4, "one surrogate, one batch"),
    "surrogates": ([surrogate(s) for s in range(4)], "4 surrogates, weights stacked"),
    "one object twice": ([surrogate(0), surrogate(1)] * 2, "4 surrogates, weights stacked"),
    "unlike surrogates": (
        [surrogate(0), surrogate(1, hidden=(8,)), surrogate(2)],
        "2 surrogates, weights stacked; one surrogate, one batch",
    ),
    "NumPy devices": ([Tanh(0), Tanh(1), Tanh(0)], "3 x one device, one batch"),
    "a NumPy device": ([TANH, TANH], "one device, one batch"),
    "one network": (dopants(1) * 3, "one network, one batch"),
    "networks": (dopants(1, 2, 3), "3 networks, one compiled loop"),
    "networks, two outputs": (dopants(1, 2, outputs=(0, 4)), "2 networks, one compiled loop"),
    "networks and a surrogate": (
        [dopants(1)[0], surrogate(0, ranges=[(-1, 1)] * 7, outputs=("e0",)), dopants(2)[0]],
        "2 networks, one compiled loop; one surrogate, one batch",
    ),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_each_neuron_is_its_device_at_its_voltages(kind):
    devices, way = kind
    layer = DeviceLayer(devices, ("e3", "e1"), seed=3).double()
    assert layer.way == way
    features = torch.rand(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = layer(2 * features - 1).detach().numpy()
    expected = one_by_one(layer, 2 * features - 1)
    # Rounding of doubles in products of some 16 terms; solves end within 1e-9 of the current.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    assert np.unique(found.round(6), axis=1).shape == found.shape


def test_gradients_are_those_of_finite_differences(kind):
    devices, _ = kind
    layer = DeviceLayer(devices, ("e3", "e1"), seed=1).double()
    layer.set_controls(0.5 * layer.controls.detach().numpy())
    features = torch.tensor([[0.1, -0.2], [0.3, 0.25]], dtype=torch.float64, requires_grad=True)

    def current(features, free):
        return torch.func.functional_call(layer, {"free_controls": free}, (features,))

    # Solves of dopant networks end within some 1e-11 of the current: over the step of 1e-5,
    # 1e-5 of the largest slope is left, in nA per V.
    scale = float(layer(features).detach().abs().max())
    assert torch.autograd.gradcheck(
        current, (features, layer.free_controls), eps=1e-5, atol=1e-5 * scale, rtol=1e-4
    )


def test_the_devices_stay_as_they_are():
    given = surrogate(0)
    before = {name: t.clone() for name, t in given.network.state_dict().items()}
    layer = DeviceLayer(given, ("e1",), n_neurons=3).double()
    layer(torch.zeros(2, 1, dtype=torch.float64)).sum().backward()
    for name, tensor in given.network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before[name])
    assert [name for name, _ in layer.named_parameters()] == ["free_controls"]


def test_controls_stay_in_range_whatever_the_optimiser_does():
    layer = DeviceLayer([surrogate(s) for s in range(3)], ("e2",), seed=0)
    low = np.array([RANGES[i][0] for i in (0, 2, 3)])
    high = np.array([RANGES[i][1] for i in (0, 2, 3)])
    features = torch.linspace(-0.4, 0.4, 8)[:, None]
    for optimiser in (torch.optim.SGD, torch.optim.Adam):
        steps = optimiser(layer.parameters(), lr=1e3)
        for _ in range(20):
            steps.zero_grad()
            layer(features).sum().backward()
            steps.step()
            controls = layer.controls.detach().double().numpy()
            assert (controls >= low).all()
            assert (controls <= high).all()
    assert (np.minimum(controls - low, high - controls) < 0.01).any()


def test_training_lowers_a_loss_on_dopant_networks():
    networks = [DopantNetwork(seed=s, engine="meanfield") for s in (91, 24)]
    features = torch.linspace(-0.8, 0.8, 5)[:, None]
    wanted = DeviceLayer(networks, ("e2",), seed=1)(features).detach()
    layer = DeviceLayer(networks, ("e2",), seed=2)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.2)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = ((layer(features) - wanted) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_wirings_put_features_where_they_say():
    devices = [surrogate(s) for s in range(3)]
    x = torch.tensor([[0.1, -0.2]])
    same = DeviceLayer(devices, ("e3", "e1"))
    assert same.n_features == 2
    np.testing.assert_allclose(same.input_voltage(x), [[[0.1, -0.2]] * 3], atol=1e-7)

    each = DeviceLayer(devices, ("e3", "e1"), wiring="each")
    assert each.n_features == 6
    x = torch.arange(6.0)[None] / 20
    np.testing.assert_allclose(each.input_voltage(x), x.reshape(1, 3, 2), atol=1e-7)

    linear = DeviceLayer(devices, ("e3", "e1"), wiring="linear", n_features=5, input_share=0.5)
    x = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    z = (x @ linear.linear.weight.T + linear.linear.bias).reshape(4, 3, 2).clamp(-1, 1)
    # e3 spans -1.2 V to 0.6 V, e1 -1 V to 1 V; half of either is used.
    centre, half = torch.tensor([-0.3, 0.0]), torch.tensor([0.45, 0.5])
    assert torch.allclose(linear.input_voltage(x), centre + half * z)
    linear(x).sum().backward()
    assert linear.linear.weight.grad.abs().sum() > 0


def test_features_are_scaled_and_limited():
    scaled = DeviceLayer(surrogate(0), ("e3",), feature_range=(0.0, 10.0))
    x = torch.tensor([[-5.0], [0.0], [5.0], [10.0], [50.0]], requires_grad=True)
    volts = scaled.input_voltage(x)
    assert volts.flatten().tolist() == pytest.approx([-1.2, -1.2, -0.3, 0.6, 0.6])
    (slope,) = torch.autograd.grad(volts.sum(), x)
    assert slope[[0, 2, 4], 0].tolist() == pytest.approx([0.0, 0.18, 0.0])

    smooth = DeviceLayer(surrogate(0), ("e3",), feature_range=(0.0, 10.0), limit="tanh")
    volts = smooth.input_voltage(x)
    expected = -0.3 + 0.9 * np.tanh([-2.0, -1.0, 0.0, 1.0, 9.0])
    assert volts.flatten().tolist() == pytest.approx(expected.tolist())

    in_volts = DeviceLayer(surrogate(0), ("e3",))
    x = torch.tensor([[-2.0], [0.5], [0.7]])
    assert in_volts.input_voltage(x).flatten().tolist() == pytest.approx([-1.2, 0.5, 0.6])


def test_batch_normalisation_normalises_and_then_holds():
    layer = DeviceLayer([surrogate(s) for s in range(3)], ("e1",), batch_norm=True)
    x = torch.linspace(-1, 1, 64)[:, None]
    out = layer(x)
    assert torch.allclose(out.mean(0), torch.zeros(6), atol=1e-5)
    assert torch.allclose(out.std(0, unbiased=False), torch.ones(6), atol=1e-3)
    layer.eval()
    assert torch.allclose(layer(x[:1]), layer(x)[:1], atol=1e-6)
    layer.train()
    with pytest.raises(ShapeError, match="at least 2 rows"):
        layer(x[:1])


def test_leading_dimensions_are_kept():
    layer = DeviceLayer(surrogate(0), ("e1", "e2"), n_neurons=3)
    for shape in [(), (4,), (2, 3), (0,)]:
        assert layer(torch.zeros(*shape, 2)).shape == (*shape, 6)
    network = DeviceLayer(dopants(1), ("e1",), n_neurons=2)
    assert network(torch.zeros(0, 1)).shape == (0, 2)


def test_a_state_dict_goes_through_safetensors_and_back(tmp_path):
    def make(seed):
        return DeviceLayer(
            [surrogate(0), surrogate(1)], ("e1", "e2"), wiring="linear", n_features=4,
            batch_norm=True, seed=seed,
        )  # fmt: skip

    trained, fresh = make(1), make(2)
    x = torch.rand(16, 4, generator=torch.Generator().manual_seed(0))
    trained(x)  # moves the running mean
    trained.eval()
    fresh.eval()
    assert not torch.equal(trained(x), fresh(x))
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "layer.safetensors")
    fresh.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
    assert torch.equal(trained(x), fresh(x))
    # What is not trained is not in the file.
    assert set(trained.state_dict()) == {
        "free_controls", "linear.weight", "linear.bias", "norm.weight", "norm.bias",
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    }  # fmt: skip


def test_the_seed_decides_and_the_global_generator_is_untouched():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    layers = [
        DeviceLayer(surrogate(0), ("e1",), wiring="linear", n_features=3, seed=s) for s in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    first, second, third = (layer.state_dict() for layer in layers)
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["free_controls"], third["free_controls"])
    assert not torch.equal(first["linear.weight"], third["linear.weight"])


def test_it_describes_itself_in_json():
    layer = DeviceLayer([surrogate(0), surrogate(1), surrogate(0)], ("e1",))
    described = json.loads(json.dumps(layer.describe()))
    assert described["controls_v"][2].keys() == {"e2", "e3", "e4"}
    assert "weights stacked" in repr(layer)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_trained_layers_are_a_layered_device(batch_norm):
    first = DeviceLayer([surrogate(0), surrogate(1)], ("e3", "e1"), batch_norm=batch_norm, seed=1)
    spread = (-2.0, 2.0) if batch_norm else (-12.0, 8.0)
    second = DeviceLayer(
        [surrogate(2), surrogate(3)], ("e2", "e4"), wiring="each", feature_range=spread,
        batch_norm=batch_norm, input_share=0.8, seed=2,
    )  # fmt: skip
    model = torch.nn.Sequential(first, second)
    x = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    for _ in range(30):
        model(x)  # lets the running statistics settle
    model.eval()
    wired = as_layered([first, second])
    network = wired.network
    assert wired.inputs == ("x0", "x1")
    voltage = wired.voltage(x)
    with torch.no_grad():
        second.norm = None  # the device's currents are those before normalisation
        expected = model(x).numpy()
    swing = (second.input_voltage(first(x)) - second.input_centre) / second.input_half
    clipped = float((swing.detach().abs() > 0.999).float().mean())
    assert 0 < clipped < 0.8
    # Single precision, amplified by gains of order 1 V per 10 nA.
    np.testing.assert_allclose(network.current(voltage), expected, atol=2e-4)
    with pytest.raises(ShapeError, match="x0, x1"):
        wired.voltage([0.0])


def test_other_devices_can_stand_in_the_same_places():
    layers = [
        DeviceLayer(surrogate(0), ("e1",), n_neurons=2),
        DeviceLayer(surrogate(1), ("e1", "e2", "e3", "e4")),
    ]
    others = [surrogate(s, outputs=("p", "q")) for s in (5, 6)]
    wired = as_layered(layers, devices=[others, [surrogate(7)]])
    voltage = np.zeros(len(wired.network.terminals))
    first = np.concatenate([other.current(np.zeros(4)) for other in others])
    expected = surrogate(7).current(np.clip(first, *np.transpose(RANGES)))
    assert wired.network.current(voltage) == pytest.approx(expected)


def test_a_stack_of_networks_is_each_network_alone():
    unlike = DopantParameters(
        n_acceptors=8, n_donors=1, temperature_k=120.0, rates="miller-abrahams"
    )
    devices = [*dopants(1, 2, 3), DopantNetwork(seed=4, parameters=unlike, engine="meanfield")]
    engines = [d.engine for d in devices]
    stack = stack_engines(engines)
    voltage = np.random.default_rng(0).uniform(-1, 1, (4, 70, 8))
    current, state = stack.current(voltage)
    gradient = stack.gradient(voltage, state, (0, 5))
    for k, engine in enumerate(engines):
        alone = engine.current(voltage[k])
        np.testing.assert_allclose(current[k], alone, rtol=0, atol=1e-9 * np.abs(alone).max())
        slope = engine.gradient(voltage[k], (0, 5))
        np.testing.assert_allclose(gradient[k], slope, rtol=0, atol=1e-6 * np.abs(slope).max())
    assert stack_engines([engines[0], DopantNetwork(seed=1, engine="meanfield").engine]) is None
    assert stack_engines([d.engine for d in dopants(1, 2, engine="exact")]) is None


def test_a_solve_that_fails_names_the_network(monkeypatch):
    import inmateria.devices.dopant.meanfield_stack as module

    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    with pytest.raises(ConvergenceError, match=r"network [01] did not converge at electrode"):
        DeviceLayer(dopants(1, 2), ("e1",))(torch.zeros(1, 1))


def test_an_engine_without_a_stack_is_called_in_turn():
    exact = dopants(1, 2, engine="exact")
    assert DeviceLayer(exact, ("e1",)).way == "2 x one device, one batch"


class NoGradient:
    terminals, outputs = terminals(), ("o0",)

    def current(self, voltage):
        return np.zeros((*np.shape(voltage)[:-1], 1))

    def describe(self):
        return {}


ONE = surrogate(0)


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda: DeviceLayer("device", ("e1",)), ParameterError, "str is no device"),
        (lambda: DeviceLayer([], ("e1",)), ParameterError, "0 devices for no neurons"),
        (lambda: DeviceLayer([ONE, ONE], ("e1",), n_neurons=3), ParameterError, "one per neuron"),
        (lambda: DeviceLayer(ONE, ("e1",), n_neurons=0), ParameterError, "n_neurons is 0"),
        (lambda: DeviceLayer([ONE, Tanh(0)], ("e1",)), TerminalError, "needs equal ones"),
        (lambda: DeviceLayer(ONE, ("q",)), TerminalError, "no terminal 'q'"),
        (lambda: DeviceLayer(ONE, ("e1", "e1")), TerminalError, "twice"),
        (lambda: DeviceLayer(ONE, ()), TerminalError, "give a list"),
        (lambda: DeviceLayer(ONE, ("e1",), wiring="star"), ParameterError, "same, each, linear"),
        (lambda: DeviceLayer(ONE, ("e1",), limit="hard"), ParameterError, "clip, tanh"),
        (lambda: DeviceLayer(ONE, ("e1",), input_share=1.2), ParameterError, "up to 1"),
        (lambda: DeviceLayer(ONE, ("e1",), feature_range=(1, 0)), ParameterError, "low below"),
        (lambda: DeviceLayer(ONE, ("e1",), n_features=2), ParameterError, "takes 1"),
        (lambda: DeviceLayer(ONE, ("e1",), wiring="linear"), ParameterError, "n_features is None"),
        (lambda: DeviceLayer(NoGradient(), ("e1",)), TrainingError, "no gradient"),
        (lambda: DeviceLayer(ONE, ("e1",))(torch.zeros(3, 2)), ShapeError, "1 features"),
        (lambda: DeviceLayer(ONE, ("e1",))(torch.zeros(3, 1).double()), ShapeError, "float64"),
        (lambda: DeviceLayer(ONE, ("e1",))([[0.0]]), ShapeError, "list"),
        (lambda: DeviceLayer(ONE, ("e1",))(torch.zeros(3, 1).long()), ShapeError, "floating"),
        (lambda: DeviceLayer(ONE, ("e1",))(torch.full((1, 1), np.nan)), NotFiniteError, "NaN"),
        (lambda: DeviceLayer(ONE, ("e1",)).set_controls([0.0]), ShapeError, "e2, e3, e4"),
        (
            lambda: DeviceLayer(ONE, ("e1",)).set_controls([[0.0, 0.7, 0.0]]),
            VoltageLimitError,
            "neuron 0: control e3 at 0.7 V leaves its range -1.2 V to 0.6 V",
        ),
        (
            lambda: DeviceLayer(ONE, ("e1",)).set_controls([[0.0, np.nan, 0.0]]),
            NotFiniteError,
            "NaN",
        ),
        (lambda: as_layered([]), ParameterError, "no layer"),
        (
            lambda: as_layered([DeviceLayer(ONE, ("e1",), wiring="linear", n_features=2)]),
            ParameterError,
            "wiring 'linear'",
        ),
        (lambda: as_layered([DeviceLayer(ONE, ("e1",))] * 2), ParameterError, "make them equal"),
        (
            lambda: as_layered([DeviceLayer(ONE, ("e1",))], devices=[[ONE, ONE]]),
            ParameterError,
            "neurons",
        ),
        (
            lambda: as_layered([DeviceLayer(ONE, ("e1",))], devices=[[Tanh(0)]]),
            ParameterError,
            "has 1 outputs and the layer's own 2",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_fix(build, error, says):
    with pytest.raises(error, match=says) as caught:
        build()
    assert isinstance(caught.value, InMateriaError)
    assert "\n" not in str(caught.value)


def test_torch_is_loaded_only_when_layers_are_used():
    code = (
        "import sys, inmateria, inmateria.devices.layered; assert 'torch' not in sys.modules; "
        "import inmateria.nn; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
