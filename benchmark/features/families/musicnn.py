"""musicnn (Pons and Serra 2019): a convolutional network that was trained to predict tags of music."""

from __future__ import annotations

from itertools import product
from typing import Any

from ....pretrained import musicnn
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
# Numbers of a model, the running statistics of its batch normalisation included.
PARAMETERS = 792_079

# Names of the entries, the outputs of the network that they take, and the words of their titles.
ENTRIES = {"musicnn": "penultimate", "musicnn:tags": "tags", "musicnn:mean": "mean"}


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

    def __init__(self, entry: str, model: str) -> None:
        self.output, self.model = ENTRIES[entry], model
        self.name = entry if model == "MSD" else f"{entry}@{model}"
        self.title = f"musicnn {model}, {self.output}"
        self.revision = f"{REVISION} {SHA256[model]}"
        self.metadata = {
            "licence": "ISC",
            "citation": CITATION,
            "parameters": PARAMETERS,
            "training_data": TRAINED_ON[model],
            "labels_used": LABELS[model],
            "weights_sha256": SHA256[model],
        }

    def prepare(self) -> None:
        """Load the weights, which are downloaded first where the cache does not have them."""
        import torch

        self.network = musicnn.Network(load_weights(self.model), torch.device(self.device))

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        """Compute the output for a clip.

        Parameters
        ----------
        samples : ndarray of float32, shape (n_samples,)
            Mono signal at 16 kHz.

        Returns
        -------
        times : ndarray, shape (n,)
            Ends of the patches in seconds.
        values : ndarray, shape (n, d)
        """
        times, spectrogram, starts = musicnn.patches(musicnn.log_mel(samples), len(samples))
        return times, self.network(spectrogram, starts)[self.output]


for entry, model in product(ENTRIES, SHA256):
    features.register(Musicnn(entry, model))
