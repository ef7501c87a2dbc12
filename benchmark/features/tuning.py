"""Fine-tuning of the folds of a network, each in a process of its own, and kept by content as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...audio import cache
from ...dbn.config import FinetuningConfig
from ...dbn.domains import Examples
from ...runtime.executor import ordered_map
from ...runtime.files import digest
from ...runtime.progress import progress

if TYPE_CHECKING:
    import torch

    from ...dbn.network import Network

FloatArray = npt.NDArray[np.float32]

KIND = "finetuned"

# Raised when the same work gives other numbers than before, or is kept in another form.
REVISION = 3


@dataclass(frozen=True, eq=False)
class FoldWork:
    """All that fine-tuning of one fold needs, to be sent to another process: no target of the test part is in it.

    Attributes
    ----------
    name : str
        What is fine-tuned, for messages.
    key : dict
        All that decides the result.
    start : mapping of ndarray
        Weights to start from, as :func:`arrays_of` gives them.
    rows : ndarray of float32, shape (n_rows, row_dims)
        Rows of all clips, of which an example is some in sequence: smaller than the examples by the window.
    window : int
        Rows an example.
    firsts : tuple of ndarray of int64, each of shape (n_examples,)
        First row of each example of the training and of the verification part.
    targets : tuple of ndarray of float32, each of shape (n_examples, 2)
        Of these parts.
    config : FinetuningConfig
        Settings.
    repeat : int
        Number of the fold.
    """

    name: str
    key: dict[str, Any]
    start: cache.Arrays
    rows: FloatArray
    window: int
    firsts: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    targets: tuple[FloatArray, FloatArray]
    config: FinetuningConfig
    repeat: int

    def __str__(self) -> str:
        return f"fine-tuning {self.name}, repeat {self.repeat}"


def arrays_of(network: Network) -> cache.Arrays:
    """Return the weights of a network and its input mean and scale as arrays."""
    found: cache.Arrays = {"mean": network.mean.cpu().numpy(), "scale": network.scale.cpu().numpy()}
    for number, layer in enumerate(network.layers):
        found[f"layer{number}.weight"] = layer.weight.cpu().numpy()
        found[f"layer{number}.bias"] = layer.bias.cpu().numpy()
    return found


def network_of(name: str, arrays: cache.Arrays, device: torch.device) -> Network:
    """Make the network of a feature from :func:`arrays_of` on a device."""
    import torch

    from ...dbn.encoder import kind_of
    from ...dbn.network import Layer

    depth = sum(name.endswith(".weight") for name in arrays)

    def tensor(name: str) -> torch.Tensor:
        # A copy: memory of torch's own lies as its kernels want it, wherever the array came from.
        return torch.tensor(arrays[name], device=device)

    layers = tuple(Layer(tensor(f"layer{number}.weight"), tensor(f"layer{number}.bias")) for number in range(depth))
    return kind_of(name)(tensor("mean"), tensor("scale"), layers)


def tune_fold(work: FoldWork, device: str = "cpu") -> cache.Arrays:
    """Fine-tune one fold, or read it back.

    Parameters
    ----------
    work : FoldWork
        What to do.
    device : str
        Where to compute.

    Returns
    -------
    dict of ndarray
        As :func:`arrays_of`, and ``facts``: the epoch of the weights, its verification error, the seconds it took.
    """
    import torch

    if device == "cpu":
        # The number of threads would change the rounding.
        torch.set_num_threads(1)
    return cache.cached(KIND, work.key, partial(_tuned, work, torch.device(device)))


def _tuned(work: FoldWork, device: torch.device) -> cache.Arrays:
    from ...dbn.finetuning import finetune

    began = time.perf_counter()
    training, verification = (
        (_matrix(work, firsts), targets) for firsts, targets in zip(work.firsts, work.targets, strict=True)
    )
    tuned = finetune(
        network_of(work.name, work.start, device),
        training=training,
        verification=verification,
        config=work.config,
        repeat=work.repeat,
    )
    facts = np.array([tuned.epoch, tuned.error, time.perf_counter() - began])
    return {"facts": facts, **arrays_of(tuned.network)}


def _matrix(work: FoldWork, firsts: npt.NDArray[np.int64]) -> FloatArray:
    none = np.zeros(0, np.int64)
    return Examples(rows=work.rows, starts=firsts, beats=none, counts=none, window=work.window).matrix()


def tune_folds(
    works: Sequence[FoldWork], *, pool: Executor, device: torch.device, description: str
) -> list[cache.Arrays]:
    """Fine-tune folds that do not depend on each other, on all processors; only those that are not kept yet.

    Parameters
    ----------
    works : sequence of FoldWork
        The folds.
    pool : Executor
        Of :func:`emobench.runtime.executor.executor`. Work on a GPU stays in this process.
    device : torch.device
        Where to compute.
    description : str
        Of the progress bar.

    Returns
    -------
    list of dict of ndarray
        As :func:`tune_fold` gives them; the same whatever the number of workers.
    """
    entries = [cache.entry(KIND, work.key) for work in works]
    kept = [cache.read(entry) for entry in entries]
    missing = [work for work, found in zip(works, kept, strict=True) if found is None]
    made = _on_all_processors(missing, pool, device, description) if missing else iter(())
    results = []
    for entry, found in zip(entries, kept, strict=True):
        arrays = found
        if arrays is None:
            arrays = next(made)
            if cache.read(entry) is None:
                # Made on another machine, whose cache is not this one's.
                cache.write(entry, arrays)
        results.append(arrays)
    # To its end, so that its bar is closed.
    assert next(made, None) is None
    return results


def _on_all_processors(
    works: Sequence[FoldWork], pool: Executor, device: torch.device, description: str
) -> Iterator[cache.Arrays]:
    if device.type == "cpu":
        yield from ordered_map(pool, tune_fold, works, description=description, unit="fold", limited=False)
        return
    for work in progress(works, description, "fold"):
        yield tune_fold(work, str(device))


def tune_carried(
    works: Sequence[FoldWork], *, pool: Executor, device: torch.device, description: str
) -> list[cache.Arrays]:
    """Fine-tune folds one after another, each from the weights of the last: the ablation that leaks.

    Parameters
    ----------
    works, pool, device, description
        As :func:`tune_folds` takes them. The first fold starts from its own weights; those of the others are
        replaced. The linear layer on top starts anew in every fold.

    Returns
    -------
    list of dict of ndarray
        As :func:`tune_fold` gives them.
    """
    results: list[cache.Arrays] = []
    before: FoldWork | None = None
    for work in progress(works, f"{description}, carried over", "fold"):
        own = work
        if before is not None:
            own = FoldWork(
                **{**vars(work), "start": results[-1], "key": {**work.key, "carried_from": digest(before.key)}}
            )
        results += tune_folds([own], pool=pool, device=device, description=description)
        before = own
    return results
