"""Artists, albums and titles of DEAM's songs, from three tables that were written by hand.

Two kinds of broken line would give a song to an artist that does not exist, and so separate it from its artist's other
songs when folds are dealt:

- An unquoted comma in a name moves the cells behind it. A separator of these tables has no space behind it, a comma in
  a name has, and the number of surplus cells is known: from the two times of the segment where the table has them, from
  the header otherwise. Where both agree, the line is repaired. Where they do not, the artist is uncertain.
- ``metadata_2013.csv`` was split at the last hyphen of ``<artist>-<title>``, so the artist of a hyphenated title holds
  the beginning of that title. It is cut off where the rest is the artist of another song and the whole name appears
  once. Other names with a hyphen, such as "Cooper-Moore", cannot be distinguished from such a line.

Songs of uncertain artists keep the name that the line gives, and list every other artist that it may mean, so that
folds keep them together with all of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ....runtime.text import few
from ...folds import connected, normalised
from .files import TOLD, read_rows, song_id

_COLUMNS = {"artist": ("artist",), "album": ("album",), "title": ("songtitle", "track", "title")}
_ID = ("songid", "id")

_TIME = re.compile(r"[0-9]+([.:][0-9]+)*")

# A comma outside quotes with a space and text behind it; quoted cells are matched first, and left as they are.
_SPACED = re.compile(r'((?:^|,)[ \t]*"(?:[^"]|"")*")|,[ ]+(?=[^\s",])', re.MULTILINE)

# Marks the cells that began with a space; a character for private use, which no name contains.
_MARK = "\ue000"


@dataclass(frozen=True)
class Song:
    """What is known about a song; empty where it is not.

    Attributes
    ----------
    artist, album, title : str
        Names.
    others : tuple of str
        Further artists that its line may mean.
    repair : str
        How its line was repaired: ``comma``, ``hyphen``, or ``unclear`` where it could not be; empty if it is whole.
    """

    artist: str = ""
    album: str = ""
    title: str = ""
    others: tuple[str, ...] = ()
    repair: str = ""


def read_metadata(paths: Sequence[Path], problems: list[str]) -> dict[str, Song]:
    """Read the songs of all tables; an artist's name in one table helps to read another."""
    songs: dict[str, Song] = {}
    for path in paths:
        wrong: list[str] = []
        for number, text, read in _read_table(path, problems):
            song = song_id(text)
            if song is None or song in songs:
                wrong.append(f"row {number}: song id {text[:40]!r} is no number, or stands twice")
            else:
                songs[song] = read
        if wrong:
            problems.append(f"{path}: {few(wrong, TOLD)}")
    return _hyphens(_known_artists(songs))


def _read_table(path: Path, problems: list[str]) -> Iterator[tuple[int, str, Song]]:
    """Number, id and names of each row."""
    rows = read_rows(path, problems, lambda text: _SPACED.sub(lambda match: match[1] or f",{_MARK}", text))
    if not rows:
        return
    header = [normalised(cell.removeprefix(_MARK)) for cell in rows[0]]
    places = {
        name: place
        for name, spellings in {"song_id": _ID, **_COLUMNS}.items()
        if (place := next((header.index(each) for each in spellings if each in header), None)) is not None
    }
    lacking = [name for name in ("song_id", "artist", "title") if name not in places]
    if lacking:
        problems.append(f"{path}: lacks the column {', '.join(lacking)}")
        return
    key = places.pop("song_id")
    times = next((at for at in range(1, len(header) - 1) if "start" in header[at] and "end" in header[at + 1]), None)
    if times is not None and times <= max(places.values()):
        times = None
    for number, row in enumerate(rows[1:], start=2):
        text = row[key].removeprefix(_MARK) if key < len(row) else ""
        yield number, text, _song(row, places, len(header), times)


