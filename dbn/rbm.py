"""Restricted Boltzmann machines with Gaussian or binary visible units (Schmidt and Kim 2013, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data
from torch import Tensor
from torch.nn.functional import softplus

from ..errors import EmobenchError
from . import kernels
from .batches import Batches
from .distributed import ProcessGroup
from .divergence import USES, CompiledPhases, Sums, Threads, one_thread, reduced, tensor_phases
from .parameters import check_ranges, decay

# Mean squared error that data of unit variance never have unless training diverges.
_DIVERGED = 1e4

# Batches between two checks for divergence: each waits for the device.
_CHECK_INTERVAL = 256

PARAMETERS = ("weight", "visible_bias", "hidden_bias")


class DivergedError(EmobenchError):
    """Training diverged."""

    @classmethod
    def at(cls, name: str, epoch: int, error: float) -> DivergedError:
        """Make the error of an RBM."""
        return cls(f"{name}: diverged in epoch {epoch} (reconstruction error {error:.4g}); lower the learning rate.")


class RBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Restricted Boltzmann machine, trained by contrastive divergence.

    With visible units v, hidden units h, weights W, visible biases b and hidden biases c, the energy is

    .. math::
        E(v, h) &= \sum_i (v_i - b_i)^2 / 2 - \sum_j c_j h_j - \sum_{ij} v_i h_j w_{ij}
            & \text{Gaussian visible units, equation (3)} \\
        E(v, h) &= - \sum_i b_i v_i - \sum_j c_j h_j - \sum_{ij} v_i h_j w_{ij}
            & \text{binary visible units, equation (4)}

    and the conditional distributions are

    .. math::
        p(v_i = 1 | h) &= \sigma(b_i + \sum_j w_{ij} h_j) & \text{binary, equation (1)} \\
        p(v_i | h) &= N(b_i + \sum_j w_{ij} h_j, 1) & \text{Gaussian, equation (2)} \\
        p(h_j = 1 | v) &= \sigma(c_j + \sum_i v_i w_{ij}).

    Parameters
    ----------
    n_components : int
        Number of hidden units.
    visible : {"binary", "gaussian"}
        Distribution of the visible units. Gaussian units have unit variance.
    learning_rate : float
        Learning rate of the gradient summed over a batch.
    schedule : {"constant", "linear", "cosine"}
        Decay of the learning rate to 0 over the epochs of ``fit``.
    batch_size : int
        Examples per batch.
    n_iter : int
        Epochs.
    n_gibbs : int
        Steps of Gibbs sampling (CD-k).
    persistent : bool
        Continue the Gibbs chains from batch to batch instead of starting them at the data.
    sample_visible : bool
        Sample the reconstructions instead of using their mean (Hinton 2010, section 3.2, recommends the mean).
    momentum : float
        Momentum coefficient (Hinton 2010, section 9).
    weight_decay : float
        L2 penalty on the weights, per example (Hinton 2010, section 10).
    sparsity_target : float, optional
        Mean activation towards which the hidden biases are moved (Lee, Ekanadham and Ng, NIPS 2007).
    sparsity_cost : float
        Strength of the sparsity penalty, per example.
    init_scale : float
        Standard deviation of the initial weights (Hinton 2010, section 8).
    n_threads : int
        Threads, each of which computes a part of every batch. On the CPU only.
    device : str or torch.device
        Device of the parameters.
    random_state : int, RandomState instance or None
        Seed of the initial weights, the order of the examples and the samples.
    name : str
        Name in error messages. RBMs with the same seed and different names draw different random numbers.

    Attributes
    ----------
    weight_ : Tensor, shape (n_features, n_components)
        W.
    visible_bias_ : Tensor, shape (n_features,)
        b.
    hidden_bias_ : Tensor, shape (n_components,)
        c.
    n_iter_ : int
        Epochs so far; a call of ``partial_fit`` counts as one.
    n_features_in_ : int
        Number of visible units.

    Notes
    -----
    Methods that take examples accept arrays and tensors, of shape (n, n_features), and return the same kind.
    On the CPU training runs in compiled code, on other devices in tensors, with the same random numbers.

    References
    ----------
    Hinton, G. (2002). Training products of experts by minimizing contrastive divergence. Neural Computation 14(8).

    Hinton, G. (2010). A practical guide to training restricted Boltzmann machines. UTML TR 2010-003.

    Examples
    --------
    >>> import numpy as np
    >>> from emobench.dbn.rbm import RBM
    >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> RBM(n_components=2).fit_transform(X).shape
    (4, 2)
    """

    weight_: Tensor
    visible_bias_: Tensor
    hidden_bias_: Tensor
    n_iter_: int
    n_features_in_: int

    def __init__(
        self,
        n_components: int = 75,
        *,
        visible: str = "binary",
        learning_rate: float = 1e-5,
        schedule: str = "constant",
        batch_size: int = 100,
        n_iter: int = 50,
        n_gibbs: int = 1,
        persistent: bool = False,
        sample_visible: bool = False,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.1,
        init_scale: float = 0.01,
        n_threads: int = 1,
        device: str | torch.device = "cpu",
        random_state: int | np.random.RandomState | None = 0,
        name: str = "RBM",
    ) -> None:
        self.n_components = n_components
        self.visible = visible
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.n_gibbs = n_gibbs
        self.persistent = persistent
        self.sample_visible = sample_visible
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.sparsity_target = sparsity_target
        self.sparsity_cost = sparsity_cost
        self.init_scale = init_scale
        self.n_threads = n_threads
        self.device = device
        self.random_state = random_state
        self.name = name

    # Model

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """Compute the energy of joint states, equations (3) and (4).

        Parameters
        ----------
        visible : Tensor, shape (n, n_features)
        hidden : Tensor, shape (n, n_components)

        Returns
        -------
        Tensor, shape (n,)
        """
        interaction = ((visible @ self.weight_) * hidden).sum(1)
        return self._visible_energy(visible) - hidden @ self.hidden_bias_ - interaction

    def free_energy(self, X: Any) -> Any:
        """Compute the free energy ``-log sum_h exp(-E(v, h))`` of visible states; shape (n,)."""
        v = self._tensor(X)
        energy = self._visible_energy(v) - softplus(v @ self.weight_ + self.hidden_bias_).sum(1)
        return _as_input(energy, X)

    def transform(self, X: Any) -> Any:
        """Compute the probabilities of the hidden units, ``p(h = 1 | v)``; shape (n, n_components)."""
        v = self._tensor(X)
        return _as_input(torch.addmm(self.hidden_bias_, v, self.weight_).sigmoid_(), X)

    def inverse_transform(self, H: Any) -> Any:
        """Compute the mean of the visible units given hidden ones, equations (1) and (2); shape (n, n_features)."""
        check_is_fitted(self)
        h = torch.as_tensor(H, dtype=self.weight_.dtype, device=self.weight_.device)
        mean = torch.addmm(self.visible_bias_, h, self.weight_.T)
        return _as_input(mean if self.visible == "gaussian" else mean.sigmoid_(), H)

    def reconstruct(self, X: Any) -> Any:
        """Reconstruct visible states from the probabilities of the hidden units; shape (n, n_features)."""
        return self.inverse_transform(self.transform(X))

    def _visible_energy(self, v: Tensor) -> Tensor:
        if self.visible == "gaussian":
            return ((v - self.visible_bias_) ** 2).sum(1) / 2
        return -(v @ self.visible_bias_)

    # Training

    def fit(self, X: Any, y: None = None) -> RBM:
        """Train on examples of shape (n, n_features) for ``n_iter`` epochs.

        Raises
        ------
        DivergedError
            If training diverges.
        """
        X = validate_data(self, X, dtype=np.float32, order="C")
        self.initialize(X.shape[1])
        self._limit = _DIVERGED * max(1.0, float(np.mean(np.square(X))))
        batches = Batches.of_array(X, torch.device(self.device))
        with one_thread():
            for _ in range(self.n_iter):
                self.fit_epoch(batches)
        return self

    def partial_fit(self, X: Any, y: None = None) -> RBM:
        """Take one step on a batch of examples of shape (n, n_features)."""
        started = hasattr(self, "weight_")
        X = validate_data(self, X, reset=not started, dtype=np.float32, order="C")
        if not started:
            self.initialize(X.shape[1])
        self._begin_epoch(self.n_iter_ + 1)
        with one_thread():
            self._step(lambda first, last: X[first:last], 0, len(X), learning_rate=self.learning_rate)
        self.n_iter_ += 1
        return self

    def initialize(self, n_features: int) -> RBM:
        """Draw initial weights from N(0, init_scale^2), the same on every device, and set the biases to 0."""
        check_ranges(self.get_params())
        self.n_features_in_, self.n_iter_ = n_features, 0
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31 - 1)
        self._seed = int(seed)
        generator = torch.Generator().manual_seed(int(self._stream("weights") >> np.uint64(1)))
        weight = torch.randn(n_features, self.n_components, generator=generator) * self.init_scale
        self.weight_ = weight.to(self.device)
        self.visible_bias_ = torch.zeros(n_features, device=self.device)
        self.hidden_bias_ = torch.zeros(self.n_components, device=self.device)
        self._limit = _DIVERGED
        self._velocity = [torch.zeros_like(part) for part in self._parameters()]
        self._chains: Tensor | None = None
        self._threads: Threads | None = None
        return self

    def fit_epoch(self, batches: Batches, group: ProcessGroup | None = None) -> float:
        """Train for one epoch on all examples; return the squared reconstruction error per unit and example.

        The processes of a ``group`` train together, each on a part of every batch. DivergedError is raised if training
        diverges.
        """
        group = group or ProcessGroup()
        epoch, count, mean = self.n_iter_ + 1, batches.count, float("nan")
        order = np.random.Generator(np.random.Philox(int(self._stream(epoch, "order")))).permutation(count)
        self._begin_epoch(epoch)
        error = torch.zeros((), dtype=torch.float64, device=self.weight_.device)
        for number, first in enumerate(range(0, count, self.batch_size)):
            last = min(first + self.batch_size, count)
            low, high = (first + (last - first) * rank // group.size for rank in (group.rank, group.rank + 1))
            error += self._step(
                lambda start, stop: batches(order[start:stop]),
                low,
                high,
                total=last - first,
                learning_rate=self.learning_rate * decay(self.schedule, (epoch - 1 + first / count) / self.n_iter),
                reduce=group.reduce if group.size > 1 else None,
            )
            if number % _CHECK_INTERVAL == 0 or last == count:
                mean = error.item() / (last * self.n_features_in_)
                if not mean < self._limit or not torch.isfinite(self.weight_).all():
                    raise DivergedError.at(self.name, epoch, mean)
        self.n_iter_ = epoch
        return mean

    def _step(
        self,
        fetch: Callable[[int, int], Any],
        first: int,
        last: int,
        *,
        learning_rate: float,
        total: int | None = None,
        reduce: Callable[[Tensor], object] | None = None,
    ) -> Tensor:
        """Take one step of contrastive divergence on the examples that ``fetch(first, last)`` returns.

        These are this process's part of a batch of ``total``; ``reduce`` sums a tensor over all processes, in place.
        Return the squared reconstruction error, summed over units and examples.
        """
        if self.persistent and self._chains is None:
            probabilities = self.transform(torch.as_tensor(fetch(first, last), device=self.weight_.device))
            uniform = kernels.uniform_tensor(self._stream(self._epoch, "chains"), first, probabilities)
            self._chains = (uniform < probabilities).to(probabilities.dtype)
        if self._threads is None:
            self._threads = Threads(self._new_phases, self.n_threads)
        sums = self._threads(self, fetch, self._streams, first, last, self._chains)
        if reduce:
            sums = reduced(sums, reduce)
        *gradient, active, error = sums
        self._update(gradient, active, last - first if total is None else total, learning_rate)
        return error.sum()

    def _update(self, gradient: list[Tensor], active: Tensor, count: int, learning_rate: float) -> None:
        """Move the parameters along the gradient, summed over ``count`` examples."""
        weight, _, hidden = gradient
        if self.weight_decay:
            weight.add_(self.weight_, alpha=-self.weight_decay * count)
        if self.sparsity_target is not None:
            hidden.add_(count * self.sparsity_target - active, alpha=self.sparsity_cost)
        for parameter, change, velocity in zip(self._parameters(), gradient, self._velocity, strict=True):
            if self.momentum:
                velocity.mul_(self.momentum).add_(change, alpha=learning_rate)
                parameter.add_(velocity)
            else:
                parameter.add_(change, alpha=learning_rate)

    def _new_phases(self) -> Callable[..., Sums]:
        compiled = self.weight_.device.type == "cpu" and self.weight_.dtype == torch.float32
        return CompiledPhases(*self.weight_.shape) if compiled else tensor_phases

    def _begin_epoch(self, epoch: int) -> None:
        """Select the random numbers of an epoch."""
        self._epoch = epoch
        self._streams = np.array(
            [[self._stream(epoch, f"{use} {step}") for use in USES] for step in range(self.n_gibbs + 1)]
        )

    def _stream(self, *names: object) -> np.uint64:
        return kernels.stream(self._seed, self.name, *names)

    def state(self) -> dict[str, Tensor]:
        """Return what determines how training continues, by name: parameters, momentum and chains. No copies."""
        parts = dict(zip(PARAMETERS, self._parameters(), strict=True))
        parts |= {f"velocity.{name}": part for name, part in zip(PARAMETERS, self._velocity, strict=True)}
        return parts if self._chains is None else parts | {"chains": self._chains}

    def load_state(self, state: Mapping[str, Tensor], n_iter: int) -> None:
        """Continue from the :meth:`state` after ``n_iter`` epochs."""
        chains = state.get("chains")
        self._chains = None
        for name, part in self.state().items():
            part.copy_(state[name])
        self._chains = None if chains is None else chains.to(self.weight_.device)
        self.n_iter_ = n_iter

    def _parameters(self) -> list[Tensor]:
        return [self.weight_, self.visible_bias_, self.hidden_bias_]

    def __getstate__(self) -> Any:
        # Threads cannot be pickled.
        state: dict[str, Any] = super().__getstate__()  # pyright: ignore[reportAssignmentType]
        return state | ({"_threads": None} if "_threads" in state else {})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.weight_.shape[1]

    def _tensor(self, X: Any) -> Tensor:
        if isinstance(X, Tensor):
            return X
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        return torch.tensor(X, dtype=self.weight_.dtype, device=self.weight_.device)


def _as_input(values: Tensor, X: Any) -> Tensor | npt.NDArray[Any]:
    """Return a tensor where the input was one, else an array."""
    return values if isinstance(X, Tensor) else values.cpu().numpy()
