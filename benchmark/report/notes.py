"""Notes below the tables of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...protocols import metrics
from ..results.checks import LEVELS
from ..results.model import Result
from ..scoring.pairs import LEVEL
from .labels import (
    CARRIED,
    SCORES,
    context_shown,
    display_name,
    entry_label,
    interval,
    minus,
    residual_notes,
    shared_notes,
)

if TYPE_CHECKING:
    from ..scoring.ranking import Ranking

SYNTHETIC = "Synthetic music and ratings: these numbers say nothing about real music."
BIASED = "Do not compare these entries with others."
LEAKS = (
    f"{CARRIED[0].upper()}{CARRIED[1:]}: each fold was fine-tuned from the weights of the previous one, so clips "
    f"tested in a later fold were used for training in an earlier one. {BIASED}"
)
SEEDS = (
    "The score of an entry of several seeds is the mean over networks that were trained from different seeds, followed "
    "by the lowest and the highest score of a seed in brackets. Ranks and intervals are those of the mean."
)
PLUS_MINUS = "± is the sample standard deviation over the repeats."
ONE_REPEAT = "There is one repeat, hence no ±. The leaderboard shows bootstrap intervals over albums."
RANKS = "The rank of an entry is 1 plus the number of entries that are significantly better"
TESTS = (
    "Better Than and Worse Than count the entries that are significantly worse and better: randomisation test over "
    "albums, p < {level:g}, corrected for all {pairs} pairs of the {count} ranked entries. Beats Constant says whether "
    "an entry is significantly better than the training mean; it is corrected for these comparisons alone."
)
EXTERNAL = (
    "These entries are compared with all others, but do not count in the ranks of the others, because nobody can check "
    "how the predictions were made."
)
INTERVALS = "Intervals are 95 % intervals from a bootstrap over albums."
COST = (
    "Seconds per Clip: time of one processor from audio to features. Training Seconds: pre-training, fine-tuning and "
    "regression of all repeats. Whoever ran an entry states its cost, which cannot be verified."
)
Variants = Mapping[str, str]
Levels = Mapping[str, str]


def notes_of(results: Sequence[Result], ranking: Ranking | None = None, levels: Levels | None = None) -> list[str]:
    """Return the notes below any table of results."""
    spread = any(result.scores["mean_distance"].std is not None for result in results)
    notes = [PLUS_MINUS if spread else ONE_REPEAT]
    if ranking is not None:
        count = ranking.counts.get(results[0].board, 0)
        notes.append(f"{RANKS}, among {count} ranked entries; Rank is by mean distance, KL Rank by KL divergence.")
    notes.append(f"{' or '.join(map(str, sorted({result.n_clips for result in results})))} clips.")
    if results[0].dataset.synthetic:
        notes.append(SYNTHETIC)
    notes += (
        seed_notes(results)
        + shared_notes(results)
        + _annotator_notes(results)
        + _context_notes(results)
        + _pretraining_notes(results)
    )
    notes += verified_notes(results, levels)
    leaks = dict.fromkeys(leak for result in results for leak in result.config.leakage)
    return notes + [f"Leakage allowed: {leak}. {BIASED}" for leak in leaks]


def seed_notes(results: Sequence[Result]) -> list[str]:
    """Say what the scores of several seeds are, if there are any."""
    return [SEEDS] if any(len(result.members) > 1 for result in results) else []


def verified_notes(results: Sequence[Result], levels: Levels | None) -> list[str]:
    """Say to which level the entries of a published board were verified when they were published or merged."""
    if levels is None:
        return []
    reached = Counter(levels.get(result.signature) for result in results)
    counts = [f"{reached[level]} to {level}" for level in LEVELS if reached[level]]
    counts += [f"{reached[None]} not verified"] if reached[None] else []
    return [f"Verified when they were published or merged: {', '.join(counts)} ('emobench verify')."]


def _annotator_notes(results: Sequence[Result]) -> list[str]:
    """Say how well annotators predict each other, and what a perfect model would reach, with intervals."""
    said = {
        "human": "Human: the ratings of one half of the annotators, predicted by those of the other half",
        "ceiling": "Ceiling: a perfect model of the population that the annotators come from",
    }
    notes = []
    for result in results:
        if result.features not in said:
            continue
        named = [*((score, metrics[score].title) for score in SCORES), *_axes("r2"), *_axes("ccc")]
        scores = [
            f"{title} {minus(score.mean)} ({interval(score.ci95)})"
            for name, title in named
            if (score := result.scores.get(name)) is not None and score.mean is not None
        ]
        notes.append(f"{said[result.features]}: {', '.join(scores)}.")
    return notes


def _axes(metric: str) -> list[tuple[str, str]]:
    names = [f"{metric}_{axis}" for axis in ("arousal", "valence")]
    return [(name, metrics[name].title) for name in names if name in metrics]


def _context_notes(results: Sequence[Result]) -> list[str]:
    """Warn if the features of some entries are pooled over more time than those of others."""
    contexts = sorted({context_shown(result) for result in results if not result.reference})
    if len(contexts) < 2:
        return []
    return [
        f"Entries differ in their context ({', '.join(contexts)}). A longer context alone can improve scores, so "
        "compare features with the same context."
    ]


def _pretraining_notes(results: Sequence[Result]) -> list[str]:
    """Name the features whose networks were pre-trained on clips of the dataset itself."""
    seen: dict[tuple[int, int], list[str]] = {}
    for result in results:
        if clips := result.config.pretrained_clips:
            seen.setdefault((clips, result.n_clips), []).append(display_name(result.features, result.feature_metadata))
    return [
        f"Pre-trained on {clips} of the {all_clips} clips of this dataset, test clips included, without their labels: "
        f"{', '.join(dict.fromkeys(names))}."
        for (clips, all_clips), names in seen.items()
    ]


def rank_notes(results: Sequence[Result], ranking: Ranking, variants: Variants) -> list[str]:
    """Return the notes below a table of ranks."""
    count = ranking.counts.get(results[0].board, 0)
    tests = TESTS.format(level=LEVEL, pairs=count * (count - 1) // 2, count=count)
    notes = [f"{RANKS}: Rank by mean distance, KL Rank by KL divergence. {tests}"]
    if results[0].external:
        notes.append(EXTERNAL)
    return notes + seed_notes(results) + residual_notes(results) + unranked_notes(results, ranking, variants)


def unranked_notes(results: Sequence[Result], ranking: Ranking, variants: Variants) -> list[str]:
    """Return one note for each reason why entries have no rank."""
    without: dict[str, list[str]] = {}
    for result in results:
        if result.signature in ranking.unranked:
            label = entry_label(result, variants.get(result.signature, ""))
            without.setdefault(ranking.unranked[result.signature], []).append(label)
    return [f"No rank for {', '.join(labels)}: {reason}." for reason, labels in without.items()]
