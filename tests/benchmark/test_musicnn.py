"""musicnn against the outputs of its original, and its weights from PyPI, a local copy and the cache."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import emobench as eb
import librosa
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.features.families.musicnn import PARAMETERS
from emobench.cli.main import app
from emobench.errors import EmobenchError, InputError
from emobench.pretrained import musicnn, musicnn_weights
from emobench.pretrained.tensorflow_checkpoint import read_checkpoint
from emobench.protocols import features
from emobench.runtime import cache_content
from typer.testing import CliRunner

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "musicnn"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, downloaded by pip on its own."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1", "--dest", str(folder)]
    ran = subprocess.run([*command, "musicnn==0.1.0"], capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip("musicnn cannot be downloaded here")
    return folder / musicnn_weights.WHEEL


@pytest.fixture
def cached(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the weights."""
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    musicnn_weights.fetch(wheel)
    return tmp_path / "cache"


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def _network(model: str) -> musicnn.Network:
    import torch

    return musicnn.Network(musicnn_weights.load_weights(model), torch.device("cpu"))


@pytest.mark.parametrize("model", ["MSD", "MTT"])
def test_outputs_equal_those_of_tensorflow(cached: Path, model: str) -> None:
    if not REFERENCE.is_dir():
        pytest.skip("the reference outputs lie beside the checkout on the developers' machines only")
    patches = np.load(REFERENCE / "patch.npy")
    expected = np.load(REFERENCE / f"ref_{model}_musicnn.npz")
    # 36 patches fill more than one batch.
    spectrogram = np.tile(patches, (9, 1, 1)).reshape(-1, 96)
    found = _network(model)(spectrogram, list(range(0, len(spectrogram), 187)))
    for name, stored, tolerance in (
        ("tags", "tag", 1e-4),
        ("penultimate", "pen", 1e-4),
        ("mean", "mean", 1e-4),
        ("max", "max", 1e-3),
    ):
        assert found[name].shape == (36, musicnn.OUTPUTS[name])
        np.testing.assert_allclose(found[name], np.tile(expected[stored], (9, 1)), rtol=0, atol=tolerance)


def test_checkpoints_hold_the_tensors_of_the_network(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        index, data = [archive.read(f"musicnn/MSD_musicnn/{name}") for name in (".index", ".data-00000-of-00001")]
    tensors = {name: each for name, each in read_checkpoint(index, data).items() if "Adam" not in name}
    # The network's 64 tensors, and the powers of two rates of its optimiser.
    assert len(tensors) == 66
    assert sum(each.size for each in tensors.values()) == 792_081 == PARAMETERS + 2
    # The first tensors of the file, by numpy alone.
    assert tensors["batch_normalization/beta"] == np.frombuffer(data[:4], "<f4")
    assert (tensors["batch_normalization_10/moving_variance"] > 0).all()
    with pytest.raises(ValueError, match="index file"):
        read_checkpoint(data, index)
    with pytest.raises(ValueError, match="of the data"):
        read_checkpoint(index, data[:-4])


def test_spectrogram_equals_its_formula() -> None:
    generator = np.random.default_rng(0)
    samples = (0.1 * generator.standard_normal(16_000)).astype(np.float32)
    bands = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=96)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    found = musicnn.log_mel(samples)
    assert found.shape == (63, 96)
    # Frame 30 is centred at sample 30 · 256.
    power = np.abs(np.fft.rfft(samples[30 * 256 - 256 : 30 * 256 + 256] * window)) ** 2
    np.testing.assert_allclose(found[30], np.log10(10_000 * bands @ power + 1), atol=1e-5)


def test_loud_audio_does_not_overflow() -> None:
    loud = np.sign(np.sin(np.arange(32_000) * 0.3)).astype(np.float32)
    assert (
        librosa.feature.melspectrogram(y=loud, sr=16_000, n_fft=512, hop_length=256).max()
        > np.finfo(np.float16).max / 10_000
    )
    assert np.isfinite(musicnn.log_mel(loud)).all()


def test_overlapping_patches_equal_separate_ones(cached: Path) -> None:
    spectrogram = np.random.default_rng(3).random((700, 96), dtype=np.float32) * 3
    starts = [0, 62, 125, 500, 513]
    network = _network("MSD")
    together = network(spectrogram, starts)
    for row, start in enumerate(starts):
        alone = network(spectrogram[start : start + 187], [0])
        for name in ("penultimate", "tags", "mean"):
            np.testing.assert_allclose(together[name][row], alone[name][0], atol=1e-5)


