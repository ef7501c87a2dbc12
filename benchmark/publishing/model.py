"""``emobench publish model``: weights, configuration, training log, and a card with the scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...cards.hub import check_name
from ...cards.hub_files import Upload
from ...cards.hub_pages import evaluation_results, scored_card
from ...cards.hub_release import Release
from ...dbn.network import CONFIG, TRAINING, WEIGHTS, load_model
from ...errors import InputError
from ...runtime.files import read_json, sha256_file
from ..report.tables import marks, row_label
from ..results.store import phase_shown, read_result, read_results
from ..results.verify import refuse_wrong
from ..results.verify_data import Datasets
from .dataset import forbidden_in

CARD = "README.md"


def model_release(
    folder: Path,
    repo: str,
    *,
    results: Path,
    datasets: Datasets,
    evaluation: Path | None = None,
    private: bool = True,
    tag: bool = False,
    create_pr: bool = False,
) -> Release:
    """What of a model goes: its four files, the card with the scores of the results that were made with it.

    Parameters
    ----------
    folder : Path
        The model.
    repo : str
        ``user/name``.
    results : Path
        Folder of results; those that name the SHA-256 of these weights are shown.
    datasets : Datasets
        Against which these are verified, as for :func:`.verify.verify`.
    evaluation : Path or None
        A result that goes into the card's head in the Hub's form, too.
    private, create_pr
        As in :class:`.hub_release.Release`.
    tag : bool
        Tag the commit with the hash of the weights.

    Raises
    ------
    InputError
        If it is no model, ``evaluation`` no result that was made with it, or a result is not as it was written.
    """
    check_name(repo)
    lacking = [name for name in (CARD, CONFIG, TRAINING, WEIGHTS) if not (folder / name).is_file()]
    if lacking:
        raise InputError(
            f"{folder}: no whole model there (no {', '.join(lacking)}); train one with 'emobench pretrain'."
        )
    config = read_json(folder / CONFIG, "model configuration")
    weights = sha256_file(folder / WEIGHTS)
    load_model(folder, device=torch.device("cpu"))
    found = read_results(results)
    rows = [row for row in found.rows if _made_with(row, weights)]
    chosen = None if evaluation is None else _evaluation(evaluation, weights, folder)
    shown = {found.paths[row["signature"]] for row in rows} | ({evaluation} if evaluation else set())
    for path in sorted(shown):
        refuse_wrong(path, datasets, folder.resolve().parent)
    card = scored_card(
        (folder / CARD).read_text(encoding="utf-8"),
        [_shown(row) for row in sorted(rows, key=lambda row: (row["features"], row["layer"], row["phase"]))],
        synthetic=any(row["dataset"].get("synthetic") for row in rows),
        evaluation=None if chosen is None else evaluation_results(chosen, row_label(chosen)),
        name=folder.resolve().name,
    )
    uploads = [Upload(CARD, card.encode()), *(Upload(name, folder / name) for name in (CONFIG, TRAINING, WEIGHTS))]
    return Release(
        repo=repo,
        kind="model",
        uploads=uploads,
        message=f"{config.get('domain', {}).get('name', 'model')}, weights {weights[:12]}",
        forbidden=forbidden_in(folder),
        marker=WEIGHTS,
        tag=f"weights-{weights[:12]}" if tag else None,
        private=private,
        create_pr=create_pr,
    )


def _made_with(result: Mapping[str, Any], weights: str) -> bool:
    return any(model.get("sha256") == weights for model in result.get("model") or [])


def _evaluation(path: Path, weights: str, folder: Path) -> dict[str, Any]:
    try:
        result = read_result(path)
    except InputError as error:
        raise InputError(f"--evaluation {error}") from error
    if not _made_with(result, weights):
        raise InputError(f"--evaluation {path}: was not made with the weights of {folder} (SHA-256 {weights[:12]}…).")
    return result


def _shown(result: Mapping[str, Any]) -> dict[str, Any]:
    dataset = result["dataset"]
    name = f"{dataset['name']}@{dataset['version']}" + (" (synthetic)" if dataset.get("synthetic") else "")
    scores = {metric: _number(result["scores"][metric]) for metric in ("mean_distance", "kl_divergence")}
    row = {"dataset": name, "features": result["features"] + marks(dict(result)), "layer": result["layer"]}
    return {**row, "phase": phase_shown(dict(result)), **scores, "signature": result["signature"]}


def _number(score: Mapping[str, Any]) -> str:
    if score["mean"] is None:
        return "–"
    return f"{score['mean']:.3f}" + ("" if score["std"] is None else f" ± {score['std']:.3f}")
