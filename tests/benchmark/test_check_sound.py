"""Recordings that ``emobench check`` finds by their sound, within a dataset and in two."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.audio.decode import decode
from emobench.benchmark.check.checking import check
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig, LabelledDataset

RATE = 22050

# A clip: its audio file, and its start and duration there in seconds.
Clip = tuple[str, float, float]
Make = Callable[[str, Path, list[Clip]], LabelledDataset]


@pytest.fixture(scope="module")
def make(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Make:
    """Build a dataset from labels, and give its clips audio afterwards: no beats are needed here."""

    def made(name: str, folder: Path, clips: list[Clip]) -> LabelledDataset:
        out = tmp_path_factory.mktemp("sound") / name
        corpus = make_corpus([1] * len(clips), seed=len(name))
        corpus = replace(corpus, clips=corpus.clips.with_columns(artist=f"{name} " + pl.col("artist")))
        labelled.build(corpus, out, name=name, version="1.0.0", config=LabelledConfig(), pool=pool)
        (out / "local.json").write_text(json.dumps({"audio": str(folder)}))
        dataset = labelled.load(out)
        audio, start, duration = (pl.Series(column) for column in zip(*clips, strict=True))
        return replace(dataset, clips=dataset.clips.with_columns(audio=audio, start=start, duration=duration))

    return made


def _notes(seed: int, seconds: float) -> np.ndarray:
    """Make chords of random pitch and length over noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(time))
    start = 0.0
    while start < seconds:
        length = generator.uniform(0.15, 0.5)
        first, last = round(start * RATE), round((start + length) * RATE)
        here = time[first:last]
        for pitch in 110 * 2 ** (generator.integers(0, 36, 3) / 12):
            sound[first:last] += sum(np.sin(2 * np.pi * pitch * tone * here) / tone for tone in (1, 2, 3))
        sound[first:last] *= np.exp(-3 * (here - start))
        start += length
    return (0.1 * sound + 0.003 * generator.normal(size=len(time))).astype(np.float32)


def _write(path: Path, sound: np.ndarray, level: float = 0.8) -> None:
    if path.suffix == ".wav":
        soundfile.write(path, sound, RATE)
    else:
        soundfile.write(path, sound, RATE, format=path.suffix[1:].upper(), compression_level=level)


def test_five_recordings_twice_in_a_corpus_of_200(make: Make, real_data: Path, tmp_path: Path, pool: Executor) -> None:
    pieces = [
        path
        for folder in ("audio", "tempo", "emomusic/audio")
        for path in sorted((real_data / folder).iterdir())
        if path.suffix in (".ogg", ".mp3")
    ]
    clips: list[Clip] = []
    for number, path in enumerate(pieces):
        (tmp_path / f"p{number}{path.suffix}").symlink_to(path)
        clips.append((f"p{number}{path.suffix}", 0.0, 15.0))
    for number in range(200 - len(pieces) - 5):
        _write(tmp_path / f"s{number}.wav", _notes(number, 12))
        clips.append((f"s{number}.wav", 0.0, 12.0))
    # Encoded again, shifted by seconds, cut, quieter: two synthetic clips and three real ones.
    song = decode(pieces[0], duration=40)
    versions = {
        "a.mp3": (20, 0.3 * decode(pieces[20], duration=15)),
        "b.ogg": (0, song[round(6.37 * RATE) : round(21.37 * RATE)]),
        "c.mp3": (3, decode(pieces[3], duration=15)[4 * RATE : 11 * RATE]),
        "d.mp3": (len(pieces) + 5, _notes(5, 12)),
        "e.ogg": (len(pieces) + 9, np.concatenate([_notes(1000, 3), _notes(9, 12)])),
    }
    expected = set()
    for name, (place, sound) in versions.items():
        _write(tmp_path / name, sound)
        expected.add((f"c{place:03}", f"c{len(clips):03}"))
        clips.append((name, 0.0, len(sound) / RATE))
    dataset = make("doubles", tmp_path, clips)
    (found,) = check([dataset], pool)
    assert found.kind == "recordings"
    assert {tuple(clip.clip_id for clip in group) for group in found.clips} == expected
    assert len(dataset.clips) == 200 and "`group` FILE" in found.fix


def test_excerpts_in_another_dataset(make: Make, tmp_path: Path, pool: Executor) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    for number in range(12):
        _write(one / f"{number}.wav", _notes(number, 60))
        # Half of the clips of the other dataset are excerpts of 15 s, encoded.
        sound = _notes(number if number % 2 else 100 + number, 60)[round((3 + 3.3 * number) * RATE) :][: 15 * RATE]
        _write(other / f"{number}.mp3", sound)
    first = make("whole", one, [(f"{number}.wav", 0.0, 60.0) for number in range(12)])
    second = make("excerpts", other, [(f"{number}.mp3", 0.0, 15.0) for number in range(12)])
    found = check([first, second], pool)
    (heard,) = [finding for finding in found if finding.kind == "recordings"]
    assert {(a.clip_id, b.clip_id) for a, b in heard.clips} == {(f"c{n:03}", f"c{n:03}") for n in range(1, 12, 2)}
    assert heard.what.startswith("6 of 12 clips of whole@1.0.0 and 6 of 12 of excerpts@1.0.0")
    # Their splits overlap: the folds were drawn without knowing.
    assert {finding.kind for finding in found} <= {"recordings", "splits"}
    # Fewer than ten pairs say nothing about axes.
    assert "axes of whole@1.0.0 and excerpts@1.0.0: 6 rated clips in common; 10 are needed" in found.not_checked


def test_audio_that_cannot_be_compared(make: Make, tmp_path: Path, pool: Executor) -> None:
    for number in range(8):
        _write(tmp_path / f"{number}.wav", _notes(number, 8))
    (tmp_path / "1.wav").write_bytes(b"no audio at all")
    (tmp_path / "2.wav").unlink()
    clips = [(f"{number}.wav", 0.0, 8.0) for number in range(8)]
    clips[3] = ("3.wav", 0.0, 2.0)
    found = check([make("broken", tmp_path, clips)], pool)
    assert not found
    assert found.not_checked == (
        f"1 clip of broken@1.0.0 by sound: no audio in {tmp_path}",
        "2 clips of broken@1.0.0 by sound: not decodable, or shorter than 3 s",
    )
    gone = make("gone", tmp_path / "gone", [("0.wav", 0.0, 8.0)] * 8)
    assert check([gone], pool).not_checked == (f"recordings of gone@1.0.0 by sound: no audio in {tmp_path / 'gone'}",)
