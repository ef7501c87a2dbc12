"""Models of the library ``transformers`` for audio: their files, and the hidden states of all their layers.

A repository of the Hub, or a folder, has ``config.json``, ``preprocessor_config.json`` and weights. Models that take
waveforms of any length (Wav2Vec2, HuBERT, WavLM, MERT) read a clip in pieces of at most 30 s; models with a fixed
length of input (AST, Whisper) read windows of this length that end at each second.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import EmobenchError, InputError
from ..runtime.files import digest, sha256_file
from ..runtime.progress import status
from ..runtime.text import counted, few

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float64]

# Longest piece in seconds of models that take any length: attention needs memory in the square of it.
PIECE = 30.0

# Pieces per call on a GPU.
_BATCH = 16

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SETTINGS = ("*.json", "*.py")
_CARD = "README.md"


@dataclass(frozen=True)
class ModelFiles:
    """Files of a model on this machine.

    Attributes
    ----------
    folder : Path
        Folder with its configuration and weights.
    commit : str or None
        Commit on the Hub; None for a local folder.
    sha256 : str
        Hash of configuration, code and weights.
    weights_sha256 : dict of str to str
        SHA-256 of the files of weights by name.
    own_code : bool
        Whether the model brings its own code.
    parameters : int or None
        Numbers in its files of weights; None where they are not safetensors.
    card : mapping
        Fields of its model card, such as ``license`` and ``datasets``; empty without one.
    """

    folder: Path
    commit: str | None
    sha256: str
    weights_sha256: Mapping[str, str]
    own_code: bool
    parameters: int | None = None
    card: Mapping[str, Any] = field(default_factory=dict)


def find_model(repo: str, revision: str | None, *, trust_remote_code: bool = False) -> ModelFiles:
    """Find a model in a folder, or download it from the Hub unless the cache has it.

    Parameters
    ----------
    repo : str
        Folder, or repository ``user/name`` of the Hub.
    revision : str, optional
        Branch, tag or commit of the repository; by default ``main``.
    trust_remote_code : bool
        Whether code that the model brings may be executed.

    Raises
    ------
    InputError
        If there is no such repository, revision or folder, it is not a model of transformers, or it brings its own
        code that is not to be trusted, or whose revision is not pinned.
    EmobenchError
        If ``transformers`` is not installed, or the Hub cannot be reached.
    """
    if find_spec("transformers") is None:
        raise EmobenchError(f"hf:{repo}: needs the package transformers; install emobench with the extra embeddings.")
    folder, commit = (Path(repo), None) if Path(repo).is_dir() else _download(repo, revision)
    if commit is None and revision is not None:
        raise InputError(f"hf:{repo}@{revision}: a folder has no revisions; leave @{revision} out.")
    config = _settings(folder / "config.json", repo)
    _settings(folder / "preprocessor_config.json", repo)
    own_code = "AutoModel" in config.get("auto_map", {})
    if own_code and not trust_remote_code:
        raise InputError(
            f"hf:{repo}: brings its own code ({config['auto_map']['AutoModel']}); read it, and rerun with "
            "`trust_remote_code` to execute it."
        )
    if own_code and commit is not None and not _COMMIT.fullmatch(revision or ""):
        raise InputError(f"hf:{repo}: its code may change; pin the revision that you have read: hf:{repo}@{commit}.")
    weights = _weights(folder)
    if not weights:
        raise InputError(f"{folder}: has no weights; expected *.safetensors or *.bin files beside config.json.")
    status(f"hashing the weights of {repo}")
    hashes = {file.name: sha256_file(file) for file in weights}
    settings = {file.name: sha256_file(file) for each in _SETTINGS for file in sorted(folder.glob(each))}
    return ModelFiles(folder, commit, digest([hashes, settings]), hashes, own_code, _parameters(weights), _card(folder))


def _parameters(weights: Sequence[Path]) -> int | None:
    from safetensors import SafetensorError, safe_open

    try:
        count = 0
        for file in weights:
            with safe_open(file, framework="np") as stored:
                count += sum(prod(stored.get_slice(name).get_shape()) for name in stored.keys())  # noqa: SIM118
    except SafetensorError:
        return None
    return count


def _card(folder: Path) -> Mapping[str, Any]:
    from huggingface_hub import metadata_load

    try:
        found = metadata_load(folder / _CARD)
    except Exception:  # a card that cannot be read says nothing
        return {}
    return found if isinstance(found, dict) else {}


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def _download(repo: str, revision: str | None) -> tuple[Path, str]:
    from ..cards.hub import Repository

    if repo.startswith((".", "/", "~")):
        raise InputError(f"hf:{repo}: no such folder.")
    repository = Repository(repo, "model")
    _, commit = repository.download("config.json", revision or "main")
    folder = repository.snapshot(commit, (), patterns=[*_SETTINGS, _CARD, "*.safetensors"])
    if not _weights(folder):
        folder = repository.snapshot(commit, (), patterns=["*.bin"])
    return folder, commit


def _settings(file: Path, repo: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"hf:{repo}: has no readable {file.name}; expected an audio model saved by transformers."
        ) from error
    return found if isinstance(found, dict) else {}


class Encoder:
    """A model that gives the hidden states of audio.

    Parameters
    ----------
    files : ModelFiles
        Its files.
    device : torch.device
        Device to compute on.

    Attributes
    ----------
    sample_rate : int
        Sample rate in hertz of the samples that it reads.
    layers : int
        Number of layers: the input of the first, and the output of each.
    parameters : int
        Number of parameters.
    """

    def __init__(self, files: ModelFiles, device: torch.device) -> None:
        from transformers import AutoFeatureExtractor, AutoModel

        self._device = device
        # On the CPU, batches save nothing and change the rounding; code of a model may not expect them.
        self._batch = 1 if device.type == "cpu" or files.own_code else _BATCH
        trusted: dict[str, Any] = {"trust_remote_code": files.own_code, "local_files_only": True}
        model: Any
        with _explained(files.folder):
            self._extractor: Any = AutoFeatureExtractor.from_pretrained(files.folder, **trusted)
            model, loading = AutoModel.from_pretrained(
                files.folder, output_hidden_states=True, output_loading_info=True, **trusted
            )
            _check_complete(files.folder, loading["missing_keys"])
            self._model = (model.get_encoder() if model.config.is_encoder_decoder else model).to(device).eval()
            self.sample_rate = int(self._extractor.sampling_rate)
            self.parameters = sum(each.numel() for each in self._model.parameters())
            self._window = _window(self._extractor)
            self.layers = len(self._states([np.zeros(self.sample_rate, np.float32)])[0])

    def __call__(self, samples: npt.NDArray[np.float32]) -> tuple[FloatArray, npt.NDArray[np.float32]]:
        """Compute the hidden states of a clip.

        Parameters
        ----------
        samples : ndarray of float32, shape (n_samples,)
            Mono signal at ``sample_rate``.

        Returns
        -------
        times : ndarray, shape (n,)
            Centres of the frames in seconds; ends of the windows for models with a fixed length of input.
        states : ndarray of float32, shape (n, layers, d)
        """
        return self.batch([samples])[0]

    def batch(self, clips: Sequence[npt.NDArray[np.float32]]) -> list[tuple[FloatArray, npt.NDArray[np.float32]]]:
        """Compute the hidden states of several clips; pieces of one length share calls of the model."""
        rate, window = self.sample_rate, self._window
        bounds = [_windows(len(each), rate, window) if window else _pieces(len(each), rate) for each in clips]
        places = [(clip, *each) for clip, own in enumerate(bounds) for each in own]
        # Shorter windows are padded to the fixed length by the model's own preprocessing.
        alike: dict[int, list[int]] = {}
        for number, (_, start, end) in enumerate(places):
            alike.setdefault(0 if window else end - start, []).append(number)
        states: dict[int, npt.NDArray[np.float32]] = {}
        for numbers in alike.values():
            for at in range(0, len(numbers), self._batch):
                group = numbers[at : at + self._batch]
                found = self._states([clips[places[each][0]][slice(*places[each][1:])] for each in group])
                for each, state in zip(group, found, strict=True):
                    states[each] = state.mean(axis=1, keepdims=True) if window else state
        made, number = [], 0
        for own in bounds:
            times, parts = [], []
            for start, end in own:
                part = states[number].transpose(1, 0, 2)
                frames = (np.arange(len(part)) + 0.5) * (end - start) / len(part)
                times.append(np.array([end / rate]) if window else (start + frames) / rate)
                parts.append(part)
                number += 1
            made.append((np.concatenate(times), np.concatenate(parts)))
        return made

    def _states(self, pieces: Sequence[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
        """Return the hidden states of pieces, shape (layers, n_frames, d) each."""
        import torch

        inputs = [self._extractor(each, sampling_rate=self.sample_rate, return_tensors="pt") for each in pieces]
        joined = {name: torch.cat([each[name] for each in inputs]).to(self._device) for name in inputs[0]}
        with torch.inference_mode():
            found = self._model(**joined)
        states = getattr(found, "hidden_states", None)
        if not states:
            raise InputError(f"{type(self._model).__name__}: gives no hidden states; expected an audio encoder.")
        widths = {tuple(each.shape[1:]) for each in states}
        if any(each.ndim != 3 for each in states) or len(widths) > 1:
            raise InputError(f"{type(self._model).__name__}: hidden states of shapes {sorted(widths)}; expected equal.")
        return list(torch.stack(list(states), 1).float().cpu().numpy())


def _windows(n_samples: int, rate: int, window: float) -> list[tuple[int, int]]:
    """Return the bounds of windows that end at each full second; of shorter clips, those of the whole clip."""
    length = round(window * rate)
    ends = [rate * second for second in range(1, max(1, n_samples // rate) + 1)]
    return [(max(0, end - length), end) for end in ends]


def _pieces(n_samples: int, rate: int) -> list[tuple[int, int]]:
    """Return the bounds of pieces of equal lengths, so that none is too short for the model."""
    count = int(np.ceil(n_samples / rate / PIECE))
    return list(pairwise(np.linspace(0, n_samples, count + 1).astype(int).tolist()))


def _window(extractor: Any) -> float | None:
    """Return the fixed length of input in seconds; None for models that take any length."""
    if hasattr(extractor, "n_samples"):  # Whisper
        return extractor.n_samples / extractor.sampling_rate
    if hasattr(extractor, "num_mel_bins") and getattr(extractor, "max_length", None):  # AST: frames of 10 ms
        return extractor.max_length / 100
    return None


def _check_complete(folder: Path, missing: Iterable[str]) -> None:
    """Refuse a model whose file of weights lacks tensors: transformers would fill them with random numbers."""
    # Decoders are not used, and the vector of masked frames only in training.
    lacking = sorted(name for name in missing if not name.startswith("decoder.") and name != "masked_spec_embed")
    if lacking:
        raise InputError(
            f"{folder}: its weights lack {counted(len(lacking), 'tensor')} of the model ({few(lacking, 2)}), which "
            "would be random; expected the weights of the model that config.json describes."
        )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn the errors of loading a model into one line."""
    from transformers.utils import logging

    # Its warnings about unused weights and its progress bars would mix with our output.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        yield
    except EmobenchError:
        raise
    except Exception as error:  # code of the model may raise anything
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"{folder}: cannot be used as an audio model of transformers ({reason}).") from error
