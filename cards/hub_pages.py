"""Cards of releases to the Hub: results, Spaces and scored models, with the YAML header that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from .dataset import size_category
from .render import fill, markdown
from .tables import Table, to_markdown


def results_card(
    repo: str, tables: Sequence[Table], *, rows: int, predictions: Mapping[str, Mapping[str, str]], predicted: int
) -> str:
    """Write the card of a repository of results.

    Parameters
    ----------
    repo : str
        ``user/name``.
    tables : sequence of Table
        Tables to show.
    rows : int
        Number of results.
    predictions : mapping
        Config to its splits and their files.
    predicted : int
        Number of rows of all predictions.
    """
    return fill(
        "results.md.j2",
        repo=repo,
        tables="\n".join(to_markdown(table) for table in tables),
        rows=rows,
        predictions=predictions,
        size=size_category(predicted),
    )


def space_card(repo: str) -> str:
    """Write the card of the static Space that shows the results of a repository."""
    return fill("space.md.j2", repo=repo)


def scored_card(
    card: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    synthetic: bool,
    evaluation: list[EvalResult] | None,
    name: str,
    further: Mapping[str, str] | None = None,
) -> str:
    """Add scores to a model's card, and optionally one result in the Hub's format.

    The format is ``model-index``, which accepts any metric. The newer ``.eval_results/*.yaml`` are for benchmarks that
    are registered on the Hub and for scores where higher is better, so they do not suit distances.

    Parameters
    ----------
    card : str
        Card from pre-training.
    rows : sequence of mapping
        ``dataset, features, layer, phase, mean_distance, kl_divergence, signature`` as displayed.
    synthetic : bool
        Whether a row is about a synthetic dataset.
    evaluation : list of EvalResult or None
        The result, one entry per metric.
    name : str
        Name of the model.
    further : mapping of str to str, optional
        Name to title of further metrics that the rows have.
    """
    if rows:
        cells = [{key: markdown(str(value)) for key, value in row.items()} for row in rows]
        scores = fill("model_scores.md.j2", rows=cells, synthetic=synthetic, further=further or {})
        card = card.rstrip("\n") + "\n" + scores
    if evaluation is None:
        return card
    made = ModelCard(card)
    data: Any = made.data
    data.model_name, data.eval_results = name, evaluation
    return str(made)
