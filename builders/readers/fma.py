"""Reader of FMA, see :mod:`emobench.builders.sources.fma`.

``tracks.csv`` has three header rows: the two levels of the columns, and one that begins with ``track_id``. The clip of
track 2 is ``000/000002.mp3``. The licence of each track is in the table ``licences``; the card and the manifest count
the tracks of each licence.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import polars as pl

from ...cards.dataset import About
from ...cards.render import markdown
from ...errors import InputError
from ...runtime.csv_files import find_separator
from ...runtime.files import sha256_file
from ...runtime.text import few
from ..corpus import PretrainCorpus, reading_csv, refuse
from ..folds import normalised
from ..tree import files_below

COLUMNS = {
    "artist": ("artist", "name"),
    "album": ("album", "title"),
    "title": ("track", "title"),
    "licence": ("track", "license"),
    "subset": ("set", "subset"),
}

# Each subset contains those before it; tracks without a subset have a clip in the largest one only.
SUBSETS = ("small", "medium", "large")

ABOUT = About(
    title="FMA clips",
    summary="30-second clips from the Free Music Archive, without labels, for pre-training.",
    license="other",
    citation="""@inproceedings{defferrard2017fma,
  author    = {Defferrard, Micha{\\"e}l and Benzi, Kirell and Vandergheynst, Pierre and Bresson, Xavier},
  title     = {{FMA}: A Dataset for Music Analysis},
  booktitle = {Proceedings of the 18th International Society for Music Information Retrieval Conference},
  year      = {2017}
}""",
    terms="The metadata are licensed under CC BY 4.0, and each track under the licence that its artist chose. The "
    "music is not part of this dataset. Source: https://github.com/mdeff/fma.",
)

# Names of licences that allow redistribution, in lower case without spaces and punctuation, followed by an optional
# version and country, and their URLs. Other licences are assumed not to allow it.
_OPEN = re.compile(
    r"(creativecommons|cc)?((attribution|by)(noncommercial|nc)?|noncommercial)(noderiv(s|atives?)?(works)?|nd|sharealike|sa)?"
    r"(akamusicsharing)?(licen[cs]e)?([0-9]{2}[^0-9]*|unported|international)?"
    r"|(creativecommons)?(cc0|publicdomain)(mark|dedication|universal|zero)?([0-9]{2}[^0-9]*)?"
    r"|freeartlicen[cs]e([0-9]{2})?"
)
_OPEN_ADDRESS = re.compile(
    r"https?://(www\.)?creativecommons\.org/(licenses/by(-nc)?(-nd|-sa)?|publicdomain/(zero|mark))(/.*)?", re.IGNORECASE
)

# Biographies of artists can be long.
csv.field_size_limit(1 << 24)

_CLIP = re.compile(r".*/([0-9]{3})/\1([0-9]{3})\.mp3", re.IGNORECASE | re.DOTALL)


def allows_redistribution(licence: str) -> bool:
    """Whether a licence, given by name or URL, allows anyone to redistribute verbatim copies.

    Creative Commons licences (including NC and ND, which allow verbatim non-commercial copies), CC0, the public domain
    and the Free Art License do. FMA's own limited licences, sampling licences, orphan works, and empty or unknown names
    do not.
    """
    return bool(_OPEN.fullmatch(normalised(licence)) or _OPEN_ADDRESS.fullmatch(licence.strip()))


def load(metadata: Path, clips: Path) -> PretrainCorpus:
    """Read the tracks and find their clips.

    Parameters
    ----------
    metadata : Path
        ``tracks.csv``, or a folder that contains it.
    clips : Path
        ``fma_small``, ``fma_medium`` or ``fma_large``, or a folder that contains one of them.

    Returns
    -------
    PretrainCorpus
        Tracks of the smallest subset that contains all clips found, sorted by number. The quality filter rejects those
        without a clip as ``missing``.

    Raises
    ------
    InputError
        If there are problems; the message lists all of them.
    """
    problems: list[str] = []
    path = _tracks_path(metadata, problems)
    tracks = None if path is None else _read_tracks(path, problems)
    found = _find_clips(clips, problems)
    if tracks is not None and found:
        unknown = sorted(set(found) - set(tracks["number"]))
        if unknown:
            problems.append(f"{clips}: clips of tracks that {path} does not contain: {few(map(str, unknown))}")
    refuse("build-data fma", problems)
    if path is None or tracks is None:
        raise InputError(f"{metadata}: no tracks.csv.")  # refused above
    rank = pl.col("subset").replace_strict({name: rank for rank, name in enumerate(SUBSETS)}, default=2)
    tracks = tracks.with_columns(rank=rank.cast(pl.Int8))
    largest = int(tracks.filter(pl.col("number").is_in(list(found)))["rank"].to_numpy().max())
    tracks = tracks.filter(pl.col("rank") <= largest).sort("number")
    counts = tracks["licence"].value_counts().sort(["count", "licence"], descending=[True, False])
    licences = {str(name): int(count) for name, count in counts.iter_rows()}
    open_tracks = sum(count for name, count in licences.items() if allows_redistribution(name))
    return PretrainCorpus(
        clips=tracks.select(
            pl.col("number").cast(pl.String).alias("track_id"),
            "artist",
            "album",
            "title",
            pl.lit(None, dtype=pl.String).alias("seven_digital_id"),
            pl.Series("audio", [found.get(number) for number in tracks["number"]], dtype=pl.String),
        ),
        about=replace(ABOUT, notes=_notes(licences, SUBSETS[largest])),
        source={
            "type": "fma",
            "sha256": sha256_file(path),
            "subset": SUBSETS[largest],
            "licences": licences,
            "redistributable": open_tracks,
        },
        audio_folder=clips,
        licences=tracks.select(
            pl.col("number").cast(pl.String).alias("track_id"),
            "licence",
            redistribution=pl.col("licence").replace_strict(
                {name: allows_redistribution(name) for name in licences}, return_dtype=pl.Boolean
            ),
        ),
    )


def _tracks_path(metadata: Path, problems: list[str]) -> Path | None:
    if metadata.is_file():
        return metadata
    if not metadata.is_dir():
        problems.append(f"{metadata}: no such folder; expected fma_metadata, with tracks.csv")
        return None
    before = len(problems)
    below = files_below(metadata, ("tracks.csv",), problems)
    found = [metadata / path for path in below if Path(path).name.lower() == "tracks.csv"]
    if len(problems) > before:
        return None
    if len(found) != 1:
        listed = f" ({few(map(str, found))})" if found else ""
        problems.append(
            f"{metadata}: contains {len(found)} files named tracks.csv{listed}; expected the one of fma_metadata.zip"
        )
        return None
    return found[0]


def _read_tracks(path: Path, problems: list[str]) -> pl.DataFrame | None:
    """Read ``number, artist, album, title, licence, subset``; None if the file cannot be read."""
    wrong: list[str] = []
    with reading_csv(path, problems), path.open(encoding="utf-8-sig", newline="") as file:
        # Strict, so that an unclosed quote is an error and not a cell that contains the rest of the file.
        lines = csv.reader(file, delimiter=find_separator(path), strict=True)
        header = [[cell.strip() for cell in row] for row in islice(lines, 3)]
        places = _places(path, header, problems)
        if places is None:
            return None
        rows = []
        for row in lines:
            if len(row) == len(header[0]):
                rows.append([row[place].strip() for place in places.values()])
            elif row:
                # With a surplus comma, each column would get the text of another one.
                wrong.append(f"{len(row)} in the row ending in line {lines.line_num}")
        if not wrong:
            return _checked(path, pl.DataFrame(rows, schema=dict.fromkeys(places, pl.String), orient="row"), problems)
        problems.append(f"{path}: expected {len(header[0])} cells per row, as in the header, but found {few(wrong, 3)}")
    return None


def _places(path: Path, header: list[list[str]], problems: list[str]) -> dict[str, int] | None:
    """Find the columns by the two levels of the header; ``text`` is the first column, the track ids."""
    if len(header) < 3 or len(header[0]) != len(header[1]) or not header[2] or header[2][0] != "track_id":
        problems.append(f"{path}: expected three header rows, the third beginning with track_id, as published")
        return None
    levels = list(zip(header[0], header[1], strict=True))
    lacking = [", ".join(pair) for pair in COLUMNS.values() if pair not in levels]
    if lacking:
        listed = "; ".join(f"({columns})" for columns in lacking)
        problems.append(f"{path}: the two-level header lacks the columns {listed}")
        return None
    return {"text": 0} | {name: levels.index(wanted) for name, wanted in COLUMNS.items()}


def _checked(path: Path, table: pl.DataFrame, problems: list[str]) -> pl.DataFrame | None:
    if table.is_empty():
        problems.append(f"{path}: has no tracks")
        return None
    # Six digits, as in the names of clips; track ids become parts of paths, so nothing else is accepted.
    sound = table["text"].str.contains("^[0-9]{1,6}$")
    if not sound.all():
        wrong = [repr(text) for text in table.filter(~sound)["text"]]
        problems.append(f"{path}: invalid track_id: {few(wrong)}; expected numbers of up to six digits")
    table = table.filter(sound).with_columns(number=pl.col("text").cast(pl.Int64))
    doubled = table.filter(pl.col("number").is_duplicated())["number"].unique().sort()
    if len(doubled):
        problems.append(f"{path}: duplicate track_id: {few(map(str, doubled))}")
    return table


def _find_clips(folder: Path, problems: list[str]) -> dict[int, str]:
    """Find the path of each clip in the folder, by track number."""
    if not folder.is_dir():
        problems.append(f"{folder}: no such folder; expected fma_small, fma_medium or fma_large")
        return {}
    before = len(problems)
    # The folder may be 000 itself.
    inside = folder.resolve().name
    found: dict[int, list[str]] = {}
    misnamed: list[str] = []
    for path in files_below(folder, (".mp3",), problems):
        match = _CLIP.fullmatch(f"/{inside}/{path}")
        if match:
            found.setdefault(int(match[1] + match[2]), []).append(path)
        else:
            misnamed.append(path)
    if misnamed:
        problems.append(f"{folder}: files not named like 000/000002.mp3: {few(misnamed)}")
    doubled = {number: paths for number, paths in sorted(found.items()) if len(paths) > 1}
    if doubled:
        listed = few(f"{number}: {' and '.join(sorted(paths))}" for number, paths in doubled.items())
        problems.append(f"{folder}: tracks with more than one clip: {listed}")
    if not found and len(problems) == before:
        problems.append(f"{folder}: contains no clips; expected files such as 000/000002.mp3")
    return {number: paths[0] for number, paths in found.items()}


def _notes(licences: Mapping[str, int], subset: str) -> str:
    rows = [
        f"| {markdown(name) or '(none stated)'} | {count} | {'yes' if allows_redistribution(name) else 'no'} |"
        for name, count in licences.items()
    ]
    return "\n".join(
        [
            "## Licences",
            "",
            f"Licences of the {sum(licences.values())} tracks of `fma_{subset}`, as named in `tracks.csv`. "
            "Redistribution means that anyone may pass on verbatim copies. Creative Commons licences (including NC and "
            "ND), CC0, the public domain and the Free Art License allow it; FMA's limited licences, sampling licences, "
            "orphan works and all other names are counted as not allowing it.",
            "",
            "| licence | tracks | redistribution |",
            "| --- | ---: | --- |",
            *rows,
        ]
    )
