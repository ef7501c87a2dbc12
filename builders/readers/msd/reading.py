"""Read the tracks of the Million Song Dataset and find their clips, see :mod:`emobench.builders.sources.msd`.

Clips are named ``TRxxxx.mp3``, ``A/B/C/TRABC….mp3``, ``<7digital id>.clip.mp3`` or ``d/d/<7digital id>.clip.mp3``, or
any mixture of these. With ``unique_tracks.txt``, 7digital ids are read from ``7digital_ids.csv``
(``track_id,seven_digital_id``) in the same folder, or from ``msd_id.txt`` and ``7digital_id.txt``, whose lines
correspond.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import polars as pl

from ....cards.dataset import About
from ....runtime.text import few
from ...corpus import PretrainCorpus, refuse
from ...tree import files_below
from .ids import SEVEN_DIGITAL_ID, TRACK_ID
from .metadata import Metadata, read
from .sevendigital import Download

ABOUT = About(
    title="Million Song Dataset / 7digital previews",
    summary="Beat-synchronous features of 7digital's previews of Million Song Dataset tracks, without labels, for "
    "pre-training: the set of Schmidt and Kim (ISMIR 2013).",
    license="other",
    citation="""@inproceedings{bertinmahieux2011million,
  author    = {Bertin-Mahieux, Thierry and Ellis, Daniel P. W. and Whitman, Brian and Lamere, Paul},
  title     = {The Million Song Dataset},
  booktitle = {Proceedings of the 12th International Society for Music Information Retrieval Conference},
  year      = {2011}
}""",
    terms="The metadata come from the Million Song Dataset and are for research. The previews belong to 7digital; they "
    "are not part of this dataset and must not be passed on. Source: http://millionsongdataset.com.",
)


def load(metadata: Path, clips: Path, download: Download | None = None) -> PretrainCorpus:
    """Read the tracks and find their clips.

    Parameters
    ----------
    metadata : Path
        File or folder, see :func:`emobench.builders.readers.msd.metadata.read`.
    clips : Path
        Folder of the clips.
    download : Download, optional
        Download of missing clips that have a 7digital id, used when the quality filter needs them.

    Returns
    -------
    PretrainCorpus
        All tracks of the metadata.

    Raises
    ------
    InputError
        If there are problems; the message lists all of them.
    """
    problems: list[str] = []
    found = read(metadata, problems)
    files = _find_clips(clips, problems, may_be_empty=download is not None)
    tracks = None
    if found is not None and files is not None:
        tracks = _matched(found, files, clips, problems, may_be_empty=download is not None)
    if tracks is not None and tracks["audio"].count() + tracks["seven_digital_id"].count() == 0:
        problems.append(
            f"{metadata}: none of its {len(tracks)} tracks has a 7digital id, so no clip can be downloaded. For "
            "unique_tracks.txt, add 7digital_ids.csv, or msd_id.txt and 7digital_id.txt, to its folder"
        )
    refuse("build-data msd", problems)
    assert found is not None and files is not None and tracks is not None
    return PretrainCorpus(
        clips=tracks,
        about=ABOUT,
        source=found.source | {"tracks": len(tracks)},
        audio_folder=clips,
        found={
            "with a 7digital id": tracks["seven_digital_id"].count(),
            "clips without a track": len(files) - tracks["audio"].drop_nulls().n_unique(),
            **_missing(tracks, download),
        },
        fetch=partial(_with_downloads, download=download) if download else None,
    )


_DOWNLOADABLE = pl.col("audio").is_null() & pl.col("seven_digital_id").is_not_null()


def _missing(tracks: pl.DataFrame, download: Download | None) -> dict[str, int]:
    if download is None:
        return {}
    plan = download.plan(tracks.filter(_DOWNLOADABLE)["seven_digital_id"].to_list())
    return {"clips to download at most": plan.left, "days for all of them": math.ceil(plan.days)}


def _with_downloads(tracks: pl.DataFrame, download: Download) -> pl.DataFrame:
    """Download missing clips, and add their paths to the tracks."""
    paths = download(tracks.filter(_DOWNLOADABLE)["seven_digital_id"].to_list())
    downloaded = pl.col("seven_digital_id").replace_strict(paths, default=None, return_dtype=pl.String)
    return tracks.with_columns(pl.coalesce("audio", downloaded))


def _find_clips(folder: Path, problems: list[str], *, may_be_empty: bool) -> pl.DataFrame | None:
    """Find the clips in a folder: relative ``path``, and ``track_id`` or ``seven_digital_id``; the other is null."""
    if not folder.is_dir() and not (may_be_empty and not folder.exists()):
        problems.append(f"{folder}: no such folder; expected clips such as TRAAAAW128F429D538.mp3 or 3401791.clip.mp3")
        return None
    before = len(problems)
    paths = files_below(folder, (".mp3",), problems)
    listed = pl.DataFrame({"path": paths}, schema={"path": pl.String}).with_columns(
        track_id=pl.col("path").str.extract(rf"(?:^|/)({TRACK_ID})\.(?i:mp3)$"),
        seven_digital_id=pl.col("path").str.extract(rf"(?:^|/)({SEVEN_DIGITAL_ID})\.(?i:clip\.mp3)$"),
    )
    known = pl.col("track_id").is_not_null() | pl.col("seven_digital_id").is_not_null()
    misnamed = listed.filter(~known)["path"].sort()
    if len(misnamed):
        problems.append(f"{folder}: files named neither TR….mp3 nor <7digital id>.clip.mp3: {few(misnamed)}")
    if len(misnamed) == len(listed) and not may_be_empty:
        if len(problems) == before:
            problems.append(f"{folder}: contains no clips, such as TRAAAAW128F429D538.mp3 or 3401791.clip.mp3")
        return None
    return listed.filter(known)


def _matched(
    metadata: Metadata, files: pl.DataFrame, folder: Path, problems: list[str], *, may_be_empty: bool
) -> pl.DataFrame | None:
    """Add the path of the clip to each track."""
    tracks = metadata.tracks
    keys = ("track_id", "seven_digital_id")
    parts = [
        tracks.join(files.drop_nulls(key).select(key, "path"), on=key, how="inner").select("track_id", "path")
        for key in keys
    ]
    matched = pl.concat(parts)
    if matched.is_empty() and not may_be_empty:
        problems.append(
            f"{folder}: none of its {len(files)} clips (such as {files['path'][0]}) belongs to one of the "
            f"{len(tracks)} tracks (such as {tracks['track_id'][0]})"
        )
        return None
    by_track = matched.group_by("track_id").agg(pl.col("path").unique().sort()).sort("track_id")
    doubled = by_track.filter(pl.col("path").list.len() > 1)
    if len(doubled):
        listed = few(f"{track}: {' and '.join(paths)}" for track, paths in doubled.head(6).iter_rows())
        problems.append(f"{folder}: tracks with more than one clip: {listed}")
        return None
    audio = by_track.select("track_id", audio=pl.col("path").list.first())
    return tracks.join(audio, on="track_id", how="left", maintain_order="left")
