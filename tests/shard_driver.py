"""Build a pre-training set of a folder of short clips: python shard_driver.py AUDIO OUT (WORKERS | tcp://...)."""

import sys
import warnings
from pathlib import Path

import polars as pl
from emobench.builders import pretraining
from emobench.builders.corpus import PretrainCorpus
from emobench.builders.quality import QualityConfig
from emobench.cards.dataset import About
from emobench.errors import EmobenchError
from emobench.runtime.executor import executor


def build(audio: Path, out: Path, where: str):
    """Build the set; return the outcome of the build."""
    names = sorted(path.name for path in audio.iterdir())
    clips = pl.DataFrame(
        {"track_id": names, "artist": "A", "album": "B", "title": names, "seven_digital_id": None, "audio": names},
        schema_overrides={"seven_digital_id": pl.String},
    )
    about = About("Test", "Made in a test.", "cc0-1.0", "@misc{test}", "None.")
    config = pretraining.PretrainConfig(quality=QualityConfig(min_duration=5.0, min_bit_rate=0))
    pool = executor(2, where) if "://" in where else executor(int(where))
    with pool as started:
        corpus = PretrainCorpus(clips, about, {"type": "test"}, audio)
        return pretraining.build(corpus, out, name="test", version="1.0.0", config=config, pool=started)


if __name__ == "__main__":
    warnings.showwarning = lambda message, *_: print(f"emobench: warning: {message}", file=sys.stderr, flush=True)
    try:
        print(build(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
    except KeyboardInterrupt:
        sys.exit(130)
    except EmobenchError as error:
        print(f"emobench: {error}", file=sys.stderr)
        sys.exit(1)
