"""Processes that train one model together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class ProcessGroup:
    """Processes that train together, each on a part of every batch.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    def reduce(self, values: Tensor) -> None:
        """Sum a tensor over all processes, in place."""
        import torch

        torch.distributed.all_reduce(values)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            import torch

            torch.distributed.barrier()


def started_by_torchrun() -> bool:
    """Return whether this is one of several processes of ``torchrun``."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """Join the other processes of ``torchrun``; without it, return a group of one.

    Parameters
    ----------
    device : torch.device
        Device of the computation. Processes communicate by gloo on the CPU and by nccl on GPUs.

    Yields
    ------
    ProcessGroup

    Raises
    ------
    InputError
        If there are fewer GPUs than processes.
    """
    if not started_by_torchrun():
        yield ProcessGroup()
        return
    import torch

    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise InputError(
                f"torchrun: no GPU for process {local} ({torch.cuda.device_count()} available); start as many "
                "processes as there are GPUs, or set `device` to cpu."
            )
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()
