"""Fine-tuning compared with back-propagation in numpy: gradients, early stopping, best weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn.config import FinetuningConfig
from emobench.dbn.encoder import Encoder
from emobench.dbn.finetuning import Regressor, Tuned, finetune
from emobench.dbn.network import Layer, Network

Part = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def _network(*widths: int, seed: int = 0) -> Network:
    generator = torch.Generator().manual_seed(seed)
    layers = tuple(
        Layer(torch.randn(below, above, generator=generator), torch.randn(above, generator=generator) / 2)
        for below, above in pairwise(widths)
    )
    mean, scale = torch.linspace(-1, 1, widths[0]), torch.linspace(1, 2, widths[0])
    return Network(mean, scale, layers)


def _part(count: int, *, seed: int, dims: int = 4, noise: float = 0.0) -> Part:
    """Make inputs and a smooth function of them, in [-0.5, 0.5]."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, dims))
    targets = 0.4 * np.tanh(np.column_stack([inputs[:, 0] - inputs[:, 1], inputs[:, 2]]))
    return inputs.astype(np.float32), (targets + noise * rng.normal(size=targets.shape)).astype(np.float32)


def _tune(network: Network, training: Part, verification: Part, *, repeat: int = 0, **settings: Any) -> Tuned:
    return finetune(
        network, training=training, verification=verification, config=FinetuningConfig(**settings), repeat=repeat
    )


def _weights(network: Network) -> list[np.ndarray]:
    return [part.numpy().copy() for layer in network.layers for part in (layer.weight, layer.bias)]


@dataclass
class Epoch:
    """Weights after an epoch, with and without the linear layer, and the error on the verification part."""

    weights: list[np.ndarray]
    error: float


