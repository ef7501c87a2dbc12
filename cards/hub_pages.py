"""Texts of releases to the Hub: cards of results, Spaces and scored models, with the YAML that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from .dataset import size_category
from .render import fill, markdown
from .tables import Table, to_markdown

# Names for people, of the metrics that a model's card carries to the Hub.
METRICS = {
    "mean_distance": "mean distance (lower is better)",
    "kl_divergence": "KL divergence (lower is better)",
    "ccc_arousal": "CCC of arousal",
    "ccc_valence": "CCC of valence",
}


def results_card(
    repo: str, tables: Sequence[Table], *, rows: int, predictions: Mapping[str, Mapping[str, str]], predicted: int
) -> str:
    """Card of a repository of results.

    Parameters
    ----------
    repo : str
        ``user/name``.
    tables : sequence of Table
        What it shows.
    rows : int
        Results.
    predictions : mapping
        Config to its splits, and each split's file.
    predicted : int
        Rows of all predictions.
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
    """Card of the static Space that shows the results of a repository."""
    return fill("space.md.j2", repo=repo)


def scored_card(
    card: str, rows: Sequence[Mapping[str, Any]], *, synthetic: bool, evaluation: list[EvalResult] | None, name: str
) -> str:
    """A model's card with its scores, and one result in the Hub's form where one is given.

    The form is ``model-index``, which takes any metric. The newer ``.eval_results/*.yaml`` take one number each
    for a benchmark that is registered on the Hub, and higher must be better; our distances are neither.

    Parameters
    ----------
    card : str
        As ``emobench pretrain`` wrote it.
    rows : sequence of mapping
        ``dataset, features, layer, phase, mean_distance, kl_divergence, signature`` as they are shown.
    synthetic : bool
        Whether one of them is of a synthetic dataset.
    evaluation : list of EvalResult or None
        As :func:`evaluation_results` gives them.
    name : str
        Of the model.
    """
    if rows:
        cells = [{key: markdown(str(value)) for key, value in row.items()} for row in rows]
        card = card.rstrip("\n") + "\n" + fill("model_scores.md.j2", rows=cells, synthetic=synthetic)
    if evaluation is None:
        return card
    made = ModelCard(card)
    data: Any = made.data
    data.model_name, data.eval_results = name, evaluation
    return str(made)


def evaluation_results(result: Mapping[str, Any], row: str) -> list[EvalResult]:
    """A result in the Hub's form for model cards, one entry a metric.

    A dataset that came from the Hub is named by its repository and commit, another by its name.

    Parameters
    ----------
    result : mapping
        As in the contract.
    row : str
        What tables call it, with what must be said of it.
    """
    dataset = result["dataset"]
    label = f"{dataset['name']}@{dataset['version']}"
    return [
        EvalResult(
            task_type="audio-regression",
            task_name="Music emotion recognition",
            dataset_type=dataset.get("repo", dataset["name"]),
            dataset_name=f"{label} (synthetic)" if dataset.get("synthetic") else label,
            dataset_config="targets",
            dataset_split="test",
            dataset_revision=dataset.get("commit"),
            metric_type=metric,
            metric_name=f"{shown}, {row}",
            metric_value=result["scores"][metric]["mean"],
        )
        for metric, shown in METRICS.items()
        if result["scores"].get(metric, {}).get("mean") is not None
    ]
