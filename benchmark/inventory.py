"""What there is: features, datasets, models, results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..builders.release import MANIFEST, load_manifest
from ..cards.tables import Table
from ..dbn.domains import NAMES as DOMAINS
from ..errors import EmobenchError, InputError
from ..files import read_json
from .results import read_results
from .spec import BASELINES, known_names, registered
from .tables import display_name

KINDS = ("features", "datasets", "models", "results")


def inventory(what: str, *, data: Path, models: Path, results: Path) -> Table:
    """List one kind of thing.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if what not in KINDS:
        raise InputError(f"list {what}: expected {', '.join(KINDS)}.")
    if what == "features":
        records = [{"name": name, "what": display_name(name), "from": _origin(name)} for name in known_names()]
        records.append({"name": "file:PATH", "what": "features computed elsewhere", "from": "CSV or Parquet"})
    elif what == "datasets":
        records = [_dataset(path.parent) for path in sorted(data.glob(f"*/{MANIFEST}"))]
    elif what == "models":
        records = [_model(path.parent) for path in sorted(models.glob("*/config.json"))]
    else:
        records = [
            {
                "dataset": f"{result['dataset']['name']}@{result['dataset']['version']}",
                "features": result["features"],
                "layer": result["layer"],
                "phase": result["phase"],
                "mean_distance": result["scores"]["mean_distance"]["mean"],
                "signature": result["signature"],
            }
            for result in read_results(results)[0]
        ]
    columns = list(records[0]) if records else ["nothing yet"]
    return Table(
        title=what.capitalize(),
        slug=what,
        columns=columns,
        rows=[["" if value is None else str(value) for value in record.values()] for record in records],
        records=records,
        text_columns=len(columns),
    )


def _origin(name: str) -> str:
    if name in DOMAINS:
        return "a deep belief network on audio"
    if name in BASELINES:
        return "audio"
    if name == "ent":
        return "MSD track files (.h5) beside the audio"
    return registered()[name].value if name in registered() else "nothing: the training mean"


def _dataset(folder: Path) -> dict[str, Any]:
    try:
        manifest = load_manifest(folder)
    except EmobenchError as error:
        return {"name": folder.name, "version": "", "kind": "", "clips": "", "folder": f"unreadable: {error}"}
    clips = manifest.get("counts", {}).get("clips")
    facts = {key: manifest.get(key) for key in ("name", "version", "kind")}
    return {**facts, "clips": clips, "folder": str(folder)}


def _model(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / "config.json", "model configuration")
        return {
            "domain": config["domain"]["name"],
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
