"""Artists, albums and titles of songs, from tables that were written by hand.

Two kinds of malformed lines would assign a song to an artist that does not exist, so that folds could separate it from
the artist's other songs:

- An unquoted comma in a name shifts the cells after it. In these tables, separators are not followed by a space but
  commas in names are. The number of surplus cells is known too, from the two times of the segment if the table has
  them, and from the header otherwise. If both agree, the line is repaired. Otherwise the artist is uncertain.
- ``metadata_2013.csv`` was split at the last hyphen of ``<artist>-<title>``, so that the artist of a hyphenated title
  contains the beginning of the title. It is removed if the rest is the artist of another song and the whole name
  appears only once. Other names with a hyphen, such as "Cooper-Moore", cannot be distinguished from such lines.

Songs with an uncertain artist keep the name in the line and list all other artists that it may mean. Folds keep them
together with all of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ....runtime.text import counted, few
from ...folds import connected, normalised
from .tables import LISTED, read_rows, song_id

_COLUMNS = {"artist": ("artist",), "album": ("album",), "title": ("songtitle", "track", "title")}
_ID = ("songid", "id", "musicid")

_TIME = re.compile(r"[0-9]+([.:][0-9]+)*")

# A comma outside quotes that is followed by a space and text; quoted cells match first and are left unchanged.
_SPACED = re.compile(r'((?:^|,)[ \t]*"(?:[^"]|"")*")|,[ ]+(?=[^\s",])', re.MULTILINE)

# Marks cells that began with a space; a private-use character that names do not contain.
_MARK = "\ue000"


@dataclass(frozen=True)
class Song:
    """Metadata of a song.

    Attributes
    ----------
    artist, album, title : str
        Names; empty if unknown.
    others : tuple of str
        Further artists that the line may mean.
    repair : str
        Repair of the line: ``comma``, ``hyphen``, ``unclear`` if impossible, or empty if not needed.
    """

    artist: str = ""
    album: str = ""
    title: str = ""
    others: tuple[str, ...] = ()
    repair: str = ""


def read_metadata(paths: Sequence[Path], problems: list[str]) -> dict[str, Song]:
    """Read the songs of all tables together, since artists in one table help to repair lines in another."""
    songs: dict[str, Song] = {}
    for path in paths:
        wrong: list[str] = []
        for number, text, read in _read_table(path, problems):
            song = song_id(text)
            if song is None or song in songs:
                wrong.append(f"row {number}: song id {text[:40]!r} is not a number, or a duplicate")
            else:
                songs[song] = read
        if wrong:
            problems.append(f"{path}: {few(wrong, LISTED)}")
    return _hyphens(_known_artists(songs))


def _read_table(path: Path, problems: list[str]) -> Iterator[tuple[int, str, Song]]:
    """Read row number, id and names of each song."""
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
    """Parse a row; ``times`` is the column of the segment's start, ``width`` the number of columns."""
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
        # All separators of this table are followed by a space.
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
        # Album and title share the cells between the artist and the columns before the times.
        behind = times - 1 - last
        names["title"] = ", ".join(known[1 : max(len(known) - behind, 2)])
    return Song(names["artist"], "", names["title"], others, "unclear")


def _find_times(row: list[str], first: int, expected: int) -> int | None:
    """Find the two times of the segment, in the expected column or as close to it as possible."""
    cells = [cell.removeprefix(_MARK) for cell in row]
    found = [
        at for at in range(first + 1, len(cells) - 1) if _TIME.fullmatch(cells[at]) and _TIME.fullmatch(cells[at + 1])
    ]
    return min(found, key=lambda at: (abs(at - expected), -at), default=None)


def _candidates(pieces: list[str], place: int, surplus: int) -> tuple[str, ...]:
    """List the artists that a row with surplus cells may mean: one or more cells from the artist's column on."""
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
    """Choose the artist of an unclear line if exactly one of the candidates has another song."""
    artists = _artists(songs)
    return {
        song: replace(each, artist=known[0])
        if each.repair == "unclear" and len(known := [name for name in each.others if normalised(name) in artists]) == 1
        else each
        for song, each in songs.items()
    }


