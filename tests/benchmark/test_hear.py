"""Modules with the interface of HEAR 2021: stubs, wrong answers, and a real package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import pytest
from emobench.benchmark.features.spec import Entry, resolve
from emobench.errors import InputError

STUB = """
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    timestamp_embedding_size = 2

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))

def load_model(path=""):
    return Model(torch.load(path) if path else 1.0)

def get_timestamp_embeddings(audio, model):
    frames = audio[:, : audio.shape[1] // 800 * 800].reshape(len(audio), -1, 800)
    values = model.gain * torch.stack([frames.abs().mean(-1), frames.square().mean(-1)], -1)
    times = (torch.arange(values.shape[1]) * 50.0 + 25).expand(len(audio), -1)
    return values, times
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module with the interface, whose answer ``end`` may spoil."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code: str = STUB, end: str = "") -> str:
        (tmp_path / "stub_hear.py").write_text(
            code.replace("    return values, times\n", f"{end}    return values, times\n")
        )
        monkeypatch.delitem(sys.modules, "stub_hear", raising=False)
        return "hear:stub_hear"

    return write


def test_embeddings_are_averaged_over_each_second(stub: Any, with_audio: Path) -> None:
    import soundfile
    import soxr

    table = eb.extract(with_audio / "syn", stub())
    clip = table.index["clip_id"][0]
    samples, rate = soundfile.read(next((with_audio / "syn" / "audio").rglob(f"{clip}.*")), dtype="float32")
    samples = soxr.resample(samples if samples.ndim == 1 else samples.mean(axis=1), rate, 16_000)
    values = table.values[(table.index["clip_id"] == clip) & (table.index["time"] == 2)][0]
    second = samples[16_000:32_000]
    np.testing.assert_allclose(values, [np.abs(second).mean(), np.square(second).mean()], atol=1e-4)


def test_weights_are_part_of_the_result(stub: Any, with_audio: Path, tmp_path: Path) -> None:
    import torch

    torch.save(3.0, tmp_path / "gain.pt")
    name = f"{stub()}@{tmp_path / 'gain.pt'}"
    plain, louder = (eb.extract(with_audio / "syn", each).values for each in ("hear:stub_hear", name))
    np.testing.assert_allclose(louder, 3 * plain, rtol=1e-5)
    found = eb.run(with_audio / "syn", name, out=tmp_path / "results", regressors="ridge")
    result = next(result for result in found if result.features == "hear:stub_hear@gain.pt")
    metadata: Any = result.feature_metadata["hear:stub_hear@gain.pt"]
    assert (metadata["embedding_size"], metadata["parameters"]) == (2, 1)
    assert len(metadata["weights_sha256"]) == 64
    assert str(tmp_path) not in result.path.read_text()
    assert Entry((name,)).features == "hear:stub_hear@gain.pt"


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("    times = times * 1.5\n", r"for a clip of 8000 ms.*another sample rate than 16000 Hz"),
        ("    times = times + torch.arange(times.shape[1]) ** 2 * 0.1\n", "expected regular ones"),
        ("    times = times.flip(1)\n", "timestamps that do not increase"),
        ("    times = times / 1000\n", "for a clip of 8000 ms"),
        ("    times = times[:, :-1]\n", "159 timestamps for 160 embeddings"),
        ("    values, times = values[:, ::2], times[:, :80]\n", "for a clip of 8000 ms"),
        ("    values, times = (each[:, torch.arange(160) % 60 < 9] for each in (values, times))\n", "a hop of 2600 ms"),
        ("    values = torch.log(values - values[:, 3:4])\n", r"embedding \d+ is not finite"),
        ("    times = times * float('nan')\n", "missing or not finite"),
        ("    values = values[:, :, :1]\n", r"expected \(1, n, 2\)"),
        ("    return values\n", "no pair of embeddings and timestamps"),
        ("    raise RuntimeError('out of luck')\n", "out of luck"),
    ],
)  # fmt: skip
def test_wrong_answers_are_named(stub: Any, with_audio: Path, end: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        eb.extract(with_audio / "syn", stub(end=end))
    assert "clip" in str(caught.value)
    assert "hear:stub_hear" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sample_rate = 16000", "sample_rate = None", "sample_rate of its model is None; expected a positive integer"),
        ("sample_rate = 16000", "sample_rate = 44100.0", r"sample_rate of its model is 44100\.0"),
        ("timestamp_embedding_size = 2", "pass", "timestamp_embedding_size of its model is None"),
        ("def load_model", "def other", "has no function load_model"),
        ("return Model(", "raise OSError('no weights')\n    return Model(", r"load_model failed \(no weights\)"),
        ("import torch", "import torch, absent_package", "cannot be imported"),
    ],
)
def test_wrong_modules_are_named(stub: Any, with_audio: Path, old: str, new: str, message: str) -> None:
    assert old in STUB
    with pytest.raises(InputError, match=message):
        eb.extract(with_audio / "syn", stub(STUB.replace(old, new)))


def test_names(tmp_path: Path) -> None:
    assert resolve("hear:hearbaseline.naive").name == "hear:hearbaseline.naive"
    for wrong in ("", "a-b", "module@", "@weights"):
        with pytest.raises(InputError, match="expected hear:MODULE"):
            resolve(f"hear:{wrong}")
    with pytest.raises(InputError, match="no such file"):
        resolve(f"hear:module@{tmp_path / 'absent.pt'}")


def test_a_real_package(with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hearbaseline.naive of PyPI, without its dependencies, most of which no longer install."""
    import librosa

    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--retries",
        "1",
        "--dest",
        str(tmp_path),
    ]
    if subprocess.run([*command, "hearbaseline==2021.1.1"], capture_output=True, check=False).returncode:
        pytest.skip("hearbaseline cannot be downloaded here")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "packages")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    # Librosa 0.10 made these arguments keywords.
    mel = librosa.filters.mel
    monkeypatch.setattr(librosa.filters, "mel", lambda sr, **options: mel(sr=sr, **options))
    table = eb.extract(with_audio / "syn", "hear:hearbaseline.naive")
    assert table.values.shape[1] == 4096
    assert np.isfinite(table.values).all()
    assert table.values.std(axis=0).min() > 0
