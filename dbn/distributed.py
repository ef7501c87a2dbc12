"""Processes that train one machine together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class Ranks:
    """Processes that train together, each on a part of every batch.

    Attributes
    ----------
    rank, size : int
        Number of this one, and how many there are.
    """

    rank: int = 0
    size: int = 1

    def reduce(self, values: Tensor) -> None:
        """Sum over all, in place."""
        torch.distributed.all_reduce(values)

    def wait(self) -> None:
        """Wait until all are here."""
        if self.size > 1:
            torch.distributed.barrier()


def started_by_torchrun() -> bool:
    """Whether this is one of several processes of ``torchrun``."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the other processes of ``torchrun``, or work alone where it did not start this one.

    Parameters
    ----------
    device : torch.device
        Where to compute: the processes speak by gloo on the processor and by nccl on GPUs.

    Yields
    ------
    Ranks

    Raises
    ------
    InputError
        If there are fewer GPUs than processes.
    """
    if not started_by_torchrun():
        yield Ranks()
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise InputError(
                f"torchrun: process {local} has no GPU of its own ({torch.cuda.device_count()} here); start as many "
                "processes as there are GPUs, or use --device cpu."
            )
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()
