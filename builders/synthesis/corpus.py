"""Corpora of synthetic music, see :mod:`emobench.builders.sources.synthetic`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import soundfile

from ...cards.dataset import About
from ...cards.render import fill
from ...runtime.executor import ordered_map
from ...runtime.files import replacing
from ..corpus import LabelledCorpus, PretrainCorpus, Render, annotation_table
from . import (
    REAL_LABEL_STATISTICS,
    ClipPlan,
    SynthesisConfig,
    label_statistics,
    plan_labelled,
    plan_pretrain,
    render,
    simulate_workers,
)

# To be increased whenever the same settings give other audio or ratings.
REVISION = 1

CITATION = """@misc{emobench,
  title = {emobench: a benchmark for music emotion recognition},
  author = {{The emobench developers}},
  year = {2026}
}"""

TERMS = "CC0, without restrictions. Scores on this dataset should be reported as scores on synthetic data."


def _about(title: str, summary: str, notes: str = "") -> About:
    return About(
        title=title,
        summary=summary,
        license="cc0-1.0",
        citation=CITATION,
        terms=TERMS,
        synthetic=True,
        notes=notes,
    )


def _render_one(plan: ClipPlan, folder: Path, sample_rate: int) -> None:
    path = folder / f"{plan.clip_id}.flac"
    if path.is_file():
        return
    # Encoded in memory, because libsndfile does not report why a write failed.
    encoded = io.BytesIO()
    soundfile.write(encoded, render(plan).audio, sample_rate, format="FLAC", subtype="PCM_16")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _renderer(plans: Sequence[ClipPlan], sample_rate: int, description: str) -> Render:
    def fill_folder(folder: Path, pool: Executor) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        work = partial(_render_one, folder=folder, sample_rate=sample_rate)
        for _ in ordered_map(pool, work, plans, description=description):
            pass

    return fill_folder


def load(config: SynthesisConfig) -> LabelledCorpus:
    """Plan the labelled corpus, and simulate its ratings."""
    plans = plan_labelled(config)
    annotations = annotation_table(
        (
            plan.clip_id,
            number,
            str(each.annotator_id),
            np.arange(1.0, len(each.arousal) + 1),
            each.arousal,
            each.valence,
        )
        for plan in plans
        for number, each in enumerate(simulate_workers(plan, config))
    )
    found = label_statistics(annotations)
    return LabelledCorpus(
        clips=pl.DataFrame(
            {
                "clip_id": [plan.clip_id for plan in plans],
                "song_id": [str(plan.song_id) for plan in plans],
                "artist": [plan.artist for plan in plans],
                "album": [plan.album for plan in plans],
                "title": [plan.title for plan in plans],
                "start": [0.0] * len(plans),
                "duration": [float(plan.duration) for plan in plans],
                "audio": [f"{plan.clip_id}.flac" for plan in plans],
            }
        ),
        annotations=annotations,
        about=_about(
            "Synthetic music emotion",
            "Short pieces rendered by a program, rated every second by simulated workers. Tempo, loudness, drums, "
            "brightness, mode, register and articulation depend on arousal and valence as reported by music "
            "psychology.",
            fill("label_statistics.md.j2", synthetic=asdict(found), real=asdict(REAL_LABEL_STATISTICS)),
        ),
        source={"type": "synthetic", "revision": REVISION},
        settings=asdict(config),
        render=_renderer(plans, config.sample_rate, "rendering clips"),
    )


def load_pretraining(config: SynthesisConfig) -> PretrainCorpus:
    """Plan the pre-training corpus."""
    plans = plan_pretrain(config)
    return PretrainCorpus(
        clips=pl.DataFrame(
            {
                "track_id": [plan.clip_id for plan in plans],
                "artist": [plan.artist for plan in plans],
                "album": [plan.album for plan in plans],
                "title": [plan.title for plan in plans],
                "seven_digital_id": pl.Series([None] * len(plans), dtype=pl.String),
                "audio": [f"{plan.clip_id}.flac" for plan in plans],
            }
        ),
        about=_about("Synthetic music for pre-training", "Short pieces rendered by a program, without labels."),
        source={"type": "synthetic", "revision": REVISION},
        settings=asdict(config),
        render=_renderer(plans, config.sample_rate, "rendering music"),
    )
