"""Lists of what is available: features, datasets, models, results and others; pictures of models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...builders.manifest import MANIFEST, load_manifest
from ...cards.tables import Table
from ...errors import EmobenchError, InputError
from ...protocols import features, metrics, regressors, sources
from ...registry import did_you_mean
from ...runtime.files import read_json
from ...runtime.jit_cache import set_numba_cache
from ..features.spec import wrapped

if TYPE_CHECKING:
    from pydantic import JsonValue

REGISTRIES = {"sources": sources, "regressors": regressors, "metrics": metrics}
KINDS = ("features", *REGISTRIES, "datasets", "models", "results")


def listing(what: str, *, data: Path, models: Path, results: Path) -> Table:
    """List one kind of thing.

    Parameters
    ----------
    what : str
        One of :data:`KINDS`.
    data, models, results : Path
        Folders of datasets, models and results.

    Returns
    -------
    Table
        Notes name the results that cannot be read.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if what not in KINDS:
        raise InputError(f"list {what}: expected {', '.join(KINDS)}.{did_you_mean(what, KINDS)}")
    problems: list[str] = []
    if what == "features":
        records = _features()
    elif what in REGISTRIES:
        registry = REGISTRIES[what]
        records = [{"name": entry.name, "title": entry.title} for entry in registry]
        records += [{"name": name, "title": point.value} for name, point in registry.plugins().items()]
    elif what == "datasets":
        records = [_dataset(path.parent) for path in sorted(data.glob(f"*/{MANIFEST}"))]
    elif what == "models":
        records = [_model(path.parent) for path in sorted(models.glob("*/config.json"))]
    else:
        from ..results.store import ResultStore
        from .labels import leak_mark, phase_shown

        store = ResultStore(results)
        problems = store.problems
        records = [
            {
                "dataset": result.dataset.label,
                "name": result.name + leak_mark(result),
                "features": result.features,
                "layer": result.layer,
                "phase": phase_shown(result),
                "regressor": result.regressor,
                "mean_distance": result.scores["mean_distance"].mean,
                "signature": result.signature,
            }
            for result in store.results
        ]
    columns = list(records[0]) if records else ["nothing yet"]
    return Table(
        title=what.capitalize(),
        slug=what,
        columns=columns,
        rows=[[_shown(value) for value in record.values()] for record in records],
        notes=problems,
        records=records,
        text_columns=len(columns),
        optional=[(2, 3, 4)] if what == "results" else [],
    )


@dataclass(frozen=True)
class Drawn:
    """Pictures of the models of a folder.

    Attributes
    ----------
    pictures : dict of str to list of Path
        Folder of a model to the files written of it.
    problems : list of str
        One line for each model that could not be drawn.
    """

    pictures: dict[str, list[Path]]
    problems: list[str]


def draw_models(models: Path, out: Path) -> Drawn:
    """Draw the training curves and the first layer of every model, ``<model>-curves.png`` and ``<model>-rows.png``.

    The first layer is that after the most epochs.

    Parameters
    ----------
    models : Path
        Folder of models.
    out : Path
        Folder of pictures, made where it is missing.

    Returns
    -------
    Drawn
        A model that cannot be read is named there, and the others are drawn.

    Raises
    ------
    InputError
        If matplotlib is not installed, or ``out`` is no folder.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; name another for the pictures.")
    drawn = Drawn({}, [])
    folders = {path.parent for name in ("config.json", "weights.safetensors") for path in models.glob(f"*/{name}")}
    for folder in sorted(folders):
        try:
            drawn.pictures[str(folder)] = _draw(folder, out)
        except EmobenchError as error:
            drawn.problems.append(str(error))
    return drawn


def _draw(folder: Path, out: Path) -> list[Path]:
    set_numba_cache()
    import librosa

    from ...audio.analysis import AnalysisConfig
    from ...cards.model_plots import FirstLayer, draw_curves, draw_rows
    from ...dbn.config import CONTRASTIVE
    from ...dbn.model import TRAINING, load_model

    model = load_model(folder)
    curves, rows = out / f"{folder.name}-curves.png", out / f"{folder.name}-rows.png"
    log = read_json(folder / TRAINING, "training log")
    if model.name == CONTRASTIVE:
        updates = [{"epoch": entry["step"], **entry} for entry in log["updates"]]
        draw_curves({CONTRASTIVE: updates}, curves, title=folder.name, unit="update")
        return [curves]
    epochs = max(model.networks)
    network = model.networks[epochs]
    config = AnalysisConfig()
    # The bands of librosa's mel bank, which has one edge more at either end.
    edges = librosa.mel_frequencies(n_mels=config.timbre.n_mels + 2, fmin=0.0, fmax=config.sample_rate / 2)
    try:
        layer = FirstLayer(
            domain=model.domain.name,
            window=model.domain.window,
            weight=network.layers[0].weight.numpy(),
            scale=network.scale.numpy(),
            mel_hz=tuple(edges[1:-1].tolist()),
            lowest_hz=config.pitch.f_min,
        )
        draw_curves(log["rbms"], curves, title=folder.name)
        draw_rows(layer, rows, title=f"{folder.name}: first layer after {epochs} epochs")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{folder}: cannot be drawn ({error}); train it again with 'emobench pretrain'.") from error
    return [curves, rows]


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _features() -> list[dict[str, str]]:
    """List the registered features in their order, then those of other packages, which are not imported."""
    found = [wrapped(feature) for feature in features]
    records = [
        {"name": each.name + each.argument * each.name.endswith(":"), "title": each.title, "from": each.origin}
        for each in found
    ]
    return records + [{"name": name, "title": name, "from": each.value} for name, each in features.plugins().items()]


def _dataset(folder: Path) -> dict[str, JsonValue]:
    try:
        manifest = load_manifest(folder)
    except EmobenchError as error:
        return {"name": folder.name, "version": "", "kind": "", "clips": "", "folder": f"unreadable: {error}"}
    clips = manifest.counts.get("clips")
    facts = {"name": manifest.name, "version": manifest.version, "kind": manifest.kind}
    return {**facts, "clips": clips, "folder": str(folder)}


def _model(folder: Path) -> dict[str, JsonValue]:
    try:
        config = read_json(folder / "config.json", "model configuration")
        return {
            "domain": config.get("kind", config["domain"]["name"]),
            "window": config["domain"]["window"],
            "layers": "-".join(str(width) for width in config["training"]["layers"]),
            "examples": config["examples"],
            "data": config["data"],
            "folder": str(folder),
        }
    except (EmobenchError, KeyError, TypeError):
        return {
            "domain": "",
            "window": "",
            "layers": "",
            "examples": "",
            "data": "unreadable",
            "folder": str(folder),
        }
