"""The quality filter: each rule, and the numbers of rejected files in the manifest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.builders import pretraining
from emobench.builders.corpus import PretrainCorpus
from emobench.builders.quality import ClipFacts, QualityConfig, rejection
from emobench.builders.release import load_manifest
from emobench.builders.synthesis import STYLES, render_excerpt
from emobench.cards.dataset import About

GOOD = ClipFacts("MPEG_LAYER_III", 128_000, 22_050, 2, 30.07, -20.0, 60)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"bit_rate": 127_999}, "low_bit_rate"),
        ({"bit_rate": 64_000, "codec": "PCM_16"}, None),
        ({"sample_rate": 22_049}, "low_sample_rate"),
        ({"duration": 29.9}, None),
        ({"duration": 29.89}, "too_short"),
        ({"rms_db": -60.1}, "silent"),
        ({"n_beats": 3}, "too_few_beats"),
        ({"bit_rate": 1, "sample_rate": 1, "duration": 0.0}, "low_bit_rate"),
    ],
    ids=str,
)
def test_each_rule(changes: dict[str, Any], reason: str | None) -> None:
    assert rejection(ClipFacts(**(vars(GOOD) | changes)), QualityConfig()) == reason


def test_every_reason_is_found_and_counted(tmp_path: Path, pool: Executor) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    sound = render_excerpt(
        tempo=110, style=min(STYLES), drums=True, duration=31, seed=0, sample_rate=44_100
    ).audio.astype(np.float32)

    def mp3(name: str, samples: np.ndarray = sound, rate: int = 44_100, level: float = 2 / 3) -> Path:
        path = audio / f"{name}.mp3"
        options = {"bitrate_mode": "CONSTANT", "compression_level": level}
        soundfile.write(path, samples, rate, format="MP3", subtype="MPEG_LAYER_III", **options)
        return path

    mp3("good")
    mp3("low_bit_rate", level=0.95)
    mp3("low_sample_rate", sound[::3], 16_000, 0.0)
    mp3("too_short", sound[: 20 * 44_100])
    mp3("silent", sound * 1e-5)
    burst = np.zeros(31 * 44_100, np.float32)
    burst[15 * 44_100 : 15 * 44_100 + 8000] = np.random.default_rng(0).normal(0, 0.3, 8000)
    mp3("too_few_beats", burst)
    (audio / "undecodable.mp3").write_bytes(b"<html>no such clip</html>" * 50)
    whole = mp3("truncated").read_bytes()
    (audio / "truncated.mp3").write_bytes(whole[: len(whole) // 2 + 100])
    damaged = bytearray(mp3("bad_frames").read_bytes())
    damaged[200_000:200_500] = bytes(300)
    (audio / "bad_frames.mp3").write_bytes(damaged)

    def corpus(change: Callable[[list[str | None]], list[str | None]]) -> PretrainCorpus:
        names = sorted([*(path.stem for path in audio.iterdir()), "missing"])
        files = change([None if name == "missing" else f"{name}.mp3" for name in names])
        clips = pl.DataFrame(
            {"track_id": names, "artist": "A", "album": "B", "title": names, "seven_digital_id": None, "audio": files},
            schema_overrides={"seven_digital_id": pl.String},
        )
        return PretrainCorpus(clips, About("T", "T.", "cc0-1.0", "@misc{t}", "None."), {"type": "test"}, audio)

    out = tmp_path / "out"
    config = pretraining.PretrainConfig()
    pretraining.build(corpus(list), out, name="t", version="1.0.0", config=config, pool=pool)
    clips = pl.read_parquet(out / "clips" / "train-00000.parquet")
    found = dict(clips.select("track_id", "rejected").iter_rows())
    assert found == {name: None if name == "good" else name for name in found}
    counts = load_manifest(out).counts
    assert counts["rejected"] == dict.fromkeys(sorted(set(found) - {"good"}), 1)
    good = clips.row(by_predicate=pl.col("track_id") == "good", named=True)
    # 31 seconds with the encoder's delay and padding, in frames of 1,152 samples.
    assert good["duration"] == pytest.approx(31, abs=0.1)
    assert good["duration"] * 44_100 / 1152 == pytest.approx(round(good["duration"] * 44_100 / 1152), abs=1e-6)
    assert good["bit_rate"] == 128_000
    card = (out / "README.md").read_text()
    assert all(reason in card for reason in counts["rejected"])
