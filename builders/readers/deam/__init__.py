"""Reader of DEAM."""

from .reading import load

__all__ = ["load"]
