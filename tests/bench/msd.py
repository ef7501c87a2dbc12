"""Time and memory to read and sample a million tracks from each form of metadata of the Million Song Dataset.

Makes ``track_metadata.db``, ``msd_summary_file.h5`` and ``unique_tracks.txt`` with a list of 7digital ids, with the
columns, compression and chunks of the original files; reads each in a separate process and draws 50,000 tracks.
Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import polars as pl
from emobench.builders.pretraining import PretrainConfig, draw_order
from emobench.builders.readers.msd.metadata import read
from emobench.runtime.environment import peak_memory_mb, processor_name
from emobench.runtime.files import write_json

TRACKS = 1_000_000
SAMPLE = 50_000

SECONDS, MEGABYTES = 10.0, 1000.0

# The columns of the dataset's files (http://millionsongdataset.com/pages/field-list); text has a fixed width.
SONGS = np.dtype(
    [
        ("analyzer_version", "S32"),
        ("artist_7digitalid", "<i4"),
        ("artist_familiarity", "<f8"),
        ("artist_hotttnesss", "<f8"),
        ("artist_id", "S32"),
        ("artist_latitude", "<f8"),
        ("artist_location", "S1024"),
        ("artist_longitude", "<f8"),
        ("artist_mbid", "S40"),
        ("artist_name", "S1024"),
        ("artist_playmeid", "<i4"),
        ("genre", "S1024"),
        ("idx_artist_terms", "<i4"),
        ("idx_similar_artists", "<i4"),
        ("release", "S1024"),
        ("release_7digitalid", "<i4"),
        ("song_hotttnesss", "<f8"),
        ("song_id", "S32"),
        ("title", "S1024"),
        ("track_7digitalid", "<i4"),
    ]
)
_NUMBERS = [f"number_{place}" for place in range(23)]
ANALYSIS = np.dtype([("audio_md5", "S32"), *((name, "<f8") for name in _NUMBERS[:-1]), ("track_id", "S32")])

# Rows of a chunk: 64 and 32 KiB, as PyTables chooses for a million rows of these widths.
CHUNKS = {"metadata/songs": 12, "analysis/songs": 148}


def tracks(count: int) -> pl.DataFrame:
    """Make tracks with texts that do not repeat, some of them long or in other scripts."""
    number = pl.int_range(count, dtype=pl.UInt64, eager=True)
    mixed = number.hash(1)
    word = mixed.cast(pl.String)
    return pl.DataFrame(
        {
            "track_id": "TRAAAAA128F" + pl.Series([f"{value:07X}" for value in range(count)]),
            "song_id": "SO" + word.str.head(16),
            "artist_name": "Künstler, " + (mixed % 44_745).cast(pl.String),
            "release": "Album «" + word.str.head(9) + "»",
            "title": "Song '" + word + "' (Live)",
            "track_7digitalid": (mixed % 9_000_000).cast(pl.Int32),
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)


def write_database(path: Path, rows: pl.DataFrame) -> Path:
    """Write the table ``songs``, with indices like those of the original."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE songs (track_id text PRIMARY KEY, title text, song_id text, release text, artist_id text, "
            "artist_mbid text, artist_name text, duration real, artist_familiarity real, artist_hotttnesss real, "
            "year int, track_7digitalid int, shs_perf int, shs_work int)"
        )
        table = rows.select("track_id", "title", "song_id", "release", "artist_name", "track_7digitalid")
        connection.executemany(
            "INSERT INTO songs VALUES (?, ?, ?, ?, 'AR', '', ?, 240.5, 0.5, 0.5, 2003, ?, -1, 0)", table.iter_rows()
        )
        connection.execute("CREATE INDEX idx_artist_name ON songs ('artist_name', 'release')")
    connection.close()
    return path


