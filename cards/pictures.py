"""Figures of matplotlib, written as PNG.

Matplotlib is imported when a figure is drawn, and used with its own defaults and without a display, so that the same
input and version give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plain_text(text: str) -> str:
    """Escape text that matplotlib would interpret as mathematics."""
    return text.replace("$", r"\$")


@contextmanager
def figure_at(place: Path | io.BytesIO, size: tuple[float, float]) -> Iterator[Figure]:
    """Yield a figure in matplotlib's default style and write it to a file or buffer at the end of the block."""
    from matplotlib import rc_context, rcdefaults
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    with rc_context(), warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes, which is good enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        rcdefaults()
        figure = NewFigure(figsize=size, dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with replacing(place) if isinstance(place, Path) else nullcontext(place) as target:
            # Omit the name and version of matplotlib.
            figure.savefig(target, format="png", metadata={"Software": None})
