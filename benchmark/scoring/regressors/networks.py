"""Small networks in torch: training with early stopping on the verification part, shared by regressors.

Several networks from different seeds are trained and their outputs are averaged. One thread computes, so the numbers
are the same on every processor with the same instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from .scaling import FloatArray, Scaling
from .stored import Arrays, joined, part

if TYPE_CHECKING:
    from torch import Tensor

SEEDS = (0, 1, 2)
HIDDEN = 64
DROPOUT = 0.2
RATE = 1e-3
DECAY = 1e-2
BATCH = 64
EPOCHS = 200
PATIENCE = 15


@dataclass(frozen=True)
class Networks:
    """Trained networks.

    Attributes
    ----------
    inputs : Scaling
        Standardisation of the features.
    members : tuple of torch.nn.Module
        One network for each seed.
    chosen : mapping
        Number of epochs after which training was stopped, averaged over the networks.
    """

    inputs: Scaling
    members: tuple[Any, ...]
    chosen: Mapping[str, float]

    def __call__(self, features: FloatArray) -> list[Tensor]:
        """Return the outputs of each network for features of shape (n, d)."""
        import torch

        with threadpool_limits(1), torch.no_grad():
            values = torch.from_numpy(self.inputs(features)).float()
            return [member(values) for member in self.members]

    def arrays(self) -> dict[str, Any]:
        """Return the fitted parameters."""
        states = {str(place): member.state_dict() for place, member in enumerate(self.members)}
        weights = {place: {name: value.numpy() for name, value in state.items()} for place, state in states.items()}
        return joined({"inputs": vars(self.inputs), **weights})

    @classmethod
    def of(cls, arrays: Arrays) -> Networks:
        """Restore networks from their parameters."""
        import torch

        members = []
        for place in range(len(SEEDS)):
            state = {name: torch.tensor(value) for name, value in part(arrays, str(place)).items()}
            member = _network(state["0.weight"].shape[1], len(state["3.bias"]))
            member.load_state_dict(state)
            members.append(member.eval())
        return cls(Scaling(**part(arrays, "inputs")), tuple(members), {})


def _network(inputs: int, outputs: int) -> Any:
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(inputs, HIDDEN), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT), torch.nn.Linear(HIDDEN, outputs)
    )


def train(
    features: FloatArray,
    targets: FloatArray,
    verification: tuple[FloatArray, FloatArray],
    *,
    outputs: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    score: Callable[[Tensor, Tensor], Tensor],
) -> Networks:
    """Train networks with one hidden layer.

    Parameters
    ----------
    features, targets : ndarray, shape (n, d), (n, k)
        Training part.
    verification : tuple of ndarray
        Features and targets of the verification part, on which the number of epochs is chosen.
    outputs : int
        Number of outputs.
    loss, score : callable
        ``loss(output, target)`` is minimised on the training part, ``score(output, target)`` on the verification part.

    Returns
    -------
    Networks
    """
    import torch

    inputs = Scaling.of(features)
    values, wanted = torch.from_numpy(inputs(features)).float(), torch.from_numpy(targets).float()
    checked, expected = torch.from_numpy(inputs(verification[0])).float(), torch.from_numpy(verification[1]).float()
    members, stopped = [], []
    for seed in SEEDS:
        with threadpool_limits(1), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            member = _network(features.shape[1], outputs)
            optimiser = torch.optim.AdamW(member.parameters(), RATE, weight_decay=DECAY, fused=True)
            best, kept, epoch_of_best = np.inf, member.state_dict(), 0
            for epoch in range(1, EPOCHS + 1):
                member.train()
                for batch in torch.randperm(len(values)).split(BATCH):
                    optimiser.zero_grad()
                    loss(member(values[batch]), wanted[batch]).backward()
                    optimiser.step()
                member.eval()
                with torch.no_grad():
                    found = float(score(member(checked), expected))
                if found < best:
                    best, epoch_of_best = found, epoch
                    kept = {name: value.clone() for name, value in member.state_dict().items()}
                elif epoch - epoch_of_best >= PATIENCE:
                    break
            member.load_state_dict(kept)
            member.eval()
        members.append(member)
        stopped.append(epoch_of_best)
    return Networks(inputs, tuple(members), {"epochs": float(np.mean(stopped))})
