"""Pictures: figures of matplotlib, written as PNG.

Matplotlib is imported when something is drawn, always with its own defaults and never with a display, so
that the same input and version give the same bytes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plain_text(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


@contextmanager
def figure_at(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """Give a figure in matplotlib's own style; write it when the block ends well."""
    from matplotlib import rc_context, rcdefaults
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    with rc_context(), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box, which says enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        rcdefaults()
        figure = NewFigure(figsize=size, dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with replacing(path) as temporary:
            # Without the name and version that matplotlib would write into it.
            figure.savefig(temporary, format="png", metadata={"Software": None})
