"""Read the labels, metadata and audio of emoMusic, see :mod:`emobench.builders.sources.emomusic`.

The files have the form of DEAM's, whose songs of 2013 these are: ratings of every half second from the 15th second on
are columns such as ``sample_15000ms``, on -1 to 1, and ratings of whole excerpts are on 1 to 9.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...cards.dataset import About
from ..corpus import LabelledCorpus, refuse
from .songs.audio import check_ids, find_audio
from .songs.corpus import dynamic_labels, rated_seconds, rated_songs, song_corpus, unknown_spread
from .songs.finding import check_found, check_known, check_means, find_named, hashes, incomplete, read_axes
from .songs.metadata import read_metadata
from .songs.ratings import Tables, lacks_spread
from .songs.splits import Design
from .songs.tables import AXES, read_static

ABOUT = About(
    title="emoMusic",
    summary="Arousal and valence of 744 excerpts of 45 seconds, rated every half second and as a whole by crowd "
    "workers.",
    license="other",
    citation="""@inproceedings{soleymani2013songs,
  author    = {Soleymani, Mohammad and Caro, Micheal N. and Schmidt, Erik M. and Sha, Cheng-Ya and Yang, Yi-Hsuan},
  title     = {1000 songs for emotional analysis of music},
  booktitle = {Proceedings of the 2nd ACM International Workshop on Crowdsourcing for Multimedia},
  pages     = {1--6},
  year      = {2013}
}""",
    terms="The labels were published by their authors for research, under the terms stated with them at "
    "https://cvml.unige.ch/databases/emoMusic/; cite them. The songs are from the Free Music Archive and have Creative "
    "Commons licences of their artists. The music is not part of this dataset.",
)

SONGS = 744
_EXCERPT = 45.0

_INFO = {"songs": "songs_info.csv"}
_MEANS = {axis: f"{axis}_cont_average.csv" for axis in AXES}
_DEVIATIONS = {f"{axis}_std": f"{axis}_cont_std.csv" for axis in AXES}
_STATIC = {"static": "static_annotations.csv"}
_KINDS = {name: kind for kind, name in (_INFO | _MEANS | _DEVIATIONS | _STATIC).items()}

_NO_ALBUM = (
    "The metadata contain no albums, which are empty in the table of clips: for folds, all songs of an artist count as "
    "one album, so that folds by album and by artist are the same."
)

_NOTES = {
    "dynamic": f"""## Labels of emoMusic

emoMusic labels every half second of an excerpt from the 15th second on, on a scale from -1 to 1, which is halved here.
The clip is the rated part: `start` is the time in the audio file at which the first label begins, and the `time` of an
annotation is the end of its half second. The last label begins at the end of the 45 seconds and is dropped.

- Single ratings are not published: the means are the ratings of one annotator named `mean`. A target averages the
  means and the variances of its two half seconds. Whether the published standard deviations divide by n or n − 1 is not
  stated; they are squared as they are.
- Covariances and the numbers of ratings are not published and null.
- {_NO_ALBUM}""",
    "static": f"""## Labels of emoMusic

The ratings of a whole excerpt on a scale from 1 to 9, as means and standard deviations, of which the width of 8 becomes
1 here. The clip is the whole audio file, with one target at its end, and the mean is the rating of one annotator named
`mean`.

- The published standard deviations divide by n − 1, so the variances are unbiased.
- Covariances and the numbers of ratings are not published and null.
- {_NO_ALBUM}""",
}


def load(annotations: Path, audio: Path | None, design: Design | None = None) -> LabelledCorpus:
    """Read the labels and find the audio of each song.

    Parameters
    ----------
    annotations : Path
        Folder of the annotations, in any subfolders.
    audio : Path, optional
        Folder of ``<song_id>.mp3``, or another audio format, in any subfolders.
    design : Design, optional
        Labels and folds; by default dynamic labels and folds by album.

    Returns
    -------
    LabelledCorpus
        Songs sorted by number, with means and variances.

    Raises
    ------
    InputError
        If there are problems; the message lists all of them.
    """
    design = design or Design()
    problems: list[str] = []
    remarks: list[str] = []
    found = find_named(annotations, _KINDS.get, "emoMusic", problems)
    labelled = _STATIC if design.static else _MEANS | ({} if _DEVIATIONS.keys().isdisjoint(found) else _DEVIATIONS)
    check_found(annotations, found, labelled | _INFO, "emomusic", problems)
    used = {kind: found[kind] for kind in labelled | _INFO if kind in found}
    music = find_audio(audio, problems)
    metadata = read_metadata([used["songs"]], problems) if "songs" in used else {}
    means, deviations = read_axes({} if design.static else used, problems)
    if len(means) == len(AXES):
        check_means(means, used, problems)
    static = read_static([used["static"]], problems) if "static" in used else {}
    songs = sorted(static or {song for grid in means.values() for song in grid.names}, key=int)
    check_known([used[kind] for kind in labelled if kind in used], songs, metadata, problems)
    check_ids(annotations, songs, music, metadata, problems)
    remarks += incomplete("emoMusic", len(songs), SONGS)
    songs = design.split.songs(songs, problems, remarks) if design.split and songs else songs
    if design.static:
        labels, unusable = rated_songs(static, songs, music, lambda _: _EXCERPT, problems)
    else:
        rated, unusable = rated_seconds(annotations, Tables(means, deviations, {}), songs, music, problems)
        remarks += unknown_spread([song for song, each in rated.items() if lacks_spread(each)])
        labels = dynamic_labels(rated)
    refuse("build-data emomusic", problems)
    return song_corpus(
        "emomusic",
        replace(ABOUT, notes=_NOTES[design.labels]),
        labels,
        design,
        metadata=metadata,
        audio=music,
        unusable=unusable,
        hashes=hashes(annotations, used),
        facts={"songs": len(labels.spans)},
        remarks=remarks,
    )
