"""How tables, pages and cards name entries, and how they write numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from ...protocols import Metric, metrics
from ...protocols import features as registry
from ...runtime.text import counted
from ..features.spec import parts_of
from ..results.model import MetricScore, Result
from ..results.seeds import SeedScore

# Marks of entries whose scores are biased.
CARRIED = "carried over (leaks)"
LEAKED = "leakage allowed"
OVERLAP = "overlap"

DASH = "–"

# What test clips of a published split may share with its other parts.
SHARED = {"artist": "an artist", "album": "an album", "recording": "a recording"}

# Metrics by which entries are ranked.
SCORES = ("mean_distance", "kl_divergence")


def display_name(features: str, metadata: Mapping[str, JsonValue] | None = None) -> str:
    """Return the titles of features, joined by ``+``.

    Parameters
    ----------
    features : str
        Names joined by ``+``.
    metadata : mapping, optional
        The ``feature_metadata`` of a result, for features that are not installed here.
    """

    def title(part: str) -> str:
        known = (metadata or {}).get(part)
        stored = known.get("title") if isinstance(known, dict) else None
        return str(stored) if stored else registry.title(part)

    return "+".join(title(part) for part in parts_of(features))


def further_metrics() -> list[Metric]:
    """Return the metrics that have a column of their own beside mean distance and KL divergence."""
    return [metric for metric in metrics.all() if metric.column and metric.name not in SCORES]


def phase_shown(result: Result) -> str | None:
    """Return the phase of an entry, marked if weights were carried over."""
    return f"{result.phase}, {CARRIED}" if result.config.carry_over else result.phase


def leak_mark(result: Result) -> str:
    """Return the mark of an entry whose leakage was allowed, or ``""``."""
    return f" [{LEAKED}]" if result.config.leakage else ""


def marks(result: Result, variant: str = "") -> str:
    """Return what follows the features of an entry: context, regressor other than the paper's, seeds, variant, bias."""
    regressor = "" if result.regressor in (None, "mlr") else result.regressor
    context = "" if result.task == "clip" or result.context is None else f"context {context_shown(result)}"
    stated = result.feature_metadata.values()
    seeds = f"{len(result.members)} seeds" if len(result.members) > 1 else ""
    overlap = OVERLAP if any(isinstance(each, dict) and each.get("overlap") for each in stated) else ""
    return "".join(f" [{mark}]" for mark in (context, regressor, seeds, variant, overlap) if mark) + leak_mark(result)


def context_shown(result: Result) -> str:
    """Say over what time the features of an entry are pooled."""
    return {None: "1 s", "clip": "whole clip"}.get(result.context, f"{result.context} s")


def entry_label(result: Result, variant: str = "") -> str:
    """Return the full name of an entry for people: features, layer, phase and marks."""
    where = "" if result.layer is None else f", layer {result.layer}, {phase_shown(result)}"
    return display_name(result.features, result.feature_metadata) + where + marks(result, variant)


def board_title(result: Result, among: Sequence[tuple[str, ...]] = ()) -> str:
    """Return the name of a result's dataset, with task, manifest and folds if ``among`` holds others of its name."""
    dataset = result.dataset
    name, version, manifest, folds = dataset.key
    title = dataset.label + (" (synthetic)" if dataset.synthetic else "")
    title += ", one prediction per clip" if result.task == "clip" else ""
    alike = [key for key in among if key[:2] == (name, version)]
    if len({key[2] for key in alike}) > 1:
        title += f" [manifest {manifest[:8]}]"
    if len({key[3] for key in alike if key[2] == manifest}) > 1:
        title += f" [folds {folds[:8]}]"
    return title


def shared_notes(results: Sequence[Result]) -> list[str]:
    """State what test clips of a published split share with training, as far as one of the results says it.

    Parameters
    ----------
    results : sequence of Result
        Results of one dataset.
    """
    split = results[0].dataset.split
    found = [result.leakage.shared_with_training for result in results if result.leakage.shared_with_training]
    if split is None or not found:
        return []
    counts = {what: [count for each in found if (count := getattr(each, what)) is not None] for what in SHARED}
    known = [(max(numbers), SHARED[what]) for what, numbers in counts.items() if numbers]
    unknown = [f"{what}s" for what, numbers in counts.items() if not numbers]
    listed = [
        f"{count} {'' if place else 'shares ' if count == 1 else 'share '}{what}"
        for place, (count, what) in enumerate(known)
    ]
    shared = " and ".join(filter(None, [", ".join(listed[:-1]), *listed[-1:]]))
    stated = (
        f"of {counted(found[0].test_clips, 'test clip')}, {shared} with training or verification. " if known else ""
    )
    lacking = f"Shared {' and '.join(unknown)} are not known. " if unknown else ""
    return [
        f"Published split {split}: {stated}{lacking}Compare with the split artists, which has no artist in two parts."
    ]


def residual_notes(results: Sequence[Result]) -> list[str]:
    """State to which entries of a board the covariance of residuals was added, if they are not all alike.

    Parameters
    ----------
    results : sequence of Result
        Results of one board.
    """
    fitted = [result for result in results if not result.reference and not result.external]
    names = {
        added: sorted({each.regressor or "" for each in fitted if each.config.residual_covariance == added})
        for added in (True, False)
    }
    if not all(names.values()):
        return []
    return [
        "The covariance of the residuals on the verification part was added to the predicted covariance with the "
        f"regressor{'s' if len(names[True]) > 1 else ''} {', '.join(names[True])}, and not with "
        f"{', '.join(names[False])}; compare KL divergence only among entries that are alike in this."
    ]


def number(score: MetricScore | None) -> str:
    """Format the mean and standard deviation of a score, and its spread over seeds, or a dash if there is none."""
    if score is None or score.mean is None:
        return DASH
    return minus(score.mean) + ("" if score.std is None else f" ± {score.std:.3f}") + spread(score)


def spread(score: MetricScore) -> str:
    """Format the lowest and highest score of several seeds; nothing for a single one."""
    return f" ({interval(score.spread)})" if isinstance(score, SeedScore) and score.spread else ""


def interval(ci95: tuple[float, float] | None) -> str:
    """Format a 95 % interval."""
    if ci95 is None:
        return DASH
    low, high = ci95
    return f"{low:.3f}–{high:.3f}" if low >= 0 else f"{minus(low)} to {minus(high)}"


def difference(value: float | None) -> str:
    """Format a difference, with its sign."""
    return DASH if value is None else minus(value, "+.3f")


def plain(value: float | None, form: str) -> str:
    """Format a number, or a dash for None."""
    return DASH if value is None else format(value, form)


def minus(value: float, form: str = "z.3f") -> str:
    """Format a number with a typographic minus sign; by default without the sign of what is rounded to zero."""
    return format(value, form).replace("-", "−")


def by_distance(result: Result) -> float:
    """Return the key that sorts entries by mean distance, the best first and undefined ones last."""
    mean = result.scores["mean_distance"].mean
    return float("inf") if mean is None else mean
