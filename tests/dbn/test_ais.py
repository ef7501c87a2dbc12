"""Annealed importance sampling against the enumeration of every state."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from emobench.dbn.ais import base_rates, log_likelihood, log_partition, temperatures
from emobench.dbn.rbm import RBM


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def _states(count: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=count)))


def _machine(n_visible: int, n_hidden: int, *, scale: float, seed: int = 0) -> RBM:
    draw = np.random.default_rng(seed)
    parts = draw.normal(0, scale, (n_visible, n_hidden)), draw.normal(0, 1, n_visible), draw.normal(0, 1, n_hidden)
    return RBM(*(torch.from_numpy(part) for part in parts), gaussian=False)


def _numpy(machine: RBM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return machine.weight.numpy(), machine.visible_bias.numpy(), machine.hidden_bias.numpy()


def _exact(machine: RBM) -> float:
    """Log Z: every hidden state one by one, the visible units of each summed in closed form."""
    w, b, c = _numpy(machine)
    hidden = _states(len(c))
    return float(np.logaddexp.reduce(hidden @ c + np.logaddexp(0.0, b + hidden @ w.T).sum(1)))


def _exact_from_joint(machine: RBM) -> float:
    """Log Z: every pair of a visible and a hidden state by equation (4), nothing in closed form."""
    w, b, c = _numpy(machine)
    return float(
        np.logaddexp.reduce(
            [v @ b + h @ c + v @ w @ h for v in _states(len(b)) for h in _states(len(c))],
        )
    )


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _data(machine: RBM, count: int, seed: int = 1) -> torch.Tensor:
    """Exact draws: a hidden state by its probability, then the visible units given it."""
    w, b, c = _numpy(machine)
    draw = np.random.default_rng(seed)
    hidden = _states(len(c))
    logs = hidden @ c + np.logaddexp(0.0, b + hidden @ w.T).sum(1)
    chosen = hidden[draw.choice(len(hidden), count, p=np.exp(logs - np.logaddexp.reduce(logs)))]
    rates = 1 / (1 + np.exp(-(b + chosen @ w.T)))
    return torch.from_numpy((draw.random(rates.shape) < rates).astype(float))


def test_the_two_enumerations_agree() -> None:
    machine = _machine(4, 5, scale=1.0)
    assert _exact(machine) == pytest.approx(_exact_from_joint(machine), abs=1e-10)


@pytest.mark.parametrize("from_data", [False, True])
@pytest.mark.parametrize(("n_visible", "n_hidden", "scale"), [(15, 10, 0.3), (30, 10, 1.0), (6, 12, 1.0)])
def test_log_partition_equals_the_sum_over_all_hidden_states(
    n_visible: int, n_hidden: int, scale: float, from_data: bool
) -> None:
    machine = _machine(n_visible, n_hidden, scale=scale)
    data = _data(machine, 500) if from_data else None
    found = log_partition(machine, generator=_generator(), runs=200, betas=3000, data=data)
    exact = _exact(machine)
    assert found.lower <= exact <= found.upper
    assert found.log_z == pytest.approx(exact, abs=0.05)
    assert found.standard_error < 0.05


def test_badly_scaled_weights() -> None:
    # Single weights of hundreds of nats beside ones of a thousandth: exp of them overflows, in float32 by far.
    draw = np.random.default_rng(3)
    weight = draw.normal(0, 1, (12, 10)) * np.logspace(-3, 2, 10)
    machine = RBM(torch.from_numpy(weight), torch.zeros(12).double(), torch.full((10,), -2.0).double(), False)
    exact = _exact(machine)
    assert exact > 300
    # Such modes freeze early, so the steps must be small at high temperatures already.
    path = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 6000)])
    found = log_partition(machine, generator=_generator(), runs=400, betas=path.tolist())
    assert found.log_z == pytest.approx(exact, abs=0.7)
    assert found.lower <= exact <= found.upper


def test_weights_beyond_any_sense_stay_finite() -> None:
    machine = _machine(8, 6, scale=1e6)
    found = log_partition(machine, generator=_generator(), runs=10, betas=50)
    assert all(math.isfinite(value) for value in (found.log_z, found.standard_error, found.upper))
    assert 1 <= found.effective_runs <= 10


def test_a_machine_without_weights_is_exact_at_once() -> None:
    machine = _machine(9, 7, scale=1.0)
    machine.weight.zero_()
    found = log_partition(machine, generator=_generator(), runs=2, betas=[0.0, 1.0])
    b, c = machine.visible_bias.numpy(), machine.hidden_bias.numpy()
    assert found.log_z == pytest.approx(np.log1p(np.exp(b)).sum() + np.log1p(np.exp(c)).sum(), abs=1e-12)
    assert found.standard_error == pytest.approx(0.0, abs=1e-14)
    assert found.effective_runs == pytest.approx(2.0)


def test_runs_are_unbiased_for_the_partition_function_itself() -> None:
    # A few coarse steps only: every run is far off, their mean is not (Neal 2001). A transition at the wrong
    # temperature, or a weight taken after the move, shifts it.
    machine = _machine(6, 5, scale=1.2)
    found = log_partition(machine, generator=_generator(), runs=400_000, betas=[0.0, 0.3, 0.6, 0.8, 1.0])
    assert found.effective_runs < 300_000
    assert abs(found.log_z - _exact(machine)) < 4 * found.standard_error < 0.02


def test_the_interval_covers_as_often_as_three_sigma_should() -> None:
    machine = _machine(10, 8, scale=0.7)
    exact = _exact(machine)
    estimates = [log_partition(machine, generator=_generator(seed), runs=100, betas=100) for seed in range(60)]
    covered = [estimate.lower <= exact <= estimate.upper for estimate in estimates]
    assert sum(covered) >= 57
    # The errors told are those there are: 60 estimates know their spread to about a tenth.
    scores = [(estimate.log_z - exact) / estimate.standard_error for estimate in estimates]
    assert 0.7 < np.std(scores) < 1.5


def test_log_likelihood_equals_the_exact_one() -> None:
    machine = _machine(14, 10, scale=0.8)
    data = _data(machine, 300)
    partition = log_partition(machine, generator=_generator(), runs=200, betas=3000, data=data)
    found = log_likelihood(machine, data, partition)
    w, b, c = _numpy(machine)
    hidden = _states(10)
    exact = [
        np.logaddexp.reduce(np.array([v @ b + h @ c + v @ w @ h for h in hidden])) - _exact(machine)
        for v in data.numpy()
    ]
    assert found.lower <= np.mean(exact) <= found.upper
    assert found.mean == pytest.approx(np.mean(exact), abs=0.05)
    assert found.data_standard_error == pytest.approx(np.std(exact, ddof=1) / math.sqrt(300), rel=1e-6)
    assert found.standard_error == partition.standard_error


def test_float32_machines_are_computed_in_float64() -> None:
    double = _machine(12, 9, scale=1.0)
    single = RBM(double.weight.float(), double.visible_bias.float(), double.hidden_bias.float(), False)
    again = RBM(single.weight.double(), single.visible_bias.double(), single.hidden_bias.double(), False)
    estimates = [log_partition(machine, generator=_generator(), runs=20, betas=200) for machine in (single, again)]
    assert estimates[0] == estimates[1]


def test_the_generator_decides() -> None:
    machine = _machine(12, 9, scale=1.0)
    first, second, other = (
        log_partition(machine, generator=_generator(seed), runs=20, betas=200) for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


def test_temperatures_are_the_papers() -> None:
    paper = np.concatenate([np.arange(500) / 1000, 0.5 + np.arange(4000) / 10000, 0.9 + np.arange(10001) / 100000])
    np.testing.assert_allclose(temperatures().numpy(), paper, atol=1e-12)
    assert temperatures(1).tolist() == [0.0, 1.0]


def test_base_rates_of_data() -> None:
    data = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    odds = np.exp(base_rates(data).numpy())
    np.testing.assert_allclose(odds, [0.5 / 3.5, 3.5 / 0.5, 1.5 / 2.5])


def test_what_does_not_fit_is_refused() -> None:
    machine = _machine(4, 3, scale=1.0)
    gaussian = RBM(machine.weight, machine.visible_bias, machine.hidden_bias, True)
    partition = log_partition(machine, generator=_generator(), runs=2, betas=2)
    with pytest.raises(ValueError, match="Gaussian"):
        log_partition(gaussian, generator=_generator())
    with pytest.raises(ValueError, match="Gaussian"):
        log_likelihood(gaussian, torch.zeros(1, 4), partition)
    with pytest.raises(ValueError, match="values 0 and 1"):
        log_likelihood(machine, torch.full((1, 4), 0.3), partition)
    for betas in ([0.0, 0.5], [0.5, 1.0], [0.0, 0.7, 0.7, 1.0], [0.0, math.nan, 1.0], [], 0):
        with pytest.raises(ValueError, match=r"betas|count"):
            log_partition(machine, generator=_generator(), betas=betas)
    with pytest.raises(ValueError, match="runs=1"):
        log_partition(machine, generator=_generator(), runs=1)
    with pytest.raises(ValueError, match="rows of 5 values"):
        log_partition(machine, generator=_generator(), data=torch.zeros(2, 5))
    with pytest.raises(ValueError, match="from 0 to 1"):
        log_partition(machine, generator=_generator(), data=torch.full((2, 4), 2.0))
    machine.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="not finite"):
        log_partition(machine, generator=_generator())