def _by_hand(
    network: Network, training: Part, verification: Part, *, rate: float, momentum: float, epochs: int
) -> list[Epoch]:
    """Run gradient descent in float64 with the whole training part as one batch and explicit derivatives."""
    mean, scale = (part.numpy().astype(np.float64) for part in (network.mean, network.scale))
    inputs, checked = ((part[0] - mean) / scale for part in (training, verification))
    targets, expected = (part[1].astype(np.float64) for part in (training, verification))
    weights = [part.astype(np.float64) for part in _weights(network)]
    weights += [np.zeros((weights[-1].shape[0], 2)), targets.mean(axis=0)]
    speed = [np.zeros_like(part) for part in weights]

    def forward(batch: np.ndarray) -> list[np.ndarray]:
        values = [batch]
        for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            values.append(1 / (1 + np.exp(-(values[-1] @ weight + bias))))
        return [*values, values[-1] @ weights[-2] + weights[-1]]

    def state() -> Epoch:
        error = float(np.mean((forward(checked)[-1] - expected) ** 2))
        return Epoch([part.copy() for part in weights[:-2]], error)

    history = [state()]
    for _ in range(epochs):
        values = forward(inputs)
        slope = 2 * (values[-1] - targets) / targets.size
        gradients: list[np.ndarray] = []
        for place in range(len(weights) - 2, -1, -2):
            hidden = values[place // 2]
            gradients = [hidden.T @ slope, slope.sum(axis=0), *gradients]
            if place:
                slope = (slope @ weights[place].T) * hidden * (1 - hidden)
        for place, gradient in enumerate(gradients):
            speed[place] = momentum * speed[place] + gradient
            weights[place] = weights[place] - rate * speed[place]
        history.append(state())
    return history


def _stop(errors: list[float], patience: int) -> int:
    """Return the epoch whose weights are kept: the best one before ``patience`` epochs without improvement."""
    best = 0
    for epoch in range(1, len(errors)):
        if errors[epoch] < errors[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


# Back-propagation


@pytest.mark.parametrize("widths", [(4, 3), (4, 6, 5, 3)])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_back_propagation_by_hand(widths: tuple[int, ...], momentum: float) -> None:
    network = _network(*widths)
    training, verification = _part(30, seed=1), _part(20, seed=2)
    history = _by_hand(network, training, verification, rate=0.3, momentum=momentum, epochs=40)
    tuned = _tune(network, training, verification, rate=0.3, momentum=momentum, batch=1000, epochs=40, patience=40)
    best = _stop([epoch.error for epoch in history], 40)
    assert tuned.epoch == best > 3
    assert tuned.error == pytest.approx(history[best].error, rel=1e-3)
    for found, expected in zip(_weights(tuned.network), history[best].weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    # All layers learn, not only the top one.
    for before, after in zip(_weights(network)[::2], _weights(tuned.network)[::2], strict=True):
        assert np.abs(after - before).max() > 1e-4


ACTIVATIONS = {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": torch.nn.Identity()}


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("sigmoid",),
        ("sigmoid", "sigmoid", "sigmoid"),
        ("linear",),
        ("relu", "linear"),
        ("relu", "relu", "linear"),
        ("relu", "sigmoid"),
    ],
)
def test_gradient_is_that_of_automatic_differentiation(kinds: tuple[str, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    widths = (4, 9, 6, 5, 2)[-len(kinds) - 2 :]
    shapes = [shape for below, above in pairwise(widths) for shape in ((below, above), (above,))]
    parameters = [torch.randn(*shape, generator=generator, requires_grad=True) for shape in shapes]
    inputs, targets = torch.randn(11, widths[0], generator=generator), torch.randn(11, 2, generator=generator)
    hidden = inputs
    for weight, bias, kind in zip(parameters[:-2:2], parameters[1:-2:2], kinds, strict=True):
        hidden = ACTIVATIONS[kind](hidden @ weight + bias)
    loss = torch.nn.functional.mse_loss(hidden @ parameters[-2] + parameters[-1], targets)
    loss.backward()
    model = Regressor([parameter.detach() for parameter in parameters], kinds)
    assert model.error(inputs, targets) == pytest.approx(loss.item(), rel=1e-5)
    kept = targets.clone()
    for _ in range(2):  # gradients are replaced, not accumulated
        model.differentiate(inputs, targets)
    assert torch.equal(targets, kept)
    for found, parameter in zip(model.split(model.gradient), parameters, strict=True):
        assert parameter.grad is not None
        scale = float(parameter.grad.abs().max())
        np.testing.assert_allclose(found.numpy(), parameter.grad.numpy(), rtol=0, atol=2e-6 * max(1.0, scale))


@pytest.mark.parametrize(
    ("kinds", "rate", "momentum"),
    [(("sigmoid",) * 3, 0.3, 0.0), (("sigmoid",) * 3, 0.3, 0.9), (("relu", "relu", "linear"), 0.003, 0.9)],
)
def test_batches_are_those_of_a_plain_torch_loop(kinds: tuple[str, ...], rate: float, momentum: float) -> None:
    network, training, verification = _network(4, 9, 6, 5), _part(107, seed=1), _part(40, seed=2)
    if "relu" in kinds:
        network = Encoder(network.mean, network.scale, network.layers)
    top = [torch.zeros(5, 2), torch.from_numpy(training[1]).mean(0)]
    parameters = [part.clone() for layer in network.layers for part in (layer.weight, layer.bias)] + top
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.SGD(parameters, lr=rate, momentum=momentum)
    generator = torch.Generator().manual_seed(7 + 2)
    inputs, targets = (torch.from_numpy(part) for part in training)
    inputs = (inputs - network.mean) / network.scale
    history = []
    for _ in range(6):
        # 107 examples: the last batch is smaller.
        for chosen in torch.randperm(107, generator=generator).split(10):
            hidden = inputs[chosen]
            for weight, bias, kind in zip(parameters[:-2:2], parameters[1:-2:2], kinds, strict=True):
                hidden = ACTIVATIONS[kind](hidden @ weight + bias)
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(hidden @ parameters[-2] + parameters[-1], targets[chosen]).backward()
            optimiser.step()
        history.append([parameter.detach().numpy().copy() for parameter in parameters])
    tuned = _tune(
        network, training, verification, rate=rate, momentum=momentum, batch=10, epochs=6, patience=6, seed=7, repeat=2
    )
    assert type(tuned.network) is type(network)
    assert tuned.epoch > 1
    assert np.abs(_weights(tuned.network)[0] - _weights(network)[0]).max() > 1e-4
    for found, expected in zip(_weights(tuned.network), history[tuned.epoch - 1][:-2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_early_stopping_restores_the_best_weights() -> None:
    # A few noisy examples are soon memorised: the verification error falls and rises again.
    network = _network(4, 20, seed=3)
    training, verification = _part(12, seed=3, noise=0.3), _part(40, seed=4, noise=0.05)
    settings: dict[str, Any] = {"rate": 0.5, "momentum": 0.9}
    errors = [epoch.error for epoch in _by_hand(network, training, verification, epochs=150, **settings)]
    best = _stop(errors, 5)
    assert 0 < best < 100
    assert max(errors[best : best + 6]) > errors[best] * 1.02
    tuned = _tune(network, training, verification, batch=12, epochs=150, patience=5, **settings)
    assert tuned.epoch == best
    assert tuned.error == pytest.approx(errors[best], rel=1e-3)
    # The same weights as a run that ends at this epoch.
    short = _tune(network, training, verification, batch=12, epochs=best, patience=5, **settings)
    for found, expected in zip(_weights(tuned.network), _weights(short.network), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_patience_bridges_a_temporary_increase() -> None:
    network = _network(4, 20, seed=3)
    training, verification = _part(12, seed=3, noise=0.3), _part(40, seed=4, noise=0.05)
    settings: dict[str, Any] = {"rate": 0.5, "momentum": 0.9}
    history = _by_hand(network, training, verification, epochs=60, **settings)
    errors = [epoch.error for epoch in history]
    for patience in (1, 2, 60):
        tuned = _tune(network, training, verification, batch=12, epochs=60, patience=patience, **settings)
        assert tuned.epoch == _stop(errors, patience)


# The verification part


def test_error_is_not_below_what_any_linear_layer_reaches() -> None:
    training, verification = _part(200, seed=5), _part(100, seed=6)
    tuned = _tune(_network(4, 8, 6), training, verification, epochs=60)
    mean, scale = tuned.network.mean.numpy(), tuned.network.scale.numpy()
    hidden = (verification[0] - mean) / scale
    weights = _weights(tuned.network)
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        hidden = 1 / (1 + np.exp(-(hidden @ weight + bias)))
    design = np.column_stack([hidden, np.ones(len(hidden))]).astype(np.float64)
    solution = np.linalg.lstsq(design, verification[1], rcond=None)[0]
    lower = np.mean((design @ solution - verification[1]) ** 2)
    constant = np.mean((training[1].mean(axis=0) - verification[1]) ** 2)
    assert lower <= tuned.error < constant


def test_epoch_0_if_nothing_helps() -> None:
    network = _network(4, 5)
    training, (inputs, targets) = _part(50, seed=7), _part(30, seed=8)
    # All verification targets are the training mean, which no step can improve on.
    flat = np.tile(training[1].mean(axis=0), (len(targets), 1)).astype(np.float32)
    tuned = _tune(network, training, (inputs, flat), epochs=20, patience=3)
    assert tuned.epoch == 0
    assert tuned.error == pytest.approx(0.0, abs=1e-12)
    for found, expected in zip(_weights(tuned.network), _weights(network), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_divergence_falls_back_to_epoch_0() -> None:
    network = _network(4, 5)
    training, verification = _part(50, seed=7), _part(30, seed=8)
    tuned = _tune(network, training, verification, rate=1e30, epochs=10)
    assert tuned.epoch == 0
    constant = np.mean((training[1].mean(axis=0) - verification[1]) ** 2)
    assert tuned.error == pytest.approx(constant, rel=1e-5)


def test_verification_part_is_not_trained_on() -> None:
    network, training = _network(4, 5), _part(60, seed=9)
    fits = [_tune(network, training, _part(30, seed=seed), epochs=3, patience=9) for seed in (10, 11)]
    assert [fit.epoch for fit in fits] == [3, 3]
    for first, second in zip(*(_weights(fit.network) for fit in fits), strict=True):
        np.testing.assert_array_equal(first, second)


# Learning


def test_learns_a_function() -> None:
    training, verification = _part(400, seed=12), _part(200, seed=13)
    tuned = _tune(_network(4, 12, 8), training, verification, rate=0.5, batch=40, epochs=60)
    variance = float(verification[1].var(axis=0).mean())
    assert tuned.error < 0.1 * variance
    assert tuned.epoch > 10


def test_learns_nothing_from_noise() -> None:
    rng = np.random.default_rng(0)
    parts = [
        (rng.normal(size=(count, 4)).astype(np.float32), rng.normal(size=(count, 2)).astype(np.float32))
        for count in (400, 400)
    ]
    tuned = _tune(_network(4, 6), parts[0], parts[1], epochs=30)
    assert tuned.error > 0.9 * float(parts[1][1].var())


# State and randomness


def test_every_fold_starts_from_the_pretrained_weights() -> None:
    network = _network(4, 6, 3)
    before = _weights(network)
    training, verification = _part(60, seed=14), _part(30, seed=15)
    copies = [part.copy() for part in (*training, *verification)]
    first = _tune(network, training, verification, epochs=5)
    for found, expected in zip(_weights(network), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip((*training, *verification), copies, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not any(part.requires_grad for layer in first.network.layers for part in (layer.weight, layer.bias))
    # Another fold in between has no effect.
    _tune(network, _part(60, seed=16), verification, epochs=5, repeat=1)
    again = _tune(network, training, verification, epochs=5)
    assert (again.epoch, again.error) == (first.epoch, first.error)
    for found, expected in zip(_weights(again.network), _weights(first.network), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_result_shares_no_memory_with_the_initial_network() -> None:
    network = _network(4, 5)
    part = _part(20, seed=7)
    flat = (part[0], np.tile(part[1].mean(axis=0), (20, 1)).astype(np.float32))
    tuned = _tune(network, part, flat, epochs=1)
    assert tuned.epoch == 0
    tuned.network.layers[0].weight.zero_()
    assert network.layers[0].weight.abs().max() > 0


def test_normalisation_is_kept() -> None:
    network = _network(4, 5)
    tuned = _tune(network, _part(20, seed=1), _part(20, seed=2), epochs=2)
    assert torch.equal(tuned.network.mean, network.mean)
    assert torch.equal(tuned.network.scale, network.scale)


@pytest.mark.parametrize("change", [{"seed": 1}, {"repeat": 1}])
def test_seed_and_repeat_determine_the_order(change: dict[str, int]) -> None:
    network, training, verification = _network(4, 5), _part(60, seed=17), _part(30, seed=18)
    torch.manual_seed(0)
    first = _tune(network, training, verification, batch=7, epochs=3)
    torch.manual_seed(99)
    same = _tune(network, training, verification, batch=7, epochs=3)
    other = _tune(network, training, verification, batch=7, epochs=3, **change)
    np.testing.assert_array_equal(_weights(first.network)[0], _weights(same.network)[0])
    assert not np.array_equal(_weights(first.network)[0], _weights(other.network)[0])


# Wrong input


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0.0},
        {"rate": -0.1},
        {"rate": float("nan")},
        {"momentum": -0.1},
        {"momentum": 1.0},
        {"momentum": float("nan")},
        {"batch": 0},
        {"epochs": 0},
        {"patience": 0},
    ],
)
def test_wrong_settings(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        FinetuningConfig(**changes)


def test_inputs_of_another_width() -> None:
    with pytest.raises(RuntimeError):
        _tune(_network(4, 5), _part(20, seed=1, dims=7), _part(20, seed=2, dims=7))


@pytest.mark.parametrize("empty", ["training", "verification"])
def test_a_part_without_examples(empty: str) -> None:
    parts = {"training": _part(20, seed=1), "verification": _part(20, seed=2)}
    parts[empty] = (parts[empty][0][:0], parts[empty][1][:0])
    with pytest.raises(ValueError, match="training and verification: expected at least one example each"):
        _tune(_network(4, 5), parts["training"], parts["verification"])
