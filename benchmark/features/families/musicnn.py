"""musicnn (Pons and Serra 2019): a convolutional network that was trained to predict tags of music."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ....pretrained import musicnn
from ....pretrained.musicnn import OUTPUTS
from ....pretrained.musicnn_weights import SHA256, load_weights
from ....protocols import Feature, features

# Increase it when the same audio and weights give different numbers.
REVISION = 1

CITATION = (
    "J. Pons and X. Serra, musicnn: Pre-trained convolutional neural networks for music audio tagging, late-breaking "
    "demo, ISMIR 2019, arXiv:1909.06654"
)
TRAINED_ON = {
    "MSD": "Million Song Dataset: 30 s previews and the 50 most frequent Last.fm tags",
    "MTT": "MagnaTagATune: clips of 29 s and the 50 most frequent tags",
}
LABELS = {
    "MSD": "tags, some of which are moods (happy, sad, mellow, chill, party, beautiful, sexy, catchy)",
    "MTT": "tags, some of which are moods (soft, quiet, loud, weird)",
}
COLLECTIONS = {"MSD": "msd", "MTT": "magnatagatune"}
# Numbers of a model, the running statistics of its batch normalisation included.
PARAMETERS = 792_079

# Names of the entries, the outputs of the network that they take, and the words of their titles.
ENTRIES = {"musicnn": "penultimate", "musicnn:tags": "tags", "musicnn:mean": "mean"}
_ENDS = dict(zip(ENTRIES.values(), np.cumsum([OUTPUTS[output] for output in ENTRIES.values()]).tolist(), strict=True))


class Musicnn(Feature):
    """An output of musicnn for a patch of 3 s that ends at each second.

    Parameters
    ----------
    entry : str
        Name in ``ENTRIES``.
    model : {"MSD", "MTT"}
        Data the model was trained on.
    """

    order, sample_rate, align = 30, musicnn.SAMPLE_RATE, "end"
    batch_size, parallel = 8, True

    def __init__(self, entry: str, model: str) -> None:
        output, self.model = ENTRIES[entry], model
        # One pass gives all outputs, which are cached together.
        self.family, self.part = f"musicnn {model}", slice(_ENDS[output] - OUTPUTS[output], _ENDS[output])
        self.name = entry if model == "MSD" else f"{entry}@{model}"
        self.title = f"musicnn {model}, {output}"
        self.revision = f"{REVISION} {SHA256[model]}"
        self.metadata = {
            "licence": "ISC",
            "citation": CITATION,
            "parameters": PARAMETERS,
            "training_data": TRAINED_ON[model],
            "labels_used": LABELS[model],
            "collections": [COLLECTIONS[model]],
            "weights_sha256": SHA256[model],
        }

    def fetch(self) -> None:
        """Download the weights unless the cache has them."""
        load_weights(self.model)

    def prepare(self) -> None:
        """Load the weights."""
        import torch

        self.network = musicnn.Network(load_weights(self.model), torch.device(self.device))

    def __call__(self, samples: Any) -> list[tuple[Any, Any]]:
        """Compute all outputs of the entries for several clips.

        Parameters
        ----------
        samples : list of ndarray of float32, shape (n_samples,)
            Mono signals at 16 kHz.

        Returns
        -------
        list of (times, values)
            Ends of the patches in seconds, shape (n,), and outputs side by side, shape (n, d).
        """
        cut = [musicnn.patches(musicnn.log_mel(each), len(each)) for each in samples]
        # On the CPU, batches would save nothing and change the rounding.
        size = 1 if self.device == "cpu" else len(cut)
        results = []
        for at in range(0, len(cut), size):
            group = cut[at : at + size]
            made = self.network.of_clips([spectrogram for _, spectrogram, _ in group], [each[2] for each in group])
            results += [
                (times, np.hstack([outputs[name] for name in ENTRIES.values()]))
                for (times, _, _), outputs in zip(group, made, strict=True)
            ]
        return results


for entry, model in product(ENTRIES, SHA256):
    features.register(Musicnn(entry, model))
