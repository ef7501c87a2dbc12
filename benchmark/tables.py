"""Results as the paper's tables: one of single features (Table 2), one of networks (Table 3), a dataset at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..cards.tables import Table
from ..dbn.domains import NAMES as DOMAINS
from .results import CARRIED, carried_over, dataset_key, phase_shown

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
    "beside the clips' audio."
)
SYNTHETIC = "Synthetic music and ratings: these numbers say nothing about music by people."
LEAKS = (
    f"{CARRIED[0].upper()}{CARRIED[1:]}: each fold was fine-tuned from the weights of the one before, so clips tested "
    "in a later fold were trained on in an earlier one. These rows are no measure of anything else."
)
PLUS_MINUS = "± is the sample standard deviation over the repeats."


def display_name(features: str) -> str:
    """Features as the paper writes them."""
    return "+".join(DISPLAY.get(part, part) for part in features.split("+"))


def _number(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "undefined"
    spread = "" if score["std"] is None else f" ± {score['std']:.3f}"
    return f"{score['mean']:.3f}{spread}"


def _record(result: Result) -> dict[str, Any]:
    """A row with full precision."""
    record: dict[str, Any] = {
        "dataset": f"{result['dataset']['name']}@{result['dataset']['version']}",
        "features": result["features"],
        "layer": result["layer"],
        "phase": phase_shown(result),
        "regressor": result["regressor"],
        "dims": result["dims"],
        "n_clips": result["n_clips"],
    }
    for name, score in result["scores"].items():
        low, high = score["ci95"] or (None, None)
        record |= {name: score["mean"], f"{name}_std": score["std"], f"{name}_low": low, f"{name}_high": high}
    record |= {
        "covariance_repaired": result["covariance_repaired"],
        **result["cost"],
        "signature": result["signature"],
    }
    return record


def tables(results: Sequence[Result]) -> list[Table]:
    """Tables of results; those of different datasets never stand in one.

    Parameters
    ----------
    results : sequence of dict
        As :func:`emobench.benchmark.results.read_results` gives them.

    Returns
    -------
    list of Table
        For each dataset one of the rows without networks and one of those with, where there are any.
    """
    made = []
    for key in dict.fromkeys(dataset_key(result) for result in results):
        own = [result for result in results if dataset_key(result) == key]
        name = f"{key[0]}@{key[1]}" + (" (synthetic)" if own[0]["dataset"].get("synthetic") else "")
        doubled = len(
            {result["dataset"]["manifest_sha256"] for result in results if dataset_key(result)[:2] == key[:2]}
        )
        if doubled > 1:
            name += f" [manifest {key[2][:8]}]"
        single = [result for result in own if result["layer"] is None]
        deep = [result for result in own if result["layer"] is not None]
        if single:
            made.append(_single_table(single, name))
        if deep:
            made.append(_deep_table(deep, name))
    return made


def _slug(result: Result, what: str) -> str:
    name, version, manifest = dataset_key(result)
    return f"{name}@{version}-{manifest[:8]}-{what}"


def _notes(results: Sequence[Result]) -> list[str]:
    notes = [PLUS_MINUS]
    counts = {result["n_clips"] for result in results}
    notes.append(f"{' or '.join(str(count) for count in sorted(counts))} clips.")
    if results[0]["dataset"].get("synthetic"):
        notes.append(SYNTHETIC)
    return notes


def _regressor(result: Result) -> str:
    return "" if result["regressor"] == "mlr" else f" [{result['regressor']}]"


def _single_table(results: Sequence[Result], name: str) -> Table:
    order = list(DISPLAY)

    def place(result: Result) -> tuple[int, int, str]:
        features = result["features"]
        reference = features in ("constant", "oracle")
        return int(reference), order.index(features) if features in order else len(order), features

    ordered = sorted(results, key=place)
    notes = _notes(results)
    if not any("ent" in result["features"].split("+") for result in results):
        notes.append(NO_ENT)
    return Table(
        title=f"Emotion regression from standard features: {name}",
        slug=_slug(results[0], "features"),
        columns=("Feature Type", "Average Mean Distance", "Average KL Divergence"),
        rows=[
            (
                display_name(result["features"]) + _regressor(result),
                _number(result["scores"]["mean_distance"]),
                _number(result["scores"]["kl_divergence"]),
            )
            for result in ordered
        ],
        notes=notes,
        records=[_record(result) for result in ordered],
    )


def _deep_table(results: Sequence[Result], name: str) -> Table:
    by_row: dict[tuple[str, str, bool, bool, int], dict[str, Result]] = {}
    for result in results:
        control = result["phase"].startswith("random")
        column = "fine-tuned" if result["phase"].endswith("fine-tuned") else "pre-trained"
        key = (result["features"], result["regressor"], control, carried_over(result), result["layer"])
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
            scores = found[column]["scores"] if column in found else None
            # What is carried over are fine-tuned weights: the pre-trained ones have their own row.
            nothing = "–" if carried and column == "pre-trained" else "not run"
            cells += [_number(scores[metric]) if scores else nothing for metric in ("mean_distance", "kl_divergence")]
        first = next(iter(found.values()))
        label = display_name(features) + (", random weights" if control else "")
        label += (f", fine-tuned, {CARRIED}" if carried else "") + _regressor(first)
        rows.append((f"Layer {layer}", label, *cells))
        records += [_record(found[column]) for column in ("pre-trained", "fine-tuned") if column in found]
    notes = _notes(results)
    if any(key[2] for key in by_row):
        notes.append("Random weights: the control, never pre-trained.")
    if any(key[3] for key in by_row):
        notes.append(LEAKS)
    return Table(
        title=f"Emotion regression from deep belief networks: {name}",
        slug=_slug(results[0], "networks"),
        columns=(
            "DBN Layer",
            "Feature Type",
            "Pre-training Distance",
            "Pre-training KL",
            "Fine-tuning Distance",
            "Fine-tuning KL",
        ),
        rows=rows,
        notes=notes,
        records=records,
        text_columns=2,
    )
