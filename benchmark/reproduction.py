"""Tables 1 to 3 of the paper (Schmidt and Kim, ISMIR 2013), with our numbers beside those of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import cache
from pathlib import Path

from pydantic import BaseModel, JsonValue

from ..builders.release import load_manifest
from ..builders.segments import load_segments
from ..cards.tables import Table
from ..dbn.domains import Domain
from ..errors import InputError
from . import runs
from .corpora import CORPORA
from .features.extraction import Places
from .features.network_config import NetworkConfig
from .pretrain import own_networks
from .report.labels import board_title, difference, display_name, interval, leak_mark, number
from .report.notes import INTERVALS, SYNTHETIC, notes_of
from .results.model import MetricScore

TABLES = ("table1", "table2", "table3")

# Metric to the heading of its columns.
SHOWN = {"mean_distance": "Distance", "kl_divergence": "KL"}

OUTSIDE = "*"
BESIDE = (
    f"Diff.: ours minus the paper's. {OUTSIDE} marks numbers of the paper outside our interval. The paper's music and "
    "pre-training set are not public, so numbers of other datasets can only be roughly compared."
)
EXAMPLES = (
    "Examples are all windows of the clips that were kept: B − 3 for a clip of B segments in rhythm and pitch, and "
    "B − 6 for 2-d FFT patches. The paper does not list its 50,000 clips, so only examples per clip can be compared."
)
PAPER_CLIPS = 50_000


class PublishedExamples(BaseModel):
    """Row of Table 1: input dimensions and number of examples of a domain."""

    domain: str
    dims: int
    examples: int


class PublishedScores(BaseModel):
    """Row of Table 2 or 3: mean and standard deviation of both metrics."""

    features: str
    layer: int | None = None
    phase: str | None = None
    mean_distance: tuple[float, float] | None = None
    kl_divergence: tuple[float, float] | None = None


class Paper(BaseModel):
    """Tables of the paper."""

    source: str
    table1: tuple[PublishedExamples, ...]
    table2: tuple[PublishedScores, ...]
    table3: tuple[PublishedScores, ...]


@cache
def paper() -> Paper:
    """Read the tables of the paper."""
    return Paper.model_validate_json(Path(__file__).with_name("paper.json").read_bytes())


def check_table(name: str) -> None:
    """Raise InputError unless the paper has a table of this name that can be reproduced; it names the corpora too."""
    if name not in TABLES:
        raise InputError(
            f"reproduce {name}: nothing of this name to reproduce; expected {', '.join((*TABLES, *CORPORA))}."
        )


def reproduce(
    name: str,
    places: Places,
    networks: NetworkConfig,
    *,
    device: str,
    pool: Executor,
    allow_leakage: bool = False,
) -> Table:
    """Compute a table of the paper and show each number beside the published one.

    Parameters
    ----------
    name : {"table1", "table2", "table3"}
        Table.
    places : Places
        Datasets, results and models. Table 1 counts the examples of the pre-training dataset, or of the labelled
        dataset if there is none.
    networks : NetworkConfig
        Settings of networks.
    device, pool, allow_leakage
        As for :func:`.runs.run`.

    Returns
    -------
    Table
        Notes say why a row of the paper cannot be computed on this dataset.

    Raises
    ------
    InputError
        If there is no such table, or the data cannot be used.
    """
    check_table(name)
    if name == "table1":
        return _examples_table(places, networks, device=device, pool=pool)
    rows = paper().table2 if name == "table2" else paper().table3
    specs = list(dict.fromkeys(row.features for row in rows))
    outcome = runs.run(specs, places, runs.RunConfig(), networks, device=device, pool=pool, allow_leakage=allow_leakage)
    return _scores_table(name, rows, outcome)


def _scores_table(name: str, rows: Sequence[PublishedScores], outcome: runs.Outcome) -> Table:
    """Arrange Table 2 or 3: both metrics with their intervals, those of the paper, and the differences."""
    deep = name == "table3"
    ours = {(each.features, each.layer, each.phase): each for each in outcome.results}
    # The paper does not show references, but its numbers cannot be interpreted without them.
    references = [PublishedScores(features=each.features) for each in outcome.results if each.reference]
    cells, records = [], []
    for row in [*rows, *references]:
        record: dict[str, JsonValue] = {"features": row.features, "layer": row.layer, "phase": row.phase}
        found = ours.get((row.features, row.layer, row.phase))
        names = [display_name(row.features) + (leak_mark(found) if found else "")]
        if deep:
            names = ["–" if row.layer is None else f"Layer {row.layer}", row.phase or "–", *names]
        numbers: list[str] = []
        for metric in SHOWN:
            score = found.scores[metric] if found else None
            both = compared(score, getattr(row, metric))
            record |= {f"{metric}{part}": value for part, value in both.items()}
            numbers += _shown(score, both)
        cells.append((*names, *numbers))
        records.append({**record, "signature": found.signature if found else None})
    first = outcome.results[0]
    part = "95\N{NO-BREAK SPACE}%"
    return Table(
        title=f"Table {name[-1]} of the paper beside {board_title(first)}",
        slug=f"{first.dataset.label}-{name}",
        columns=(
            *(("DBN Layer", "Phase", "Feature Type") if deep else ("Feature Type",)),
            *(f"{shown} {what}" for shown in SHOWN.values() for what in ("Ours", part, "Paper's", "Diff.")),
        ),
        rows=cells,
        notes=[BESIDE, INTERVALS, *notes_of(outcome.results), *(f"Not computed: {note}" for note in outcome.notes)],
        records=records,
        text_columns=3 if deep else 1,
        optional=[(4, 8), (6, 10)] if deep else [(2, 6), (4, 8)],
    )


def compared(score: MetricScore | None, papers: tuple[float, float] | None) -> dict[str, float | None]:
    """Compare our score with the paper's; the keys are the suffixes of the fields of a record.

    Parameters
    ----------
    score : MetricScore or None
        Our score; None if there is no entry.
    papers : (float, float) or None
        Mean and standard deviation in the paper.
    """
    ours, low_high = (score.mean, score.ci95) if score else (None, None)
    low, high = low_high or (None, None)
    theirs, spread = papers or (None, None)
    return {
        "": ours,
        "_std": score.std if score else None,
        "_low": low,
        "_high": high,
        "_paper": theirs,
        "_paper_std": spread,
        "_difference": None if ours is None or theirs is None else ours - theirs,
        "_paper_outside": None if theirs is None or low is None or high is None else not low <= theirs <= high,
    }


def _shown(score: MetricScore | None, both: Mapping[str, float | None]) -> list[str]:
    """Return the cells of a score: ours, its interval, the paper's with its mark, and the difference."""
    theirs = both["_paper"]
    mark = OUTSIDE if both["_paper_outside"] else ""
    return [
        number(score),
        interval(score.ci95) if score else "–",
        "–" if theirs is None else f"{theirs:.3f} ± {both['_paper_std']:.3f}{mark}",
        difference(both["_difference"]),
    ]


