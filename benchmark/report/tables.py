"""Results as the paper's tables: one of single features (Table 2), one of networks (Table 3), a dataset at a time.

With a ranking these have ranks, and a third table adds what the paper does not report: significant differences,
intervals, and the cost of each entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...cards.tables import Table
from ...dbn.domains import NAMES as DOMAINS
from ..results.store import CARRIED, carried_over, dataset_key, leak_mark, leaks_of, phase_shown
from ..scoring.pairs import LEVEL
from .mediaeval import per_song_table

if TYPE_CHECKING:
    from ..scoring.ranking import Ranking

Result = dict[str, Any]

DISPLAY = {
    "mfcc": "MFCC",
    "chroma": "Chroma",
    "spectral_shape": "Spectral Shape",
    "spectral_contrast": "Spectral Contrast",
    "ent": "ENT",
    "rhythm": "Rhythm",
    "pitch": "Pitch",
    "pitch2d": "2-d FFT Pitch",
    "constant": "constant (training mean)",
    "oracle": "oracle (clip mean)",
}

NO_ENT = (
    "ENT has no row: Echo Nest timbre cannot be computed from audio. It is read from MSD track files (.h5) "
    "beside the clips' audio, or in the folder named with --msd."
)
SYNTHETIC = "Synthetic music and ratings: these numbers say nothing about music by people."
LEAKS = (
    f"{CARRIED[0].upper()}{CARRIED[1:]}: each fold was fine-tuned from the weights of the one before, so clips tested "
    "in a later fold were trained on in an earlier one. These rows are no measure of anything else."
)
PLUS_MINUS = "± is the sample standard deviation over the repeats."
ONE_REPEAT = "One repeat, so no ± over repeats; the leaderboard has intervals by a bootstrap over albums."
RANKS = (
    "An entry's rank is 1 plus the number of entries that are significantly better by mean distance, its KL rank the "
    "same by KL divergence"
)
TESTS = (
    "Better Than and Worse Than count the entries that are significantly worse and better: a randomisation test over "
    "albums, p < {level:g}, corrected for all {pairs} pairs of the {rows} ranked entries. Beats Constant tells whether "
    "an entry is significantly better than the training mean, corrected for these comparisons alone."
)
PHASES = ("Pre-training", "Fine-tuning")
INTERVAL = "95\N{NO-BREAK SPACE}% Interval"
STANDING_COLUMNS = (
    "Feature Type",
    "Rank",
    "Mean Distance",
    INTERVAL,
    "Better Than",
    "Worse Than",
    "Beats Constant",
    "KL Rank",
    "KL",
    f"KL {INTERVAL}",
    "Dims",
    "Seconds a Clip",
    "Training Seconds",
)
INTERVALS = "Intervals hold 95 %; the bootstrap resamples albums."
COST = (
    "Seconds of a clip are those of one processor, from audio to features; training is pre-training, fine-tuning and "
    "regression of all repeats."
)


def display_name(features: str) -> str:
    """Features as the paper writes them."""
    return "+".join(DISPLAY.get(part, part) for part in features.split("+"))


def number(score: dict[str, Any]) -> str:
    """Mean and SD of a score."""
    if score["mean"] is None:
        return "–"
    spread = "" if score["std"] is None else f" ± {score['std']:.3f}"
    return f"{_minus(score['mean'])}{spread}"


def interval(score: dict[str, Any]) -> str:
    """The 95 % interval of a score."""
    if score["ci95"] is None:
        return "–"
    low, high = score["ci95"]
    return f"{low:.3f}–{high:.3f}" if low >= 0 else f"{_minus(low)} to {_minus(high)}"


def difference(value: float | None) -> str:
    """A difference, with its sign."""
    return "–" if value is None else _minus(value, "+.3f")


def _minus(value: float, form: str = ".3f") -> str:
    return format(value, form).replace("-", "−")


def rank_shown(result: Result, ranking: Ranking, score: str = "mean_distance") -> str:
    """Rank of a row; a dash where it has none."""
    standing = ranking.standings[score].get(result["signature"])
    return "–" if standing is None else str(standing.rank)


def beats_constant_shown(result: Result, ranking: Ranking) -> str:
    """Whether a row beats the training mean by mean distance, as yes or no; a dash where it was not compared."""
    standing = ranking.standings["mean_distance"].get(result["signature"])
    return "–" if standing is None or standing.beats_constant is None else "yes" if standing.beats_constant else "no"


def _record(result: Result, ranking: Ranking | None) -> dict[str, Any]:
    """A row with full precision."""
    record: dict[str, Any] = {
        "dataset": f"{result['dataset']['name']}@{result['dataset']['version']}",
        "features": result["features"] + leak_mark(result),
        "layer": result["layer"],
        "phase": phase_shown(result),
        "regressor": result["regressor"],
        "dims": result["dims"],
        "n_clips": result["n_clips"],
    }
    if ranking is not None:
        record |= _rank_fields(result["signature"], ranking)
    for name, score in result["scores"].items():
        low, high = score["ci95"] or (None, None)
        record |= {name: score["mean"], f"{name}_std": score["std"], f"{name}_low": low, f"{name}_high": high}
    record |= {
        "covariance_repaired": result["covariance_repaired"],
        "pretrained_clips": result.get("config", {}).get("pretrained_clips", 0),
        **result["cost"],
        "signature": result["signature"],
    }
    return record


def _rank_fields(signature: str, ranking: Ranking) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, prefix in (("mean_distance", ""), ("kl_divergence", "kl_")):
        found = ranking.standings[name].get(signature)
        columns = ("rank", "better_than", "worse_than", "beats_constant", "behind")
        values = {column: getattr(found, column, None) for column in columns}
        low, high = found.behind_ci95 if found else (None, None)
        values |= {"behind_low": low, "behind_high": high}
        fields |= {f"{prefix}{column}": value for column, value in values.items()}
    return {**fields, "no_rank": ranking.unranked.get(signature)}


def tables(results: Sequence[Result], ranking: Ranking | None = None) -> list[Table]:
    """Tables of results; those of different datasets or folds never stand in one.

    Parameters
    ----------
    results : sequence of dict
        As :func:`emobench.benchmark.results.store.read_results` gives them.
    ranking : Ranking, optional
        Of these results (:func:`emobench.benchmark.scoring.ranking.ranking`).

    Returns
    -------
    list of Table
        For each dataset one of the rows without networks and one of those with, where there are any; one of
        MediaEval's measures where its songs are the test part; with a ranking also one of ranks, intervals and cost.
    """
    made = []
    keys = list(dict.fromkeys(dataset_key(result) for result in results))
    for key in keys:
        own = [result for result in results if dataset_key(result) == key]
        name = dataset_title(own[0], keys)
        single = [result for result in own if result["layer"] is None]
        deep = [result for result in own if result["layer"] is not None]
        if single:
            made.append(_single_table(single, name, ranking))
        if deep:
            made.append(_deep_table(deep, name, ranking))
        if own[0]["dataset"].get("split"):
            labels = [row_label(result) for result in own]
            made.append(per_song_table(own, labels, name=name, slug=_slug(own[0], "per-song")))
        if ranking is not None:
            made.append(_standing_table(own, name, ranking))
    return made


def dataset_title(result: Result, keys: Sequence[tuple[str, ...]] = ()) -> str:
    """Name of a result's dataset; with manifest and folds where several of ``keys`` are called the same."""
    name, version, manifest, folds = dataset_key(result)
    title = f"{name}@{version}" + (" (synthetic)" if result["dataset"].get("synthetic") else "")
    alike = [key for key in keys if key[:2] == (name, version)]
    if len({key[2] for key in alike}) > 1:
        title += f" [manifest {manifest[:8]}]"
    if len({key[3] for key in alike if key[2] == manifest}) > 1:
        title += f" [folds {folds[:8]}]"
    return title


