"""Synthetic music with known beats and emotion, and simulated annotators.

`plan_labelled` and `plan_pretrain` plan all clips (module `plan`: albums, emotion over time, pieces). `render` composes
a clip (`score`, with the patterns in `styles`) and renders it (`voices`, `drums`, `rendering`). `simulate_workers`
simulates the annotators (`workers`), and `label_statistics` compares their ratings with published ones. All results
depend only on the configuration and the number of the clip, so clips can be rendered in any order by any number of
processes.
"""

from .config import SynthesisConfig
from .label_statistics import REAL_LABEL_STATISTICS, LabelStatistics, label_statistics
from .plan import ClipPlan, Piece, Production, plan_labelled, plan_pretrain
from .rendering import Rendered, render, render_excerpt
from .styles import STYLES
from .workers import Trace, simulate_workers

__all__ = [
    "REAL_LABEL_STATISTICS",
    "STYLES",
    "ClipPlan",
    "LabelStatistics",
    "Piece",
    "Production",
    "Rendered",
    "SynthesisConfig",
    "Trace",
    "label_statistics",
    "plan_labelled",
    "plan_pretrain",
    "render",
    "render_excerpt",
    "simulate_workers",
]
