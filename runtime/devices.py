"""Devices that networks are computed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import torch

NAMES = ("cpu", "cuda", "auto")


def check_device(name: str) -> None:
    """Check the name of a device; torch is imported only to look for a GPU.

    Raises
    ------
    InputError
        If the name is not ``cpu``, ``cuda`` or ``auto``, or there is no GPU for ``cuda``.
    """
    if name not in NAMES:
        raise InputError(f"`device` {name}: expected cpu, cuda or auto.")
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("`device` cuda: torch finds no GPU here; use cpu or install a CUDA build of torch.")


def torch_device(name: str) -> torch.device:
    """Return the device of a name, for ``auto`` the GPU if there is one.

    Raises
    ------
    InputError
        As for :func:`check_device`.
    """
    import torch

    check_device(name)
    if name == "cpu" or not torch.cuda.is_available():
        # Small matrices gain nothing from more threads, and their number would change the rounding.
        torch.set_num_threads(1)
        return torch.device("cpu")
    return torch.device("cuda")