def _slug(result: Result, what: str) -> str:
    name, version, manifest, folds = dataset_key(result)
    return f"{name}@{version}-{manifest[:8]}-{folds[:8]}-{what}".replace("--", "-")


def notes_of(results: Sequence[Result], ranking: Ranking | None = None) -> list[str]:
    """What stands below any table of results: how to read it, its clips, what is synthetic or leaks."""
    spread = any(result["scores"]["mean_distance"]["std"] is not None for result in results)
    notes = [PLUS_MINUS if spread else ONE_REPEAT]
    if ranking is not None:
        notes.append(f"{RANKS}, among all {ranking.rows.get(dataset_key(results[0]), 0)} ranked entries.")
    counts = {result["n_clips"] for result in results}
    notes.append(f"{' or '.join(str(count) for count in sorted(counts))} clips.")
    if results[0]["dataset"].get("synthetic"):
        notes.append(SYNTHETIC)
    notes += _pretraining_notes(results)
    leaks = dict.fromkeys(leak for result in results for leak in leaks_of(result))
    notes += [f"Leakage allowed: {leak}. These rows are no measure of anything else." for leak in leaks]
    return notes


def _pretraining_notes(results: Sequence[Result]) -> list[str]:
    """Name the features whose networks were pre-trained on clips of the dataset itself."""
    seen: dict[tuple[int, int], list[str]] = {}
    for result in results:
        clips = result.get("config", {}).get("pretrained_clips", 0)
        if clips:
            seen.setdefault((clips, result["n_clips"]), []).append(display_name(result["features"]))
    return [
        f"Pre-trained on {clips} of the {all_clips} clips of this dataset, test clips included, without their labels: "
        f"{', '.join(dict.fromkeys(names))}."
        for (clips, all_clips), names in seen.items()
    ]


