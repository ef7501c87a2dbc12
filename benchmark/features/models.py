"""The pre-trained model of a domain: read where it is there, else trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...audio.analysis import TEXTURE, Analysis, AnalysisConfig
from ...builders.release import MANIFEST, load_manifest
from ...builders.segments import load_segments
from ...dbn.config import CONTRASTIVE, ContrastiveConfig, PretrainingConfig
from ...dbn.domains import Domain
from ...dbn.model import WEIGHTS, Model, model_folder, read_model
from ...errors import InputError
from ...runtime.devices import torch_device
from ...runtime.files import digest, plain, sha256_file

if TYPE_CHECKING:
    from ...dbn.distributed import ProcessGroup


def ensure_model(
    domain: Domain,
    config: PretrainingConfig | ContrastiveConfig,
    *,
    data: Path | None,
    own_clips: Callable[[], Sequence[Analysis]],
    identity: object,
    analysis: AnalysisConfig,
    models: Path,
    device: str,
    threads: int = 1,
    group: ProcessGroup | None = None,
) -> Model:
    """Load the model of a domain, trained first where it is not there.

    Parameters
    ----------
    domain : Domain
        What the network is shown.
    config : PretrainingConfig or ContrastiveConfig
        Settings.
    data : Path or None
        Pre-training dataset; None for the labelled clips without their labels.
    own_clips : callable
        Gives the analyses of the labelled clips, for no ``data``.
    identity : object
        What decides those.
    analysis : AnalysisConfig
        Their settings.
    models : Path
        Folder of models.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    threads, group
        As in :func:`.pretraining.pretrain`.

    Returns
    -------
    Model
    """
    if data is not None:
        manifest_sha256 = _manifest_hash(data)
        described: dict[str, Any] = {"data": load_manifest(data).name, "manifest_sha256": manifest_sha256}
    else:
        described = {"data": "the labelled clips without their labels", "clips_sha256": digest(identity)}
    folder = model_folder(models, domain, config, digest(described))
    if not (folder / WEIGHTS).is_file():
        lengths = None
        if data is not None:
            segments = load_segments(data, domain.table)
            lengths = segments.lengths
        else:
            segments = [getattr(clip, domain.table) for clip in own_clips()]
        settings = {"analysis": _analysis(data, analysis)}
        if domain.table == "texture":
            settings["texture"] = plain(TEXTURE)
        where = {"folder": folder, "provenance": {**described, **settings}, "device": torch_device(device)}
        if isinstance(config, ContrastiveConfig):
            from ...dbn.contrastive import pretrain_encoder

            if group is not None and group.size > 1:
                raise InputError(f"{CONTRASTIVE}: trains in a single process; run it without torchrun.")
            pretrain_encoder(segments, domain, config, lengths=lengths, **where)
        else:
            from ...dbn.pretraining import pretrain

            pretrain(segments, domain, config, lengths=lengths, threads=threads, group=group, **where)
    return read_model(folder, device=device)


def _analysis(data: Path | None, own: AnalysisConfig) -> Any:
    """Return the settings of a network's inputs: those of the pre-training dataset, otherwise those of the run."""
    return plain(own) if data is None else load_manifest(data).config.dataset.get("analysis")


def _manifest_hash(folder: Path) -> str:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(
            f"{folder}: no dataset there (no {MANIFEST}). Build one, or name another with `pretrain_data`."
        )
    return sha256_file(path)