def test_patches_end_at_each_second_and_see_nothing_later() -> None:
    generator = np.random.default_rng(1)
    samples = (0.1 * generator.standard_normal(16_000 * 6 + 5000)).astype(np.float32)
    times, spectrogram, starts = musicnn.patches(musicnn.log_mel(samples), len(samples))
    assert times.tolist() == [3, 4, 5, 6]
    for second, start in zip(times.astype(int).tolist(), starts, strict=True):
        changed = samples.copy()
        changed[second * 16_000 :] = 0
        patch = slice(start, start + 187)
        np.testing.assert_array_equal(musicnn.log_mel(changed)[patch], spectrogram[patch])
        # The last 20 ms of the second are part of it.
        changed[second * 16_000 - 320 :] = 0
        assert (musicnn.log_mel(changed)[patch] != spectrogram[patch]).any()


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.5, 2.99])
def test_short_clips_are_repeated(seconds: float) -> None:
    samples = np.random.default_rng(2).standard_normal(int(16_000 * seconds)).astype(np.float32)
    heard = musicnn.log_mel(samples)
    times, spectrogram, starts = musicnn.patches(heard, len(samples))
    assert times.tolist() == [pytest.approx(seconds)]
    assert (spectrogram.shape, starts) == ((187, 96), [0])
    np.testing.assert_array_equal(spectrogram, np.concatenate([heard] * 8)[:187])


def test_entries_of_the_leaderboard(cached: Path, with_audio: Path, tmp_path: Path) -> None:
    names = ["musicnn", "musicnn:tags@MTT", "musicnn:mean"]
    found = eb.run(with_audio / "syn", [*names, "musicnn+mfcc"], out=tmp_path / "results", regressors="ridge")
    by_name = {result.features: result for result in found}
    assert [by_name[name].dims for name in names] == [200, 50, 753]
    assert by_name["musicnn+mfcc"].dims == 220
    metadata: Any = by_name["musicnn"].feature_metadata["musicnn"]
    assert metadata["licence"] == "ISC"
    assert metadata["weights_sha256"] == musicnn_weights.SHA256["MSD"]
    assert "some of which are moods" in metadata["labels_used"]
    assert "MagnaTagATune" in str(by_name["musicnn:tags@MTT"].feature_metadata)
    # The patches end at each second, so the first seconds have the values of the first patch.
    assert features["musicnn"].align == "end"


@pytest.mark.parametrize("form", ["wheel", "folder", "inner folder"])
def test_local_copies(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, no_download: None
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    source = {"wheel": wheel, "folder": tmp_path / "unpacked", "inner folder": tmp_path / "unpacked" / "musicnn"}[form]
    ran = CliRunner().invoke(app, ["cache", "fetch", "musicnn", "--from", str(source)])
    assert ran.exit_code == 0, ran.output
    assert ran.output.count("3.2 MB") == 2
    for model in ("MSD", "MTT"):
        assert sum(each.size for each in musicnn_weights.load_weights(model).values()) == PARAMETERS
    shown = json.loads(CliRunner().invoke(app, ["cache", "info", "--json"]).stdout)
    assert [(kind["name"], kind["files"]) for kind in shown["kinds"]] == [("pretrained", 2)]
    assert [(kind.name, kind.files) for kind in cache_content.clear()] == [("pretrained", 2)]


def test_wrong_copies_are_refused(wheel: Path, tmp_path: Path, no_download: None) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    data = tmp_path / "unpacked" / "musicnn" / "MTT_musicnn" / ".data-00000-of-00001"
    damaged = bytearray(data.read_bytes())
    damaged[1000] ^= 1
    data.write_bytes(damaged)
    with pytest.raises(InputError, match=r"MTT_musicnn is not that of musicnn 0\.1\.0"):
        musicnn_weights.fetch(tmp_path / "unpacked")
    shutil.rmtree(tmp_path / "unpacked" / "musicnn" / "MTT_musicnn")
    text = tmp_path / "notes.whl"
    text.write_text("no wheel")
    for source in (tmp_path / "unpacked", tmp_path / "absent.whl", text):
        with pytest.raises(InputError, match=f"{source.name}: expected musicnn-0.1.0-py3-none-any.whl, or a folder"):
            musicnn_weights.fetch(source)
    ran = CliRunner().invoke(app, ["cache", "fetch", "openl3"])
    assert ran.exit_code == 2
    assert "WHAT openl3: expected musicnn" in ran.output


def test_damaged_weights_in_the_cache_are_not_used(
    cached: Path, no_download: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(cached))
    file = musicnn_weights.weights_file("MSD")
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(EmobenchError, match="cannot download"):
        musicnn_weights.load_weights("MSD")
    musicnn_weights.load_weights("MTT")


def test_without_network_there_is_one_clear_line(no_download: None, with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(EmobenchError) as caught:
        eb.run(with_audio / "syn", "musicnn", out=tmp_path / "results")
    message = str(caught.value)
    assert message.startswith("musicnn: pip cannot download musicnn-0.1.0-py3-none-any.whl (")
    assert "emobench cache fetch musicnn" in message
    assert "\n" not in message
    assert not isinstance(caught.value, InputError)


def test_without_pip_the_wheel_comes_from_its_url(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(musicnn_weights, "find_spec", lambda name: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=wheel.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(musicnn_weights, "WHEEL_URL", f"http://127.0.0.1:{server.server_port}/{wheel.name}")
        assert len(musicnn_weights.load_weights("MTT")) == 64
        server.shutdown()
    assert pl.Series([path.is_file() for path in musicnn_weights.fetch()]).all()
