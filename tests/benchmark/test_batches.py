"""Features in batches: in worker processes and on a cluster as here, cached by clip, resumed, and bounded in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import pytest
from emobench.audio import cache
from emobench.benchmark.features import batches
from emobench.errors import InputError
from emobench.pretrained import encoder, musicnn, musicnn_weights

from ..dask_cluster import Cluster
from .parallel_feature import Levels
from .test_hugging_face import _save


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _entries(folder: Path) -> dict[str, int]:
    """Cached clips, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "features").rglob("*.npz")}


def test_worker_processes_give_what_this_process_gives(with_audio: Path, tmp_path: Path, own_cache: Path) -> None:
    spread = eb.extract(with_audio / "syn", Levels(tmp_path / "none"), workers=2)
    assert len(_entries(own_cache)) == 12
    assert os.getpid() % 65536 not in spread.values[:, 1]
    here = Levels(tmp_path / "none")
    here.parallel = False
    here.revision = "2"
    alone = eb.extract(with_audio / "syn", here)
    assert set(alone.values[:, 1]) == {os.getpid() % 65536}
    np.testing.assert_array_equal(spread.values[:, 0], alone.values[:, 0])
    assert spread.index.equals(alone.index)


def test_an_interrupted_extraction_resumes_at_the_batch(with_audio: Path, tmp_path: Path, own_cache: Path) -> None:
    refused = tmp_path / "refused"
    feature = Levels(refused)
    # Batches of five leave two clips for the last one, which fails.
    feature.batch_size = 5
    refused.write_text("2")
    with pytest.raises(InputError, match=r"feature levels, clip s\d+ and 1 more: refused"):
        eb.extract(with_audio / "syn", feature, workers=1)
    before = _entries(own_cache)
    assert len(before) == 10
    refused.unlink()
    whole = eb.extract(with_audio / "syn", feature, workers=1)
    after = _entries(own_cache)
    assert len(after) == 12
    assert {name: after[name] for name in before} == before
    # A missing and a damaged entry are computed again, with their batch.
    paths = sorted((own_cache / "features").rglob("*.npz"))
    paths[0].unlink()
    paths[1].write_bytes(b"no array")
    again = eb.extract(with_audio / "syn", feature, workers=1)
    np.testing.assert_array_equal(again.values[:, 0], whole.values[:, 0])
    assert all(cache.read(path) is not None for path in paths)


def test_clips_are_pooled_one_by_one(with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    given = batches.extract

    def counted(*arguments: Any, **options: Any) -> Iterator[cache.Arrays]:
        for arrays in given(*arguments, **options):
            held.append(len(arrays["values"]))
            yield arrays

    monkeypatch.setattr("emobench.benchmark.features.audio_features.extract", counted)
    found = eb.run(with_audio / "syn", Levels(tmp_path / "none"), task="clip", regressors="ridge", out=tmp_path / "out")
    assert held == [8] * 12
    assert next(each for each in found if each.features == "levels").dims == 4


def test_musicnn_on_several_clips_is_musicnn_on_each() -> None:
    generator = np.random.default_rng(0)
    # The widths of the network, with random weights.
    try:
        network = musicnn.Network(musicnn_weights.load_weights("MTT"), _cpu())
    except Exception:
        pytest.skip("musicnn cannot be downloaded here")
    clips = [(0.1 * generator.standard_normal(16_000 * seconds)).astype(np.float32) for seconds in (5, 2, 39)]
    cut = [musicnn.patches(musicnn.log_mel(each), len(each)) for each in clips]
    together = network.of_clips([each[1] for each in cut], [each[2] for each in cut])
    for (_, spectrogram, starts), found in zip(cut, together, strict=True):
        for name, values in network(spectrogram, starts).items():
            np.testing.assert_allclose(found[name], values, atol=2e-5)


@pytest.mark.parametrize("window", [False, True])
def test_encoders_on_several_clips_are_encoders_on_each(tmp_path: Path, window: bool) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="needs the extra embeddings")
    if window:
        shape = {"encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
        ids = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0, "vocab_size": 50}
        sizes = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_mel_bins": 20}
        config = transformers.WhisperConfig(max_source_positions=100, **shape, **ids, **sizes)
        transformers.WhisperModel(config).save_pretrained(tmp_path)
        transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=2).save_pretrained(tmp_path)
    else:
        _save(tmp_path, "Wav2Vec2")
    model = encoder.Encoder(encoder.find_model(str(tmp_path), None), _cpu())
    generator = np.random.default_rng(0)
    clips = [(0.1 * generator.standard_normal(16_000 * seconds)).astype(np.float32) for seconds in (3, 4, 3, 3)]
    alone = [model(each) for each in clips]
    calls: list[int] = []
    states = model._states
    model._batch = 2
    model._states = lambda pieces: (calls.append(len(pieces)), states(pieces))[1]
    for (times, values), (own_times, own) in zip(model.batch(clips), alone, strict=True):
        np.testing.assert_array_equal(times, own_times)
        np.testing.assert_allclose(values, own, atol=1e-5)
    # Three clips of 3 s and one of 4 s, or 13 windows of one length.
    assert calls == ([2] * 6 + [1] if window else [2, 1, 1])


def _cpu() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch.device("cpu")


def _wait_for(ready: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_a_cluster_gives_what_this_machine_gives(
    with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    cluster = Cluster(tmp_path)
    try:
        _wait_for(cluster.ready)
        far = eb.extract(with_audio / "syn", Levels(tmp_path / "none"), scheduler=cluster.address)
        assert len(_entries(own_cache)) == 12
        assert os.getpid() % 65536 not in far.values[:, 1]
    finally:
        cluster.end()
    near = Levels(tmp_path / "none")
    near.revision = "2"
    np.testing.assert_array_equal(far.values[:, 0], eb.extract(with_audio / "syn", near).values[:, 0])