def marks(result: Result) -> str:
    """What follows the features of a row: another regressor than the paper's, its variant, and that its data leak."""
    found = [*([] if result["regressor"] == "mlr" else [result["regressor"]]), *filter(None, [result.get("variant")])]
    return "".join(f" [{mark}]" for mark in found) + leak_mark(result)


def row_label(result: Result) -> str:
    """A row by itself: features, layer, phase and regressor."""
    where = "" if result["layer"] is None else f", layer {result['layer']}, {phase_shown(result)}"
    return display_name(result["features"]) + where + marks(result)


def _single_table(results: Sequence[Result], name: str, ranking: Ranking | None) -> Table:
    order = list(DISPLAY)

    def place(result: Result) -> tuple[int, int, str]:
        features = result["features"]
        reference = features in ("constant", "oracle")
        return int(reference), order.index(features) if features in order else len(order), features

    ordered = sorted(results, key=place)
    notes = notes_of(results, ranking)
    if not any("ent" in result["features"].split("+") for result in results):
        notes.append(NO_ENT)
    ranked, columns = ranking is not None, ["Feature Type"]
    columns += ["Rank", "Average Mean Distance", "KL Rank"] if ranked else ["Average Mean Distance"]
    rows = []
    for result in ordered:
        cells = [number(result["scores"][score]) for score in ("mean_distance", "kl_divergence")]
        if ranking is not None:
            ranks = [rank_shown(result, ranking, score) for score in ("mean_distance", "kl_divergence")]
            cells = [ranks[0], cells[0], ranks[1], cells[1]]
        rows.append((display_name(result["features"]) + marks(result), *cells))
    return Table(
        title=f"Emotion regression from standard features: {name}",
        slug=_slug(results[0], "features"),
        columns=[*columns, "Average KL Divergence"],
        rows=rows,
        notes=notes,
        records=[_record(result, ranking) for result in ordered],
        optional=[3] if ranked else [],
    )


