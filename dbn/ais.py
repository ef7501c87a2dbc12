"""Log-likelihood of binary machines by annealed importance sampling (Salakhutdinov and Murray, ICML 2008).

The partition function Z of a machine with weights W and biases b and c (:mod:`emobench.dbn.rbm`) is a
sum over ``2 ** (n_visible + n_hidden)`` states. Annealing walks ``runs`` samples at once from a base-rate
machine, which has visible biases a and no weights, to the machine itself, through the unnormalised
distributions that the paper puts between two machines, for 0 = beta_0 < ... < beta_K = 1::

    log p_beta(v) = ((1 - beta) a + beta b) . v + sum_j softplus(beta (c_j + v . W_j))

Hidden units of the base that touch nothing are left out but for their number: ``log Z_0 = sum_i
softplus(a_i) + n_hidden log 2``. The mean weight of the runs is unbiased for ``Z / Z_0`` (Neal 2001).

A machine with Gaussian visible units is refused: its base rates would be a density, which nobody has
checked here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .rbm import RBM

# Where the 500 + 4,000 + 10,000 temperatures of the paper's experiments lie.
_PAPER_BETAS = (0.0, 0.5, 0.9, 1.0)
_PAPER_COUNTS = (0, 500, 4500, 14500)


@dataclass(frozen=True)
class PartitionEstimate:
    """An estimate of log Z, in nats.

    Attributes
    ----------
    log_z : float
        Logarithm of the mean over the runs.
    standard_error : float
        Of ``log_z``, to first order: that of the mean over its value.
    lower, upper : float
        Logarithms of the mean less and plus three of its standard errors, the paper's interval; ``lower``
        is minus infinity where that is not above 0.
    runs : int
        Runs it rests on.
    effective_runs : float
        ``(sum w) ** 2 / sum w ** 2``, from 1 to ``runs``. Where it is near 1 a single run decides, and
        neither the estimate nor its interval means much: take more temperatures.
    """

    log_z: float
    standard_error: float
    lower: float
    upper: float
    runs: int
    effective_runs: float


@dataclass(frozen=True)
class LogLikelihood:
    """Mean log-likelihood of examples, in nats an example.

    Attributes
    ----------
    mean : float
        Mean of ``log p(v)``.
    standard_error : float
        What the estimate of log Z leaves open.
    lower, upper : float
        The three-sigma interval of log Z carried over; ``upper`` may be infinite.
    data_standard_error : float
        What the choice of the examples leaves open: of the mean over them as a sample; 0 for one.
    """

    mean: float
    standard_error: float
    lower: float
    upper: float
    data_standard_error: float


def temperatures(count: int = 14500) -> Tensor:
    """Inverse temperatures from 0 to 1, spread as in the paper's experiments.

    Parameters
    ----------
    count : int
        Steps. One in 29 lies below 0.5, eight in 29 from there to 0.9, and twenty in 29 above.

    Returns
    -------
    Tensor of float64, shape (count + 1,)

    Raises
    ------
    ValueError
        If there is no step.
    """
    if count < 1:
        raise ValueError(f"count={count}: expected at least one step from the base rates to the machine")
    place = torch.linspace(0.0, _PAPER_COUNTS[-1], count + 1, dtype=torch.float64)
    betas = torch.zeros_like(place)
    for first in range(3):
        start, stop = _PAPER_COUNTS[first : first + 2]
        share = ((place - start) / (stop - start)).clamp(0.0, 1.0)
        betas += share * (_PAPER_BETAS[first + 1] - _PAPER_BETAS[first])
    betas[-1] = 1.0
    return betas


def base_rates(data: Tensor) -> Tensor:
    """Visible biases of the machine without weights that fits data best.

    Parameters
    ----------
    data : Tensor, shape (n, n_visible)
        Examples, or probabilities of units, from 0 to 1.

    Returns
    -------
    Tensor of float64, shape (n_visible,)
        Log-odds of the means; half an example of each kind is added, or a unit that never changes would
        get an infinite one.

    Raises
    ------
    ValueError
        If there is no example, or a value lies outside [0, 1].
    """
    if data.ndim != 2 or len(data) == 0 or not bool(((data >= 0) & (data <= 1)).all()):
        raise ValueError("data: expected at least one row of values from 0 to 1")
    on = data.sum(0, dtype=torch.float64) + 0.5
    return torch.log(on) - torch.log(len(data) + 1.0 - on)


def log_partition(
    machine: RBM,
    *,
    generator: torch.Generator,
    runs: int = 100,
    betas: int | Sequence[float] | Tensor = 14500,
    data: Tensor | None = None,
) -> PartitionEstimate:
    """Estimate log Z of a machine with binary visible units.

    Parameters
    ----------
    machine : RBM
        With binary visibles.
    generator : torch.Generator
        Source of randomness, on the machine's device; the same one in the same state gives the same
        estimate.
    runs : int
        Independent annealing runs, at least 2 (the paper's 100); all walk at once.
    betas : int or sequence of float
        Number of steps, spread by :func:`temperatures`, or the inverse temperatures themselves, rising
        from 0 to 1. The default is the paper's.
    data : Tensor, shape (n, n_visible), optional
        Start from the base rates of these examples, as the paper advises for a trained machine. Without
        them the start has the machine's own visible biases, which is exact for a machine without weights.

    Returns
    -------
    PartitionEstimate

    Raises
    ------
    ValueError
        If the machine is Gaussian or not finite, or a setting does not fit.
    """
    weight, visible_bias, hidden_bias = _parameters(machine)
    if runs < 2:
        raise ValueError(f"runs={runs}: expected at least 2, or there is no standard error")
    path = _path(betas)
    base = visible_bias if data is None else base_rates(data.to(weight.device))
    if base.shape != visible_bias.shape:
        raise ValueError(f"data: rows of {len(base)} values for a machine of {len(visible_bias)} visible units")

    def draw(log_odds: Tensor) -> Tensor:
        uniform = torch.rand(log_odds.shape, generator=generator, device=weight.device, dtype=torch.float64)
        return (uniform < torch.sigmoid(log_odds)).to(torch.float64)

    log_weights = torch.zeros(runs, dtype=torch.float64, device=weight.device)
    visible = draw(base.expand(runs, -1))
    for before, beta in pairwise(path):
        # The ratio of p_beta to p_before: the same state before and after the step of the temperature.
        inputs = visible @ weight + hidden_bias
        log_weights += (beta - before) * (visible @ (visible_bias - base))
        log_weights += (softplus(beta * inputs) - softplus(before * inputs)).sum(1)
        if beta < 1.0:
            # One Gibbs sweep, which leaves p_beta as it is; of no use after the last weight.
            hidden = draw(beta * inputs)
            visible = draw((1.0 - beta) * base + beta * (visible_bias + hidden @ weight.T))
    log_base = softplus(base).sum().item() + len(hidden_bias) * math.log(2.0)
    return _estimate(log_weights, log_base)


def log_likelihood(machine: RBM, data: Tensor, partition: PartitionEstimate) -> LogLikelihood:
    """Mean log-likelihood of binary examples, ``-F(v) - log Z``.

    Parameters
    ----------
    machine : RBM
        With binary visibles.
    data : Tensor, shape (n, n_visible)
        Examples of 0 and 1. Probabilities, such as the activations of the layer below, have no
        likelihood under the machine; draw from them first.
    partition : PartitionEstimate
        Of this machine, by :func:`log_partition`.

    Returns
    -------
    LogLikelihood

    Raises
    ------
    ValueError
        If the machine is Gaussian or not finite, or the data are not binary.
    """
    weight, visible_bias, hidden_bias = _parameters(machine)
    data = data.to(weight)
    if data.ndim != 2 or len(data) == 0 or not bool(((data == 0) | (data == 1)).all()):
        raise ValueError("data: expected at least one row of values 0 and 1; draw from probabilities first")
    minus_free_energy = data @ visible_bias + softplus(data @ weight + hidden_bias).sum(1)
    mean = minus_free_energy.mean().item()
    spread = minus_free_energy.std().item() / math.sqrt(len(data)) if len(data) > 1 else 0.0
    return LogLikelihood(
        mean=mean - partition.log_z,
        standard_error=partition.standard_error,
        lower=mean - partition.upper,
        upper=mean - partition.lower,
        data_standard_error=spread,
    )


def _parameters(machine: RBM) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and biases in float64, whatever they were trained in."""
    if machine.gaussian:
        raise ValueError("machine: its visible units are Gaussian; annealing is for binary ones")
    parts = machine.weight.double(), machine.visible_bias.double(), machine.hidden_bias.double()
    if not all(bool(torch.isfinite(part).all()) for part in parts):
        raise ValueError("machine: a weight or bias is not finite")
    return parts


def _path(betas: int | Sequence[float] | Tensor) -> list[float]:
    path: list[float] = (
        temperatures(betas) if isinstance(betas, int) else torch.as_tensor(betas, dtype=torch.float64)
    ).tolist()
    rising = all(before < beta for before, beta in pairwise(path))
    if len(path) < 2 or path[0] != 0.0 or path[-1] != 1.0 or not rising:
        raise ValueError("betas: expected inverse temperatures that rise from 0 to 1")
    return path


def _estimate(log_weights: Tensor, log_base: float) -> PartitionEstimate:
    """Mean, error and interval from the logarithms of the runs' weights, as in the paper."""
    # The largest weight is taken out, or weights of hundreds of nats would overflow.
    top = log_weights.max().item()
    weights = (log_weights - top).exp()
    runs = len(weights)
    mean = weights.mean().item()
    error = weights.std().item() / math.sqrt(runs)

    def logarithm(value: float) -> float:
        return log_base + top + math.log(value) if value > 0 else -math.inf

    return PartitionEstimate(
        log_z=logarithm(mean),
        standard_error=error / mean,
        lower=logarithm(mean - 3 * error),
        upper=logarithm(mean + 3 * error),
        runs=runs,
        effective_runs=(weights.sum() ** 2 / (weights**2).sum()).item(),
    )