def _song(row: list[str], places: Mapping[str, int], width: int, times: int | None) -> Song:
    """The names of a row; ``times`` is the column of the segment's start, ``width`` the number of columns."""
    first, last = min(places.values()), max(places.values())
    found = None if times is None else _find_times(row, first, times)
    if found is None or times is None:
        # Any number of tags may follow the last column, so only cells up to the last name count.
        end, surplus = last + 1, len(row) - width
        while end < len(row) and sum(cell.startswith(_MARK) for cell in row[first:end]) > end - last - 1:
            end += 1
    else:
        end, surplus = found, found - times
    pieces = row[first:end]
    if all(piece.startswith(_MARK) for piece in pieces if piece):
        # A table with a space behind every separator.
        pieces = [piece.removeprefix(_MARK) for piece in pieces]
    pieces[:1] = [piece.removeprefix(_MARK) for piece in pieces[:1]]
    joined: list[str] = []
    for piece in pieces:
        if piece.startswith(_MARK):
            joined[-1] += f", {piece.removeprefix(_MARK)}"
        else:
            joined.append(piece)
    commas = len(pieces) - len(joined)
    if found is None and not commas:
        surplus = 0
    known = ["" if cell.lower() == "n/a" else cell for cell in joined]
    names = {name: known[at - first] if at - first < len(known) else "" for name, at in places.items()}
    if surplus == commas:
        return Song(names["artist"], names.get("album", ""), names["title"], repair="comma" if commas else "")
    place = places["artist"] - first
    others = _candidates(pieces, place, max(surplus, commas, 0))
    if place == 0 and times is not None:
        # Album and title share what lies between the artist and the columns before the times.
        behind = times - 1 - last
        names["title"] = ", ".join(known[1 : max(len(known) - behind, 2)])
    return Song(names["artist"], "", names["title"], others, "unclear")


def _find_times(row: list[str], first: int, expected: int) -> int | None:
    """Where the two times of the segment are: at the column expected, or else as close to it as possible."""
    cells = [cell.removeprefix(_MARK) for cell in row]
    found = [
        at for at in range(first + 1, len(cells) - 1) if _TIME.fullmatch(cells[at]) and _TIME.fullmatch(cells[at + 1])
    ]
    return min(found, key=lambda at: (abs(at - expected), -at), default=None)


def _candidates(pieces: list[str], place: int, surplus: int) -> tuple[str, ...]:
    """All artists that a row with surplus cells may mean: one or more cells from the artist's column on."""
    plain = [piece.removeprefix(_MARK) for piece in pieces]
    starts = range(place, place + surplus + 1) if place else range(1)
    found = (
        ", ".join(plain[start : start + count])
        for start in starts
        for count in range(1, place + surplus - start + 2)
        if start + count <= len(plain)
    )
    return tuple(dict.fromkeys(name for name in found if name.lower() != "n/a"))


def _known_artists(songs: Mapping[str, Song]) -> dict[str, Song]:
    """Name the artist of an unclear line where exactly one of its candidates has another song."""
    artists = _artists(songs)
    return {
        song: replace(each, artist=known[0])
        if each.repair == "unclear" and len(known := [name for name in each.others if normalised(name) in artists]) == 1
        else each
        for song, each in songs.items()
    }


def _hyphens(songs: Mapping[str, Song]) -> dict[str, Song]:
    """Cut the beginnings of titles off artists, and list the artists that other names with a hyphen may mean."""
    artists = _artists(songs)
    return {song: _without_title(each, artists) for song, each in songs.items()}


def _without_title(song: Song, artists: Mapping[str, int]) -> Song:
    if song.album:
        # A table with albums was not split at hyphens.
        return song
    # No two songs share a name that holds the beginning of a title.
    if not song.repair and artists[normalised(song.artist)] == 1:
        for before, behind in reversed(_splits(song.artist)):
            if normalised(before) in artists:
                return replace(song, artist=before, title=f"{behind}-{song.title}", repair="hyphen")
    prefixes = [before for name in (song.artist, *song.others) for before, _ in _splits(name)]
    return replace(song, others=(*song.others, *prefixes))