def write_summary(path: Path, rows: pl.DataFrame) -> Path:
    """Write the tables ``/metadata/songs`` and ``/analysis/songs``."""
    block = 12 * 148 * 8
    with h5py.File(path, "w") as file:
        made = {
            name: file.create_dataset(
                name, (len(rows),), kind, chunks=(CHUNKS[name],), compression="gzip", compression_opts=1, shuffle=True
            )
            for name, kind in (("metadata/songs", SONGS), ("analysis/songs", ANALYSIS))
        }
        random = np.random.default_rng(0)
        for first in range(0, len(rows), block):
            part = rows[first : first + block]
            songs, analysis = np.zeros(len(part), SONGS), np.zeros(len(part), ANALYSIS)
            for name in ("artist_name", "release", "title", "song_id"):
                songs[name] = [text.encode() for text in part[name]]
            songs["track_7digitalid"] = part["track_7digitalid"].to_numpy()
            songs["artist_location"], songs["artist_id"] = b"California - LA", b"ARD7TVE1187B99BFB1"
            songs["artist_mbid"], songs["analyzer_version"] = b"e77e51a5-4761-45b3-9847-2051f811e366", b"3.1.3"
            for name in ("artist_familiarity", "artist_hotttnesss", "song_hotttnesss"):
                songs[name] = random.random(len(part))
            analysis["track_id"] = [text.encode() for text in part["track_id"]]
            analysis["audio_md5"] = [text.encode() for text in part["track_id"].hash().cast(pl.String)]
            for name in _NUMBERS[:8]:
                analysis[name] = random.random(len(part))
            made["metadata/songs"][first : first + len(part)] = songs
            made["analysis/songs"][first : first + len(part)] = analysis
    return path


def write_lines(folder: Path, rows: pl.DataFrame) -> Path:
    """Write ``unique_tracks.txt`` and the list of 7digital ids beside it, in another order."""
    folder.mkdir()
    path = folder / "unique_tracks.txt"
    line = pl.concat_str("track_id", "song_id", "artist_name", "title", separator="<SEP>")
    rows.select(line).write_csv(path, include_header=False, quote_style="never")
    listed = rows.sort("track_id")
    for name, column in (("msd_id.txt", "track_id"), ("7digital_id.txt", "track_7digitalid")):
        listed.select(column).write_csv(folder / name, include_header=False)
    return path


def one(place: Path, sample: int) -> None:
    """Read and draw; print the time and memory."""
    start = time.perf_counter()
    problems: list[str] = []
    found = read(place, problems)
    assert found is not None
    assert not problems, problems
    drawn = draw_order(found.tracks, PretrainConfig(sample=sample)).head(sample)
    seconds = time.perf_counter() - start
    known = found.tracks["seven_digital_id"].count()
    print(json.dumps([seconds, peak_memory_mb(), len(found.tracks), known, drawn["track_id"].n_unique()]))


def measure(places: dict[str, Path], sample: int, rounds: int) -> Iterator[dict[str, float | str | bool]]:
    """Measure each form: the maximum of several rounds."""
    for form, place in places.items():
        runs = []
        for _ in range(rounds):
            call = [sys.executable, __file__, "--one", str(place), "--sample", str(sample)]
            runs.append(json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout))
        seconds, megabytes = max(run[0] for run in runs), max(run[1] for run in runs)
        yield {
            "form": form,
            "file_mb": place.stat().st_size / 1e6,
            "tracks": runs[0][2],
            "seven_digital_ids": runs[0][3],
            "drawn": runs[0][4],
            "seconds": seconds,
            "peak_rss_mb": megabytes,
            "met": seconds < SECONDS and megabytes < MEGABYTES,
        }


def main() -> None:
    """Measure, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="JSON file to write")
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.sample)
        return
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), tracks(options.tracks)
        places = {
            "track_metadata.db": write_database(folder / "track_metadata.db", rows),
            "msd_summary_file.h5": write_summary(folder / "msd_summary_file.h5", rows),
            "unique_tracks.txt and ids": write_lines(folder / "lines", rows),
        }
        print(f"{options.tracks} tracks read, {options.sample} drawn; {processor_name()}\n")
        print(f"| form | file, MB | seconds (goal {SECONDS:g}) | peak memory, MB (goal {MEGABYTES:g}) | met |")
        print("| --- | ---: | ---: | ---: | --- |", flush=True)
        found = []
        for row in measure(places, options.sample, options.rounds):
            found.append(row)
            cells = (f"{row['file_mb']:.0f}", f"{row['seconds']:.1f}", f"{row['peak_rss_mb']:.0f}")
            print(f"| {row['form']} | {' | '.join(cells)} | {'yes' if row['met'] else 'NO'} |", flush=True)
    if options.results:
        write_json(options.results, {"processor": processor_name(), "forms": found})


if __name__ == "__main__":
    main()