def _deep_table(results: Sequence[Result], name: str, ranking: Ranking | None) -> Table:
    by_row: dict[tuple[str, str, bool, bool, int], dict[str, Result]] = {}
    for result in results:
        control = result["phase"].startswith("random")
        column = "fine-tuned" if result["phase"].endswith("fine-tuned") else "pre-trained"
        key = (result["features"], marks(result), control, carried_over(result), result["layer"])
        by_row.setdefault(key, {})[column] = result

    def place(key: tuple[str, str, bool, bool, int]) -> tuple[int, list[int], str, bool, bool, int]:
        parts = key[0].split("+")
        ranks = [DOMAINS.index(part) if part in DOMAINS else len(DOMAINS) for part in parts]
        return len(parts), ranks, key[0] + key[1], *key[2:]

    rows, records = [], []
    for key in sorted(by_row, key=place):
        features, _, control, carried, layer = key
        found = by_row[key]
        cells = []
        for column in ("pre-trained", "fine-tuned"):
            if ranking is not None:
                cells.append(rank_shown(found[column], ranking) if column in found else "–")
            scores = found[column]["scores"] if column in found else None
            # What is carried over are fine-tuned weights: the pre-trained ones have their own row.
            nothing = "–" if carried and column == "pre-trained" else "not run"
            cells += [number(scores[metric]) if scores else nothing for metric in ("mean_distance", "kl_divergence")]
        first = next(iter(found.values()))
        label = display_name(features) + (", random weights" if control else "")
        label += (f", fine-tuned, {CARRIED}" if carried else "") + marks(first)
        rows.append((f"Layer {layer}", label, *cells))
        records += [_record(found[column], ranking) for column in ("pre-trained", "fine-tuned") if column in found]
    notes = notes_of(results, ranking)
    if any(key[2] for key in by_row):
        notes.append("Random weights: the control, never pre-trained.")
    if any(key[3] for key in by_row):
        notes.append(LEAKS)
    shown = ("Rank", "Distance", "KL") if ranking is not None else ("Distance", "KL")
    return Table(
        title=f"Emotion regression from deep belief networks: {name}",
        slug=_slug(results[0], "networks"),
        columns=("DBN Layer", "Feature Type", *(f"{phase} {part}" for phase in PHASES for part in shown)),
        rows=rows,
        notes=notes,
        records=records,
        text_columns=2,
        optional=[2, 5] if ranking is not None else [],
    )


def _standing_table(results: Sequence[Result], name: str, ranking: Ranking) -> Table:
    """Ranks, intervals and cost, the best row first."""

    def place(result: Result) -> float:
        mean = result["scores"]["mean_distance"]["mean"]
        return float("inf") if mean is None else mean

    processors = sorted({result["cost"].get("processor", "an unknown processor") for result in results})
    rows = []
    for result in sorted(results, key=place):
        distance, divergence = (result["scores"][score] for score in ("mean_distance", "kl_divergence"))
        standing = ranking.standings["mean_distance"].get(result["signature"])
        cost = result["cost"]
        row = [
            row_label(result),
            rank_shown(result, ranking),
            _plain(distance["mean"], ".3f"),
            interval(distance),
            "–" if standing is None else str(standing.better_than),
            "–" if standing is None else str(standing.worse_than),
            beats_constant_shown(result, ranking),
            rank_shown(result, ranking, "kl_divergence"),
            _plain(divergence["mean"], ".3f"),
            interval(divergence),
            str(result["dims"]),
            _plain(cost["seconds_per_clip"], ".2g"),
            _plain(cost["train_seconds"], ".1f"),
        ]
        rows.append([*row, cost.get("processor", "–")] if len(processors) > 1 else row)
    return Table(
        title=f"Ranks, intervals and cost: {name}",
        slug=_slug(results[0], "ranks"),
        columns=[*STANDING_COLUMNS, *(["Processor"] if len(processors) > 1 else [])],
        rows=rows,
        notes=[*_rank_notes(results, ranking), INTERVALS, f"{COST} On {' and '.join(processors)}."],
        optional=[8, 7, 2, 5, 4, 9, *([13] if len(processors) > 1 else [])],
    )


def _plain(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _rank_notes(results: Sequence[Result], ranking: Ranking) -> list[str]:
    rows = ranking.rows.get(dataset_key(results[0]), 0)
    notes = [f"{RANKS}. {TESTS.format(level=LEVEL, pairs=rows * (rows - 1) // 2, rows=rows)}"]
    without: dict[str, list[str]] = {}
    for result in results:
        if result["signature"] in ranking.unranked:
            without.setdefault(ranking.unranked[result["signature"]], []).append(row_label(result))
    return notes + [f"No rank for {', '.join(labels)}: {reason}." for reason, labels in without.items()]
