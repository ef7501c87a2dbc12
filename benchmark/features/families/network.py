"""Features learned without labels: activations of the layers of deep belief networks, and a contrastive encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....dbn.config import CONTRASTIVE
from ....dbn.domains import NAMES
from ....dbn.model import WEIGHTS
from ....protocols import features
from ..columns import Columns, ModelFile, TaskFeature

if TYPE_CHECKING:
    from ....dbn.model import Model
    from ..extraction import Extraction
    from ..networks import Networks
    from ..spec import Entry

TITLES = {"rhythm": "Rhythm", "pitch": "Pitch", "pitch2d": "2-d FFT Pitch", "texture": "Texture"}


class NetworkFeature(TaskFeature):
    """Layers of the network of a domain, pre-trained or fine-tuned on the training part of each fold."""

    layered = needs_audio = on_device = True
    origin = "a deep belief network on audio"

    def __init__(self, domain: str, order: int) -> None:
        self.name, self.title, self.order = domain, TITLES[domain], order

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Return the activations of the entry's layer in its phase."""
        name, layer, phase = self.name, entry.layer, entry.phase
        assert layer is not None and phase is not None
        # Joined with another network, the only layer goes with all of its layers.
        layer = 0 if self.single else layer
        networks = _networks(extraction)
        control = phase.startswith("random")

        def models() -> list[ModelFile]:
            model = networks.model(name)
            return [ModelFile(model.folder / WEIGHTS, model.sha256)]

        return Columns(
            lambda fold: networks.values(name, layer, phase, fold),
            networks.identity(name, phase),
            lambda: networks.seconds_per_clip,
            per_fold=True,
            reproducible=True,
            training=lambda: networks.training_record(name, phase),
            train_seconds=lambda: networks.train_seconds(name, phase),
            models=models,
            pretrained_on=_pretrained_on(extraction, networks.trained.get(name)),
            pretrained_clips=lambda: 0 if control else networks.pretrained_clips(name),
            metadata=lambda: self._metadata(extraction, networks.model(name), layer, phase),
        )

    def _metadata(self, extraction: Extraction, model: Model, layer: int, phase: str) -> dict[str, Any]:
        """State what a network has seen; its number of parameters is that up to the layer."""
        external = extraction.external.get(self.name)
        layers = next(iter(model.networks.values())).layers[: None if self.single else layer + 1]
        control, tuned = phase.startswith("random"), phase.endswith("fine-tuned")
        data = [] if control else [_pretrained_on(extraction, external)]
        return {
            "licence": "that of the model" if external else "Apache-2.0",
            "parameters": sum(part.numel() for each in layers for part in (each.weight, each.bias)),
            "training_data": "; ".join([*data, *(["the training part of each fold"] if tuned else [])]) or "none",
            "labels_used": "targets of the training part" if tuned else "none",
            "outside_data": not control and (external is not None or extraction.places.pretrain_data is not None),
            "group": "pretrained elsewhere" if external else "learned here",
        }


class EncoderFeature(NetworkFeature):
    """The output of a contrastive encoder on windows of texture, beside that of random weights."""

    origin = "a contrastive encoder on audio"
    single = True

    def __init__(self) -> None:
        self.name, self.title, self.order = CONTRASTIVE, "Contrastive", 16


def _networks(extraction: Extraction) -> Networks:
    """Return the networks of the task, which all domains share."""
    from ..networks import Networks

    return extraction.once(
        "networks",
        lambda: Networks(
            extraction.task,
            extraction.sources,
            extraction.audio_hashes,
            config=extraction.networks,
            data=extraction.places.pretrain_data,
            models=extraction.places.models,
            device=extraction.device,
            pool=extraction.pool,
            trained=extraction.external,
        ),
    )


def _pretrained_on(extraction: Extraction, external: Model | None) -> str:
    """Name the data that a network was pre-trained on, without their location on this machine."""
    from ....builders.release import load_manifest

    places = extraction.places
    if external is not None:
        return f"{external.config.get('data', 'unknown data')} (elsewhere: {external.folder.resolve().name})"
    if places.pretrain_data is None:
        return "the dataset's own clips without their labels"
    manifest = load_manifest(places.pretrain_data)
    name = manifest.title
    name += " without its labels" if manifest.kind == "labelled" else ""
    origin = places.pretrain_origin
    return f"{name} (hf://{origin['repo']}@{origin['commit']})" if origin else name


for order, domain in enumerate(NAMES, start=11):
    features.register(NetworkFeature(domain, order))
features.register(EncoderFeature())