def _hyphens(songs: Mapping[str, Song]) -> dict[str, Song]:
    """Move beginnings of titles out of artists, and list the artists that other hyphenated names may mean."""
    artists = _artists(songs)
    return {song: _without_title(each, artists) for song, each in songs.items()}


def _without_title(song: Song, artists: Mapping[str, int]) -> Song:
    if song.album:
        # Tables with albums were not split at hyphens.
        return song
    # A name that contains the beginning of a title appears only once.
    if not song.repair and artists[normalised(song.artist)] == 1:
        for before, behind in reversed(_splits(song.artist)):
            if normalised(before) in artists:
                return replace(song, artist=before, title=f"{behind}-{song.title}", repair="hyphen")
    prefixes = [before for name in (song.artist, *song.others) for before, _ in _splits(name)]
    return replace(song, others=(*song.others, *prefixes))


def _splits(name: str) -> list[tuple[str, str]]:
    """List the texts before and after each hyphen."""
    places = [place for place, letter in enumerate(name) if letter == "-"]
    parts = [(name[:place].strip(), name[place + 1 :].strip()) for place in places]
    return [(before, behind) for before, behind in parts if normalised(before) and normalised(behind)]


def _artists(songs: Mapping[str, Song]) -> Counter[str]:
    """Count the songs of each artist in clear lines."""
    return Counter(normalised(each.artist) for each in songs.values() if each.repair != "unclear")


def repairs(metadata: Mapping[str, Song], songs: Collection[str]) -> list[str]:
    """Describe how many lines of these songs were repaired, and how many could not be."""
    numbers = Counter(metadata[song].repair for song in songs if song in metadata)
    how = {repair: counted(number, "song") for repair, number in numbers.items()}
    remarks = []
    if "hyphen" in how:
        remarks.append(f"the artist of {how['hyphen']} contained the beginning of the title; separated.")
    if "comma" in how:
        remarks.append(f"unquoted commas in the names of {how['comma']}; corrected.")
    if "unclear" in how:
        remarks.append(
            f"the lines of {how['unclear']} are ambiguous because of unquoted commas or missing cells; folds keep "
            "these songs together with every artist that may be meant, and their albums are unknown."
        )
    return [f"Metadata: {each}" for each in remarks]


def grouping(
    songs: Sequence[str], metadata: Mapping[str, Song], *, by_artist: bool = False
) -> tuple[pl.DataFrame, Counter[str]]:
    """Choose artist and album by which folds keep songs together.

    A song whose album is unknown may be on the album of any other song of its artist, so all songs of the artist are
    kept together, as are all artists that one line may mean. A song without an artist is kept by itself.

    Parameters
    ----------
    songs : sequence of str
        Ids in the order of the table.
    metadata : mapping
        Metadata of the songs.
    by_artist : bool
        Whether to keep all songs of an artist together even if their albums are known.

    Returns
    -------
    table : DataFrame
        ``clip_id, artist, album``.
    how : Counter
        Number of songs that are grouped by ``album``, by ``artist`` and as a ``song``, and of those that are
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
        kind = "song" if not group else "artist" if by_artist or group in unsure else "album"
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


def folds_text(how: Mapping[str, int], *, by_artist: bool = False) -> str:
    """Describe for the card how songs are kept together."""
    together = (
        f" ({how['together']} of them together with an artist of another name, because a line of the metadata may mean "
        "either)"
        if how.get("together")
        else ""
    )
    unknown = f"not grouped, because the artist is unknown: {how.get('song', 0)}"
    if by_artist:
        return (
            f"All songs of an artist are assigned to the same part. Songs grouped by artist: {how.get('artist', 0)}"
            f"{together}; {unknown}. The column `album` of the folds is the artist, followed by a slash."
        )
    return (
        f"Related songs are assigned to the same part. Songs grouped by album: {how.get('album', 0)}; by artist, "
        f"because an album of the artist is unknown: {how.get('artist', 0)}{together}; {unknown}. Without an album, "
        "the column `album` of the folds ends with the slash after the artist."
    )
