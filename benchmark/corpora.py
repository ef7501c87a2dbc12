"""Published numbers on emoMusic, PMEmo and DEAM beside ours (``published.json``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import cache
from pathlib import Path

from pydantic import BaseModel, JsonValue

from ..builders.manifest import MANIFEST, Manifest, load_manifest
from ..cards.tables import Table
from ..errors import InputError
from . import runs
from .features.extraction import Places
from .features.network_config import NetworkConfig
from .report.axes import POOLED
from .report.labels import DASH, board_title, entry_label, interval, number, plain
from .report.mediaeval import MEDIAEVAL, per_song_table
from .report.notes import INTERVALS, notes_of
from .results.model import Result
from .scoring.gaussians import AXES

CORPORA = ("emomusic", "pmemo", "deam")
SPLIT = "official"
SINGLE = ("mfcc", "chroma", "spectral_shape", "spectral_contrast")
FEATURES = (*SINGLE, "+".join(SINGLE))


class Row(BaseModel):
    """Published numbers of a method; None where they are not reported."""

    method: str
    source: str
    r2_arousal: float | None = None
    r2_valence: float | None = None
    rmse_arousal: float | None = None
    rmse_valence: float | None = None


class Origin(BaseModel):
    """Where numbers were published, the split they were measured on, and what limits the comparison."""

    citation: str
    split: str
    caveats: str


class Corpus(BaseModel):
    """What was published on a corpus: ratings of whole clips in ``rows``, ratings over time in ``dynamic``."""

    title: str
    build: str
    rows: tuple[Row, ...]
    dynamic: tuple[Row, ...] = ()
    caveats: tuple[str, ...]


class Published(BaseModel):
    """Content of ``published.json``."""

    emomusic: Corpus
    pmemo: Corpus
    deam: Corpus
    sources: dict[str, Origin]


@cache
def published() -> Published:
    """Read the published numbers."""
    return Published.model_validate_json(Path(__file__).with_name("published.json").read_bytes())


def default_name(name: str) -> str:
    """Return the name of the dataset whose numbers can be compared with those published on a corpus."""
    return f"{name}-static-{SPLIT}"


def reproduce(
    name: str,
    places: Places,
    networks: NetworkConfig,
    *,
    features: Sequence[str] = (),
    device: str,
    pool: Executor,
    allow_leakage: bool = False,
) -> Table:
    """Score features with ridge regression on a corpus, and show the published numbers beside them.

    Parameters
    ----------
    name : {"emomusic", "pmemo", "deam"}
        Corpus.
    places : Places
        Dataset, results and models. Ratings over time of DEAM with a split of MediaEval are compared with those
        published on MediaEval's task; all others as one prediction per clip.
    features : sequence of str
        Features; by default the standard ones, alone and joined.
    networks, device, pool, allow_leakage
        As for :func:`.runs.run`.

    Returns
    -------
    Table
        Notes contain citations, splits and what limits the comparison.

    Raises
    ------
    InputError
        If there is no such dataset, or it was built from another corpus.
    """
    corpus: Corpus = getattr(published(), name)
    if not (places.dataset / MANIFEST).is_file():
        raise InputError(
            f"{places.dataset}: no dataset there; build it with 'emobench build-data {name} {corpus.build}', or name "
            "the folder in `dataset`."
        )
    manifest = load_manifest(places.dataset)
    source = manifest.source.get("type")
    if source != name:
        raise InputError(
            f"{places.dataset}: was built from the source {source}; expected {name}, as from 'emobench build-data "
            f"{name} {corpus.build}'."
        )
    settings = manifest.config.source
    dynamic = bool(corpus.dynamic) and settings.get("labels") != "static" and settings.get("split") in MEDIAEVAL
    config = runs.RunConfig(regressors=("ridge",), task="second" if dynamic else "clip")
    outcome = runs.run(
        features or FEATURES, places, config, networks, device=device, pool=pool, allow_leakage=allow_leakage
    )
    rows = corpus.dynamic if dynamic else corpus.rows
    notes = [
        *_citations(rows),
        # MediaEval's table itself says where folds differ from those of the task.
        *([] if dynamic else [*_mismatches(manifest), *corpus.caveats]),
        *(f"Not computed: {note}" for note in outcome.notes),
    ]
    slug = f"{outcome.results[0].dataset.label}-{name}"
    make = _mediaeval_table if dynamic else _clip_table
    return make(corpus.title, slug, rows, outcome.results, notes)


def _numbers(rows: Sequence[Row]) -> dict[str, int]:
    """Number the sources in the order of their rows."""
    return {source: number for number, source in enumerate(dict.fromkeys(row.source for row in rows), 1)}


def _citations(rows: Sequence[Row]) -> list[str]:
    found = published().sources
    return [
        f"[{number}] {found[source].citation}. Split {found[source].split}. {found[source].caveats}"
        for source, number in _numbers(rows).items()
    ]


def _mismatches(manifest: Manifest) -> list[str]:
    """State why numbers of the dataset cannot be compared with those published on static ratings."""
    own = manifest.config.source.get("split") or "albums"
    lines = []
    if own != SPLIT:
        lines.append(f"the folds of {manifest.title} are those of the split {own}, not of {SPLIT}")
    if manifest.config.source.get("labels") != "static":
        lines.append("clips are rated by the means of their ratings over time, not as a whole")
    if left_out := len(manifest.excluded):
        lines.append(f"{left_out} clips of the dataset are excluded from our entries")
    return [f"Not comparable with the published numbers: {'; '.join(lines)}."] if lines else []


def _label(row: Row, rows: Sequence[Row]) -> str:
    return f"{row.method} [{_numbers(rows)[row.source]}]"


def _clip_table(title: str, slug: str, rows: Sequence[Row], results: Sequence[Result], notes: Sequence[str]) -> Table:
    """Arrange R² of both axes, the published numbers first, each part by R² of arousal and valence together."""
    ranked = sorted(rows, key=lambda row: -sum(getattr(row, f"r2_{axis}") or 0 for axis in AXES))
    cells: list[tuple[str, ...]] = []
    records: list[dict[str, JsonValue]] = []
    for row in ranked:
        values = {f"r2_{axis}": getattr(row, f"r2_{axis}") for axis in AXES}
        cells.append(
            ("published", _label(row, rows), *(cell for each in values.values() for cell in (plain(each, ".3f"), DASH)))
        )
        origin = published().sources[row.source]
        records.append({"origin": "published", "method": row.method, **values, **origin.model_dump()})
    for result in sorted(results, key=lambda each: (each.reference, -_sum(each))):
        scores = [result.scores[f"r2_{axis}"] for axis in AXES]
        cells.append(
            ("ours", entry_label(result), *(cell for each in scores for cell in (number(each), interval(each.ci95))))
        )
        record: dict[str, JsonValue] = {"origin": "ours", "method": result.name}
        for axis, score in zip(AXES, scores, strict=True):
            low, high = score.ci95 or (None, None)
            record |= {f"r2_{axis}": score.mean, f"r2_{axis}_low": low, f"r2_{axis}_high": high}
        records.append({**record, "split": result.dataset.split, "signature": result.signature})
    part = "95\N{NO-BREAK SPACE}%"
    return Table(
        title=f"Published numbers on {title} beside {board_title(results[0])}",
        slug=slug,
        columns=(
            "From",
            "Method",
            *(name for axis in AXES for name in (f"R² {axis.title()}", f"{axis.title()} {part}")),
        ),
        rows=cells,
        notes=[*notes, POOLED, INTERVALS, *notes_of(results)],
        records=records,
        text_columns=2,
        optional=[(3, 5)],
    )


def _sum(result: Result) -> float:
    return sum(result.scores[f"r2_{axis}"].mean or 0.0 for axis in AXES)


def _mediaeval_table(
    title: str, slug: str, rows: Sequence[Row], results: Sequence[Result], notes: Sequence[str]
) -> Table:
    """Put the published rows above MediaEval's measures of our results."""
    ours = per_song_table(results, [entry_label(each) for each in results], name=board_title(results[0]), slug=slug)
    cells = [
        (f"{_label(row, rows)}, published", *(plain(getattr(row, f"rmse_{axis}"), ".3f") for axis in AXES), DASH, DASH)
        for row in rows
    ]
    records: list[Mapping[str, JsonValue]] = [
        {"origin": "published", **row.model_dump(exclude={"source"}), **published().sources[row.source].model_dump()}
        for row in rows
    ]
    records += [
        {"origin": "ours", "method": each.name, "signature": each.signature}
        | {f"rmse_{axis}": _doubled(each, f"rmse_{axis}_per_song") for axis in AXES}
        for each in results
    ]
    return Table(
        title=f"Published numbers on {title} beside {board_title(results[0])}: {ours.title.partition(':')[0]}",
        slug=slug,
        columns=ours.columns,
        rows=[*cells, *ours.rows],
        notes=[*notes, *ours.notes],
        records=[dict(record) for record in records],
    )


def _doubled(result: Result, name: str) -> float | None:
    """Return a score on MediaEval's scale of -1 to 1."""
    mean = result.scores[name].mean
    return None if mean is None else 2 * mean