def _examples_table(places: Places, networks: NetworkConfig, *, device: str, pool: Executor) -> Table:
    """Arrange Table 1: width of the input and number of examples of each domain."""
    data = places.pretrain_data or places.dataset
    manifest = load_manifest(data)
    rows, records = [], []
    lengths, widths = _segments(data, manifest.kind, networks, places, device=device, pool=pool)
    for row in paper().table1:
        domain = Domain(row.domain, networks.pretraining.window)
        own = lengths[domain.table]
        dims, examples = domain.window * domain.row_dims(widths[domain.table]), domain.example_count(own)
        each, papers_each = examples / len(own), row.examples / PAPER_CLIPS
        rows.append(
            (
                display_name(row.domain),
                *(str(dims), str(row.dims), f"{examples:,}", f"{row.examples:,}"),
                *(f"{each:.1f}", f"{papers_each:.1f}"),
            )
        )
        records.append(
            {
                "domain": row.domain,
                "dims": dims,
                "dims_paper": row.dims,
                "clips": len(own),
                "clips_paper": PAPER_CLIPS,
                "examples": examples,
                "examples_paper": row.examples,
                "examples_difference": examples - row.examples,
            }
        )
    label = manifest.title + (" (synthetic)" if manifest.synthetic else "")
    notes = [EXAMPLES, f"{len(next(iter(lengths.values()))):,} clips."]
    return Table(
        title=f"Table 1 of the paper beside {label}",
        slug=f"{manifest.title}-table1",
        columns=(
            "Model Domain",
            *("Input Dimensionality", "Paper's Dimensionality", "Examples", "Paper's Examples"),
            *("Examples per Clip", "Paper's per Clip"),
        ),
        rows=rows,
        notes=[*notes, SYNTHETIC] if manifest.synthetic else notes,
        records=records,
    )


def _segments(
    data: Path, kind: str, networks: NetworkConfig, places: Places, *, device: str, pool: Executor
) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Return the number of segments of each clip, and their width, for the tables ``rhythm`` and ``pitch``."""
    if kind == "pretrain":
        opened = {table: load_segments(data, table) for table in ("rhythm", "pitch")}
        return (
            {table: segments.lengths for table, segments in opened.items()},
            {table: next(iter(segments)).shape[1] for table, segments in opened.items()},
        )
    clips = own_networks(data, config=networks, models=places.models, device=device, pool=pool).analyses
    found = {table: [getattr(clip, table) for clip in clips] for table in ("rhythm", "pitch")}
    return (
        {table: [len(each) for each in matrices] for table, matrices in found.items()},
        {table: matrices[0].shape[1] for table, matrices in found.items()},
    )
