"""A folder of audio files, for pre-training.

Every file is a clip: by default, the minute in its middle. The album of a file is the name of its subfolder, and its
artist the name of the subfolder above; tags are not read.

Citation: that of the files.

Licence: that of the files, which are not part of the dataset.

Source: any collection of music in WAV, FLAC, Ogg Vorbis or MP3 files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...protocols import REQUIRED, Source, option, shared, sources
from ..quality import QualityConfig, check_sample
from .midi import check_max_duration

if TYPE_CHECKING:
    from ..corpus import PretrainCorpus


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a folder of audio files."""

    folder: Path = option(REQUIRED, "Folder with audio files, which may be in subfolders.")
    max_duration: float = option(60.0, "Longest duration of a clip in seconds.")
    start: float | None = option(
        None, "Start of the clip in each file in seconds. Default: the clip is the middle of the file."
    )
    sample: int = option(0, "Number of clips to draw among those that pass the quality filter; 0 takes all.")
    quality: QualityConfig = shared(QualityConfig, "Quality filter")

    def __post_init__(self) -> None:
        check_max_duration(self.max_duration)
        if self.start is not None and not 0 <= self.start < float("inf"):
            raise InputError(f"`start` {self.start:g}: expected a number of seconds of at least 0, such as 30.")
        if self.max_duration < self.quality.min_duration:
            raise InputError(
                f"`max_duration` {self.max_duration:g}: shorter than `min_duration` {self.quality.min_duration:g}, so "
                "every clip would be rejected; decrease `min_duration`, too."
            )
        check_sample(self.sample)


def load(options: Options, *, out: Path, seed: int) -> PretrainCorpus:
    """Find the files."""
    from dataclasses import asdict

    from ...audio.decode import EXTENSIONS
    from ...cards.dataset import About
    from ..corpus import Part, PretrainCorpus
    from ..readers.folder import list_tracks

    part = Part(float(options.max_duration), None if options.start is None else float(options.start))
    place = "their middle" if part.start is None else f"second {part.start:g}"
    return PretrainCorpus(
        clips=list_tracks(options.folder, EXTENSIONS, "audio"),
        about=About(
            title="Audio files",
            summary="Music from a folder of audio files, without labels, for pre-training. Clips are at most "
            f"{part.max_duration:g} seconds of the files, from {place}.",
            license="other",
            citation="The origin of the audio files is not known to emobench.",
            terms="The terms of the audio files apply. The folder was chosen by whoever built the dataset, which does "
            "not contain the music.",
        ),
        source={"type": "audio"},
        audio_folder=options.folder,
        settings=asdict(part),
        part=part,
        quality=options.quality,
        sample=options.sample or None,
    )


sources.register(
    Source(
        "audio",
        "A folder of audio files, for pre-training.",
        Options,
        load,
        examples=(
            "build-data audio --folder music/",
            "build-data audio --folder music/ --start 0 --max-duration 30 --min-bit-rate 64000 --sample 5000",
        ),
        labelled=False,
    )
)
