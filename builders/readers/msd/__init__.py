"""Files of the Million Song Dataset, and 7digital's previews."""

from .reading import load

__all__ = ["load"]