def _splits(name: str) -> list[tuple[str, str]]:
    """What is before and behind each hyphen."""
    places = [place for place, letter in enumerate(name) if letter == "-"]
    parts = [(name[:place].strip(), name[place + 1 :].strip()) for place in places]
    return [(before, behind) for before, behind in parts if normalised(before) and normalised(behind)]


def _artists(songs: Mapping[str, Song]) -> Counter[str]:
    """Number of songs of each artist of the lines that are clear."""
    return Counter(normalised(each.artist) for each in songs.values() if each.repair != "unclear")


def repairs(metadata: Mapping[str, Song], songs: Collection[str]) -> list[str]:
    """Say how many lines of these songs were repaired, and how many could not be."""
    how = Counter(metadata[song].repair for song in songs if song in metadata)
    told = []
    if how["hyphen"]:
        told.append(f"the artist of {_count(how['hyphen'])} contained the beginning of the title; separated.")
    if how["comma"]:
        told.append(f"the line of {_count(how['comma'])} has unquoted commas in names; corrected.")
    if how["unclear"]:
        told.append(
            f"the line of {_count(how['unclear'])} can be read in several ways because of unquoted commas or missing "
            "cells; kept together in the folds with every artist that it may name, and without an album."
        )
    return [f"metadata: {each}" for each in told]


def grouping(songs: Sequence[str], metadata: Mapping[str, Song]) -> tuple[pl.DataFrame, Counter[str]]:
    """Artist and album by which folds keep songs together.

    Where the album of one of an artist's songs is unknown, it may be that of any other: all of them stay together, and
    so do all artists that one line may mean. A song without an artist stands alone.

    Parameters
    ----------
    songs : sequence of str
        Ids, in the order of the table.
    metadata : mapping
        What is known about them.

    Returns
    -------
    table : DataFrame
        ``clip_id, artist, album``.
    how : Counter
        Number of songs that are grouped by ``album``, by ``artist`` and as a ``song``; and of those that are
        ``together`` with an artist of another name.
    """
    known = {song: metadata.get(song, Song()) for song in songs}
    groups = _groups(known)
    artists: dict[str, Counter[str]] = {}
    for song, group in groups.items():
        artists.setdefault(group, Counter())[normalised(known[song].artist)] += 1
    unsure = {group for song, group in groups.items() if not normalised(known[song].album)}
    unsure |= {group for group, names in artists.items() if len(names) > 1}
    how: Counter[str] = Counter()
    rows = []
    for song, each in known.items():
        group = groups.get(song, "")
        kind = "song" if not group else "artist" if group in unsure else "album"
        how[kind] += 1
        how["together"] += len(artists.get(group, ())) > 1
        artist = artists[group].most_common(1)[0][0] if group else f"song {song}"
        rows.append((song, artist, each.album if kind == "album" else ""))
    schema = {"clip_id": pl.String, "artist": pl.String, "album": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row"), how


def _groups(known: Mapping[str, Song]) -> dict[str, str]:
    """Map each song with an artist to one of the artists that are connected to its own by common songs."""
    names = {
        song: [key for name in (each.artist, *each.others) if (key := normalised(name))] for song, each in known.items()
    }
    root = connected(names.values())
    return {song: root(own[0]) for song, own in names.items() if own}


def folds_text(how: Mapping[str, int]) -> str:
    """Say how songs are kept together, for the card."""
    together = (
        f" ({how['together']} of them together with an artist of another name, because a line of the metadata may mean "
        "either)"
        if how.get("together")
        else ""
    )
    return (
        "Songs are kept together where they are dealt to the parts: "
        f"{how.get('album', 0)} by their album, {how.get('artist', 0)} by their artist{together}, where an album of "
        f"the artist is not known, {how.get('song', 0)} each for itself (no artist is known). The `album` of the table "
        "of folds ends with the slash after the artist where there is no album."
    )


def _count(number: int) -> str:
    return "1 song" if number == 1 else f"{number} songs"
