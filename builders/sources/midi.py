"""A folder of MIDI files, rendered with a SoundFont, for pre-training.

The album of a file is the name of its subfolder, and its artist the name of the subfolder above. docs/midi.md describes
the rendering. The extra `midi` must be installed.

Citation: that of the files.

Licence: that of the files; the SoundFont TimGM6mb.sf2 (GPL-2) is not part of the dataset.

Source: any collection of Standard MIDI Files, such as the Lakh MIDI Dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...protocols import REQUIRED, Source, option, shared, sources
from ..quality import QualityConfig

if TYPE_CHECKING:
    from ..corpus import PretrainCorpus


SHORTEST, LONGEST = 1.0, 3600.0


def check_max_duration(seconds: float) -> None:
    """Raise InputError unless the longest duration of a rendered piece is sensible."""
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError(f"`max_duration` {seconds:g}: expected {SHORTEST:g} to {LONGEST:g} seconds, such as 60.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a folder of MIDI files."""

    folder: Path = option(REQUIRED, "Folder with MIDI files (.mid, .midi), which may be in subfolders.")
    max_duration: float = option(60.0, "Longest duration of a rendered piece in seconds.")
    quality: QualityConfig = shared(QualityConfig, "Quality filter")

    def __post_init__(self) -> None:
        check_max_duration(self.max_duration)


def load(options: Options, *, out: Path, seed: int) -> PretrainCorpus:
    """Find the files; they are rendered when the dataset is built."""
    from dataclasses import replace

    from ..readers import midi

    return replace(midi.load(options.folder, options.max_duration), quality=options.quality)


sources.register(
    Source(
        "midi",
        "A folder of MIDI files, rendered for pre-training.",
        Options,
        load,
        examples=("build-data midi --folder songs/ --max-duration 45",),
        labelled=False,
    )
)
