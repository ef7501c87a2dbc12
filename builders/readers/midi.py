"""Corpora of MIDI files, whose audio is rendered when a dataset is built; see :mod:`emobench.audio.midi`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from ...audio.midi import EXTENSIONS, SAMPLE_RATE, render_midi, renderer
from ...cards.dataset import About
from ...errors import AudioError
from ...runtime.executor import ordered_map
from ...runtime.files import digest, replacing, sha256_file
from ...runtime.progress import progress
from ..corpus import PretrainCorpus, Render
from .folder import list_tracks

ABOUT = About(
    title="MIDI files",
    summary="Music rendered from a folder of MIDI files, without labels, for pre-training.",
    license="other",
    citation="The origin of the MIDI files is not known to emobench.",
    terms="The terms of the MIDI files apply. The folder was chosen by whoever built the dataset.",
)


@dataclass(frozen=True)
class Rendering:
    """A piece to be rendered: its MIDI file, the audio file relative to the audio folder, and its duration.

    Attributes
    ----------
    midi, audio : str
        MIDI file and FLAC file.
    seconds : float
        Duration to render.
    exactly : bool
        Whether a shorter piece is continued by silence.
    """

    midi: str
    audio: str
    seconds: float
    exactly: bool = False


def rendered(pieces: Sequence[Rendering]) -> Render:
    """Return the callable that renders pieces as FLAC files in a folder, for ``render`` of a corpus."""

    def fill_folder(folder: Path, pool: Executor) -> None:
        left = [piece for piece in pieces if not (folder / piece.audio).is_file()]
        work = partial(_render, folder=folder)
        results = ordered_map(pool, work, left, description="rendering", unit="piece", crashed=False)
        for piece, fine in zip(left, results, strict=True):
            if not fine:
                # An empty file, because the analysis rejects it as undecodable.
                with replacing(folder / piece.audio) as temporary:
                    temporary.write_bytes(b"")

    return fill_folder


def _render(piece: Rendering, folder: Path) -> bool:
    """Render a piece; returns whether that was possible."""
    import soundfile

    try:
        samples = render_midi(Path(piece.midi), seconds=piece.seconds, exactly=piece.exactly)
    except AudioError:
        return False
    # Encoded in memory, because libsndfile does not report why a write failed.
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with replacing(folder / piece.audio) as temporary:
        temporary.write_bytes(encoded.getvalue())
    return True


def load(folder: Path, max_duration: float) -> PretrainCorpus:
    """Find the MIDI files in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        Folder, see :func:`emobench.builders.readers.folder.list_tracks`.
    max_duration : float
        Longest duration to render, in seconds.

    Raises
    ------
    InputError
        If the folder does not exist or contains no MIDI files, or a file is a Git LFS pointer.
    """
    tracks = list_tracks(folder, EXTENSIONS, "MIDI")
    paths = tracks["track_id"].to_list()
    description = renderer()
    return PretrainCorpus(
        clips=tracks.with_columns(audio=pl.col("audio") + ".flac"),
        about=replace(ABOUT, summary=f"{ABOUT.summary} Pieces are cut after {max_duration:g} seconds."),
        source={
            "type": "midi",
            "files_sha256": digest(
                [[path, sha256_file(folder / path)] for path in progress(paths, "hashing MIDI files", "file")]
            ),
        },
        settings={"max_duration": max_duration, "rendering": description},
        render=rendered([Rendering(str((folder / path).resolve()), f"{path}.flac", max_duration) for path in paths]),
    )
