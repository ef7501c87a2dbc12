"""Publication of a model: weights, configuration, training log, and a card with the scores."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from ...cards.hub import check_name
from ...cards.hub_files import Upload
from ...cards.hub_pages import scored_card
from ...cards.hub_release import Release
from ...dbn.model import CONFIG, TRAINING, WEIGHTS, load_model
from ...errors import InputError
from ...runtime.files import sha256_file
from ..report.labels import SCORES, display_name, entry_label, further_metrics, marks, number, phase_shown
from ..results.model import Result
from ..results.store import ResultStore
from ..results.verify import refuse_wrong
from ..results.verify_data import Datasets
from .dataset import forbidden_in

CARD = "README.md"


# Displayed names of the metrics in the metadata of a model's card.
METRICS = {
    "mean_distance": "mean distance (lower is better)",
    "kl_divergence": "KL divergence (lower is better)",
    "ccc_arousal": "CCC of arousal",
    "ccc_valence": "CCC of valence",
}

# Metrics in `.eval_results`: the Hub ranks models by them, and takes larger values for better ones.
RANKED = ("r2_arousal", "r2_valence", "ccc_arousal", "ccc_valence")


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
    """Prepare the release of a model: its files, and a card with the scores of the results that were made with it.

    Parameters
    ----------
    folder : Path
        Folder of the model.
    repo : str
        ``user/name``.
    results : Path
        Folder of results; the card shows those made with these weights.
    datasets : Datasets
        Datasets to verify these results with.
    evaluation : Path or None
        Result to put into the card's metadata and, if its dataset is from the Hub, into ``.eval_results``.
    private, create_pr
        As in :class:`.hub_release.Release`.
    tag : bool
        Whether to tag the commit with the hash of the weights.

    Raises
    ------
    InputError
        If the folder holds no complete model, ``evaluation`` was not made with it, or a result is not verified.
    """
    check_name(repo)
    lacking = [name for name in (CARD, CONFIG, TRAINING, WEIGHTS) if not (folder / name).is_file()]
    if lacking:
        raise InputError(
            f"{folder}: not a complete model ({', '.join(lacking)} missing). Train one with 'emobench pretrain'."
        )
    weights = sha256_file(folder / WEIGHTS)
    model = load_model(folder)
    store = ResultStore(results)
    entries = [result for result in store.results if _made_with(result, weights)]
    chosen = None if evaluation is None else _evaluation(store, evaluation, weights, folder)
    for result in sorted({each.path: each for each in (*entries, *([chosen] if chosen else []))}.values(), key=_path):
        refuse_wrong(result, datasets, folder.resolve().parent, store)
    card = scored_card(
        (folder / CARD).read_text(encoding="utf-8"),
        [_shown(result, store) for result in sorted(entries, key=lambda each: (each.features, each.layer, each.phase))],
        synthetic=any(result.dataset.synthetic for result in entries),
        evaluation=None if chosen is None else _evaluation_results(chosen, entry_label(chosen)),
        name=folder.resolve().name,
        further={metric.name: metric.title for metric in further_metrics()},
    )
    uploads = [Upload(CARD, card.encode()), *(Upload(name, folder / name) for name in (CONFIG, TRAINING, WEIGHTS))]
    uploads += [] if chosen is None else evaluation_files(chosen, entry_label(chosen))
    return Release(
        repo=repo,
        kind="model",
        uploads=uploads,
        message=f"{model.name}, weights {weights[:12]}",
        forbidden=forbidden_in(folder),
        marker=WEIGHTS,
        tag=f"weights-{weights[:12]}" if tag else None,
        private=private,
        create_pr=create_pr,
    )


def _path(result: Result) -> Path:
    return result.path


def _made_with(result: Result, weights: str) -> bool:
    return any(model.sha256 == weights for model in result.model)


def _evaluation(store: ResultStore, path: Path, weights: str, folder: Path) -> Result:
    try:
        result = store.read(path)
    except InputError as error:
        raise InputError(f"`evaluation` {error}") from error
    if not _made_with(result, weights):
        raise InputError(f"`evaluation` {path}: was not made with the weights of {folder} (SHA-256 {weights[:12]}…).")
    return result


def _shown(result: Result, store: ResultStore) -> dict[str, str]:
    name = display_name(result.features, result.feature_metadata)
    shown = {
        "dataset": result.dataset.label + (" (synthetic)" if result.dataset.synthetic else ""),
        "features": name + marks(result, store.variants.get(result.signature, "")),
        "layer": result.layer,
        "phase": phase_shown(result),
        **{metric: number(result.scores[metric]) for metric in SCORES},
        **{metric.name: number(result.scores.get(metric.name)) for metric in further_metrics()},
        "signature": result.signature,
    }
    return {name: str(value) for name, value in shown.items()}


def _evaluation_results(result: Result, label: str) -> list[EvalResult]:
    """Return a result in the Hub's format for model cards, one entry per metric.

    A dataset from the Hub is named by its repository and commit, another by its name.

    Parameters
    ----------
    result : Result
        Result.
    label : str
        Name of the entry for people.
    """
    dataset = result.dataset
    return [
        EvalResult(
            task_type="audio-regression",
            task_name="Music emotion recognition",
            dataset_type=dataset.repo or dataset.name,
            dataset_name=f"{dataset.label} (synthetic)" if dataset.synthetic else dataset.label,
            dataset_config="targets",
            dataset_split="test",
            dataset_revision=dataset.commit,
            metric_type=metric,
            metric_name=f"{shown}, {label}",
            metric_value=score.mean,
        )
        for metric, shown in METRICS.items()
        if (score := result.scores.get(metric)) is not None and score.mean is not None
    ]


def evaluation_files(result: Result, label: str) -> list[Upload]:
    """Return a result in the Hub's newer format, ``.eval_results/*.yaml``, which has one number per file.

    Parameters
    ----------
    result : Result
        Result.
    label : str
        Name of the entry for people.

    Returns
    -------
    list of Upload
        One file per metric of which larger values are better; none if the dataset is not from the Hub, because the
        format names it by its repository.
    """
    dataset = result.dataset
    if dataset.repo is None:
        return []
    files = []
    for metric in RANKED:
        score = result.scores.get(metric)
        if score is None or score.mean is None:
            continue
        entry = EvalResultEntry(
            dataset_id=dataset.repo,
            task_id=metric,
            value=score.mean,
            dataset_revision=dataset.commit,
            date=result.created,
            notes=f"{label}; {dataset.label}; mean over the repeats; result {result.signature} of emobench",
        )
        text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=120)
        files.append(Upload(f".eval_results/{dataset.name}-{metric}.yaml", text.encode()))
    return files
