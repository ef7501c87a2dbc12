"""Synthetic music with known beats and known emotion, and a simulated crowd that labels it.

`plan_labelled` and `plan_pretrain` decide what every clip is to be (`plan`: albums, emotion over time,
pieces); `render` composes (`score`, with the patterns in `styles`) and sounds it (`voices`, `drums`,
`rendering`); `simulate_workers` answers for the annotators (`workers`), and `label_statistics` compares
their answers with the published ones. Everything is a pure function of the configuration and a clip's
number, so clips may be made in any order by any number of processes.
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
