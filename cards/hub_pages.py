"""Cards of releases to the Hub: results, Spaces and scored models, with the YAML header that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from .dataset import size_category
from .render import fill, markdown
from .tables import Table, to_markdown


def results_card(
    repo: str,
    tables: Sequence[Table],
    *,
    entries: int,
    predictions: Mapping[str, Mapping[str, str]],
    predicted: int,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Write the card of a repository of results.

    Parameters
    ----------
    repo : str
        ``user/name``.
    tables : sequence of Table
        Tables to show.
    entries : int
        Number of leaderboard entries.
    predictions : mapping
        Splits of each config, and the file of each split.
    predicted : int
        Total number of predictions.
    pictures : mapping of str to str, optional
        Path in the repository of the picture below a table, by the table's slug.
    """
    below = {slug: f"\n![Picture of the table above]({path})\n" for slug, path in (pictures or {}).items()}
    return fill(
        "results.md.j2",
        repo=repo,
        tables="\n".join(to_markdown(table) + below.get(table.slug, "") for table in tables),
        entries=entries,
        predictions=predictions,
        size=size_category(predicted),
    )


def space_card(repo: str) -> str:
    """Write the card of the static Space that shows the results of a repository."""
    return fill("space.md.j2", repo=repo)


def scored_card(
    card: str,
    entries: Sequence[Mapping[str, str]],
    *,
    synthetic: bool,
    evaluation: list[EvalResult] | None,
    name: str,
    further: Mapping[str, str] | None = None,
) -> str:
    """Add scores to a model's card, and optionally one result in the Hub's format.

    The format is ``model-index``, which accepts any metric. The newer ``.eval_results/*.yaml`` takes larger values for
    better ones, which rules out distances; :mod:`emobench.benchmark.publishing.model` writes it beside the card.

    Parameters
    ----------
    card : str
        Card from pre-training.
    entries : sequence of mapping
        ``dataset, features, layer, phase, mean_distance, kl_divergence, signature`` of each entry as displayed.
    synthetic : bool
        Whether an entry belongs to a synthetic dataset.
    evaluation : list of EvalResult or None
        Result, one item per metric.
    name : str
        Name of the model.
    further : mapping of str to str, optional
        Name to title of further metrics that the entries have.
    """
    if entries:
        cells = [{key: markdown(value) for key, value in entry.items()} for entry in entries]
        scores = fill("model_scores.md.j2", entries=cells, synthetic=synthetic, further=further or {})
        card = card.rstrip("\n") + "\n" + scores
    if evaluation is None:
        return card
    made = ModelCard(card)
    data: Any = made.data
    data.model_name, data.eval_results = name, evaluation
    return str(made)
