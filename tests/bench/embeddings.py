"""Overhead of extracting embeddings, beside the bare model in a plain loop: ``python embeddings.py --results FILE``.

One thread, in turn over several rounds. Seconds are those of the processor, of all processes together, so that others
on the machine disturb little. The model of transformers has the size of Wav2Vec2 base and random weights.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
)

import librosa
import numpy as np
import soundfile
import soxr
import torch
from emobench.benchmark.features.audio_features import AudioFeature
from emobench.benchmark.features.batches import batches_of, extract
from emobench.benchmark.features.families.hugging_face import _Encoding
from emobench.builders.audio_files import ClipSource
from emobench.builders.synthesis import render_excerpt
from emobench.pretrained import musicnn
from emobench.pretrained.encoder import Encoder, find_model
from emobench.pretrained.musicnn_weights import load_weights
from emobench.protocols import features
from emobench.runtime.environment import processor_name
from emobench.runtime.executor import executor
from emobench.runtime.files import write_json
from emobench.runtime.isolation import peak_rss_mb

SECONDS, RATE, TOTAL = 30, 44_100, 50_000


def make_clips(folder: Path, count: int) -> list[ClipSource]:
    """Write MP3 files with the same music at different levels."""
    audio = render_excerpt(tempo=110, style="rock", drums=True, duration=SECONDS, seed=1, sample_rate=RATE).audio
    sources = []
    for number in range(count):
        path = folder / f"{number}.mp3"
        level = 0.9 - 0.3 * number / count
        soundfile.write(path, level * np.column_stack([audio, audio]), RATE, format="MP3", subtype="MPEG_LAYER_III")
        sources.append(ClipSource(str(number), path, 0.0, float(SECONDS)))
    return sources


def plainly(path: Path) -> np.ndarray:
    """Read a file as many programs do: mono at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples.mean(axis=1), rate, 16_000)[: SECONDS * 16_000].astype(np.float32)


def plain_musicnn() -> Callable[[Path], Any]:
    """Return the bare model: spectrogram and network, on patches that end at each second."""
    network = musicnn.Network(load_weights("MSD"), torch.device("cpu"))

    def run(path: Path) -> Any:
        samples = plainly(path)
        power = librosa.feature.melspectrogram(y=samples, sr=16_000, n_fft=512, hop_length=256, n_mels=96)
        spectrogram = np.log10(10_000 * power.T + 1).astype(np.float32)
        return network(spectrogram, [62 * second for second in range(len(samples) // 16_000 - 2)])

    return run


def plain_encoder(folder: Path) -> Callable[[Path], Any]:
    """Return the bare model of transformers, which gives the hidden states of all layers."""
    from transformers import AutoFeatureExtractor, AutoModel

    extractor: Any = AutoFeatureExtractor.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder, output_hidden_states=True).eval()

    def run(path: Path) -> Any:
        with torch.inference_mode():
            given = extractor(plainly(path), sampling_rate=16_000, return_tensors="pt")
            return [states.numpy() for states in model(**given).hidden_states]

    return run


def save_encoder(folder: Path) -> Path:
    """Save a model of the size of Wav2Vec2 base."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(folder)
    return folder


def busy() -> float:
    """Return the processor seconds of this process and its children."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12]) if int(fields[1]) == os.getpid() else 0
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK") + ended.ru_utime + ended.ru_stime


def measure(
    extractor: Any, bare: Callable[[Path], Any], sources: Sequence[ClipSource], cache: Path, pool: Executor, rounds: int
) -> dict[str, float]:
    """Measure seconds per clip of both, in turn, after a clip that loads the models."""
    wanted = [np.arange(1.0, SECONDS + 1)] * len(sources)

    def ours(number: int, clips: int) -> None:
        paths = [cache / str(number) / f"{source.clip_id}.npz" for source in sources[:clips]]
        paths[0].parent.mkdir(parents=True)
        batches = batches_of(sources[:clips], wanted[:clips], paths, 8)
        assert len(list(extract(extractor, batches, pool, device="cpu", name="bench"))) == clips

    bare(sources[0].path)
    ours(0, 1)
    times: dict[str, list[float]] = {"bare": [], "ours": [], "again": []}
    for number in range(1, rounds + 1):
        began = busy()
        for source in sources:
            bare(source.path)
        times["bare"].append(busy() - began)
        began = busy()
        ours(number, len(sources))
        times["ours"].append(busy() - began)
        began = busy()
        paths = [cache / str(number) / f"{source.clip_id}.npz" for source in sources]
        list(extract(extractor, batches_of(sources, wanted, paths, 8), pool, device="cpu", name="bench"))
        times["again"].append(busy() - began)
    found = {name: float(np.median(each)) / len(sources) for name, each in times.items()}
    size = sum(path.stat().st_size for path in (cache / "1").iterdir()) / len(sources)
    return {
        **found,
        "overhead": found["ours"] / found["bare"] - 1,
        "worker_mb": peak_rss_mb(),
        "bytes_per_clip": size,
        "hours_of_all": found["ours"] * TOTAL / 3600,
        "gb_of_all": size * TOTAL / 1e9,
    }


def measure_batches(folder: Path, sources: Sequence[ClipSource]) -> dict[str, float]:
    """Measure an encoder on several clips at once and one by one, on the CPU."""
    encoder = Encoder(find_model(str(folder), None), torch.device("cpu"))
    samples = [plainly(source.path) for source in sources]
    seconds = {}
    for size in (1, len(sources)):
        encoder._batch = size
        began = time.process_time()
        encoder.batch(samples)
        seconds[f"batches of {size}"] = (time.process_time() - began) / len(sources)
    return seconds


def main(results: Path, clips: int, rounds: int) -> None:
    """Measure both models and write the results."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, executor(1) as pool:
        folder = Path(name)
        sources = make_clips(folder, clips)
        model = save_encoder(folder / "wav2vec2-base")
        found: dict[str, Any] = {"processor": processor_name(), "clips": clips, "rounds": rounds, "seconds": SECONDS}
        # The smaller model first, because the peak memory of the worker covers both.
        for title, extractor, bare in (
            ("musicnn", AudioFeature(features["musicnn"]), plain_musicnn()),
            ("Wav2Vec2 base", _Encoding("hf:wav2vec2-base", find_model(str(model), None)), plain_encoder(model)),
        ):
            found[title] = measure(extractor, bare, sources, folder / title, pool, rounds)
            sys.stdout.write(f"{title}: {found[title]}\n")
            sys.stdout.flush()
        found["batches"] = measure_batches(model, sources)
    sys.stdout.write(f"{found['batches']}\n")
    write_json(results, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("embeddings.json"))
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    main(chosen.results, chosen.clips, chosen.rounds)
