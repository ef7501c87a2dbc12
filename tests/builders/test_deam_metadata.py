"""Metadata of DEAM: malformed lines are repaired if possible, and no artist is in two parts of a fold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from emobench.builders.folds import FoldConfig, fold_table, normalised
from emobench.builders.readers.songs.metadata import Song, folds_text, grouping, read_metadata, repairs

from .deam_folder import write_text

HEAD_2013 = "song_id,file_name,Artist,Song title,start of the segment (min.sec),end of the segment (min.sec),Genre\n"
HEAD_2014 = "Id,Artist,Album,Track,Genre,segment start,segment end,last.fm labels\n"
HEAD_2015 = "id,Filename,title,artist,album,genre,\n"


def _read(folder: Path, *tables: str) -> dict[str, Song]:
    problems: list[str] = []
    paths = []
    for number, text in enumerate(tables):
        paths.append(folder / f"metadata_{number}.csv")
        write_text(paths[-1], text)
    songs = read_metadata(paths, problems)
    assert not problems
    return songs


def _names(song: Song) -> tuple[str, str, str]:
    return song.artist, song.album, song.title


def _together(songs: dict[str, Song], *ids: str) -> bool:
    table, _ = grouping(list(songs), songs)
    return table.filter(pl.col("clip_id").is_in(ids)).select("artist", "album").n_unique() == 1


LINES_2014 = {
    # Every surplus cell begins with a space: the name is one.
    "9,Crosby, Stills & Nash,First,Song,Rock,0:10,0:55,tag": ("Crosby, Stills & Nash", "First", "Song"),
    "9,Band,Hello, Goodbye, Hello,Song,Rock,0:10,0:55,tag": ("Band", "Hello, Goodbye, Hello", "Song"),
    "9,Band,First,Now, Then,Rock,12.034,161.39,tag": ("Band", "First", "Now, Then"),
    '9,"Crosby, Stills",First,"Now, Then",Rock,0:10,0:55,a tag, another': ("Crosby, Stills", "First", "Now, Then"),
    '9,"Band "" Q, W",First, Again,Song,Rock,0:10,0:55': ('Band " Q, W', "First, Again", "Song"),
    # Titles of digits are not the times of the segment.
    "9,Band,1999,2000,Rock,0:10,0:55,1,2,3": ("Band", "1999", "2000"),
    # A space behind every separator says nothing.
    "9, Band, First, Song, Rock, 0:10, 0:55, tag": ("Band", "First", "Song"),
    "9,Band,First,Song,Rock,,,tag": ("Band", "First", "Song"),
}


@pytest.mark.parametrize("line", list(LINES_2014))
def test_unquoted_commas_in_names(tmp_path: Path, line: str) -> None:
    song = _read(tmp_path, f"{HEAD_2014}{line}\n")["9"]
    assert _names(song) == LINES_2014[line]
    assert song.repair in ("", "comma")


# Names as they are read where no other line has either artist, and every artist that the line may name.
UNCLEAR_2014 = {
    # A cell is missing, as in the published line of Big Bill Broonzy.
    "9,Band,Baby, Please Don't Go,Rock,0:10,0:55": (("Band", "", "Baby, Please Don't Go"), ("Band", "Band, Baby")),
    "9,Band,Song,Rock,0:10,0:55": (("Band", "", "Song"), ("Band",)),
    "9,Band, Brothers,Song,Rock,0:10,0:55": (("Band, Brothers", "", "Song"), ("Band", "Band, Brothers")),
    # No space says which of the commas is part of a name.
    "9,Band,Brothers,First,Song,Rock,0:10,0:55": (
        ("Band", "", "Brothers, First, Song"),
        ("Band", "Band, Brothers"),
    ),
    "9,A,B,C,First,Song,Rock,0:10,0:55": (("A", "", "B, C, First, Song"), ("A", "A, B", "A, B, C")),
}


@pytest.mark.parametrize("line", list(UNCLEAR_2014))
def test_unclear_lines_stay_with_every_artist_they_may_name(tmp_path: Path, line: str) -> None:
    names, artists = UNCLEAR_2014[line]
    alone = _read(tmp_path, f"{HEAD_2014}{line}\n")["9"]
    assert _names(alone) == names
    assert alone.repair == "unclear"
    for artist in artists:
        other = f'10,"{artist}",Second,Song,Rock,0:10,0:55\n11,Else,Third,Song,Rock,0:10,0:55\n'
        songs = _read(tmp_path, f"{HEAD_2014}{line}\n{other}")
        assert songs["9"].artist == artist
        assert _together(songs, "9", "10")
        assert not _together(songs, "9", "11")


def test_the_artist_of_an_unclear_line_is_one_that_is_known(tmp_path: Path) -> None:
    line = "9,Earth,Wind & Fire,First,Song,Rock,0:10,0:55\n"
    songs = _read(tmp_path, f'{HEAD_2014}{line}10,"Earth, Wind & Fire",Second,Song,Rock,0:10,0:55\n')
    assert songs["9"].artist == "Earth, Wind & Fire"
    assert repairs(songs, ["9", "10"]) == [
        "Metadata: the lines of 1 song are ambiguous because of unquoted commas or missing cells; folds keep these "
        "songs together with every artist that may be meant, and their albums are unknown."
    ]


def test_commas_in_a_table_without_times(tmp_path: Path) -> None:
    lines = [
        "1,80504,Go,No, Really,n/a,folk,",
        "2,16663,990,In Faded Glory,Polyplastic Heaven,rock,indie,acoustic,",
        "3,1,Hello, World,Ralph,n/a,rock,a,b,",
    ]
    songs = _read(tmp_path, HEAD_2015 + "\n".join(lines) + "\n")
    assert _names(songs["1"]) == ("No, Really", "", "Go")
    assert _names(songs["2"]) == ("In Faded Glory", "Polyplastic Heaven", "990")
    # The number of tags is not known, so neither is that of the surplus cells.
    assert _names(songs["3"]) == ("Ralph", "", "Hello, World")
    assert [songs[song].repair for song in "123"] == ["comma", "", "unclear"]
    assert {"World", "Ralph"} <= set(songs["3"].others)


def test_titles_joined_to_artists(tmp_path: Path) -> None:
    rows = [
        ("Circus Marcus", "Le bal"),
        ("Circus Marcus-Aux puces nº2 ", " Carosello"),
        ("Circus Marcus-Quarante-", "Cinq"),
        ("Cooper-Moore", "Trio"),
        ("Cooper-Moore", "Banjo"),
        ("Cooper", "Another"),
        ("Orchestra-Dvorak", "Serenade"),
        ("Orchestra-Handel", "Entrance"),
        ("K-Conjog", "Uno"),
        ("Shut-Ins", "Rock"),
        ("-", "Nameless"),
    ]
    text = "".join(
        f'{song},x,"{artist}\t","\t{title}\t","\t0.1","\t0.5",Rock\n' for song, (artist, title) in enumerate(rows)
    )
    songs = _read(tmp_path, HEAD_2013 + text)
    assert _names(songs["1"]) == ("Circus Marcus", "", "Aux puces nº2-Carosello")
    assert [song for song, each in songs.items() if each.repair] == ["1", "2"]
    assert songs["3"].artist == "Cooper-Moore"
    assert _together(songs, "0", "1", "2")
    assert _together(songs, "3", "4", "5")
    assert _together(songs, "6", "7")
    assert not _together(songs, "8", "9")
    table, how = grouping(list(songs), songs)
    assert table["artist"].n_unique() == 6
    assert how == Counter(artist=10, song=1, together=5)
    assert "(5 of them together with an artist of another name" in folds_text(how)
    assert repairs(songs, list(songs)) == [
        "Metadata: the artist of 2 songs contained the beginning of the title; separated."
    ]


def test_a_table_with_albums_was_not_split_at_hyphens(tmp_path: Path) -> None:
    text = "1,A,First,Song,Pop,0:10,0:55\n2,A-ha,Hunting,Take on me,Pop,0:10,0:55\n3,A-Team,Third,Song,Pop,0:10,0:55\n"
    songs = _read(tmp_path, HEAD_2014 + text)
    assert songs["2"] == Song("A-ha", "Hunting", "Take on me")
    _, how = grouping(list(songs), songs)
    assert how == Counter(album=3)


def test_the_published_tables(real_data: Path) -> None:
    problems: list[str] = []
    songs = read_metadata(sorted((real_data / "deam" / "metadata").glob("*.csv")), problems)
    assert not problems
    assert len(songs) == 744 + 18 + 58
    how = Counter(each.repair for each in songs.values())
    assert how == Counter({"": 803, "hyphen": 14, "comma": 1, "unclear": 2})
    assert _names(songs["968"]) == ("Abe Sada", "", "Black-Bar Trombone")
    assert _names(songs["2031"]) == ("No, Really", "", "Go")
    assert _names(songs["1009"]) == ("Big Bill Broonzy", "", "Baby, Please Don't Go")
    assert _names(songs["1026"]) == ("Mr. & Mrs. Smith", "", "From Holly, with Love")
    assert [songs[song].artist for song in ("178", "336", "492", "525")] == [
        "K-Conjog",
        "The Shut-Ins",
        "M-PeX",
        "Cooper-Moore",
    ]
    # As published: the artists who have both a line of their own and one that begins with their name and a hyphen.
    published = (real_data / "deam" / "metadata" / "metadata_2013.csv").read_text(encoding="utf-8-sig")
    cells = [(line.split(",")[0], line.split('","')[1].strip()) for line in published.splitlines()[1:]]
    plain = {artist for _, artist in cells}
    pairs = [
        (one, other)
        for one, artist in cells
        for other, name in cells
        if name in plain and artist.startswith(f"{name}-")
    ]
    assert len({one for one, _ in pairs}) == 14
    orchestra = [song for song, artist in cells if artist.startswith("Advent Chamber Orchestra")]
    assert len(orchestra) == 4
    pairs += [(orchestra[0], other) for other in orchestra]
    table, _ = grouping(list(songs), songs)
    folds = fold_table(table, FoldConfig())
    for (_,), repeat in folds.group_by("repeat"):
        side = dict(repeat.select("clip_id", "split").iter_rows())
        assert all(side[one] == side[other] for one, other in pairs)
        artists: dict[str, set[str]] = {}
        for song, each in songs.items():
            if each.artist:
                artists.setdefault(normalised(each.artist), set()).add(side[song])
        assert all(len(sides) == 1 for sides in artists.values())
