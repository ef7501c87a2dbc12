"""MoodSwings Turk: arousal and valence of 240 clips of popular music, rated every second on Mechanical Turk.

Citation: J. A. Speck, E. M. Schmidt, B. G. Morton and Y. E. Kim, "A Comparative Study of Collaborative vs. Traditional
Musical Mood Annotation", ISMIR 2011.

Licence: published by its authors for research; the music is commercial and not included.

Source: msLiteTurk.mat, formerly at music.ece.drexel.edu/research/emotion/moodswingsturk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.dataset import Provenance
from ...errors import InputError
from ...protocols import REQUIRED, Source, option, sources

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus

AUDIO_KINDS = ("auto", "clips", "songs")


PROVENANCE = Provenance(
    url="http://music.ece.drexel.edu/research/emotion/moodswingsturk",
    published="2011",
    creators=("Jacquelin A. Speck", "Erik M. Schmidt", "Brandon G. Morton", "Youngmoo E. Kim"),
    collection="240 clips of a larger corpus that had been rated in the game MoodSwings, selected such that these "
    "ratings are distributed evenly over the four quadrants of the arousal-valence plane.",
    platform="Amazon Mechanical Turk",
    annotators="546 crowd workers; nothing else about them is published.",
    instructions="Workers read detailed instructions about the arousal-valence plane and moved a cursor on it while 11 "
    "random clips were played, extended to 30 seconds for practice. The first clip was not used. The third and the "
    "ninth were the same, one of ten verification clips, by which unsatisfactory work was rejected. Workers were paid "
    "0.25 US dollars.",
    biases=(
        "Clips near the centre of the plane are rarer than in music in general, because the quadrants are balanced.",
        "Ratings lag behind the music by the reaction time of the workers.",
    ),
    limitations=(
        "509 of 4,064 traces are constant over the clip; they are kept.",
        "17 clips have two traces of one worker; both are kept.",
        "The music is commercial and not part of the corpus.",
    ),
    personal="Annotators are identified by numbers.",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of MoodSwings Turk."""

    labels: Path = option(REQUIRED, "File msLiteTurk.mat.")
    audio: Path | None = option(None, "Folder of the clips or of the full songs.")
    audio_kind: str = option("auto", "What the audio files are: clips, songs, or auto (decided by their length).")

    def __post_init__(self) -> None:
        if self.audio_kind not in AUDIO_KINDS:
            raise InputError(f"`audio_kind` {self.audio_kind}: expected {', '.join(AUDIO_KINDS)}.")


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the labels and find the audio."""
    from ..readers import moodswings

    return moodswings.load(options.labels, options.audio, audio_kind=options.audio_kind)


sources.register(
    Source(
        "moodswings",
        "MoodSwings Turk (Speck et al. 2011).",
        Options,
        load,
        examples=(
            "build-data moodswings --labels msLiteTurk.mat",
            "build-data moodswings --labels msLiteTurk.mat --audio songs/",
        ),
        provenance=PROVENANCE,
        # Songs of uspop2002, popular music such as the Million Song Dataset has too.
        collections=("uspop2002", "msd"),
    )
)
